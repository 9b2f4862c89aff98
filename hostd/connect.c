// SPDX-License-Identifier: MIT
// Order of the questions: is the enclave within its limits; may it ask for this name or address and
// port; what does the name resolve to; may it reach that address. Exactly an address that passed
// the last question is dialled: the name is not resolved a second time.
//
// With an upstream proxy it is the proxy that resolves, so the last question cannot be asked; the
// proxy's own address comes from the configuration and is not subject to the enclave's rules.
#include "hostd/connect.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "hostd/dial.h"
#include "hostd/policy.h"
#include "hostd/relay.h"
#include "hostd/worker.h"
#include "wire/stream.h"

static bool session_has_proxy(const struct session *session)
{
	return session->enclave->upstream.kind != UPSTREAM_DIRECT;
}

static bool connect_remember_request(struct session *session, const struct request *request)
{
	session->is_connect = true;
	session->requested = address_unmap(&request->destination);
	session->requested_port = request->destination_port;
	if (request->name[0]) {
		session->name = strdup(request->name);
		if (!session->name)
			return false;
	}
	return dial_create(session, request->destination.family) == 0;
}

static bool connect_passes_limits(struct session *session)
{
	const struct enclave *enclave = session->enclave;

	switch (limit_enter_connection(session->limit, enclave, session->worker->now)) {
	case LIMIT_GRANTED:
		session->has_connection = true;
		return true;
	case LIMIT_CONNECTIONS:
		session_refuse(session, OUTCOME_STAGE_LIMIT, OUTCOME_LIMIT,
			"enclave %s has its %u connections open", enclave->name,
			enclave->max_connections);
		return false;
	case LIMIT_RATE:
		break;
	}
	session_refuse(session, OUTCOME_STAGE_LIMIT, OUTCOME_LIMIT,
		"enclave %s opens more than %u connections a second", enclave->name,
		enclave->max_rate);
	return false;
}

static bool connect_passes_policy(struct session *session)
{
	struct policy_decision decision;

	if (session->name)
		policy_check_name(
			session->enclave, session->name, session->requested_port, &decision);
	else
		policy_check_literal(
			session->enclave, &session->requested, session->requested_port, &decision);
	if (!decision.is_allowed) {
		session_refuse(
			session, OUTCOME_STAGE_POLICY, OUTCOME_DENIED, "%s", decision.reason);
		return false;
	}
	session->dial->rule = decision.rule;
	return true;
}

const char *connect_name_to_resolve(const struct session *session)
{
	return session_has_proxy(session) ? session->enclave->upstream.host : session->name;
}

static void connect_resolve(struct session *session)
{
	session_set_state(session, SESSION_RESOLVE);
	worker_look_up(session, connect_name_to_resolve(session));
}

static void connect_find_addresses(struct session *session)
{
	const char *proxy = session->enclave->upstream.host;
	struct address address = session->requested;

	if (session_has_proxy(session)) {
		session->dial->port = session->enclave->upstream.port;
		if (!address_parse(proxy, strlen(proxy), &address, NULL)) {
			connect_resolve(session);
			return;
		}
	} else {
		session->dial->port = session->requested_port;
		if (session->name) {
			connect_resolve(session);
			return;
		}
	}
	dial_add_address(session->dial, &address);
	dial_start(session);
}

void connect_begin(struct session *session, const struct request *request)
{
	struct worker *worker = session->worker;

	if (!outcomes_begin(worker->shared->outcomes, session->cid, session->id, worker->now)) {
		session_reject(session, "its id is in use");
		return;
	}
	session->has_begun = true;
	if (!connect_remember_request(session, request)) {
		session_refuse(session, OUTCOME_STAGE_INTERNAL, OUTCOME_INTERNAL, "out of memory");
		return;
	}
	if (!connect_passes_limits(session) || !connect_passes_policy(session))
		return;
	session_set_deadline(session, session->config->dial_timeout);
	connect_find_addresses(session);
}

// Hands the answer's addresses that pass on to the dial. Returns false, with the first reason, when
// none does.
static bool connect_filter(struct session *session, const struct control_addresses *answer,
	char reason[static POLICY_REASON_SIZE])
{
	struct policy_decision decision;
	size_t allowed = 0;

	reason[0] = '\0';
	for (size_t at = 0; at < answer->count; at++) {
		const struct address *address = &answer->addresses[at];

		policy_check_resolved(session->enclave, session->dial->rule, session->name, address,
			session->requested_port, &decision);
		if (decision.is_allowed) {
			dial_add_address(session->dial, address);
			allowed++;
		} else if (!reason[0]) {
			memcpy(reason, decision.reason, POLICY_REASON_SIZE);
		}
	}
	return allowed > 0;
}

void connect_on_names(
	struct session *session, const struct control_addresses *answer, const char *text)
{
	char reason[POLICY_REASON_SIZE];

	if (answer->failure != OUTCOME_NONE) {
		session_refuse(session, OUTCOME_STAGE_NAME, answer->failure, "%s%s",
			session_has_proxy(session) ? "the upstream proxy: " : "", text);
		return;
	}
	if (session_has_proxy(session)) {
		for (size_t at = 0; at < answer->count; at++)
			dial_add_address(session->dial, &answer->addresses[at]);
	} else if (!connect_filter(session, answer, reason)) {
		session_refuse(session, OUTCOME_STAGE_POLICY, OUTCOME_DENIED, "%s", reason);
		return;
	}
	dial_start(session);
}

void connect_on_deadline(struct session *session)
{
	session_refuse(session, OUTCOME_STAGE_NAME, OUTCOME_TIMED_OUT,
		"no answer from the name server within %lu ms", session->config->dial_timeout);
}

void connect_on_opener(struct session *session, uint32_t events)
{
	struct outcome outcome;

	if (!(events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)))
		return;
	// A program may have ended its sending side early; only one that is gone altogether is
	// given up, and not when it has sent something already: where the gate does not hold it was
	// told that it is connected, and that its bytes are on their way.
	if (stream_probe(session->opener.fd) == 0 ||
		stream_has_more_than_request(session->opener.fd))
		return;
	outcome_set(&outcome, OUTCOME_STAGE_DIAL, OUTCOME_NONE, "the opener went away");
	session_close(session, &outcome);
}

void connect_grant(struct session *session)
{
	struct outcome outcome = {.stage = OUTCOME_STAGE_OPEN, .class = OUTCOME_NONE};
	struct worker *worker = session->worker;
	int error;

	if (session->failure)
		relay_describe_failure(session, &outcome);
	// Decided before the gate opens: the opener may ask STATUS the moment it is woken.
	recent_add(worker->shared->recent, session->cid, session->id);
	outcomes_store(worker->shared->outcomes, session->cid, session->id, &outcome, worker->now);
	error = stream_open_gate(session->opener.fd, session->transport);
	if (error) {
		session_refuse(session, OUTCOME_STAGE_INTERNAL, OUTCOME_INTERNAL,
			"cannot open the gate: %s", strerror(-error));
		return;
	}
	session->is_granted = true;
	statistics_add(&worker->shared->statistics->streams_granted, 1);
	atomic_fetch_add_explicit(
		&worker->shared->statistics->streams_relaying, 1, memory_order_relaxed);
	dial_destroy(session);
	relay_start(session);
}
