/*
 * core_slot: what an event means to the worker that it names.
 *
 * Owns: the table of a worker's states and events, and what its deadline means in each state.
 * Leaves to others: the master's phases (core), and what follows for the whole (core_rollout,
 * core_pool). For the files of the core alone; pure.
 */
#ifndef SOCKETMASTER_CORE_SLOT_H
#define SOCKETMASTER_CORE_SLOT_H

#include "core.h"

/* Takes an event whose kind is below CORE_WORKER_EVENT_COUNT. */
void core_slot_event(
    struct core *core, const struct core_event *event, struct core_actions *actions);

/* The deadline of the worker in event->slot has come. */
void core_slot_time_is_up(
    struct core *core, const struct core_event *event, struct core_actions *actions);

#endif
