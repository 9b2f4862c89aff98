// SPDX-License-Identifier: MIT
// What a program's first bytes on a tls route are, as far as that decides what becomes of them.
#ifndef AIRLOCK_TLS_FIRST_H
#define AIRLOCK_TLS_FIRST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/compiler.h"

#define FIRST_REQUEST_SIZE 8 // of PostgreSQL's requests for encryption

enum first_kind {
	FIRST_PLAIN,
	FIRST_TLS,     // the beginning of a handshake's record (RFC 8446, 5.1)
	FIRST_REQUEST, // SSLRequest or GSSENCRequest (PostgreSQL documentation, "Message Formats")
	FIRST_UNDECIDED, // fewer than FIRST_REQUEST_SIZE bytes, and more are needed
};

// Judges length bytes, one at least. is_postgres: requests for encryption are looked for. is_all:
// no more will come, so they are never undecided.
enum first_kind first_judge(
	const uint8_t *data, size_t length, bool is_postgres, bool is_all) MUST_CHECK;

#endif
