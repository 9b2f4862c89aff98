// SPDX-License-Identifier: MIT
// Everything here is async-signal-safe: system calls and the stack, no memory allocation, no stdio,
// no locks, because the preload library runs it inside connect(), which programs call from
// anywhere.
//
// The gate. A stream's writability is the answer to its request. What withholds it is the kernel's
// own accounting: on vsock the listener's receive allowance, which one request fills; on the unix
// stand-in the opener's own send buffer, made as small as the kernel permits before the request is
// sent. What gives it back is that the acceptor consumes the request, and on vsock only after the
// allowance has been enlarged.
#include "wire/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <linux/vm_sockets.h>

#include "wire/clock.h"
#include "wire/random.h"

// 0..2 are the program's standard streams even while they are closed.
#define LOWEST_FD 3

// --- small helpers

// Sleeps for a half to one and a half times the given time.
static void sleep_about(unsigned milliseconds)
{
	long half = milliseconds * 500000L;
	long nanoseconds = half + (long)(random_number() % (uint64_t)(2 * half));
	struct timespec pause = {.tv_nsec = nanoseconds};

	while (nanosleep(&pause, &pause) < 0 && errno == EINTR)
		;
}

static void close_fd(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

#define SCOPED_FD __attribute__((cleanup(close_fd))) int

static int steal_fd(int *fd)
{
	int stolen = *fd;

	*fd = -1;
	return stolen;
}

static int open_socket(int family)
{
	SCOPED_FD fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	if (fd >= LOWEST_FD)
		return steal_fd(&fd);
	int moved = fcntl(fd, F_DUPFD_CLOEXEC, LOWEST_FD);
	return moved < 0 ? -errno : moved;
}

static int set_vsock_option(int fd, int option, const void *value, socklen_t size)
{
	return setsockopt(fd, AF_VSOCK, option, value, size) < 0 ? -errno : 0;
}

// In this order, because the kernel clamps the size to the bounds without an error
// (vsock_update_buffer_size in net/vmw_vsock/af_vsock.c).
static int set_vsock_window(int fd, uint64_t bytes)
{
	static const int options[] = {SO_VM_SOCKETS_BUFFER_MIN_SIZE, SO_VM_SOCKETS_BUFFER_MAX_SIZE,
		SO_VM_SOCKETS_BUFFER_SIZE};

	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		int result = set_vsock_option(fd, options[i], &bytes, sizeof(bytes));
		if (result < 0)
			return result;
	}
	return 0;
}

static int set_connect_timeout(int fd)
{
	const struct timeval timeout = {
		.tv_sec = STREAM_CONNECT_TIMEOUT / 1000,
		.tv_usec = STREAM_CONNECT_TIMEOUT % 1000 * 1000,
	};

	return set_vsock_option(fd, SO_VM_SOCKETS_CONNECT_TIMEOUT, &timeout, sizeof(timeout));
}

// --- the opener's side

static int wait_writable(int fd, int64_t deadline)
{
	for (;;) {
		int64_t left = deadline - (int64_t)clock_now_ms();
		struct pollfd entry = {.fd = fd, .events = POLLOUT};
		int ready = poll(&entry, 1, left > 0 ? (int)left : 0);
		if (ready > 0)
			return 0;
		if (ready == 0)
			return -ETIMEDOUT;
		if (errno != EINTR)
			return -errno;
	}
}

int stream_finish_dial(int fd)
{
	int error = 0;
	socklen_t size = sizeof(error);

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
		return -errno;
	return -error;
}

static int wait_connected(int fd)
{
	int result = wait_writable(fd, (int64_t)clock_now_ms() + STREAM_CONNECT_TIMEOUT);

	return result < 0 ? result : stream_finish_dial(fd);
}

// Returns 0, -EINPROGRESS, or another -errno.
static int connect_to(int fd, const struct endpoint *endpoint)
{
	struct sockaddr_storage address;
	uint32_t count = endpoint_count(endpoint);
	uint32_t index = count > 1 ? (uint32_t)(random_number() % count) : 0;
	socklen_t length = endpoint_to_sockaddr(endpoint, index, &address);

	if (connect(fd, (const struct sockaddr *)&address, length) == 0)
		return 0;
	// A vsock connect goes on by itself after a signal, as TCP's does (connect(2)).
	return errno == EINTR ? -EINPROGRESS : -errno;
}

static int prepare_vsock(int fd)
{
	int result = set_vsock_window(fd, STREAM_ENCLAVE_WINDOW);

	return result < 0 ? result : set_connect_timeout(fd);
}

static int begin_dial(const struct endpoint *endpoint, bool *is_connected)
{
	bool is_vsock = endpoint->transport == ENDPOINT_VSOCK;
	SCOPED_FD fd = open_socket(is_vsock ? AF_VSOCK : AF_UNIX);

	if (fd < 0)
		return fd;
	int result = is_vsock ? prepare_vsock(fd) : 0;
	if (result == 0)
		result = connect_to(fd, endpoint);
	*is_connected = result == 0;
	return result < 0 && result != -EINPROGRESS ? result : steal_fd(&fd);
}

int stream_begin_dial(const struct endpoint *endpoint)
{
	bool is_connected;

	return begin_dial(endpoint, &is_connected);
}

static int dial_once(const struct endpoint *endpoint)
{
	bool is_connected;
	SCOPED_FD fd = begin_dial(endpoint, &is_connected);

	if (fd < 0)
		return fd;
	int result = is_connected ? 0 : wait_connected(fd);
	return result < 0 ? result : steal_fd(&fd);
}

// A full backlog and a listener that is being restarted look alike: ECONNRESET on vsock,
// EAGAIN, ECONNREFUSED or ENOENT on unix.
bool stream_is_worth_another_try(int result)
{
	return result == -ECONNRESET || result == -ECONNREFUSED || result == -ENOENT ||
	       result == -EAGAIN;
}

