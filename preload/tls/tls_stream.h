// SPDX-License-Identifier: MIT
// One accepted stream from accept to close. tls_stream.c has the theory of operation; what happens
// in each state is in tls_open.c, tls_attest.c, tls_question.c, tls_relay.c and tls_verbs.c.
#ifndef AIRLOCK_TLS_STREAM_H
#define AIRLOCK_TLS_STREAM_H

#include <stdbool.h>
#include <stdint.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "preload/tls/channel.h"
#include "preload/tls/first.h"
#include "preload/tls/tls_server.h"
#include "wire/control.h"
#include "wire/outcome.h"
#include "wire/request.h"

enum tls_stream_state {
	TLS_STREAM_FREE,
	TLS_STREAM_REQUEST,
	TLS_STREAM_DIAL,
	TLS_STREAM_GATE,
	TLS_STREAM_START,
	TLS_STREAM_FIRST,
	TLS_STREAM_HANDSHAKE,
	TLS_STREAM_ATTEST,
	TLS_STREAM_RELAY,
	TLS_STREAM_QUESTION,
	TLS_STREAM_STATUS,
	TLS_STREAM_HOLD,
	TLS_STREAM_LINGER,
	TLS_STREAM_ENDED,
};

// STATUS, asked of hostd about our own stream.
struct question {
	int fd;
	bool is_sent;
	size_t length;
	uint8_t answer[CONTROL_MAX_ANSWER];
};

struct tls_stream {
	struct tls_server *server;
	uint32_t index;
	uint32_t generation;
	enum tls_stream_state state;
	struct deadline deadline;

	struct socket_end program;
	struct channel channel;              // towards hostd
	struct question *question;           // owned, while there is one
	struct tls_attestation *attestation; // owned; NULL: not one of attested TLS

	struct request request;
	const struct route *route;
	const struct trust *trust;
	uint16_t port;    // the destination's
	unsigned attempt; // at dialling hostd
	int send_buffer;  // of the hostd stream, to restore once granted

	bool is_connect; // asked for a connection
	bool is_live;    // in the server's table by id
	bool is_granted; // the program's gate is open
	bool has_first;  // the program's first bytes have been looked at
	bool up_ended;   // nothing more comes from the program
	bool up_finished;
	bool down_ended; // nothing more comes from the server
	bool down_finished;
	bool is_abandoned;   // the program has closed; what the server says has nobody to take it
	bool lingers;        // all is passed on, the server's end is awaited
	bool has_failed;     // failure says how; what was decrypted before is still delivered
	bool must_ask;       // hostd may know better than failure
	bool may_be_orderly; // the server's end has come; it is no failure if hostd knows of none
	struct outcome failure;

	uint8_t held[FIRST_REQUEST_SIZE]; // first bytes that are undecided, while !has_first
	size_t held_length;
	unsigned declined; // the program's requests for encryption

	struct queue plain; // decrypted, for the program
	uint64_t started_at;
	uint64_t bytes_up;
	uint64_t bytes_down;

	uint8_t awaited_id[REQUEST_ID_SIZE]; // STATUS
	uint64_t awaited_since;

	bool is_ready;
	struct tls_stream *next; // spare or ended
	struct tls_stream *prev_ready, *next_ready;
	struct tls_stream *prev_waiter, *next_waiter;
	UT_hash_handle hh; // server->live
};

// A program has connected: takes fd over whatever happens.
void tls_stream_begin(struct tls_server *server, int fd);

// The one setter of the state; logs at level debug.
void tls_stream_set_state(struct tls_stream *stream, enum tls_stream_state state);

void tls_stream_set_deadline(
	struct tls_stream *stream, enum tls_deadline kind, uint64_t milliseconds);

// The one end. Remembers the outcome before the program can see the close. NULL: in order.
void tls_stream_close(struct tls_stream *stream, const struct outcome *outcome);

// tls_stream_close with an outcome made of the arguments.
void tls_stream_refuse(struct tls_stream *stream, enum outcome_stage stage,
	enum outcome_class class, const char *format, ...) PRINTF_LIKE(4, 5);

