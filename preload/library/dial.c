// SPDX-License-Identifier: MIT
// Theory of operation: the stream is dialled, told its destination and entered in the shared table
// before it takes the TCP socket's place, so that nobody ever sees a socket that is neither. Only
// known facts of the old socket cost system calls: its options are read when something set one.
#include "preload/library/dial.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "preload/library/adopt.h"
#include "preload/library/fds.h"
#include "preload/library/fork_guard.h"
#include "preload/library/library.h"
#include "preload/library/log.h"
#include "preload/library/options.h"
#include "preload/library/real.h"
#include "preload/library/result.h"
#include "preload/library/swap.h"
#include "preload/shared/control_client.h"
#include "preload/shared/name_pool.h"
#include "wire/request.h"
#include "wire/stream.h"

// Linux's default net.ipv4.ip_local_port_range.
#define FIRST_LOCAL_PORT 32768
#define LOCAL_PORTS      28232

#define TARGET_TEXT_SIZE (NAME_SIZE + 16)

// --- what the request says

static bool is_unspecified(const struct address *address)
{
	static const uint8_t zeros[16];

	return memcmp(address->bytes, zeros, sizeof(zeros)) == 0;
}

static bool is_loopback(const struct address *address)
{
	static const uint8_t loopback[16] = {[15] = 1};

	if (address->family == ADDRESS_IPV4)
		return address->bytes[0] == 127;
	return memcmp(address->bytes, loopback, sizeof(loopback)) == 0;
}

// The address that the kernel would have chosen, were there a network: loopback towards loopback,
// else the pool's own.
static void choose_source(const struct address *peer, struct address *source)
{
	const struct settings *settings = library_settings();

	if (is_loopback(peer)) {
		*source = (struct address){.family = peer->family};
		source->bytes[0] = peer->family == ADDRESS_IPV4 ? 127 : 0;
		source->bytes[peer->family == ADDRESS_IPV4 ? 3 : 15] = 1;
		return;
	}
	name_pool_own_address(
		peer->family == ADDRESS_IPV4 ? &settings->pool_ipv4 : &settings->pool_ipv6, source);
}

// Where the socket is bound, and what is missing of that.
static void fill_source(int fd, struct request *request)
{
	struct sockaddr_storage storage = {.ss_family = AF_UNSPEC};
	socklen_t length = sizeof(storage);
	struct address bound = {.family = ADDRESS_NONE};
	uint16_t random;

	if (real_getsockname(fd, (struct sockaddr *)&storage, &length) == 0 &&
		address_from_sockaddr(
			(const struct sockaddr *)&storage, length, &bound, &request->source_port))
		bound = address_unmap(&bound);
	if (bound.family == request->destination.family && !is_unspecified(&bound))
		request->source = bound;
	else
		choose_source(&request->destination, &request->source);
	memcpy(&random, request->id, sizeof(random));
	if (request->source_port == 0)
		request->source_port = (uint16_t)(FIRST_LOCAL_PORT + random % LOCAL_PORTS);
}

static void fill_request(int fd, const struct target *target, struct request *request)
{
	*request = (struct request){
		.verb = REQUEST_CONNECT,
		.destination = target->peer,
		.destination_port = target->port,
	};
	control_client_identify(request);
	if (target->name)
		memcpy(request->name, target->name, strlen(target->name) + 1);
	fill_source(fd, request);
}

// --- the stream

// TCP's connect needs no descriptor, ours does for a moment: -ENOBUFS, which connect() may give
// when the system is short of something, where even the hard limit is used up.
static int dial_with_room(const struct endpoint *endpoint)
{
	struct swap_limit limit;
	int stream = stream_dial(endpoint);

	if (stream == -EMFILE && swap_raise_limit(&limit)) {
		stream = stream_dial(endpoint);
		swap_return_limit(&limit);
	}
	return stream == -EMFILE || stream == -ENFILE ? -ENOBUFS : stream;
}

