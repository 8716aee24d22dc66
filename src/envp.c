/*
 * envp: a worker's environment block (rules E2 to E6, E8, E9).
 *
 * Owns: the names and the form of every variable that the master sets, the list of those that it
 * keeps to itself, and the order of precedence. Leaves to others: where the values come from.
 *
 * The sources are visited from the strongest to the weakest, and the first to settle a name wins:
 * so nothing that was written has ever to be taken back.
 */
#include "envp.h"

#include <string.h>

enum {
    FIRST_DESCRIPTOR = 3, /* of the listeners, rule E1 */
    OWN_NAMES = 32,       /* more than the names that a block has whatever its listeners */
    TABLE_SIZE = 2 * ENVP_ENTRIES_MAX,
};

_Static_assert((TABLE_SIZE & (TABLE_SIZE - 1)) == 0, "the table's size is a power of two");
_Static_assert(ENVP_ENTRIES_MAX < UINT16_MAX, "the table's cells hold an index plus 1");

static const char *const private_prefixes[] = {
    "EINHORN_",
    "LISTEN_",
    "SERVER_STARTER_",
    "SOCKETMASTER_",
};

static const char *const private_names[] = {
    "NGINX",
    "NOTIFY_SOCKET",
    "NOTIFY_FD",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
};

/* A block under construction: `text` writes into the block's bytes. */
struct builder {
    struct envp *envp;
    struct text text;
    size_t cells; /* of the table that are in use: a power of two, at least twice the names */
    bool too_many;
};

bool envp_is_private(struct text_span name)
{
    for (size_t i = 0; i < sizeof private_prefixes / sizeof private_prefixes[0]; i++) {
        size_t length = strlen(private_prefixes[i]);

        if (name.length >= length && memcmp(name.bytes, private_prefixes[i], length) == 0)
            return true;
    }
    for (size_t i = 0; i < sizeof private_names / sizeof private_names[0]; i++)
        if (text_span_is(name, private_names[i]))
            return true;
    return false;
}

/* FNV-1a, 32 bits: http://www.isthe.com/chongo/tech/comp/fnv/ */
static uint32_t hash_of(struct text_span name)
{
    uint32_t hash = 2166136261u;

    for (size_t i = 0; i < name.length; i++)
        hash = (hash ^ (unsigned char)name.bytes[i]) * 16777619u;
    return hash;
}

/*
 * Returns true if nobody has settled this name before; from now on it is settled. The table is at
 * most half full, because no more names are taken in than a block may have variables.
 */
static bool settle(struct builder *builder, struct text_span name)
{
    struct envp *envp = builder->envp;
    size_t cell = hash_of(name) & (builder->cells - 1);

    for (; envp->table[cell] != 0; cell = (cell + 1) & (builder->cells - 1)) {
        struct text_span other = envp->settled[envp->table[cell] - 1];

        if (other.length == name.length && memcmp(other.bytes, name.bytes, name.length) == 0)
            return false;
    }
    if (envp->settled_count == ENVP_ENTRIES_MAX) {
        builder->too_many = true;
        return false;
    }
    envp->settled[envp->settled_count++] = name;
    envp->table[cell] = (uint16_t)envp->settled_count;
    return true;
}

static void add_entry(struct builder *builder, char *entry)
{
    struct envp *envp = builder->envp;

    if (envp->count == ENVP_ENTRIES_MAX) {
        builder->too_many = true;
        return;
    }
    envp->entries[envp->count++] = entry;
}

/*
 * Starts a variable that the block itself holds, with the beginning of its text: "NAME=" or less.
 * The rest is what the caller adds before close_variable.
 */
static struct text *open_variable(struct builder *builder, const char *beginning)
{
    add_entry(builder, builder->text.bytes + builder->text.length);
    text_add(&builder->text, beginning);
    return &builder->text;
}

static void close_variable(struct builder *builder)
{
    text_add_char(&builder->text, '\0');
}

static void add_string(struct builder *builder, const char *beginning, const char *value)
{
    text_add(open_variable(builder, beginning), value);
    close_variable(builder);
}

static void add_number(struct builder *builder, const char *beginning, uint64_t value)
{
    text_add_unsigned(open_variable(builder, beginning), value);
    close_variable(builder);
}

