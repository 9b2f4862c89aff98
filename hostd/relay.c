// SPDX-License-Identifier: MIT
// Theory of operation
//
// A direction moves by steps: what is pending is sent; or the end is passed on; or bytes are read
// into the worker's scratch memory and sent from there. Only what the other side does not take is
// kept, in a buffer borrowed from the pool, and while the other side is full more is read behind
// it: small pieces merge, and a full buffer is the back-pressure. So an idle or a fast stream owns
// no relay memory.
//
// How an end is passed on:
//
// - End of file on one side: shutdown(SHUT_WR) on the other, once what is pending is sent.
// - The destination failed: what it sent before is delivered, for at most RELAY_LAST_WORDS; then
//   the outcome is stored and the stream closed without a shutdown, which tells the opener's side
//   that it was no orderly end.
// - The destination ended in order and answers what comes later with an RST: all that it sent is
//   delivered, and its end, as a program's own kernel does. What the opener says meanwhile is read
//   and thrown away; when it says more after that end, the stream is closed.
// - The opener closed with bytes unread (ECONNRESET, stand-in only): an RST to the destination.
// - The opener takes no more bytes (EPIPE): the destination gets what is still on its way up and is
//   then closed, with an RST when nothing would be lost by it.
// - The opener closed altogether: after its last byte the destination is closed. What comes from
//   there later meets an RST, as it does when a program closes a TCP socket.
//
// No socket is registered again in the steady state. EPOLLOUT on the stream is asked for when the
// stream is full for the first time, because a unix socket reports it at each read of its peer.
#include "hostd/relay.h"

#include <errno.h>
#include <linux/sockios.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "hostd/log.h"
#include "hostd/worker.h"
#include "wire/stream.h"

#define RELAY_STEPS      16   // of one direction in a turn
#define RELAY_LAST_WORDS 2000 // ms
#define RELAY_EVENTS     (EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLPRI)

// One direction with its two sides, for the length of a call.
struct flow {
	struct session *session;
	struct direction *direction;
	struct end *from;
	struct end *to;
};

static struct flow flow_up(struct session *session)
{
	return (struct flow){session, &session->up, &session->opener, &session->destination};
}

static struct flow flow_down(struct session *session)
{
	return (struct flow){session, &session->down, &session->destination, &session->opener};
}

static bool flow_is_up(const struct flow *flow)
{
	return flow->direction == &flow->session->up;
}

// Nothing more comes or goes this way.
static void flow_drop(const struct flow *flow)
{
	struct direction *direction = flow->direction;

	pool_return(&flow->session->worker->pool, buffer_detach(&direction->pending));
	direction->has_ended = true;
	direction->is_finished = true;
}

static void relay_on_destination_failure(struct session *session, int error)
{
	struct flow up = flow_up(session);

	if (session->failure)
		return;
	session->failure = error;
	session_set_deadline(session, RELAY_LAST_WORDS);
	flow_drop(&up);
	// A dead socket answers at once: with the rest of what came, and then with its end.
	session->destination.is_readable = true;
	session->destination.must_drain = true;
}

static void relay_on_receive_error(const struct flow *flow, int error)
{
	struct session *session = flow->session;

	flow->direction->has_ended = true;
	if (!flow_is_up(flow)) {
		relay_on_destination_failure(session, error);
		return;
	}
	session->aborts_destination = true;
	flow_drop(flow);
	flow_drop(&(struct flow){session, &session->down, &session->destination, &session->opener});
}

static void relay_on_deaf_destination(struct session *session)
{
	session->is_deaf = true;
	pool_return(&session->worker->pool, buffer_detach(&session->up.pending));
}

// What a send or an event has met. After a FIN that no end of ours had come before, an RST gives
// EPIPE, to senders alone; otherwise the first call meets ECONNRESET (tcp_reset and
// tcp_recvmsg_locked in Linux's net/ipv4).
static void relay_on_destination_error(struct session *session, int error)
{
	if (error == EPIPE || (error == ECONNRESET && session->has_whole_answer))
		relay_on_deaf_destination(session);
	else
		relay_on_destination_failure(session, error);
}

