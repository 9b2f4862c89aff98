// SPDX-License-Identifier: MIT
// Theory of operation. getaddrinfo() is two questions in one: what the service and the hints mean,
// and what the node's addresses are. libc answers the first: it is asked for a literal node in
// place of the name, and gives a list with one entry for each socket type and protocol, the port
// filled in, or its own error. That list is the template; lookup.h answers the second question; the
// result is every address in every entry of the template.
#include "preload/library/addrinfo.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "preload/library/destination_order.h"
#include "preload/library/idna.h"
#include "preload/library/lookup.h"
#include "preload/library/real.h"
#include "preload/library/result.h"

// What hints mean for a name, not for a service. AI_ADDRCONFIG too: the enclave's own
// interfaces say nothing about what hostd can reach, so it counts as having both families.
#define NAME_FLAGS (AI_CANONNAME | AI_CANONIDN | AI_IDN | AI_V4MAPPED | AI_ALL | AI_ADDRCONFIG)

// Not an EAI_ code: those are negative in glibc and musl.
#define NOT_OURS 1

// Every address, and IPv4 ones once more as mapped ones.
#define MAX_SELECTED (2 * LOOKUP_MAX_ADDRESSES)
_Static_assert(MAX_SELECTED <= DESTINATION_ORDER_MAX, "every selection can be sorted");

// What libc assumes when hints is NULL (getaddrinfo(3), "glibc notes").
static const struct addrinfo default_hints = {
	.ai_flags = AI_V4MAPPED | AI_ADDRCONFIG,
	.ai_family = AF_UNSPEC,
};

static void free_list(struct addrinfo **list)
{
	if (*list)
		freeaddrinfo(*list);
}

static void free_text(char **text)
{
	free(*text);
}

// libc reads "*" as NULL. All that it refuses at once it refuses here too; EAI_NONAME is left for
// what is neither an address in any of its spellings nor wrong otherwise.
static bool is_name(const char *node, const struct addrinfo *hints)
{
	struct addrinfo *list __attribute__((cleanup(free_list))) = NULL;
	struct addrinfo numeric = *hints;

	if (!node || strcmp(node, "*") == 0 || (hints->ai_flags & AI_NUMERICHOST))
		return false;
	numeric.ai_flags &= ~(NAME_FLAGS & ~AI_IDN);
	numeric.ai_flags |= AI_NUMERICHOST;
	return real_getaddrinfo(node, NULL, &numeric, &list) == EAI_NONAME;
}

static int make_template(
	const char *service, const struct addrinfo *hints, struct addrinfo **template)
{
	struct addrinfo numeric = *hints;

	numeric.ai_flags &= ~NAME_FLAGS;
	numeric.ai_flags |= AI_NUMERICHOST;
	if (numeric.ai_family == AF_UNSPEC)
		numeric.ai_family = AF_INET;
	return real_getaddrinfo(
		numeric.ai_family == AF_INET6 ? "::" : "0.0.0.0", service, &numeric, template);
}

static uint16_t template_port(const struct addrinfo *template)
{
	struct address address;
	uint16_t port;

	if (!address_from_sockaddr(template->ai_addr, template->ai_addrlen, &address, &port))
		return 0;
	return port;
}

static int status_to_error(enum lookup_status status)
{
	switch (status) {
	case LOOKUP_FOUND:
		return 0;
	case LOOKUP_LEAVE_TO_LIBC:
		return NOT_OURS;
	case LOOKUP_NO_SUCH_NAME:
		return EAI_NONAME;
	case LOOKUP_TRY_AGAIN:
		return EAI_AGAIN;
	case LOOKUP_FAILED:
		break;
	}
	return EAI_FAIL;
}

// --- selection

static void map_to_ipv6(struct address *address)
{
	struct address mapped = {.family = ADDRESS_IPV6};

	memset(mapped.bytes + 10, 0xff, 2);
	memcpy(mapped.bytes + 12, address->bytes, 4);
	*address = mapped;
}

// AI_V4MAPPED and AI_ALL count for AF_INET6 only; without AI_ALL the mapped addresses stand in for
// IPv6 ones that are not there.
static size_t select_addresses(const struct lookup_answer *answer, const struct addrinfo *hints,
	struct address selected[static MAX_SELECTED])
{
	size_t count = lookup_select(answer, hints->ai_family, selected);

