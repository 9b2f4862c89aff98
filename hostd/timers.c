// SPDX-License-Identifier: MIT
// The heap keeps every timer's own position, so that cancelling one needs no search. A stream's
// idle deadline is not moved at every byte: it fires at the old time, looks at when the last byte
// passed, and is armed again (relay.c).
#include "hostd/timers.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>

void timer_set_up(struct timer *timer, void (*fire)(void *owner), void *owner)
{
	timer->fire = fire;
	timer->owner = owner;
}

int timers_reserve(struct timers *timers, size_t count)
{
	struct timer **heap;

	if (count <= timers->capacity)
		return 0;
	if (count < 2 * timers->capacity)
		count = 2 * timers->capacity;
	heap = reallocarray(timers->heap, count + 1, sizeof(*heap));
	if (!heap)
		return -ENOMEM;
	timers->heap = heap;
	timers->capacity = count;
	return 0;
}

void timers_destroy(struct timers *timers)
{
	free(timers->heap);
	*timers = (struct timers){0};
}

static void timers_place(struct timers *timers, struct timer *timer, size_t position)
{
	timers->heap[position] = timer;
	timer->position = position;
}

static void timers_move_up(struct timers *timers, struct timer *timer, size_t position)
{
	while (position > 1 && timers->heap[position / 2]->due > timer->due) {
		timers_place(timers, timers->heap[position / 2], position);
		position /= 2;
	}
	timers_place(timers, timer, position);
}

static void timers_move_down(struct timers *timers, struct timer *timer, size_t position)
{
	size_t child;

	while ((child = 2 * position) <= timers->count) {
		if (child < timers->count &&
			timers->heap[child + 1]->due < timers->heap[child]->due)
			child++;
		if (timers->heap[child]->due >= timer->due)
			break;
		timers_place(timers, timers->heap[child], position);
		position = child;
	}
	timers_place(timers, timer, position);
}

void timers_arm(struct timers *timers, struct timer *timer, uint64_t due)
{
	timers_cancel(timers, timer);
	assert(timers->count < timers->capacity);
	timer->due = due;
	timers_move_up(timers, timer, ++timers->count);
}

void timers_cancel(struct timers *timers, struct timer *timer)
{
	size_t position = timer->position;
	struct timer *last;

	if (!position)
		return;
	timer->position = 0;
	last = timers->heap[timers->count--];
	if (last == timer)
		return;
	if (position > 1 && timers->heap[position / 2]->due > last->due)
		timers_move_up(timers, last, position);
	else
		timers_move_down(timers, last, position);
}

int timers_wait(const struct timers *timers, uint64_t now)
{
	uint64_t wait;

	if (!timers->count)
		return -1;
	if (timers->heap[1]->due <= now)
		return 0;
	wait = timers->heap[1]->due - now;
	return wait > INT_MAX ? INT_MAX : (int)wait;
}

void timers_run(struct timers *timers, uint64_t now)
{
	while (timers->count && timers->heap[1]->due <= now) {
		struct timer *timer = timers->heap[1];

		timers_cancel(timers, timer);
		timer->fire(timer->owner);
	}
}
