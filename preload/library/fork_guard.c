// SPDX-License-Identifier: MIT
#include "preload/library/fork_guard.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "preload/library/fds.h"
#include "preload/library/result.h"

#define WAIT_ROUNDS       100
#define ROUND_NANOSECONDS 100000

static _Atomic int dials;
static _Atomic int forks;
static _Atomic bool has_forked;

static void wait_for_none(_Atomic int *counter)
{
	const struct timespec pause = {.tv_nsec = ROUND_NANOSECONDS};
	int saved_errno = errno;

	for (int round = 0; round < WAIT_ROUNDS && atomic_load(counter) > 0; round++)
		nanosleep(&pause, NULL);
	errno = saved_errno;
}

void fork_guard_enter(void)
{
	wait_for_none(&forks);
	atomic_fetch_add(&dials, 1);
}

void fork_guard_leave(const int *unused)
{
	(void)unused;
	atomic_fetch_sub(&dials, 1);
}

// fork() is no cancellation point.
static void before_fork(void)
{
	UNCANCELLED;

	atomic_fetch_add(&forks, 1);
	wait_for_none(&dials);
}

static void after_fork_in_parent(void)
{
	atomic_store(&has_forked, true);
	atomic_fetch_sub(&forks, 1);
}

// The child has one thread, which is here.
static void after_fork_in_child(void)
{
	atomic_store(&has_forked, true);
	atomic_store(&forks, 0);
	atomic_store(&dials, 0);
	fds_note_fork();
}

void fork_guard_initialise(void)
{
	// Without memory for it the guard is absent, and nothing else.
	(void)pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}

bool fork_guard_has_forked(void)
{
	return atomic_load_explicit(&has_forked, memory_order_relaxed);
}
