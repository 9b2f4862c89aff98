// SPDX-License-Identifier: MIT
// Theory of operation
//
//	accept
//	  |
//	REQUEST --control verb--> STATUS, HOLD --> LINGER --------------> ENDED
//	  |  its route is a tls route
//	DIAL ----> GATE ----> START -----> HANDSHAKE ----> RELAY -------> ENDED
//	 hostd     hostd's    (postgres)    verified;        |
//	  |        answer       |           then ATTEST      |
//	  |          |         FIRST        where asked,     |
//	  |          |        (tls=auto)    and the gate     |
//	  +----------+---> QUESTION <---------+--------------+
//	                   why has hostd closed?
//
// The program's request stays unread until the peer is verified, which keeps the program's gate
// closed; with tls=auto only until the destination has answered. Closing then is a refusal.
//
// The stream's id is the same towards hostd. So when hostd refuses, its STATUS for that id is asked
// and its stage, class and sentence are stored here under the same id, before the program's side is
// closed: whoever asks airlock-tls gets what hostd said.
//
// tls_stream_close is the one end, from any state.
#include "preload/tls/tls_stream.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utlist.h>

#include "preload/tls/tls_log.h"
#include "wire/stream.h"

#define REQUEST_TIMEOUT 5000 // ms

struct phase {
	const char *name;
	void (*on_program)(struct tls_stream *stream, uint32_t events);
	void (*on_hostd)(struct tls_stream *stream, uint32_t events);
	void (*on_deadline)(struct tls_stream *stream);
};

static const struct phase phases[] = {
	[TLS_STREAM_FREE] = {.name = "free"},
	[TLS_STREAM_REQUEST] = {.name = "request",
		.on_program = tls_open_on_request,
		.on_deadline = tls_open_on_request_deadline},
	[TLS_STREAM_DIAL] = {.name = "dial",
		.on_program = tls_open_on_program,
		.on_hostd = tls_open_on_dial,
		.on_deadline = tls_open_on_retry},
	[TLS_STREAM_GATE] = {.name = "gate",
		.on_program = tls_open_on_program,
		.on_hostd = tls_open_on_gate,
		.on_deadline = tls_open_on_gate_deadline},
	[TLS_STREAM_START] = {.name = "start",
		.on_program = tls_open_on_program,
		.on_hostd = tls_open_on_start,
		.on_deadline = tls_open_on_handshake_deadline},
	[TLS_STREAM_FIRST] = {.name = "first",
		.on_program = tls_open_on_first,
		.on_hostd = tls_open_on_first_hostd},
	[TLS_STREAM_HANDSHAKE] = {.name = "handshake",
		.on_program = tls_open_on_program,
		.on_hostd = tls_open_on_handshake,
		.on_deadline = tls_open_on_handshake_deadline},
	[TLS_STREAM_ATTEST] = {.name = "attest",
		.on_program = tls_open_on_program,
		.on_hostd = tls_attest_on_hostd,
		.on_deadline = tls_attest_on_deadline},
	[TLS_STREAM_RELAY] = {.name = "relay",
		.on_program = tls_relay_on_program,
		.on_hostd = tls_relay_on_hostd,
		.on_deadline = tls_relay_on_deadline},
	[TLS_STREAM_QUESTION] = {.name = "question", .on_deadline = tls_question_on_deadline},
	[TLS_STREAM_STATUS] = {.name = "status",
		.on_program = tls_verbs_on_program,
		.on_deadline = tls_verbs_on_deadline},
	[TLS_STREAM_HOLD] = {.name = "hold",
		.on_program = tls_verbs_on_program,
		.on_deadline = tls_verbs_on_deadline},
	[TLS_STREAM_LINGER] = {.name = "linger",
		.on_program = tls_verbs_on_linger,
		.on_deadline = tls_verbs_on_deadline},
	[TLS_STREAM_ENDED] = {.name = "ended"},
};

