/*
 * Fuzzes envp: a request is made from the input's lines, and the block is compared with what a slow
 * and simple reading of the rules expects.
 *
 * The first line's bytes are the families, the number of listeners and the slot. Each further line
 * is a letter and its text: i an inherited string, s NAME VALUE and r NAME an override that sets or
 * removes, a the account's login, home and shell, n a listener's name.
 */
#include "envp.h"

#include <stdlib.h>
#include <string.h>

#include "target.h"

enum {
    LISTENERS_MAX = 8,
    SOURCES_MAX = 256, /* inherited strings, and overrides */
};

static struct envp envp;
static char *inherited[SOURCES_MAX + 1];
static size_t inherited_count;
static struct envp_override overrides[SOURCES_MAX];
static struct envp_listener listeners[LISTENERS_MAX];

/* `line` ends with a NUL at `length`, and may hold others. */
static void read_line(struct envp_request *request, char *line, size_t length, size_t *named)
{
    char *text = line + 1;
    size_t rest = length - 1;
    char *blank = memchr(text, ' ', rest);
    size_t name = blank == NULL ? rest : (size_t)(blank - text);

    switch (line[0]) {
    case 'i':
        if (inherited_count < SOURCES_MAX)
            inherited[inherited_count++] = text;
        break;
    case 's':
        if (request->override_count < SOURCES_MAX && blank != NULL) {
            overrides[request->override_count++] =
                (struct envp_override){{text, name}, blank + 1, rest - name - 1};
        }
        break;
    case 'r':
        if (request->override_count < SOURCES_MAX)
            overrides[request->override_count++] = (struct envp_override){.name = {text, rest}};
        break;
    case 'a':
        request->account = (struct envp_account){text, text, text};
        break;
    case 'n':
        if (*named < LISTENERS_MAX)
            listeners[(*named)++].name = text;
        break;
    default:
        break;
    }
}

static void read_request(struct envp_request *request, char *bytes, size_t size)
{
    char *end = bytes + size;
    char *line = memchr(bytes, '\n', size);
    size_t named = 0;

    request->families = (unsigned char)bytes[0];
    request->listener_count = (unsigned char)bytes[1] % (LISTENERS_MAX + 1);
    request->slot = (unsigned char)bytes[2];
    request->notify_socket = request->slot & 1 ? "/run/n/0" : NULL;
    request->notify_fd = request->slot & 2 ? 9 : 0;
    while (line != NULL) {
        char *next;

        line += 1;
        next = memchr(line, '\n', (size_t)(end - line));
        *(next == NULL ? end : next) = '\0';
        if (line[0] != '\0')
            read_line(request, line, (size_t)((next == NULL ? end : next) - line), &named);
        line = next;
    }
}

static size_t name_length(const char *entry)
{
    const char *equals = strchr(entry, '=');

    CHECK(equals != NULL && equals > entry);
    return (size_t)(equals - entry);
}

static bool same_name(const char *entry, struct text_span name)
{
    return name_length(entry) == name.length && memcmp(entry, name.bytes, name.length) == 0;
}

static bool starts_with(const char *entry, const char *prefix)
{
    return strncmp(entry, prefix, strlen(prefix)) == 0;
}

/* Rule E6 once more, so that a name missing in envp's own lists is noticed. */
static bool is_kept_from_workers(struct text_span name)
{
    static const char *const beginnings[] = {
        "EINHORN_", "LISTEN_", "SERVER_STARTER_", "SOCKETMASTER_"};
    static const char *const names[] = {
        "NGINX", "NOTIFY_SOCKET", "NOTIFY_FD", "WATCHDOG_USEC", "WATCHDOG_PID"};

    for (size_t i = 0; i < sizeof beginnings / sizeof beginnings[0]; i++) {
        size_t length = strlen(beginnings[i]);

        if (name.length >= length && memcmp(name.bytes, beginnings[i], length) == 0)
            return true;
    }
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (text_span_is(name, names[i]))
            return true;
    return false;
}

/* May the master have set this private variable in this request? */
static bool is_asked_for(const struct envp_request *request, const char *entry)
{
    const struct {
        const char *prefix;
        unsigned families;
    } allowed[] = {
        {"EINHORN_FDS=", ENVP_EINHORN},
        {"EINHORN_FD_COUNT=", ENVP_EINHORN},
        {"EINHORN_FD_", ENVP_EINHORN},
        {"EINHORN_CHILD_INDEX=", ENVP_EINHORN},
        {"LISTEN_FDS=", ENVP_SYSTEMD | ENVP_SYSTEMD_NOPID},
        {"LISTEN_FDNAMES=", ENVP_SYSTEMD | ENVP_SYSTEMD_NOPID},
        {"SERVER_STARTER_PORT=", ENVP_STARTER},
        {"SERVER_STARTER_GENERATION=", ENVP_STARTER},
        {"NGINX=", ENVP_NGINX},
        {"SOCKETMASTER_PID=4321", ~0u},
        {"SOCKETMASTER_GENERATION=7", ~0u},
        {"SOCKETMASTER_ADDR_", ~0u},
    };

    if (starts_with(entry, "LISTEN_PID=")) {
        return (request->families & ENVP_SYSTEMD) != 0 &&
               (request->families & ENVP_SYSTEMD_NOPID) == 0;
    }
    if (starts_with(entry, "NOTIFY_SOCKET="))
        return request->notify_socket != NULL && strcmp(entry, "NOTIFY_SOCKET=/run/n/0") == 0;
    if (starts_with(entry, "NOTIFY_FD="))
        return request->notify_fd > 0 && strcmp(entry, "NOTIFY_FD=9") == 0;
    for (size_t i = 0; i < sizeof allowed / sizeof allowed[0]; i++)
        if (starts_with(entry, allowed[i].prefix))
            return allowed[i].families == ~0u || (request->families & allowed[i].families) != 0;
    return false;
}

