// SPDX-License-Identifier: MIT
// A worker's turn: wait; read the clock once; hand each event to its listener, session or resolver;
// fire what is due; run the sessions that had used up their rounds; only then free the slots of
// sessions that ended, so that an event is never handed to a slot's next tenant.
#include "hostd/worker.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <utlist.h>

#include "hostd/event.h"
#include "hostd/log.h"
#include "hostd/relay.h"
#include "hostd/verbs.h"
#include "wire/clock.h"

#define WORKER_BATCH     256 // events a turn
#define WORKER_LOG_QUOTA 20  // lines a second, see worker_may_log

static uint64_t session_token(const struct session *session, uint8_t part)
{
	return event_pack((struct event){
		.kind = EVENT_SESSION,
		.part = part,
		.index = session->index,
		.generation = session->generation,
	});
}

int worker_watch(struct session *session, int fd, uint8_t part, uint32_t events)
{
	struct epoll_event watch = {
		.events = events | EPOLLET, .data.u64 = session_token(session, part)};

	return epoll_ctl(session->worker->epoll, EPOLL_CTL_ADD, fd, &watch) < 0 ? -errno : 0;
}

int worker_rewatch(struct session *session, int fd, uint8_t part, uint32_t events)
{
	struct epoll_event watch = {
		.events = events | EPOLLET, .data.u64 = session_token(session, part)};

	return epoll_ctl(session->worker->epoll, EPOLL_CTL_MOD, fd, &watch) < 0 ? -errno : 0;
}

void worker_make_ready(struct session *session)
{
	struct worker *worker = session->worker;

	if (session->is_ready)
		return;
	session->is_ready = true;
	session->next_ready = NULL;
	if (worker->ready)
		worker->ready_last->next_ready = session;
	else
		worker->ready = session;
	worker->ready_last = session;
}

// Those that were ready when the turn began: what becomes ready meanwhile waits for the next turn.
static void worker_run_ready(struct worker *worker)
{
	struct session *session = worker->ready;

	worker->ready = NULL;
	worker->ready_last = NULL;
	while (session) {
		struct session *next = session->next_ready;

		session->is_ready = false;
		if (session->state == SESSION_RELAY)
			relay_run(session);
		session = next;
	}
}

bool worker_may_log(struct worker *worker)
{
	if (worker->quota_second != worker->now / 1000) {
		worker->quota_second = worker->now / 1000;
		worker->quota_used = 0;
	}
	return worker->quota_used++ < WORKER_LOG_QUOTA;
}

static struct session *worker_find(struct worker *worker, uint64_t token)
{
	struct event event = event_unpack(token);

	return session_table_find(&worker->sessions, event.index, event.generation);
}

void worker_look_up(struct session *session, const char *name)
{
	resolver_start(session->worker->resolver, name, session_token(session, 0));
}

static void worker_take_names(
	void *context, uint64_t token, const struct control_addresses *answer, const char *text)
{
	struct worker *worker = context;
	struct session *session = worker_find(worker, token);

	if (answer->failure != OUTCOME_NONE)
		statistics_add(&worker->shared->statistics->resolver_failures, 1);
	if (session)
		session_handle_names(session, answer, text);
}

static int worker_add(struct worker *worker, int fd, enum event_kind kind)
{
	struct epoll_event watch = {
		.events = EPOLLIN, .data.u64 = event_pack((struct event){.kind = kind})};

	return epoll_ctl(worker->epoll, EPOLL_CTL_ADD, fd, &watch) < 0 ? -errno : 0;
}

// Another resolver for other servers: lookups under way are asked again of the new one.
static int worker_change_resolver(struct worker *worker)
{
	struct config *config = worker->config;
	struct resolver *resolver = resolver_create(config->resolvers, worker_take_names, worker);
	struct session *session;
	int error;

	if (!resolver)
		return -ENOMEM;
	error = worker_add(worker, resolver_descriptor(resolver), EVENT_RESOLVER);
	if (error) {
		resolver_destroy(resolver);
		return error;
	}
	resolver_destroy(worker->resolver);
	config_release(worker->resolver_config);
	worker->resolver = resolver;
	worker->resolver_config = config_hold(config);
	for (size_t at = 0; (session = session_table_at(&worker->sessions, at)); at++) {
		session_ask_again(session);
	}
	return 0;
}

// A new configuration that leaves the servers to the system has them read again.
static bool worker_wants_resolver(const struct worker *worker, const struct config *old)
{
	const char *servers = worker->config->resolvers;

	if (!worker->resolver || strcmp(worker->resolver_config->resolvers, servers) != 0)
		return true;
	return worker->config != old && servers[0] == '\0';
}

static int worker_take_config(struct worker *worker, struct config *config)
{
	struct config *old = worker->config;
	int error = 0;

	worker->config = config;
	if (worker_wants_resolver(worker, old))
		error = worker_change_resolver(worker);
	if (old)
		config_release(old);
	return error;
}

// Takes over what shared has: at the start, and at each wake.
static int worker_refresh(struct worker *worker)
{
	struct shared *shared = worker->shared;
	struct config *config;
	struct listener_set *listeners;
	int error;

	pthread_mutex_lock(&shared->lock);
	config = config_hold(shared->config);
	listeners = shared->listeners ? listener_set_hold(shared->listeners) : NULL;
	pthread_mutex_unlock(&shared->lock);
	error = worker_take_config(worker, config);
	acceptor_watch(&worker->acceptor, listeners);
	return error;
}

