// SPDX-License-Identifier: MIT
// Relay memory of one worker. A stream borrows a buffer only while it holds bytes that the other
// side would not take; a few idle ones are kept for the next stream in need. Not thread-safe.
#ifndef AIRLOCK_HOSTD_POOL_H
#define AIRLOCK_HOSTD_POOL_H

#include <stddef.h>
#include <stdint.h>

#include "wire/compiler.h"

#define POOL_BUFFER_SIZE (128u * 1024)
#define POOL_KEEPS       32 // idle buffers; the rest goes back to the system at once

struct pool {
	uint8_t *idle[POOL_KEEPS];
	size_t count;
};

// POOL_BUFFER_SIZE bytes, or NULL.
uint8_t *pool_borrow(struct pool *pool) MUST_CHECK;
void pool_return(struct pool *pool, uint8_t *data); // NULL: nothing
void pool_destroy(struct pool *pool);

#endif
