// SPDX-License-Identifier: MIT
// Putting another socket behind a program's descriptor without the program noticing.
#ifndef AIRLOCK_PRELOAD_SWAP_H
#define AIRLOCK_PRELOAD_SWAP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "wire/compiler.h"

// Makes fd, while it is the socket of this cookie (fds_cookie), and its known duplicates in this
// process, refer to the socket of replacement, which is consumed: closed whatever happens. File
// status flags, FD_CLOEXEC, asynchronous owner and epoll registrations are carried over. Returns 0
// or -errno, with fd unchanged: -EBADF when another thread has closed it, whatever has the number
// now.
int swap_socket(int fd, uint64_t cookie, int replacement) MUST_CHECK;

// A fresh TCP socket of a domain, close-on-exec, numbered 3 or more. When the descriptor limit is
// used up, the soft limit is raised to the hard one for the moment. Returns -errno: -ENOBUFS when
// no descriptor is to be had.
int swap_open_tcp(int domain) MUST_CHECK;

// Lends one more descriptor when the soft limit is used up. Returns false when the hard limit is
// reached too; otherwise swap_return_limit must follow.
struct swap_limit {
	bool is_raised;
	unsigned long soft;
};
bool swap_raise_limit(struct swap_limit *limit) MUST_CHECK;
void swap_return_limit(const struct swap_limit *limit);

#endif
