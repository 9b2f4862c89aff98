// SPDX-License-Identifier: MIT
// Control verbs, answered as hostd answers them: the answer goes out before the request is consumed
// and is followed by SHUT_WR; the close waits for the opener's own end. RESOLVE is not answered
// here: names are hostd's, and programs ask it themselves.
#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <utlist.h>

#include "preload/tls/describe.h"
#include "preload/tls/tls_stream.h"
#include "wire/stream.h"

#define LINGER         2000   // ms
#define STATUS_GRACE   100    // ms that a STATUS waits for a request that has not come yet
#define STATUS_TIMEOUT 140000 // ms; longer than any stream stays undecided
#define MAX_GATES      64     // held at a time

static void end_answer(struct tls_stream *stream)
{
	if (stream_open_gate(stream->program.fd, ENDPOINT_UNIX) < 0) {
		tls_stream_close(stream, NULL);
		return;
	}
	(void)shutdown(stream->program.fd, SHUT_WR);
	tls_stream_set_state(stream, TLS_STREAM_LINGER);
	tls_stream_set_deadline(stream, TLS_DEADLINE_BRIEF, LINGER);
	tls_verbs_on_linger(stream, 0);
}

static void answer(struct tls_stream *stream, const struct control_answer *answered)
{
	uint8_t bytes[CONTROL_MAX_ANSWER];
	size_t length = control_encode_answer(answered, bytes);

	if (send(stream->program.fd, bytes, length, MSG_NOSIGNAL) == (ssize_t)length)
		end_answer(stream);
	else
		tls_stream_close(stream, NULL);
}

static void answer_status(struct tls_stream *stream, enum control_status status)
{
	struct control_answer answered = {.status = status};

	answer(stream, &answered);
}

static void answer_text(struct tls_stream *stream, const char *text)
{
	struct control_answer answered = {.status = CONTROL_OK};

	control_put_text(&answered, text);
	answer(stream, &answered);
}

static void ping(struct tls_stream *stream)
{
	answer_text(stream, "airlock-tls " AIRLOCK_VERSION);
}

// --- STATUS

enum known {
	KNOWN_NOT,
	KNOWN_PENDING,
	KNOWN_DECIDED,
};

// Fills *outcome with what to answer if it has to be now.
static enum known look_up(struct tls_stream *stream, struct outcome *outcome)
{
	struct tls_server *server = stream->server;
	const struct tls_stream *asked = tls_stream_find(server, stream->awaited_id);

	if (asked && !asked->is_granted) {
		outcome_set(outcome, OUTCOME_STAGE_DIAL, OUTCOME_NONE, "not decided yet");
		return KNOWN_PENDING;
	}
	if (!asked && tls_outcomes_find(
			      &server->outcomes, stream->awaited_id, server->memory.now, outcome))
		return KNOWN_DECIDED;
	outcome_set(outcome, OUTCOME_STAGE_OPEN, OUTCOME_NONE, "%s", "");
	return asked ? KNOWN_DECIDED : KNOWN_NOT;
}

static void answer_outcome(struct tls_stream *stream, const struct outcome *outcome)
{
	struct control_answer answered = {.status = CONTROL_OK};

	tls_verbs_forget(stream);
	control_put_outcome(&answered, outcome);
	answer(stream, &answered);
}

static void wait_for_decision(struct tls_stream *stream, enum known known)
{
	struct tls_server *server = stream->server;

	tls_stream_set_state(stream, TLS_STREAM_STATUS);
	stream->awaited_since = server->memory.now;
	if (known == KNOWN_PENDING)
		tls_stream_set_deadline(stream, TLS_DEADLINE_DECISION, STATUS_TIMEOUT);
	else
		tls_stream_set_deadline(stream, TLS_DEADLINE_SHORT, STATUS_GRACE);
	DL_APPEND2(server->waiters, stream, prev_waiter, next_waiter);
}

static void status(struct tls_stream *stream)
{
	struct outcome outcome;
	enum known known;
	bool wait;

	if (!control_read_status(&stream->request, stream->awaited_id, &wait)) {
		answer_status(stream, CONTROL_MALFORMED);
		return;
	}
	known = look_up(stream, &outcome);
	if (known == KNOWN_DECIDED || !wait)
		answer_outcome(stream, &outcome);
	else
		wait_for_decision(stream, known);
}

