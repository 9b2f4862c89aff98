// SPDX-License-Identifier: MIT
// Theory of operation: an answer is packed into the caller's buffer behind the two pointer lists
// that a struct hostent has. The functions without _r pack into a buffer on their stack first and
// copy the result under a lock, so that no lock is held while hostd is asked.
#include "preload/library/hostent.h"

#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdalign.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "preload/library/library.h"
#include "preload/library/lookup.h"
#include "preload/library/real.h"
#include "preload/library/result.h"

// Not an errno.
#define NOT_OURS (-1)

// Any answer fits: two lists of pointers, the addresses, the name and the aliases.
#define STATIC_SIZE 4096
_Static_assert(STATIC_SIZE > (LOOKUP_MAX_ALIASES + 1) * sizeof(char *) +
				     (LOOKUP_MAX_ADDRESSES + 1) * sizeof(char *) +
				     LOOKUP_MAX_ADDRESSES * 16 + NAME_SIZE + 1 +
				     LOOKUP_ALIAS_BYTES + 2 * alignof(char *),
	"the static buffer holds every answer");

struct static_result {
	struct hostent host;
	char buffer[STATIC_SIZE];
};

// --- packing

struct room {
	char *next;
	size_t left;
};

// Takes size bytes off the room. Returns NULL when they are not there.
static void *take(struct room *room, size_t size)
{
	void *taken = room->next;

	if (size > room->left)
		return NULL;
	room->next += size;
	room->left -= size;
	return taken;
}

static bool align(struct room *room)
{
	size_t excess = (uintptr_t)room->next % alignof(char *);

	return excess == 0 || take(room, alignof(char *) - excess);
}

static char *take_text(struct room *room, const char *text)
{
	size_t size = strlen(text) + 1;
	char *copy = take(room, size);

	return copy ? memcpy(copy, text, size) : NULL;
}

static bool pack_addresses(
	struct room *room, const struct address *addresses, size_t count, struct hostent *host)
{
	for (size_t i = 0; i < count; i++) {
		host->h_addr_list[i] = take(room, (size_t)host->h_length);
		if (!host->h_addr_list[i])
			return false;
		memcpy(host->h_addr_list[i], addresses[i].bytes, (size_t)host->h_length);
	}
	host->h_addr_list[count] = NULL;
	return true;
}

static bool pack_aliases(
	struct room *room, const struct lookup_answer *answer, struct hostent *host)
{
	const char *alias = answer->aliases;

	for (size_t i = 0; i < answer->alias_count; i++, alias += strlen(alias) + 1) {
		host->h_aliases[i] = take_text(room, alias);
		if (!host->h_aliases[i])
			return false;
	}
	host->h_aliases[answer->alias_count] = NULL;
	return true;
}

// Returns false when the buffer is too small.
static bool pack(const struct lookup_answer *answer, const struct address *addresses, size_t count,
	int family, struct hostent *host, char *buffer, size_t size)
{
	struct room room = {buffer, size};

	if (!align(&room))
		return false;
	host->h_addrtype = family;
	host->h_length = family == AF_INET ? 4 : 16;
	host->h_aliases = take(&room, (answer->alias_count + 1) * sizeof(char *));
	host->h_addr_list = take(&room, (count + 1) * sizeof(char *));
	if (!host->h_aliases || !host->h_addr_list)
		return false;
	if (!pack_addresses(&room, addresses, count, host))
		return false;
	host->h_name = take_text(&room, answer->name);
	return host->h_name && pack_aliases(&room, answer, host);
}

// --- by name

static bool is_literal(const char *name)
{
	const struct addrinfo hints = {.ai_flags = AI_NUMERICHOST};
	struct addrinfo *list;

	if (real_getaddrinfo(name, NULL, &hints, &list) != 0)
		return false;
	freeaddrinfo(list);
	return true;
}

static bool is_ours(const char *name, int family)
{
	return name && (family == AF_INET || family == AF_INET6) && !is_literal(name);
}

// A failed lookup as h_errno; NETDB_SUCCESS for a found name.
static int status_to_h_error(const char *name, enum lookup_status status)
{
	switch (status) {
	case LOOKUP_FOUND:
		return NETDB_SUCCESS;
	case LOOKUP_NO_SUCH_NAME:
		return *name ? HOST_NOT_FOUND : NO_RECOVERY; // glibc's answer to an empty name
	case LOOKUP_TRY_AGAIN:
		return TRY_AGAIN;
	default:
		return NO_RECOVERY;
	}
}

// The selected addresses, or why there are none, in *h_error. Returns false when the name is
// libc's.
static bool find(const char *name, int family, struct lookup_answer *answer,
	struct address selected[static LOOKUP_MAX_ADDRESSES], size_t *count, int *h_error)
{
	UNCANCELLED;

	if (!is_ours(name, family))
		return false;
	enum lookup_status status = lookup_name(name, family, 0, answer);
	if (status == LOOKUP_LEAVE_TO_LIBC)
		return false;
	*h_error = status_to_h_error(name, status);
	*count = status == LOOKUP_FOUND ? lookup_select(answer, family, selected) : 0;
	if (status == LOOKUP_FOUND && *count == 0)
		*h_error = answer->source == LOOKUP_FROM_HOSTS_FILE ? HOST_NOT_FOUND : NO_DATA;
	return true;
}

