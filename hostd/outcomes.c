// SPDX-License-Identifier: MIT
// One hash table by (CID, stream id) under one mutex. An entry is pending, or decided; decided
// entries are also in two lists, oldest first: of all, which is where lifetimes end, and of its
// CID. When there is no room it is made by the CID that has most entries, so that an enclave which
// floods the table loses its own outcomes and nobody else's.
//
//     outcomes_begin -> pending --outcomes_store--> decided --60 s, or no room--> gone
//                          |                           ^
//                          +--outcomes_store(NONE)--> gone --outcomes_store--+
//
// Only decided entries count against OUTCOMES_MAX: a pending one belongs to a stream that hostd
// holds open, so descriptors bound those. Ids are chosen by the enclave, hence the keyed hash.
#include "hostd/outcomes.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

struct key {
	uint32_t cid;
	uint8_t id[REQUEST_ID_SIZE];
};

#define KEY_WORDS (sizeof(struct key) / sizeof(uint32_t))
_Static_assert(sizeof(struct key) == 4 + REQUEST_ID_SIZE, "the key is hashed as a whole");

static uint32_t key_hash(const void *key, size_t length);

#define HASH_NONFATAL_OOM                 1
#define HASH_FUNCTION(key, length, value) ((value) = key_hash(key, length))
#include <uthash.h>
#include <utlist.h>

struct waiter {
	int eventfd;
	struct waiter *next;
};

struct entry {
	struct key key;
	bool is_pending;
	struct waiter *waiters; // pending entries only; an eventfd once
	uint64_t decided_at;
	struct outcome outcome;
	// Decided entries only, as all up to the hash handle.
	struct entry *prev;
	struct entry *next;
	struct entry *prev_of_cid;
	struct entry *next_of_cid;
	struct share *share;
	UT_hash_handle hh;
};

// The decided entries of one CID; there is none without entries.
struct share {
	uint32_t cid;
	size_t count;
	struct entry *oldest;
	UT_hash_handle hh;
};

struct outcomes {
	pthread_mutex_t mutex;
	struct entry *table;
	struct entry *oldest; // head of the list of decided entries
	size_t decided_count;
	struct share *shares;
};

// Multilinear hashing: the sum of secret 64-bit factors times 32-bit words, upper half. Strongly
// universal (Lemire and Kaser, "Strongly universal string hashing is fast", 2014), so an enclave
// that does not see the factors cannot choose ids that collide.
static uint64_t hash_secret[KEY_WORDS + 1];
static pthread_once_t hash_secret_once = PTHREAD_ONCE_INIT;

static void fill_hash_secret(void)
{
	// Cannot fail or be short: up to 256 bytes once the pool is initialised (getrandom(2)).
	if (getrandom(hash_secret, sizeof(hash_secret), 0) != sizeof(hash_secret))
		abort();
}

// length is that of a whole key, or of its CID alone.
static uint32_t key_hash(const void *key, size_t length)
{
	uint32_t words[KEY_WORDS];
	memcpy(words, key, length);
	uint64_t sum = hash_secret[KEY_WORDS];
	for (size_t i = 0; i < length / sizeof(words[0]); i++)
		sum += hash_secret[i] * words[i];
	return (uint32_t)(sum >> 32);
}

static struct key make_key(uint32_t cid, const uint8_t id[static REQUEST_ID_SIZE])
{
	struct key key = {.cid = cid};
	memcpy(key.id, id, sizeof(key.id));
	return key;
}

static struct entry *find_entry(struct outcomes *outcomes, const struct key *key)
{
	struct entry *entry;
	HASH_FIND(hh, outcomes->table, key, sizeof(*key), entry);
	return entry;
}

static struct share *find_share(struct outcomes *outcomes, uint32_t cid)
{
	struct share *share;
	HASH_FIND(hh, outcomes->shares, &cid, sizeof(cid), share);
	return share;
}