static void relay_on_send_error(const struct flow *flow, int error)
{
	struct session *session = flow->session;

	if (flow_is_up(flow)) {
		relay_on_destination_error(session, error);
		return;
	}
	session->has_no_reader = true;
	flow_drop(flow);
	session->opener.is_readable = true;
	session->opener.must_drain = true;
	worker_make_ready(session);
}

static void relay_await_writing(const struct flow *flow)
{
	struct session *session = flow->session;
	struct end *end = flow->to;
	int error;

	end->is_writable = false;
	if (end->awaits_writing)
		return;
	end->awaits_writing = true;
	error = worker_rewatch(session, end->fd,
		end == &session->opener ? 0 : session->destination_part, RELAY_EVENTS);
	if (error)
		relay_on_send_error(flow, -error);
}

static size_t flow_send_limit(const struct flow *flow)
{
	bool is_vsock = !flow_is_up(flow) && flow->session->transport == ENDPOINT_VSOCK;

	return is_vsock ? STREAM_VSOCK_MAX_SEND : SIZE_MAX;
}

static void flow_count(const struct flow *flow, size_t length)
{
	struct worker *worker = flow->session->worker;

	flow->direction->bytes += length;
	if (flow_is_up(flow))
		worker->bytes_up += length;
	else
		worker->bytes_down += length;
}

// One send. Returns how many bytes went, -1 after an error has been dealt with.
static ssize_t flow_send(const struct flow *flow, struct iovec *pieces, int count, size_t length)
{
	struct msghdr message = {.msg_iov = pieces, .msg_iovlen = (size_t)count};
	ssize_t sent = count == 1
			       ? send(flow->to->fd, pieces->iov_base, pieces->iov_len, MSG_NOSIGNAL)
			       : sendmsg(flow->to->fd, &message, MSG_NOSIGNAL);

	if (sent < 0 && errno != EAGAIN && errno != EINTR) {
		relay_on_send_error(flow, errno);
		return -1;
	}
	if (sent < 0)
		sent = 0;
	flow_count(flow, (size_t)sent);
	if ((size_t)sent < length)
		relay_await_writing(flow);
	return sent;
}

// Small writes into a vsock stream are held back, to be merged, while its budget of small packets
// is used up (packets.h); never the last bytes before an end. A yes counts one packet.
static bool flow_may_send(const struct flow *flow, size_t length)
{
	struct session *session = flow->session;
	struct worker *worker = session->worker;

	if (flow_send_limit(flow) == SIZE_MAX || length >= PACKETS_WHOLE)
		return true;
	if (flow->direction->has_ended || packets_take(&session->packets, worker->now))
		return true;
	if (!session->merge.position)
		timers_arm(&worker->timers, &session->merge,
			worker->now + packets_wait(&session->packets, worker->now));
	return false;
}

static bool flow_is_dropped(const struct flow *flow)
{
	return flow->direction->is_finished || (flow->session->is_deaf && flow_is_up(flow));
}

// Sends from memory, in as many pieces as the transport asks for. Returns how many bytes went or
// were dropped with the direction.
static size_t flow_send_all(const struct flow *flow, uint8_t *data, size_t length)
{
	size_t limit = flow_send_limit(flow);
	size_t done = 0;

	while (done < length && flow->to->is_writable && !flow_is_dropped(flow)) {
		size_t part = length - done < limit ? length - done : limit;
		struct iovec piece = {.iov_base = data + done, .iov_len = part};
		ssize_t sent;

		if (!flow_may_send(flow, part))
			break;
		sent = flow_send(flow, &piece, 1, part);
		if (sent > 0)
			done += (size_t)sent;
	}
	return flow_is_dropped(flow) ? length : done;
}

// Returns whether it was sent, or the end met.
static bool step_send_pending(const struct flow *flow)
{
	struct direction *direction = flow->direction;
	struct iovec pieces[2];
	size_t limit = flow_send_limit(flow);
	size_t length = direction->pending.length < limit ? direction->pending.length : limit;
	int count = buffer_data_pieces(&direction->pending, limit, pieces);
	ssize_t sent;

	if (!flow_may_send(flow, length))
		return false;
	sent = flow_send(flow, pieces, count, length);
	if (sent < 0)
		return true;
	buffer_consume(&direction->pending, (size_t)sent);
	if (!direction->pending.length)
		pool_return(&flow->session->worker->pool, buffer_detach(&direction->pending));
	return sent > 0;
}

