// SPDX-License-Identifier: MIT
// What this process has registered with epoll_ctl(2): replacing the socket behind a descriptor
// drops its registrations, and programs such as nginx make them before connect().
#ifndef AIRLOCK_PRELOAD_EPOLL_MEMORY_H
#define AIRLOCK_PRELOAD_EPOLL_MEMORY_H

#include <stddef.h>
#include <sys/epoll.h>

#define EPOLL_MEMORY_SETS 8 // epoll sets that one descriptor can be remembered in

struct epoll_registration {
	int set; // the epoll descriptor
	struct epoll_event event;
};

// epoll_ctl(2) as programs see it.
int airlock_epoll_ctl(int set, int operation, int fd, struct epoll_event *event);

// Takes fd, as it is now, out of every set that it is remembered in and that the kernel confirms (a
// forgotten or reused set is dropped). Fills list and returns how many.
size_t epoll_memory_detach(int fd, struct epoll_registration list[static EPOLL_MEMORY_SETS]);

// Registers fd, as it is now, with the same events and data.
void epoll_memory_attach(int fd, const struct epoll_registration *list, size_t count);

#endif