// The CID's share, made when it has none; NULL without memory.
static struct share *need_share(struct outcomes *outcomes, uint32_t cid)
{
	struct share *share = find_share(outcomes, cid);
	if (share)
		return share;
	share = calloc(1, sizeof(*share));
	if (!share)
		return NULL;
	share->cid = cid;
	HASH_ADD(hh, outcomes->shares, cid, sizeof(share->cid), share);
	if (!share->hh.tbl) {
		free(share);
		return NULL;
	}
	return share;
}

// There is at least one. As many as the configuration names CIDs, so looking at each is cheap.
static struct share *largest_share(struct outcomes *outcomes)
{
	struct share *largest = outcomes->shares;
	struct share *share;
	for (share = largest; share; share = share->hh.next) {
		if (share->count > largest->count)
			largest = share;
	}
	return largest;
}

static void list_decided(struct outcomes *outcomes, struct entry *entry, struct share *share)
{
	entry->is_pending = false;
	entry->share = share;
	DL_APPEND(outcomes->oldest, entry);
	DL_APPEND2(share->oldest, entry, prev_of_cid, next_of_cid);
	outcomes->decided_count++;
	share->count++;
}

static void unlist_decided(struct outcomes *outcomes, struct entry *entry)
{
	struct share *share = entry->share;
	if (entry->is_pending)
		return;
	DL_DELETE(outcomes->oldest, entry);
	DL_DELETE2(share->oldest, entry, prev_of_cid, next_of_cid);
	outcomes->decided_count--;
	if (--share->count == 0) {
		HASH_DEL(outcomes->shares, share);
		free(share);
	}
}

static void drop_waiters(struct entry *entry)
{
	struct waiter *waiter;
	struct waiter *next;
	LL_FOREACH_SAFE(entry->waiters, waiter, next)
	{
		free(waiter);
	}
	entry->waiters = NULL;
}

static void wake_waiters(struct entry *entry)
{
	struct waiter *waiter;
	LL_FOREACH(entry->waiters, waiter)
	{
		uint64_t one = 1;
		// EAGAIN means that the counter is full, hence that the waiter is awake already.
		ssize_t written = write(waiter->eventfd, &one, sizeof(one));
		(void)written;
	}
	drop_waiters(entry);
}

static void drop_entry(struct outcomes *outcomes, struct entry *entry)
{
	unlist_decided(outcomes, entry);
	drop_waiters(entry);
	HASH_DEL(outcomes->table, entry);
	free(entry);
}

// Each worker brings its own idea of now, taken when its turn began, so a decision may lie a little
// in the future.
static void expire(struct outcomes *outcomes, uint64_t now_ms)
{
	while (outcomes->oldest && now_ms >= outcomes->oldest->decided_at + OUTCOMES_LIFETIME)
		drop_entry(outcomes, outcomes->oldest);
}

// A new pending entry, or NULL without memory.
static struct entry *add_entry(struct outcomes *outcomes, const struct key *key)
{
	struct entry *entry = calloc(1, sizeof(*entry));
	if (!entry)
		return NULL;
	entry->key = *key;
	entry->is_pending = true;
	HASH_ADD(hh, outcomes->table, key, sizeof(entry->key), entry);
	if (!entry->hh.tbl) { // how uthash reports that it found no memory
		free(entry);
		return NULL;
	}
	return entry;
}

struct outcomes *outcomes_create(void)
{
	pthread_once(&hash_secret_once, fill_hash_secret);
	struct outcomes *outcomes = calloc(1, sizeof(*outcomes));
	if (outcomes)
		pthread_mutex_init(&outcomes->mutex, NULL);
	return outcomes;
}

void outcomes_destroy(struct outcomes *outcomes)
{
	if (!outcomes)
		return;
	struct entry *entry;
	struct entry *next_entry;
	HASH_ITER(hh, outcomes->table, entry, next_entry)
	{
		drop_entry(outcomes, entry);
	}
	pthread_mutex_destroy(&outcomes->mutex);
	free(outcomes);
}

bool outcomes_begin(struct outcomes *outcomes, uint32_t cid,
	const uint8_t id[static REQUEST_ID_SIZE], uint64_t now_ms)
{
	struct key key = make_key(cid, id);
	pthread_mutex_lock(&outcomes->mutex);
	expire(outcomes, now_ms);
	struct entry *entry = find_entry(outcomes, &key);
	bool is_pending = entry && entry->is_pending;
	if (entry && !is_pending)
		drop_entry(outcomes, entry); // an id that is used again starts afresh
	bool has_begun = !is_pending && add_entry(outcomes, &key) != NULL;
	pthread_mutex_unlock(&outcomes->mutex);
	return has_begun;
}

