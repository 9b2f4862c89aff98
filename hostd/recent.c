// SPDX-License-Identifier: MIT
// A table without chains: an id's own bytes say its place, and the newest id at a place stays.
// Whoever makes ids collide makes only his own STATUS slower.
#include "hostd/recent.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define RECENT_PLACES 8192

struct granted {
	uint32_t cid;
	uint8_t id[REQUEST_ID_SIZE];
};

struct recent {
	pthread_mutex_t lock;
	struct granted places[RECENT_PLACES];
};

struct recent *recent_create(void)
{
	struct recent *recent = calloc(1, sizeof(*recent));

	if (recent)
		pthread_mutex_init(&recent->lock, NULL);
	return recent;
}

void recent_destroy(struct recent *recent)
{
	if (!recent)
		return;
	pthread_mutex_destroy(&recent->lock);
	free(recent);
}

static struct granted *recent_place(
	struct recent *recent, uint32_t cid, const uint8_t id[static REQUEST_ID_SIZE])
{
	uint32_t word;

	memcpy(&word, id, sizeof(word));
	return &recent->places[(word ^ cid) % RECENT_PLACES];
}

void recent_add(struct recent *recent, uint32_t cid, const uint8_t id[static REQUEST_ID_SIZE])
{
	struct granted *place = recent_place(recent, cid, id);

	pthread_mutex_lock(&recent->lock);
	place->cid = cid;
	memcpy(place->id, id, sizeof(place->id));
	pthread_mutex_unlock(&recent->lock);
}

bool recent_has(struct recent *recent, uint32_t cid, const uint8_t id[static REQUEST_ID_SIZE])
{
	const struct granted *place = recent_place(recent, cid, id);
	bool is_there;

	pthread_mutex_lock(&recent->lock);
	is_there = place->cid == cid && !memcmp(place->id, id, sizeof(place->id));
	pthread_mutex_unlock(&recent->lock);
	return is_there;
}
