// SPDX-License-Identifier: MIT
#include "preload/shared/name_pool.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <criterion/criterion.h>

#define THREADS      8
#define THREAD_NAMES 300

// Of name_pool.c: a slot being written holds its writer's pid.
#define STATE_FREE 0u

static struct name_pool *pool;

static void map_pool(void)
{
	pool = mmap(NULL, sizeof(*pool), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	cr_assert_neq(pool, MAP_FAILED);
}

static void unmap_pool(void)
{
	munmap(pool, sizeof(*pool));
}

static struct address_block block_of(const char *text)
{
	struct address_block block;

	cr_assert(address_block_parse(text, strlen(text), &block, NULL), "%s", text);
	return block;
}

static struct address address_of(const char *text)
{
	struct address address;

	cr_assert(address_parse(text, strlen(text), &address, NULL), "%s", text);
	return address;
}

// The slot that the name gets first in an empty pool.
static int home_slot(const char *name, uint32_t limit)
{
	map_pool();
	int slot = name_pool_insert(pool, name, limit);
	unmap_pool();
	return slot;
}

TestSuite(name_pool, .init = map_pool, .fini = unmap_pool);

Test(name_pool, a_name_gets_one_slot_and_keeps_it)
{
	int slot = name_pool_insert(pool, "web.example", NAME_POOL_SLOTS);

	cr_assert_geq(slot, 0);
	cr_assert_eq(name_pool_insert(pool, "web.example", NAME_POOL_SLOTS), slot);
	cr_assert_eq(name_pool_find(pool, "web.example", NAME_POOL_SLOTS), slot);
	cr_assert_str_eq(name_pool_name(pool, (uint32_t)slot), "web.example");
	cr_assert_neq(name_pool_insert(pool, "web.example.net", NAME_POOL_SLOTS), slot);
}

Test(name_pool, finding_a_name_does_not_make_it)
{
	cr_assert_eq(name_pool_find(pool, "web.example", NAME_POOL_SLOTS), -ENOENT);
	int slot = name_pool_insert(pool, "other.example", NAME_POOL_SLOTS);
	cr_assert_eq(name_pool_find(pool, "web.example", NAME_POOL_SLOTS), -ENOENT);
	cr_assert_eq(name_pool_find(pool, "other.example", NAME_POOL_SLOTS), slot);
}

Test(name_pool, the_longest_name_fits)
{
	char name[NAME_SIZE];

	memset(name, 'a', NAME_MAX_LENGTH);
	for (size_t i = 63; i < NAME_MAX_LENGTH; i += 64)
		name[i] = '.';
	name[NAME_MAX_LENGTH] = '\0';
	int slot = name_pool_insert(pool, name, NAME_POOL_SLOTS);
	cr_assert_geq(slot, 0);
	cr_assert_str_eq(name_pool_name(pool, (uint32_t)slot), name);
}

Test(name_pool, a_slot_without_a_name_has_none)
{
	cr_assert_null(name_pool_name(pool, 7));
	cr_assert_null(name_pool_name(pool, NAME_POOL_SLOTS));
	cr_assert_null(name_pool_name(pool, UINT32_MAX));
}

Test(name_pool, two_pools_agree_about_a_name_without_sharing)
{
	int slot = name_pool_insert(pool, "web.example", 1000);
	struct name_pool *first = pool;
	int other = home_slot("web.example", 1000);

	pool = first;
	cr_assert_eq(other, slot);
}

Test(name_pool, a_full_pool_refuses_new_names_and_keeps_the_old)
{
	char name[NAME_SIZE];

	for (int i = 0; i < 12; i++) {
		snprintf(name, sizeof(name), "host%d.example", i);
		cr_assert_geq(name_pool_insert(pool, name, 12), 0, "%s", name);
	}
	cr_assert_eq(name_pool_insert(pool, "one-more.example", 12), -ENOSPC);
	cr_assert_eq(name_pool_find(pool, "one-more.example", 12), -ENOENT);
	for (int i = 0; i < 12; i++) {
		snprintf(name, sizeof(name), "host%d.example", i);
		int slot = name_pool_insert(pool, name, 12);
		cr_assert_geq(slot, 0);
		cr_assert_lt(slot, 12);
		cr_assert_str_eq(name_pool_name(pool, (uint32_t)slot), name);
	}
}

Test(name_pool, a_pool_of_no_slots_refuses_everything)
{
	cr_assert_eq(name_pool_insert(pool, "web.example", 0), -ENOSPC);
	cr_assert_eq(name_pool_find(pool, "web.example", 0), -ENOENT);
}

Test(name_pool, limits_follow_the_smaller_block)
{
	static const struct {
		const char *ipv4;
		const char *ipv6;
		uint32_t limit;
	} cases[] = {
		{"198.18.0.0/15", "fd61:6972:6c6f::/96", NAME_POOL_SLOTS},
		{"198.18.0.0/16", "fd61:6972:6c6f::/96", 65532},
		{"198.18.0.0/24", "fd61:6972:6c6f::/96", 252},
		{"198.18.0.0/15", "fd61:6972:6c6f::/124", 12},
		{"198.18.0.0/30", "fd61:6972:6c6f::/96", 0},
		{"198.18.0.1", "fd61:6972:6c6f::/96", 0},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct address_block ipv4 = block_of(cases[i].ipv4);
		struct address_block ipv6 = block_of(cases[i].ipv6);

		cr_assert_eq(name_pool_limit(&ipv4, &ipv6), cases[i].limit, "%s %s", cases[i].ipv4,
			cases[i].ipv6);
	}
}

Test(name_pool, slots_and_addresses_correspond)
{
	static const struct {
		const char *block;
		uint32_t slot;
		const char *address;
	} cases[] = {
		{"198.18.0.0/15", 0, "198.18.0.4"},
		{"198.18.0.0/15", 251, "198.18.0.255"},
		{"198.18.0.0/15", 252, "198.18.1.0"},
		{"198.18.0.0/15", 65531, "198.18.255.255"},
		{"198.18.0.0/15", 65535, "198.19.0.3"},
		{"10.9.8.240/28", 11, "10.9.8.255"},
		{"fd61:6972:6c6f::/96", 0, "fd61:6972:6c6f::4"},
		{"fd61:6972:6c6f::/96", 65535, "fd61:6972:6c6f::1:3"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct address_block block = block_of(cases[i].block);
		struct address expected = address_of(cases[i].address), address;

		name_pool_address(&block, cases[i].slot, &address);
		cr_assert(address_is_equal(&address, &expected), "%s", cases[i].address);
		cr_assert_eq(name_pool_slot(&block, &expected), (int)cases[i].slot, "%s",
			cases[i].address);
	}
}

Test(name_pool, addresses_that_no_slot_has_are_refused)
{
	static const struct {
		const char *block;
		const char *address;
	} cases[] = {
		{"198.18.0.0/15", "198.18.0.0"},
		{"198.18.0.0/15", "198.18.0.3"},
		{"198.18.0.0/15", "198.19.0.4"},
		{"198.18.0.0/15", "198.19.255.255"},
		{"198.18.0.0/15", "198.20.0.5"},
		{"198.18.0.0/15", "fd61:6972:6c6f::4"},
		{"fd61:6972:6c6f::/96", "fd61:6972:6c6f::3"},
		{"fd61:6972:6c6f::/96", "fd61:6972:6c6f::1:4"},
		{"fd61:6972:6c6f::/96", "fd61:6972:6c6f::ffff:ffff"},
		{"fd61:6972:6c6f::/48", "fd61:6972:6c6f:8000::4"},
		{"fd61:6972:6c6f::/96", "198.18.0.4"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct address_block block = block_of(cases[i].block);
		struct address address = address_of(cases[i].address);

		cr_assert_eq(name_pool_slot(&block, &address), -1, "%s", cases[i].address);
	}
}

Test(name_pool, the_own_address_is_the_first_and_no_slot)
{
	struct address_block block = block_of("198.18.0.0/15");
	struct address expected = address_of("198.18.0.1"), address;

	name_pool_own_address(&block, &address);
	cr_assert(address_is_equal(&address, &expected));
	cr_assert_eq(name_pool_slot(&block, &address), -1);
}

// Leaves the name's slot as a writer that never finishes would.
static int leave_half_written(const char *name, uint32_t limit, pid_t writer)
{
	struct name_pool *own = pool;
	int slot = home_slot(name, limit);

	pool = own;
	memset(pool->slots[slot].name, 'x', 20);
	atomic_store(&pool->slots[slot].state, (uint32_t)writer);
	return slot;
}

Test(name_pool, a_writer_killed_half_way_costs_its_slot_and_nothing_else)
{
	int ready[2];
	char byte;

	cr_assert_eq(pipe(ready), 0);
	pid_t writer = fork();
	if (writer == 0) {
		leave_half_written("web.example", NAME_POOL_SLOTS, getpid());
		(void)!write(ready[1], "x", 1);
		for (;;)
			pause();
	}
	cr_assert_eq(read(ready[0], &byte, 1), 1);
	kill(writer, SIGKILL);
	cr_assert_eq(waitpid(writer, NULL, 0), writer);

	struct name_pool *own = pool;
	int lost = home_slot("web.example", NAME_POOL_SLOTS);
	pool = own;
	int slot = name_pool_insert(pool, "web.example", NAME_POOL_SLOTS);
	cr_assert_geq(slot, 0);
	cr_assert_neq(slot, lost);
	cr_assert_null(name_pool_name(pool, (uint32_t)lost));
	cr_assert_str_eq(name_pool_name(pool, (uint32_t)slot), "web.example");
	cr_assert_eq(name_pool_find(pool, "web.example", NAME_POOL_SLOTS), slot);
}

Test(name_pool, a_stopped_writer_is_not_waited_for_for_ever, .timeout = 10)
{
	// pid 1 lives, and will never publish.
	int lost = leave_half_written("web.example", NAME_POOL_SLOTS, 1);
	int slot = name_pool_insert(pool, "web.example", NAME_POOL_SLOTS);

	cr_assert_geq(slot, 0);
	cr_assert_neq(slot, lost);
	cr_assert_neq(atomic_load(&pool->slots[lost].state), STATE_FREE);
}

// --- racing inserters

static int found[THREADS][THREAD_NAMES];

// Every thread inserts the same names, each in an order of its own, so that they meet at many
// slots.
static void *insert_all(void *argument)
{
	static const size_t strides[THREADS] = {
		1, 7, 11, 13, 17, 19, 23, 29}; // prime to THREAD_NAMES
	size_t thread = (size_t)argument;
	char name[NAME_SIZE];

	for (size_t i = 0; i < THREAD_NAMES; i++) {
		size_t number = (i * strides[thread] + thread) % THREAD_NAMES;

		snprintf(name, sizeof(name), "host-%zu.example", number);
		found[thread][number] = name_pool_insert(pool, name, 512);
	}
	return NULL;
}

static void expect_one_slot_each(void)
{
	char name[NAME_SIZE];

	for (int number = 0; number < THREAD_NAMES; number++) {
		int copies = 0;

		snprintf(name, sizeof(name), "host-%d.example", number);
		for (uint32_t slot = 0; slot < 512; slot++) {
			const char *other = name_pool_name(pool, slot);
			copies += other && strcmp(other, name) == 0;
		}
		cr_assert_eq(copies, 1, "%s has %d slots", name, copies);
	}
}

Test(name_pool, racing_threads_end_with_one_slot_a_name)
{
	pthread_t threads[THREADS];

	for (size_t i = 0; i < THREADS; i++)
		cr_assert_eq(pthread_create(&threads[i], NULL, insert_all, (void *)i), 0);
	for (size_t i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	for (int number = 0; number < THREAD_NAMES; number++) {
		cr_assert_geq(found[0][number], 0);
		for (size_t i = 1; i < THREADS; i++)
			cr_assert_eq(found[i][number], found[0][number]);
	}
	expect_one_slot_each();
}

Test(name_pool, racing_processes_that_are_killed_leave_a_pool_that_works, .timeout = 30)
{
	pid_t children[4];

	for (size_t i = 0; i < ARRAY_SIZE(children); i++) {
		children[i] = fork();
		if (children[i] == 0) {
			for (;;)
				insert_all((void *)i);
		}
	}
	while (!name_pool_name(pool, 0) && !name_pool_name(pool, 1) && !name_pool_name(pool, 2))
		insert_all((void *)7);
	for (size_t i = 0; i < ARRAY_SIZE(children); i++) {
		kill(children[i], SIGKILL);
		waitpid(children[i], NULL, 0);
	}
	insert_all((void *)0);
	for (int number = 0; number < THREAD_NAMES; number++)
		cr_assert_geq(found[0][number], 0);
	expect_one_slot_each();
}
