// SPDX-License-Identifier: MIT
// Asking hostd (or airlock-tls, which speaks the same protocol) a control question over a stream of
// its own.
#ifndef AIRLOCK_PRELOAD_CONTROL_CLIENT_H
#define AIRLOCK_PRELOAD_CONTROL_CLIENT_H

#include <stdint.h>

#include "wire/compiler.h"
#include "wire/control.h"
#include "wire/endpoint.h"
#include "wire/request.h"

// Fills request->id with random bytes and request->program with the program's short name. Uses
// getrandom(2); never fails (before the kernel's pool is ready it falls back to clock and pid: ids
// must be unique, not secret).
void control_client_identify(struct request *request);

// One question, one answer: dials, sends, reads to the end. timeout_ms bounds the whole.
// Signal-safe: no allocation, no lock. Returns 0, or -errno: -ENETUNREACH nobody listens,
// -ETIMEDOUT, -ECONNRESET closed without an answer, -EPROTO the answer is malformed, -EPERM this
// system does not let us open such a stream (EACCES is left to mean hostd's own no, below).
int control_client_ask(const struct endpoint *endpoint, const struct request *request,
	unsigned timeout_ms, struct control_answer *answer) MUST_CHECK;

// The verbs. Each identifies its own request. Returns 0 or -errno as above, and -EACCES when hostd
// says denied, -EBUSY when it says busy, -EPROTO for any other refusal.
int control_client_ping(const struct endpoint *endpoint, char *version, size_t size) MUST_CHECK;
int control_client_resolve(const struct endpoint *endpoint, const char *name,
	struct control_addresses *addresses) MUST_CHECK;
int control_client_status(const struct endpoint *endpoint, const uint8_t id[static REQUEST_ID_SIZE],
	bool wait, unsigned timeout_ms, struct outcome *outcome) MUST_CHECK;

// STATUS in two steps, for a caller that does the waiting. begin returns a descriptor of the
// caller's that is readable when the answer is there, or -errno. end reads the answer and closes
// the descriptor; deadline is CLOCK_MONOTONIC in milliseconds. It returns as the verbs do.
int control_client_begin_status(const struct endpoint *endpoint,
	const uint8_t id[static REQUEST_ID_SIZE], bool wait) MUST_CHECK;
int control_client_end_status(int fd, uint64_t deadline, struct outcome *outcome) MUST_CHECK;

// Asks airlock-tls about a granted stream; the text is empty when it knows nothing of the id.
int control_client_describe(const struct endpoint *endpoint,
	const uint8_t id[static REQUEST_ID_SIZE], char *text, size_t size) MUST_CHECK;

// Measures the gate with verb GATE. Returns 1 when writability was withheld as long as asked, 0
// when the stream was writable at once, -errno when hostd could not be asked. Unless window is
// NULL, stores in *window how many bytes that stream lets be on the way: of vsock our receive
// allowance, which bounds what we send too (wire/README.md), of the stand-in the send buffer.
int control_client_measure_gate(
	const struct endpoint *endpoint, unsigned milliseconds, uint64_t *window) MUST_CHECK;

#endif
