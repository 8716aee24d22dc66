/*
 * setup_plan: what a start would do with the workers, in lines for -check (rule C7); for setup.
 *
 * Owns: the words. Leaves to others: finding out whether it can be done.
 */
#ifndef SOCKETMASTER_SETUP_PLAN_H
#define SOCKETMASTER_SETUP_PLAN_H

#include "setup.h"
#include "text.h"

/* Adds what is run, as whom and where, how many of it, and how they are replaced: a line each. */
void setup_plan_add(const struct setup *setup, const char *path, struct text *plan);

#endif
