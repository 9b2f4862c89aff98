// SPDX-License-Identifier: MIT
#include "hostd/limits.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

struct limit {
	char name[sizeof(((struct enclave *)0)->name)];
	pthread_mutex_t lock;
	unsigned streams;
	unsigned connections;
	uint64_t tokens; // thousandths of a connect request
	uint64_t filled_at;
	bool is_filled; // the bucket has been filled once
	UT_hash_handle hh;
};

struct limits {
	pthread_mutex_t lock;
	struct limit *by_name;
};

struct limits *limits_create(void)
{
	struct limits *limits = calloc(1, sizeof(*limits));

	if (limits)
		pthread_mutex_init(&limits->lock, NULL);
	return limits;
}

void limits_destroy(struct limits *limits)
{
	struct limit *limit;
	struct limit *next;

	HASH_ITER(hh, limits->by_name, limit, next)
	{
		HASH_DEL(limits->by_name, limit);
		pthread_mutex_destroy(&limit->lock);
		free(limit);
	}
	pthread_mutex_destroy(&limits->lock);
	free(limits);
}

static struct limit *limit_create(const char *name)
{
	struct limit *limit = calloc(1, sizeof(*limit));

	if (!limit)
		return NULL;
	memccpy(limit->name, name, '\0', sizeof(limit->name) - 1);
	pthread_mutex_init(&limit->lock, NULL);
	return limit;
}

struct limit *limits_find(struct limits *limits, const char *enclave_name)
{
	struct limit *limit;

	pthread_mutex_lock(&limits->lock);
	HASH_FIND_STR(limits->by_name, enclave_name, limit);
	if (!limit) {
		limit = limit_create(enclave_name);
		if (limit)
			HASH_ADD_STR(limits->by_name, name, limit);
	}
	pthread_mutex_unlock(&limits->lock);
	return limit;
}

void limits_print(struct limits *limits, FILE *out)
{
	struct limit *limit;
	struct limit *next;

	pthread_mutex_lock(&limits->lock);
	HASH_ITER(hh, limits->by_name, limit, next)
	{
		pthread_mutex_lock(&limit->lock);
		fprintf(out, "enclave %s connections %u streams %u\n", limit->name,
			limit->connections, limit->streams);
		pthread_mutex_unlock(&limit->lock);
	}
	pthread_mutex_unlock(&limits->lock);
}

bool limit_enter_stream(struct limit *limit, const struct enclave *enclave)
{
	uint64_t most = 2 * (uint64_t)enclave->max_connections + LIMITS_SPARE_STREAMS;
	bool may_enter;

	pthread_mutex_lock(&limit->lock);
	may_enter = !enclave->max_connections || limit->streams < most;
	if (may_enter)
		limit->streams++;
	pthread_mutex_unlock(&limit->lock);
	return may_enter;
}

void limit_leave_stream(struct limit *limit)
{
	pthread_mutex_lock(&limit->lock);
	limit->streams--;
	pthread_mutex_unlock(&limit->lock);
}

static bool limit_take_token(struct limit *limit, unsigned rate, uint64_t now_ms)
{
	uint64_t full = 1000 * (uint64_t)rate;
	uint64_t elapsed = now_ms > limit->filled_at ? now_ms - limit->filled_at : 0;

	if (!limit->is_filled || elapsed >= 1000 || limit->tokens + elapsed * rate > full)
		limit->tokens = full;
	else
		limit->tokens += elapsed * rate;
	limit->is_filled = true;
	if (elapsed)
		limit->filled_at = now_ms;
	if (limit->tokens < 1000)
		return false;
	limit->tokens -= 1000;
	return true;
}

static enum limit_verdict limit_decide(
	struct limit *limit, const struct enclave *enclave, uint64_t now_ms)
{
	if (enclave->max_connections && limit->connections >= enclave->max_connections)
		return LIMIT_CONNECTIONS;
	if (enclave->max_rate && !limit_take_token(limit, enclave->max_rate, now_ms))
		return LIMIT_RATE;
	limit->connections++;
	return LIMIT_GRANTED;
}

enum limit_verdict limit_enter_connection(
	struct limit *limit, const struct enclave *enclave, uint64_t now_ms)
{
	enum limit_verdict verdict;

	pthread_mutex_lock(&limit->lock);
	verdict = limit_decide(limit, enclave, now_ms);
	pthread_mutex_unlock(&limit->lock);
	return verdict;
}

void limit_leave_connection(struct limit *limit)
{
	pthread_mutex_lock(&limit->lock);
	limit->connections--;
	pthread_mutex_unlock(&limit->lock);
}
