// SPDX-License-Identifier: MIT
// Theory of operation
//
// GnuTLS never touches the socket. Its pull function hands out bytes of the inbox, which is filled
// by one large receive a turn; its push function appends to the channel's queue and always accepts,
// so that no send ever has to be repeated with the same data. GNUTLS_E_AGAIN does not mean that
// nothing is left (a ticket or a key update returns it too): a turn ends when the pull function
// itself had nothing to hand out. Then neither the inbox nor GnuTLS holds anything that epoll
// cannot see, except part of a record.
//
// Since a turn receives once, whatever a peer sends costs bounded work before other streams get
// their turn; and a peer that keeps sending records without content is cut off.
//
// The certificate is verified when it comes, before our own certificate and Finished are sent; a
// resumed handshake has no such moment, so it is verified when the handshake is over. Whatever the
// way, no handshake counts as done without it.
#include "preload/tls/channel.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "wire/stream.h"

#define MAX_RECORD       16384 // plaintext bytes (RFC 8446, 5.1)
#define MAX_IDLE_RECORDS 128
#define MIN_ALERT        24 // bytes of an encrypted one: header, level, alert, type, tag (5.2)
#define MAX_ALERT        40 // Java pads them by 16

// --- the functions that GnuTLS calls

static ssize_t fill_inbox(struct channel *channel)
{
	struct channel_memory *memory = channel->memory;
	ssize_t length = recv(channel->end.fd, memory->inbox, sizeof(memory->inbox), 0);

	memory->may_fill = false;
	if (length < 0 && (errno == EAGAIN || errno == EINTR)) {
		channel->end.is_readable = errno == EINTR;
		return -EAGAIN;
	}
	if (length <= 0) {
		channel->socket_error = length < 0 ? errno : 0;
		channel->has_socket_end = true;
		channel->end.is_readable = false;
		return length < 0 ? -ECONNRESET : 0;
	}
	memory->inbox_start = 0;
	memory->inbox_length = (size_t)length;
	// For stream sockets a short read says that the socket is empty (epoll(7), question 9).
	if ((size_t)length < sizeof(memory->inbox) && !channel->end.must_drain)
		channel->end.is_readable = false;
	return length;
}

// GnuTLS is told of an end only where it cuts a record: told otherwise, it would not let us write
// any more, which a server that ends its side without close_notify may still expect.
static ssize_t report_end(struct channel *channel)
{
	if (!framing_is_between_records(&channel->framing))
		return 0;
	gnutls_transport_set_errno(channel->session, EAGAIN);
	return -1;
}

static ssize_t on_pull(gnutls_transport_ptr_t pointer, void *data, size_t size)
{
	struct channel *channel = pointer;
	struct channel_memory *memory = channel->memory;
	ssize_t result = -EAGAIN;

	if (memory->inbox_length == 0) {
		if (memory->may_fill && channel->end.is_readable)
			result = fill_inbox(channel);
		if (channel->has_socket_end && channel->socket_error == 0)
			return report_end(channel);
		if (result <= 0) {
			gnutls_transport_set_errno(channel->session, (int)-result);
			return -1;
		}
	}
	if (size > memory->inbox_length)
		size = memory->inbox_length;
	memcpy(data, memory->inbox + memory->inbox_start, size);
	framing_feed(&channel->framing, data, size);
	memory->inbox_start += size;
	memory->inbox_length -= size;
	return (ssize_t)size;
}

// GnuTLS asks before it would wait; we never let it.
static int on_pull_timeout(gnutls_transport_ptr_t pointer, unsigned milliseconds)
{
	const struct channel *channel = pointer;

	(void)milliseconds;
	return channel->memory->inbox_length > 0;
}

