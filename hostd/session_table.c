// SPDX-License-Identifier: MIT
#include "hostd/session_table.h"

#include <stdlib.h>

#include "hostd/event.h"

static int session_table_grow(struct session_table *table)
{
	size_t first = table->slab_count * SESSION_TABLE_SLAB;
	struct session **slabs;
	struct session *slab;

	if (first + SESSION_TABLE_SLAB > EVENT_MAX_INDEX)
		return -1;
	slabs = reallocarray(table->slabs, table->slab_count + 1, sizeof(*slabs));
	if (!slabs)
		return -1;
	table->slabs = slabs;
	slab = calloc(SESSION_TABLE_SLAB, sizeof(*slab));
	if (!slab)
		return -1;
	slabs[table->slab_count++] = slab;
	for (size_t at = SESSION_TABLE_SLAB; at-- > 0;) {
		slab[at].index = (uint32_t)(first + at);
		slab[at].next = table->free;
		table->free = &slab[at];
	}
	return 0;
}

struct session *session_table_take(struct session_table *table)
{
	struct session *session;

	if (!table->free && session_table_grow(table) < 0)
		return NULL;
	session = table->free;
	table->free = session->next;
	*session = (struct session){
		.index = session->index,
		.generation = session->generation,
		.opener.fd = -1,
		.destination.fd = -1,
	};
	table->in_use++;
	return session;
}

void session_table_put(struct session_table *table, struct session *session)
{
	session->next = table->ended;
	table->ended = session;
}

static void session_table_free(struct session_table *table, struct session *session)
{
	session->state = SESSION_FREE;
	session->generation = (session->generation + 1) & EVENT_MAX_GENERATION;
	session->next = table->free;
	table->free = session;
	table->in_use--;
}

void session_table_reap(struct session_table *table)
{
	struct session *session = table->ended;

	table->ended = NULL;
	while (session) {
		struct session *next = session->next;

		if (session->is_ready)
			session_table_put(table, session);
		else
			session_table_free(table, session);
		session = next;
	}
}

struct session *session_table_at(const struct session_table *table, size_t index)
{
	if (index / SESSION_TABLE_SLAB >= table->slab_count)
		return NULL;
	return &table->slabs[index / SESSION_TABLE_SLAB][index % SESSION_TABLE_SLAB];
}

struct session *session_table_find(
	const struct session_table *table, uint32_t index, uint32_t generation)
{
	struct session *session = session_table_at(table, index);

	return session && session->generation == generation ? session : NULL;
}

void session_table_destroy(struct session_table *table)
{
	for (size_t at = 0; at < table->slab_count; at++)
		free(table->slabs[at]);
	free(table->slabs);
	*table = (struct session_table){0};
}
