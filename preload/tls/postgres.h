// SPDX-License-Identifier: MIT
// PostgreSQL's way into TLS: a request of eight bytes, an answer of one (PostgreSQL documentation,
// "Message Flow", SSL Session Encryption).
#ifndef AIRLOCK_TLS_POSTGRES_H
#define AIRLOCK_TLS_POSTGRES_H

#include <stdint.h>
#include <sys/types.h>

// SSLRequest: length 8, code 80877103, both big endian.
static const uint8_t postgres_request[8] = {0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f};

enum postgres_verdict {
	POSTGRES_WAIT,
	POSTGRES_GO,       // exactly 'S'
	POSTGRES_REFUSED,  // anything else: 'N', or an error message
	POSTGRES_TOO_MUCH, // bytes behind 'S', which TLS must not be given nor the program
	POSTGRES_ENDED,
};

// Judges what a receive of two bytes returned: length, and errno where that is negative.
enum postgres_verdict postgres_judge(const uint8_t answer[static 2], ssize_t length, int error);

#endif
