// SPDX-License-Identifier: MIT
#include "preload/library/nameinfo.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "preload/library/library.h"
#include "preload/library/real.h"

static const char *pool_name(const struct sockaddr *sockaddr, socklen_t length)
{
	struct address address;
	uint16_t port;

	if (!sockaddr || !address_from_sockaddr(sockaddr, length, &address, &port))
		return NULL;
	address = address_unmap(&address);
	return library_pool_name(&address);
}

// libc asks the hosts file and then DNS. Where no DNS server answers, which in an enclave is
// always, it says EAI_AGAIN; asking again is of no use there, so the address is treated as one that
// has no name.
static int ask_libc(const struct sockaddr *address, socklen_t length, char *host,
	socklen_t host_size, char *service, socklen_t service_size, int flags)
{
	int saved_errno = errno;
	int error =
		real_getnameinfo(address, length, host, host_size, service, service_size, flags);

	if (error != EAI_AGAIN)
		return error;
	errno = saved_errno;
	if (flags & NI_NAMEREQD)
		return EAI_NONAME;
	return real_getnameinfo(
		address, length, host, host_size, service, service_size, flags | NI_NUMERICHOST);
}

// NI_NOFQDN changes nothing: there is no local domain in an enclave to leave out.
int airlock_getnameinfo(const struct sockaddr *address, socklen_t length, char *host,
	socklen_t host_size, char *service, socklen_t service_size, int flags)
{
	bool wants_name = host && host_size > 0 && !(flags & NI_NUMERICHOST);
	const char *name = wants_name ? pool_name(address, length) : NULL;

	if (!name)
		return ask_libc(address, length, host, host_size, service, service_size, flags);

	// libc checks the flags and does the service; NI_NAMEREQD is already satisfied.
	int error = real_getnameinfo(
		address, length, NULL, 0, service, service_size, flags & ~NI_NAMEREQD);
	if (error != 0)
		return error;
	if (strlen(name) >= host_size)
		return EAI_OVERFLOW;
	strcpy(host, name);
	return 0;
}
