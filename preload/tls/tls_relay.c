// SPDX-License-Identifier: MIT
// Theory of operation
//
// Down: one receive a turn is decrypted into the stream's queue and sent to the program; what the
// program does not take stays, and until it is gone nothing more is received. Up: what the program
// wrote is read, encrypted into the channel's queue and sent; while that queue holds bytes the
// program is not read, so its small writes merge in its own socket and leave as one record.
//
// How an end is passed on:
//
// - The server's close_notify: shutdown(SHUT_WR) towards the program, once all is delivered.
// - The server's connection ended without it: truncation. What came before is delivered, then the
//   outcome is stored and the program's side closed without a shutdown, which makes it a reset.
//   With eof=lax an orderly end of the socket is as good as a close_notify.
// - hostd takes no more bytes: what it had delivered before it closed is received and delivered
//   first, a server's early answer for instance. When the server's end is part of it, hostd is
//   asked whether it was orderly: nobody need have read what the program said after it.
// - The program's end of file: close_notify, then shutdown(SHUT_WR) towards hostd. From then on
//   hostd's orderly end and its bare close look alike (wire/README.md), so hostd is asked.
// - The program closed altogether: the same, and what the server still says is received until its
//   own end, though not for long. Most servers send session tickets when they first read, and a
//   socket that is closed with bytes unread is a reset, which would cost the server what it has not
//   read yet. Data of the server's after that is a reset, as it is from a TCP socket that was
//   closed.
// - The program's abort (it closed with bytes unread, ECONNRESET): hostd's side is closed without
//   either, so nobody takes what came for the whole.
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utlist.h>

#include "preload/tls/tls_log.h"
#include "preload/tls/tls_stream.h"
#include "wire/stream.h"

#define TURNS        8    // of one direction in a run
#define LAST_WORDS   2000 // ms for delivering what came before a failure
#define LINGER       2000 // ms for the server's end when nobody is left to take what it says
#define MAX_DECLINED 2    // requests for encryption: by GSSAPI, then by TLS

// --- failures

static void fail(struct tls_stream *stream, const struct outcome *outcome, bool must_ask)
{
	stream->down_ended = true;
	if (stream->has_failed)
		return;
	stream->has_failed = true;
	stream->must_ask = must_ask;
	stream->failure = *outcome;
	stream->up_ended = true;
	tls_stream_set_deadline(stream, TLS_DEADLINE_BRIEF, LAST_WORDS);
}

static void fail_with(struct tls_stream *stream, enum outcome_stage stage, enum outcome_class class,
	const char *text, bool must_ask)
{
	struct outcome outcome;

	outcome_set(&outcome, stage, class, "%s", text);
	fail(stream, &outcome, must_ask);
}

static void fail_by_hostd(struct tls_stream *stream)
{
	fail_with(stream, OUTCOME_STAGE_RELAY, OUTCOME_RESET, "airlock-hostd closed the stream",
		true);
}

// A send has failed. A dead socket answers at once: with the rest of what came, and then with its
// end.
static void on_hostd_gone(struct tls_stream *stream)
{
	bool down_ended = stream->down_ended;

	fail_by_hostd(stream);
	stream->down_ended = down_ended;
	stream->channel.end.is_readable = true;
	stream->channel.end.must_drain = true;
	tls_server_make_ready(stream);
}

// Everything before the failure has been delivered, or there was no time.
static void end_failed(struct tls_stream *stream)
{
	struct outcome outcome = stream->failure;

	if (stream->plain.length)
		stream->may_be_orderly = false; // what is lost must not look like an end
	if (stream->must_ask)
		tls_question_begin(stream, &outcome);
	else
		tls_stream_close(stream, &outcome);
}

// --- waiting for a socket to take bytes

