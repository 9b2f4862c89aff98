// SPDX-License-Identifier: MIT
// hostd is asked once and has little time. What it does not answer in form counts as not answered.
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "preload/shared/control_client.h"
#include "preload/tls/tls_stream.h"
#include "wire/stream.h"

#define QUESTION_TIMEOUT 2000 // ms

// For hostd the stream was open when it broke; for the program it was not, before its own gate is.
static void settle(struct tls_stream *stream)
{
	struct outcome heard = stream->failure;

	if (!stream->is_granted && heard.stage == OUTCOME_STAGE_RELAY)
		outcome_set(&stream->failure, OUTCOME_STAGE_TLS, OUTCOME_TLS_FAILED,
			"the connection ended before TLS was set up: %.140s", heard.text);
	tls_stream_close(stream, &stream->failure);
}

static int send_question(struct tls_stream *stream)
{
	struct request request = {0};
	uint8_t bytes[REQUEST_SIZE];
	int send_buffer; // nothing follows the request
	int error = stream_finish_dial(stream->question->fd);

	if (error)
		return error;
	control_ask_status(&request, stream->request.id, false);
	control_client_identify(&request);
	request_encode(&request, bytes);
	stream->question->is_sent = true;
	return stream_send_request(
		stream->question->fd, stream->channel.transport, bytes, &send_buffer);
}

// A unix stream that is closed with bytes unread looks like one that was reset (unix_release_sock
// in net/unix/af_unix.c).
static void end_in_order(struct tls_stream *stream)
{
	uint8_t *scratch = stream->server->scratch;
	int fd = stream->program.fd;

	(void)shutdown(fd, SHUT_RDWR); // no more comes; what has been sent stays
	while (recv(fd, scratch, TLS_SERVER_SCRATCH, 0) > 0)
		continue;
	tls_stream_close(stream, NULL);
}

static void read_answer(struct tls_stream *stream)
{
	const struct question *question = stream->question;
	struct control_answer answer;
	struct parse_error error;
	struct outcome outcome;
	bool is_answered =
		control_decode_answer(question->answer, question->length, &answer, &error) &&
		answer.status == CONTROL_OK && control_get_outcome(&answer, &outcome);

	if (is_answered && outcome.class == OUTCOME_NONE && stream->may_be_orderly) {
		end_in_order(stream);
		return;
	}
	if (is_answered && outcome.class != OUTCOME_NONE)
		stream->failure = outcome;
	settle(stream);
}

void tls_question_on_event(struct tls_stream *stream, uint32_t events)
{
	struct question *question = stream->question;
	ssize_t length;

	(void)events;
	if (!question->is_sent && send_question(stream) < 0) {
		settle(stream);
		return;
	}
	do {
		length = recv(question->fd, question->answer + question->length,
			sizeof(question->answer) - question->length, 0);
		if (length > 0)
			question->length += (size_t)length;
	} while (length > 0 && question->length < sizeof(question->answer));
	if (length >= 0 || (errno != EAGAIN && errno != EINTR))
		read_answer(stream);
}

void tls_question_on_deadline(struct tls_stream *stream)
{
	settle(stream);
}

void tls_question_begin(struct tls_stream *stream, const struct outcome *fallback)
{
	struct tls_server *server = stream->server;
	struct question *question = calloc(1, sizeof(*question));

	stream->failure = *fallback;
	tls_stream_set_state(stream, TLS_STREAM_QUESTION);
	tls_stream_set_deadline(stream, TLS_DEADLINE_BRIEF, QUESTION_TIMEOUT);
	if (question)
		question->fd = stream_begin_dial(&server->settings->hostd);
	stream->question = question;
	if (!question || question->fd < 0 ||
		tls_server_watch(server, stream, TLS_PART_QUESTION, question->fd,
			EPOLLIN | EPOLLOUT | EPOLLRDHUP, false) < 0)
		settle(stream);
}