static void add_einhorn(struct builder *builder, const struct envp_request *request)
{
    struct text *text = open_variable(builder, "EINHORN_FDS=");

    for (size_t i = 0; i < request->listener_count; i++) {
        if (i > 0)
            text_add_char(text, ' ');
        text_add_unsigned(text, FIRST_DESCRIPTOR + i);
    }
    close_variable(builder);

    add_number(builder, "EINHORN_FD_COUNT=", request->listener_count);
    for (size_t i = 0; i < request->listener_count; i++) {
        open_variable(builder, "EINHORN_FD_");
        text_add_unsigned(text, i);
        text_add_char(text, '=');
        text_add_unsigned(text, FIRST_DESCRIPTOR + i);
        close_variable(builder);
    }
    add_number(builder, "EINHORN_CHILD_INDEX=", request->slot);
    /* Clients that find the master's pid die where no socket answers. */
    if (request->control_socket != NULL) {
        add_number(builder, "EINHORN_MASTER_PID=", (uint64_t)request->master_pid);
        add_string(builder, "EINHORN_SOCK_PATH=", request->control_socket);
    }
}

static void add_systemd(struct builder *builder, const struct envp_request *request)
{
    struct text *text = &builder->text;

    add_number(builder, "LISTEN_FDS=", request->listener_count);

    open_variable(builder, "LISTEN_FDNAMES=");
    for (size_t i = 0; i < request->listener_count; i++) {
        const char *name = request->listeners[i].name;

        if (i > 0)
            text_add_char(text, ':');
        text_add(text, name == NULL || name[0] == '\0' ? "unknown" : name);
    }
    close_variable(builder);

    if ((request->families & ENVP_SYSTEMD_NOPID) == 0) {
        open_variable(builder, "LISTEN_PID=");
        builder->envp->pid_gap = text->bytes + text->length;
        text_add_padded(text, 0, ENVP_PID_WIDTH);
        close_variable(builder);
    }
}

static void add_starter(struct builder *builder, const struct envp_request *request)
{
    struct text *text = open_variable(builder, "SERVER_STARTER_PORT=");

    for (size_t i = 0; i < request->listener_count; i++) {
        if (i > 0)
            text_add_char(text, ';');
        text_add(text, request->listeners[i].starter);
        text_add_char(text, '=');
        text_add_unsigned(text, FIRST_DESCRIPTOR + i);
    }
    close_variable(builder);
    add_number(builder, "SERVER_STARTER_GENERATION=", request->generation);
}

/* nginx wants each number ended, not separated. */
static void add_nginx(struct builder *builder, const struct envp_request *request)
{
    struct text *text = open_variable(builder, "NGINX=");

    for (size_t i = 0; i < request->listener_count; i++) {
        text_add_unsigned(text, FIRST_DESCRIPTOR + i);
        text_add_char(text, ';');
    }
    close_variable(builder);
}

static void add_own(struct builder *builder, const struct envp_request *request)
{
    struct text *text = open_variable(builder, "SOCKETMASTER_PID=");

    text_add_signed(text, request->master_pid);
    close_variable(builder);
    if (request->notify_socket != NULL)
        add_string(builder, "NOTIFY_SOCKET=", request->notify_socket);
    if (request->notify_fd > 0)
        add_number(builder, "NOTIFY_FD=", (uint64_t)request->notify_fd);
    add_number(builder, "SOCKETMASTER_GENERATION=", request->generation);
    for (size_t i = 0; i < request->listener_count; i++) {
        open_variable(builder, "SOCKETMASTER_ADDR_");
        text_add_unsigned(text, i);
        text_add_char(text, '=');
        text_add(text, request->listeners[i].address);
        close_variable(builder);
    }
}

static void add_families(struct builder *builder, const struct envp_request *request)
{
    if ((request->families & ENVP_EINHORN) != 0)
        add_einhorn(builder, request);
    if ((request->families & (ENVP_SYSTEMD | ENVP_SYSTEMD_NOPID)) != 0)
        add_systemd(builder, request);
    if ((request->families & ENVP_STARTER) != 0)
        add_starter(builder, request);
    if ((request->families & ENVP_NGINX) != 0)
        add_nginx(builder, request);
}

