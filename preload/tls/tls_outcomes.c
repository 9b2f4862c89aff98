// SPDX-License-Identifier: MIT
#include "preload/tls/tls_outcomes.h"

#include <stdlib.h>
#include <string.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>
#include <utlist.h>

struct tls_outcome {
	uint8_t id[REQUEST_ID_SIZE];
	uint64_t stored_at;
	struct outcome outcome;
	struct tls_outcome *prev;
	struct tls_outcome *next;
	UT_hash_handle hh;
};

static void drop(struct tls_outcomes *outcomes, struct tls_outcome *entry)
{
	HASH_DEL(outcomes->table, entry);
	DL_DELETE(outcomes->oldest, entry);
	outcomes->count--;
	free(entry);
}

static void expire(struct tls_outcomes *outcomes, uint64_t now_ms)
{
	while (outcomes->oldest && now_ms - outcomes->oldest->stored_at >= TLS_OUTCOMES_LIFETIME)
		drop(outcomes, outcomes->oldest);
}

static struct tls_outcome *find(
	struct tls_outcomes *outcomes, const uint8_t id[static REQUEST_ID_SIZE])
{
	struct tls_outcome *entry;

	HASH_FIND(hh, outcomes->table, id, REQUEST_ID_SIZE, entry);
	return entry;
}

void tls_outcomes_store(struct tls_outcomes *outcomes, const uint8_t id[static REQUEST_ID_SIZE],
	const struct outcome *outcome, uint64_t now_ms)
{
	struct tls_outcome *entry = find(outcomes, id);

	if (entry)
		drop(outcomes, entry);
	expire(outcomes, now_ms);
	if (outcomes->count == TLS_OUTCOMES_MAX)
		drop(outcomes, outcomes->oldest);
	entry = calloc(1, sizeof(*entry));
	if (!entry)
		return;
	memcpy(entry->id, id, sizeof(entry->id));
	entry->stored_at = now_ms;
	entry->outcome = *outcome;
	HASH_ADD(hh, outcomes->table, id, sizeof(entry->id), entry);
	if (!entry->hh.tbl) { // how uthash reports that it found no memory
		free(entry);
		return;
	}
	DL_APPEND(outcomes->oldest, entry);
	outcomes->count++;
}

bool tls_outcomes_find(struct tls_outcomes *outcomes, const uint8_t id[static REQUEST_ID_SIZE],
	uint64_t now_ms, struct outcome *outcome)
{
	struct tls_outcome *entry;

	expire(outcomes, now_ms);
	entry = find(outcomes, id);
	if (entry)
		*outcome = entry->outcome;
	return entry != NULL;
}

void tls_outcomes_clear(struct tls_outcomes *outcomes)
{
	while (outcomes->oldest)
		drop(outcomes, outcomes->oldest);
}
