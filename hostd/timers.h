// SPDX-License-Identifier: MIT
// Deadlines of one worker, in a binary heap of pointers: arming and cancelling touch no kernel
// object, and a worker asks once per turn how long it may sleep. Not thread-safe: one set a worker.
#ifndef AIRLOCK_HOSTD_TIMERS_H
#define AIRLOCK_HOSTD_TIMERS_H

#include <stddef.h>
#include <stdint.h>

#include "wire/compiler.h"

// Embedded in what has the deadline; zeroed memory is an idle timer.
struct timer {
	uint64_t due;    // ms of CLOCK_MONOTONIC
	size_t position; // in the heap, from 1; 0: not armed
	void (*fire)(void *owner);
	void *owner;
};

struct timers {
	struct timer **heap; // heap[1] is due first
	size_t count;
	size_t capacity; // entries that fit, without heap[0]
};

// Names what happens at the deadline; once for each timer, before it is armed.
void timer_set_up(struct timer *timer, void (*fire)(void *owner), void *owner);

// Makes room for count timers to be armed at a time, so that arming cannot fail. 0 or -ENOMEM.
int timers_reserve(struct timers *timers, size_t count) MUST_CHECK;
void timers_destroy(struct timers *timers);

// Arms, or moves an armed one. There must be room (timers_reserve).
void timers_arm(struct timers *timers, struct timer *timer, uint64_t due);
void timers_cancel(struct timers *timers, struct timer *timer); // an idle one: nothing

// Milliseconds until the first is due: 0 when overdue, -1 when none is armed.
int timers_wait(const struct timers *timers, uint64_t now);

// Fires everything that is due; a fired timer is idle before its function runs.
void timers_run(struct timers *timers, uint64_t now);

#endif
