// SPDX-License-Identifier: MIT
// Theory of operation: the constructor reads the settings once, because programs clear their
// environment, change their root and their user afterwards. A hook that another library's
// constructor calls before ours does that work instead: whoever is first moves `stage` from NEW to
// BUSY. The shared state is mapped when a socket or a name first needs it, so that programs without
// network do not pay for it.
#include "preload/library/library.h"

#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "preload/library/fork_guard.h"
#include "preload/library/log.h"
#include "preload/library/nsm_device.h"
#include "preload/library/real.h"
#include "preload/library/result.h"
#include "preload/shared/name_pool.h"

enum library_stage {
	LIBRARY_NEW,
	LIBRARY_BUSY,
	LIBRARY_READY,
};

struct library {
	_Atomic int stage;
	_Atomic pid_t builder; // the thread that does the constructor's work
	struct settings settings;
	_Atomic(struct state *) state;
	bool has_state_path;
	char state_path[PATH_MAX];
	enum gate_verdict verdict; // for a state that has none
};

static struct library library;

// Says what is wrong when somebody asked to be told.
static void load_settings(void)
{
	char message[512];

	if (settings_load(NULL, &library.settings, message, sizeof(message))) {
		if (library.settings.log_level != SETTINGS_LOG_NONE)
			log_initialise();
		return;
	}
	if (!secure_getenv("AIRLOCK_LOG"))
		return;
	log_initialise();
	log_texts(SETTINGS_LOG_ERROR, message, "; every connection is refused", (char *)0);
}

static void remember_state_path(void)
{
	const char *path = secure_getenv(STATE_ENVIRONMENT);
	size_t length = path ? strlen(path) : 0;

	if (length == 0 || length >= sizeof(library.state_path))
		return;
	memcpy(library.state_path, path, length + 1);
	library.has_state_path = true;
}

static void remember_verdict(void)
{
	const char *gate = secure_getenv(GATE_ENVIRONMENT);

	if (gate && strcmp(gate, GATE_ENVIRONMENT_OFF) == 0)
		library.verdict = GATE_DOES_NOT_WORK;
}

static void initialise(void)
{
	int saved_errno = errno;
	int expected = LIBRARY_NEW;

	if (!atomic_compare_exchange_strong(&library.stage, &expected, LIBRARY_BUSY)) {
		// In a signal handler that interrupted the work nobody could finish it: there, what
		// is not read yet counts as not configured, which denies.
		while (atomic_load(&library.stage) != LIBRARY_READY &&
			atomic_load(&library.builder) != gettid())
			sched_yield();
		return;
	}
	atomic_store(&library.builder, gettid());
	real_initialise();
	fork_guard_initialise();
	load_settings();
	remember_state_path();
	remember_verdict();
	atomic_store_explicit(&library.stage, LIBRARY_READY, memory_order_release);
	nsm_device_initialise();
	errno = saved_errno;
}

__attribute__((constructor)) static void construct(void)
{
	library_settings();
}

const struct settings *library_settings(void)
{
	if (atomic_load_explicit(&library.stage, memory_order_acquire) != LIBRARY_READY)
		initialise();
	return &library.settings;
}

struct state *library_mapped_state(void)
{
	return atomic_load_explicit(&library.state, memory_order_acquire);
}

struct state *library_state(void)
{
	const struct settings *settings = library_settings();
	struct state *current = library_mapped_state();
	int saved_errno = errno;
	bool is_shared = true;

	if (current)
		return current;
	UNCANCELLED;
	struct state *opened = state_open(
		library.has_state_path ? library.state_path : NULL, settings->digest, &is_shared);
	errno = saved_errno;
	if (!opened)
		return NULL;
	if (!is_shared)
		log_line(SETTINGS_LOG_WARN,
			"the state cannot be shared: programs started from here on their own will "
			"not know this one's names and sockets");
	if (atomic_compare_exchange_strong(&library.state, &current, opened))
		return opened;
	munmap(opened, sizeof(*opened));
	return current;
}

bool library_has_working_gate(void)
{
	enum gate_mode gate = library_settings()->gate;
	uint32_t verdict = GATE_NOT_MEASURED;
	struct state *state;

	if (gate != GATE_AUTO)
		return gate == GATE_ON;
	state = library_state();
	if (state)
		verdict = atomic_load(&state->verdict);
	if (verdict == GATE_NOT_MEASURED)
		verdict = library.verdict;
	return verdict != GATE_DOES_NOT_WORK;
}

static bool is_in_pool(const struct settings *settings, const struct address *address)
{
	return address_block_contains(&settings->pool_ipv4, address) ||
	       address_block_contains(&settings->pool_ipv6, address);
}

bool library_is_pool_address(const struct address *address)
{
	const struct settings *settings = library_settings();

	return settings->names == NAMES_POOL && is_in_pool(settings, address);
}

const char *library_pool_name(const struct address *address)
{
	const struct settings *settings = library_settings();
	struct state *state;
	int slot;

	if (!is_in_pool(settings, address))
		return NULL;
	state = library_state();
	if (!state)
		return NULL;
	slot = name_pool_slot(
		address->family == ADDRESS_IPV4 ? &settings->pool_ipv4 : &settings->pool_ipv6,
		address);
	return slot < 0 ? NULL : name_pool_name(&state->names, (uint32_t)slot);
}
