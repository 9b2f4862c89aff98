// SPDX-License-Identifier: MIT
// Theory of operation: between the end of the handshake and the open gate. The frames and their
// order are attest/exchange.h's; here they are received into the stream's plaintext queue, and what
// follows the last one stays there for the program. What takes time is the attesters': a stream
// waits for its tasks as it waits for its peer. The gate opens when the exchange is done, so that
// the program has written nothing before that could leave.
#include <errno.h>
#include <gnutls/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "preload/tls/attester.h"
#include "preload/tls/tls_stream.h"

#define EXCHANGE_TIMEOUT 10000 // ms

struct tls_attestation {
	struct exchange exchange;
	struct attester_task *proof;     // under way
	struct attester_task *judgement; // under way
	char release[POLICY_NAME_MAX + 1];
};

// --- refusals

static void refuse(struct tls_stream *stream, const char *sentence)
{
	struct outcome outcome;

	outcome_set(&outcome, OUTCOME_STAGE_TLS, OUTCOME_TLS_FAILED, "%s", sentence);
	tls_open_refuse_peer(stream, GNUTLS_A_ACCESS_DENIED, &outcome);
}

static void refuse_for(
	struct tls_stream *stream, const char *what, const struct attest_error *error)
{
	char text[320], sentence[OUTCOME_TEXT_SIZE];

	attest_error_format(error, text, sizeof(text));
	snprintf(sentence, sizeof(sentence), "%s: %.160s", what, text);
	refuse(stream, sentence);
}

// The connection has ended, or its TLS has broken.
static void on_lost(
	struct tls_stream *stream, enum channel_result result, const struct outcome *outcome)
{
	if (result != CHANNEL_BROKEN) {
		tls_attest_clear(stream); // hostd may be asked why, and nobody waits for proofs
		tls_open_on_early_end(
			stream, "the server ended the connection during the attestation");
	} else if (gnutls_alert_get(stream->channel.session) == GNUTLS_A_ACCESS_DENIED) {
		refuse(stream, "the server refuses our evidence, or that there is none");
	} else {
		refuse(stream, outcome->text);
	}
}

// --- tasks

static bool bind_task(
	struct tls_stream *stream, enum evidence_role prover, struct attester_task *task)
{
	const struct exchange *exchange = &stream->attestation->exchange;
	bool is_ours = prover == EVIDENCE_CLIENT;
	struct evidence_binding binding;
	struct attest_error error;

	memcpy(task->nonce, is_ours ? exchange->peer_nonce : exchange->nonce, sizeof(task->nonce));
	if (!evidence_bind(stream->channel.session, EVIDENCE_CLIENT, prover, task->nonce, &binding,
		    &error))
		refuse_for(stream, "attestation", &error);
	else if (!evidence_user_data(&binding, task->user_data))
		refuse(stream, "GnuTLS cannot digest");
	else
		return true;
	return false;
}

// document is copied. false: the stream has been closed.
static bool submit(struct tls_stream *stream, enum attester_job job, struct bytes document)
{
	enum evidence_role prover = job == ATTESTER_PROVES ? EVIDENCE_CLIENT : EVIDENCE_SERVER;
	struct attester_task *task = calloc(1, sizeof(*task));

	if (!task) {
		tls_stream_refuse(
			stream, OUTCOME_STAGE_INTERNAL, OUTCOME_INTERNAL, "out of memory");
		return false;
	}
	task->stream = stream;
	task->attested = &stream->trust->attested;
	task->length = document.length;
	if (document.length > 0)
		memcpy(task->document, document.data, document.length);
	if (!bind_task(stream, prover, task)) {
		free(task);
		return false;
	}
	if (job == ATTESTER_PROVES)
		stream->attestation->proof = task;
	else
		stream->attestation->judgement = task;
	attester_submit(stream->server->attesters[job], task);
	return true;
}

// --- the exchange

// false: the stream has been closed.
static bool take_frame(struct tls_stream *stream, bool *has_more)
{
	struct exchange *exchange = &stream->attestation->exchange;
	struct queue *plain = &stream->plain;
	struct attest_error error;
	struct bytes document = {NULL, 0};
	size_t taken;

	switch (exchange_take(
		exchange, queue_start(plain), plain->length, &taken, &document, &error)) {
	case EXCHANGE_INCOMPLETE:
		*has_more = false;
		return true;
	case EXCHANGE_REFUSED:
		refuse_for(stream, "attestation", &error);
		return false;
	case EXCHANGE_HELLO:
		if (exchange->must_prove && !submit(stream, ATTESTER_PROVES, document))
			return false;
		break;
	case EXCHANGE_EVIDENCE:
		if (!submit(stream, ATTESTER_JUDGES, document))
			return false;
		break;
	case EXCHANGE_ACCEPTED:
		break;
	}
	queue_consume(plain, taken);
	return true;
}

