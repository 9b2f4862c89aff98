// SPDX-License-Identifier: MIT
// Theory of operation: a fixed table of buckets by descriptor number, mapped at the first
// epoll_ctl, private to the process (a forked child inherits a copy together with the sets
// themselves). Nothing tells us of closes, so entries may be stale; a stale entry costs one refused
// EPOLL_CTL_DEL at connect, because that very call, which the swap needs anyway when the socket has
// other owners, also tells whether the registration is real.
//
// No locks: a slot's key is 0 while free, BUSY while being written. Two threads that change the
// registration of one descriptor in one set at the same moment race in the program already.
#include "preload/library/epoll_memory.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>

#include "preload/library/real.h"

#define BUCKETS  32768u // a power of two; descriptors a multiple of it apart share a bucket
#define KEY_BUSY UINT64_MAX

struct slot {
	_Atomic uint64_t key; // set and descriptor
	uint32_t events;
	uint64_t data;
};

struct bucket {
	struct slot slots[EPOLL_MEMORY_SETS];
};

static _Atomic(struct bucket *) buckets;

static struct bucket *map_buckets(void)
{
	struct bucket *current = NULL;
	struct bucket *mapped = mmap(NULL, BUCKETS * sizeof(*mapped), PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (mapped == MAP_FAILED)
		return NULL;
	if (atomic_compare_exchange_strong(&buckets, &current, mapped))
		return mapped;
	munmap(mapped, BUCKETS * sizeof(*mapped));
	return current;
}

static struct bucket *bucket_of(int fd)
{
	struct bucket *base = atomic_load_explicit(&buckets, memory_order_acquire);

	return base ? &base[(unsigned)fd & (BUCKETS - 1)] : NULL;
}

// Never 0, because a descriptor cannot watch itself.
static uint64_t make_key(int set, int fd)
{
	return (uint64_t)(uint32_t)set << 32 | (uint32_t)fd;
}

static struct slot *find(struct bucket *bucket, uint64_t key)
{
	for (size_t i = 0; i < EPOLL_MEMORY_SETS; i++) {
		if (atomic_load_explicit(&bucket->slots[i].key, memory_order_acquire) == key)
			return &bucket->slots[i];
	}
	return NULL;
}

// The slot of this key, or a free one, or one of another number's: registrations of lower numbers
// are the likelier to be still there. The slot is BUSY afterwards; NULL when all are being written.
static struct slot *claim(struct bucket *bucket, uint64_t key)
{
	static _Atomic unsigned next_victim;
	uint64_t wanted[] = {key, 0};

	for (size_t pass = 0; pass < 2; pass++) {
		for (size_t i = 0; i < EPOLL_MEMORY_SETS; i++) {
			uint64_t expected = wanted[pass];
			if (atomic_compare_exchange_strong(
				    &bucket->slots[i].key, &expected, KEY_BUSY))
				return &bucket->slots[i];
		}
	}
	struct slot *victim = &bucket->slots[atomic_fetch_add(&next_victim, 1) % EPOLL_MEMORY_SETS];
	uint64_t expected = atomic_load(&victim->key);
	if (expected != KEY_BUSY &&
		atomic_compare_exchange_strong(&victim->key, &expected, KEY_BUSY))
		return victim;
	return NULL;
}

static void remember(int set, int fd, const struct epoll_event *event)
{
	struct slot *slot;
	int saved_errno = errno;

	if (!bucket_of(fd) && !map_buckets())
		return;
	slot = claim(bucket_of(fd), make_key(set, fd));
	if (slot) {
		slot->events = event->events;
		slot->data = event->data.u64;
		atomic_store_explicit(&slot->key, make_key(set, fd), memory_order_release);
	}
	errno = saved_errno;
}

static void forget(int set, int fd)
{
	struct bucket *bucket = bucket_of(fd);
	struct slot *slot = bucket ? find(bucket, make_key(set, fd)) : NULL;

	if (slot)
		atomic_store(&slot->key, 0);
}

int airlock_epoll_ctl(int set, int operation, int fd, struct epoll_event *event)
{
	int result = real_epoll_ctl(set, operation, fd, event);

	if (result == 0 && operation == EPOLL_CTL_DEL)
		forget(set, fd);
	else if (result == 0)
		remember(set, fd, event);
	return result;
}

size_t epoll_memory_detach(int fd, struct epoll_registration list[static EPOLL_MEMORY_SETS])
{
	struct bucket *bucket = bucket_of(fd);
	int saved_errno = errno;
	size_t count = 0;

	for (size_t i = 0; bucket && i < EPOLL_MEMORY_SETS; i++) {
		struct slot *slot = &bucket->slots[i];
		uint64_t key = atomic_load_explicit(&slot->key, memory_order_acquire);
		int set = (int)(key >> 32);

		if (key == 0 || key == KEY_BUSY || (int)(uint32_t)key != fd)
			continue;
		list[count] = (struct epoll_registration){
			set, {.events = slot->events, .data.u64 = slot->data}};
		if (real_epoll_ctl(set, EPOLL_CTL_DEL, fd, NULL) == 0)
			count++;
		else
			atomic_store(&slot->key, 0);
	}
	errno = saved_errno;
	return count;
}

void epoll_memory_attach(int fd, const struct epoll_registration *list, size_t count)
{
	int saved_errno = errno;

	for (size_t i = 0; i < count; i++) {
		struct epoll_event event = list[i].event;
		if (real_epoll_ctl(list[i].set, EPOLL_CTL_ADD, fd, &event) < 0)
			forget(list[i].set, fd);
	}
	errno = saved_errno;
}
