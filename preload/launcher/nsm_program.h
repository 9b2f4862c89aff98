// SPDX-License-Identifier: MIT
// The Nitro Security Module, as airlock-attest beside us tells it: CBOR is not the launcher's
// affair.
#ifndef AIRLOCK_LAUNCHER_NSM_PROGRAM_H
#define AIRLOCK_LAUNCHER_NSM_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "wire/compiler.h"

#define NSM_PROBLEM_SIZE 256

// nsm is /dev/nsm or unix:PATH (settings_nsm_name). Whether the device's file or the socket exists;
// of an abstract socket that cannot be told, and counts as yes.
bool nsm_is_there(const char *nsm);

// Runs `airlock-attest verb --nsm NSM [word]` (word may be NULL) for five seconds at most, and
// stores at most size bytes of what it prints. Returns their number, or -1 with a line for people
// in problem.
ssize_t nsm_ask(const char *nsm, const char *verb, const char *word, char *output, size_t size,
	char problem[static NSM_PROBLEM_SIZE]) MUST_CHECK;

#endif
