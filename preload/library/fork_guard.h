// SPDX-License-Identifier: MIT
// Keeps fork() and the dialling of streams apart: a child that is forked while another thread holds
// a stream's first, temporary descriptor would keep that stream open until it ends.
#ifndef AIRLOCK_PRELOAD_FORK_GUARD_H
#define AIRLOCK_PRELOAD_FORK_GUARD_H

#include <stdbool.h>

// Registers with pthread_atfork(3). Called once, by the constructor.
void fork_guard_initialise(void);

// Around everything that holds a temporary descriptor. Neither side waits for the other longer than
// a few milliseconds: a fork in a signal handler that interrupted a dial must not hang.
void fork_guard_enter(void);
void fork_guard_leave(const int *unused);

// True in a process that has forked or was forked: its sockets may have owners elsewhere.
bool fork_guard_has_forked(void);

#define FORK_GUARDED                                                                               \
	__attribute__((cleanup(fork_guard_leave), unused)) const int fork_guard = 0;               \
	fork_guard_enter()

#endif