// Without memory for its CID's share the entry is dropped.
static void decide(struct outcomes *outcomes, struct entry *entry, const struct outcome *outcome,
	uint64_t now_ms)
{
	unlist_decided(outcomes, entry);
	entry->is_pending = true; // as one that is in no list
	if (outcomes->decided_count == OUTCOMES_MAX)
		drop_entry(outcomes, largest_share(outcomes)->oldest);
	struct share *share = need_share(outcomes, entry->key.cid);
	if (!share) {
		drop_entry(outcomes, entry);
		return;
	}
	entry->decided_at = now_ms;
	entry->outcome = *outcome;
	list_decided(outcomes, entry, share);
}

void outcomes_store(struct outcomes *outcomes, uint32_t cid,
	const uint8_t id[static REQUEST_ID_SIZE], const struct outcome *outcome, uint64_t now_ms)
{
	struct key key = make_key(cid, id);
	pthread_mutex_lock(&outcomes->mutex);
	expire(outcomes, now_ms);
	struct entry *entry = find_entry(outcomes, &key);
	if (entry)
		wake_waiters(entry); // they look once the mutex is free
	if (outcome->class == OUTCOME_NONE) {
		if (entry)
			drop_entry(outcomes, entry);
	} else {
		if (!entry)
			entry = add_entry(outcomes, &key);
		if (entry) // without memory the outcome is lost, as if 60 s had passed
			decide(outcomes, entry, outcome, now_ms);
	}
	pthread_mutex_unlock(&outcomes->mutex);
}

enum outcomes_answer outcomes_find(struct outcomes *outcomes, uint32_t cid,
	const uint8_t id[static REQUEST_ID_SIZE], uint64_t now_ms, struct outcome *outcome)
{
	struct key key = make_key(cid, id);
	enum outcomes_answer answer = OUTCOMES_UNKNOWN;
	pthread_mutex_lock(&outcomes->mutex);
	expire(outcomes, now_ms);
	const struct entry *entry = find_entry(outcomes, &key);
	if (entry && entry->is_pending) {
		answer = OUTCOMES_PENDING;
	} else if (entry) {
		answer = OUTCOMES_DECIDED;
		*outcome = entry->outcome;
	}
	pthread_mutex_unlock(&outcomes->mutex);
	return answer;
}

// Returns false without memory.
static bool add_waiter(struct entry *entry, int eventfd)
{
	struct waiter *waiter;
	LL_SEARCH_SCALAR(entry->waiters, waiter, eventfd, eventfd);
	if (waiter)
		return true;
	waiter = calloc(1, sizeof(*waiter));
	if (!waiter)
		return false;
	waiter->eventfd = eventfd;
	LL_PREPEND(entry->waiters, waiter);
	return true;
}

bool outcomes_wait(struct outcomes *outcomes, uint32_t cid,
	const uint8_t id[static REQUEST_ID_SIZE], int eventfd)
{
	struct key key = make_key(cid, id);
	pthread_mutex_lock(&outcomes->mutex);
	struct entry *entry = find_entry(outcomes, &key);
	bool is_waiting = entry && entry->is_pending && add_waiter(entry, eventfd);
	pthread_mutex_unlock(&outcomes->mutex);
	return is_waiting;
}

void outcomes_forget_waiter(struct outcomes *outcomes, int eventfd)
{
	struct entry *entry;
	struct entry *next;
	pthread_mutex_lock(&outcomes->mutex);
	HASH_ITER(hh, outcomes->table, entry, next)
	{
		struct waiter *waiter;
		LL_SEARCH_SCALAR(entry->waiters, waiter, eventfd, eventfd);
		if (!waiter)
			continue;
		LL_DELETE(entry->waiters, waiter);
		free(waiter);
	}
	pthread_mutex_unlock(&outcomes->mutex);
}
