// SPDX-License-Identifier: MIT
// Theory of operation: a cookie's entry stands within WINDOW places behind the place that its hash
// names. An entry belongs to a cookie from the moment its `cookie` field says so, but counts only
// when its phase has left NONE. Taking a place over goes phase NONE, then cookie by
// compare-and-swap: of two takers one wins, and a reader sees the old entry, no entry, or the new
// one.
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

// Moves an entry from one owner to the next. Returns false when somebody else was faster.
static bool take(struct socket_entry *entry, uint64_t from, uint64_t to)
{
	if (from != 0)
		atomic_store_explicit(&entry->phase, SOCKET_PHASE_NONE, memory_order_release);
	return atomic_compare_exchange_strong(&entry->cookie, &from, to);
}

static struct socket_entry *take_free(struct socket_table *table, uint64_t cookie)
{
	for (uint32_t step = 0; step < WINDOW; step++) {
		struct socket_entry *entry = entry_at(table, first_place(cookie), step);
		if (atomic_load(&entry->cookie) == 0 && take(entry, 0, cookie))
			return entry;
	}
	return NULL;
}

// The oldest entry that is younger than `than`, so that calls go from the oldest to the youngest.
static struct socket_entry *next_oldest(struct socket_table *table, uint64_t cookie, uint64_t than)
{
	struct socket_entry *oldest = NULL;

	for (uint32_t step = 0; step < WINDOW; step++) {
		struct socket_entry *entry = entry_at(table, first_place(cookie), step);
		if (entry->sequence > than && (!oldest || entry->sequence < oldest->sequence))
			oldest = entry;
	}
	return oldest;
}

// The oldest dead entry; when all may be alive, the oldest. The window is full, so there is one.
static struct socket_entry *choose_victim(struct socket_table *table, uint64_t cookie,
	bool (*is_dead)(const struct socket_entry *entry))
{
	struct socket_entry *oldest = next_oldest(table, cookie, 0);

	for (struct socket_entry *entry = oldest; entry;
		entry = next_oldest(table, cookie, entry->sequence)) {
		if (is_dead(entry))
			return entry;
	}
	return oldest ? oldest : entry_at(table, first_place(cookie), 0);
}

static void reset(struct socket_table *table, struct socket_entry *entry)
{
	entry->sequence = atomic_fetch_add(&table->next_sequence, 1) + 1;
	atomic_store(&entry->flags, 0);
	atomic_store(&entry->error, 0);
	atomic_store(&entry->option_length, 0);
}

struct socket_entry *socket_table_insert(struct socket_table *table, uint64_t cookie,
	bool (*is_dead)(const struct socket_entry *entry))
{
	struct socket_entry *entry = take_free(table, cookie);

	while (!entry) {
		struct socket_entry *victim = choose_victim(table, cookie, is_dead);
		if (take(victim, atomic_load(&victim->cookie), cookie))
			entry = victim;
	}
	reset(table, entry);
	return entry;
}

void socket_entry_publish(struct socket_entry *entry, enum socket_phase phase)
{
	atomic_store_explicit(&entry->phase, phase, memory_order_release);
}
