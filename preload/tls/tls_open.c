// SPDX-License-Identifier: MIT
// From the request to the open gate. Dialling hostd is stream_dial of wire/stream.h, spread over
// events: the same attempts with the same pauses, but nobody else has to wait for them.
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "preload/tls/postgres.h"
#include "preload/tls/tls_log.h"
#include "preload/tls/tls_stream.h"
#include "wire/stream.h"

#define DECISION_TIMEOUT  130000 // ms; as long as TCP tries at its default (tcp(7), tcp_syn_retries)
#define HANDSHAKE_TIMEOUT 10000  // ms

static void dial(struct tls_stream *stream);
static void begin_handshake(struct tls_stream *stream);
static void prepare_handshake(struct tls_stream *stream);

// --- the request

static const struct route *find_route(struct tls_stream *stream)
{
	const struct request *request = &stream->request;

	return settings_find_route(stream->server->settings,
		request->name[0] != '\0' ? request->name : NULL, &request->destination,
		request->destination_port);
}

// Certificates are judged by the clock: before the moment of the build it is surely wrong.
static bool is_clock_wrong(void)
{
	return time(NULL) < (time_t)AIRLOCK_BUILD_TIME;
}

static void begin_connection(struct tls_stream *stream)
{
	struct tls_server *server = stream->server;

	stream->route = find_route(stream);
	if (!stream->route || stream->route->action != ROUTE_TLS) {
		tls_stream_refuse(stream, OUTCOME_STAGE_POLICY, OUTCOME_DENIED,
			"no tls route matches this destination");
		return;
	}
	stream->trust = trust_of_route(&server->trust, server->settings, stream->route);
	stream->port = stream->route->tls.port != 0 ? stream->route->tls.port
						    : stream->request.destination_port;
	if (stream->trust->problem[0] != '\0')
		tls_stream_refuse(stream, OUTCOME_STAGE_TLS, OUTCOME_TLS_FAILED, "%s",
			stream->trust->problem);
	else if (is_clock_wrong())
		tls_stream_refuse(stream, OUTCOME_STAGE_TLS, OUTCOME_TLS_FAILED,
			"the clock is wrong: it is before the date of this program's build");
	else
		dial(stream);
}

static void reject(struct tls_stream *stream, const char *reason)
{
	tls_log_message(SETTINGS_LOG_WARN, "malformed request: %s", reason);
	tls_stream_close(stream, NULL);
}

static void enter_live(struct tls_stream *stream)
{
	struct tls_server *server = stream->server;

	HASH_ADD(hh, server->live, request.id, REQUEST_ID_SIZE, stream);
	stream->is_live = stream->hh.tbl != NULL;
}

static void dispatch(struct tls_stream *stream)
{
	if (stream->request.verb != REQUEST_CONNECT) {
		tls_verbs_begin(stream);
		return;
	}
	if (tls_stream_find(stream->server, stream->request.id)) {
		reject(stream, "its id is in use");
		return;
	}
	enter_live(stream);
	if (!stream->is_live) {
		reject(stream, "out of memory");
		return;
	}
	stream->is_connect = true;
	begin_connection(stream);
}

void tls_open_on_request(struct tls_stream *stream, uint32_t events)
{
	uint8_t bytes[REQUEST_SIZE];
	struct parse_error error;
	int length = stream_peek_request(stream->program.fd, bytes);

	if (length == -EAGAIN)
		return;
	if (length <= 0)
		tls_stream_close(stream, NULL);
	else if (!request_may_begin(bytes, (size_t)length))
		reject(stream, "does not begin like a request");
	else if (length < REQUEST_SIZE && (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)))
		reject(stream, "ended within its request");
	else if (length == REQUEST_SIZE && !request_decode(bytes, &stream->request, &error))
		reject(stream, error.reason);
	else if (length == REQUEST_SIZE)
		dispatch(stream);
}

void tls_open_on_request_deadline(struct tls_stream *stream)
{
	reject(stream, "no whole request in time");
}

// Nothing of the program's is read before its gate is open; it is only watched for leaving.
void tls_open_on_program(struct tls_stream *stream, uint32_t events)
{
	(void)tls_stream_lost_program(stream, events);
}

