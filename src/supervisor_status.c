#include "supervisor_status.h"

#include <string.h>

#include "supervisor_parts.h"
#include "supervisor_say.h"

enum { TEXTFILE_MODE = 0644 };

static const char *slot_status(void *context, unsigned slot)
{
    const struct supervisor *sup = context;
    return sup->config->ready == CLI_READY_NOTIFY ? notify_slot_status(&sup->notify, slot) : "";
}

static size_t list_command(const struct supervisor *sup, struct text_span *words)
{
    const struct spawn_command *command = supervisor_command_now(&sup->control.commands);
    char *const *argv = command ? command->argv : sup->setup.argv;
    size_t count = 0;
    while (count < SUPERVISOR_WORDS_MAX && argv[count]) {
        words[count] = text_span_of(argv[count]);
        count++;
    }
    return count;
}

static size_t list_listeners(struct supervisor *sup, struct status_listener *shown)
{
    const struct listeners *listeners = &sup->setup.listeners;
    /* Passed descriptors stand in for the default alone. */
    bool asked = !sup->config->listeners_default || sup->setup.activation.count == 0;
    for (size_t i = 0; i < listeners->count; i++) {
        const struct listener *listener = &listeners->items[i];
        struct os_queue queue;
        int error = sup->os->socket_queue(sup->os, listener->fd, &queue);
        shown[i] = (struct status_listener){
            .uri = asked ? sup->config->listeners[i].source : text_span_of(""),
            .address = listener->address,
            .name = listener->name,
        };
        if (error < 0)
            continue;
        shown[i].has_queue = listener->listens;
        shown[i].waiting = queue.waiting;
        shown[i].limit = queue.limit;
        shown[i].has_drops = queue.has_drops;
        shown[i].drops = queue.drops;
    }
    return listeners->count;
}

void supervisor_status_add(struct supervisor *sup, enum supervisor_form form, unsigned columns,
    bool colour, struct text *text)
{
    static struct text_span words[SUPERVISOR_WORDS_MAX];
    static struct status_listener listeners[LIMIT_LISTENERS];
    struct os *os = sup->os;
    struct os_time wall;
    os->wall_clock(os, &wall);
    struct status_source source = {
        .core = &sup->core,
        .tally = &sup->tally,
        .version = SOCKETMASTER_VERSION,
        .control = sup->config->controlled ? sup->config->control.path : NULL,
        .master_pid = os->process_id(os),
        .now_ms = os->clock_ms(os),
        .wall_s = wall.seconds,
        .started_wall_s = sup->started_wall_s,
        .command = words,
        .command_count = list_command(sup, words),
        .listeners = listeners,
        .listener_count = list_listeners(sup, listeners),
        .slot_status = slot_status,
        .context = sup,
        .log = {sup->log.counts.lines, sup->log.counts.bytes, sup->log.counts.lost},
        .verbosity = sup->control.verbosity,
    };
    switch (form) {
    case SUPERVISOR_TABLE:
        status_add_table(text, &source, columns, colour);
        break;
    case SUPERVISOR_JSON:
        status_add_json(text, &source);
        break;
    case SUPERVISOR_METRICS:
        status_add_metrics(text, &source);
        break;
    case SUPERVISOR_STATE:
        status_add_state(text, &source);
        break;
    }
}

/* --- the file of metrics --- */

/* Differs whenever something has happened that is told there. */
static uint64_t stamp_of(const struct supervisor *sup)
{
    const struct log_counts *counts = &sup->log.counts;
    return 1 + sup->action_count + counts->lines + counts->lost;
}

void supervisor_textfile_write(struct supervisor *sup, bool last)
{
    struct supervisor_textfile *file = &sup->textfile;
    struct os *os = sup->os;
    struct text text;
    uint64_t now = os->clock_ms(os), stamp = stamp_of(sup);
    if (!sup->config->textfile || file->stamp == stamp || (now < file->next_at && !last))
        return;
    text_init(&text, sup->control.text, sizeof sup->control.text);
    supervisor_status_add(sup, SUPERVISOR_METRICS, 0, false, &text);
    int error = os->file_replace(os, sup->config->textfile, text.bytes, text.length, TEXTFILE_MODE);
    if (error < 0 && !file->failed)
        supervisor_say_unwritten(&sup->log, sup->config->textfile, strerror(-error));
    file->failed = error < 0;
    file->stamp = stamp;
    file->next_at = now + SUPERVISOR_TEXTFILE_MS;
}

uint64_t supervisor_textfile_deadline(const struct supervisor *sup)
{
    if (!sup->config->textfile || sup->textfile.stamp == stamp_of(sup))
        return CORE_NEVER;
    return sup->textfile.next_at;
}
