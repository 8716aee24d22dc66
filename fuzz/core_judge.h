/*
 * core_judge: did the core do right?
 *
 * Owns: the guarantees of the rules R, G, X and of the invariants I2 to I5, as checks of what was
 * done against what the world knows. A check that fails ends the run. Leaves to others: what is
 * known (core_world).
 */
#ifndef SOCKETMASTER_FUZZ_CORE_JUDGE_H
#define SOCKETMASTER_FUZZ_CORE_JUDGE_H

#include "core.h"

/* Judges world_actions, which the core answered to this event, one after the other; the world
 * learns from them what the core decided. */
void core_judge_actions(const struct core_event *event);

/* Judges where everything is now. */
void core_judge_whole(const struct core_event *event);

/* Judges what the room `tally` makes of these actions; before the first of them it begins anew. */
void core_judge_tally(const struct core_event *event);
void core_judge_tally_begin(void);

/* Judges a signal, and the line after it that says why it was sent. */
void core_judge_signal(const struct core_event *event, const struct core_action *action,
    const struct core_action *reason);

/* Judges a signal that was asked for, whatever it means to the workers. */
void core_judge_passed_on(const struct core_event *event, const struct core_action *action);

/* Of those that go without a signal, since they were asked for and are not there yet: older ones
 * that made room, as only the core knows; and those that are too many since fewer are wanted. */
void core_judge_learn_who_made_room(void);
void core_judge_let_go_silently(void);

/* That replacements need not be spaced any more is not said either. */
void core_judge_learn_who_settled(void);

#endif
