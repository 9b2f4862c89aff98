// SPDX-License-Identifier: MIT
// Theory of operation
//
// A session is one accepted stream. It belongs to one worker for life, so nothing here takes a
// lock. Its state says which phase's functions get the opener's events, the destination's events
// and the deadline (the table `states` below); a state is left only through session_set_state.
//
//	accept
//	  |                 garbage, too late
//	REQUEST ------------------------------------------------------> ENDED
//	  | connect           | control verb
//	  |                   +--> LOOKUP, STATUS, GATE --> LINGER ---> ENDED
//	  |                   +----- answered at once ------^
//	  +--> RESOLVE --> DIAL --> PROXY --> RELAY ------------------> ENDED
//	       (names)       |   (upstream)   ^  |
//	                     +----------------+  both directions finished,
//	                                         or one side failed
//
// Up to the grant the request stays unread in the stream, which keeps the opener's gate closed;
// closing the stream then is a refusal. The opener is watched for going away meanwhile.
//
// Events are edge-triggered, and what an edge said is kept in struct end until a call says
// otherwise; hence a request that is not whole, or bytes behind it, cause no second wake.
//
// session_close is the one end, from any state. It stores an abnormal outcome and gives the
// stream's place back before the stream is closed, because the opener asks STATUS as soon as it
// sees the close, or dials again. The slot stays ENDED until the worker has handled its batch of
// events.
#include "hostd/session.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "hostd/connect.h"
#include "hostd/dial.h"
#include "hostd/log.h"
#include "hostd/proxy.h"
#include "hostd/relay.h"
#include "hostd/request_phase.h"
#include "hostd/verbs.h"
#include "hostd/worker.h"

#define SESSION_OPENER_EVENTS (EPOLLIN | EPOLLRDHUP | EPOLLPRI)
#define SESSION_TIMERS        2 // at a time: the deadline, and the next attempt or merge

struct session_phase {
	const char *name;
	void (*on_opener)(struct session *session, uint32_t events);
	void (*on_destination)(struct session *session, uint8_t part, uint32_t events);
	void (*on_names)(
		struct session *session, const struct control_addresses *answer, const char *text);
	void (*on_deadline)(struct session *session);
};

static const struct session_phase states[] = {
	[SESSION_FREE] = {.name = "free"},
	[SESSION_REQUEST] = {.name = "request",
		.on_opener = request_phase_on_opener,
		.on_deadline = request_phase_on_deadline},
	[SESSION_RESOLVE] = {.name = "resolve",
		.on_opener = connect_on_opener,
		.on_names = connect_on_names,
		.on_deadline = connect_on_deadline},
	[SESSION_DIAL] = {.name = "dial",
		.on_opener = connect_on_opener,
		.on_destination = dial_on_destination,
		.on_deadline = dial_on_deadline},
	[SESSION_PROXY] = {.name = "proxy",
		.on_opener = connect_on_opener,
		.on_destination = proxy_on_destination,
		.on_deadline = proxy_on_deadline},
	[SESSION_RELAY] = {.name = "relay",
		.on_opener = relay_on_opener,
		.on_destination = relay_on_destination,
		.on_deadline = relay_on_deadline},
	[SESSION_LOOKUP] = {.name = "lookup",
		.on_opener = verbs_on_opener,
		.on_names = verbs_on_names,
		.on_deadline = verbs_on_lookup_deadline},
	[SESSION_STATUS] = {.name = "status",
		.on_opener = verbs_on_opener,
		.on_deadline = verbs_on_status_deadline},
	[SESSION_GATE] = {.name = "gate",
		.on_opener = verbs_on_opener,
		.on_deadline = verbs_on_gate_deadline},
	[SESSION_LINGER] = {.name = "linger",
		.on_opener = verbs_on_lingering_opener,
		.on_deadline = verbs_on_linger_deadline},
	[SESSION_ENDED] = {.name = "ended"},
};

void session_set_state(struct session *session, enum session_state state)
{
	struct log_line line;

	log_begin(&line, LOG_LEVEL_DEBUG, "state");
	log_number(&line, "worker", session->worker->number);
	log_number(&line, "session", session->index);
	log_text(&line, "from", states[session->state].name);
	log_text(&line, "to", states[state].name);
	log_write(&line);
	session->state = state;
}

void session_set_deadline(struct session *session, uint64_t milliseconds)
{
	struct worker *worker = session->worker;

	timers_arm(&worker->timers, &session->timer, worker->now + milliseconds);
}

