// SPDX-License-Identifier: MIT
#include "wire/nsm_socket.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

static int set_timeouts(int fd)
{
	const struct timeval timeout = {.tv_sec = NSM_TIMEOUT};

	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) < 0 ||
		setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)) < 0)
		return -errno;
	return 0;
}

// A full backlog makes connect() wait; a signal ends only the waiting (unix_stream_connect in
// net/unix/af_unix.c).
static int connect_to(int fd, const struct endpoint *endpoint)
{
	struct sockaddr_storage address;
	socklen_t length = endpoint_to_sockaddr(endpoint, 0, &address);
	int result;

	do
		result = connect(fd, (const struct sockaddr *)&address, length);
	while (result < 0 && errno == EINTR);
	if (result == 0)
		return 0;
	return errno == EAGAIN ? -ETIMEDOUT : -errno;
}

int nsm_socket_dial(const struct endpoint *endpoint)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	int result;

	if (fd < 0)
		return -errno;
	result = set_timeouts(fd);
	if (result == 0)
		result = connect_to(fd, endpoint);
	if (result == 0)
		return fd;
	close(fd);
	return result;
}

// What the kernel's driver has other names for, or none.
static int translate_error(int error)
{
	if (error == EAGAIN)
		return -ETIMEDOUT;
	return error == EPIPE || error == ECONNRESET || error == ENOTCONN ? -EIO : -error;
}

ssize_t nsm_socket_ask(
	int fd, const void *request, size_t request_length, void *response, size_t size)
{
	ssize_t count;

	do
		count = send(fd, request, request_length, MSG_NOSIGNAL);
	while (count < 0 && errno == EINTR);
	if (count < 0)
		return translate_error(errno);
	// MSG_TRUNC: the packet's own length (recv(2)), which is 0 only at the end.
	do
		count = recv(fd, response, size, MSG_TRUNC);
	while (count < 0 && errno == EINTR);
	if (count < 0)
		return translate_error(errno);
	return count == 0 ? -EIO : count;
}
