// SPDX-License-Identifier: MIT
// Chains of certificates that have been found good: building and checking a chain costs more than
// the rest of a resumed handshake. A verdict is one about exactly these bytes, for exactly this
// name and route, as verify_format_key puts them together, so that finding it answers every
// question that was asked then, except the time. Only good verdicts are kept; in memory only.
#ifndef AIRLOCK_TLS_VERDICTS_H
#define AIRLOCK_TLS_VERDICTS_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "wire/compiler.h"

#define VERDICTS_KEY_SIZE 32  // SHA-256
#define VERDICTS_SLOTS    256 // each key has one, which its next tenant takes over
#define VERDICTS_LIFETIME 300 // s; then the whole chain is looked at again

struct verdict {
	uint8_t key[VERDICTS_KEY_SIZE];
	time_t from;  // it was made then
	time_t until; // it ends before that second; 0: the slot is free
};

struct verdicts { // zeroed: none
	struct verdict slots[VERDICTS_SLOTS];
};

// Keeps a good verdict of now, no longer than VERDICTS_LIFETIME. end is the last second (as X.509
// counts, RFC 5280 section 4.1.2.5) of the certificate that ends first.
void verdicts_put(struct verdicts *verdicts, const uint8_t key[static VERDICTS_KEY_SIZE],
	time_t now, time_t end);

// Whether there is a verdict that holds now. A clock that was set back before it was made ends it:
// certificates have a beginning too.
bool verdicts_find(const struct verdicts *verdicts, const uint8_t key[static VERDICTS_KEY_SIZE],
	time_t now) MUST_CHECK;

#endif
