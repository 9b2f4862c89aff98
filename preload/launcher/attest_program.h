// SPDX-License-Identifier: MIT
// What airlock-attest beside us tells: CBOR, policies and certificates are not the launcher's
// affair.
#ifndef AIRLOCK_LAUNCHER_ATTEST_PROGRAM_H
#define AIRLOCK_LAUNCHER_ATTEST_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "wire/compiler.h"

#define ATTEST_PROBLEM_SIZE 256

// nsm is /dev/nsm or unix:PATH (settings_nsm_name). Whether the device's file or the socket exists;
// of an abstract socket that cannot be told, and counts as yes.
bool nsm_is_there(const char *nsm);

// Runs `airlock-attest verb --nsm NSM [word]` (word may be NULL) for five seconds at most, and
// stores at most size bytes of what it prints. Returns their number, or -1 with a line for people
// in problem.
ssize_t nsm_ask(const char *nsm, const char *verb, const char *word, char *output, size_t size,
	char problem[static ATTEST_PROBLEM_SIZE]) MUST_CHECK;

// Whether this policy and, unless it is empty, this root certificate can be read. Returns 0, 1 with
// a line for people in problem, or -errno when there is nobody to ask.
int attest_read_policy(
	const char *policy, const char *root, char problem[static ATTEST_PROBLEM_SIZE]) MUST_CHECK;

#endif
