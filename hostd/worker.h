// SPDX-License-Identifier: MIT
// One thread of the daemon: its own epoll set, timers, resolver, sessions and relay memory. Workers
// share only what struct shared holds.
#ifndef AIRLOCK_HOSTD_WORKER_H
#define AIRLOCK_HOSTD_WORKER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hostd/acceptor.h"
#include "hostd/config.h"
#include "hostd/limits.h"
#include "hostd/listener.h"
#include "hostd/outcomes.h"
#include "hostd/pool.h"
#include "hostd/recent.h"
#include "hostd/resolver.h"
#include "hostd/session_table.h"
#include "hostd/statistics.h"
#include "hostd/timers.h"
#include "wire/compiler.h"

#define WORKER_SCRATCH_SIZE POOL_BUFFER_SIZE // what one read leaves over always fits a buffer

struct shared {
	struct outcomes *outcomes;
	struct limits *limits;
	struct recent *recent;
	struct statistics *statistics;
	pthread_mutex_t lock;
	struct config *config;          // the newest; under lock
	struct listener_set *listeners; // the newest, NULL while draining; under lock
	atomic_bool is_draining;        // a worker without sessions ends
	atomic_bool is_stopping;        // sessions are closed, all workers end
	atomic_uint running;            // workers
};

struct worker {
	struct shared *shared;
	unsigned number;
	pthread_t thread;
	int epoll;
	int wake;     // eventfd: look at shared again
	int decision; // eventfd: given to outcomes_wait
	uint64_t now; // ms of CLOCK_MONOTONIC at the start of this turn
	struct config *config;
	struct resolver *resolver;
	struct config
		*resolver_config; // whose servers it asks: an older one if no other could start
	struct timers timers;
	struct acceptor acceptor;
	struct session_table sessions;
	struct session *ready; // sessions that used up their rounds, oldest first
	struct session *ready_last;
	struct session *waiters; // sessions in state STATUS
	unsigned gates;          // sessions in state GATE
	struct pool pool;
	uint8_t *scratch;  // WORKER_SCRATCH_SIZE bytes between one read and one write
	uint64_t bytes_up; // not yet added to the statistics
	uint64_t bytes_down;
	uint64_t quota_second; // worker_may_log's
	unsigned quota_used;
};

// Starts the thread. NULL: no descriptors, memory or thread, and message says so.
struct worker *worker_start(
	struct shared *shared, unsigned number, char *message, size_t size) MUST_CHECK;

// Something in shared has changed. Any thread.
void worker_wake(struct worker *worker);

// Waits for the thread and frees the worker.
void worker_join(struct worker *worker);

// --- for the worker's own sessions

// Watches fd, edge-triggered. 0 or -errno.
int worker_watch(struct session *session, int fd, uint8_t part, uint32_t events) MUST_CHECK;
int worker_rewatch(struct session *session, int fd, uint8_t part, uint32_t events) MUST_CHECK;

// The session has more to do without a new event: it is run again after this batch.
void worker_make_ready(struct session *session);

// Asks the resolver; the answer comes to session_handle_names.
void worker_look_up(struct session *session, const char *name);

// Lines that an enclave can cause at will, other than the one for each stream, have a quota.
bool worker_may_log(struct worker *worker);

#endif
