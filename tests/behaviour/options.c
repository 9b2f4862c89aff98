// SPDX-License-Identifier: MIT
// Names, options and ioctls of a connected socket: what TCP would say. HOST PORT echoes.
#include "tests/behaviour/probe.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>

static void say_bytes(const char *what, const void *bytes, size_t length)
{
	char text[3 * 64 + 1] = "";
	for (size_t i = 0; i < length && i < 64; i++)
		sprintf(text + 2 * i, "%02x", ((const uint8_t *)bytes)[i]);
	say("%s: %s", what, text);
}

typedef int name_function(int, struct sockaddr *, socklen_t *);

// Every length around the sizes that matter; what lies behind the given length must stay untouched.
static void name_lengths(const char *what, name_function *function, int fd, bool with_port)
{
	for (socklen_t length = 0; length <= 40; length++) {
		struct sockaddr_storage name;
		memset(&name, 0xee, sizeof(name));
		socklen_t given = length;
		int result = function(fd, (struct sockaddr *)&name, &given);
		say("%s of %u bytes: %d, then %u", what, length, result, given);
		if (length < 2)
			continue;
		if (!with_port)
			memset((uint8_t *)&name + 2, 0, 2);
		say_bytes("  bytes", &name, 40);
	}
	struct sockaddr_storage name;
	socklen_t negative = (socklen_t)-1;
	said("negative length", function(fd, (struct sockaddr *)&name, &negative));
	said("null length", function(fd, (struct sockaddr *)&name, NULL));
	socklen_t length = sizeof(name);
	said("null name", function(fd, NULL, &length));
	said("bad pointer", function(fd, (struct sockaddr *)(uintptr_t)8, &length));
}

static void peer_name(void)
{
	name_lengths("getpeername", getpeername, probe_connected(), true);
}

// The local port differs from run to run, the rest must not.
static void socket_name(void)
{
	int fd = probe_connected();
	struct sockaddr_storage name;
	socklen_t length = sizeof(name);
	said("getsockname", getsockname(fd, (struct sockaddr *)&name, &length));
	say("length %u", length);
	say_sockaddr("local", (struct sockaddr *)&name, false);
	name_lengths("getsockname", getsockname, fd, false);
}

static void bound_name(void)
{
	struct sockaddr_in local = {.sin_family = AF_INET,
		.sin_addr.s_addr = inet_addr("127.0.0.9"),
		.sin_port = htons(45678)};
	struct sockaddr_storage name;
	socklen_t length = sizeof(name);
	int on = 1, fd = probe_socket(0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	said("bind", bind(fd, (struct sockaddr *)&local, sizeof(local)));
	said("connect", probe_connect(fd));
	getsockname(fd, (struct sockaddr *)&name, &length);
	say_sockaddr("local", (struct sockaddr *)&name, true);
	said("bind again", bind(fd, (struct sockaddr *)&local, sizeof(local)));
	said("listen", listen(fd, 5));
	said("accept", accept(fd, NULL, NULL));
}

// An IPv4 destination on an AF_INET6 socket.
static void mapped(void)
{
	struct sockaddr_in6 address = {.sin6_family = AF_INET6,
		.sin6_port = ((struct sockaddr_in *)&probe_address)->sin_port};
	char text[64];
	snprintf(text, sizeof(text), "::ffff:%s", probe_host);
	inet_pton(AF_INET6, text, &address.sin6_addr);
	int fd = must("socket", socket(AF_INET6, SOCK_STREAM, 0));
	said("connect", connect(fd, (struct sockaddr *)&address, sizeof(address)));
	struct sockaddr_storage name;
	socklen_t length = sizeof(name);
	said("getpeername", getpeername(fd, (struct sockaddr *)&name, &length));
	say_sockaddr("peer", (struct sockaddr *)&name, true);
	length = sizeof(name);
	said("getsockname", getsockname(fd, (struct sockaddr *)&name, &length));
	say_sockaddr("local", (struct sockaddr *)&name, false);
	int domain = 0;
	length = sizeof(domain);
	getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &length);
	say("domain %d", domain);
}

struct named_option {
	const char *text;
	int level;
	int name;
};
#define OPTION(level, name)                                                                        \
	{                                                                                          \
#name, level, name                                                                 \
	}

