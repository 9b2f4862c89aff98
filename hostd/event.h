// SPDX-License-Identifier: MIT
// What epoll hands back: never a pointer, but which slot, which of its descriptors, and the slot's
// generation, so that an event for something that ended earlier in the same batch is recognised.
#ifndef AIRLOCK_HOSTD_EVENT_H
#define AIRLOCK_HOSTD_EVENT_H

#include <stdint.h>

enum event_kind {
	EVENT_WAKE,     // the server has news for the worker
	EVENT_DECISION, // a dial that a STATUS waits for was decided
	EVENT_RESOLVER,
	EVENT_LISTENER, // index: in the set; generation: of the set
	EVENT_SESSION,  // index: of the slot; part: 0 the stream, n the destination's attempt n
};

#define EVENT_MAX_INDEX      ((1u << 24) - 1)
#define EVENT_MAX_GENERATION ((1u << 24) - 1) // generations wrap

struct event {
	enum event_kind kind;
	uint8_t part;
	uint32_t index;
	uint32_t generation;
};

static inline uint64_t event_pack(struct event event)
{
	return (uint64_t)event.kind << 56 | (uint64_t)event.part << 48 |
	       (uint64_t)(event.index & EVENT_MAX_INDEX) << 24 |
	       (event.generation & EVENT_MAX_GENERATION);
}

static inline struct event event_unpack(uint64_t packed)
{
	return (struct event){
		.kind = (enum event_kind)(packed >> 56),
		.part = (uint8_t)(packed >> 48),
		.index = (uint32_t)(packed >> 24) & EVENT_MAX_INDEX,
		.generation = (uint32_t)packed & EVENT_MAX_GENERATION,
	};
}

#endif
