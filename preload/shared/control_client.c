// SPDX-License-Identifier: MIT
// Theory of operation: a control question is a stream of its own. The request goes out whole, the
// answer is read until the other side closes, and one deadline bounds it all. Everything lives on
// the stack: the callers are hooks, which may run in a signal handler or from inside an allocator.
#include "preload/shared/control_client.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <linux/vm_sockets.h>

#include "wire/clock.h"
#include "wire/stream.h"

#define PING_TIMEOUT    5000  // ms
#define RESOLVE_TIMEOUT 15000 // ms; longer than hostd's own time for a lookup and a dial
#define GATE_SLACK      2000  // ms beyond what the gate is asked to hold

struct conversation {
	int fd;
	int send_buffer;   // of the stand-in, before the gate was armed
	uint64_t deadline; // CLOCK_MONOTONIC, ms
};

// Unique at least among the processes and moments of one system.
static void fill_from_clock(uint8_t id[static REQUEST_ID_SIZE])
{
	struct timespec now;
	uint32_t words[4];

	clock_gettime(CLOCK_BOOTTIME, &now);
	words[0] = (uint32_t)getpid();
	words[1] = (uint32_t)now.tv_sec;
	words[2] = (uint32_t)now.tv_nsec;
	words[3] = (uint32_t)(uintptr_t)&now; // differs by thread
	memcpy(id, words, REQUEST_ID_SIZE);
}

void control_client_identify(struct request *request)
{
	const char *name = program_invocation_short_name;
	size_t length = strnlen(name, sizeof(request->program) - 1);

	if (getrandom(request->id, sizeof(request->id), GRND_NONBLOCK) != sizeof(request->id))
		fill_from_clock(request->id);
	memcpy(request->program, name, length);
	request->program[length] = '\0';
}

// Waits for events until the deadline. Returns 0, -ETIMEDOUT, or another -errno.
static int conversation_wait(const struct conversation *talk, short events)
{
	struct pollfd item = {.fd = talk->fd, .events = events};

	for (;;) {
		uint64_t now = clock_now_ms();
		int count;

		if (now >= talk->deadline)
			return -ETIMEDOUT;
		count = poll(&item, 1, (int)(talk->deadline - now));
		if (count > 0)
			return 0;
		if (count < 0 && errno != EINTR && errno != EAGAIN)
			return -errno;
	}
}

static int conversation_begin(struct conversation *talk, const struct endpoint *endpoint,
	const struct request *request, unsigned timeout_ms)
{
	uint8_t bytes[REQUEST_SIZE];
	int error;

	talk->deadline = clock_now_ms() + timeout_ms;
	talk->fd = stream_dial(endpoint);
	if (talk->fd < 0)
		return talk->fd == -EACCES ? -EPERM : talk->fd;
	request_encode(request, bytes);
	// Nothing follows the request, so there is nothing to restore the send buffer for.
	error = stream_send_request(talk->fd, endpoint->transport, bytes, &talk->send_buffer);
	if (error)
		close(talk->fd);
	return error;
}

// Reads to the end. A close with our request unread arrives as ECONNRESET on the stand-in and as an
// end on vsock: both are a close without an answer. Returns 0 or -errno.
static int conversation_read(
	const struct conversation *talk, uint8_t *bytes, size_t size, size_t *length)
{
	*length = 0;
	while (*length < size) {
		ssize_t got = recv(talk->fd, bytes + *length, size - *length, MSG_DONTWAIT);
		int error;

		if (got == 0)
			return *length == 0 ? -ECONNRESET : 0;
		if (got > 0) {
			*length += (size_t)got;
			continue;
		}
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
		error = conversation_wait(talk, POLLIN);
		if (error)
			return error;
	}
	return 0;
}

static int conversation_end(const struct conversation *talk, struct control_answer *answer)
{
	uint8_t bytes[CONTROL_MAX_ANSWER + 1]; // one more: an answer that is too long must be seen
	struct parse_error problem;
	size_t length;
	int error;

	error = conversation_read(talk, bytes, sizeof(bytes), &length);
	close(talk->fd);
	if (error)
		return error;
	return control_decode_answer(bytes, length, answer, &problem) ? 0 : -EPROTO;
}

int control_client_ask(const struct endpoint *endpoint, const struct request *request,
	unsigned timeout_ms, struct control_answer *answer)
{
	struct conversation talk;
	int error;

	error = conversation_begin(&talk, endpoint, request, timeout_ms);
	if (error)
		return error;
	return conversation_end(&talk, answer);
}

static int status_errno(const struct control_answer *answer)
{
	switch (answer->status) {
	case CONTROL_OK:
		return 0;
	case CONTROL_DENIED:
		return -EACCES;
	case CONTROL_BUSY:
		return -EBUSY;
	default:
		return -EPROTO;
	}
}