static ssize_t on_push(gnutls_transport_ptr_t pointer, const giovec_t *pieces, int count)
{
	struct channel *channel = pointer;
	size_t total = 0;

	for (int i = 0; i < count; i++) {
		if (!queue_append(&channel->out, &channel->memory->pool, pieces[i].iov_base,
			    pieces[i].iov_len)) {
			gnutls_transport_set_errno(channel->session, ENOMEM);
			return -1;
		}
		total += pieces[i].iov_len;
	}
	return (ssize_t)total;
}

static int on_certificate(gnutls_session_t session)
{
	struct channel *channel = gnutls_session_get_ptr(session);

	channel->is_verified = verify_peer(session, &channel->target, channel->trust,
		&channel->memory->verdicts, &channel->verdict);
	channel->has_verdict = !channel->is_verified;
	return channel->is_verified ? 0 : GNUTLS_E_CERTIFICATE_ERROR;
}

static int on_ticket(gnutls_session_t session, unsigned type, unsigned when, unsigned incoming,
	const gnutls_datum_t *message)
{
	struct channel *channel = gnutls_session_get_ptr(session);
	gnutls_datum_t data;

	(void)type, (void)when, (void)incoming, (void)message;
	if (!channel->is_verified || channel->ticket_key[0] == '\0' ||
		gnutls_protocol_get_version(session) != GNUTLS_TLS1_3 ||
		gnutls_session_get_data2(session, &data) < 0)
		return 0;
	tickets_put(&channel->memory->tickets, channel->ticket_key, data.data, data.size,
		channel->memory->now);
	gnutls_memset(data.data, 0, data.size);
	gnutls_free(data.data);
	return 0;
}

// --- setting up

static void offer_ticket(struct channel *channel, uint16_t port)
{
	char name[NAME_SIZE];
	struct ticket_scope scope = {
		.name = verify_target_format(&channel->target, name),
		.port = port,
		.alpn = channel->trust->route->tls.alpn,
		.priority = channel->trust->priority_text,
		.trust = channel->trust->text,
		.client = channel->trust->route->tls.certificate,
	};
	struct ticket ticket;

	if (!tickets_format_key(&scope, channel->ticket_key)) {
		channel->ticket_key[0] = '\0';
		return;
	}
	if (!tickets_take(
		    &channel->memory->tickets, channel->ticket_key, channel->memory->now, &ticket))
		return;
	(void)gnutls_session_set_data(channel->session, ticket.data, ticket.length);
	ticket_free(&ticket);
}

static int configure(struct channel *channel)
{
	gnutls_session_t session = channel->session;
	const struct trust *trust = channel->trust;
	const char *name = channel->target.name;

	if (gnutls_priority_set(session, trust->priority) < 0 ||
		gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, trust->credentials) < 0)
		return -ENOMEM;
	// Names only: an address is no server name (RFC 6066, section 3).
	if (name[0] != '\0' &&
		gnutls_server_name_set(session, GNUTLS_NAME_DNS, name, strlen(name)) < 0)
		return -ENOMEM;
	if (trust->alpn_count > 0 &&
		gnutls_alpn_set_protocols(session, trust->alpn, trust->alpn_count, 0) < 0)
		return -ENOMEM;
	gnutls_session_set_ptr(session, channel);
	gnutls_session_set_verify_function(session, on_certificate);
	gnutls_handshake_set_hook_function(
		session, GNUTLS_HANDSHAKE_NEW_SESSION_TICKET, GNUTLS_HOOK_POST, on_ticket);
	gnutls_transport_set_ptr(session, channel);
	gnutls_transport_set_pull_function(session, on_pull);
	gnutls_transport_set_pull_timeout_function(session, on_pull_timeout);
	gnutls_transport_set_vec_push_function(session, on_push);
	gnutls_handshake_set_timeout(session, 0); // the stream has its own deadline
	return 0;
}