static bool take_frames(struct tls_stream *stream)
{
	bool has_more = true;

	while (has_more && exchange_expects_more(&stream->attestation->exchange)) {
		if (!take_frame(stream, &has_more))
			return false;
	}
	queue_settle(&stream->plain, &stream->server->memory.pool);
	return true;
}

static void wait_for_peer(struct tls_stream *stream)
{
	struct channel *channel = &stream->channel;

	if (channel->out.length)
		tls_relay_await_hostd(stream);
	if (channel->end.is_readable && exchange_expects_more(&stream->attestation->exchange))
		tls_server_make_ready(stream);
}

// Frames that came before an end still count.
static void advance(struct tls_stream *stream)
{
	struct exchange *exchange = &stream->attestation->exchange;
	enum channel_result result = CHANNEL_WAITS;
	struct outcome outcome;

	if (exchange_expects_more(exchange))
		result = channel_receive(&stream->channel, &stream->plain, &outcome);
	if (!take_frames(stream))
		return;
	if (result == CHANNEL_WAITS && channel_flush(&stream->channel) < 0)
		result = CHANNEL_CUT;
	if (exchange_is_done(exchange))
		tls_open_program(stream);
	else if (result != CHANNEL_WAITS)
		on_lost(stream, result, &outcome);
	else
		wait_for_peer(stream);
}

void tls_attest_run(struct tls_stream *stream)
{
	channel_begin_turn(&stream->channel);
	advance(stream);
}

void tls_attest_on_hostd(struct tls_stream *stream, uint32_t events)
{
	(void)events;
	tls_attest_run(stream);
}

void tls_attest_on_deadline(struct tls_stream *stream)
{
	tls_stream_refuse(stream, OUTCOME_STAGE_TLS, OUTCOME_TIMED_OUT, "%s within %d s",
		stream->attestation->proof ? "the NSM did not give our evidence"
					   : "the server did not end the attestation",
		EXCHANGE_TIMEOUT / 1000);
}

// --- the beginning

static void send_hello(struct tls_stream *stream)
{
	const struct trust *trust = stream->trust;
	uint8_t nonce[EXCHANGE_NONCE_SIZE], hello[EXCHANGE_HELLO_SIZE];

	if (gnutls_rnd(GNUTLS_RND_NONCE, nonce, sizeof(nonce)) < 0) {
		refuse(stream, "GnuTLS has no random numbers");
		return;
	}
	exchange_begin(&stream->attestation->exchange, settings_proves(&stream->route->tls),
		trust->attested.policy != NULL, nonce, hello);
	if (channel_send(&stream->channel, hello, sizeof(hello)) < 0)
		refuse(stream, "the TLS stream cannot be written");
	else
		advance(stream); // what the handshake's last turn has left comes first
}

void tls_attest_begin(struct tls_stream *stream)
{
	if (evidence_is_agreed(stream->channel.session)) {
		stream->attestation = calloc(1, sizeof(*stream->attestation));
		if (!stream->attestation) {
			tls_stream_refuse(
				stream, OUTCOME_STAGE_INTERNAL, OUTCOME_INTERNAL, "out of memory");
			return;
		}
		tls_stream_set_state(stream, TLS_STREAM_ATTEST);
		tls_stream_set_deadline(stream, TLS_DEADLINE_HANDSHAKE, EXCHANGE_TIMEOUT);
		send_hello(stream);
	} else if (stream->route->tls.attest == ROUTE_ATTEST_PREFER) {
		tls_open_program(stream);
	} else {
		refuse(stream, "the server does not speak attested TLS "
			       "(ALPN " EXCHANGE_PROTOCOL ")");
	}
}

// --- what the attesters have finished

static void on_proof(struct tls_stream *stream, const struct attester_task *task)
{
	struct tls_attestation *attestation = stream->attestation;
	uint8_t frame[EXCHANGE_FRAME_MAX];
	size_t length;

	attestation->proof = NULL;
	if (!task->is_good) {
		refuse(stream, task->text);
		return;
	}
	length = exchange_prove(
		&attestation->exchange, (struct bytes){task->document, task->length}, frame);
	if (channel_send(&stream->channel, frame, length) < 0)
		refuse(stream, "the TLS stream cannot be written");
	else
		tls_attest_run(stream);
}