static bool is_settable(struct text_span name)
{
    return name.length > 0 && memchr(name.bytes, '=', name.length) == NULL &&
           memchr(name.bytes, '\0', name.length) == NULL && !envp_is_private(name);
}

static void add_overrides(struct builder *builder, const struct envp_request *request)
{
    for (size_t i = 0; i < request->override_count; i++) {
        const struct envp_override *override = &request->overrides[i];
        struct text *text;

        /* A removed name is settled too, so that no weaker source can bring it back. */
        if (!is_settable(override->name) || !settle(builder, override->name) ||
            override->value == NULL)
            continue;
        text = open_variable(builder, "");
        text_add_bytes(text, override->name.bytes, override->name.length);
        text_add_char(text, '=');
        text_add_bytes(text, override->value, override->length);
        close_variable(builder);
    }
}

static void add_account(struct builder *builder, const struct envp_account *account)
{
    const struct {
        const char *beginning;
        const char *value;
    } variables[] = {
        {"HOME=", account->home},
        {"USER=", account->login},
        {"LOGNAME=", account->login},
        {"SHELL=", account->shell},
    };

    for (size_t i = 0; i < sizeof variables / sizeof variables[0]; i++) {
        struct text_span name = text_span_of(variables[i].beginning);

        name.length -= 1; /* the '=' */
        if (variables[i].value != NULL && settle(builder, name))
            add_string(builder, variables[i].beginning, variables[i].value);
    }
}

static void add_inherited(struct builder *builder, char *const *inherited)
{
    for (; *inherited != NULL; inherited++) {
        const char *equals = strchr(*inherited, '=');
        struct text_span name;

        if (equals == NULL)
            continue;
        name = (struct text_span){*inherited, (size_t)(equals - *inherited)};
        if (is_settable(name) && settle(builder, name))
            add_entry(builder, *inherited);
    }
}

/* A small environment touches little of the large table: that keeps an idle master small. */
static void clear_table(struct builder *builder, const struct envp_request *request)
{
    size_t names = OWN_NAMES + 2 * request->listener_count + request->override_count;

    for (char *const *entry = request->inherited; *entry != NULL; entry++)
        names++;
    builder->cells = 1;
    while (builder->cells < 2 * names && builder->cells < TABLE_SIZE)
        builder->cells *= 2;
    memset(builder->envp->table, 0, builder->cells * sizeof builder->envp->table[0]);
}

enum envp_error envp_build(struct envp *envp, const struct envp_request *request)
{
    struct builder builder = {.envp = envp};

    envp->count = 0;
    envp->pid_gap = NULL;
    envp->settled_count = 0;
    clear_table(&builder, request);
    text_init(&builder.text, envp->bytes, sizeof envp->bytes);

    add_own(&builder, request);
    add_families(&builder, request);
    add_overrides(&builder, request);
    add_account(&builder, &request->account);
    add_inherited(&builder, request->inherited);

    if (builder.too_many || builder.text.overflow) {
        /* What was cut must not be used by mistake. */
        envp->count = 0;
        envp->pid_gap = NULL;
    }
    envp->entries[envp->count] = NULL;
    if (builder.too_many)
        return ENVP_ERR_ENTRIES;
    return builder.text.overflow ? ENVP_ERR_BYTES : ENVP_OK;
}

_Static_assert(ENVP_ENTRIES_MAX == 8192 && ENVP_BYTES_MAX == 1048576, "as the sentences below say");

const char *envp_error_text(enum envp_error error)
{
    switch (error) {
    case ENVP_OK:
        break;
    case ENVP_ERR_ENTRIES:
        return "the environment has more than 8192 variables";
    case ENVP_ERR_BYTES:
        return "the variables that the environment adds have more than 1048576 bytes";
    }
    return "the environment fits";
}

void envp_write_pid(char *gap, int64_t pid)
{
    struct text text;

    if (gap == NULL)
        return;
    text_init(&text, gap, ENVP_PID_WIDTH + 1);
    text_add_signed(&text, pid);
}

const char *envp_find(char *const *entries, const char *name)
{
    size_t length = strlen(name);

    for (; *entries != NULL; entries++)
        if (strncmp(*entries, name, length) == 0 && (*entries)[length] == '=')
            return *entries + length + 1;
    return NULL;
}
