// SPDX-License-Identifier: MIT
// RFC 8305 in short: addresses of the two families take turns, beginning with the family that the
// program expects; a new attempt starts 250 ms after the one before, or at once when one fails; the
// first to connect wins and the others are closed. When all fail, the error that tells the program
// most is reported: a refusal says more than a missing route to the other family.
//
// An attempt's number plus one is its part in epoll's data, and stays so when it has won.
#include "hostd/dial.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "hostd/connect.h"
#include "hostd/proxy.h"
#include "hostd/worker.h"

#define DIAL_STAGGER 250 // ms: RFC 8305, section 5, "Connection Attempt Delay"
#define DIAL_EVENTS  (EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLPRI)

_Static_assert(CONTROL_MAX_ADDRESSES < UINT8_MAX, "an attempt's number is one byte");

static void dial_next(struct session *session);

static void dial_on_stagger(void *owner)
{
	dial_next(owner);
}

int dial_create(struct session *session, enum address_family first_family)
{
	struct dial *dial = calloc(1, sizeof(*dial));

	if (!dial)
		return -ENOMEM;
	dial->first_family = first_family;
	dial->failure_rank = -1;
	for (size_t at = 0; at < CONTROL_MAX_ADDRESSES; at++)
		dial->attempts[at] = -1;
	timer_set_up(&dial->stagger, dial_on_stagger, session);
	session->dial = dial;
	return 0;
}

static void dial_close_attempts(struct session *session)
{
	struct dial *dial = session->dial;

	timers_cancel(&session->worker->timers, &dial->stagger);
	for (size_t at = 0; at < dial->count; at++) {
		if (dial->attempts[at] >= 0)
			close(dial->attempts[at]);
		dial->attempts[at] = -1;
	}
	dial->running = 0;
}

void dial_destroy(struct session *session)
{
	dial_close_attempts(session);
	free(session->dial);
	session->dial = NULL;
}

void dial_add_address(struct dial *dial, const struct address *address)
{
	if (dial->count < CONTROL_MAX_ADDRESSES)
		dial->addresses[dial->count++] = *address;
}

// Takes the first address from position on that is (or is not) of the family to position.
static void dial_bring_forward(struct dial *dial, size_t position, bool is_first_family)
{
	for (size_t at = position; at < dial->count; at++) {
		struct address found = dial->addresses[at];

		if ((found.family == dial->first_family) != is_first_family)
			continue;
		memmove(&dial->addresses[position + 1], &dial->addresses[position],
			(at - position) * sizeof(found));
		dial->addresses[position] = found;
		return;
	}
}

static void dial_interleave(struct dial *dial)
{
	for (size_t position = 0; position < dial->count; position++)
		dial_bring_forward(dial, position, position % 2 == 0);
}

// The higher, the more it tells about the destination.
static int class_rank(enum outcome_class class)
{
	static const int ranks[] = {
		[OUTCOME_REFUSED] = 6,
		[OUTCOME_TIMED_OUT] = 5,
		[OUTCOME_DENIED] = 4,
		[OUTCOME_HOST_UNREACHABLE] = 3,
		[OUTCOME_NET_UNREACHABLE] = 2,
		[OUTCOME_LIMIT] = 1,
	};

	return class < ARRAY_SIZE(ranks) ? ranks[class] : 0;
}

static void dial_note_failure(struct session *session, size_t attempt, int error)
{
	struct dial *dial = session->dial;
	enum outcome_stage stage = OUTCOME_STAGE_DIAL;
	enum outcome_class class = outcome_class_from_errno(error);
	char address[ADDRESS_TEXT_SIZE];

	// Our own shortage, not the destination's answer.
	if (error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM) {
		stage = OUTCOME_STAGE_LIMIT;
		class = OUTCOME_LIMIT;
	}
	if (class_rank(class) <= dial->failure_rank)
		return;
	dial->failure_rank = class_rank(class);
	outcome_set(&dial->failure, stage, class, "%sconnect to %s port %u: %s",
		session->enclave->upstream.kind == UPSTREAM_DIRECT ? "" : "upstream proxy: ",
		address_format(&dial->addresses[attempt], address), dial->port, strerror(error));
}

