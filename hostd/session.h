// SPDX-License-Identifier: MIT
// One accepted stream from accept to close: its slot, its state, and the one way it ends. session.c
// has the theory of operation; what happens in each state is in request_phase, verbs, connect,
// dial, proxy and relay.
#ifndef AIRLOCK_HOSTD_SESSION_H
#define AIRLOCK_HOSTD_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hostd/config.h"
#include "hostd/limits.h"
#include "hostd/packets.h"
#include "hostd/timers.h"
#include "wire/address.h"
#include "wire/buffer.h"
#include "wire/compiler.h"
#include "wire/control.h"
#include "wire/endpoint.h"
#include "wire/outcome.h"
#include "wire/request.h"

struct dial;
struct worker;

enum session_state {
	SESSION_FREE, // the slot is nobody's
	SESSION_REQUEST,
	SESSION_RESOLVE,
	SESSION_DIAL,
	SESSION_PROXY,
	SESSION_RELAY,
	SESSION_LOOKUP,
	SESSION_STATUS,
	SESSION_GATE,
	SESSION_LINGER,
	SESSION_ENDED, // closed; the slot is freed after the batch of events
};

// One of a relay's two sockets. Events are edges, so what they said is kept until a call finds
// otherwise.
struct end {
	int fd; // -1: none
	bool is_readable;
	bool is_writable;
	bool must_drain; // a short read does not prove it empty: an end, an error or urgent data
			 // follows
	bool awaits_writing; // EPOLLOUT has been asked for; asked for once, at the first full
			     // socket
};

// One direction of a relay.
struct direction {
	struct buffer
		pending;  // read but not yet taken by the other side; memory is attached only then
	uint64_t bytes;   // passed on
	bool has_ended;   // nothing more will be read
	bool is_finished; // and the other side has been told, or cannot be
};

struct session {
	struct worker *worker;
	uint32_t index;
	uint32_t generation;
	enum session_state state;

	enum endpoint_transport transport;
	uint32_t cid;
	struct config *config;         // the one in force when the stream came
	const struct enclave *enclave; // in config
	struct limit *limit;

	struct end opener;      // the stream
	struct end destination; // from the dial's success on
	uint8_t destination_part;

	bool is_connect;     // asked for a connection; otherwise a control verb, or not known yet
	bool has_begun;      // its id is in the table of outcomes
	bool has_connection; // counts against the enclave's connections
	bool is_granted;     // the gate was opened
	bool aborts_destination; // close it with an RST
	bool has_no_reader;      // the opener no longer takes bytes
	bool has_whole_answer;   // the destination's end was read
	bool is_deaf;            // the destination no longer takes bytes, and ended before that
	bool is_ready;           // in the worker's list of sessions with more to do
	int failure;             // errno of the destination's abnormal end, 0: none

	uint8_t id[REQUEST_ID_SIZE];
	char program[REQUEST_PROGRAM_SIZE];
	char *name; // asked for; NULL: by address. Owned
	struct address requested;
	uint16_t requested_port;
	uint16_t dialled_port;
	struct address dialled; // family ADDRESS_NONE: nothing yet

	uint64_t started_at; // ms
	uint64_t active_at;  // ms of the last byte
	struct timer timer;  // the state's deadline
	struct dial *dial;   // from the request to the grant. Owned

	struct direction up;    // opener to destination
	struct direction down;  // destination to opener
	struct packets packets; // vsock: the small ones on their way down
	struct timer merge;     // vsock: when held small writes go out

	uint8_t awaited_id[REQUEST_ID_SIZE]; // STATUS: whose outcome is asked for

	struct session *next;       // free, or ended
	struct session *next_ready; // in the worker's ready list
	struct session *previous_waiter;
	struct session *next_waiter; // in the worker's list of STATUS waits
};

// A stream was accepted: takes fd over whatever happens, and starts to read the request.
void session_begin(struct worker *worker, int fd, enum endpoint_transport transport, uint32_t cid);

// Keeps what an edge said: it is not said again. Each event of a socket passes through here once.
void end_note_events(struct end *end, uint32_t events);

// The one setter; logs the transition at level debug.
void session_set_state(struct session *session, enum session_state state);

// The deadline of the state: now and so many milliseconds.
void session_set_deadline(struct session *session, uint64_t milliseconds);

// The one end: remembers the outcome for STATUS, then closes everything, counts and logs. NULL: in
// order. The session is not to be touched afterwards; its slot is freed when the batch of events is
// over.
void session_close(struct session *session, const struct outcome *outcome);

// session_close with an outcome made of the arguments.
void session_refuse(struct session *session, enum outcome_stage stage, enum outcome_class class,
	const char *format, ...) PRINTF_LIKE(4, 5);

// The opener did not speak the protocol: counted, logged, closed.
void session_reject(struct session *session, const char *reason);

// What the worker calls. part: of struct event. Each ignores a session that has ended.
void session_handle_event(struct session *session, uint8_t part, uint32_t events);
void session_ask_again(struct session *session); // the resolver is a new one and knows no lookup
void session_handle_names(
	struct session *session, const struct control_addresses *answer, const char *text);

#endif
