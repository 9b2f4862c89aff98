// SPDX-License-Identifier: MIT
// Theory of operation: an open-addressed hash table with linear probing that only ever grows. A
// slot's state goes
//
//     FREE -> pid of its writer -> READY        the usual life
//     FREE -> pid of its writer -> ABANDONED    the writer died, or was stopped for too long
//
// and never back, so a probe that meets FREE has seen every slot that the name can have, and a
// READY slot's text never changes. Every change is a compare-and-swap from the state that was seen.
// Two inserters of one name meet at the first free slot of its chain: one of them claims it, the
// other waits for the claim's text (a copy of at most 254 bytes) and compares. A writer that was
// given up finds its slot ABANDONED when it tries to publish, and goes on to the next one: no name
// is ever read half-written.
#include "preload/shared/name_pool.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

// Process ids end at 2^22 (PID_MAX_LIMIT, proc(5)), so these cannot be one.
#define STATE_FREE      0u
#define STATE_READY     UINT32_MAX
#define STATE_ABANDONED (UINT32_MAX - 1)

#define UNUSED_ADDRESSES 4 // at the start of a block, see name_pool.h

#define WAIT_YIELDS 64 // first give the writer the processor, then
#define WAIT_NAPS   50 // sleep a millisecond at a time

// FNV-1a, 32 bits: any spread of short texts will do, and all processes must agree on it.
static uint32_t hash_name(const char *name)
{
	uint32_t hash = 2166136261u;

	for (; *name; name++)
		hash = (hash ^ (uint8_t)*name) * 16777619u;
	return hash;
}

static uint32_t clamp_limit(uint32_t slot_limit)
{
	return slot_limit < NAME_POOL_SLOTS ? slot_limit : NAME_POOL_SLOTS;
}

static bool is_settled(uint32_t state)
{
	return state == STATE_FREE || state == STATE_READY || state == STATE_ABANDONED;
}

static bool is_writer_dead(uint32_t writer)
{
	return kill((pid_t)writer, 0) < 0 && errno == ESRCH;
}

// Waits until the slot's writer has finished, and gives it up when it has died or takes absurdly
// long (stopped, a zombie, or a process id used again). Returns a settled state.
static uint32_t wait_for_writer(struct name_slot *slot, uint32_t state)
{
	const struct timespec nap = {.tv_nsec = 1000 * 1000};

	for (int round = 0; round < WAIT_YIELDS + WAIT_NAPS; round++) {
		if (is_settled(state))
			return state;
		if (is_writer_dead(state))
			break;
		if (round < WAIT_YIELDS)
			sched_yield();
		else
			nanosleep(&nap, NULL);
		state = atomic_load_explicit(&slot->state, memory_order_acquire);
	}
	if (!is_settled(state) &&
		atomic_compare_exchange_strong(&slot->state, &state, STATE_ABANDONED))
		state = STATE_ABANDONED;
	return state;
}

// Tries to make a free slot the name's. Returns the state afterwards: READY when it is ours (or was
// made by somebody else meanwhile: the caller compares the text).
static uint32_t claim(struct name_slot *slot, const char *name)
{
	uint32_t state = STATE_FREE;
	uint32_t self = (uint32_t)getpid();

	if (!atomic_compare_exchange_strong(&slot->state, &state, self))
		return state;
	memcpy(slot->name, name, strlen(name) + 1);
	state = self;
	if (atomic_compare_exchange_strong(&slot->state, &state, STATE_READY))
		return STATE_READY;
	return state;
}

int name_pool_insert(struct name_pool *pool, const char *name, uint32_t slot_limit)
{
	uint32_t limit = clamp_limit(slot_limit);
	uint32_t hash = hash_name(name);
	int saved_errno = errno;
	int result = -ENOSPC;

	for (uint32_t step = 0; step < limit && result < 0; step++) {
		uint32_t index = (uint32_t)(((uint64_t)hash + step) % limit);
		struct name_slot *slot = &pool->slots[index];
		uint32_t state = atomic_load_explicit(&slot->state, memory_order_acquire);

		if (state == STATE_FREE)
			state = claim(slot, name);
		state = wait_for_writer(slot, state);
		if (state == STATE_READY && strcmp(slot->name, name) == 0)
			result = (int)index;
	}
	errno = saved_errno;
	return result;
}

int name_pool_find(const struct name_pool *pool, const char *name, uint32_t slot_limit)
{
	uint32_t limit = clamp_limit(slot_limit);
	uint32_t hash = hash_name(name);

	for (uint32_t step = 0; step < limit; step++) {
		uint32_t index = (uint32_t)(((uint64_t)hash + step) % limit);
		const struct name_slot *slot = &pool->slots[index];
		uint32_t state = atomic_load_explicit(&slot->state, memory_order_acquire);

		if (state == STATE_FREE)
			break;
		if (state == STATE_READY && strcmp(slot->name, name) == 0)
			return (int)index;
	}
	return -ENOENT;
}

const char *name_pool_name(const struct name_pool *pool, uint32_t slot)
{
	if (slot >= NAME_POOL_SLOTS)
		return NULL;
	if (atomic_load_explicit(&pool->slots[slot].state, memory_order_acquire) != STATE_READY)
		return NULL;
	return pool->slots[slot].name;
}

static size_t address_size(const struct address_block *block)
{
	return block->base.family == ADDRESS_IPV4 ? 4 : 16;
}

static uint32_t block_limit(const struct address_block *block)
{
	size_t host_bits = 8 * address_size(block) - block->prefix_length;

	if (host_bits > 16)
		return NAME_POOL_SLOTS;
	uint32_t size = 1u << host_bits;
	return size > UNUSED_ADDRESSES ? size - UNUSED_ADDRESSES : 0;
}

uint32_t name_pool_limit(const struct address_block *ipv4, const struct address_block *ipv6)
{
	uint32_t limit4 = block_limit(ipv4);
	uint32_t limit6 = block_limit(ipv6);

	return limit4 < limit6 ? limit4 : limit6;
}

// The block's address number offset. Host bits are zero in a block's base, so there is nothing to
// carry into the prefix.
static void set_address(const struct address_block *block, uint32_t offset, struct address *address)
{
	*address = block->base;
	for (size_t i = address_size(block); i-- > 0 && offset != 0; offset >>= 8)
		address->bytes[i] |= (uint8_t)offset;
}

void name_pool_address(const struct address_block *block, uint32_t slot, struct address *address)
{
	set_address(block, slot + UNUSED_ADDRESSES, address);
}

int name_pool_slot(const struct address_block *block, const struct address *address)
{
	uint64_t offset = 0;

	if (address->family != block->base.family || !address_block_contains(block, address))
		return -1;
	for (size_t i = 0; i < address_size(block); i++) {
		uint8_t difference = address->bytes[i] ^ block->base.bytes[i];

		if (offset > NAME_POOL_SLOTS)
			return -1;
		offset = offset << 8 | difference;
	}
	if (offset < UNUSED_ADDRESSES || offset >= NAME_POOL_SLOTS + UNUSED_ADDRESSES)
		return -1;
	return (int)(offset - UNUSED_ADDRESSES);
}

void name_pool_own_address(const struct address_block *block, struct address *address)
{
	set_address(block, 1, address);
}