int channel_start_tls(struct channel *channel, const struct trust *trust,
	const struct verify_target *target, uint16_t port)
{
	// A second key share costs more than it saves: nearly every server knows X25519. The hybrid
	// group is not that common yet, so beside it X25519 is offered too.
	unsigned shares = trust->has_hybrid ? GNUTLS_KEY_SHARE_TOP2 : GNUTLS_KEY_SHARE_TOP;
	unsigned flags = GNUTLS_CLIENT | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL |
			 GNUTLS_NO_TICKETS_TLS12 | shares;

	// Its own certificate is nobody's whom a server could name in its request.
	if (settings_proves(&trust->route->tls))
		flags |= GNUTLS_FORCE_CLIENT_CERT;
	channel->trust = trust;
	channel->target = *target;
	if (gnutls_init(&channel->session, flags) < 0) {
		channel->session = NULL;
		return -ENOMEM;
	}
	if (configure(channel) < 0)
		return -ENOMEM;
	// A resumed session could not be attested, and so none is ever kept.
	if (!settings_offers_attestation(&trust->route->tls))
		offer_ticket(channel, port);
	return 0;
}

void channel_clear(struct channel *channel)
{
	if (channel->session)
		gnutls_deinit(channel->session);
	channel->session = NULL;
	queue_clear(&channel->out, &channel->memory->pool);
}

// --- working

void channel_begin_turn(struct channel *channel)
{
	channel->memory->inbox_length = 0;
	channel->memory->may_fill = true;
}

int channel_prepare(struct channel *channel)
{
	channel->memory->inbox_length = 0;
	channel->memory->may_fill = false;
	return gnutls_error_is_fatal(gnutls_handshake(channel->session)) ? -EIO : 0;
}

static enum channel_result break_off(
	struct outcome *outcome, enum outcome_class class, const char *text, const char *detail)
{
	outcome_set(outcome, OUTCOME_STAGE_TLS, class, "%s%s", text, detail);
	return CHANNEL_BROKEN;
}

// Whether the pull function has nothing more for this turn.
static bool is_drained(const struct channel *channel)
{
	const struct channel_memory *memory = channel->memory;

	return memory->inbox_length == 0 && (!memory->may_fill || !channel->end.is_readable);
}

// Errors that only say "again": AGAIN, INTERRUPTED, a warning alert, a request to renegotiate
// (which is not followed).
static enum channel_result note_nothing(struct channel *channel, struct outcome *outcome)
{
	if (++channel->idle_records <= MAX_IDLE_RECORDS)
		return CHANNEL_WAITS;
	return break_off(
		outcome, OUTCOME_RESET, "the server floods with records that carry nothing", "");
}

static enum channel_result judge_alert(struct channel *channel, struct outcome *outcome)
{
	gnutls_alert_description_t alert = gnutls_alert_get(channel->session);
	const char *name = gnutls_alert_get_name(alert);

	if (alert == GNUTLS_A_PROTOCOL_VERSION)
		return break_off(outcome, OUTCOME_TLS_FAILED,
			"protocol too old: the server does not speak TLS ",
			channel->trust->route->tls.minimum[0] != '\0'
				? channel->trust->route->tls.minimum
				: "1.3 (min=1.2 on the route allows 1.2)");
	return break_off(outcome, OUTCOME_TLS_FAILED,
		"the server sent an alert: ", name ? name : "of a kind that is not known");
}

static enum channel_result judge_handshake(
	struct channel *channel, int error, struct outcome *outcome)
{
	if (channel->has_verdict) {
		*outcome = channel->verdict;
		return CHANNEL_BROKEN;
	}
	switch (error) {
	case GNUTLS_E_PREMATURE_TERMINATION:
	case GNUTLS_E_PULL_ERROR:
	case GNUTLS_E_SESSION_EOF:
		return CHANNEL_CUT;
	case GNUTLS_E_FATAL_ALERT_RECEIVED:
		return judge_alert(channel, outcome);
	case GNUTLS_E_UNSUPPORTED_VERSION_PACKET:
		return break_off(outcome, OUTCOME_TLS_FAILED,
			"protocol too old: the server chose a version that the route does not "
			"allow",
			"");
	case GNUTLS_E_UNEXPECTED_PACKET_LENGTH:
	case GNUTLS_E_RECORD_OVERFLOW:
		return break_off(outcome, OUTCOME_TLS_FAILED, "the server's answer is not TLS", "");
	default:
		return break_off(
			outcome, OUTCOME_TLS_FAILED, "handshake: ", gnutls_strerror(error));
	}
}