static void worker_clear(int eventfd)
{
	uint64_t count;

	// Level-triggered: should this fail, the worker merely comes back.
	(void)!read(eventfd, &count, sizeof(count));
}

static void worker_handle(struct worker *worker, const struct epoll_event *epoll_event)
{
	struct event event = event_unpack(epoll_event->data.u64);
	struct session *session;

	switch (event.kind) {
	case EVENT_WAKE:
		worker_clear(worker->wake);
		if (worker_refresh(worker) < 0)
			log_message(LOG_LEVEL_ERROR,
				"the new resolver cannot start: the old one is asked until "
				"the next reload");
		return;
	case EVENT_DECISION:
		worker_clear(worker->decision);
		verbs_answer_waiters(worker);
		return;
	case EVENT_RESOLVER:
		resolver_process(worker->resolver);
		return;
	case EVENT_LISTENER:
		acceptor_accept(&worker->acceptor, event.index, event.generation);
		return;
	case EVENT_SESSION:
		session = session_table_find(&worker->sessions, event.index, event.generation);
		if (session)
			session_handle_event(session, event.part, epoll_event->events);
		return;
	}
}

static void worker_flush_statistics(struct worker *worker)
{
	if (worker->bytes_up)
		statistics_add(&worker->shared->statistics->bytes_up, worker->bytes_up);
	if (worker->bytes_down)
		statistics_add(&worker->shared->statistics->bytes_down, worker->bytes_down);
	worker->bytes_up = 0;
	worker->bytes_down = 0;
}

static void worker_turn(struct worker *worker)
{
	struct epoll_event events[WORKER_BATCH];
	int patience = worker->ready ? 0 : timers_wait(&worker->timers, worker->now);
	int count = epoll_wait(worker->epoll, events, WORKER_BATCH, patience);

	worker->now = clock_now_ms();
	for (int at = 0; at < count; at++)
		worker_handle(worker, &events[at]);
	timers_run(&worker->timers, worker->now);
	worker_run_ready(worker);
	worker_flush_statistics(worker);
	session_table_reap(&worker->sessions);
}

static bool worker_is_done(const struct worker *worker)
{
	if (atomic_load(&worker->shared->is_stopping))
		return true;
	return atomic_load(&worker->shared->is_draining) && !worker->sessions.in_use;
}

static void worker_close_sessions(struct worker *worker)
{
	struct outcome outcome;
	struct session *session;

	outcome_set(&outcome, OUTCOME_STAGE_INTERNAL, OUTCOME_RESET, "the daemon has ended");
	for (size_t at = 0; (session = session_table_at(&worker->sessions, at)); at++) {
		if (session->state != SESSION_FREE && session->state != SESSION_ENDED)
			session_close(session, &outcome);
	}
	worker_flush_statistics(worker);
	session_table_reap(&worker->sessions);
}

static void *worker_main(void *argument)
{
	struct worker *worker = argument;

	while (!worker_is_done(worker))
		worker_turn(worker);
	acceptor_watch(&worker->acceptor, NULL);
	worker_close_sessions(worker);
	atomic_fetch_sub(&worker->shared->running, 1);
	return NULL;
}

static void worker_close(int fd)
{
	if (fd >= 0)
		close(fd);
}

static void worker_destroy(struct worker *worker)
{
	acceptor_watch(&worker->acceptor, NULL);
	resolver_destroy(worker->resolver);
	config_release(worker->resolver_config);
	if (worker->decision >= 0)
		outcomes_forget_waiter(worker->shared->outcomes, worker->decision);
	session_table_destroy(&worker->sessions);
	timers_destroy(&worker->timers);
	pool_destroy(&worker->pool);
	worker_close(worker->decision);
	worker_close(worker->wake);
	worker_close(worker->epoll);
	if (worker->config)
		config_release(worker->config);
	free(worker->scratch);
	free(worker);
}

static int worker_set_up(struct worker *worker)
{
	int error;

	worker->scratch = malloc(WORKER_SCRATCH_SIZE);
	if (!worker->scratch)
		return -ENOMEM;
	if (worker->epoll < 0 || worker->wake < 0 || worker->decision < 0)
		return -EMFILE;
	error = timers_reserve(&worker->timers, 1);
	if (!error)
		error = worker_add(worker, worker->wake, EVENT_WAKE);
	if (!error)
		error = worker_add(worker, worker->decision, EVENT_DECISION);
	if (!error)
		error = worker_refresh(worker);
	if (!error)
		error = -pthread_create(&worker->thread, NULL, worker_main, worker);
	return error;
}

struct worker *worker_start(struct shared *shared, unsigned number, char *message, size_t size)
{
	struct worker *worker = calloc(1, sizeof(*worker));
	int error;

	if (!worker) {
		snprintf(message, size, "out of memory for a worker");
		return NULL;
	}
	worker->shared = shared;
	worker->number = number;
	worker->now = clock_now_ms();
	worker->epoll = epoll_create1(EPOLL_CLOEXEC);
	worker->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	worker->decision = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	acceptor_create(&worker->acceptor, worker);
	atomic_fetch_add(&shared->running, 1);
	error = worker_set_up(worker);
	if (error) {
		atomic_fetch_sub(&shared->running, 1);
		snprintf(message, size, "cannot start a worker: %s", strerror(-error));
		worker_destroy(worker);
		return NULL;
	}
	return worker;
}

void worker_wake(struct worker *worker)
{
	uint64_t one = 1;

	(void)!write(worker->wake, &one, sizeof(one));
}

void worker_join(struct worker *worker)
{
	pthread_join(worker->thread, NULL);
	worker_destroy(worker);
}
