// SPDX-License-Identifier: MIT
// The proxy's answer is peeked at and consumed exactly: what follows it belongs to the destination
// and is relayed like any other byte.
#include "hostd/proxy.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "hostd/connect.h"
#include "hostd/dial.h"
#include "hostd/upstream.h"
#include "hostd/worker.h"

// Returns false when the session has ended.
static bool proxy_fail(struct session *session, const char *what, int error)
{
	session_refuse(session, OUTCOME_STAGE_DIAL,
		error ? outcome_class_from_errno(error) : OUTCOME_RESET, "upstream proxy: %s%s%s",
		what, error ? ": " : "", error ? strerror(error) : "");
	return false;
}

// Sends what the handshake has to say. A fresh connection takes these few hundred bytes whole; one
// that does not is waited for.
static bool proxy_send(struct session *session)
{
	struct upstream_handshake *handshake = &session->dial->handshake;
	ssize_t sent;

	if (!handshake->output_length)
		return true;
	sent = send(
		session->destination.fd, handshake->output, handshake->output_length, MSG_NOSIGNAL);
	if (sent < 0)
		return errno == EAGAIN ? true : proxy_fail(session, "send", errno);
	handshake->output_length -= (size_t)sent;
	memmove(handshake->output, handshake->output + sent, handshake->output_length);
	return true;
}

// Consumes bytes that were peeked, so they are there.
static bool proxy_consume(struct session *session, size_t length)
{
	uint8_t *scratch = session->worker->scratch;

	if (!length)
		return true;
	if (recv(session->destination.fd, scratch, length, 0) == (ssize_t)length)
		return true;
	return proxy_fail(session, "its answer could not be read", 0);
}

// One look at what came. Returns whether another look is worth while.
static bool proxy_step(struct session *session)
{
	struct upstream_handshake *handshake = &session->dial->handshake;
	uint8_t *scratch = session->worker->scratch;
	struct outcome outcome;
	size_t taken = 0;
	enum upstream_progress progress;
	ssize_t length = recv(session->destination.fd, scratch, UPSTREAM_MAX_INPUT, MSG_PEEK);

	if (length < 0)
		return errno == EAGAIN ? false : proxy_fail(session, "receive", errno);
	if (length == 0)
		return proxy_fail(session, "closed the connection during the handshake", 0);
	progress = upstream_take(handshake, scratch, (size_t)length, &taken, &outcome);
	if (progress == UPSTREAM_HAS_FAILED) {
		session_close(session, &outcome);
		return false;
	}
	if (!proxy_consume(session, taken))
		return false;
	if (progress == UPSTREAM_IS_OPEN) {
		connect_grant(session);
		return false;
	}
	return proxy_send(session) && taken;
}

static void proxy_run(struct session *session)
{
	if (!proxy_send(session))
		return;
	while (proxy_step(session))
		continue;
}

void proxy_start(struct session *session)
{
	session_set_state(session, SESSION_PROXY);
	upstream_begin(&session->dial->handshake, session->enclave->upstream.kind,
		session->name ? session->name : "", &session->requested, session->requested_port);
	if (session->failure)
		proxy_fail(session, "connect", session->failure);
	else
		proxy_run(session);
}

void proxy_on_destination(struct session *session, uint8_t part, uint32_t events)
{
	(void)events;
	if (part == session->destination_part)
		proxy_run(session);
}

void proxy_on_deadline(struct session *session)
{
	session_refuse(session, OUTCOME_STAGE_DIAL, OUTCOME_TIMED_OUT,
		"upstream proxy: no answer within %lu ms", session->config->dial_timeout);
}