static int ask(const struct endpoint *endpoint, struct request *request, unsigned timeout_ms,
	struct control_answer *answer)
{
	int error;

	control_client_identify(request);
	error = control_client_ask(endpoint, request, timeout_ms, answer);
	return error ? error : status_errno(answer);
}

int control_client_ping(const struct endpoint *endpoint, char *version, size_t size)
{
	struct control_answer answer;
	struct request request = {0};
	int error;

	control_ask_ping(&request);
	error = ask(endpoint, &request, PING_TIMEOUT, &answer);
	if (error)
		return error;
	return control_get_text(&answer, version, size) ? 0 : -EPROTO;
}

int control_client_resolve(
	const struct endpoint *endpoint, const char *name, struct control_addresses *addresses)
{
	struct control_answer answer;
	struct request request = {0};
	int error;

	control_ask_resolve(&request, name);
	error = ask(endpoint, &request, RESOLVE_TIMEOUT, &answer);
	if (error)
		return error;
	return control_get_addresses(&answer, addresses) ? 0 : -EPROTO;
}

int control_client_begin_status(
	const struct endpoint *endpoint, const uint8_t id[static REQUEST_ID_SIZE], bool wait)
{
	struct request request = {0};
	struct conversation talk;
	int error;

	control_ask_status(&request, id, wait);
	control_client_identify(&request);
	error = conversation_begin(&talk, endpoint, &request, 0);
	return error ? error : talk.fd;
}

int control_client_end_status(int fd, uint64_t deadline, struct outcome *outcome)
{
	const struct conversation talk = {.fd = fd, .deadline = deadline};
	struct control_answer answer;
	int error = conversation_end(&talk, &answer);

	if (!error)
		error = status_errno(&answer);
	if (error)
		return error;
	return control_get_outcome(&answer, outcome) ? 0 : -EPROTO;
}

int control_client_status(const struct endpoint *endpoint, const uint8_t id[static REQUEST_ID_SIZE],
	bool wait, unsigned timeout_ms, struct outcome *outcome)
{
	uint64_t deadline = clock_now_ms() + timeout_ms;
	int fd = control_client_begin_status(endpoint, id, wait);

	return fd < 0 ? fd : control_client_end_status(fd, deadline, outcome);
}

int control_client_describe(const struct endpoint *endpoint,
	const uint8_t id[static REQUEST_ID_SIZE], char *text, size_t size)
{
	struct control_answer answer;
	struct request request = {0};
	int error;

	control_ask_describe(&request, id);
	error = ask(endpoint, &request, PING_TIMEOUT, &answer);
	if (error)
		return error;
	return control_get_text(&answer, text, size) ? 0 : -EPROTO;
}

// hostd starts to count when the request has arrived, we when it was sent; half the time is far
// from both a gate that held and one that never closed. The time of the end matters too: a stream
// that was writable at once and ended at once was turned away, one that ended later was held by
// hostd and not by its gate.
static int judge_gate(uint64_t held, uint64_t lasted, uint64_t asked, int end,
	const struct control_answer *answer)
{
	if (end == -ECONNRESET && lasted >= asked / 2)
		return held >= asked / 2; // an end without a frame is an answer to this verb
	if (end)
		return end;
	end = status_errno(answer);
	return end ? end : held >= asked / 2;
}

static uint64_t window_of(const struct conversation *talk, enum endpoint_transport transport)
{
	uint64_t window = 0;
	socklen_t size = sizeof(window);

	if (transport == ENDPOINT_UNIX)
		return 2 * (uint64_t)talk->send_buffer; // as the kernel reports it (wire/stream.c)
	if (getsockopt(talk->fd, AF_VSOCK, SO_VM_SOCKETS_BUFFER_SIZE, &window, &size) < 0)
		return 0;
	return window;
}

int control_client_measure_gate(
	const struct endpoint *endpoint, unsigned milliseconds, uint64_t *window)
{
	struct control_answer answer;
	struct request request = {0};
	struct conversation talk;
	uint64_t sent, held;
	int error, end;

	control_ask_gate(&request, milliseconds);
	control_client_identify(&request);
	error = conversation_begin(&talk, endpoint, &request, milliseconds + GATE_SLACK);
	if (error)
		return error;
	if (window)
		*window = window_of(&talk, endpoint->transport);
	sent = clock_now_ms();
	error = conversation_wait(&talk, POLLOUT);
	held = clock_now_ms() - sent;
	end = conversation_end(&talk, &answer);
	return error ? error : judge_gate(held, clock_now_ms() - sent, milliseconds, end, &answer);
}
