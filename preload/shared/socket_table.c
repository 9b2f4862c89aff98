// SPDX-License-Identifier: MIT
// Theory of operation: a cookie's entry stands within WINDOW places behind the place that its hash
// names. An entry belongs to a cookie from the moment its `cookie` field says so, but counts only
// when its phase has left NONE. A free place is taken by compare-and-swap of its cookie. A used one
// is taken over by compare-and-swap of its sequence, which makes it the youngest at once: nobody
// else will choose it while it is being filled. Then goes phase NONE, then the cookie: a reader
// sees the old entry, no entry, or the new one.
#include "preload/shared/socket_table.h"

#include <stddef.h>

#define WINDOW 16u

// Cookies count up (per processor, in batches): Fibonacci hashing spreads them over the upper bits.
static uint32_t first_place(uint64_t cookie)
{
	return (uint32_t)((cookie * 0x9e3779b97f4a7c15u) >> 48) & (SOCKET_TABLE_ENTRIES - 1);
}

static struct socket_entry *entry_at(struct socket_table *table, uint32_t first, uint32_t step)
{
	return &table->entries[(first + step) & (SOCKET_TABLE_ENTRIES - 1)];
}

struct socket_entry *socket_table_find(struct socket_table *table, uint64_t cookie)
{
	uint32_t first = first_place(cookie);

	for (uint32_t step = 0; step < WINDOW; step++) {
		struct socket_entry *entry = entry_at(table, first, step);
		if (atomic_load_explicit(&entry->cookie, memory_order_acquire) == cookie)
			return atomic_load_explicit(&entry->phase, memory_order_acquire) ==
					       SOCKET_PHASE_NONE
				       ? NULL
				       : entry;
	}
	return NULL;
}

static uint64_t next_sequence(struct socket_table *table)
{
	return atomic_fetch_add(&table->next_sequence, 1) + 1;
}

// The sequence stays 0 until the place is the caller's: while another is to be had, nobody evicts
// what has none.
static struct socket_entry *take_free(struct socket_table *table, uint64_t cookie)
{
	for (uint32_t step = 0; step < WINDOW; step++) {
		struct socket_entry *entry = entry_at(table, first_place(cookie), step);
		uint64_t free = 0, none = 0;

		if (atomic_load(&entry->cookie) == 0 &&
			atomic_compare_exchange_strong(&entry->cookie, &free, cookie) &&
			atomic_compare_exchange_strong(
				&entry->sequence, &none, next_sequence(table)))
			return entry;
	}
	return NULL;
}

// Returns false when somebody else was faster.
static bool take_over(
	struct socket_table *table, struct socket_entry *victim, uint64_t sequence, uint64_t cookie)
{
	if (!atomic_compare_exchange_strong(&victim->sequence, &sequence, next_sequence(table)))
		return false;
	atomic_store_explicit(&victim->phase, SOCKET_PHASE_NONE, memory_order_release);
	atomic_store(&victim->cookie, cookie);
	return true;
}

// The oldest entry that is younger than `*sequence`, which becomes its own, so that calls go from
// the oldest to the youngest.
static struct socket_entry *next_oldest(
	struct socket_table *table, uint64_t cookie, uint64_t *sequence)
{
	struct socket_entry *oldest = NULL;
	uint64_t than = *sequence;

	for (uint32_t step = 0; step < WINDOW; step++) {
		struct socket_entry *entry = entry_at(table, first_place(cookie), step);
		uint64_t age = atomic_load(&entry->sequence);

		if (age <= than || (oldest && age >= *sequence))
			continue;
		oldest = entry;
		*sequence = age;
	}
	return oldest;
}

// The least used entry, of these the oldest. The window is full, so there is one. *sequence is its
// sequence.
static struct socket_entry *choose_victim(struct socket_table *table, uint64_t cookie,
	enum socket_use (*use_of)(const struct socket_entry *entry), uint64_t *sequence)
{
	struct socket_entry *victim = entry_at(table, first_place(cookie), 0), *entry;
	unsigned least = SOCKET_USED + 1;
	uint64_t at = 0;

	*sequence = 0;
	while (least > SOCKET_UNUSED && (entry = next_oldest(table, cookie, &at))) {
		enum socket_use use = use_of(entry);

		if (use >= least)
			continue;
		least = use;
		victim = entry;
		*sequence = at;
	}
	return victim;
}

static void reset(struct socket_entry *entry)
{
	atomic_store(&entry->flags, 0);
	atomic_store(&entry->error, 0);
	atomic_store(&entry->option_length, 0);
}

struct socket_entry *socket_table_insert(struct socket_table *table, uint64_t cookie,
	enum socket_use (*use_of)(const struct socket_entry *entry))
{
	struct socket_entry *entry = take_free(table, cookie);

	while (!entry) {
		uint64_t sequence;
		struct socket_entry *victim = choose_victim(table, cookie, use_of, &sequence);

		if (take_over(table, victim, sequence, cookie))
			entry = victim;
	}
	reset(entry);
	return entry;
}

void socket_entry_publish(struct socket_entry *entry, enum socket_phase phase)
{
	atomic_store_explicit(&entry->phase, phase, memory_order_release);
}
