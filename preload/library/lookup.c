// SPDX-License-Identifier: MIT
// Theory of operation. libc would go through the services of nsswitch.conf, "files" and then "dns".
// Here "files" is read as libc reads it, and hostd stands where DNS stood. In this order:
//
//   - /etc/hosts. A name that it has is not asked for elsewhere, not even when it lacks the wanted
//     family there.
//   - localhost and all below it.
//   - The routes: a name that is nowhere but local is left to libc after all; one that can only be
//     denied gets a pool address without asking.
//   - hostd (RESOLVE), unless its last answer still holds.
//
// In pool mode hostd's answer is reduced to which families exist, which is kept in the name's slot
// for the answer's TTL; in resolve mode its addresses are passed on. A name that hostd denies gets
// a pool address too: the program then reads "Permission denied" from connect() and not that the
// name does not exist, which would be untrue.
#include "preload/library/lookup.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "preload/library/hosts_file.h"
#include "preload/library/library.h"
#include "preload/library/log.h"
#include "preload/shared/control_client.h"

#define TTL_MIN 1   // seconds
#define TTL_MAX 300 // families change rarely, but programs run long

static const struct address loopback6 = {ADDRESS_IPV6, {[15] = 1}};
static const struct address loopback4 = {ADDRESS_IPV4, {127, 0, 0, 1}};

enum decision {
	DECIDE_DENY,
	DECIDE_LOCAL,
	DECIDE_ASK,
};

static enum decision decision_of(const struct route *route)
{
	if (!route || route->action == ROUTE_DENY)
		return DECIDE_DENY;
	return route->action == ROUTE_LOCAL ? DECIDE_LOCAL : DECIDE_ASK;
}

// Without a port: the strongest of what the routes say for any port. A lookup is worth it when some
// port can be reached, and only a name that is nowhere but local is libc's.
static enum decision decide_for_any_port(const struct settings *settings, const char *name)
{
	enum decision strongest = DECIDE_DENY;

	for (size_t i = 0; i < settings->route_count; i++) {
		const struct route *route = &settings->routes[i];
		uint16_t port = route->pattern.port_count ? route->pattern.ports[0].first : 0;

		if (!pattern_matches_name(&route->pattern, name, port))
			continue;
		if (decision_of(route) > strongest)
			strongest = decision_of(route);
		if (route->pattern.port_count == 0)
			break;
	}
	return strongest;
}

static enum decision decide(const struct settings *settings, const char *name, uint16_t port)
{
	if (port != 0)
		return decision_of(settings_find_route(settings, name, NULL, port));
	return decide_for_any_port(settings, name);
}

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

// --- answers that need nobody

static void add_address(struct lookup_answer *answer, const struct address *address)
{
	if (answer->count < LOOKUP_MAX_ADDRESSES)
		answer->addresses[answer->count++] = *address;
}

// RFC 6761, 6.3: localhost and all below it are loopback, and are never asked for anywhere.
static bool find_localhost(struct lookup_answer *answer)
{
	static const char suffix[] = ".localhost";
	size_t length = strlen(answer->name);

	if (strcasecmp(answer->name, suffix + 1) != 0 &&
		(length < sizeof(suffix) ||
			strcasecmp(answer->name + length - (sizeof(suffix) - 1), suffix) != 0))
		return false;
	answer->source = LOOKUP_FROM_HOSTS_FILE;
	add_address(answer, &loopback6);
	add_address(answer, &loopback4);
	return true;
}

// A name that the file has only for the other family still has an official name: it is needed for
// mapped addresses.
static bool find_in_hosts_file(const char *name, int family, struct lookup_answer *answer)
{
	memset(answer, 0, sizeof(*answer));
	answer->source = LOOKUP_FROM_HOSTS_FILE;
	if (!hosts_file_find(HOSTS_FILE_PATH, name, family, answer))
		return false;
	if (answer->name[0] != '\0')
		return true;
	answer->count = 0;
	return hosts_file_find(HOSTS_FILE_PATH, name, AF_UNSPEC, answer);
}

// --- answers that hostd decides

// Fills *found. LOOKUP_FOUND with no address: the name can be connected to, but what it resolves to
// is not known here, because hostd denies it or because a proxy behind hostd resolves it.
static enum lookup_status ask_hostd(const char *name, struct control_addresses *found)
{
	int error = control_client_resolve(&library_settings()->hostd, name, found);

	if (error == -EACCES) {
		memset(found, 0, sizeof(*found));
		return LOOKUP_FOUND;
	}
	if (error < 0)
		return LOOKUP_TRY_AGAIN;
	switch (found->failure) {
	case OUTCOME_NONE:
		return LOOKUP_FOUND;
	case OUTCOME_NO_SUCH_NAME:
		return LOOKUP_NO_SUCH_NAME;
	case OUTCOME_TRY_AGAIN:
		return LOOKUP_TRY_AGAIN;
	default:
		return LOOKUP_FAILED;
	}
}

static uint32_t families_of(const struct control_addresses *found)
{
	uint32_t families = 0;

	for (size_t i = 0; i < found->count; i++)
		families |= found->addresses[i].family == ADDRESS_IPV4 ? NAME_POOL_IPV4
								       : NAME_POOL_IPV6;
	return families;
}