// What a receive said, other than bytes. Returns whether the direction has moved by it.
static bool flow_note_no_bytes(const struct flow *flow, ssize_t length)
{
	// shutdown(2) makes a vsock forget an end that has come and was not read yet
	// (vsock_shutdown in net/vmw_vsock/af_vsock.c resets SOCK_DONE).
	if (length == 0 || (errno == ENOTCONN && flow_is_up(flow))) {
		flow->direction->has_ended = true;
		flow->session->has_whole_answer |= !flow_is_up(flow);
		return true;
	}
	if (errno == EINTR)
		return true;
	if (errno != EAGAIN) {
		relay_on_receive_error(flow, errno);
		return true;
	}
	flow->from->is_readable = false;
	// A socket whose failure a send has met has nothing more to say.
	if (flow->session->failure && !flow_is_up(flow)) {
		flow->direction->has_ended = true;
		return true;
	}
	return false;
}

// For stream sockets a short read says that the socket is empty (epoll(7), question 9), unless
// urgent data or an end may have cut it short.
static void flow_note_bytes(const struct flow *flow, size_t length, size_t asked)
{
	struct session *session = flow->session;

	if (length < asked && !flow->from->must_drain)
		flow->from->is_readable = false;
	session->active_at = session->worker->now;
	if (flow_is_up(flow))
		packets_renew(&session->packets);
}

// Reads behind what is pending, as far as there is room.
static bool step_merge(const struct flow *flow)
{
	struct direction *direction = flow->direction;
	struct iovec pieces[2];
	size_t space = buffer_space(&direction->pending);
	struct msghdr message = {.msg_iov = pieces};
	ssize_t length;

	message.msg_iovlen = (size_t)buffer_space_pieces(&direction->pending, pieces);
	length = recvmsg(flow->from->fd, &message, 0);
	if (length <= 0)
		return flow_note_no_bytes(flow, length);
	buffer_produce(&direction->pending, (size_t)length);
	flow_note_bytes(flow, (size_t)length, space);
	return true;
}

static bool flow_keep(const struct flow *flow, const uint8_t *data, size_t length)
{
	struct buffer *pending = &flow->direction->pending;
	uint8_t *memory = pool_borrow(&flow->session->worker->pool);

	if (!memory)
		return false;
	memcpy(memory, data, length);
	buffer_attach(pending, memory, POOL_BUFFER_SIZE);
	buffer_produce(pending, length);
	return true;
}

static bool step_pass(const struct flow *flow)
{
	uint8_t *scratch = flow->session->worker->scratch;
	ssize_t length = recv(flow->from->fd, scratch, WORKER_SCRATCH_SIZE, 0);
	size_t sent;

	if (length <= 0)
		return flow_note_no_bytes(flow, length);
	flow_note_bytes(flow, (size_t)length, WORKER_SCRATCH_SIZE);
	if (flow_is_dropped(flow) && flow->session->down.is_finished)
		flow_drop(flow);
	sent = flow_send_all(flow, scratch, (size_t)length);
	if (sent == (size_t)length || flow_keep(flow, scratch + sent, (size_t)length - sent))
		return true;
	// Bytes are lost for want of memory: the destination must not take the rest for the whole.
	flow->session->aborts_destination = true;
	relay_on_destination_failure(flow->session, ENOMEM);
	flow_drop(flow); // nothing may follow the gap
	return true;
}

// The opener may have closed altogether, and not only its sending side.
static void relay_probe_opener(struct session *session)
{
	struct flow down = flow_down(session);

	if (!session->down.is_finished && stream_probe(session->opener.fd) < 0)
		flow_drop(&down);
}

static bool step_finish(const struct flow *flow)
{
	struct session *session = flow->session;

	flow->direction->is_finished = true;
	if (session->failure)
		return true;
	(void)shutdown(flow->to->fd, SHUT_WR);
	if (flow_is_up(flow))
		relay_probe_opener(session);
	return true;
}

// Returns whether anything moved.
static bool flow_step(const struct flow *flow)
{
	const struct direction *direction = flow->direction;

	if (direction->is_finished)
		return false;
	if (direction->pending.length && flow->to->is_writable && step_send_pending(flow))
		return true;
	if (direction->is_finished)
		return false;
	if (direction->has_ended)
		return !direction->pending.length && step_finish(flow);
	if (!flow->from->is_readable)
		return false;
	if (!direction->pending.length)
		return step_pass(flow);
	return buffer_space(&direction->pending) && step_merge(flow);
}

