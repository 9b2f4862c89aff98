// SPDX-License-Identifier: MIT
// What everything in attest/ fills when it refuses: which check, which field, where, and a
// sentence.
#ifndef AIRLOCK_ATTEST_ERROR_H
#define AIRLOCK_ATTEST_ERROR_H

#include <stdbool.h>
#include <stddef.h>

#include "wire/compiler.h"

// Of no use as an offset: what was refused has no place in the input (a policy, the clock).
#define ATTEST_NO_OFFSET ((size_t)-1)

// What kind of no it is; decides a program's exit status (commands.h).
enum attest_fault {
	ATTEST_FAULT_NONE = 0,
	ATTEST_FAULT_REFUSED,   // well formed, and the answer is no
	ATTEST_FAULT_USAGE,     // what the caller gave: a policy file, a root, a key
	ATTEST_FAULT_DEVICE,    // the NSM or a file could not be read or written
	ATTEST_FAULT_MALFORMED, // the input is not what it should be
};

struct attest_error {
	enum attest_fault fault;
	int check;         // 1 to 18 as numbered in attest/README.md; 0 outside the verifier
	char field[64];    // "pcrs[3]", "cabundle[1]", "policy"; may be empty
	size_t offset;     // bytes from the start of the input, or ATTEST_NO_OFFSET
	char message[192]; // one sentence part, no newline
};

// Fills *error (which may be NULL) and returns false, so that a function can end with it. field may
// be NULL. Texts are cut to fit; bytes that are not printable ASCII become '?'.
bool attest_fail(struct attest_error *error, enum attest_fault fault, const char *field,
	size_t offset, const char *format, ...) PRINTF_LIKE(5, 6);

// The same for one of the verifier's checks.
bool attest_fail_check(struct attest_error *error, int check, enum attest_fault fault,
	const char *field, size_t offset, const char *format, ...) PRINTF_LIKE(6, 7);

// "check 9 (cabundle[1], offset 1234): more than 1024 bytes", with only the parts that there are.
// NUL terminated and cut to size. Returns text.
const char *attest_error_format(const struct attest_error *error, char *text, size_t size);

#endif