static int fail_range(int *h_error)
{
	*h_error = NETDB_INTERNAL;
	errno = ERANGE;
	return ERANGE;
}

// As gethostbyname2_r, or NOT_OURS.
static int look_up(const char *name, int family, struct hostent *host, char *buffer, size_t size,
	struct hostent **result, int *h_error)
{
	struct address selected[LOOKUP_MAX_ADDRESSES];
	struct lookup_answer answer;
	int saved_errno = errno;
	size_t count;
	bool is_found = find(name, family, &answer, selected, &count, h_error);

	errno = saved_errno;
	if (!is_found)
		return NOT_OURS;
	*result = NULL;
	if (*h_error == TRY_AGAIN)
		return errno = EAGAIN;
	if (*h_error != NETDB_SUCCESS)
		return 0;
	if (!pack(&answer, selected, count, family, host, buffer, size))
		return fail_range(h_error);
	*result = host;
	return 0;
}

int airlock_gethostbyname2_r(const char *name, int family, struct hostent *host, char *buffer,
	size_t size, struct hostent **result, int *h_error)
{
	int error = look_up(name, family, host, buffer, size, result, h_error);

	if (error == NOT_OURS)
		return real_gethostbyname2_r(name, family, host, buffer, size, result, h_error);
	return error;
}

// --- static results

static pthread_mutex_t static_lock = PTHREAD_MUTEX_INITIALIZER;

static void *moved(const void *pointer, const char *from, char *to)
{
	return to + ((const char *)pointer - from);
}

static void move_list(char **list, const char *from, char *to)
{
	for (; *list; list++)
		*list = moved(*list, from, to);
}

// Copies a packed result and points it at its new place.
static struct hostent *keep(struct static_result *kept, const struct static_result *fresh)
{
	pthread_mutex_lock(&static_lock);
	*kept = *fresh;
	kept->host.h_name = moved(fresh->host.h_name, fresh->buffer, kept->buffer);
	kept->host.h_aliases = moved(fresh->host.h_aliases, fresh->buffer, kept->buffer);
	kept->host.h_addr_list = moved(fresh->host.h_addr_list, fresh->buffer, kept->buffer);
	move_list(kept->host.h_aliases, fresh->buffer, kept->buffer);
	move_list(kept->host.h_addr_list, fresh->buffer, kept->buffer);
	pthread_mutex_unlock(&static_lock);
	return &kept->host;
}

struct hostent *airlock_gethostbyname2(const char *name, int family)
{
	static struct static_result kept;
	struct static_result fresh;
	struct hostent *result;
	int h_error;
	int error = look_up(
		name, family, &fresh.host, fresh.buffer, sizeof(fresh.buffer), &result, &h_error);

	if (error == NOT_OURS)
		return real_gethostbyname2(name, family);
	if (result)
		return keep(&kept, &fresh);
	h_errno = h_error;
	return NULL;
}

// --- by address

static bool read_address(const void *bytes, socklen_t length, int family, struct address *address)
{
	memset(address, 0, sizeof(*address));
	if (family == AF_INET && length == 4)
		address->family = ADDRESS_IPV4;
	else if (family == AF_INET6 && length == 16)
		address->family = ADDRESS_IPV6;
	else
		return false;
	memcpy(address->bytes, bytes, length);
	return true;
}

// As gethostbyaddr_r, or NOT_OURS.
static int look_up_address(const void *bytes, socklen_t length, int family, struct hostent *host,
	char *buffer, size_t size, struct hostent **result, int *h_error)
{
	struct lookup_answer answer = {.count = 0};
	struct address address;

	if (!read_address(bytes, length, family, &address))
		return NOT_OURS;
	struct address plain = address_unmap(&address);
	const char *name = library_pool_name(&plain);
	if (!name)
		return NOT_OURS;
	strcpy(answer.name, name);
	*result = NULL;
	if (!pack(&answer, &address, 1, family, host, buffer, size))
		return fail_range(h_error);
	*h_error = NETDB_SUCCESS;
	*result = host;
	return 0;
}

// See nameinfo.c: where no DNS server answers, trying again is of no use.
int airlock_gethostbyaddr_r(const void *address, socklen_t length, int family, struct hostent *host,
	char *buffer, size_t size, struct hostent **result, int *h_error)
{
	int saved_errno = errno;
	int error = look_up_address(address, length, family, host, buffer, size, result, h_error);

	if (error != NOT_OURS)
		return error;
	error = real_gethostbyaddr_r(address, length, family, host, buffer, size, result, h_error);
	if (error != EAGAIN || *h_error != TRY_AGAIN)
		return error;
	*h_error = HOST_NOT_FOUND;
	errno = saved_errno;
	return 0;
}

struct hostent *airlock_gethostbyaddr(const void *address, socklen_t length, int family)
{
	static struct static_result kept;
	struct static_result fresh;
	struct hostent *result;
	int h_error;

	if (look_up_address(address, length, family, &fresh.host, fresh.buffer,
		    sizeof(fresh.buffer), &result, &h_error) != NOT_OURS)
		return keep(&kept, &fresh);
	result = real_gethostbyaddr(address, length, family);
	if (!result && h_errno == TRY_AGAIN)
		h_errno = HOST_NOT_FOUND;
	return result;
}