// --- the stream to hostd

static void refuse_dial(struct tls_stream *stream, int error)
{
	char endpoint[ENDPOINT_TEXT_SIZE];

	tls_stream_refuse(stream, OUTCOME_STAGE_INTERNAL, OUTCOME_NET_UNREACHABLE,
		"airlock-hostd cannot be reached at %s: %s",
		endpoint_format(&stream->server->settings->hostd, endpoint), strerror(-error));
}

static void retry_dial(struct tls_stream *stream, int error)
{
	static const unsigned pauses[] = {2, 5, 15, 40}; // ms, as in wire/stream.c

	if (stream->channel.end.fd >= 0)
		close(stream->channel.end.fd);
	stream->channel.end.fd = -1;
	if (!stream_is_worth_another_try(error) || stream->attempt == ARRAY_SIZE(pauses)) {
		refuse_dial(stream, error);
		return;
	}
	tls_stream_set_deadline(stream, TLS_DEADLINE_SHORT, pauses[stream->attempt++]);
}

void tls_open_on_retry(struct tls_stream *stream)
{
	dial(stream);
}

static int send_request(struct tls_stream *stream)
{
	struct request request = stream->request;
	uint8_t bytes[REQUEST_SIZE];

	request.destination_port = stream->port;
	request_encode(&request, bytes);
	return stream_send_request(
		stream->channel.end.fd, stream->channel.transport, bytes, &stream->send_buffer);
}

static void ask_for_connection(struct tls_stream *stream)
{
	int error = send_request(stream);

	if (error) {
		retry_dial(stream, error);
		return;
	}
	tls_stream_set_state(stream, TLS_STREAM_GATE);
	tls_stream_set_deadline(stream, TLS_DEADLINE_DECISION, DECISION_TIMEOUT);
}

// On the stand-in a stream is connected at once, and the request goes out before the descriptor is
// watched, so that the first writability seen is the gate's.
static void dial(struct tls_stream *stream)
{
	struct tls_server *server = stream->server;
	int fd = stream_begin_dial(&server->settings->hostd);
	int error = fd < 0 ? fd : 0;

	stream->channel.end = (struct socket_end){.fd = fd};
	if (stream->state != TLS_STREAM_DIAL)
		tls_stream_set_state(stream, TLS_STREAM_DIAL);
	if (error) {
		retry_dial(stream, error);
		return;
	}
	if (stream->channel.transport == ENDPOINT_UNIX)
		ask_for_connection(stream);
	if (stream->channel.end.fd != fd)
		return; // refused, or to be tried again
	if (stream->state != TLS_STREAM_ENDED)
		error = tls_server_watch(
			server, stream, TLS_PART_HOSTD, fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP, false);
	if (error)
		refuse_dial(stream, error);
	else if (stream->state == TLS_STREAM_GATE)
		prepare_handshake(stream);
}

void tls_open_on_dial(struct tls_stream *stream, uint32_t events)
{
	int fd = stream->channel.end.fd;
	int error;

	(void)events;
	if (fd < 0)
		return;
	error = stream_finish_dial(fd);
	if (error)
		retry_dial(stream, error);
	else
		ask_for_connection(stream);
	if (stream->state == TLS_STREAM_GATE)
		prepare_handshake(stream);
}

// --- the gate

