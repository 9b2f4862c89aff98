// SPDX-License-Identifier: MIT
#include "preload/tls/queue.h"

#include <stdlib.h>
#include <string.h>

static uint8_t *pool_borrow(struct queue_pool *pool)
{
	return pool->count ? pool->idle[--pool->count] : malloc(QUEUE_BLOCK_SIZE);
}

// Only blocks of the usual size are kept.
static void pool_return(struct queue_pool *pool, uint8_t *data, size_t capacity)
{
	if (capacity == QUEUE_BLOCK_SIZE && pool->count < QUEUE_POOL_KEEPS)
		pool->idle[pool->count++] = data;
	else
		free(data);
}

void queue_pool_destroy(struct queue_pool *pool)
{
	while (pool->count)
		free(pool->idle[--pool->count]);
}

// Not realloc(3), which would leave a copy of the bytes behind.
static bool queue_move(struct queue *queue, struct queue_pool *pool, size_t capacity)
{
	uint8_t *data = capacity <= QUEUE_BLOCK_SIZE ? pool_borrow(pool) : malloc(capacity);

	if (!data)
		return false;
	if (queue->data) {
		memcpy(data, queue->data + queue->start, queue->length);
		explicit_bzero(queue->data + queue->start, queue->length);
		pool_return(pool, queue->data, queue->capacity);
	}
	queue->data = data;
	queue->capacity = capacity <= QUEUE_BLOCK_SIZE ? QUEUE_BLOCK_SIZE : capacity;
	queue->start = 0;
	return true;
}

bool queue_reserve(struct queue *queue, struct queue_pool *pool, size_t room)
{
	size_t needed = queue->length + room;

	if (needed < room)
		return false;
	if (queue->data && queue_room(queue) >= room)
		return true;
	if (queue->data && queue->capacity >= needed && queue->start >= queue->capacity / 2) {
		memmove(queue->data, queue->data + queue->start, queue->length);
		queue->start = 0;
		return true;
	}
	return queue_move(queue, pool, needed + needed / 2);
}

uint8_t *queue_end(const struct queue *queue)
{
	return queue->data + queue->start + queue->length;
}

size_t queue_room(const struct queue *queue)
{
	return queue->capacity - queue->start - queue->length;
}

const uint8_t *queue_start(const struct queue *queue)
{
	return queue->data + queue->start;
}

void queue_produce(struct queue *queue, size_t length)
{
	if (length > queue_room(queue))
		abort();
	queue->length += length;
}

void queue_consume(struct queue *queue, size_t length)
{
	if (length > queue->length)
		abort();
	queue->start += length;
	queue->length -= length;
	if (!queue->length)
		queue->start = 0;
}

bool queue_append(struct queue *queue, struct queue_pool *pool, const void *data, size_t length)
{
	if (!queue_reserve(queue, pool, length))
		return false;
	memcpy(queue_end(queue), data, length);
	queue_produce(queue, length);
	return true;
}

void queue_settle(struct queue *queue, struct queue_pool *pool)
{
	if (queue->length || !queue->data)
		return;
	pool_return(pool, queue->data, queue->capacity);
	*queue = (struct queue){0};
}

void queue_clear(struct queue *queue, struct queue_pool *pool)
{
	if (queue->length)
		explicit_bzero(queue->data + queue->start, queue->length);
	queue->length = 0;
	queue_settle(queue, pool);
}
