// SPDX-License-Identifier: MIT
// Deadlines in lists that are ordered by time. Those of one kind last equally long, so a new one
// belongs at its list's end: arming and cancelling take constant time and no memory.
#ifndef AIRLOCK_TLS_DEADLINES_H
#define AIRLOCK_TLS_DEADLINES_H

#include <stddef.h>
#include <stdint.h>

// Embedded in what has the deadline; zeroed memory is an idle one.
struct deadline {
	uint64_t due;               // ms of CLOCK_MONOTONIC
	struct deadline_list *list; // NULL: not armed
	struct deadline *prev;
	struct deadline *next;
};

struct deadline_list {
	struct deadline *first;
};

// Arms, or moves an armed one. Durations that differ within a list cost a search from its end.
void deadline_arm(struct deadline_list *list, struct deadline *deadline, uint64_t due);
void deadline_cancel(struct deadline *deadline); // an idle one: nothing

// Milliseconds until the first of all lists is due: 0 when overdue, -1 when none is armed.
int deadlines_wait(const struct deadline_list *lists, size_t count, uint64_t now);

// Takes one that is due out of its list, or NULL.
struct deadline *deadlines_take(struct deadline_list *lists, size_t count, uint64_t now);

#endif