static void await_writing(struct tls_stream *stream, enum tls_part part, struct socket_end *end)
{
	end->is_writable = false;
	if (end->awaits_writing)
		return;
	end->awaits_writing = true;
	if (tls_server_watch(stream->server, stream, part, end->fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP,
		    true) < 0)
		fail_with(stream, OUTCOME_STAGE_INTERNAL, OUTCOME_INTERNAL,
			"cannot watch the stream", false);
}

void tls_relay_await_hostd(struct tls_stream *stream)
{
	await_writing(stream, TLS_PART_HOSTD, &stream->channel.end);
}

// --- down

// Data that nobody takes any more.
static void drop_plain(struct tls_stream *stream)
{
	queue_clear(&stream->plain, &stream->server->memory.pool);
	stream->down_ended = true;
	stream->down_finished = true;
}

// The program takes no more bytes. Its own end is still to be read.
static void abandon(struct tls_stream *stream)
{
	if (stream->plain.length)
		drop_plain(stream);
	stream->is_abandoned = true;
	stream->program.is_readable = true;
	stream->program.must_drain = true;
}

// Of a send to the program. What has not been passed on for another reason than that it has closed
// must not look like the end.
static void on_send_error(struct tls_stream *stream, int error)
{
	struct outcome outcome;

	if (error == EPIPE || error == ECONNRESET) {
		abandon(stream);
		return;
	}
	outcome_set(&outcome, OUTCOME_STAGE_RELAY, OUTCOME_RESET,
		"airlock-tls cannot send to the program: %s", strerror(error));
	fail(stream, &outcome, false);
	drop_plain(stream);
}

static void send_plain(struct tls_stream *stream)
{
	struct queue *plain = &stream->plain;

	if (stream->is_abandoned && plain->length)
		drop_plain(stream);
	while (plain->length && stream->program.is_writable) {
		ssize_t sent =
			send(stream->program.fd, queue_start(plain), plain->length, MSG_NOSIGNAL);

		if (sent < 0 && errno != EAGAIN && errno != EINTR) {
			on_send_error(stream, errno);
			return;
		}
		if (sent < 0)
			sent = 0;
		stream->bytes_down += (size_t)sent;
		queue_consume(plain, (size_t)sent);
		if (plain->length)
			await_writing(stream, TLS_PART_PROGRAM, &stream->program);
	}
	queue_settle(plain, &stream->server->memory.pool);
}

static void on_cut(struct tls_stream *stream)
{
	const struct channel *channel = &stream->channel;
	bool is_whole = !channel->session || (stream->route->tls.is_eof_lax &&
						     framing_is_between_records(&channel->framing));
	bool is_closed = channel->socket_error != 0 || stream_probe(channel->end.fd) < 0;

	stream->may_be_orderly = is_whole && channel->socket_error == 0;
	if (is_closed && (is_whole || !stream->up_finished))
		fail_by_hostd(stream);
	else if (is_whole)
		stream->down_ended = true;
	else
		fail_with(stream, OUTCOME_STAGE_TLS, OUTCOME_RESET,
			"truncated: the server ended the connection without TLS's end", is_closed);
}

static void decrypt(struct tls_stream *stream)
{
	struct outcome outcome;
	enum channel_result result = channel_receive(&stream->channel, &stream->plain, &outcome);

	if (stream->is_abandoned && result != CHANNEL_WAITS)
		result = CHANNEL_DONE; // in order or not, there is nobody to tell
	switch (result) {
	case CHANNEL_WAITS:
		if (stream->has_failed && !stream->channel.end.is_readable)
			stream->down_ended = true;
		break;
	case CHANNEL_DONE:
		stream->may_be_orderly = true;
		stream->down_ended = true;
		break;
	case CHANNEL_CUT:
		on_cut(stream);
		break;
	case CHANNEL_BROKEN:
		fail(stream, &outcome, false);
		break;
	}
}

