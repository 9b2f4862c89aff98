// SPDX-License-Identifier: MIT
#ifndef AIRLOCK_PRELOAD_NAMEINFO_H
#define AIRLOCK_PRELOAD_NAMEINFO_H

#include <netdb.h>
#include <sys/socket.h>

// getnameinfo(3): a pool address has its name as host; everything else is libc's.
int airlock_getnameinfo(const struct sockaddr *address, socklen_t length, char *host,
	socklen_t host_size, char *service, socklen_t service_size, int flags);

#endif
