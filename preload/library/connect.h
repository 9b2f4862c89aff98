// SPDX-License-Identifier: MIT
// connect(): which connects become streams, and what programs see of it.
#ifndef AIRLOCK_PRELOAD_CONNECT_H
#define AIRLOCK_PRELOAD_CONNECT_H

#include <sys/socket.h>

#include "wire/compiler.h"

// connect(2) as programs see it.
int airlock_connect(int fd, const struct sockaddr *address, socklen_t length);

#define CONNECT_TO_KERNEL 1 // not ours: the caller makes libc's call

// The same for callers inside: CONNECT_TO_KERNEL, 0, or -errno. May overwrite errno.
int connect_route(int fd, const struct sockaddr *address, socklen_t length) MUST_CHECK;

#endif