// Returns whether there may be more to do at once.
static bool step_down(struct tls_stream *stream)
{
	if (stream->down_finished)
		return false;
	send_plain(stream);
	if (stream->plain.length || stream->down_finished)
		return false;
	if (!stream->down_ended && stream->channel.end.is_readable) {
		channel_begin_turn(&stream->channel);
		decrypt(stream);
		send_plain(stream);
		return !stream->plain.length;
	}
	if (stream->down_ended) {
		stream->down_finished = true;
		if (!stream->has_failed)
			(void)shutdown(stream->program.fd, SHUT_WR);
	}
	return false;
}

// --- up

static void flush(struct tls_stream *stream)
{
	if (channel_flush(&stream->channel) < 0)
		on_hostd_gone(stream);
	else if (stream->channel.out.length)
		await_writing(stream, TLS_PART_HOSTD, &stream->channel.end);
}

static void on_program_end(struct tls_stream *stream)
{
	stream->up_ended = true;
	channel_end(&stream->channel);
	// Closed altogether, and not only its sending side?
	if (!stream->down_finished && stream_probe(stream->program.fd) < 0)
		abandon(stream);
}

// Closed with bytes unread.
static void on_program_abort(struct tls_stream *stream)
{
	tls_stream_close(stream, NULL);
}

// A PostgreSQL client that would like encryption goes on without when the answer is 'N', unless it
// was told to insist (PostgreSQL documentation, "SSL Session Encryption").
static void decline(struct tls_stream *stream)
{
	stream->declined++;
	if (queue_append(&stream->plain, &stream->server->memory.pool, "N", 1))
		send_plain(stream);
	else
		fail_with(stream, OUTCOME_STAGE_INTERNAL, OUTCOME_INTERNAL, "out of memory", false);
}

// Deals with first bytes that the server is not to get. Returns how many of them; all, if it cannot
// be said yet what they are.
static size_t take_first(struct tls_stream *stream, const uint8_t *data, size_t length, bool is_all)
{
	bool is_postgres = stream->route->tls.starts_postgres && stream->declined < MAX_DECLINED;

	stream->held_length = 0;
	switch (first_judge(data, length, is_postgres, is_all)) {
	case FIRST_UNDECIDED:
		memcpy(stream->held, data, length);
		stream->held_length = length;
		return length;
	case FIRST_REQUEST:
		decline(stream);
		return FIRST_REQUEST_SIZE;
	case FIRST_TLS: // it would be encrypted twice, and the server would not understand
		fail_with(stream, OUTCOME_STAGE_TLS, OUTCOME_TLS_FAILED,
			"the program speaks TLS itself: route it direct, or give the route "
			"tls=auto",
			false);
		return length;
	case FIRST_PLAIN:
		break;
	}
	stream->has_first = true;
	return 0;
}

static void encrypt(struct tls_stream *stream, const uint8_t *data, size_t length, bool is_all)
{
	while (!stream->has_first && length > 0 && !stream->has_failed) {
		size_t taken = take_first(stream, data, length, is_all);

		data += taken;
		length -= taken;
	}
	stream->bytes_up += length;
	if (channel_send(&stream->channel, data, length) < 0)
		fail_with(stream, OUTCOME_STAGE_TLS, OUTCOME_RESET,
			"the TLS stream cannot be written any more", false);
}

// Into the scratch memory, behind what was held back; otherwise as recv(2).
static ssize_t receive_plain(struct tls_stream *stream)
{
	uint8_t *scratch = stream->server->scratch;
	size_t held = stream->held_length;
	ssize_t length = recv(stream->program.fd, scratch + held, TLS_SERVER_SCRATCH - held, 0);

	if (length < 0)
		return length;
	if (length == 0)
		stream->program.must_drain = true;
	if ((size_t)length + held < TLS_SERVER_SCRATCH && !stream->program.must_drain)
		stream->program.is_readable = false;
	memcpy(scratch, stream->held, held);
	return length + (ssize_t)held;
}

