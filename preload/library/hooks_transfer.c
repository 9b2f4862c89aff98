// SPDX-License-Identifier: MIT
// The fortified headers would turn these definitions into calls of their checking twins.
#undef _FORTIFY_SOURCE
#include "preload/library/hooks.h"

#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "preload/library/real.h"
#include "preload/library/transfer.h"

EXPORT ssize_t read(int fd, void *buffer, size_t length)
{
	return airlock_read(fd, buffer, length);
}

EXPORT ssize_t readv(int fd, const struct iovec *pieces, int count)
{
	return airlock_readv(fd, pieces, count);
}

EXPORT ssize_t recv(int fd, void *buffer, size_t length, int flags)
{
	return airlock_recv(fd, buffer, length, flags);
}

EXPORT ssize_t recvfrom(int fd, void *buffer, size_t length, int flags, struct sockaddr *address,
	socklen_t *address_length)
{
	return airlock_recvfrom(fd, buffer, length, flags, address, address_length);
}

EXPORT ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
	return airlock_recvmsg(fd, message, flags);
}

EXPORT int recvmmsg(
	int fd, struct mmsghdr *messages, unsigned count, int flags, struct timespec *timeout)
{
	return airlock_recvmmsg(fd, messages, count, flags, timeout);
}

EXPORT ssize_t write(int fd, const void *buffer, size_t length)
{
	return airlock_write(fd, buffer, length);
}

EXPORT ssize_t writev(int fd, const struct iovec *pieces, int count)
{
	return airlock_writev(fd, pieces, count);
}

EXPORT ssize_t send(int fd, const void *buffer, size_t length, int flags)
{
	return airlock_send(fd, buffer, length, flags);
}

EXPORT ssize_t sendto(int fd, const void *buffer, size_t length, int flags,
	const struct sockaddr *address, socklen_t address_length)
{
	return airlock_sendto(fd, buffer, length, flags, address, address_length);
}

EXPORT ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
	return airlock_sendmsg(fd, message, flags);
}

EXPORT int sendmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags)
{
	return airlock_sendmmsg(fd, messages, count, flags);
}

EXPORT ssize_t sendfile(int to, int from, off_t *offset, size_t count)
{
	return airlock_sendfile(to, from, offset, count);
}

// off_t is off64_t on every system that has vsock enclaves.
_Static_assert(sizeof(off_t) == sizeof(off64_t), "one sendfile serves both names");

EXPORT ssize_t sendfile64(int to, int from, off64_t *offset, size_t count)
{
	return airlock_sendfile(to, from, offset, count);
}

EXPORT ssize_t splice(
	int from, off64_t *from_offset, int to, off64_t *to_offset, size_t length, unsigned flags)
{
	return airlock_splice(from, from_offset, to, to_offset, length, flags);
}

// --- what -D_FORTIFY_SOURCE makes of the above in programs; a length past the buffer is libc's to
// punish

EXPORT ssize_t __read_chk(int fd, void *buffer, size_t length, size_t size);
EXPORT ssize_t __recv_chk(int fd, void *buffer, size_t length, size_t size, int flags);
EXPORT ssize_t __recvfrom_chk(int fd, void *buffer, size_t length, size_t size, int flags,
	struct sockaddr *address, socklen_t *address_length);

EXPORT ssize_t __read_chk(int fd, void *buffer, size_t length, size_t size)
{
	return length > size ? real___read_chk(fd, buffer, length, size)
			     : airlock_read(fd, buffer, length);
}

EXPORT ssize_t __recv_chk(int fd, void *buffer, size_t length, size_t size, int flags)
{
	return length > size ? real___recv_chk(fd, buffer, length, size, flags)
			     : airlock_recv(fd, buffer, length, flags);
}

EXPORT ssize_t __recvfrom_chk(int fd, void *buffer, size_t length, size_t size, int flags,
	struct sockaddr *address, socklen_t *address_length)
{
	if (length > size)
		return real___recvfrom_chk(
			fd, buffer, length, size, flags, address, address_length);
	return airlock_recvfrom(fd, buffer, length, flags, address, address_length);
}
