// SPDX-License-Identifier: MIT
#include "preload/library/options.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include <linux/tcp.h>

#include "preload/library/fds.h"
#include "preload/library/real.h"
#include "preload/library/result.h"
#include "preload/library/settle.h"
#include "preload/library/swap.h"
#include "preload/library/user_memory.h"
#include "wire/stream.h"

// States of RFC 9293 as the kernel numbers them (include/net/tcp_states.h).
enum tcp_state {
	STATE_ESTABLISHED = 1,
	STATE_SYN_SENT = 2,
	STATE_FIN_WAIT2 = 5,
	STATE_CLOSE = 7,
	STATE_CLOSE_WAIT = 8,
};

// --- set

static int set_on_tcp(
	const struct socket_entry *entry, int level, int name, const void *value, socklen_t length)
{
	UNCANCELLED;
	int tcp = options_open_tcp(entry);
	int result;

	if (tcp < 0)
		return tcp;
	result = real_setsockopt(tcp, level, name, value, length) < 0 ? -errno : 0;
	close(tcp);
	return result;
}

// The oracle is not connected, and what it accepted is for unconnected sockets alone: EINVAL on
// others (do_tcp_setsockopt, do_ipv6_setsockopt).
static bool needs_unconnected(int level, int name, const void *value, socklen_t length)
{
	int number = 0;

	if (level == IPPROTO_IPV6)
		return name == IPV6_V6ONLY;
	if (level != IPPROTO_TCP)
		return false;
	memcpy(&number, value, length < sizeof(number) ? length : sizeof(number));
	return name == TCP_FASTOPEN || name == TCP_FASTOPEN_CONNECT ||
	       (name == TCP_WINDOW_CLAMP && number == 0);
}

static int set_option(int fd, struct socket_entry *entry, int level, int name, const void *value,
	socklen_t length)
{
	struct option_records records, one = {.length = 0};
	int result;

	// Its notifications would never come, and programs keep their buffers until then.
	if (level == SOL_SOCKET && name == SO_ZEROCOPY)
		return -EOPNOTSUPP;
	result = set_on_tcp(entry, level, name, value, length);
	if (result < 0)
		return result;
	if (needs_unconnected(level, name, value, length))
		return -EINVAL;
	options_record(&one, level, name, value, length);
	options_apply_to_stream(fd, &one);
	options_load(entry, &records);
	options_record(&records, level, name, value, length);
	options_store(entry, &records);
	return 0;
}

int airlock_setsockopt(int fd, int level, int name, const void *value, socklen_t length)
{
	struct socket_entry *entry = NULL;
	int saved_errno = errno;
	int result;

	if ((fds_classify(fd) & FD_CLASS) != FD_PLAIN)
		entry = fds_find(fd);
	if (entry)
		return (int)result_return(
			set_option(fd, entry, level, name, value, length), saved_errno);
	result = real_setsockopt(fd, level, name, value, length);
	if (result == 0 && !(fds_word(fd) & FD_TOUCHED))
		fds_add_bits(fd, FD_TOUCHED);
	return result;
}

// --- get

static int get_from_tcp(
	const struct socket_entry *entry, int level, int name, void *value, socklen_t *length)
{
	UNCANCELLED;
	int tcp = options_open_tcp(entry);
	int result;

	if (tcp < 0)
		return tcp;
	result = real_getsockopt(tcp, level, name, value, length) < 0 ? -errno : 0;
	close(tcp);
	return result;
}

static int get_error(int fd, struct socket_entry *entry, void *value, socklen_t *length)
{
	int error = 0;
	socklen_t size = sizeof(error);

	switch (settle_look(fd, entry)) {
	case SOCKET_PHASE_FAILED:
		error = settle_take_error(entry);
		break;
	case SOCKET_PHASE_OPEN:
		if (real_getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
			return -errno;
		if (error == ECONNRESET)
			settle_note_reset(entry);
		// TCP tells of a reset here before the data in front of it has been read.
		else if (error == 0 && !(atomic_load(&entry->flags) & SOCKET_FLAG_WRITE_SHUT))
			error = settle_judge_end(fd, entry);
		break;
	default:
		break;
	}
	return user_memory_put_option(value, length, &error, sizeof(error));
}

// What a healthy connection of some milliseconds' round trip reports. Times in microseconds.
static void describe_connection(struct tcp_info *info)
{
	info->tcpi_rto = 204000;
	info->tcpi_ato = 40000;
	info->tcpi_snd_mss = 1448;
	info->tcpi_rcv_mss = 536;
	info->tcpi_advmss = 1448;
	info->tcpi_pmtu = 1500;
	info->tcpi_rcv_ssthresh = 64088;
	info->tcpi_rtt = 4000;
	info->tcpi_rttvar = 2000;
	info->tcpi_snd_cwnd = 10;
	info->tcpi_rcv_space = 14480;
	info->tcpi_min_rtt = 4000;
}

// Pools of connections look at it before they use one again.
static enum tcp_state state_of(int fd, const struct socket_entry *entry)
{
	struct pollfd item = {.fd = fd, .events = POLLRDHUP};
	bool is_write_shut = atomic_load(&entry->flags) & SOCKET_FLAG_WRITE_SHUT;
	UNCANCELLED;

	if (!is_write_shut && stream_probe(fd) < 0)
		return STATE_CLOSE;
	if (poll(&item, 1, 0) > 0)
		return is_write_shut ? STATE_CLOSE : STATE_CLOSE_WAIT;
	return is_write_shut ? STATE_FIN_WAIT2 : STATE_ESTABLISHED;
}

// The kernel's struct may be longer or shorter than ours: its length, our fields.
static int get_tcp_info(int fd, struct socket_entry *entry, void *value, socklen_t *length)
{
	union {
		struct tcp_info info;
		uint8_t bytes[1024];
	} answer = {.bytes = {0}};
	socklen_t size = sizeof(answer);
	enum socket_phase phase = settle_look(fd, entry);
	int result = get_from_tcp(entry, IPPROTO_TCP, TCP_INFO, &answer, &size);

	if (result < 0)
		return result;
	if (phase == SOCKET_PHASE_OPEN)
		answer.info.tcpi_state = (uint8_t)state_of(fd, entry);
	if (phase == SOCKET_PHASE_OPEN && answer.info.tcpi_state != STATE_CLOSE)
		describe_connection(&answer.info);
	else if (phase == SOCKET_PHASE_PENDING)
		answer.info.tcpi_state = STATE_SYN_SENT;
	return user_memory_put_option(value, length, &answer, size);
}

static int get_option(
	int fd, struct socket_entry *entry, int level, int name, void *value, socklen_t *length)
{
	if (level == SOL_SOCKET && name == SO_ERROR)
		return get_error(fd, entry, value, length);
	if (level == SOL_SOCKET && name == SO_COOKIE)
		return real_getsockopt(fd, level, name, value, length) < 0 ? -errno : 0;
	if (level == IPPROTO_TCP && name == TCP_INFO)
		return get_tcp_info(fd, entry, value, length);
	return get_from_tcp(entry, level, name, value, length);
}

int airlock_getsockopt(int fd, int level, int name, void *value, socklen_t *length)
{
	struct socket_entry *entry = NULL;
	int saved_errno = errno;

	if ((fds_classify(fd) & FD_CLASS) != FD_PLAIN)
		entry = fds_find(fd);
	if (!entry)
		return real_getsockopt(fd, level, name, value, length);
	return (int)result_return(get_option(fd, entry, level, name, value, length), saved_errno);
}
