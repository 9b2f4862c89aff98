// SPDX-License-Identifier: MIT
// Listeners are watched level-triggered with EPOLLEXCLUSIVE, so that a new stream wakes one worker
// and what one leaves in the backlog wakes another. Such a registration can be added and removed
// but not modified (epoll_ctl(2)): pausing is removing.
#include "hostd/acceptor.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "hostd/event.h"
#include "hostd/log.h"
#include "hostd/session.h"
#include "hostd/worker.h"

#define ACCEPTOR_BATCH     64   // streams a turn, so that those that relay get theirs
#define ACCEPTOR_PAUSE     100  // ms
#define ACCEPTOR_LOG_EVERY 1000 // ms

static void acceptor_add(struct acceptor *acceptor, size_t index)
{
	struct event event = {.kind = EVENT_LISTENER,
		.index = (uint32_t)index,
		.generation = acceptor->generation};
	struct epoll_event watch = {
		.events = EPOLLIN | EPOLLEXCLUSIVE, .data.u64 = event_pack(event)};

	if (epoll_ctl(acceptor->worker->epoll, EPOLL_CTL_ADD,
		    acceptor->set->listeners[index].socket->fd, &watch) < 0)
		log_message(LOG_LEVEL_ERROR, "cannot watch a listener: %s", strerror(errno));
}

static void acceptor_remove(struct acceptor *acceptor, size_t index)
{
	(void)epoll_ctl(acceptor->worker->epoll, EPOLL_CTL_DEL,
		acceptor->set->listeners[index].socket->fd, NULL);
}

static void acceptor_timeout(void *owner)
{
	acceptor_resume(owner);
}

void acceptor_create(struct acceptor *acceptor, struct worker *worker)
{
	*acceptor = (struct acceptor){.worker = worker};
	timer_set_up(&acceptor->resume, acceptor_timeout, acceptor);
}

static void acceptor_forget(struct acceptor *acceptor)
{
	for (size_t at = 0; acceptor->set && at < acceptor->set->count; at++) {
		if (!acceptor->is_paused[at])
			acceptor_remove(acceptor, at);
	}
	timers_cancel(&acceptor->worker->timers, &acceptor->resume);
	listener_set_release(acceptor->set);
	free(acceptor->is_paused);
	acceptor->set = NULL;
	acceptor->is_paused = NULL;
	acceptor->paused = 0;
}

void acceptor_watch(struct acceptor *acceptor, struct listener_set *set)
{
	bool *is_paused = NULL;

	if (set) {
		is_paused = calloc(set->count + 1, sizeof(*is_paused));
		if (!is_paused) {
			log_message(LOG_LEVEL_ERROR, "no memory to watch the new listeners");
			listener_set_release(set);
			return;
		}
	}
	acceptor_forget(acceptor);
	acceptor->generation = (acceptor->generation + 1) & EVENT_MAX_GENERATION;
	acceptor->set = set;
	acceptor->is_paused = is_paused;
	for (size_t at = 0; set && at < set->count; at++)
		acceptor_add(acceptor, at);
}

static bool error_is_shortage(int error)
{
	return error == -EMFILE || error == -ENFILE || error == -ENOBUFS || error == -ENOMEM;
}

static void acceptor_pause(struct acceptor *acceptor, size_t index, int error)
{
	struct worker *worker = acceptor->worker;

	statistics_add(&worker->shared->statistics->accept_pauses, 1);
	acceptor_remove(acceptor, index);
	acceptor->is_paused[index] = true;
	acceptor->paused++;
	if (!acceptor->resume.position)
		timers_arm(&worker->timers, &acceptor->resume, worker->now + ACCEPTOR_PAUSE);
	if (acceptor->logged_at && worker->now - acceptor->logged_at < ACCEPTOR_LOG_EVERY)
		return;
	acceptor->logged_at = worker->now;
	log_message(LOG_LEVEL_WARN, "accepting pauses: %s", strerror(-error));
}

void acceptor_resume(struct acceptor *acceptor)
{
	if (!acceptor->paused)
		return;
	timers_cancel(&acceptor->worker->timers, &acceptor->resume);
	for (size_t at = 0; at < acceptor->set->count; at++) {
		if (!acceptor->is_paused[at])
			continue;
		acceptor->is_paused[at] = false;
		acceptor_add(acceptor, at);
	}
	acceptor->paused = 0;
}

void acceptor_accept(struct acceptor *acceptor, uint32_t index, uint32_t generation)
{
	const struct listener *listener;

	if (!acceptor->set || generation != acceptor->generation || acceptor->is_paused[index])
		return;
	listener = &acceptor->set->listeners[index];
	for (int count = 0; count < ACCEPTOR_BATCH; count++) {
		uint32_t cid = 0;
		int fd = listener_accept(listener, &cid);

		if (fd == -EAGAIN)
			return;
		if (error_is_shortage(fd)) {
			acceptor_pause(acceptor, index, fd);
			return;
		}
		// Anything else is the fault of one stream that is gone already (accept(2) lists
		// the errors).
		if (fd < 0)
			continue;
		session_begin(acceptor->worker, fd, listener->socket->endpoint.transport, cid);
	}
}
