// SPDX-License-Identifier: MIT
#include "preload/library/target.h"

#include <netinet/in.h>
#include <stddef.h>
#include <string.h>

#include "preload/library/library.h"
#include "preload/library/log.h"

// The kernel takes a sockaddr_in6 without its scope id (SIN6_LEN_RFC2133 in net/ipv6/af_inet6.c).
#define SHORT_IPV6_LENGTH offsetof(struct sockaddr_in6, sin6_scope_id)

static bool read_address(
	const struct sockaddr_storage *address, socklen_t length, struct target *target)
{
	struct address peer;

	if (address->ss_family == AF_INET6 && length >= SHORT_IPV6_LENGTH &&
		length < sizeof(struct sockaddr_in6))
		length = sizeof(
			struct sockaddr_in6); // the storage is zero behind the program's bytes
	target->domain = address->ss_family;
	if (!address_from_sockaddr((const struct sockaddr *)address, length, &peer, &target->port))
		return false;
	target->peer = address_unmap(&peer);
	return true;
}

// Connecting to the unspecified address means this machine (tcp_v4_connect, tcp_v6_connect).
static void replace_unspecified(struct address *address)
{
	static const uint8_t zeros[16];

	if (memcmp(address->bytes, zeros, sizeof(zeros)) != 0)
		return;
	if (address->family == ADDRESS_IPV4)
		address->bytes[0] = 127;
	address->bytes[address->family == ADDRESS_IPV4 ? 3 : 15] = 1;
}

enum target_verdict target_decide(
	const struct sockaddr_storage *address, socklen_t length, struct target *target)
{
	const struct settings *settings = library_settings();
	const struct route *route;

	*target = (struct target){.name = NULL};
	if (!read_address(address, length, target))
		return TARGET_TO_KERNEL;
	replace_unspecified(&target->peer);
	target->name = library_pool_name(&target->peer);
	if (!target->name && library_is_pool_address(&target->peer))
		return TARGET_NAMELESS;
	route = settings_find_route(settings, target->name, &target->peer, target->port);
	if (!route || route->action == ROUTE_DENY)
		return TARGET_DENIED;
	if (route->action == ROUTE_LOCAL)
		return TARGET_TO_KERNEL;
	target->is_tls = route->action == ROUTE_TLS;
	target->endpoint = target->is_tls ? &settings->tls_listen : &settings->hostd;
	return TARGET_DIAL;
}

static size_t append(char *text, size_t size, size_t length, const char *more)
{
	for (; *more && length + 1 < size; more++)
		text[length++] = *more;
	text[length] = '\0';
	return length;
}

const char *target_format(const struct target *target, char *text, size_t size)
{
	bool is_bracketed = !target->name && target->peer.family == ADDRESS_IPV6;
	char number[LOG_NUMBER_SIZE], address[ADDRESS_TEXT_SIZE];
	const char *host = target->name ? target->name : address_format(&target->peer, address);
	size_t length = append(text, size, 0, is_bracketed ? "[" : "");

	length = append(text, size, length, host);
	length = append(text, size, length, is_bracketed ? "]:" : ":");
	append(text, size, length, log_number(target->port, number));
	return text;
}
