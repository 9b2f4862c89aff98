// SPDX-License-Identifier: MIT
#include "hostd/limits.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

struct bucket {
	uint64_t tokens; // thousandths of a request
	uint64_t filled_at;
	bool is_filled; // has been filled once
};

struct limit {
	char name[sizeof(((struct enclave *)0)->name)];
	pthread_mutex_t lock;
	unsigned streams;
	unsigned connections;
	struct bucket connects;
	struct bucket lookups;
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

static bool bucket_take_token(struct bucket *bucket, unsigned rate, uint64_t now_ms)
{
	uint64_t full = 1000 * (uint64_t)rate;
	uint64_t elapsed = now_ms > bucket->filled_at ? now_ms - bucket->filled_at : 0;

	if (!bucket->is_filled || elapsed >= 1000 || bucket->tokens + elapsed * rate > full)
		bucket->tokens = full;
	else
		bucket->tokens += elapsed * rate;
	bucket->is_filled = true;
	if (elapsed)
		bucket->filled_at = now_ms;
	if (bucket->tokens < 1000)
		return false;
	bucket->tokens -= 1000;
	return true;
}

static enum limit_verdict limit_decide(
	struct limit *limit, const struct enclave *enclave, uint64_t now_ms)
{
	if (enclave->max_connections && limit->connections >= enclave->max_connections)
		return LIMIT_CONNECTIONS;
	if (enclave->max_rate && !bucket_take_token(&limit->connects, enclave->max_rate, now_ms))
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

bool limit_take_lookup(struct limit *limit, const struct enclave *enclave, uint64_t now_ms)
{
	bool is_granted;

	if (!enclave->max_rate)
		return true;
	pthread_mutex_lock(&limit->lock);
	is_granted = bucket_take_token(&limit->lookups, enclave->max_rate, now_ms);
	pthread_mutex_unlock(&limit->lock);
	return is_granted;
}