static void on_judgement(struct tls_stream *stream, const struct attester_task *task)
{
	struct tls_attestation *attestation = stream->attestation;
	uint8_t frame[EXCHANGE_ACCEPTED_SIZE];

	attestation->judgement = NULL;
	if (!task->is_good) {
		refuse(stream, task->text);
		return;
	}
	snprintf(attestation->release, sizeof(attestation->release), "%.*s", POLICY_NAME_MAX,
		task->text);
	exchange_accept(&attestation->exchange, frame);
	if (channel_send(&stream->channel, frame, sizeof(frame)) < 0)
		refuse(stream, "the TLS stream cannot be written");
	else
		tls_attest_run(stream);
}

static void take_tasks(struct attester *attester,
	void (*on_task)(struct tls_stream *stream, const struct attester_task *task))
{
	struct attester_task *task;

	while ((task = attester_take(attester)) != NULL) {
		if (task->stream)
			on_task(task->stream, task);
		free(task);
	}
}

void tls_attest_on_finished(struct tls_server *server)
{
	uint64_t count;
	ssize_t length = read(server->attesters_wake, &count, sizeof(count));

	(void)length; // it is non-blocking, and what counts are the lists
	take_tasks(server->attesters[ATTESTER_PROVES], on_proof);
	take_tasks(server->attesters[ATTESTER_JUDGES], on_judgement);
}

// --- the end

void tls_attest_clear(struct tls_stream *stream)
{
	struct tls_attestation *attestation = stream->attestation;
	struct attester **attesters = stream->server->attesters;

	if (!attestation)
		return;
	if (attestation->proof)
		attester_forget(attesters[ATTESTER_PROVES], attestation->proof);
	if (attestation->judgement)
		attester_forget(attesters[ATTESTER_JUDGES], attestation->judgement);
	free(attestation);
	stream->attestation = NULL;
}

// --- `airlock explain`

static const char *describe_us(const struct exchange *exchange)
{
	if (exchange->is_accepted)
		return "it has accepted our evidence";
	return exchange->offers_proof ? "it did not ask for our evidence" : "we gave no evidence";
}

size_t tls_attest_describe(const struct tls_stream *stream, char *text, size_t size)
{
	const struct tls_attestation *attestation = stream->attestation;
	const struct route_tls *tls = &stream->route->tls;
	int length = 0;

	if (!settings_offers_attestation(tls))
		return 0;
	if (!attestation)
		length = snprintf(text, size,
			"not attested: the server does not speak " EXCHANGE_PROTOCOL "; ");
	else if (!attestation->exchange.wants_proof)
		length = snprintf(text, size, "attested: %s, and was not asked for its own; ",
			describe_us(&attestation->exchange));
	else
		length = snprintf(text, size, "attested: the server is %s%s by %.120s, and %s; ",
			attestation->release[0] != '\0' ? "release " : "accepted",
			attestation->release, tls->policy, describe_us(&attestation->exchange));
	return (size_t)length < size ? (size_t)length : size - 1;
}

// --- the server's

static int open_attesters(struct tls_server *server, bool proves)
{
	const char *nsm = proves ? settings_nsm_name(server->settings, server->nsm_name) : NULL;

	server->attesters_wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (server->attesters_wake < 0)
		return -errno;
	server->attesters[ATTESTER_PROVES] =
		attester_open(ATTESTER_PROVES, nsm, server->attesters_wake);
	server->attesters[ATTESTER_JUDGES] =
		attester_open(ATTESTER_JUDGES, NULL, server->attesters_wake);
	return server->attesters[ATTESTER_PROVES] && server->attesters[ATTESTER_JUDGES] ? 0
											: -ENOMEM;
}

int tls_attest_open(struct tls_server *server)
{
	bool offers = false, proves = false;

	for (size_t i = 0; i < server->settings->route_count; i++) {
		const struct route_tls *tls = &server->settings->routes[i].tls;

		offers |= settings_offers_attestation(tls);
		proves |= settings_proves(tls);
	}
	return offers ? open_attesters(server, proves) : 0;
}

int tls_attest_start(struct tls_server *server)
{
	int error = 0;

	for (size_t i = 0; i < ARRAY_SIZE(server->attesters) && !error; i++) {
		if (server->attesters[i])
			error = attester_start(server->attesters[i]);
	}
	return error;
}

void tls_attest_close(struct tls_server *server)
{
	for (size_t i = 0; i < ARRAY_SIZE(server->attesters); i++)
		attester_close(server->attesters[i]);
	if (server->attesters_wake >= 0)
		close(server->attesters_wake);
}