void tls_stream_set_state(struct tls_stream *stream, enum tls_stream_state state)
{
	struct tls_log_line line;

	tls_log_begin(&line, SETTINGS_LOG_DEBUG, "state");
	tls_log_number(&line, "stream", stream->index);
	tls_log_text(&line, "from", phases[stream->state].name);
	tls_log_text(&line, "to", phases[state].name);
	tls_log_write(&line);
	deadline_cancel(&stream->deadline);
	stream->state = state;
}

void tls_stream_set_deadline(
	struct tls_stream *stream, enum tls_deadline kind, uint64_t milliseconds)
{
	struct tls_server *server = stream->server;

	deadline_arm(
		&server->deadlines[kind], &stream->deadline, server->memory.now + milliseconds);
}

static void note(struct socket_end *end, uint32_t events)
{
	if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		end->is_readable = true;
	if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
		end->is_writable = true;
	if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		end->must_drain = true;
}

void tls_stream_handle_event(struct tls_stream *stream, enum tls_part part, uint32_t events)
{
	const struct phase *phase = &phases[stream->state];

	if (part == TLS_PART_QUESTION && stream->question) {
		tls_question_on_event(stream, events);
	} else if (part == TLS_PART_PROGRAM) {
		note(&stream->program, events);
		if (phase->on_program)
			phase->on_program(stream, events);
	} else if (part == TLS_PART_HOSTD) {
		note(&stream->channel.end, events);
		if (phase->on_hostd)
			phase->on_hostd(stream, events);
	}
}

void tls_stream_handle_deadline(struct tls_stream *stream)
{
	phases[stream->state].on_deadline(stream);
}

void tls_stream_run(struct tls_stream *stream)
{
	if (stream->state == TLS_STREAM_RELAY)
		tls_relay_run(stream);
	else if (stream->state == TLS_STREAM_HANDSHAKE)
		tls_open_on_handshake(stream, 0);
	else if (stream->state == TLS_STREAM_ATTEST)
		tls_attest_run(stream);
}

struct tls_stream *tls_stream_find(
	struct tls_server *server, const uint8_t id[static REQUEST_ID_SIZE])
{
	struct tls_stream *stream;

	HASH_FIND(hh, server->live, id, REQUEST_ID_SIZE, stream);
	return stream;
}