int stream_dial(const struct endpoint *endpoint)
{
	static const unsigned pauses[] = {2, 5, 15, 40}; // ms
	int result = dial_once(endpoint);

	for (size_t i = 0; i < ARRAY_SIZE(pauses) && stream_is_worth_another_try(result); i++) {
		sleep_about(pauses[i]);
		result = dial_once(endpoint);
	}
	return stream_is_worth_another_try(result) ? -ENETUNREACH : result;
}

// The kernel raises 1 to its minimum, which a single request exceeds (SOCK_MIN_SNDBUF in
// include/net/sock.h). It reports twice what setsockopt was given (socket(7)).
static int arm_unix_gate(int fd, int *send_buffer)
{
	int size = 0, smallest = 1;
	socklen_t length = sizeof(size);

	if (getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, &length) < 0 ||
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &smallest, sizeof(smallest)) < 0)
		return -errno;
	*send_buffer = size / 2;
	return 0;
}

int stream_send_request(int fd, enum endpoint_transport transport,
	const uint8_t request[static REQUEST_SIZE], int *send_buffer)
{
	int64_t deadline = (int64_t)clock_now_ms() + STREAM_CONNECT_TIMEOUT;
	int result = 0;

	*send_buffer = 0;
	if (transport == ENDPOINT_UNIX)
		result = arm_unix_gate(fd, send_buffer);
	for (size_t sent = 0; sent < REQUEST_SIZE && result == 0;) {
		ssize_t count =
			send(fd, request + sent, REQUEST_SIZE - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (count >= 0)
			sent += (size_t)count;
		else if (errno == EAGAIN)
			result = wait_writable(fd, deadline);
		else if (errno != EINTR)
			result = -errno;
	}
	return result;
}

void stream_restore_send_buffer(int fd, int send_buffer)
{
	if (send_buffer > 0)
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &send_buffer, sizeof(send_buffer));
}

int stream_probe(int fd)
{
	return send(fd, "", 0, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
}

// --- the acceptor's side

// A socket file outlives its listener. Nobody listens when connecting is refused; but it is also
// refused for a file that is no socket, and that one is not ours to remove (unix_find_bsd in
// net/unix/af_unix.c).
static bool is_stale(const struct sockaddr *address, socklen_t length, const char *path)
{
	struct stat status;
	SCOPED_FD fd = open_socket(AF_UNIX);

	return fd >= 0 && lstat(path, &status) == 0 && S_ISSOCK(status.st_mode) &&
	       connect(fd, address, length) < 0 && errno == ECONNREFUSED;
}

static int bind_unix(int fd, const struct endpoint *endpoint, unsigned mode)
{
	struct sockaddr_storage storage;
	const struct sockaddr *address = (const struct sockaddr *)&storage;
	socklen_t length = endpoint_to_sockaddr(endpoint, 0, &storage);
	bool has_file = endpoint->path[0] != '\0';
	int result = bind(fd, address, length) < 0 ? -errno : 0;

	if (result == -EADDRINUSE && has_file && is_stale(address, length, endpoint->path)) {
		if (unlink(endpoint->path) < 0 && errno != ENOENT)
			return -errno;
		result = bind(fd, address, length) < 0 ? -errno : 0;
	}
	// Before listen(), so that nobody connects while the umask's bits are still there.
	if (result == 0 && has_file && chmod(endpoint->path, mode) < 0)
		result = -errno;
	return result;
}

static int bind_vsock(int fd, const struct endpoint *endpoint, uint32_t index)
{
	struct sockaddr_storage storage;
	socklen_t length = endpoint_to_sockaddr(endpoint, index, &storage);
	int result = set_vsock_window(fd, STREAM_GATE_SIZE);

	if (result < 0)
		return result;
	return bind(fd, (const struct sockaddr *)&storage, length) < 0 ? -errno : 0;
}

int stream_listen(const struct endpoint *endpoint, uint32_t index, int backlog, unsigned mode)
{
	bool is_vsock = endpoint->transport == ENDPOINT_VSOCK;
	SCOPED_FD fd = open_socket(is_vsock ? AF_VSOCK : AF_UNIX);

	if (fd < 0)
		return fd;
	int result = is_vsock ? bind_vsock(fd, endpoint, index) : bind_unix(fd, endpoint, mode);
	if (result < 0)
		return result;
	if (listen(fd, backlog) < 0)
		return -errno;
	return steal_fd(&fd);
}

// recv() without waiting, again after a signal.
static int receive(int fd, uint8_t *bytes, size_t length, int flags)
{
	ssize_t count;

	do
		count = recv(fd, bytes, length, flags | MSG_DONTWAIT);
	while (count < 0 && errno == EINTR);
	return count < 0 ? -errno : (int)count;
}

int stream_peek_request(int fd, uint8_t request[static REQUEST_SIZE])
{
	return receive(fd, request, REQUEST_SIZE, MSG_PEEK);
}

bool stream_has_more_than_request(int fd)
{
	uint8_t bytes[REQUEST_SIZE + 1];

	return receive(fd, bytes, sizeof(bytes), MSG_PEEK) > REQUEST_SIZE;
}

int stream_open_gate(int fd, enum endpoint_transport transport)
{
	int result = transport == ENDPOINT_VSOCK ? set_vsock_window(fd, STREAM_HOST_WINDOW) : 0;

	if (result < 0)
		return result;
	uint8_t request[REQUEST_SIZE];
	int count = receive(fd, request, sizeof(request), 0);
	if (count < 0)
		return count;
	return count == REQUEST_SIZE ? 0 : -EPROTO;
}
