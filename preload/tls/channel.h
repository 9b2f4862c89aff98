// SPDX-License-Identifier: MIT
// The ciphertext side of a stream: a socket to hostd and, unless the program's own TLS passes
// through, a GnuTLS session on it. channel.c has the theory of operation.
#ifndef AIRLOCK_TLS_CHANNEL_H
#define AIRLOCK_TLS_CHANNEL_H

#include <gnutls/gnutls.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "preload/tls/framing.h"
#include "preload/tls/queue.h"
#include "preload/tls/tickets.h"
#include "preload/tls/trust.h"
#include "preload/tls/verify.h"
#include "wire/compiler.h"
#include "wire/endpoint.h"

#define CHANNEL_INBOX_SIZE (128u * 1024)

// One of a stream's sockets. Events are edges, so what they said is kept until a call finds
// otherwise.
struct socket_end {
	int fd; // -1: none
	bool is_readable;
	bool is_writable;
	bool must_drain;     // an end or an error follows, so a short read proves nothing
	bool awaits_writing; // EPOLLOUT has been asked for
};

// Shared by all channels, since one thread works on one at a time.
struct channel_memory {
	uint8_t inbox[CHANNEL_INBOX_SIZE]; // received, not yet taken by GnuTLS
	size_t inbox_start;
	size_t inbox_length;
	bool may_fill; // the turn's one receive is still to come
	struct queue_pool pool;
	struct tickets tickets;
	struct verdicts verdicts;
	uint64_t now; // ms of CLOCK_MONOTONIC
};

enum channel_result {
	CHANNEL_WAITS,  // for the socket, or for the next turn
	CHANNEL_DONE,   // the handshake is over; or the peer has ended in order
	CHANNEL_CUT,    // the connection ended without TLS's end: see framing and socket_error
	CHANNEL_BROKEN, // *outcome says how
};

struct channel {
	struct socket_end end;
	enum endpoint_transport transport;
	gnutls_session_t session; // NULL: bytes pass as they are
	struct channel_memory *memory;
	const struct trust *trust;
	struct verify_target target;
	char ticket_key[TICKETS_KEY_SIZE]; // empty: no resumption
	struct queue out;                  // to be sent
	bool is_verified;                  // in this handshake
	bool has_verdict;                  // verdict holds a reason to refuse
	struct outcome verdict;
	struct framing framing; // of what GnuTLS was given
	bool has_socket_end;    // the socket has nothing more to give
	int socket_error;       // errno of a failed receive or send, 0: none
	unsigned idle_records;  // records in a row that carried nothing for the program
	bool is_canceled;       // the peer has sent user_canceled
	size_t after_cancel;    // bytes since then
};

// What a route asks for, from a granted stream. Returns 0, or -ENOMEM.
int channel_start_tls(struct channel *channel, const struct trust *trust,
	const struct verify_target *target, uint16_t port) MUST_CHECK;

// Queues the handshake's first message, before there is anything to receive. Returns 0 or -EIO.
int channel_prepare(struct channel *channel) MUST_CHECK;

// Before a socket's turn: it may be received from once.
void channel_begin_turn(struct channel *channel);

// One step of the handshake. DONE: over and the peer is verified.
enum channel_result channel_handshake(struct channel *channel, struct outcome *outcome) MUST_CHECK;

// Receives once, and appends all that it decrypts to: the queue grows by at most the inbox and one
// record.
enum channel_result channel_receive(
	struct channel *channel, struct queue *plain, struct outcome *outcome) MUST_CHECK;

// Encrypts into the channel's own queue. Returns 0 or -EIO.
int channel_send(struct channel *channel, const uint8_t *data, size_t length) MUST_CHECK;

// Queues TLS's end of our direction (close_notify).
void channel_end(struct channel *channel);

// Queues the alert that tells the peer why it is left.
void channel_alert(struct channel *channel, gnutls_alert_description_t alert);

// Sends what is queued, as far as the socket takes it. Returns 0, or -errno.
int channel_flush(struct channel *channel) MUST_CHECK;

// Frees everything but the socket.
void channel_clear(struct channel *channel);

#endif
