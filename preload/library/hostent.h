// SPDX-License-Identifier: MIT
// gethostbyname(3) and its relatives: results, h_errno, ERANGE and static memory as in glibc.
#ifndef AIRLOCK_PRELOAD_HOSTENT_H
#define AIRLOCK_PRELOAD_HOSTENT_H

#include <netdb.h>
#include <stddef.h>
#include <sys/socket.h>

// Returns 0 with *result = host; 0 with *result NULL and *h_error set when the name has no such
// address; EAGAIN with TRY_AGAIN; ERANGE with NETDB_INTERNAL when the buffer is too small.
int airlock_gethostbyname2_r(const char *name, int family, struct hostent *host, char *buffer,
	size_t size, struct hostent **result, int *h_error);

// The result is in static memory that the next call of this function overwrites, in any thread.
// NULL with h_errno set on failure.
struct hostent *airlock_gethostbyname2(const char *name, int family);

// A pool address has its name; all others are libc's.
int airlock_gethostbyaddr_r(const void *address, socklen_t length, int family, struct hostent *host,
	char *buffer, size_t size, struct hostent **result, int *h_error);
struct hostent *airlock_gethostbyaddr(const void *address, socklen_t length, int family);

#endif
