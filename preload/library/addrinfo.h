// SPDX-License-Identifier: MIT
#ifndef AIRLOCK_PRELOAD_ADDRINFO_H
#define AIRLOCK_PRELOAD_ADDRINFO_H

#include <netdb.h>

// getaddrinfo(3), to the letter: the same results and codes as libc's for everything that is not a
// name to be looked up elsewhere. The list is libc's own form: libc's freeaddrinfo frees it. errno
// is changed only on failure.
int airlock_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
	struct addrinfo **result);

#endif
