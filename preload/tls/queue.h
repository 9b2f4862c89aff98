// SPDX-License-Identifier: MIT
// Bytes on their way to a socket that would not take them yet. Unlike wire/buffer it grows: what
// GnuTLS hands over must be accepted whatever the socket says, and what a batch of records decrypts
// to is only known afterwards. Its users stop producing while it holds bytes; that is the bound.
#ifndef AIRLOCK_TLS_QUEUE_H
#define AIRLOCK_TLS_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/compiler.h"

#define QUEUE_BLOCK_SIZE (160u * 1024) // first memory of a queue
#define QUEUE_POOL_KEEPS 16

// Blocks that no queue uses now; the one used last is handed out first, while it is in the cache.
struct queue_pool {
	uint8_t *idle[QUEUE_POOL_KEEPS];
	size_t count;
};

struct queue {
	uint8_t *data; // NULL while nothing is held
	size_t capacity;
	size_t start; // of the oldest byte
	size_t length;
};

// Makes room for that many more bytes in one piece behind the last one. false: out of memory.
bool queue_reserve(struct queue *queue, struct queue_pool *pool, size_t room) MUST_CHECK;

// Where the next byte goes, and how many may go there.
uint8_t *queue_end(const struct queue *queue);
size_t queue_room(const struct queue *queue);

// length bytes were written at the end, or taken from the start. Going past either is a bug and
// traps.
void queue_produce(struct queue *queue, size_t length);
void queue_consume(struct queue *queue, size_t length);

// Reserve, copy, produce.
bool queue_append(
	struct queue *queue, struct queue_pool *pool, const void *data, size_t length) MUST_CHECK;

const uint8_t *queue_start(const struct queue *queue);

// Gives an empty queue's memory back.
void queue_settle(struct queue *queue, struct queue_pool *pool);

// Throws the content away; plaintext is wiped first.
void queue_clear(struct queue *queue, struct queue_pool *pool);

void queue_pool_destroy(struct queue_pool *pool);

#endif