static bool step_up(struct tls_stream *stream)
{
	ssize_t length;

	if (stream->up_finished || stream->has_failed)
		return false;
	flush(stream);
	if (stream->channel.out.length || stream->has_failed)
		return false;
	if (stream->up_ended) {
		stream->up_finished = true;
		(void)shutdown(stream->channel.end.fd, SHUT_WR);
		return false;
	}
	if (!stream->program.is_readable)
		return false;
	length = receive_plain(stream);
	if (length > 0) {
		encrypt(stream, stream->server->scratch, (size_t)length,
			stream->program.must_drain);
	} else if (length == 0) {
		on_program_end(stream);
	} else if (errno == EAGAIN || errno == EINTR) {
		stream->program.is_readable = errno == EINTR;
	} else {
		on_program_abort(stream);
		return false;
	}
	flush(stream);
	return true;
}

// --- both

static bool run_down(struct tls_stream *stream)
{
	for (int turn = 0; turn < TURNS; turn++) {
		if (!step_down(stream))
			return false;
	}
	return true;
}

static bool run_up(struct tls_stream *stream)
{
	for (int turn = 0; turn < TURNS && stream->state == TLS_STREAM_RELAY; turn++) {
		if (!step_up(stream))
			return false;
	}
	return true;
}

static void linger(struct tls_stream *stream)
{
	if (stream->lingers)
		return;
	stream->lingers = true;
	tls_stream_set_deadline(stream, TLS_DEADLINE_BRIEF, LINGER);
}

void tls_relay_run(struct tls_stream *stream)
{
	bool has_more = run_down(stream);

	has_more |= run_up(stream);
	if (stream->state != TLS_STREAM_RELAY)
		return;
	if (stream->has_failed && stream->down_ended && !stream->plain.length)
		end_failed(stream);
	else if (stream->up_finished && stream->down_finished)
		tls_stream_close(stream, NULL);
	else if (has_more)
		tls_server_make_ready(stream);
	else if (stream->up_finished && stream->is_abandoned)
		linger(stream);
}

static void log_granted(const struct tls_stream *stream)
{
	char id[REQUEST_ID_TEXT_SIZE];
	struct tls_log_line line;

	tls_log_begin(&line, SETTINGS_LOG_DEBUG, "granted");
	tls_log_text(&line, "id", request_id_format(stream->request.id, id));
	if (stream->channel.session)
		tls_log_text(&line, "resumed",
			gnutls_session_is_resumed(stream->channel.session) ? "yes" : "no");
	tls_log_write(&line);
}

void tls_relay_start(struct tls_stream *stream)
{
	tls_stream_set_state(stream, TLS_STREAM_RELAY);
	log_granted(stream);
	stream->is_granted = true;
	stream->program.is_readable = true;
	stream->program.is_writable = true;
	// What the handshake's last turn left in the inbox must not wait for another stream's turn.
	if (stream->channel.session)
		decrypt(stream);
	tls_verbs_answer_waiters(stream->server);
	tls_relay_run(stream);
}

void tls_relay_on_program(struct tls_stream *stream, uint32_t events)
{
	bool has_left = (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) && stream->up_ended;

	if (has_left && !stream->is_abandoned && !stream->down_finished &&
		stream_probe(stream->program.fd) < 0)
		abandon(stream);
	tls_relay_run(stream);
}

// Once its end has been read nobody receives any more, so a failure has to be looked for. Not when
// our own end has been sent too: hostd then closes in order, and the probe would fail by itself.
void tls_relay_on_hostd(struct tls_stream *stream, uint32_t events)
{
	if ((events & (EPOLLHUP | EPOLLERR)) && stream->down_ended && !stream->has_failed &&
		!stream->up_finished && stream_probe(stream->channel.end.fd) < 0)
		fail_by_hostd(stream);
	tls_relay_run(stream);
}

void tls_relay_on_deadline(struct tls_stream *stream)
{
	if (stream->has_failed)
		end_failed(stream);
	else
		tls_stream_close(stream, NULL);
}
