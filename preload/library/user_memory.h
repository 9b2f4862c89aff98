// SPDX-License-Identifier: MIT
// Touching memory that a program's pointer names as the kernel does: a bad pointer is EFAULT, not a
// crash.
#ifndef AIRLOCK_PRELOAD_USER_MEMORY_H
#define AIRLOCK_PRELOAD_USER_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "wire/compiler.h"

// Copy size bytes. Return 0 or -EFAULT. Leave errno alone. process_vm_readv(2) and
// process_vm_writev(2) on the own process check the pointer; where a seccomp filter forbids them,
// it is trusted.
int user_memory_read(void *to, const void *from, size_t size) MUST_CHECK;
int user_memory_write(void *to, const void *from, size_t size) MUST_CHECK;

// Whether all that the pieces name can be read. For what a call refused, not for every call: it
// looks at each page.
bool user_memory_is_readable(const struct iovec *pieces, size_t count);

// Hands a socket address out as move_addr_to_user in the kernel's net/socket.c does: cut to
// *length, which then becomes the full length. -EINVAL for a negative *length, -EFAULT.
int user_memory_put_address(struct sockaddr *to, socklen_t *length, const void *address,
	socklen_t address_length) MUST_CHECK;

// The same for an option's value: *length becomes the number of bytes written (sock_getsockopt in
// net/core/sock.c).
int user_memory_put_option(
	void *to, socklen_t *length, const void *value, socklen_t value_length) MUST_CHECK;

#endif
