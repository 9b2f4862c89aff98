// SPDX-License-Identifier: MIT
// Asking one of Airlock's other programs, and reading its answer.
#ifndef AIRLOCK_LAUNCHER_HELPER_H
#define AIRLOCK_LAUNCHER_HELPER_H

#include <stddef.h>
#include <sys/types.h>

#include "wire/compiler.h"

// Runs the program named arguments[0] that stands beside `airlock`, in an empty environment, and
// stores at most size bytes of what it prints, standard error included. Returns their number and
// the exit code (128 + the signal that killed it) in *code, or -errno: -ENOENT there is none,
// -ETIMEDOUT it was killed after timeout_ms.
ssize_t helper_run(const char *const *arguments, unsigned timeout_ms, char *output, size_t size,
	int *code) MUST_CHECK;

#endif