/* The value that an unprivate name has to have, or NULL where it has to be missing. */
static const char *expected_value(
    const struct envp_request *request, struct text_span name, size_t *length)
{
    static const char *const account_names[] = {"HOME", "USER", "LOGNAME", "SHELL"};

    for (size_t i = 0; i < request->override_count; i++) {
        const struct envp_override *override = &overrides[i];

        if (override->name.length == name.length &&
            memcmp(override->name.bytes, name.bytes, name.length) == 0) {
            *length = override->value == NULL ? 0 : strnlen(override->value, override->length);
            return override->value;
        }
    }
    for (size_t i = 0; i < 4 && request->account.login != NULL; i++) {
        if (text_span_is(name, account_names[i])) {
            *length = strlen(request->account.login);
            return request->account.login;
        }
    }
    for (size_t i = 0; i < inherited_count; i++) {
        if (strncmp(inherited[i], name.bytes, name.length) == 0 &&
            inherited[i][name.length] == '=') {
            *length = strlen(inherited[i]) - name.length - 1;
            return inherited[i] + name.length + 1;
        }
    }
    return NULL;
}

static void check_entry(const struct envp_request *request, size_t index)
{
    const char *entry = envp.entries[index];
    struct text_span name = {entry, name_length(entry)};
    size_t length = 0;
    const char *value;

    for (size_t i = 0; i < index; i++)
        CHECK(!same_name(envp.entries[i], name));
    if (is_kept_from_workers(name)) {
        CHECK(is_asked_for(request, entry));
        CHECK(entry >= envp.bytes && entry < envp.bytes + sizeof envp.bytes);
        return;
    }
    value = expected_value(request, name, &length);
    CHECK(value != NULL && strlen(entry + name.length + 1) == length);
    CHECK(memcmp(entry + name.length + 1, value, length) == 0);
}

/* What a source offers and nobody stronger takes away is in the block. */
static void check_source(const struct envp_request *request, struct text_span name)
{
    size_t length = 0;
    bool found = false;

    if (name.length == 0 || memchr(name.bytes, '=', name.length) != NULL ||
        memchr(name.bytes, '\0', name.length) != NULL || is_kept_from_workers(name))
        return;
    for (size_t i = 0; i < envp.count; i++)
        found = found || same_name(envp.entries[i], name);
    CHECK(found == (expected_value(request, name, &length) != NULL));
}

static void check_pid_gap(const struct envp_request *request)
{
    char *value = NULL;
    char next;

    CHECK((envp.pid_gap != NULL) == ((request->families & ENVP_SYSTEMD) != 0 &&
                                        (request->families & ENVP_SYSTEMD_NOPID) == 0));
    for (size_t i = 0; i < envp.count; i++)
        if (starts_with(envp.entries[i], "LISTEN_PID="))
            value = envp.entries[i] + strlen("LISTEN_PID=");
    CHECK(value == envp.pid_gap);
    if (value == NULL)
        return;
    CHECK(strlen(value) == ENVP_PID_WIDTH);
    next = value[ENVP_PID_WIDTH + 1];
    envp_write_pid(envp.pid_gap, INT32_MAX);
    CHECK(strcmp(value, "2147483647") == 0 && value[ENVP_PID_WIDTH + 1] == next);
    envp_write_pid(envp.pid_gap, 9);
    CHECK(strcmp(value, "9") == 0 && value[ENVP_PID_WIDTH + 1] == next);
}

static void check_block(const struct envp_request *request)
{
    CHECK(envp.count <= ENVP_ENTRIES_MAX && envp.entries[envp.count] == NULL);
    check_pid_gap(request);
    for (size_t i = 0; i < envp.count; i++)
        check_entry(request, i);
    for (size_t i = 0; i < request->override_count; i++)
        check_source(request, overrides[i].name);
    for (size_t i = 0; i < inherited_count; i++)
        check_source(request, (struct text_span){inherited[i], strcspn(inherited[i], "=")});
}

/* Rules: E2 E3 E4 E5 E6 E8 E9 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct envp_request request = {
        .inherited = inherited,
        .listeners = listeners,
        .overrides = overrides,
        .generation = 7,
        .master_pid = 4321,
    };
    char *bytes;

    if (size < 3)
        return 0;
    for (size_t i = 0; i < LISTENERS_MAX; i++)
        listeners[i] = (struct envp_listener){NULL, "127.0.0.1:80", "tcp://127.0.0.1:80"};
    inherited_count = 0;
    bytes = malloc(size + 1);
    CHECK(bytes != NULL);
    memcpy(bytes, data, size);
    read_request(&request, bytes, size);
    inherited[inherited_count] = NULL;

    CHECK(envp_build(&envp, &request) == ENVP_OK);
    check_block(&request);
    free(bytes);
    return 0;
}