static void session_on_timer(void *owner)
{
	struct session *session = owner;

	states[session->state].on_deadline(session);
}

void end_note_events(struct end *end, uint32_t events)
{
	if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		end->is_readable = true;
	if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
		end->is_writable = true;
	if (events & (EPOLLPRI | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		end->must_drain = true;
}

void session_handle_event(struct session *session, uint8_t part, uint32_t events)
{
	const struct session_phase *phase = &states[session->state];

	if (!part && phase->on_opener) {
		end_note_events(&session->opener, events);
		phase->on_opener(session, events);
	} else if (part && phase->on_destination) {
		if (part == session->destination_part)
			end_note_events(&session->destination, events);
		phase->on_destination(session, part, events);
	}
}

void session_handle_names(
	struct session *session, const struct control_addresses *answer, const char *text)
{
	if (states[session->state].on_names)
		states[session->state].on_names(session, answer, text);
}

void session_ask_again(struct session *session)
{
	if (session->state == SESSION_LOOKUP)
		worker_look_up(session, session->name);
	else if (session->state == SESSION_RESOLVE)
		worker_look_up(session, connect_name_to_resolve(session));
}

// A stream that gets no session.
static void session_turn_away(struct worker *worker, int fd, uint32_t cid, const char *reason)
{
	struct log_line line;

	close(fd);
	acceptor_resume(&worker->acceptor);
	if (!worker_may_log(worker))
		return;
	log_begin(&line, LOG_LEVEL_WARN, reason);
	log_number(&line, "cid", cid);
	log_write(&line);
}

static struct session *session_take(struct worker *worker)
{
	struct session *session = session_table_take(&worker->sessions);

	if (!session)
		return NULL;
	if (timers_reserve(&worker->timers, SESSION_TIMERS * worker->sessions.in_use + 1) < 0) {
		session_table_put(&worker->sessions, session);
		return NULL;
	}
	session->worker = worker;
	session->started_at = worker->now;
	timer_set_up(&session->timer, session_on_timer, session);
	return session;
}

static void session_start(struct session *session)
{
	struct statistics *statistics = session->worker->shared->statistics;
	int error;

	atomic_fetch_add_explicit(&statistics->streams_open, 1, memory_order_relaxed);
	session_set_state(session, SESSION_REQUEST);
	session_set_deadline(session, session->config->header_timeout);
	error = worker_watch(session, session->opener.fd, 0, SESSION_OPENER_EVENTS);
	if (error)
		session_refuse(session, OUTCOME_STAGE_INTERNAL, OUTCOME_INTERNAL,
			"cannot watch the stream: %s", strerror(-error));
}

void session_begin(struct worker *worker, int fd, enum endpoint_transport transport, uint32_t cid)
{
	const struct enclave *enclave = config_find_enclave(worker->config, cid);
	struct statistics *statistics = worker->shared->statistics;
	struct session *session;
	struct limit *limit;

	statistics_add(&statistics->streams_accepted, 1);
	if (!enclave) {
		statistics_add(&statistics->unknown_cids, 1);
		session_turn_away(worker, fd, cid, "no enclave lists the CID");
		return;
	}
	limit = limits_find(worker->shared->limits, enclave->name);
	if (!limit || !limit_enter_stream(limit, enclave)) {
		statistics_add(&statistics->streams_ended[OUTCOME_LIMIT], 1);
		session_turn_away(worker, fd, cid, "the enclave has too many streams open");
		return;
	}
	session = session_take(worker);
	if (!session) {
		limit_leave_stream(limit);
		session_turn_away(worker, fd, cid, "out of memory for a stream");
		return;
	}
	session->opener.fd = fd;
	session->transport = transport;
	session->cid = cid;
	session->config = config_hold(worker->config);
	session->enclave = enclave;
	session->limit = limit;
	session_start(session);
}

static void session_log_end(const struct session *session, const struct outcome *outcome)
{
	char text[ADDRESS_TEXT_SIZE];
	char id[REQUEST_ID_TEXT_SIZE];
	struct log_line line;
	bool is_abnormal = outcome->class != OUTCOME_NONE;
	enum log_level level = is_abnormal ? LOG_LEVEL_WARN : LOG_LEVEL_INFO;

	log_begin(&line, session->is_connect ? level : LOG_LEVEL_DEBUG, "stream ended");
	log_text(&line, "id", request_id_format(session->id, id));
	log_number(&line, "cid", session->cid);
	log_text(&line, "enclave", session->enclave->name);
	log_text(&line, "program", session->program);
	if (session->name)
		log_text(&line, "name", session->name);
	else if (session->is_connect)
		log_text(&line, "address", address_format(&session->requested, text));
	log_number(&line, "port", session->requested_port);
	if (session->dialled.family != ADDRESS_NONE) {
		log_text(&line, "dialled", address_format(&session->dialled, text));
		log_number(&line, "dialled_port", session->dialled_port);
	}
	log_number(&line, "up", session->up.bytes);
	log_number(&line, "down", session->down.bytes);
	log_number(&line, "milliseconds", session->worker->now - session->started_at);
	log_text(&line, "stage", outcome_stage_name(outcome->stage));
	log_text(&line, "class", is_abnormal ? outcome_class_name(outcome->class) : "none");
	if (outcome->text[0])
		log_text(&line, "text", outcome->text);
	log_write(&line);
}

static void session_count_end(const struct session *session, const struct outcome *outcome)
{
	struct statistics *statistics = session->worker->shared->statistics;

	atomic_fetch_sub_explicit(&statistics->streams_open, 1, memory_order_relaxed);
	if (session->is_granted)
		atomic_fetch_sub_explicit(&statistics->streams_relaying, 1, memory_order_relaxed);
	if (!session->is_connect || (!session->is_granted && outcome->class == OUTCOME_NONE))
		return;
	if (outcome->class < STATISTICS_CLASSES)
		statistics_add(&statistics->streams_ended[outcome->class], 1);
}

static void session_remember(const struct session *session, const struct outcome *outcome)
{
	const struct worker *worker = session->worker;

	if (!session->has_begun || (session->is_granted && outcome->class == OUTCOME_NONE))
		return;
	outcomes_store(worker->shared->outcomes, session->cid, session->id, outcome, worker->now);
}

static void session_close_sockets(struct session *session)
{
	struct linger abort = {.l_onoff = 1, .l_linger = 0};

	if (session->destination.fd >= 0) {
		// With a linger time of 0, close sends an RST (socket(7), tcp(7)).
		if (session->aborts_destination)
			(void)setsockopt(session->destination.fd, SOL_SOCKET, SO_LINGER, &abort,
				sizeof(abort));
		close(session->destination.fd);
	}
	close(session->opener.fd);
}

static void session_leave_limits(struct session *session)
{
	if (session->has_connection)
		limit_leave_connection(session->limit);
	limit_leave_stream(session->limit);
}

// Comes last: the outcome may be the dial's.
static void session_release(struct session *session)
{
	struct worker *worker = session->worker;

	verbs_forget(session);
	if (session->dial)
		dial_destroy(session);
	timers_cancel(&worker->timers, &session->timer);
	timers_cancel(&worker->timers, &session->merge);
	pool_return(&worker->pool, buffer_detach(&session->up.pending));
	pool_return(&worker->pool, buffer_detach(&session->down.pending));
	free(session->name);
	session->name = NULL;
	config_release(session->config);
}

void session_close(struct session *session, const struct outcome *outcome)
{
	static const struct outcome in_order = {.stage = OUTCOME_STAGE_OPEN, .class = OUTCOME_NONE};
	struct worker *worker = session->worker;

	if (!outcome)
		outcome = &in_order;
	session_remember(session, outcome);
	session_leave_limits(session);
	session_close_sockets(session);
	session_count_end(session, outcome);
	session_log_end(session, outcome);
	session_release(session);
	session_set_state(session, SESSION_ENDED);
	session_table_put(&worker->sessions, session);
	acceptor_resume(&worker->acceptor);
}

void session_refuse(struct session *session, enum outcome_stage stage, enum outcome_class class,
	const char *format, ...)
{
	struct outcome outcome;
	char text[OUTCOME_TEXT_SIZE];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	outcome_set(&outcome, stage, class, "%s", text);
	session_close(session, &outcome);
}

void session_reject(struct session *session, const char *reason)
{
	struct worker *worker = session->worker;
	struct log_line line;

	statistics_add(&worker->shared->statistics->malformed, 1);
	if (worker_may_log(worker)) {
		log_begin(&line, LOG_LEVEL_WARN, "malformed request");
		log_number(&line, "cid", session->cid);
		log_text(&line, "enclave", session->enclave->name);
		log_text(&line, "reason", reason);
		log_write(&line);
	}
	session->is_connect = false;
	session_close(session, NULL);
}