// From now on writability is asked for only when a send finds the socket full: a unix socket would
// report it at each read of its peer.
static void on_granted(struct tls_stream *stream)
{
	struct socket_end *end = &stream->channel.end;

	stream_restore_send_buffer(end->fd, stream->send_buffer);
	end->is_writable = true;
	if (tls_server_watch(stream->server, stream, TLS_PART_HOSTD, end->fd, EPOLLIN | EPOLLRDHUP,
		    true) < 0) {
		tls_stream_refuse(stream, OUTCOME_STAGE_INTERNAL, OUTCOME_INTERNAL,
			"cannot watch the stream");
		return;
	}
	if (stream->route->tls.starts_postgres) {
		tls_stream_set_state(stream, TLS_STREAM_START);
		tls_stream_set_deadline(stream, TLS_DEADLINE_HANDSHAKE, HANDSHAKE_TIMEOUT);
		if (queue_append(&stream->channel.out, &stream->server->memory.pool,
			    postgres_request, sizeof(postgres_request)))
			tls_open_on_start(stream, 0);
		else
			tls_stream_refuse(
				stream, OUTCOME_STAGE_INTERNAL, OUTCOME_INTERNAL, "out of memory");
	} else if (stream->route->tls.is_auto) {
		tls_stream_set_state(stream, TLS_STREAM_FIRST);
		if (stream_open_gate(stream->program.fd, ENDPOINT_UNIX) < 0) {
			tls_stream_close(stream, NULL);
			return;
		}
		stream->is_granted = true;
		tls_verbs_answer_waiters(stream->server);
		tls_open_on_first(stream, EPOLLIN);
	} else {
		begin_handshake(stream);
	}
}

static void ask_why(struct tls_stream *stream)
{
	struct outcome fallback;

	outcome_set(&fallback, OUTCOME_STAGE_INTERNAL, OUTCOME_NET_UNREACHABLE,
		"airlock-hostd closed the stream without a reason");
	tls_question_begin(stream, &fallback);
}

void tls_open_on_gate(struct tls_stream *stream, uint32_t events)
{
	bool has_end = events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR);

	if (!has_end && !(events & EPOLLOUT))
		return;
	if (has_end && stream_probe(stream->channel.end.fd) < 0)
		ask_why(stream);
	else
		on_granted(stream);
}

void tls_open_on_gate_deadline(struct tls_stream *stream)
{
	tls_stream_refuse(stream, OUTCOME_STAGE_DIAL, OUTCOME_TIMED_OUT,
		"airlock-hostd did not decide in time");
}

// --- PostgreSQL's request for TLS

// The stream ended before the handshake did: hostd knows best when it closed altogether.
void tls_open_on_early_end(struct tls_stream *stream, const char *sentence)
{
	struct outcome fallback;

	outcome_set(&fallback, OUTCOME_STAGE_TLS, OUTCOME_TLS_FAILED, "%s", sentence);
	if (stream_probe(stream->channel.end.fd) < 0)
		tls_question_begin(stream, &fallback);
	else
		tls_stream_close(stream, &fallback);
}

void tls_open_on_start(struct tls_stream *stream, uint32_t events)
{
	uint8_t answer[2];
	ssize_t length;

	(void)events;
	if (channel_flush(&stream->channel) < 0) {
		tls_open_on_early_end(stream, "the server ended the connection before TLS");
		return;
	}
	// One byte more than the answer has is looked for, and none is consumed that is not known
	// to be the answer: what stands behind it before TLS has begun was put there by somebody
	// else.
	length = recv(stream->channel.end.fd, answer, sizeof(answer), MSG_PEEK);
	switch (postgres_judge(answer, length, errno)) {
	case POSTGRES_WAIT:
		return;
	case POSTGRES_GO:
		if (recv(stream->channel.end.fd, answer, 1, 0) == 1)
			begin_handshake(stream);
		return;
	case POSTGRES_ENDED:
		tls_open_on_early_end(stream, "the server ended the connection before TLS");
		return;
	case POSTGRES_REFUSED:
		tls_stream_refuse(stream, OUTCOME_STAGE_TLS, OUTCOME_TLS_FAILED,
			"the PostgreSQL server does not offer TLS");
		return;
	case POSTGRES_TOO_MUCH:
		tls_stream_refuse(stream, OUTCOME_STAGE_TLS, OUTCOME_TLS_FAILED,
			"bytes behind the PostgreSQL server's answer, before TLS");
		return;
	}
}

// --- tls=auto

