// SPDX-License-Identifier: MIT
#include "preload/tls/tickets.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>
#include <utlist.h>

struct kept_ticket {
	struct ticket ticket;
	uint64_t kept_at;
	struct kept_ticket *prev;
	struct kept_ticket *next;
};

struct tickets_of_key {
	struct kept_ticket *oldest;
	size_t count;
	UT_hash_handle hh;
	char key[]; // NUL terminated
};

// No part can hold a newline: names are in wire form, the others are words of a configuration
// line.
bool tickets_format_key(const struct ticket_scope *scope, char key[static TICKETS_KEY_SIZE])
{
	int length = snprintf(key, TICKETS_KEY_SIZE, "%s\n%u\n%s\n%s\n%s\n%s", scope->name,
		scope->port, scope->alpn, scope->priority, scope->trust, scope->client);

	return length >= 0 && length < TICKETS_KEY_SIZE;
}

void ticket_free(struct ticket *ticket)
{
	if (ticket->data)
		explicit_bzero(ticket->data, ticket->length);
	free(ticket->data);
	*ticket = (struct ticket){0};
}

static void drop_ticket(struct tickets_of_key *entry, struct kept_ticket *kept)
{
	DL_DELETE(entry->oldest, kept);
	entry->count--;
	ticket_free(&kept->ticket);
	free(kept);
}

static void drop_key(struct tickets *tickets, struct tickets_of_key *entry)
{
	HASH_DEL(tickets->table, entry);
	while (entry->oldest)
		drop_ticket(entry, entry->oldest);
	free(entry);
}

static struct tickets_of_key *find_key(struct tickets *tickets, const char *key)
{
	struct tickets_of_key *entry;

	HASH_FIND_STR(tickets->table, key, entry);
	return entry;
}

// NULL without memory.
static struct tickets_of_key *add_key(struct tickets *tickets, const char *key)
{
	size_t length = strlen(key);
	struct tickets_of_key *entry;

	if (HASH_COUNT(tickets->table) >= TICKETS_KEYS)
		drop_key(tickets, tickets->table);
	entry = calloc(1, sizeof(*entry) + length + 1);
	if (!entry)
		return NULL;
	memcpy(entry->key, key, length);
	HASH_ADD_KEYPTR(hh, tickets->table, entry->key, length, entry);
	if (entry->hh.tbl)
		return entry;
	free(entry);
	return NULL;
}

// uthash keeps the order of insertion: taken out and put back, an entry is the youngest.
static struct tickets_of_key *use_key(struct tickets *tickets, const char *key)
{
	struct tickets_of_key *entry = find_key(tickets, key);

	if (!entry)
		return add_key(tickets, key);
	HASH_DEL(tickets->table, entry);
	HASH_ADD_KEYPTR(hh, tickets->table, entry->key, strlen(entry->key), entry);
	if (entry->hh.tbl)
		return entry;
	while (entry->oldest)
		drop_ticket(entry, entry->oldest);
	free(entry);
	return NULL;
}

static void expire(struct tickets_of_key *entry, uint64_t now_ms)
{
	while (entry->oldest && now_ms - entry->oldest->kept_at >= TICKETS_LIFETIME)
		drop_ticket(entry, entry->oldest);
}

static struct kept_ticket *copy_ticket(const void *data, size_t length, uint64_t now_ms)
{
	struct kept_ticket *kept = calloc(1, sizeof(*kept));

	if (!kept)
		return NULL;
	kept->ticket.data = malloc(length);
	if (!kept->ticket.data) {
		free(kept);
		return NULL;
	}
	memcpy(kept->ticket.data, data, length);
	kept->ticket.length = length;
	kept->kept_at = now_ms;
	return kept;
}

void tickets_put(
	struct tickets *tickets, const char *key, const void *data, size_t length, uint64_t now_ms)
{
	struct tickets_of_key *entry;
	struct kept_ticket *kept;

	if (length == 0 || length > TICKETS_MAX_SIZE)
		return;
	entry = use_key(tickets, key);
	kept = entry ? copy_ticket(data, length, now_ms) : NULL;
	if (!kept)
		return;
	if (entry->count == TICKETS_PER_KEY)
		drop_ticket(entry, entry->oldest);
	DL_APPEND(entry->oldest, kept);
	entry->count++;
}

bool tickets_take(struct tickets *tickets, const char *key, uint64_t now_ms, struct ticket *ticket)
{
	struct tickets_of_key *entry = find_key(tickets, key);
	struct kept_ticket *newest;

	if (!entry)
		return false;
	expire(entry, now_ms);
	if (!entry->oldest) {
		drop_key(tickets, entry);
		return false;
	}
	newest = entry->oldest->prev; // utlist: the first one's prev is the last
	*ticket = newest->ticket;
	newest->ticket = (struct ticket){0};
	drop_ticket(entry, newest);
	return true;
}

void tickets_clear(struct tickets *tickets)
{
	while (tickets->table)
		drop_key(tickets, tickets->table);
}