// A resumed session has shown no certificate now: what it showed then is verified again.
// Meanwhile the server may go on with our Finished: it was under way before its certificate was
// judged again, and says nothing that is secret.
static enum channel_result finish_handshake(struct channel *channel, struct outcome *outcome)
{
	if (channel_flush(channel) < 0)
		return CHANNEL_CUT;
	if (gnutls_session_is_resumed(channel->session) || !channel->is_verified) {
		channel->is_verified = verify_peer(channel->session, &channel->target,
			channel->trust, &channel->memory->verdicts, outcome);
		if (!channel->is_verified)
			return CHANNEL_BROKEN;
	}
	channel->idle_records = 0;
	return CHANNEL_DONE;
}

enum channel_result channel_handshake(struct channel *channel, struct outcome *outcome)
{
	for (;;) {
		int result = gnutls_handshake(channel->session);

		if (result == GNUTLS_E_SUCCESS)
			return finish_handshake(channel, outcome);
		if (gnutls_error_is_fatal(result))
			return judge_handshake(channel, result, outcome);
		if (is_drained(channel))
			return channel->has_socket_end ? CHANNEL_CUT : CHANNEL_WAITS;
		if (note_nothing(channel, outcome) != CHANNEL_WAITS)
			return CHANNEL_BROKEN;
	}
}

// Java's SSLSocket.close() says user_canceled and then close_notify (RFC 8446, 6.1: a closure too).
// GnuTLS takes any alert but close_notify for fatal and reads no further, so all that can be seen
// is whether what is left of the connection is one record that may be an alert. Nobody else can
// have said the first one, and after it there is nothing that could be cut off.
static enum channel_result receive_rest(struct channel *channel, struct outcome *outcome)
{
	struct channel_memory *memory = channel->memory;

	if (memory->inbox_length == 0 && memory->may_fill && channel->end.is_readable)
		(void)fill_inbox(channel);
	framing_feed(&channel->framing, memory->inbox + memory->inbox_start, memory->inbox_length);
	channel->after_cancel += memory->inbox_length;
	memory->inbox_length = 0;
	if (channel->after_cancel > MAX_ALERT)
		return break_off(outcome, OUTCOME_RESET,
			"the server has canceled the stream, and goes on", "");
	if (!channel->has_socket_end)
		return CHANNEL_WAITS;
	return channel->socket_error == 0 && channel->after_cancel >= MIN_ALERT &&
			       framing_is_between_records(&channel->framing)
		       ? CHANNEL_DONE
		       : CHANNEL_CUT;
}

// 0 is TLS's end only when the peer has said so.
static enum channel_result judge_receive(
	struct channel *channel, ssize_t result, struct outcome *outcome)
{
	if (result == 0 && gnutls_alert_get(channel->session) == GNUTLS_A_CLOSE_NOTIFY)
		return CHANNEL_DONE;
	if (result == 0 || !gnutls_error_is_fatal((int)result))
		return note_nothing(channel, outcome);
	if (result == GNUTLS_E_PREMATURE_TERMINATION || result == GNUTLS_E_PULL_ERROR)
		return CHANNEL_CUT;
	if (result == GNUTLS_E_FATAL_ALERT_RECEIVED &&
		gnutls_alert_get(channel->session) == GNUTLS_A_USER_CANCELED) {
		channel->is_canceled = true;
		return CHANNEL_WAITS;
	}
	if (result == GNUTLS_E_FATAL_ALERT_RECEIVED) {
		(void)judge_alert(channel, outcome);
		outcome->class = OUTCOME_RESET;
		return CHANNEL_BROKEN;
	}
	return break_off(
		outcome, OUTCOME_RESET, "the TLS stream is broken: ", gnutls_strerror((int)result));
}

