// SPDX-License-Identifier: MIT
// Counters of the whole daemon: written by the workers, read by the admin socket and by /metrics.
// Every field is a relaxed atomic on its own: a reader sees each value exactly, but not all of one
// instant.
#ifndef AIRLOCK_HOSTD_STATISTICS_H
#define AIRLOCK_HOSTD_STATISTICS_H

#include <stdatomic.h>
#include <stdint.h>

#include "wire/outcome.h"

#define STATISTICS_CLASSES (OUTCOME_INTERNAL + 1) // as many as enum outcome_class has

struct statistics {
	// Since the start.
	atomic_uint_fast64_t streams_accepted;  // every accept(), refused ones included
	atomic_uint_fast64_t streams_granted;   // dials that succeeded: the gate was opened
	atomic_uint_fast64_t control_requests;  // control verbs, of every kind
	atomic_uint_fast64_t bytes_up;          // enclave to destination
	atomic_uint_fast64_t bytes_down;        // destination to enclave
	atomic_uint_fast64_t resolver_failures; // lookups that gave no address
	atomic_uint_fast64_t accept_pauses; // accepting stopped for want of descriptors or memory
	atomic_uint_fast64_t unknown_cids;  // closed before a byte was read
	atomic_uint_fast64_t malformed;     // requests that were no requests, or came too late
	atomic_uint_fast64_t reloads;       // configurations that took effect by SIGHUP
	// Connect requests that ended abnormally, by enum outcome_class; [OUTCOME_NONE] counts the
	// granted ones that ended in order.
	atomic_uint_fast64_t streams_ended[STATISTICS_CLASSES];

	// Now.
	atomic_int_fast64_t streams_open;     // accepted and not yet closed
	atomic_int_fast64_t streams_relaying; // of these, granted
	atomic_bool is_draining;              // /readyz answers no
};

static inline void statistics_add(atomic_uint_fast64_t *counter, uint64_t amount)
{
	atomic_fetch_add_explicit(counter, amount, memory_order_relaxed);
}

#endif