// The connection of an id that has not ended, or NULL.
struct tls_stream *tls_stream_find(
	struct tls_server *server, const uint8_t id[static REQUEST_ID_SIZE]);

// What the server calls.
void tls_stream_handle_event(struct tls_stream *stream, enum tls_part part, uint32_t events);
void tls_stream_handle_deadline(struct tls_stream *stream);
void tls_stream_run(struct tls_stream *stream); // it had more to do

// Whether the program has closed, relying as with TCP on what it wrote being delivered. It can have
// written before TLS was up: with tls=auto, or where the gate does not hold.
bool tls_stream_has_left_bytes(const struct tls_stream *stream);

// Whether the program has closed altogether and left nothing; then the stream has been closed.
bool tls_stream_lost_program(struct tls_stream *stream, uint32_t events);

// --- the states

// Reading the request, up to the open gate (tls_open.c).
void tls_open_on_request(struct tls_stream *stream, uint32_t events);
void tls_open_on_request_deadline(struct tls_stream *stream);
void tls_open_on_program(struct tls_stream *stream, uint32_t events);
void tls_open_on_dial(struct tls_stream *stream, uint32_t events);
void tls_open_on_retry(struct tls_stream *stream);
void tls_open_on_gate(struct tls_stream *stream, uint32_t events);
void tls_open_on_gate_deadline(struct tls_stream *stream);
void tls_open_on_start(struct tls_stream *stream, uint32_t events);
void tls_open_on_first(struct tls_stream *stream, uint32_t events);
void tls_open_on_first_hostd(struct tls_stream *stream, uint32_t events);
void tls_open_on_handshake(struct tls_stream *stream, uint32_t events);
void tls_open_on_handshake_deadline(struct tls_stream *stream);
void tls_open_program(struct tls_stream *stream); // opens its gate: the peer is who it has to be
// Ends it: the stream ended before the gate was open, which hostd may know better.
void tls_open_on_early_end(struct tls_stream *stream, const char *sentence);
// Ends it, and tells the peer by an alert.
void tls_open_refuse_peer(
	struct tls_stream *stream, gnutls_alert_description_t alert, const struct outcome *outcome);

// Attested TLS, after the handshake (tls_attest.c).
void tls_attest_begin(struct tls_stream *stream);
void tls_attest_run(struct tls_stream *stream);
void tls_attest_on_hostd(struct tls_stream *stream, uint32_t events);
void tls_attest_on_deadline(struct tls_stream *stream);
void tls_attest_clear(struct tls_stream *stream);
// Fields for `airlock explain`, each with "; " behind it. Returns their length, less than size.
size_t tls_attest_describe(const struct tls_stream *stream, char *text, size_t size);
int tls_attest_open(struct tls_server *server) MUST_CHECK;  // what routes need of it: 0 or -errno
int tls_attest_start(struct tls_server *server) MUST_CHECK; // its threads: 0 or -errno
void tls_attest_on_finished(struct tls_server *server);
void tls_attest_close(struct tls_server *server);

// Asking hostd why it closed; fallback is the outcome when it does not say (tls_question.c).
void tls_question_begin(struct tls_stream *stream, const struct outcome *fallback);
void tls_question_on_event(struct tls_stream *stream, uint32_t events);
void tls_question_on_deadline(struct tls_stream *stream);

// Both ways (tls_relay.c).
void tls_relay_start(struct tls_stream *stream);
void tls_relay_run(struct tls_stream *stream);
void tls_relay_await_hostd(struct tls_stream *stream); // asks for writability
void tls_relay_on_program(struct tls_stream *stream, uint32_t events);
void tls_relay_on_hostd(struct tls_stream *stream, uint32_t events);
void tls_relay_on_deadline(struct tls_stream *stream);

// Control verbs (tls_verbs.c).
void tls_verbs_begin(struct tls_stream *stream);
void tls_verbs_on_program(struct tls_stream *stream, uint32_t events);
void tls_verbs_on_linger(struct tls_stream *stream, uint32_t events);
void tls_verbs_on_deadline(struct tls_stream *stream);
void tls_verbs_answer_waiters(struct tls_server *server);
void tls_verbs_forget(struct tls_stream *stream);

#endif
