// SPDX-License-Identifier: MIT
// What every parser of this project fills when it refuses its input.
#ifndef AIRLOCK_WIRE_PARSE_H
#define AIRLOCK_WIRE_PARSE_H

#include <stdbool.h>
#include <stddef.h>

#include "wire/compiler.h"

#define PARSE_REASON_SIZE 128

struct parse_error {
	size_t offset;                  // bytes from the start of the input to what was refused
	char reason[PARSE_REASON_SIZE]; // one sentence part, no newline, NUL terminated
};

// Fills error (which may be NULL) and returns false, so that a parser can end with
// `return parse_fail(error, offset, "...")`. The reason is cut to PARSE_REASON_SIZE.
bool parse_fail(struct parse_error *error, size_t offset, const char *format, ...)
	PRINTF_LIKE(3, 4);

// Decimal number without sign, space or leading zeros (other than "0" itself), at most maximum.
// Returns false and leaves *value alone for anything else, an empty text included.
bool parse_number(
	const char *text, size_t length, unsigned long maximum, unsigned long *value) MUST_CHECK;

// Copies text for people to read: cut to size (at least 1), NUL terminated, and every byte that is
// not printable ASCII becomes '?'. What a peer sends must not steer a terminal or break a log line.
void parse_copy_printable(char *out, size_t size, const void *text, size_t length);

#endif