static enum channel_result receive_raw(
	struct channel *channel, struct queue *plain, struct outcome *outcome)
{
	struct channel_memory *memory = channel->memory;
	ssize_t length = channel->end.is_readable ? fill_inbox(channel) : -EAGAIN;

	if (length == -EAGAIN)
		return CHANNEL_WAITS;
	if (length <= 0)
		return CHANNEL_CUT;
	if (!queue_append(plain, &memory->pool, memory->inbox, memory->inbox_length))
		return break_off(outcome, OUTCOME_INTERNAL, "out of memory", "");
	memory->inbox_length = 0;
	return CHANNEL_WAITS;
}

enum channel_result channel_receive(
	struct channel *channel, struct queue *plain, struct outcome *outcome)
{
	enum channel_result result = CHANNEL_WAITS;

	if (!channel->session)
		return receive_raw(channel, plain, outcome);
	while (result == CHANNEL_WAITS && !channel->is_canceled) {
		ssize_t length;

		if (!queue_reserve(plain, &channel->memory->pool, MAX_RECORD))
			return break_off(outcome, OUTCOME_INTERNAL, "out of memory", "");
		length = gnutls_record_recv(channel->session, queue_end(plain), queue_room(plain));
		if (length > 0) {
			queue_produce(plain, (size_t)length);
			channel->idle_records = 0;
		} else if (length == GNUTLS_E_AGAIN && is_drained(channel)) {
			result = channel->has_socket_end ? CHANNEL_CUT : CHANNEL_WAITS;
			break;
		} else {
			result = judge_receive(channel, length, outcome);
		}
	}
	queue_settle(plain, &channel->memory->pool);
	return channel->is_canceled ? receive_rest(channel, outcome) : result;
}

int channel_send(struct channel *channel, const uint8_t *data, size_t length)
{
	if (!channel->session)
		return queue_append(&channel->out, &channel->memory->pool, data, length) ? 0 : -EIO;
	while (length > 0) {
		ssize_t sent = gnutls_record_send(
			channel->session, data, length < MAX_RECORD ? length : MAX_RECORD);

		if (sent == GNUTLS_E_INTERRUPTED || sent == GNUTLS_E_AGAIN)
			continue; // cannot last: the push function always accepts
		if (sent <= 0)
			return -EIO;
		data += sent;
		length -= (size_t)sent;
	}
	return 0;
}

void channel_end(struct channel *channel)
{
	if (channel->session)
		(void)gnutls_bye(channel->session, GNUTLS_SHUT_WR);
}

void channel_alert(struct channel *channel, gnutls_alert_description_t alert)
{
	if (channel->session)
		(void)gnutls_alert_send(channel->session, GNUTLS_AL_FATAL, alert);
}

int channel_flush(struct channel *channel)
{
	size_t limit = channel->transport == ENDPOINT_VSOCK ? STREAM_VSOCK_MAX_SEND : SIZE_MAX;

	while (channel->out.length && channel->end.is_writable) {
		size_t length = channel->out.length < limit ? channel->out.length : limit;
		ssize_t sent =
			send(channel->end.fd, queue_start(&channel->out), length, MSG_NOSIGNAL);

		if (sent < 0 && errno != EAGAIN && errno != EINTR)
			return -errno;
		if (sent < 0)
			sent = 0;
		queue_consume(&channel->out, (size_t)sent);
		if ((size_t)sent < length)
			channel->end.is_writable = false;
	}
	queue_settle(&channel->out, &channel->memory->pool);
	return 0;
}