void tls_verbs_answer_waiters(struct tls_server *server)
{
	struct tls_stream *next;
	struct outcome outcome;

	for (struct tls_stream *stream = server->waiters; stream; stream = next) {
		next = stream->next_waiter;
		if (look_up(stream, &outcome) == KNOWN_DECIDED)
			answer_outcome(stream, &outcome);
	}
}

// The grace is over: the id may have come meanwhile.
static void on_status_deadline(struct tls_stream *stream)
{
	struct outcome outcome;
	bool was_grace = stream->server->memory.now - stream->awaited_since < STATUS_TIMEOUT;

	if (look_up(stream, &outcome) == KNOWN_PENDING && was_grace)
		tls_stream_set_deadline(stream, TLS_DEADLINE_DECISION, STATUS_TIMEOUT);
	else
		answer_outcome(stream, &outcome);
}

// --- GATE and DESCRIBE

static void gate(struct tls_stream *stream)
{
	unsigned milliseconds;

	if (!control_read_gate(&stream->request, &milliseconds)) {
		answer_status(stream, CONTROL_MALFORMED);
		return;
	}
	if (stream->server->gates >= MAX_GATES) {
		answer_status(stream, CONTROL_BUSY);
		return;
	}
	stream->server->gates++;
	tls_stream_set_state(stream, TLS_STREAM_HOLD);
	tls_stream_set_deadline(stream, TLS_DEADLINE_SHORT, milliseconds);
}

static void describe(struct tls_stream *stream)
{
	char text[CONTROL_MAX_PAYLOAD] = "";
	const struct tls_stream *asked;

	if (!control_read_describe(&stream->request, stream->awaited_id)) {
		answer_status(stream, CONTROL_MALFORMED);
		return;
	}
	asked = tls_stream_find(stream->server, stream->awaited_id);
	if (asked && asked->is_granted && asked->channel.session) {
		size_t length = tls_attest_describe(asked, text, sizeof(text));

		describe_session(&asked->channel, text + length, sizeof(text) - length);
	} else if (asked && asked->is_granted)
		describe_plain(asked->state == TLS_STREAM_RELAY, text, sizeof(text));
	answer_text(stream, text);
}

// --- all of them

void tls_verbs_begin(struct tls_stream *stream)
{
	static void (*const verbs[])(struct tls_stream *) = {
		[REQUEST_PING] = ping,
		[REQUEST_STATUS] = status,
		[REQUEST_GATE] = gate,
		[REQUEST_DESCRIBE] = describe,
	};
	uint8_t verb = stream->request.verb;

	if (verb < ARRAY_SIZE(verbs) && verbs[verb])
		verbs[verb](stream);
	else
		answer_status(stream, CONTROL_UNKNOWN_VERB);
}

void tls_verbs_forget(struct tls_stream *stream)
{
	struct tls_server *server = stream->server;

	if (stream->state == TLS_STREAM_HOLD)
		server->gates--;
	if (stream->prev_waiter)
		DL_DELETE2(server->waiters, stream, prev_waiter, next_waiter);
	stream->prev_waiter = NULL;
}

void tls_verbs_on_program(struct tls_stream *stream, uint32_t events)
{
	(void)tls_stream_lost_program(stream, events);
}

// Reads and throws away, a bounded amount a time.
void tls_verbs_on_linger(struct tls_stream *stream, uint32_t events)
{
	ssize_t length = recv(stream->program.fd, stream->server->scratch, TLS_SERVER_SCRATCH, 0);

	(void)events;
	if (length == 0 || (length < 0 && errno != EAGAIN && errno != EINTR))
		tls_stream_close(stream, NULL);
}

void tls_verbs_on_deadline(struct tls_stream *stream)
{
	if (stream->state == TLS_STREAM_STATUS) {
		on_status_deadline(stream);
	} else if (stream->state == TLS_STREAM_HOLD) {
		tls_verbs_forget(stream);
		tls_stream_set_state(stream, TLS_STREAM_LINGER);
		answer_status(stream, CONTROL_OK);
	} else {
		tls_stream_close(stream, NULL);
	}
}