// Returns the connecting descriptor or -errno.
static int dial_open(struct session *session, size_t attempt)
{
	struct dial *dial = session->dial;
	struct sockaddr_storage address;
	socklen_t length = address_to_sockaddr(&dial->addresses[attempt], dial->port, &address);
	int one = 1;
	int error = 0;
	int fd = socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	// Bytes are sent on as they come; whether to wait for more is the program's own choice.
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(fd, (const struct sockaddr *)&address, length) < 0 && errno != EINPROGRESS)
		error = -errno;
	if (!error)
		error = worker_watch(session, fd, (uint8_t)(attempt + 1), DIAL_EVENTS);
	if (error) {
		close(fd);
		return error;
	}
	return fd;
}

// Starts the next address; those that fail on the spot are skipped. Ends the session when no
// address is left and nothing is running.
static void dial_next(struct session *session)
{
	struct worker *worker = session->worker;
	struct dial *dial = session->dial;

	while (dial->next < dial->count) {
		size_t attempt = dial->next++;
		int fd = dial_open(session, attempt);

		if (fd < 0) {
			dial_note_failure(session, attempt, -fd);
			continue;
		}
		dial->attempts[attempt] = fd;
		dial->running++;
		if (dial->next < dial->count)
			timers_arm(&worker->timers, &dial->stagger, worker->now + DIAL_STAGGER);
		return;
	}
	if (!dial->running)
		session_close(session, &dial->failure);
}

void dial_start(struct session *session)
{
	session_set_state(session, SESSION_DIAL);
	dial_interleave(session->dial);
	dial_next(session);
}

static void dial_win(struct session *session, size_t attempt, uint32_t events)
{
	struct dial *dial = session->dial;

	session->destination.fd = dial->attempts[attempt];
	session->destination.awaits_writing = true; // part of DIAL_EVENTS
	session->destination_part = (uint8_t)(attempt + 1);
	// Bytes and their end may have come with the connection, in the same event.
	end_note_events(&session->destination, events);
	session->dialled = dial->addresses[attempt];
	session->dialled_port = dial->port;
	dial->attempts[attempt] = -1;
	dial_close_attempts(session);
	if (session->enclave->upstream.kind == UPSTREAM_DIRECT)
		connect_grant(session);
	else
		proxy_start(session);
}

void dial_on_destination(struct session *session, uint8_t part, uint32_t events)
{
	struct dial *dial = session->dial;
	size_t attempt = part - 1u;
	int error = 0;
	socklen_t length = sizeof(error);

	if (attempt >= dial->count || dial->attempts[attempt] < 0)
		return;
	if (!(events & (EPOLLOUT | EPOLLHUP | EPOLLERR)))
		return;
	if (getsockopt(dial->attempts[attempt], SOL_SOCKET, SO_ERROR, &error, &length) < 0)
		error = errno;
	// A connection that is reset while being made is "refused" (tcp_reset in Linux's
	// tcp_input.c), so these two say that it was made and then reset: a success, and a failure
	// of the relay; but EPIPE only of what will be sent, because an orderly end came before.
	if (!error || error == ECONNRESET || error == EPIPE) {
		session->failure = error == ECONNRESET ? error : 0;
		dial_win(session, attempt, events);
		return;
	}
	dial_note_failure(session, attempt, error);
	close(dial->attempts[attempt]);
	dial->attempts[attempt] = -1;
	dial->running--;
	timers_cancel(&session->worker->timers, &dial->stagger);
	dial_next(session);
}

void dial_on_deadline(struct session *session)
{
	char address[ADDRESS_TEXT_SIZE];
	struct dial *dial = session->dial;

	if (dial->failure_rank > class_rank(OUTCOME_TIMED_OUT)) {
		session_close(session, &dial->failure);
		return;
	}
	// The last address that was tried stands for all.
	session_refuse(session, OUTCOME_STAGE_DIAL, OUTCOME_TIMED_OUT,
		"%sconnect to %s port %u: no answer within %lu ms",
		session->enclave->upstream.kind == UPSTREAM_DIRECT ? "" : "upstream proxy: ",
		address_format(&dial->addresses[dial->next - 1], address), dial->port,
		session->config->dial_timeout);
}