static void log_dial_failure(const struct target *target, int error)
{
	char text[TARGET_TEXT_SIZE], endpoint[ENDPOINT_TEXT_SIZE];

	log_line(SETTINGS_LOG_ERROR, "connect to ", target_format(target, text, sizeof(text)),
		" failed: ", target->is_tls ? "airlock-tls" : "hostd", " cannot be reached at ",
		endpoint_format(target->endpoint, endpoint), ": ",
		strerrordesc_np(error) ? strerrordesc_np(error) : "unknown error",
		(error == EACCES || error == EPERM) && target->endpoint->transport == ENDPOINT_VSOCK
			? " (a container's seccomp profile may forbid AF_VSOCK)"
			: "");
}

// Returns the stream, or -errno.
static int open_stream(const struct target *target, const struct request *request, int *send_buffer)
{
	uint8_t bytes[REQUEST_SIZE];
	int stream = dial_with_room(target->endpoint);
	int result;

	if (stream < 0) {
		log_dial_failure(target, -stream);
		// EACCES is left to mean the destination's or a rule's no.
		return stream == -EACCES || stream == -EPERM ? -ENETUNREACH : stream;
	}
	request_encode(request, bytes);
	result = stream_send_request(stream, target->endpoint->transport, bytes, send_buffer);
	if (result == 0)
		return stream;
	log_dial_failure(target, -result);
	close(stream);
	return -ENETUNREACH;
}

static void fill_entry(struct socket_entry *entry, int fd, int stream, const struct target *target,
	const struct request *request, int send_buffer)
{
	uint32_t flags = target->is_tls ? SOCKET_FLAG_TLS : 0;

	if (target->endpoint->transport == ENDPOINT_VSOCK)
		flags |= SOCKET_FLAG_VSOCK;
	atomic_store(&entry->flags, flags);
	atomic_store(&entry->owner, getpid());
	atomic_store(&entry->fd, fd);
	atomic_store(&entry->inode, fds_inode(stream));
	entry->send_buffer = send_buffer;
	entry->domain = (uint16_t)target->domain;
	entry->peer = request->destination;
	entry->peer_port = request->destination_port;
	entry->local = request->source;
	entry->local_port = request->source_port;
	memcpy(entry->id, request->id, sizeof(entry->id));
}

static void carry_options(int fd, int stream, struct socket_entry *entry)
{
	struct option_records records;

	if (!(fds_word(fd) & (FD_TOUCHED | FD_SHARED)))
		return;
	options_capture(fd, &records);
	options_apply_to_stream(stream, &records);
	options_store(entry, &records);
}

static void log_dialled(const struct target *target, const struct request *request)
{
	char text[TARGET_TEXT_SIZE], id[REQUEST_ID_TEXT_SIZE];

	log_line(SETTINGS_LOG_DEBUG, "connect to ", target_format(target, text, sizeof(text)),
		target->is_tls ? " by tls" : " direct", ", stream ",
		request_id_format(request->id, id));
}

int dial_replace(int fd, const struct target *target, struct socket_entry **entry)
{
	struct state *state = library_state();
	uint64_t cookie = fds_cookie(fd);
	struct request request;
	int send_buffer = 0;
	UNCANCELLED;
	FORK_GUARDED;

	if (!state)
		return -ENOBUFS;
	fill_request(fd, target, &request);
	int stream = open_stream(target, &request, &send_buffer);
	if (stream < 0)
		return stream;
	*entry = socket_table_insert(&state->sockets, fds_cookie(stream), fds_use_of);
	fill_entry(*entry, fd, stream, target, &request, send_buffer);
	carry_options(fd, stream, *entry);
	if (!library_has_working_gate())
		stream_restore_send_buffer(stream, send_buffer);
	socket_entry_publish(*entry, SOCKET_PHASE_PENDING);
	if (fork_guard_has_forked())
		adopt_announce(fd, cookie, fds_cookie(stream));
	int result = swap_socket(fd, cookie, stream);
	if (result < 0)
		return result;
	fds_set_stream(fd, *entry);
	log_dialled(target, &request);
	return 0;
}

int dial_dissolve(int fd, struct socket_entry *entry)
{
	UNCANCELLED;
	int tcp = options_open_tcp(entry);
	int result;

	if (tcp < 0)
		return tcp;
	result = swap_socket(fd, atomic_load(&entry->cookie), tcp);
	if (result < 0)
		return result;
	fds_set_plain(fd);
	if (atomic_load(&entry->option_length) > 0)
		fds_add_bits(fd, FD_TOUCHED);
	return 0;
}
