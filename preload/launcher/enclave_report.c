// SPDX-License-Identifier: MIT
#include "preload/launcher/enclave_report.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include "wire/clock.h"
#include "wire/stream.h"

#define HEARTBEAT 0xb7
#define PATIENCE  5000 // ms, all attempts together
#define PAUSE     200  // ms between two

// Returns 0, -EAGAIN interrupted, -ETIMEDOUT.
static int await(int fd, short events, int64_t deadline)
{
	struct pollfd item = {.fd = fd, .events = events};
	int64_t left = deadline - (int64_t)clock_now_ms();
	int count = poll(&item, 1, left > 0 ? (int)left : 0);

	if (count < 0)
		return errno == EINTR ? -EAGAIN : -errno;
	return count == 0 ? -ETIMEDOUT : 0;
}

static int send_heartbeat(int fd)
{
	uint8_t byte = HEARTBEAT;

	return send(fd, &byte, 1, MSG_NOSIGNAL | MSG_DONTWAIT) == 1 ? 0 : -errno;
}

static int read_answer(int fd, int64_t deadline)
{
	uint8_t byte;
	int error;

	for (;;) {
		ssize_t count = recv(fd, &byte, 1, MSG_DONTWAIT);

		if (count > 0)
			return byte == HEARTBEAT ? 0 : -EPROTO;
		if (count == 0)
			return -ECONNRESET;
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
		error = await(fd, POLLIN, deadline);
		if (error && error != -EAGAIN)
			return error;
	}
}

static int report_once(const struct endpoint *endpoint, int64_t deadline)
{
	int fd = stream_dial(endpoint);
	int error;

	if (fd < 0)
		return fd;
	error = send_heartbeat(fd);
	if (!error)
		error = read_answer(fd, deadline);
	close(fd);
	return error;
}

int enclave_report(const struct endpoint *endpoint)
{
	int64_t deadline = (int64_t)clock_now_ms() + PATIENCE;
	int error = report_once(endpoint, deadline);

	while (error && (int64_t)clock_now_ms() + PAUSE < deadline) {
		(void)poll(NULL, 0, PAUSE);
		error = report_once(endpoint, deadline);
	}
	return error;
}
