// SPDX-License-Identifier: MIT
// How a stream ended: the stage that decided, a class that both systems understand, and a
// sentence for people. Classes cross the wire, raw errno values never do.
#ifndef AIRLOCK_WIRE_OUTCOME_H
#define AIRLOCK_WIRE_OUTCOME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/compiler.h"

// The numbers are the wire's: append, never renumber.
enum outcome_stage {
	OUTCOME_STAGE_OPEN = 0,
	OUTCOME_STAGE_POLICY = 1,
	OUTCOME_STAGE_NAME = 2,
	OUTCOME_STAGE_DIAL = 3,
	OUTCOME_STAGE_RELAY = 4,
	OUTCOME_STAGE_LIMIT = 5,
	OUTCOME_STAGE_TLS = 6,
	OUTCOME_STAGE_INTERNAL = 7,
};

enum outcome_class {
	OUTCOME_NONE = 0, // no failure: open, ended normally, or (with another stage than open) not
			  // yet decided
	OUTCOME_REFUSED = 1,
	OUTCOME_TIMED_OUT = 2,
	OUTCOME_HOST_UNREACHABLE = 3,
	OUTCOME_NET_UNREACHABLE = 4,
	OUTCOME_DENIED = 5,
	OUTCOME_NO_SUCH_NAME = 6,
	OUTCOME_TRY_AGAIN = 7,
	OUTCOME_LIMIT = 8,
	OUTCOME_RESET = 9,
	OUTCOME_TLS_FAILED = 10,
	OUTCOME_INTERNAL = 11,
};

#define OUTCOME_TEXT_SIZE 200 // longest sentence and its NUL

struct outcome {
	enum outcome_stage stage;
	enum outcome_class class;
	char text[OUTCOME_TEXT_SIZE]; // printable ASCII, may be empty
};

// The errno that a program gets for a class; 0 for OUTCOME_NONE, ENETUNREACH for a class that a
// newer peer invented.
int outcome_errno(enum outcome_class class);

// The class for an errno that dialling a destination gave. EACCES, EPERM: denied (a local
// firewall's or a prohibit route's answer); anything not listed: internal.
enum outcome_class outcome_class_from_errno(int error);

// Lower-case words for logs and `airlock explain`: "dial", "timed-out". "unknown" for a number
// out of range. Never NULL.
const char *outcome_stage_name(enum outcome_stage stage);
const char *outcome_class_name(enum outcome_class class);

// Fills *outcome; the text is cut to size, and bytes that are not printable ASCII become '?'.
void outcome_set(struct outcome *outcome, enum outcome_stage stage, enum outcome_class class,
	const char *format, ...) PRINTF_LIKE(4, 5);

#endif
