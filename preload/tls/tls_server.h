// SPDX-License-Identifier: MIT
// What all streams share: the loop, the listener, the tables. One thread, one epoll set.
#ifndef AIRLOCK_TLS_SERVER_H
#define AIRLOCK_TLS_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "preload/shared/settings.h"
#include "preload/tls/channel.h"
#include "preload/tls/deadlines.h"
#include "preload/tls/tls_outcomes.h"
#include "preload/tls/trust.h"
#include "wire/compiler.h"

#define TLS_SERVER_SCRATCH (64u * 1024) // plaintext taken from a program at a time

struct attester;
struct tls_stream;

enum tls_deadline {
	TLS_DEADLINE_REQUEST, // for the whole request
	TLS_DEADLINE_SHORT,   // retries and held gates, up to a second
	TLS_DEADLINE_DECISION,
	TLS_DEADLINE_HANDSHAKE,
	TLS_DEADLINE_BRIEF, // answers, last words
	TLS_DEADLINE_COUNT,
};

// Which of a stream's descriptors an event is for.
enum tls_part {
	TLS_PART_PROGRAM,
	TLS_PART_HOSTD,
	TLS_PART_QUESTION,
	TLS_PART_LISTENER, // not a stream's
	TLS_PART_SIGNALS,
	TLS_PART_ATTESTERS,
};

struct tls_server {
	const struct settings *settings;
	struct trust_set trust;
	int epoll;
	int listener;
	int signals;
	bool is_paused;     // the listener is not watched, for want of descriptors
	uint64_t resume_at; // ms, while it is paused
	bool must_stop;
	uint64_t stop_at; // ms, once it must stop
	struct channel_memory memory;
	uint8_t scratch[TLS_SERVER_SCRATCH];
	struct tls_outcomes outcomes;
	struct tls_stream **slots;
	size_t slot_count;
	struct tls_stream *spare;      // streams that are nobody's
	struct tls_stream *ended;      // closed in this batch of events
	struct tls_stream *live;       // by id, from the request to the end
	struct tls_stream *ready;      // have more to do
	struct tls_stream *waiters;    // STATUS
	unsigned gates;                // GATE requests held
	struct attester *attesters[2]; // by enum attester_job; NULL where no route needs them
	int attesters_wake;            // -1: no attesters
	char nsm_name[ENDPOINT_TEXT_SIZE];
	struct deadline_list deadlines[TLS_DEADLINE_COUNT];
};

// Opens the listener and loads what the routes need. Returns 0 or -errno, after the reason was
// logged. *server is large: not for the stack.
int tls_server_open(struct tls_server *server, const struct settings *settings) MUST_CHECK;

// Starts the threads that routes need: between what the sandbox forbids for one thread and what it
// forbids for all. Returns 0 or -errno.
int tls_server_start(struct tls_server *server) MUST_CHECK;

// Serves until SIGTERM, SIGINT or SIGHUP, and then until what programs that are gone have left
// behind has been passed on, for at most ten seconds. Returns 0 or -errno.
int tls_server_run(struct tls_server *server) MUST_CHECK;

// Closes every stream, and the listener with its socket file.
void tls_server_close(struct tls_server *server);

// --- for streams

// Watches a descriptor with these events, edge-triggered. again: it is in the set already.
int tls_server_watch(struct tls_server *server, const struct tls_stream *stream, enum tls_part part,
	int fd, uint32_t events, bool again) MUST_CHECK;

// The stream runs again in the next turn.
void tls_server_make_ready(struct tls_stream *stream);

// A descriptor was closed: there may be room to accept again.
void tls_server_resume(struct tls_server *server);

#endif