void tls_open_on_first(struct tls_stream *stream, uint32_t events)
{
	uint8_t first[2];
	ssize_t length = recv(stream->program.fd, first, sizeof(first), MSG_PEEK);

	if (length < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (length == 1 && first[0] == 0x16 && !(events & (EPOLLRDHUP | EPOLLHUP)))
		return; // the second byte decides
	stream->has_first = true;
	if (length == 2 && first[0] == 0x16 && first[1] == 0x03)
		tls_relay_start(stream); // without a session bytes pass as they are
	else if (length <= 0 && tls_stream_lost_program(stream, events))
		return;
	else
		begin_handshake(stream);
}

void tls_open_on_first_hostd(struct tls_stream *stream, uint32_t events)
{
	if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) &&
		stream_probe(stream->channel.end.fd) < 0)
		ask_why(stream);
}

// --- the handshake

static void make_target(const struct tls_stream *stream, struct verify_target *target)
{
	const struct route_tls *tls = &stream->route->tls;
	const char *name = tls->server_name[0] != '\0' ? tls->server_name : stream->request.name;

	strcpy(target->name, name);
	target->address = address_unmap(&stream->request.destination); // certificates do not map
}

static int start_tls(struct tls_stream *stream)
{
	struct verify_target target;

	make_target(stream, &target);
	return channel_start_tls(&stream->channel, stream->trust, &target, stream->port);
}

// While hostd dials there is time for the first message: the keys in it take as long as a dial on a
// local network. It waits in the channel's queue. Not where something else is said first.
static void prepare_handshake(struct tls_stream *stream)
{
	const struct route_tls *tls = &stream->route->tls;

	if (tls->starts_postgres || tls->is_auto)
		return;
	if (start_tls(stream) < 0 || channel_prepare(&stream->channel) < 0)
		tls_stream_refuse(stream, OUTCOME_STAGE_INTERNAL, OUTCOME_INTERNAL,
			"GnuTLS cannot set up a session");
}

static void begin_handshake(struct tls_stream *stream)
{
	if (!stream->channel.session && start_tls(stream) < 0) {
		tls_stream_refuse(stream, OUTCOME_STAGE_INTERNAL, OUTCOME_INTERNAL,
			"GnuTLS cannot set up a session");
		return;
	}
	tls_stream_set_state(stream, TLS_STREAM_HANDSHAKE);
	tls_stream_set_deadline(stream, TLS_DEADLINE_HANDSHAKE, HANDSHAKE_TIMEOUT);
	tls_open_on_handshake(stream, 0);
}

void tls_open_program(struct tls_stream *stream)
{
	if (!stream->is_granted && stream_open_gate(stream->program.fd, ENDPOINT_UNIX) < 0) {
		tls_stream_close(stream, NULL);
		return;
	}
	stream->is_granted = true;
	tls_relay_start(stream);
}

// The peer is told why it is left, as far as the socket takes it.
void tls_open_refuse_peer(
	struct tls_stream *stream, gnutls_alert_description_t alert, const struct outcome *outcome)
{
	int error;

	channel_alert(&stream->channel, alert);
	error = channel_flush(&stream->channel);
	(void)error; // it is left all the same
	tls_stream_close(stream, outcome);
}

void tls_open_on_handshake(struct tls_stream *stream, uint32_t events)
{
	struct channel *channel = &stream->channel;
	struct outcome outcome;
	enum channel_result result;

	(void)events;
	channel_begin_turn(channel);
	result = channel_handshake(channel, &outcome);
	if (result == CHANNEL_BROKEN) {
		tls_open_refuse_peer(stream, GNUTLS_A_BAD_CERTIFICATE, &outcome);
		return;
	}
	if (result == CHANNEL_CUT || channel_flush(channel) < 0) {
		tls_open_on_early_end(
			stream, "the server ended the connection during the handshake");
		return;
	}
	if (result == CHANNEL_DONE && settings_offers_attestation(&stream->route->tls))
		tls_attest_begin(stream);
	else if (result == CHANNEL_DONE)
		tls_open_program(stream);
	else if (channel->end.is_readable)
		tls_server_make_ready(stream);
	else if (channel->out.length)
		tls_relay_await_hostd(stream);
}

void tls_open_on_handshake_deadline(struct tls_stream *stream)
{
	tls_stream_refuse(stream, OUTCOME_STAGE_TLS, OUTCOME_TIMED_OUT,
		"the TLS handshake did not end within %d s", HANDSHAKE_TIMEOUT / 1000);
}