// Returns whether the direction could go on.
static bool flow_run(const struct flow *flow)
{
	for (int step = 0; step < RELAY_STEPS; step++) {
		if (!flow_step(flow))
			return false;
	}
	return true;
}

void relay_describe_failure(const struct session *session, struct outcome *outcome)
{
	char address[ADDRESS_TEXT_SIZE];
	enum outcome_class class = OUTCOME_RESET;

	if (session->failure != ECONNRESET && session->failure != EPIPE)
		class = outcome_class_from_errno(session->failure);
	outcome_set(outcome, OUTCOME_STAGE_RELAY, class, "%s port %u: %s",
		address_format(&session->dialled, address), session->dialled_port,
		strerror(session->failure));
}

// A unix stream that is closed with bytes unread looks like one that was reset (unix_release_sock
// in Linux's net/unix/af_unix.c).
static void relay_empty_opener(struct session *session)
{
	uint8_t *scratch = session->worker->scratch;

	if (session->transport != ENDPOINT_UNIX)
		return;
	(void)shutdown(session->opener.fd, SHUT_RD); // no more comes
	while (recv(session->opener.fd, scratch, WORKER_SCRATCH_SIZE, 0) > 0)
		continue;
}

static void relay_end(struct session *session)
{
	struct outcome outcome;
	int unsent = 0;

	if (session->failure) {
		relay_describe_failure(session, &outcome);
		session_close(session, &outcome);
		return;
	}
	// An RST throws away what the kernel has not delivered yet (tcp(7), SIOCOUTQ).
	if (session->has_no_reader &&
		(ioctl(session->destination.fd, SIOCOUTQ, &unsent) < 0 || !unsent))
		session->aborts_destination = true;
	if (session->is_deaf)
		relay_empty_opener(session);
	session_close(session, NULL);
}

void relay_run(struct session *session)
{
	struct flow up = flow_up(session);
	struct flow down = flow_down(session);
	bool has_more_up = flow_run(&up);
	bool has_more_down = flow_run(&down);

	if (session->up.is_finished && session->down.is_finished)
		relay_end(session);
	else if (has_more_up || has_more_down)
		worker_make_ready(session);
}

static void relay_on_merge(void *owner)
{
	relay_run(owner);
}

void relay_start(struct session *session)
{
	int failure = session->failure;

	session_set_state(session, SESSION_RELAY);
	timer_set_up(&session->merge, relay_on_merge, session);
	session->active_at = session->worker->now;
	session_set_deadline(session, session->config->idle_timeout);
	session->opener.is_readable = true;
	session->opener.is_writable = true;
	session->destination.is_readable = true;
	session->destination.is_writable = true;
	session->failure = 0;
	if (failure)
		relay_on_destination_failure(session, failure);
	relay_run(session);
}

void relay_on_opener(struct session *session, uint32_t events)
{
	if (session->up.is_finished && (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)))
		relay_probe_opener(session);
	relay_run(session);
}

// The destination's failure when no receive would meet it: nothing more is read from there.
static void relay_look_for_failure(struct session *session)
{
	int error = 0;
	socklen_t length = sizeof(error);

	if (getsockopt(session->destination.fd, SOL_SOCKET, SO_ERROR, &error, &length) == 0 &&
		error)
		relay_on_destination_error(session, error);
}

void relay_on_destination(struct session *session, uint8_t part, uint32_t events)
{
	if (part != session->destination_part)
		return;
	if ((events & EPOLLERR) && session->down.has_ended)
		relay_look_for_failure(session);
	relay_run(session);
}

void relay_on_deadline(struct session *session)
{
	uint64_t idle = session->worker->now - session->active_at;
	uint64_t patience = session->config->idle_timeout;

	if (session->failure) {
		relay_end(session);
		return;
	}
	if (idle < patience) {
		session_set_deadline(session, patience - idle);
		return;
	}
	session_refuse(session, OUTCOME_STAGE_RELAY, OUTCOME_TIMED_OUT,
		"no byte either way within %lu ms", session->config->idle_timeout);
}
