// SPDX-License-Identifier: MIT
#include "preload/shared/socket_table.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <criterion/criterion.h>

#define WINDOW 16 // places that a cookie's entry may have

static struct socket_table *table;
static uint64_t dead_cookie;     // unused
static uint64_t doubtful_cookie; // perhaps used; all others are

static void map_table(void)
{
	table = mmap(
		NULL, sizeof(*table), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	cr_assert_neq(table, MAP_FAILED);
	dead_cookie = 0;
	doubtful_cookie = 0;
}

static void unmap_table(void)
{
	munmap(table, sizeof(*table));
}

TestSuite(preload_socket_table, .init = map_table, .fini = unmap_table);

static enum socket_use use_of(const struct socket_entry *entry)
{
	if (entry->cookie == dead_cookie)
		return SOCKET_UNUSED;
	return entry->cookie == doubtful_cookie ? SOCKET_PERHAPS_USED : SOCKET_USED;
}

static struct socket_entry *insert_open(uint64_t cookie)
{
	struct socket_entry *entry = socket_table_insert(table, cookie, use_of);

	socket_entry_publish(entry, SOCKET_PHASE_OPEN);
	return entry;
}

// Cookies of one neighbourhood, found by trying: each one's first place is where an entry goes in
// an empty table.
static void find_colliding_cookies(uint64_t *cookies, size_t count)
{
	size_t place = (size_t)(insert_open(1) - table->entries);
	size_t found = 0;

	for (uint64_t cookie = 1; found < count; cookie++) {
		memset(table, 0, sizeof(uint64_t));
		for (size_t i = place; i < place + WINDOW; i++)
			memset(&table->entries[i % SOCKET_TABLE_ENTRIES], 0,
				sizeof(struct socket_entry));
		struct socket_entry *entry = insert_open(cookie);
		if ((size_t)(entry - table->entries) == place)
			cookies[found++] = cookie;
		memset(entry, 0, sizeof(*entry));
	}
}

Test(preload_socket_table, finds_nothing_in_an_empty_table)
{
	cr_assert_null(socket_table_find(table, 4711));
}

Test(preload_socket_table, finds_an_entry_only_once_it_is_published)
{
	struct socket_entry *entry = socket_table_insert(table, 4711, use_of);

	cr_assert_not_null(entry);
	cr_assert_null(socket_table_find(table, 4711), "a half-filled entry was handed out");
	socket_entry_publish(entry, SOCKET_PHASE_PENDING);
	cr_assert_eq(socket_table_find(table, 4711), entry);
	cr_assert_null(socket_table_find(table, 4712));
}

Test(preload_socket_table, keeps_cookies_that_count_up_apart)
{
	enum { COUNT = 20000 };

	for (uint64_t cookie = 1; cookie <= COUNT; cookie++)
		insert_open(cookie)->peer_port = (uint16_t)cookie;
	for (uint64_t cookie = 1; cookie <= COUNT; cookie++) {
		struct socket_entry *entry = socket_table_find(table, cookie);
		cr_assert_not_null(entry, "cookie %lu was lost", (unsigned long)cookie);
		cr_assert_eq(entry->peer_port, (uint16_t)cookie);
	}
}

Test(preload_socket_table, evicts_the_dead_entry_of_a_full_neighbourhood)
{
	uint64_t cookies[WINDOW + 1];

	find_colliding_cookies(cookies, WINDOW + 1);
	for (size_t i = 0; i < WINDOW; i++)
		insert_open(cookies[i]);
	dead_cookie = cookies[9];
	insert_open(cookies[WINDOW]);
	for (size_t i = 0; i <= WINDOW; i++)
		cr_assert_eq(socket_table_find(table, cookies[i]) == NULL, i == 9,
			"entry %zu of the neighbourhood", i);
}

Test(preload_socket_table, evicts_a_doubtful_entry_before_older_ones_but_after_dead_ones)
{
	uint64_t cookies[WINDOW + 2];

	find_colliding_cookies(cookies, WINDOW + 2);
	for (size_t i = 0; i < WINDOW; i++)
		insert_open(cookies[i]);
	doubtful_cookie = cookies[3];
	dead_cookie = cookies[9];
	insert_open(cookies[WINDOW]);
	cr_assert_null(socket_table_find(table, dead_cookie));
	cr_assert_not_null(socket_table_find(table, doubtful_cookie));
	insert_open(cookies[WINDOW + 1]);
	cr_assert_null(socket_table_find(table, doubtful_cookie));
	for (size_t i = 0; i < 3; i++)
		cr_assert_not_null(socket_table_find(table, cookies[i]), "entry %zu", i);
}

Test(preload_socket_table, evicts_the_oldest_entry_when_none_is_dead)
{
	uint64_t cookies[WINDOW + 2];

	find_colliding_cookies(cookies, WINDOW + 2);
	for (size_t i = 0; i < WINDOW + 2; i++)
		insert_open(cookies[i]);
	for (size_t i = 0; i < WINDOW + 2; i++)
		cr_assert_eq(socket_table_find(table, cookies[i]) == NULL, i < 2,
			"entry %zu of the neighbourhood", i);
}

Test(preload_socket_table, clears_what_the_evicted_entry_left_behind)
{
	uint64_t cookies[WINDOW + 1];

	find_colliding_cookies(cookies, WINDOW + 1);
	for (size_t i = 0; i < WINDOW; i++) {
		struct socket_entry *entry = insert_open(cookies[i]);
		entry->flags = SOCKET_FLAG_READ_SHUT | SOCKET_FLAG_CONNECT_TOLD;
		entry->error = 111;
		entry->option_length = 20;
	}
	struct socket_entry *entry = socket_table_insert(table, cookies[WINDOW], use_of);
	cr_assert_eq(entry->flags, 0);
	cr_assert_eq(entry->error, 0);
	cr_assert_eq(entry->option_length, 0);
	cr_assert_eq(entry->phase, SOCKET_PHASE_NONE);
}

#define THREADS    4
#define PER_THREAD 4000

static void *insert_many(void *argument)
{
	uint64_t first = *(uint64_t *)argument;

	for (uint64_t cookie = first; cookie < first + PER_THREAD; cookie++) {
		struct socket_entry *entry = socket_table_insert(table, cookie, use_of);
		entry->peer_port = (uint16_t)(cookie * 7);
		socket_entry_publish(entry, SOCKET_PHASE_OPEN);
	}
	return NULL;
}

Test(preload_socket_table, gives_each_of_several_threads_its_own_entries)
{
	pthread_t threads[THREADS];
	uint64_t firsts[THREADS];

	for (size_t i = 0; i < THREADS; i++) {
		firsts[i] = 1 + i * PER_THREAD;
		cr_assert_eq(pthread_create(&threads[i], NULL, insert_many, &firsts[i]), 0);
	}
	for (size_t i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	for (uint64_t cookie = 1; cookie <= THREADS * PER_THREAD; cookie++) {
		struct socket_entry *entry = socket_table_find(table, cookie);
		cr_assert_not_null(entry);
		cr_assert_eq(entry->peer_port, (uint16_t)(cookie * 7));
	}
}
