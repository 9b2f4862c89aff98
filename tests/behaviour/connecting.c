// SPDX-License-Identifier: MIT
// connect() in all its ways, and what the socket says before, during and after.
// HOST PORT is what each case's test arranges: an open, a refused, a denied or a held destination.
#include "tests/behaviour/probe.h"

#include <signal.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/select.h>

static void blocking(void)
{
	char byte;
	int fd = probe_socket(0);
	said("connect", probe_connect(fd));
	say("SO_ERROR: %s", error_name(so_error(fd)));
	struct sockaddr_storage peer;
	socklen_t length = sizeof(peer);
	said("getpeername", getpeername(fd, (struct sockaddr *)&peer, &length));
	said("send", send(fd, "x", 1, MSG_NOSIGNAL));
	said("recv", recv(fd, &byte, 1, MSG_DONTWAIT));
}

static void blocking_twice(void)
{
	int fd = probe_socket(0);
	said("first connect", probe_connect(fd));
	said("second connect", probe_connect(fd));
	said("third connect", probe_connect(fd));
}

static void nonblocking(void)
{
	int fd = probe_socket(SOCK_NONBLOCK);
	said("connect", probe_connect(fd));
	short events = wait_for(fd, POLLOUT);
	say("poll: writable %d", (events & POLLOUT) != 0);
	say("SO_ERROR: %s", error_name(so_error(fd)));
	say("SO_ERROR again: %s", error_name(so_error(fd)));
	struct sockaddr_storage peer;
	socklen_t length = sizeof(peer);
	said("getpeername", getpeername(fd, (struct sockaddr *)&peer, &length));
}

// The error comes from the first operation instead of from SO_ERROR, and only once.
static void nonblocking_recv_first(void)
{
	char byte;
	int fd = probe_socket(SOCK_NONBLOCK);
	said("connect", probe_connect(fd));
	wait_for(fd, POLLOUT);
	said("recv", recv(fd, &byte, 1, 0));
	said("recv again", recv(fd, &byte, 1, 0));
	say("SO_ERROR: %s", error_name(so_error(fd)));
}

static void nonblocking_send_first(void)
{
	int fd = probe_socket(SOCK_NONBLOCK);
	said("connect", probe_connect(fd));
	wait_for(fd, POLLOUT);
	said("send", send(fd, "x", 1, MSG_NOSIGNAL));
	said("send again", send(fd, "x", 1, MSG_NOSIGNAL));
}

static void nonblocking_connect_again(void)
{
	int fd = probe_socket(SOCK_NONBLOCK);
	said("connect", probe_connect(fd));
	wait_for(fd, POLLOUT);
	said("second connect", probe_connect(fd));
	if (said("third connect", probe_connect(fd)) < 0 && errno == EINPROGRESS)
		wait_for(fd, POLLOUT);
	said("fourth connect", probe_connect(fd));
}

// After a failure the same socket dials again, as Linux allows.
static void reconnect_elsewhere(void)
{
	int fd = probe_socket(0);
	said("connect", probe_connect(fd));
	probe_set_address(probe_host, probe_arguments[0]);
	said("connect elsewhere", probe_connect(fd));
	say("SO_ERROR: %s", error_name(so_error(fd)));
	said("send", send(fd, "ping\n", 5, MSG_NOSIGNAL));
}

// The destination does not answer for the time being.
static void pending(void)
{
	char byte;
	int fd = probe_socket(SOCK_NONBLOCK);
	said("connect", probe_connect(fd));
	struct pollfd entry = {.fd = fd, .events = POLLIN | POLLOUT | POLLRDHUP};
	said("poll", poll(&entry, 1, 300));
	said("second connect", probe_connect(fd));
	struct sockaddr_storage peer;
	socklen_t length = sizeof(peer);
	said("getpeername", getpeername(fd, (struct sockaddr *)&peer, &length));
	said("getsockname", getsockname(fd, (struct sockaddr *)&peer, &length));
	say("SO_ERROR: %s", error_name(so_error(fd)));
	said("send", send(fd, "x", 1, MSG_NOSIGNAL));
	said("write", write(fd, "x", 1));
	said("recv", recv(fd, &byte, 1, 0));
	said("read", read(fd, &byte, 1));
	fd_set writable;
	FD_ZERO(&writable);
	FD_SET(fd, &writable);
	struct timeval soon = {.tv_usec = 100000};
	said("select", select(fd + 1, NULL, &writable, NULL, &soon));
	said("close", close(fd));
}

static void send_timeout(void)
{
	int fd = probe_socket(0);
	struct timeval limit = {.tv_sec = 1};
	must("SO_SNDTIMEO", setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)));
	double before = seconds_now();
	said("connect", probe_connect(fd));
	double took = seconds_now() - before;
	say("waited for the timeout: %s", took >= 0.9 && took < 10 ? "yes" : "no");
}