// Of a program that has closed. Nothing of its bytes is read before RELAY but what is held.
static bool must_deliver(const struct tls_stream *stream)
{
	char byte;

	if (stream->state == TLS_STREAM_RELAY)
		return true;
	if (!stream->is_granted)
		return stream_has_more_than_request(stream->program.fd);
	return stream->held_length > 0 ||
	       recv(stream->program.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

bool tls_stream_has_left_bytes(const struct tls_stream *stream)
{
	return stream_probe(stream->program.fd) < 0 && must_deliver(stream);
}

bool tls_stream_lost_program(struct tls_stream *stream, uint32_t events)
{
	if (!(events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) ||
		stream_probe(stream->program.fd) == 0 || must_deliver(stream))
		return false;
	tls_stream_close(stream, NULL);
	return true;
}

// --- the beginning

// Needs room in the table of slots. NULL without memory.
static struct tls_stream *make(struct tls_server *server)
{
	struct tls_stream **slots;
	struct tls_stream *stream;

	slots = reallocarray(server->slots, server->slot_count + 1, sizeof(struct tls_stream *));
	if (!slots)
		return NULL;
	server->slots = slots;
	stream = calloc(1, sizeof(*stream));
	if (!stream)
		return NULL;
	stream->index = (uint32_t)server->slot_count;
	server->slots[server->slot_count++] = stream;
	return stream;
}

static struct tls_stream *take(struct tls_server *server)
{
	struct tls_stream *stream = server->spare;
	uint32_t index, generation;

	if (!stream)
		return make(server);
	server->spare = stream->next;
	index = stream->index;
	generation = stream->generation + 1;
	memset(stream, 0, sizeof(*stream));
	stream->index = index;
	stream->generation = generation;
	return stream;
}

void tls_stream_begin(struct tls_server *server, int fd)
{
	struct tls_stream *stream = take(server);

	if (!stream) {
		close(fd);
		return;
	}
	stream->server = server;
	stream->program.fd = fd;
	stream->channel.end.fd = -1;
	stream->channel.memory = &server->memory;
	stream->channel.transport = server->settings->hostd.transport;
	stream->started_at = server->memory.now;
	tls_stream_set_state(stream, TLS_STREAM_REQUEST);
	tls_stream_set_deadline(stream, TLS_DEADLINE_REQUEST, REQUEST_TIMEOUT);
	if (tls_server_watch(server, stream, TLS_PART_PROGRAM, fd, EPOLLIN | EPOLLRDHUP, false) < 0)
		tls_stream_close(stream, NULL);
	else
		tls_open_on_request(stream, 0);
}

// --- the end

static void log_end(const struct tls_stream *stream, const struct outcome *outcome)
{
	enum settings_log_level level = outcome              ? SETTINGS_LOG_WARN
					: stream->is_connect ? SETTINGS_LOG_INFO
							     : SETTINGS_LOG_DEBUG;
	const struct request *request = &stream->request;
	char id[REQUEST_ID_TEXT_SIZE], address[ADDRESS_TEXT_SIZE];
	struct tls_log_line line;

	tls_log_begin(&line, level, "stream ended");
	tls_log_text(&line, "id", request_id_format(request->id, id));
	tls_log_text(&line, "program", request->program);
	if (stream->is_connect) {
		tls_log_text(&line, "destination",
			request->name[0] != '\0' ? request->name
						 : address_format(&request->destination, address));
		tls_log_number(&line, "port", request->destination_port);
		tls_log_number(&line, "up", stream->bytes_up);
		tls_log_number(&line, "down", stream->bytes_down);
	}
	tls_log_number(&line, "milliseconds", stream->server->memory.now - stream->started_at);
	tls_log_text(&line, "stage", outcome ? outcome_stage_name(outcome->stage) : "open");
	tls_log_text(&line, "class", outcome ? outcome_class_name(outcome->class) : "none");
	if (outcome && outcome->text[0] != '\0')
		tls_log_text(&line, "text", outcome->text);
	tls_log_write(&line);
}

static void close_sockets(struct tls_stream *stream)
{
	close(stream->program.fd);
	if (stream->channel.end.fd >= 0)
		close(stream->channel.end.fd);
	if (stream->question && stream->question->fd >= 0)
		close(stream->question->fd);
}

static void release(struct tls_stream *stream)
{
	struct tls_server *server = stream->server;

	tls_verbs_forget(stream);
	if (stream->is_ready)
		DL_DELETE2(server->ready, stream, prev_ready, next_ready);
	stream->is_ready = false;
	free(stream->question);
	stream->question = NULL;
	tls_attest_clear(stream);
	channel_clear(&stream->channel);
	queue_clear(&stream->plain, &server->memory.pool);
}

void tls_stream_close(struct tls_stream *stream, const struct outcome *outcome)
{
	struct tls_server *server = stream->server;
	struct outcome kept;

	if (outcome) {
		kept = *outcome; // it may be the stream's own
		tls_outcomes_store(
			&server->outcomes, stream->request.id, &kept, server->memory.now);
	}
	if (stream->is_live)
		HASH_DEL(server->live, stream);
	close_sockets(stream);
	log_end(stream, outcome ? &kept : NULL);
	release(stream);
	tls_stream_set_state(stream, TLS_STREAM_ENDED);
	LL_PREPEND(server->ended, stream);
	tls_server_resume(server);
	if (stream->is_connect)
		tls_verbs_answer_waiters(server);
}

void tls_stream_refuse(struct tls_stream *stream, enum outcome_stage stage,
	enum outcome_class class, const char *format, ...)
{
	char text[OUTCOME_TEXT_SIZE];
	struct outcome outcome;
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	outcome_set(&outcome, stage, class, "%s", text);
	tls_stream_close(stream, &outcome);
}
