// SPDX-License-Identifier: MIT
// Waiting for processes to end that were asked to, without trying anybody's patience.
#ifndef AIRLOCK_LAUNCHER_ENDING_H
#define AIRLOCK_LAUNCHER_ENDING_H

#include <stdbool.h>

#include "wire/compiler.h"

// Waits until has_ended(context), which reaps, says so; it is asked at first and after each
// SIGCHLD. False when timeout_ms are over or a signal that asks us to end (SIGTERM, SIGINT, SIGHUP,
// SIGQUIT) has come since. These and SIGCHLD must be blocked, SIGCHLD at its default. When it takes
// long, says at info that it waits for `what`.
bool ending_wait(bool (*has_ended)(void *context), void *context, unsigned timeout_ms,
	const char *what) MUST_CHECK;

#endif
