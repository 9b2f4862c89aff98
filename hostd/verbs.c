// SPDX-License-Identifier: MIT
// An answer fits any fresh stream's window, so it is sent whole or not at all. It goes out before
// the request is consumed and is followed by SHUT_WR, the orderly end; the close waits for the
// opener's own end, because on vsock a close can overtake what the opener has not read.
#include "hostd/verbs.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <utlist.h>

#include "hostd/log.h"
#include "hostd/policy.h"
#include "hostd/worker.h"
#include "wire/stream.h"

#define VERBS_MAX_GATES     64 // GATE requests held by a worker at a time; more are answered "busy"
#define VERBS_LINGER        2000 // ms
#define VERBS_UPSTREAM_TTL  60   // seconds, for names that only the upstream proxy resolves
#define VERBS_STATUS_GRACE  2000 // ms that a STATUS waits for a request that has not come yet
#define VERBS_STATUS_RETRY  5    // ms between the first two looks for it; later ones grow rarer
#define VERBS_STATUS_MARGIN 1000 // ms that a STATUS may wait longer than a dial

// Consumes the request, ends our side, waits for the opener's end.
static void verbs_end(struct session *session)
{
	int error = stream_open_gate(session->opener.fd, session->transport);

	if (error) {
		session_close(session, NULL);
		return;
	}
	(void)shutdown(session->opener.fd, SHUT_WR);
	if (session->state != SESSION_LINGER)
		session_set_state(session, SESSION_LINGER);
	session_set_deadline(session, VERBS_LINGER);
	verbs_on_lingering_opener(session, 0);
}

static void verbs_answer(struct session *session, const struct control_answer *answer)
{
	uint8_t bytes[CONTROL_MAX_ANSWER];
	size_t length = control_encode_answer(answer, bytes);

	if (send(session->opener.fd, bytes, length, MSG_NOSIGNAL) == (ssize_t)length)
		verbs_end(session);
	else
		session_close(session, NULL);
}

static void verbs_answer_status(struct session *session, enum control_status status)
{
	struct control_answer answer = {.status = status};

	verbs_answer(session, &answer);
}

static void verbs_answer_outcome(struct session *session, const struct outcome *outcome)
{
	struct control_answer answer = {.status = CONTROL_OK};

	control_put_outcome(&answer, outcome);
	verbs_answer(session, &answer);
}

static void verbs_answer_addresses(
	struct session *session, const struct control_addresses *addresses)
{
	struct control_answer answer = {.status = CONTROL_OK};

	control_put_addresses(&answer, addresses);
	verbs_answer(session, &answer);
}

static void verbs_ping(struct session *session, const struct request *request)
{
	struct control_answer answer = {.status = CONTROL_OK};

	(void)request;
	control_put_text(&answer, "airlock-hostd " AIRLOCK_VERSION);
	verbs_answer(session, &answer);
}

static const struct control_addresses try_again = {.failure = OUTCOME_TRY_AGAIN};

static void verbs_resolve(struct session *session, const struct request *request)
{
	static const struct control_addresses left_to_proxy = {
		.failure = OUTCOME_NONE, .ttl = VERBS_UPSTREAM_TTL};
	char name[NAME_SIZE];

	if (!control_read_resolve(request, name)) {
		verbs_answer_status(session, CONTROL_MALFORMED);
		return;
	}
	session->name = strdup(name);
	if (!session->name) {
		verbs_answer_status(session, CONTROL_BUSY);
		return;
	}
	if (!policy_may_lookup(session->enclave, name)) {
		verbs_answer_status(session, CONTROL_DENIED);
		return;
	}
	if (session->enclave->upstream.kind != UPSTREAM_DIRECT) {
		verbs_answer_addresses(session, &left_to_proxy);
		return;
	}
	if (!limit_take_lookup(session->limit, session->enclave, session->worker->now)) {
		verbs_answer_addresses(session, &try_again);
		return;
	}
	session_set_state(session, SESSION_LOOKUP);
	session_set_deadline(session, session->config->dial_timeout);
	worker_look_up(session, name);
}

void verbs_on_names(
	struct session *session, const struct control_addresses *answer, const char *text)
{
	(void)text;
	verbs_answer_addresses(session, answer);
}

void verbs_on_lookup_deadline(struct session *session)
{
	verbs_answer_addresses(session, &try_again);
}

static void outcome_set_pending(struct outcome *outcome)
{
	outcome_set(outcome, OUTCOME_STAGE_DIAL, OUTCOME_NONE, "not decided yet");
}

static void outcome_set_open(struct outcome *outcome)
{
	outcome_set(outcome, OUTCOME_STAGE_OPEN, OUTCOME_NONE, "%s", "");
}

// What the table of outcomes says about the id that is asked for; *outcome is what to answer if
// it has to be now.
static enum outcomes_answer verbs_find_outcome(struct session *session, struct outcome *outcome)
{
	struct worker *worker = session->worker;
	enum outcomes_answer found = outcomes_find(
		worker->shared->outcomes, session->cid, session->awaited_id, worker->now, outcome);

