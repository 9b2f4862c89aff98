// SPDX-License-Identifier: MIT
// What the whole library shares: the settings, read once, and the state mapping, opened at its
// first use.
#ifndef AIRLOCK_PRELOAD_LIBRARY_H
#define AIRLOCK_PRELOAD_LIBRARY_H

#include <stdbool.h>

#include "preload/shared/settings.h"
#include "preload/shared/state.h"
#include "wire/address.h"
#include "wire/endpoint.h"

// The settings; never NULL. A configuration that could not be read leaves settings without routes,
// so that everything but loopback is denied. Callable before the constructor has run: it then does
// the constructor's work.
const struct settings *library_settings(void);

// The shared state, mapped by the first call; NULL only when memory cannot be had. Lock-free and
// async-signal-safe but for what state_open does.
struct state *library_state(void);

// The state when something has mapped it already, else NULL.
struct state *library_mapped_state(void);

// False when writability of a fresh stream says nothing about its destination.
bool library_has_working_gate(void);

// True when address lies in the blocks that stand for names and can be nothing else: where names
// are resolved it may as well be an address that a name has.
bool library_is_pool_address(const struct address *address);

// The name that a pool address stands for, NULL when it was never handed out. Never freed. Where
// names are resolved, those without an address that is known here have one of the pool (lookup.c).
const char *library_pool_name(const struct address *address);

#endif
