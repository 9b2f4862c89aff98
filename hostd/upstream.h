// SPDX-License-Identifier: MIT
// The handshake with an upstream proxy (HTTP CONNECT or SOCKS5) as a pure state machine: bytes to
// send, bytes received, an outcome. It never takes a byte that belongs to the tunnel.
#ifndef AIRLOCK_HOSTD_UPSTREAM_H
#define AIRLOCK_HOSTD_UPSTREAM_H

#include <stddef.h>
#include <stdint.h>

#include "hostd/config.h"
#include "wire/address.h"
#include "wire/compiler.h"
#include "wire/outcome.h"

enum upstream_progress {
	UPSTREAM_NEEDS_INPUT,
	UPSTREAM_IS_OPEN,
	UPSTREAM_HAS_FAILED, // *outcome is filled
};

#define UPSTREAM_MAX_OUTPUT 640
#define UPSTREAM_MAX_INPUT  8192 // a longer HTTP answer is a failure

struct upstream_handshake {
	enum upstream_kind kind;
	unsigned step;   // where in the answer; see upstream.c
	size_t received; // bytes of the answer, or of this step's, so far
	unsigned status; // HTTP: of the status line; SOCKS5: the reply's code
	size_t expected; // SOCKS5: the whole reply's size, once known; HTTP: bytes of the status
			 // line
	uint8_t output[UPSTREAM_MAX_OUTPUT]; // to be sent before more input is of use
	size_t output_length;                // the caller sets it to 0 once all is sent
	char name[NAME_SIZE];                // empty: address
	struct address address;
	uint16_t port;
};

// Fills *handshake and its first output. kind is not UPSTREAM_DIRECT; name in wire form or "" (then
// address counts).
void upstream_begin(struct upstream_handshake *handshake, enum upstream_kind kind, const char *name,
	const struct address *address, uint16_t port);

// Looks at the length bytes that were peeked from the proxy (all that is there, at least one) and
// sets *taken to how many of them the caller must now consume: at least one, and never one past the
// end of the answer. There may be new output afterwards. An answer before its question has been
// sent (output_length is not 0) is a failure.
enum upstream_progress upstream_take(struct upstream_handshake *handshake, const uint8_t *input,
	size_t length, size_t *taken, struct outcome *outcome);

#endif
