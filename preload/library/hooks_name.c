// SPDX-License-Identifier: MIT
// Exported in place of libc's. freeaddrinfo and gai_error are not: lists and requests have libc's
// own form.
#include <netdb.h>

#include "preload/library/addrinfo.h"
#include "preload/library/hooks.h"
#include "preload/library/hostent.h"
#include "preload/library/lookup_async.h"
#include "preload/library/nameinfo.h"

EXPORT int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
	struct addrinfo **result)
{
	return airlock_getaddrinfo(node, service, hints, result);
}

EXPORT int getnameinfo(const struct sockaddr *address, socklen_t length, char *host,
	socklen_t host_size, char *service, socklen_t service_size, int flags)
{
	return airlock_getnameinfo(address, length, host, host_size, service, service_size, flags);
}

EXPORT struct hostent *gethostbyname(const char *name)
{
	return airlock_gethostbyname2(name, AF_INET);
}

EXPORT struct hostent *gethostbyname2(const char *name, int family)
{
	return airlock_gethostbyname2(name, family);
}

EXPORT int gethostbyname_r(const char *name, struct hostent *host, char *buffer, size_t size,
	struct hostent **result, int *h_error)
{
	return airlock_gethostbyname2_r(name, AF_INET, host, buffer, size, result, h_error);
}

EXPORT int gethostbyname2_r(const char *name, int family, struct hostent *host, char *buffer,
	size_t size, struct hostent **result, int *h_error)
{
	return airlock_gethostbyname2_r(name, family, host, buffer, size, result, h_error);
}

EXPORT struct hostent *gethostbyaddr(const void *address, socklen_t length, int family)
{
	return airlock_gethostbyaddr(address, length, family);
}

EXPORT int gethostbyaddr_r(const void *address, socklen_t length, int family, struct hostent *host,
	char *buffer, size_t size, struct hostent **result, int *h_error)
{
	return airlock_gethostbyaddr_r(
		address, length, family, host, buffer, size, result, h_error);
}

EXPORT int getaddrinfo_a(int mode, struct gaicb **list, int count, struct sigevent *event)
{
	return airlock_getaddrinfo_a(mode, list, count, event);
}

EXPORT int gai_suspend(const struct gaicb *const *list, int count, const struct timespec *timeout)
{
	return airlock_gai_suspend(list, count, timeout);
}

EXPORT int gai_cancel(struct gaicb *request)
{
	return airlock_gai_cancel(request);
}