	if (hints->ai_family != AF_INET6 || !(hints->ai_flags & AI_V4MAPPED))
		return count;
	if (count > 0 && (!(hints->ai_flags & AI_ALL) || answer->source == LOOKUP_FROM_POOL))
		return count;
	size_t mapped = lookup_select(answer, AF_INET, selected + count);
	for (size_t i = 0; i < mapped; i++)
		map_to_ipv6(&selected[count + i]);
	return count + mapped;
}

// --- the list

// One malloc for entry and address: libc's freeaddrinfo frees the entry alone.
static struct addrinfo *make_entry(
	const struct addrinfo *pattern, const struct address *address, int flags)
{
	struct sockaddr_storage storage;
	socklen_t length = address_to_sockaddr(address, template_port(pattern), &storage);
	struct addrinfo *entry = malloc(sizeof(*entry) + length);

	if (!entry)
		return NULL;
	*entry = (struct addrinfo){
		.ai_flags = flags,
		.ai_family = storage.ss_family,
		.ai_socktype = pattern->ai_socktype,
		.ai_protocol = pattern->ai_protocol,
		.ai_addrlen = length,
		.ai_addr = (struct sockaddr *)(entry + 1),
	};
	memcpy(entry->ai_addr, &storage, length);
	return entry;
}

static int make_list(const struct addrinfo *template, const struct address *addresses, size_t count,
	int flags, struct addrinfo **list)
{
	struct addrinfo **end = list;

	for (size_t i = 0; i < count; i++) {
		for (const struct addrinfo *each = template; each; each = each->ai_next) {
			*end = make_entry(each, &addresses[i], flags);
			if (!*end)
				return EAI_MEMORY;
			end = &(*end)->ai_next;
		}
	}
	return 0;
}

static int set_canonical_name(struct addrinfo *first, const char *name)
{
	if (!(first->ai_flags & AI_CANONNAME))
		return 0;
	if (first->ai_flags & AI_CANONIDN)
		return idna_from_ascii(name, &first->ai_canonname);
	first->ai_canonname = strdup(name);
	return first->ai_canonname ? 0 : EAI_MEMORY;
}

static int build(const struct lookup_answer *answer, const struct addrinfo *hints,
	const struct addrinfo *template, struct addrinfo **result)
{
	struct addrinfo *list __attribute__((cleanup(free_list))) = NULL;
	struct address selected[MAX_SELECTED];
	size_t count = select_addresses(answer, hints, selected);

	if (count == 0)
		return answer->source == LOOKUP_FROM_HOSTS_FILE ? EAI_NONAME : EAI_NODATA;
	if (count > 1 && answer->source == LOOKUP_FROM_HOSTS_FILE)
		destination_order_sort(selected, count);
	int error = make_list(template, selected, count, hints->ai_flags, &list);
	if (error == 0)
		error = set_canonical_name(list, answer->name);
	if (error != 0)
		return error;
	*result = list;
	list = NULL;
	return 0;
}

static int find(const char *node, const char *service, const struct addrinfo *hints,
	struct addrinfo **result)
{
	struct addrinfo *template __attribute__((cleanup(free_list))) = NULL;
	char *converted __attribute__((cleanup(free_text))) = NULL;
	struct lookup_answer answer;
	UNCANCELLED;

	if (!is_name(node, hints))
		return NOT_OURS;
	int error = make_template(service, hints, &template);
	if (error == 0 && (hints->ai_flags & AI_IDN)) {
		error = idna_to_ascii(node, &converted);
		node = converted;
	}
	if (error == 0)
		error = status_to_error(
			lookup_name(node, hints->ai_family, template_port(template), &answer));
	return error == 0 ? build(&answer, hints, template, result) : error;
}

int airlock_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
	struct addrinfo **result)
{
	int saved_errno = errno;
	int error = find(node, service, hints ? hints : &default_hints, result);

	// glibc leaves EAGAIN behind here, and EAI_SYSTEM says that errno has the reason.
	if (error != EAI_SYSTEM)
		errno = error == EAI_AGAIN ? EAGAIN : saved_errno;
	if (error == NOT_OURS)
		return real_getaddrinfo(node, service, hints, result);
	return error;
}