static void on_signal(int number)
{
	(void)number;
}

static void interrupted(int flags)
{
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = flags};
	sigaction(SIGALRM, &action, NULL);
	int fd = probe_socket(0);
	ualarm(900000, 0); // connect() has to be reached before
	said("connect", probe_connect(fd));
	if (flags & SA_RESTART)
		return;
	said("second connect without blocking",
		(fcntl(fd, F_SETFL, O_NONBLOCK), probe_connect(fd)));
}

static void interrupted_plain(void)
{
	interrupted(0);
}

static void interrupted_restart(void)
{
	interrupted(SA_RESTART);
}

// Language runtimes and crash reporters have one.
static void interrupted_beside_crash_handler(void)
{
	struct sigaction action = {.sa_handler = on_signal};
	sigaction(SIGSEGV, &action, NULL);
	interrupted(SA_RESTART);
}

static void unspecified(void)
{
	struct sockaddr nobody = {.sa_family = AF_UNSPEC};
	int fd = probe_connected();
	said("disconnect", connect(fd, &nobody, sizeof(nobody)));
	struct sockaddr_storage peer;
	socklen_t length = sizeof(peer);
	said("getpeername", getpeername(fd, (struct sockaddr *)&peer, &length));
	said("connect", probe_connect(fd));
	said("send", send(fd, "ping\n", 5, MSG_NOSIGNAL));
}

static void send_to(void)
{
	struct sockaddr_storage other = probe_address;
	int fd = probe_connected();
	said("sendto with an address",
		sendto(fd, "a", 1, MSG_NOSIGNAL, (struct sockaddr *)&other, probe_address_length));
	struct iovec part = {.iov_base = "b", .iov_len = 1};
	struct msghdr message = {.msg_name = &other,
		.msg_namelen = probe_address_length,
		.msg_iov = &part,
		.msg_iovlen = 1};
	said("sendmsg with an address", sendmsg(fd, &message, MSG_NOSIGNAL));
	struct mmsghdr many[2] = {{.msg_hdr = message}, {.msg_hdr = message}};
	said("sendmmsg with an address", sendmmsg(fd, many, 2, MSG_NOSIGNAL));
	said("shutdown", shutdown(fd, SHUT_WR));
	char answer[64];
	struct sockaddr_storage from;
	socklen_t length = sizeof(from);
	ssize_t got = recvfrom(
		fd, answer, sizeof(answer), MSG_WAITALL, (struct sockaddr *)&from, &length);
	say("recvfrom: %zd bytes, address of %u bytes", got, length);
	say("echo: %.*s", (int)(got > 0 ? got : 0), answer);
}

static void unconnected(void)
{
	int fd = probe_socket(0);
	said("send", send(fd, "x", 1, MSG_NOSIGNAL));
	said("sendto", sendto(fd, "x", 1, MSG_NOSIGNAL, (struct sockaddr *)&probe_address,
			       probe_address_length));
	char byte;
	said("recv", recv(fd, &byte, 1, 0));
	said("shutdown", shutdown(fd, SHUT_RD));
}

static void fast_open(void)
{
	int fd = probe_socket(0);
	said("sendto MSG_FASTOPEN",
		sendto(fd, "ping\n", 5, MSG_FASTOPEN | MSG_NOSIGNAL,
			(struct sockaddr *)&probe_address, probe_address_length));
	said("shutdown", shutdown(fd, SHUT_WR));
	char answer[16] = "";
	ssize_t got = recv(fd, answer, sizeof(answer), MSG_WAITALL);
	say("echo: %zd bytes", got);
}

static void fast_open_nonblocking(void)
{
	int fd = probe_socket(SOCK_NONBLOCK);
	said("sendto MSG_FASTOPEN",
		sendto(fd, "ping\n", 5, MSG_FASTOPEN | MSG_NOSIGNAL,
			(struct sockaddr *)&probe_address, probe_address_length));
	wait_for(fd, POLLOUT);
	say("SO_ERROR: %s", error_name(so_error(fd)));
	said("send", send(fd, "ping\n", 5, MSG_NOSIGNAL));
}

static void fast_open_connect(void)
{
	int on = 1, fd = probe_socket(0);
	said("TCP_FASTOPEN_CONNECT",
		setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &on, sizeof(on)));
	said("connect", probe_connect(fd));
	said("send", send(fd, "ping\n", 5, MSG_NOSIGNAL));
	said("shutdown", shutdown(fd, SHUT_WR));
	char answer[16] = "";
	say("echo: %zd bytes", recv(fd, answer, sizeof(answer), MSG_WAITALL));
}

