// SPDX-License-Identifier: MIT
// One worker's share in accepting: watches every listener together with the other workers, and
// pauses one that cannot be accepted from for want of descriptors or memory.
#ifndef AIRLOCK_HOSTD_ACCEPTOR_H
#define AIRLOCK_HOSTD_ACCEPTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hostd/listener.h"
#include "hostd/timers.h"

struct worker;

struct acceptor {
	struct worker *worker;
	struct listener_set *set; // NULL: none is watched
	bool *is_paused;          // by index in set
	size_t paused;
	uint32_t generation; // of set, in this worker
	struct timer resume;
	uint64_t logged_at; // ms of the last line about a pause
};

void acceptor_create(struct acceptor *acceptor, struct worker *worker);

// Watches the listeners of set (NULL: none) instead of those watched so far. Takes the reference
// over.
void acceptor_watch(struct acceptor *acceptor, struct listener_set *set);

// Accepts a bounded number of streams from the listener that epoll reported.
void acceptor_accept(struct acceptor *acceptor, uint32_t index, uint32_t generation);

// Descriptors may have become free: tries the paused listeners again.
void acceptor_resume(struct acceptor *acceptor);

#endif