	if (found == OUTCOMES_PENDING)
		outcome_set_pending(outcome);
	if (found == OUTCOMES_UNKNOWN)
		outcome_set_open(outcome);
	return found;
}

// The dial is pending: its decision comes to verbs_answer_waiters.
static void verbs_await_decision(struct session *session)
{
	struct worker *worker = session->worker;

	session_set_deadline(session, session->config->dial_timeout + VERBS_STATUS_MARGIN);
	DL_APPEND2(worker->waiters, session, previous_waiter, next_waiter);
	// False: it was decided between the two calls, and this turn's timers answer.
	if (!outcomes_wait(
		    worker->shared->outcomes, session->cid, session->awaited_id, worker->decision))
		session_set_deadline(session, 0);
}

// Whether an unknown id can still be that of a request on its way, after waiting so many ms.
static bool verbs_may_come(const struct session *session, uint64_t waited)
{
	return waited < VERBS_STATUS_GRACE &&
	       !recent_has(session->worker->shared->recent, session->cid, session->awaited_id);
}

// Answers, or waits for what there is to wait for.
static void verbs_pursue_status(struct session *session)
{
	struct outcome outcome;
	enum outcomes_answer found = verbs_find_outcome(session, &outcome);
	uint64_t waited = session->worker->now - session->active_at;

	if (found == OUTCOMES_PENDING)
		verbs_await_decision(session);
	else if (found == OUTCOMES_UNKNOWN && verbs_may_come(session, waited))
		session_set_deadline(session, VERBS_STATUS_RETRY + waited / 4);
	else
		verbs_answer_outcome(session, &outcome);
}

static void verbs_status(struct session *session, const struct request *request)
{
	struct outcome outcome;
	bool wait;

	if (!control_read_status(request, session->awaited_id, &wait)) {
		verbs_answer_status(session, CONTROL_MALFORMED);
		return;
	}
	if (!wait) {
		(void)verbs_find_outcome(session, &outcome);
		verbs_answer_outcome(session, &outcome);
		return;
	}
	session->active_at = session->worker->now;
	session_set_state(session, SESSION_STATUS);
	verbs_pursue_status(session);
}

static void verbs_answer_waiter(struct session *session)
{
	struct outcome outcome;

	verbs_forget(session);
	(void)verbs_find_outcome(session, &outcome);
	verbs_answer_outcome(session, &outcome);
}

void verbs_on_status_deadline(struct session *session)
{
	if (session->previous_waiter)
		verbs_answer_waiter(session);
	else
		verbs_pursue_status(session);
}

void verbs_answer_waiters(struct worker *worker)
{
	struct session *session;
	struct session *next;
	struct outcome outcome;

	DL_FOREACH_SAFE2(worker->waiters, session, next, next_waiter)
	{
		if (verbs_find_outcome(session, &outcome) != OUTCOMES_PENDING)
			verbs_answer_waiter(session);
	}
}

static void verbs_gate(struct session *session, const struct request *request)
{
	unsigned milliseconds;

	if (!control_read_gate(request, &milliseconds)) {
		verbs_answer_status(session, CONTROL_MALFORMED);
		return;
	}
	if (session->worker->gates >= VERBS_MAX_GATES) {
		verbs_answer_status(session, CONTROL_BUSY);
		return;
	}
	session->worker->gates++;
	session_set_state(session, SESSION_GATE);
	session_set_deadline(session, milliseconds);
}

void verbs_on_gate_deadline(struct session *session)
{
	session->worker->gates--;
	session_set_state(session, SESSION_LINGER);
	verbs_answer_status(session, CONTROL_OK);
}

void verbs_begin(struct session *session, const struct request *request)
{
	static void (*const verbs[])(struct session *, const struct request *) = {
		[REQUEST_PING] = verbs_ping,
		[REQUEST_RESOLVE] = verbs_resolve,
		[REQUEST_STATUS] = verbs_status,
		[REQUEST_GATE] = verbs_gate,
	};

	statistics_add(&session->worker->shared->statistics->control_requests, 1);
	if (request->verb < ARRAY_SIZE(verbs) && verbs[request->verb])
		verbs[request->verb](session, request);
	else
		verbs_answer_status(session, CONTROL_UNKNOWN_VERB);
}

void verbs_forget(struct session *session)
{
	struct worker *worker = session->worker;

	if (session->state == SESSION_GATE)
		worker->gates--;
	if (session->previous_waiter)
		DL_DELETE2(worker->waiters, session, previous_waiter, next_waiter);
	session->previous_waiter = NULL;
}

void verbs_on_opener(struct session *session, uint32_t events)
{
	if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) && stream_probe(session->opener.fd) < 0)
		session_close(session, NULL);
}

// Reads and throws away, a bounded amount a time.
void verbs_on_lingering_opener(struct session *session, uint32_t events)
{
	struct worker *worker = session->worker;
	ssize_t length = recv(session->opener.fd, worker->scratch, WORKER_SCRATCH_SIZE, 0);

	(void)events;
	if (length == 0 || (length < 0 && errno != EAGAIN && errno != EINTR))
		session_close(session, NULL);
}

void verbs_on_linger_deadline(struct session *session)
{
	session_close(session, NULL);
}
