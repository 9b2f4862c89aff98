// SPDX-License-Identifier: MIT
// Host names in the one form that crosses the wire: lower-case A-labels without a trailing dot.
#ifndef AIRLOCK_WIRE_NAME_H
#define AIRLOCK_WIRE_NAME_H

#include <stdbool.h>
#include <stddef.h>

#include "wire/compiler.h"
#include "wire/parse.h"

#define NAME_MAX_LENGTH   253 // RFC 1035, 2.3.4, in text form
#define NAME_LABEL_LENGTH 63
#define NAME_SIZE         (NAME_MAX_LENGTH + 1)

// True for exactly the wire form: 1 to 253 bytes of [a-z0-9._-], labels of 1 to 63 bytes, no
// dot at the end, and a last label that is not all digits (nor 0x...), because inet_aton-like
// readers take such a name for an address. error may be NULL.
bool name_is_wire_form(const char *text, size_t length, struct parse_error *error) MUST_CHECK;

// Lower-cases, strips one trailing dot, checks; name is NUL terminated. Non-ASCII input is refused
// (IDNA conversion is the caller's). error may be NULL.
bool name_from_text(const char *text, size_t length, char name[static NAME_SIZE],
	struct parse_error *error) MUST_CHECK;

#endif
