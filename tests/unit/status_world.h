/*
 * The world of the status' tests: one snapshot, and a scene in it: a rollout of generation 8 has
 * failed, 7 serves with two workers, one of 6 is still draining, and one has asked for nothing yet.
 */
#ifndef SOCKETMASTER_STATUS_WORLD_H
#define SOCKETMASTER_STATUS_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "status_snapshot.h"

static struct snapshot snapshot;
static char told_bytes[STATUS_SIZE];

static inline void set_words(char *bytes, size_t *length, const char *words)
{
    *length = strlen(words);
    memcpy(bytes, words, *length);
}

static inline void scene_rollout(void)
{
    struct tally_rollout *rollout = &snapshot.tally.rollout;
    *rollout = (struct tally_rollout){.result = TALLY_FAILED,
        .generation = 8,
        .began = snapshot_ago(200000),
        .ended = snapshot_ago(198766),
        .elapsed = 1234,
        .why = {.failure = CORE_FAILURE_ENDED, .slot = 3, .pid = 1300, .number = 2}};
    set_words(rollout->line, &rollout->line_length,
        "generation 8: rollout failed after 1234 ms: worker 1300 (slot 3) ended before it was "
        "ready: exit status 2");
    set_words(
        rollout->output, &rollout->output_length, "starting\nerror: no \"db\" \xc3\xa4\x1b[m");
}

static inline void scene(void)
{
    snapshot_init(&snapshot);
    struct core *core = &snapshot.core;
    core->phase = CORE_SERVING;
    core->generation = 8;
    core->serving = 7;
    core->settings.workers = 2;
    core->settings.stop_ms = 30000;
    snapshot.command[0] = text_span_of("./server");
    snapshot.command[1] = text_span_of("-v");
    snapshot.command[2] = text_span_of("say \"hi\"");
    snapshot.source.command_count = 3;
    snapshot.source.control = "/run/app.control";
    struct status_listener *listener =
        snapshot_listener(&snapshot, "tcp://:8080?name=web", "tcp://[::]:8080");
    listener->name = "web";
    listener->waiting = 3;
    listener->has_drops = true;
    listener->drops = 12;
    *snapshot_listener(&snapshot, "", "unix:///run/app.sock") =
        (struct status_listener){.uri = text_span_of("unix:///run/app.sock"),
            .address = "unix:///run/app.sock",
            .name = "",
            .has_queue = true,
            .waiting = 128,
            .limit = 128};
    *snapshot_listener(&snapshot, "", "udp://127.0.0.1:53") =
        (struct status_listener){.address = "udp://127.0.0.1:53", .name = "dns", .has_drops = true};
    struct tally_slot *known;
    known = snapshot_worker(&snapshot, 0, CORE_WORKER_READY, 1200, 7, 5 * 3600 * 1000);
    known->ready = known->since;
    known->ready_after = 480;
    known->pinged = snapshot_ago(2000);
    set_words(known->ping_id, &known->ping_id_length, "req-1");
    strcpy(snapshot.statuses[0], "all well");
    known = snapshot_worker(&snapshot, 1, CORE_WORKER_READY, 1201, 7, 65000);
    known->ready = known->since;
    known->ready_after = 2300;
    known->restarts = 1;
    known = snapshot_worker(&snapshot, 2, CORE_WORKER_DRAINING, 1100, 6, 12000);
    known->ready = snapshot_ago(90000000);
    known->ready_after = 61000;
    known->asked_for = snapshot_ago(90061000);
    known->signalled = snapshot_ago(12000);
    known->signals = 1u << 0 | 1u << 14 | UINT64_C(1) << 63;
    core->workers[2].deadline = SNAPSHOT_NOW_MS + 18000;
    strcpy(snapshot.statuses[2], "3 connections left");
    snapshot_worker(&snapshot, 4, CORE_WORKER_SPAWNING, 0, 7, 0);
    snapshot.tally.counts = (struct tally_counts){.rollouts = 8,
        .rollouts_done = 7,
        .rollouts_failed = 1,
        .executed = 17,
        .ready = 16,
        .replacements = 1,
        .ended = 14,
        .unasked = 2,
        .crashed = 1};
    snapshot.source.log = (struct status_log){.lines = 1000, .bytes = 65536, .lost = 2};
    scene_rollout();
}

static inline const char *told(void (*add)(struct text *, const struct status_source *))
{
    struct text text;
    text_init(&text, told_bytes, sizeof told_bytes);
    add(&text, &snapshot.source);
    assert_false(text.overflow);
    assert_int_equal(strlen(text.bytes), text.length);
    assert_int_equal(text.bytes[text.length - 1], '\n');
    return text.bytes;
}

/* Is there this part in it, which is shown where it is not? */
static inline void expect_part(const char *whole, const char *part)
{
    if (strstr(whole, part) == NULL)
        fail_msg("this is not there:\n%s\nbut this:\n%s", part, whole);
}

static inline void expect_no_part(const char *whole, const char *part)
{
    if (strstr(whole, part) != NULL)
        fail_msg("this is there:\n%s\nin:\n%s", part, whole);
}

#endif
