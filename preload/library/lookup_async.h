// SPDX-License-Identifier: MIT
// getaddrinfo_a(3) and its relatives. libc's own would go around our getaddrinfo, since libc calls
// itself without going through exported symbols; so every request is handled here, and libc's
// functions never know of any.
#ifndef AIRLOCK_PRELOAD_LOOKUP_ASYNC_H
#define AIRLOCK_PRELOAD_LOOKUP_ASYNC_H

#include <netdb.h>
#include <signal.h>
#include <time.h>

int airlock_getaddrinfo_a(int mode, struct gaicb **list, int count, struct sigevent *event);
int airlock_gai_suspend(const struct gaicb *const *list, int count, const struct timespec *timeout);
int airlock_gai_cancel(struct gaicb *item);

#endif
