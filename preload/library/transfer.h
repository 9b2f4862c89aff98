// SPDX-License-Identifier: MIT
// The data path of hooked calls. Everything here behaves, errno included, as the libc function of
// the same name does on a TCP socket; what is not a stream goes to that function untouched.
#ifndef AIRLOCK_PRELOAD_TRANSFER_H
#define AIRLOCK_PRELOAD_TRANSFER_H

#include <stddef.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

ssize_t airlock_recv(int fd, void *buffer, size_t length, int flags);
ssize_t airlock_recvfrom(int fd, void *buffer, size_t length, int flags, struct sockaddr *address,
	socklen_t *address_length);
ssize_t airlock_recvmsg(int fd, struct msghdr *message, int flags);
int airlock_recvmmsg(
	int fd, struct mmsghdr *messages, unsigned count, int flags, struct timespec *timeout);
ssize_t airlock_read(int fd, void *buffer, size_t length);
ssize_t airlock_readv(int fd, const struct iovec *pieces, int count);

ssize_t airlock_send(int fd, const void *buffer, size_t length, int flags);
ssize_t airlock_sendto(int fd, const void *buffer, size_t length, int flags,
	const struct sockaddr *address, socklen_t address_length);
ssize_t airlock_sendmsg(int fd, const struct msghdr *message, int flags);
int airlock_sendmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags);
ssize_t airlock_write(int fd, const void *buffer, size_t length);
ssize_t airlock_writev(int fd, const struct iovec *pieces, int count);

ssize_t airlock_sendfile(int to, int from, off_t *offset, size_t count);
ssize_t airlock_splice(
	int from, off64_t *from_offset, int to, off64_t *to_offset, size_t length, unsigned flags);

#endif
