// SPDX-License-Identifier: MIT
// Names handed out as addresses from a private pool: one slot a name, the same slot in every
// process that shares the state, an IPv4 and an IPv6 address for each slot. Slots are never
// recycled: an address that suddenly meant another name would verify the wrong peer, so a full pool
// refuses instead.
//
// The slot is the name's hash modulo the pool's size, then the next free one, so that mappings that
// are not shared (another user's) nearly always agree too.
#ifndef AIRLOCK_PRELOAD_NAME_POOL_H
#define AIRLOCK_PRELOAD_NAME_POOL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "wire/address.h"
#include "wire/compiler.h"
#include "wire/name.h"

#define NAME_POOL_SLOTS 65536 // a power of two; a smaller configured pool uses fewer

enum name_pool_families { // bits
	NAME_POOL_IPV4 = 1,
	NAME_POOL_IPV6 = 2,
};

struct name_slot {
	_Atomic uint32_t state;    // free, being written (with the writer's pid), ready
	_Atomic uint32_t families; // what the last lookup found
	_Atomic uint64_t
		valid_until; // CLOCK_BOOTTIME ms: until then the lookup need not be asked again
	char name[NAME_SIZE];
};

struct name_pool {
	struct name_slot slots[NAME_POOL_SLOTS];
};

// The slot of a name, made when it is new. Returns a slot number, or -ENOSPC. Lock-free; a writer
// that died half-way costs its slot, nothing else. slot_limit: how many slots the configured blocks
// have room for.
int name_pool_insert(struct name_pool *pool, const char *name, uint32_t slot_limit) MUST_CHECK;

// The slot of a name that has one, or -ENOENT. Never waits and never writes.
int name_pool_find(const struct name_pool *pool, const char *name, uint32_t slot_limit) MUST_CHECK;

// The name behind a slot, or NULL. The text stays valid and unchanged for the mapping's life.
const char *name_pool_name(const struct name_pool *pool, uint32_t slot);

// Usable slots of two blocks: at most NAME_POOL_SLOTS; the first four addresses of a block are not
// used (network address; .1 is the enclave's own address, see name_pool_own_address).
uint32_t name_pool_limit(const struct address_block *ipv4, const struct address_block *ipv6);

// Slot to address and back. name_pool_slot returns -1 for an address outside the block.
void name_pool_address(const struct address_block *block, uint32_t slot, struct address *address);
int name_pool_slot(const struct address_block *block, const struct address *address);

// What getsockname() reports for a routed stream that was not bound: the block's address 1.
void name_pool_own_address(const struct address_block *block, struct address *address);

#endif
