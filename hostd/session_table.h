// SPDX-License-Identifier: MIT
// A worker's session slots: allocated in slabs, found by index and generation, never moved and
// never given back to the system. Not thread-safe.
#ifndef AIRLOCK_HOSTD_SESSION_TABLE_H
#define AIRLOCK_HOSTD_SESSION_TABLE_H

#include <stddef.h>
#include <stdint.h>

#include "hostd/session.h"
#include "wire/compiler.h"

#define SESSION_TABLE_SLAB 64 // slots

struct session_table {
	struct session **slabs;
	size_t slab_count;
	size_t in_use;
	struct session *free;
	struct session *ended; // to be freed after the batch
};

// A zeroed slot with its index and generation, or NULL: no memory, or 2^24 in use.
struct session *session_table_take(struct session_table *table) MUST_CHECK;

// The slot is freed by the next session_table_reap, so that events of this batch still find it; one
// that is in the worker's list of ready sessions, which runs through the slots, by a later one.
void session_table_put(struct session_table *table, struct session *session);
void session_table_reap(struct session_table *table);

// NULL when the slot was freed since.
struct session *session_table_find(
	const struct session_table *table, uint32_t index, uint32_t generation);

// The slot of that index whatever its state, NULL past the last: for visiting all.
struct session *session_table_at(const struct session_table *table, size_t index);

void session_table_destroy(struct session_table *table);

#endif
