// SPDX-License-Identifier: MIT
// The table behind STATUS: abnormal outcomes by stream id, kept for a while and bounded. One
// thread.
#ifndef AIRLOCK_TLS_OUTCOMES_H
#define AIRLOCK_TLS_OUTCOMES_H

#include <stdbool.h>
#include <stdint.h>

#include "wire/compiler.h"
#include "wire/outcome.h"
#include "wire/request.h"

#define TLS_OUTCOMES_LIFETIME 60000 // ms
#define TLS_OUTCOMES_MAX      16384 // the oldest go first

struct tls_outcome; // an entry
struct tls_outcomes {
	struct tls_outcome *table;
	struct tls_outcome *oldest;
	size_t count;
};

// Replaces what was known of the id. Without memory the outcome is lost, as if its time had passed.
void tls_outcomes_store(struct tls_outcomes *outcomes, const uint8_t id[static REQUEST_ID_SIZE],
	const struct outcome *outcome, uint64_t now_ms);

bool tls_outcomes_find(struct tls_outcomes *outcomes, const uint8_t id[static REQUEST_ID_SIZE],
	uint64_t now_ms, struct outcome *outcome) MUST_CHECK;

void tls_outcomes_clear(struct tls_outcomes *outcomes);

#endif