// The pool's addresses of a slot. No family: not known, both can be had.
static void answer_from_slot(int slot, uint32_t families, struct lookup_answer *answer)
{
	const struct settings *settings = library_settings();
	struct address address;

	answer->source = families ? LOOKUP_FROM_HOSTD : LOOKUP_FROM_POOL;
	if (families == 0)
		families = NAME_POOL_IPV4 | NAME_POOL_IPV6;
	if (families & NAME_POOL_IPV4) {
		name_pool_address(&settings->pool_ipv4, (uint32_t)slot, &address);
		add_address(answer, &address);
	}
	if (families & NAME_POOL_IPV6) {
		name_pool_address(&settings->pool_ipv6, (uint32_t)slot, &address);
		add_address(answer, &address);
	}
}

static uint32_t pool_limit(void)
{
	return name_pool_limit(&library_settings()->pool_ipv4, &library_settings()->pool_ipv6);
}

static uint64_t lifetime_ms(const struct control_addresses *found)
{
	uint64_t seconds = found->ttl;

	if (seconds < TTL_MIN)
		seconds = TTL_MIN;
	if (seconds > TTL_MAX)
		seconds = TTL_MAX;
	return seconds * 1000;
}

// A slot for a name that exists, and what is known of it. An answer without a time to live (a
// denial, which hostd may take back at any moment) is not kept.
static enum lookup_status answer_from_pool(
	const char *name, const struct control_addresses *found, struct lookup_answer *answer)
{
	struct state *state = library_state();
	uint32_t families = families_of(found);
	int slot = state ? name_pool_insert(&state->names, name, pool_limit()) : -ENOMEM;

	if (slot < 0) {
		log_line(SETTINGS_LOG_ERROR, "no address left in the pool for a new name");
		return LOOKUP_FAILED;
	}
	if (found->count > 0) {
		atomic_store(&state->names.slots[slot].families, families);
		atomic_store(&state->names.slots[slot].valid_until, now_ms() + lifetime_ms(found));
	}
	answer_from_slot(slot, families, answer);
	return LOOKUP_FOUND;
}

static bool find_fresh(const char *name, struct lookup_answer *answer)
{
	const struct state *state = library_state();
	int slot = state ? name_pool_find(&state->names, name, pool_limit()) : -ENOMEM;

	if (slot < 0 || now_ms() >= atomic_load(&state->names.slots[slot].valid_until))
		return false;
	answer_from_slot(slot, atomic_load(&state->names.slots[slot].families), answer);
	return true;
}

static void answer_from_hostd(const struct control_addresses *found, struct lookup_answer *answer)
{
	answer->source = LOOKUP_FROM_HOSTD;
	for (size_t i = 0; i < found->count; i++)
		add_address(answer, &found->addresses[i]);
}

static enum lookup_status ask(const char *name, struct lookup_answer *answer)
{
	bool is_pool = library_settings()->names == NAMES_POOL;
	struct control_addresses found;

	if (is_pool && find_fresh(name, answer))
		return LOOKUP_FOUND;
	enum lookup_status status = ask_hostd(name, &found);
	if (status != LOOKUP_FOUND)
		return status;
	if (is_pool || found.count == 0)
		return answer_from_pool(name, &found, answer);
	answer_from_hostd(&found, answer);
	return LOOKUP_FOUND;
}

static enum lookup_status deny(const char *name, struct lookup_answer *answer)
{
	static const struct control_addresses unknown;

	return answer_from_pool(name, &unknown, answer);
}

enum lookup_status lookup_name(
	const char *text, int family, uint16_t port, struct lookup_answer *answer)
{
	size_t length = strlen(text);
	char name[NAME_SIZE];

	if (find_in_hosts_file(text, family, answer))
		return LOOKUP_FOUND;
	if (!name_from_text(text, length, name, NULL))
		return LOOKUP_NO_SUCH_NAME;
	memset(answer, 0, sizeof(*answer));
	memcpy(answer->name, text, strlen(name)); // the same letters, in the program's own case
	if (find_localhost(answer))
		return LOOKUP_FOUND;
	switch (decide(library_settings(), name, port)) {
	case DECIDE_LOCAL:
		return LOOKUP_LEAVE_TO_LIBC;
	case DECIDE_ASK:
		return ask(name, answer);
	default:
		return deny(name, answer);
	}
}

// --- reading answers

static bool is_selected(const struct address *address, int family)
{
	if (family == AF_UNSPEC)
		return true;
	return address->family == (family == AF_INET ? ADDRESS_IPV4 : ADDRESS_IPV6);
}

bool lookup_hosts_address(struct address *address, int family)
{
	if (family == AF_INET && address_is_equal(address, &loopback6))
		*address = loopback4;
	else if (family == AF_INET)
		*address = address_unmap(address);
	return is_selected(address, family);
}

size_t lookup_select(const struct lookup_answer *answer, int family,
	struct address selected[static LOOKUP_MAX_ADDRESSES])
{
	size_t count = 0;

	if (answer->source == LOOKUP_FROM_POOL && family == AF_UNSPEC)
		family = AF_INET;
	for (size_t i = 0; i < answer->count; i++) {
		struct address address = answer->addresses[i];

		bool is_wanted = answer->source == LOOKUP_FROM_HOSTS_FILE
					 ? lookup_hosts_address(&address, family)
					 : is_selected(&address, family);
		if (is_wanted)
			selected[count++] = address;
	}
	return count;
}