// The far end echoes "x" only after our half-close, so what is queued at SHUT_RD is known.
static void shut_read(void)
{
	char text[16];
	int fd = probe_connected();
	said("send", send(fd, "ping\n", 5, MSG_NOSIGNAL));
	wait_for(fd, POLLIN);
	said("SHUT_RD", shutdown(fd, SHUT_RD));
	said("recv what was queued", recv(fd, text, sizeof(text), 0));
	said("recv", recv(fd, text, sizeof(text), 0));
	said("recv again", recv(fd, text, sizeof(text), 0));
	said("send after SHUT_RD", send(fd, "ping\n", 5, MSG_NOSIGNAL));
}

static void shut_read_of_a_duplicate(void)
{
	char text[16];
	int fd = probe_connected(), same = dup(fd);
	said("send", send(same, "ping\n", 5, MSG_NOSIGNAL));
	said("recv", recv(same, text, 5, MSG_WAITALL));
	said("SHUT_RD", shutdown(fd, SHUT_RD));
	said("read", read(same, text, sizeof(text)));
}

static void shut_twice(void)
{
	int fd = probe_connected();
	said("SHUT_WR", shutdown(fd, SHUT_WR));
	said("SHUT_WR again", shutdown(fd, SHUT_WR));
	said("send", send(fd, "x", 1, MSG_NOSIGNAL));
	struct sockaddr_storage peer;
	socklen_t length = sizeof(peer);
	said("getpeername", getpeername(fd, (struct sockaddr *)&peer, &length));
	said("bad how", shutdown(fd, 7));
}

static void bad_addresses(void)
{
	struct sockaddr_storage address = probe_address;
	int fd = probe_socket(0);
	said("short length", connect(fd, (struct sockaddr *)&address, 4));
	said("length 0", connect(fd, (struct sockaddr *)&address, 0));
	said("long length", connect(fd, (struct sockaddr *)&address, 4096));
	said("negative length", connect(fd, (struct sockaddr *)&address, (socklen_t)-1));
	address.ss_family = 77;
	said("strange family", connect(fd, (struct sockaddr *)&address, probe_address_length));
	said("bad pointer", connect(fd, (struct sockaddr *)(uintptr_t)8, probe_address_length));
	said("bad descriptor",
		connect(1234, (struct sockaddr *)&probe_address, probe_address_length));
	said("a pipe", connect(0, (struct sockaddr *)&probe_address, probe_address_length));
	said("the socket still connects", probe_connect(fd));
}

static void errno_untouched(void)
{
	char text[16];
	int fd = probe_socket(0);
	errno = 4242;
	probe_connect(fd);
	say("after connect: %d", errno);
	send(fd, "ping\n", 5, MSG_NOSIGNAL);
	say("after send: %d", errno);
	recv(fd, text, sizeof(text), 0);
	say("after recv: %d", errno);
	so_error(fd);
	say("after SO_ERROR: %d", errno);
	shutdown(fd, SHUT_WR);
	say("after shutdown: %d", errno);
}

static void no_sigpipe_surprise(void)
{
	char text[16];
	signal(SIGPIPE, SIG_DFL);
	int fd = probe_connected();
	send(fd, "ping\n", 5, 0);
	wait_for(fd, POLLIN);
	shutdown(fd, SHUT_WR);
	while (recv(fd, text, sizeof(text), 0) > 0)
		;
	said("send with MSG_NOSIGNAL", send(fd, "x", 1, MSG_NOSIGNAL));
	say("alive");
	send(fd, "x", 1, 0);
	say("not reached");
}

static const struct probe_case cases[] = {
	{"blocking", blocking},
	{"blocking-twice", blocking_twice},
	{"nonblocking", nonblocking},
	{"nonblocking-recv-first", nonblocking_recv_first},
	{"nonblocking-send-first", nonblocking_send_first},
	{"nonblocking-connect-again", nonblocking_connect_again},
	{"reconnect-elsewhere", reconnect_elsewhere},
	{"pending", pending},
	{"send-timeout", send_timeout},
	{"interrupted", interrupted_plain},
	{"interrupted-restart", interrupted_restart},
	{"interrupted-beside-crash-handler", interrupted_beside_crash_handler},
	{"unspecified", unspecified},
	{"send-to", send_to},
	{"unconnected", unconnected},
	{"fast-open", fast_open},
	{"fast-open-nonblocking", fast_open_nonblocking},
	{"fast-open-connect", fast_open_connect},
	{"shut-read", shut_read},
	{"shut-read-of-a-duplicate", shut_read_of_a_duplicate},
	{"shut-twice", shut_twice},
	{"bad-addresses", bad_addresses},
	{"errno-untouched", errno_untouched},
	{"sigpipe", no_sigpipe_surprise},
};
PROBE_MAIN(cases)