static const struct named_option int_options[] = {
	OPTION(SOL_SOCKET, SO_DOMAIN),
	OPTION(SOL_SOCKET, SO_PROTOCOL),
	OPTION(SOL_SOCKET, SO_TYPE),
	OPTION(SOL_SOCKET, SO_ACCEPTCONN),
	OPTION(SOL_SOCKET, SO_KEEPALIVE),
	OPTION(SOL_SOCKET, SO_REUSEADDR),
	OPTION(SOL_SOCKET, SO_REUSEPORT),
	OPTION(SOL_SOCKET, SO_BROADCAST),
	OPTION(SOL_SOCKET, SO_OOBINLINE),
	OPTION(SOL_SOCKET, SO_PRIORITY),
	OPTION(SOL_SOCKET, SO_DONTROUTE),
	OPTION(SOL_SOCKET, SO_RCVLOWAT),
	OPTION(SOL_SOCKET, SO_SNDLOWAT),
	OPTION(SOL_SOCKET, SO_TIMESTAMP),
	OPTION(SOL_SOCKET, SO_MARK),
	OPTION(SOL_SOCKET, SO_BUSY_POLL),
	OPTION(IPPROTO_TCP, TCP_NODELAY),
	OPTION(IPPROTO_TCP, TCP_CORK),
	OPTION(IPPROTO_TCP, TCP_KEEPIDLE),
	OPTION(IPPROTO_TCP, TCP_KEEPINTVL),
	OPTION(IPPROTO_TCP, TCP_KEEPCNT),
	OPTION(IPPROTO_TCP, TCP_USER_TIMEOUT),
	OPTION(IPPROTO_TCP, TCP_SYNCNT),
	OPTION(IPPROTO_TCP, TCP_LINGER2),
	OPTION(IPPROTO_TCP, TCP_DEFER_ACCEPT),
	OPTION(IPPROTO_TCP, TCP_QUICKACK),
	OPTION(IPPROTO_TCP, TCP_NOTSENT_LOWAT),
	OPTION(IPPROTO_TCP, TCP_WINDOW_CLAMP),
	OPTION(IPPROTO_TCP, TCP_FASTOPEN),
	OPTION(IPPROTO_TCP, 77),
	OPTION(IPPROTO_IP, IP_TOS),
	OPTION(IPPROTO_IP, IP_TTL),
	OPTION(IPPROTO_IP, IP_MTU_DISCOVER),
	OPTION(IPPROTO_IP, IP_RECVERR),
	OPTION(IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT),
	OPTION(IPPROTO_IP, 99),
	OPTION(IPPROTO_IPV6, IPV6_V6ONLY),
	OPTION(IPPROTO_IPV6, IPV6_TCLASS),
	OPTION(SOL_SOCKET, 9999),
	OPTION(4242, 1),
};

static void say_option(int fd, const struct named_option *option, const char *when)
{
	int value = -7;
	socklen_t length = sizeof(value);
	int result = getsockopt(fd, option->level, option->name, &value, &length);
	if (result < 0)
		say("get %s %s: %s", option->text, when, strerrorname_np(errno));
	else if (option->name == TCP_WINDOW_CLAMP && option->level == IPPROTO_TCP)
		say("get %s %s: length %u", option->text, when, length);
	else
		say("get %s %s: %d, length %u", option->text, when, value, length);
}

static void set_option(int fd, const struct named_option *option, int value, socklen_t length)
{
	int result = setsockopt(fd, option->level, option->name, &value, length);
	say("set %s to %d in %u bytes: %s", option->text, value, length,
		result < 0 ? strerrorname_np(errno) : "0");
}

static void int_options_on(int fd, const char *when)
{
	static const int values[] = {1, 0, 5, -1, 100000};
	for (size_t i = 0; i < sizeof(int_options) / sizeof(int_options[0]); i++) {
		const struct named_option *option = &int_options[i];
		// Quick ACK changes by itself once data flows.
		say_option(fd, option, when);
		for (size_t j = 0; j < sizeof(values) / sizeof(values[0]); j++)
			set_option(fd, option, values[j], sizeof(int));
		set_option(fd, option, 1, 1);
		set_option(fd, option, 1, 0);
		say_option(fd, option, "then");
	}
}

static void options_before(void)
{
	int fd = probe_socket(0);
	int_options_on(fd, "before connect");
	int low = 1;
	setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &low, sizeof(low));
	said("connect", probe_connect(fd));
	for (size_t i = 0; i < sizeof(int_options) / sizeof(int_options[0]); i++)
		if (int_options[i].name != TCP_QUICKACK)
			say_option(fd, &int_options[i], "after connect");
}

static void options_after(void)
{
	int_options_on(probe_connected(), "after connect");
}

