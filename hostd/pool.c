// SPDX-License-Identifier: MIT
#include "hostd/pool.h"

#include <stdlib.h>

uint8_t *pool_borrow(struct pool *pool)
{
	if (pool->count)
		return pool->idle[--pool->count];
	return malloc(POOL_BUFFER_SIZE);
}

void pool_return(struct pool *pool, uint8_t *data)
{
	if (data && pool->count < POOL_KEEPS)
		pool->idle[pool->count++] = data;
	else
		free(data);
}

void pool_destroy(struct pool *pool)
{
	while (pool->count)
		free(pool->idle[--pool->count]);
}
