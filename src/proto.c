#include "proto.h"

#include <string.h>

#include "proto_reader.h"
#include "proto_scalar.h"

/* The value of a parameter. */
struct value {
    enum proto_type type;
    struct text_span text; /* of PROTO_NESTED none */
};

static bool is_scalar(const struct value *value)
{
    return value->type != PROTO_NONE && value->type != PROTO_NESTED;
}

/* --- each parameter: takes the value, or says what is wrong --- */

static enum proto_error take_command(const struct value *value, struct proto_request *request)
{
    request->has_command = is_scalar(value);
    request->command = value->text;
    return PROTO_OK;
}

static enum proto_error keep_id(const struct value *value, struct proto_id *id)
{
    *id = (struct proto_id){.type = PROTO_NONE};
    if (!is_scalar(value))
        return PROTO_OK;
    if (value->text.length > PROTO_ID_MAX)
        return PROTO_LONG_ID;
    id->type = value->type;
    id->length = value->text.length;
    memcpy(id->bytes, value->text.bytes, id->length);
    return PROTO_OK;
}

static enum proto_error take_id(const struct value *value, struct proto_request *request)
{
    return keep_id(value, &request->id);
}

static enum proto_error take_request_id(const struct value *value, struct proto_request *request)
{
    return keep_id(value, &request->request_id);
}

static enum proto_error take_pid(const struct value *value, struct proto_request *request)
{
    uint64_t pid = 0;
    text_read_number(value->text.bytes, value->text.length, 10, INT32_MAX, &pid);
    request->pid = (int64_t)pid;
    return PROTO_OK;
}

static enum proto_error take_user(const struct value *value, struct proto_request *request)
{
    request->user = is_scalar(value) ? value->text : (struct text_span){.length = 0};
    return PROTO_OK;
}

static enum proto_error take_wait(const struct value *value, struct proto_request *request)
{
    request->wait = value->type == PROTO_BOOLEAN && proto_scalar_is_true(value->text);
    return value->type == PROTO_NONE || value->type == PROTO_BOOLEAN ? PROTO_OK : PROTO_WAIT;
}

static enum proto_error take_generation(const struct value *value, struct proto_request *request)
{
    request->generation = 0;
    if (value->type == PROTO_NONE)
        return PROTO_OK;
    if (value->type == PROTO_INTEGER)
        text_read_number(
            value->text.bytes, value->text.length, 10, UINT64_MAX, &request->generation);
    return request->generation > 0 ? PROTO_OK : PROTO_GENERATION;
}

/* Of anything but a list, which read_args() takes. */
static enum proto_error take_args(const struct value *value, struct proto_request *request)
{
    request->args = value->type == PROTO_NONE ? PROTO_ARGS_NONE : PROTO_ARGS_NO_LIST;
    return PROTO_OK;
}

static const char args_name[] = "args";

static const struct parameter {
    const char *name;
    enum proto_error (*take)(const struct value *value, struct proto_request *request);
} parameters[] = {
    {"command", take_command},
    {"id", take_id},
    {"pid", take_pid},
    {"request_id", take_request_id},
    {"user", take_user},
    {"wait", take_wait},
    {"generation", take_generation},
    {args_name, take_args},
};

/* --- the whole of it --- */

static void read_args(struct proto_reader *reader, struct proto_request *request)
{
    struct proto_node entry;

    request->args = PROTO_ARGS_LIST;
    request->arg_count = 0;
    for (proto_reader_next(reader, &entry); entry.kind == PROTO_NODE_SCALAR;
         proto_reader_next(reader, &entry)) {
        enum proto_type type = proto_scalar_type(entry.text, entry.quoted);
        if (type != PROTO_TEXT && request->args == PROTO_ARGS_LIST) {
            request->args = PROTO_ARGS_WITH_OTHER;
            request->other = type;
            request->other_text = entry.text;
        }
        if (request->arg_count == PROTO_ARGS_MAX)
            proto_reader_fail(reader, PROTO_MANY_ARGS);
        else
            request->arg[request->arg_count++] = entry.text;
    }
}

/* A key that is no scalar has no text, and no parameter's name. */
static enum proto_error read_pair(
    struct proto_reader *reader, const struct proto_node *key, struct proto_request *request)
{
    struct proto_node node;
    struct value value = {.type = PROTO_NESTED};

    proto_reader_skip(reader, key);
    proto_reader_next(reader, &node);
    if (node.kind == PROTO_NODE_LIST && text_span_is(key->text, args_name)) {
        read_args(reader, request);
        return PROTO_OK;
    }
    proto_reader_skip(reader, &node);
    if (node.kind == PROTO_NODE_SCALAR)
        value = (struct value){proto_scalar_type(node.text, node.quoted), node.text};
    for (size_t i = 0; i < sizeof parameters / sizeof parameters[0]; i++)
        if (text_span_is(key->text, parameters[i].name))
            return parameters[i].take(&value, request);
    return PROTO_OK;
}

/* Returns what is wrong with the values; what cannot be read at all is the reader's error. */
static enum proto_error read_request(struct proto_reader *reader, struct proto_request *request)
{
    struct proto_node node;
    enum proto_error wrong = PROTO_OK;

    proto_reader_next(reader, &node);
    if (node.kind != PROTO_NODE_MAPPING)
        proto_reader_fail(reader, PROTO_NO_MAPPING);
    for (proto_reader_next(reader, &node); node.kind != PROTO_NODE_END;
         proto_reader_next(reader, &node)) {
        enum proto_error error = read_pair(reader, &node, request);
        if (wrong == PROTO_OK)
            wrong = error;
    }
    proto_reader_next(reader, &node);
    if (node.kind != PROTO_NODE_END)
        proto_reader_fail(reader, PROTO_DOCUMENTS);
    return wrong;
}

static void clear(struct proto_request *request, const char *problem)
{
    /* The list of arguments is long, and only counted ones are looked at. */
    memset(request, 0, offsetof(struct proto_request, arg));
    request->problem = problem;
}

enum proto_error proto_read(
    struct proto_storage *storage, const char *line, size_t length, struct proto_request *request)
{
    struct proto_reader reader;

    clear(request, NULL);
    if (length > PROTO_LINE_MAX)
        return PROTO_LONG_LINE;
    if (!proto_reader_open(&reader, storage, line, length))
        return PROTO_MEMORY;
    enum proto_error wrong = read_request(&reader, request);
    proto_reader_close(&reader);
    if (reader.error != PROTO_OK) {
        clear(request, reader.problem);
        return reader.error;
    }
    if (wrong == PROTO_OK && !request->has_command)
        return PROTO_NO_COMMAND;
    return wrong;
}
