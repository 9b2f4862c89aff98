// SPDX-License-Identifier: MIT
// What each enclave has open and how fast it opens more. Counters belong to the enclave's name, so
// they outlive a reload of the configuration. Thread-safe.
#ifndef AIRLOCK_HOSTD_LIMITS_H
#define AIRLOCK_HOSTD_LIMITS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "hostd/config.h"
#include "wire/compiler.h"

// Streams that an enclave with connections=N may have open in all: its N connections, as many again
// that are still reading requests or answering control verbs, and these.
#define LIMITS_SPARE_STREAMS 64

struct limits;
struct limit; // one enclave's counters; lives as long as the table

struct limits *limits_create(void) MUST_CHECK;
void limits_destroy(struct limits *limits);

// The counters of the enclave of that name, made when it is the first time. NULL: out of memory.
struct limit *limits_find(struct limits *limits, const char *enclave_name) MUST_CHECK;

// A stream was accepted; false when the enclave has too many open to be read from at all. Each true
// is paired with one limit_leave_stream.
bool limit_enter_stream(struct limit *limit, const struct enclave *enclave) MUST_CHECK;
void limit_leave_stream(struct limit *limit);

enum limit_verdict {
	LIMIT_GRANTED,
	LIMIT_CONNECTIONS, // max_connections are open
	LIMIT_RATE,        // more than max_rate in the last second
};

// A connect request: takes a connection and a token of the bucket, which holds one second's worth
// and is full at the start. LIMIT_GRANTED is paired with one limit_leave_connection; others take
// nothing.
enum limit_verdict limit_enter_connection(
	struct limit *limit, const struct enclave *enclave, uint64_t now_ms) MUST_CHECK;
void limit_leave_connection(struct limit *limit);

// A lookup of a name (RESOLVE), which costs the parent's name server a question: they have a bucket
// of their own, of the same rate, so that a lookup takes nothing from the connect that follows it.
bool limit_take_lookup(
	struct limit *limit, const struct enclave *enclave, uint64_t now_ms) MUST_CHECK;

// Writes a line for each enclave that has opened a stream: "enclave NAME connections N streams N".
void limits_print(struct limits *limits, FILE *out);

#endif