static void sizes(void)
{
	int fd = probe_connected();
	static const int names[] = {SO_RCVBUF, SO_SNDBUF};
	for (size_t i = 0; i < 2; i++) {
		int value = 54321;
		socklen_t length = sizeof(value);
		said("set", setsockopt(fd, SOL_SOCKET, names[i], &value, sizeof(value)));
		said("get", getsockopt(fd, SOL_SOCKET, names[i], &value, &length));
		say("value %d length %u", value, length);
	}
	struct timeval limit = {.tv_sec = 3, .tv_usec = 500000}, back = {0};
	socklen_t length = sizeof(back);
	said("SO_RCVTIMEO", setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)));
	said("SO_RCVTIMEO", getsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &back, &length));
	say("value %ld.%06ld length %u", (long)back.tv_sec, (long)back.tv_usec, length);
	struct linger linger = {.l_onoff = 1, .l_linger = 7}, linger_back = {0};
	length = sizeof(linger_back);
	said("SO_LINGER", setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)));
	said("SO_LINGER", getsockopt(fd, SOL_SOCKET, SO_LINGER, &linger_back, &length));
	say("value %d %d length %u", linger_back.l_onoff, linger_back.l_linger, length);
	char name[16] = "";
	length = sizeof(name);
	said("TCP_CONGESTION", getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, &length));
	say("value %s length %u", name, length);
	said("TCP_CONGESTION", setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "reno", 4));
	length = sizeof(name);
	said("TCP_CONGESTION", getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, &length));
	say("value %s length %u", name, length);
	said("TCP_CONGESTION", setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "nonesuch", 8));
	int value = 0;
	said("bad pointer", getsockopt(fd, SOL_SOCKET, SO_TYPE, &value, NULL));
	said("bad value", setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, (void *)(uintptr_t)8, 4));
}

// The kernel caps the length at the size of its own struct, which grows; a program asks for its own
// size.
static void information(void)
{
	int fd = probe_connected();
	struct tcp_info info;
	for (socklen_t length = 0; length <= sizeof(info); length += 8) {
		socklen_t given = length;
		memset(&info, 0xee, sizeof(info));
		int result = getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &given);
		say("TCP_INFO of %u: %d, then %u, state %d", length, result, given,
			length ? info.tcpi_state : -1);
	}
	say("mss is plausible: %d", info.tcpi_snd_mss >= 500 && info.tcpi_snd_mss <= 65535);
	char large[1024];
	socklen_t length = sizeof(large);
	said("TCP_INFO of 1024", getsockopt(fd, IPPROTO_TCP, TCP_INFO, large, &length));
	say("then %u", length);
}

// FIN-WAIT-1 is FIN-WAIT-2 as soon as the other side has acknowledged.
static void say_state(const char *when, int fd)
{
	struct tcp_info info = {0};
	socklen_t length = sizeof(info);
	must("TCP_INFO", getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length));
	int state = info.tcpi_state == TCP_FIN_WAIT1 ? TCP_FIN_WAIT2 : info.tcpi_state;
	say("%s: state %d", when, state);
}

// HOST PORT ends as the first byte that it gets says.
static void states(void)
{
	char byte;
	int fd = probe_connected();
	say_state("connected", fd);
	said("send", send(fd, "x", 1, MSG_NOSIGNAL));
	wait_for(fd, POLLRDHUP);
	say_state("the other side has ended, unread", fd);
	said("recv", recv(fd, &byte, 1, 0));
	said("recv", recv(fd, &byte, 1, 0));
	say_state("the other side has ended", fd);
	said("shutdown", shutdown(fd, SHUT_WR));
	say_state("both sides have ended", fd);
	fd = probe_connected();
	said("shutdown", shutdown(fd, SHUT_WR));
	say_state("this side has ended", fd);
	fd = probe_connected();
	said("send", send(fd, "r", 1, MSG_NOSIGNAL));
	wait_for(fd, POLLIN);
	say_state("reset", fd);
}

static void input_output_control(void)
{
	int fd = probe_connected(), value = -1;
	said("FIONREAD", ioctl(fd, FIONREAD, &value));
	say("value %d", value);
	said("send", send(fd, "0123456789", 10, MSG_NOSIGNAL));
	wait_for(fd, POLLIN);
	char one;
	said("recv", recv(fd, &one, 1, 0));
	said("FIONREAD", ioctl(fd, FIONREAD, &value));
	say("value %d", value);
	said("SIOCATMARK", ioctl(fd, SIOCATMARK, &value));
	say("value %d", value);
	said("SIOCOUTQ", ioctl(fd, SIOCOUTQ, &value));
	int on = 1;
	said("FIONBIO", ioctl(fd, FIONBIO, &on));
	char rest[16];
	said("recv", recv(fd, rest, sizeof(rest), 0));
	said("recv without blocking", recv(fd, rest, sizeof(rest), 0));
	said("nonsense", ioctl(fd, 0x1234, &value));
	said("FIONREAD without a pointer", ioctl(fd, FIONREAD, NULL));
	said("a terminal's", ioctl(fd, 0x5401 /* TCGETS */, rest));
}

static const struct probe_case cases[] = {
	{"peer-name", peer_name},
	{"socket-name", socket_name},
	{"bound-name", bound_name},
	{"mapped", mapped},
	{"options-before", options_before},
	{"options-after", options_after},
	{"sizes", sizes},
	{"information", information},
	{"states", states},
	{"ioctl", input_output_control},
};
PROBE_MAIN(cases)
