// SPDX-License-Identifier: MIT
#include "preload/tls/queue.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

static struct queue_pool pool;

static void drain(struct queue *queue, size_t length, uint8_t first)
{
	for (size_t i = 0; i < length; i++)
		cr_assert_eq(queue_start(queue)[i], (uint8_t)(first + i));
	queue_consume(queue, length);
}

static void fill(struct queue *queue, size_t length, uint8_t first)
{
	cr_assert(queue_reserve(queue, &pool, length));
	for (size_t i = 0; i < length; i++)
		queue_end(queue)[i] = (uint8_t)(first + i);
	queue_produce(queue, length);
}

Test(tls_queue, bytes_come_out_in_order)
{
	struct queue queue = {0};

	fill(&queue, 100, 0);
	drain(&queue, 40, 0);
	fill(&queue, 100, 100);
	drain(&queue, 160, 40);
	cr_assert_eq(queue.length, 0);
	queue_clear(&queue, &pool);
}

Test(tls_queue, it_grows_past_its_first_block_and_keeps_what_it_holds)
{
	struct queue queue = {0};

	fill(&queue, 1000, 7);
	fill(&queue, 3 * QUEUE_BLOCK_SIZE, (uint8_t)(7 + 1000));
	drain(&queue, 1000 + 3 * QUEUE_BLOCK_SIZE, 7);
	queue_clear(&queue, &pool);
}

Test(tls_queue, room_that_was_taken_is_used_again)
{
	struct queue queue = {0};

	fill(&queue, 1, 0);
	for (int i = 1; i < 100; i++) {
		fill(&queue, QUEUE_BLOCK_SIZE / 2, (uint8_t)i);
		queue_consume(&queue, QUEUE_BLOCK_SIZE / 2);
		cr_assert_eq(queue.length, 1);
		cr_assert_leq(queue.capacity, 2 * QUEUE_BLOCK_SIZE);
	}
	queue_clear(&queue, &pool);
}

Test(tls_queue, an_empty_one_gives_its_memory_to_the_next)
{
	struct queue one = {0}, other = {0};
	const uint8_t *memory;

	fill(&one, 10, 0);
	memory = one.data;
	queue_settle(&one, &pool);
	cr_assert_not_null(one.data, "it holds bytes");
	queue_consume(&one, 10);
	queue_settle(&one, &pool);
	cr_assert_null(one.data);
	fill(&other, 10, 0);
	cr_assert_eq(other.data, memory);
	queue_clear(&other, &pool);
	queue_pool_destroy(&pool);
	cr_assert_eq(pool.count, 0);
}

Test(tls_queue, cleared_bytes_are_wiped)
{
	struct queue queue = {0};
	const uint8_t *memory;

	cr_assert(queue_append(&queue, &pool, "secret", 6));
	memory = queue_start(&queue);
	queue_clear(&queue, &pool);
	cr_assert_neq(memcmp(memory, "secret", 6), 0); // the pool keeps the block
}

Test(tls_queue, room_that_cannot_be_had_is_refused)
{
	struct queue queue = {0};

	fill(&queue, 1, 0);
	cr_assert_not(queue_reserve(&queue, &pool, SIZE_MAX));
	cr_assert_eq(queue.length, 1);
	queue_clear(&queue, &pool);
}

Test(tls_queue, producing_past_the_room_traps, .signal = SIGABRT)
{
	struct queue queue = {0};

	cr_assert(queue_reserve(&queue, &pool, 1));
	queue_produce(&queue, queue_room(&queue) + 1);
}

Test(tls_queue, consuming_what_is_not_there_traps, .signal = SIGABRT)
{
	struct queue queue = {0};

	fill(&queue, 1, 0);
	queue_consume(&queue, 2);
}
