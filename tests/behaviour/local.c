// SPDX-License-Identifier: MIT
// What is not routed: datagrams, netlink, servers, unix sockets, pairs, pipes and files. HOST PORT
// is where a case listens, if it does; `unix-names` takes a directory for HOST.
#include "tests/behaviour/probe.h"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>

static struct sockaddr_storage bound_address(int fd, socklen_t *length)
{
	struct sockaddr_storage address;
	*length = sizeof(address);
	must("getsockname", getsockname(fd, (struct sockaddr *)&address, length));
	return address;
}

static int bound_socket(int type)
{
	int fd = must("socket", socket(probe_address.ss_family, type | SOCK_CLOEXEC, 0));
	must("bind", bind(fd, (struct sockaddr *)&probe_address, probe_address_length));
	return fd;
}

static void say_text(const char *what, ssize_t length, const char *text)
{
	if (length < 0)
		said(what, length);
	else
		say("%s: %zd %.*s", what, length, (int)length, text);
}

static void datagrams(void)
{
	char text[64];
	int one = bound_socket(SOCK_DGRAM), other = bound_socket(SOCK_DGRAM);
	socklen_t length, sender_length;
	struct sockaddr_storage to = bound_address(other, &length), sender;

	said("sendto", sendto(one, "first", 5, 0, (struct sockaddr *)&to, length));
	sender_length = sizeof(sender);
	say_text("recvfrom",
		recvfrom(other, text, sizeof(text), 0, (struct sockaddr *)&sender, &sender_length),
		text);
	say_sockaddr("from", (struct sockaddr *)&sender, false);
	said("connect", connect(one, (struct sockaddr *)&to, length));
	sender_length = sizeof(sender);
	said("getpeername", getpeername(one, (struct sockaddr *)&sender, &sender_length));
	say_sockaddr("peer", (struct sockaddr *)&sender, false);
	said("send", send(one, "second", 6, 0));
	said("write of nothing", write(one, "", 0));
	say_text("recv truncated", recv(other, text, 3, MSG_TRUNC), "sec");
	said("recv of nothing", recv(other, text, sizeof(text), 0));

	struct iovec parts[2] = {{"thi", 3}, {"rd", 2}};
	struct mmsghdr messages[2] = {{.msg_hdr = {.msg_iov = parts, .msg_iovlen = 2}},
		{.msg_hdr = {.msg_iov = parts, .msg_iovlen = 1}}};
	said("sendmmsg", sendmmsg(one, messages, 2, 0));
	say_text("read", read(other, text, sizeof(text)), text);
	said("recv again", recv(other, text, sizeof(text), 0));
	said("recv would wait", recv(other, text, sizeof(text), MSG_DONTWAIT));
	close(other);
	said("send to nobody", send(one, "x", 1, 0));
	wait_for(one, POLLIN);
	said("recv", recv(one, text, sizeof(text), MSG_DONTWAIT));
	to.ss_family = AF_UNSPEC;
	said("dissolve", connect(one, (struct sockaddr *)&to, length));
	said("getpeername", getpeername(one, (struct sockaddr *)&sender, &sender_length));
}

static void netlink(void)
{
	struct {
		struct nlmsghdr header;
		struct ifinfomsg link;
	} request = {.header = {.nlmsg_len = sizeof(request),
			     .nlmsg_type = RTM_GETLINK,
			     .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP}};
	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK}, own;
	socklen_t length = sizeof(own);
	char bytes[32768];
	int fd = must("socket", socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
	bool has_loopback = false, is_done = false;

	said("connect", connect(fd, (struct sockaddr *)&kernel, sizeof(kernel)));
	said("getsockname", getsockname(fd, (struct sockaddr *)&own, &length));
	say("family %d length %u is mine %d", own.nl_family, length, own.nl_pid != 0);
	said("send", send(fd, &request, sizeof(request), 0));
	while (!is_done) {
		ssize_t got = recv(fd, bytes, sizeof(bytes), 0);
		if (got <= 0)
			give_up("recv");
		for (struct nlmsghdr *at = (struct nlmsghdr *)bytes; NLMSG_OK(at, got);
			at = NLMSG_NEXT(at, got)) {
			const struct ifinfomsg *link = NLMSG_DATA(at);
			is_done |= at->nlmsg_type == NLMSG_DONE;
			has_loopback |=
				at->nlmsg_type == RTM_NEWLINK && link->ifi_flags & IFF_LOOPBACK;
		}
	}
	say("has lo: %d", has_loopback);
}

static void exchange(int client, int server)
{
	char text[64];
	said("send", send(client, "to the server", 13, 0));
	say_text("recv", recv(server, text, sizeof(text), 0), text);
	said("write", write(server, "to the client", 13));
	say_text("read", read(client, text, sizeof(text)), text);
	said("shutdown", shutdown(client, SHUT_WR));
	said("end", read(server, text, sizeof(text)));
	said("close", close(server));
	said("end", recv(client, text, sizeof(text), 0));
	close(client);
}

static void serve_one(int listener, const char *host)
{
	struct sockaddr_storage address, peer;
	socklen_t length, peer_length = sizeof(peer);
	char port[8];
	address = bound_address(listener, &length);
	snprintf(port, sizeof(port), "%u", ntohs(((struct sockaddr_in6 *)&address)->sin6_port));
	probe_set_address(host, port);
	int client = probe_socket(SOCK_NONBLOCK);
	said("connect", probe_connect(client));
	wait_for(client, POLLOUT);
	say("SO_ERROR: %s", error_name(so_error(client)));
	wait_for(listener, POLLIN);
	int server = must("accept", accept4(listener, (struct sockaddr *)&peer, &peer_length, 0));
	say_sockaddr("accepted", (struct sockaddr *)&peer, false);
	peer = bound_address(server, &length);
	say_sockaddr("at", (struct sockaddr *)&peer, false);
	peer_length = sizeof(peer);
	said("getpeername", getpeername(client, (struct sockaddr *)&peer, &peer_length));
	say_sockaddr("peer", (struct sockaddr *)&peer, false);
	fcntl(client, F_SETFL, 0);
	exchange(client, server);
}

static void dual_stack(void)
{
	int zero = 0, one = 1, listener = must("socket", socket(AF_INET6, SOCK_STREAM, 0));
	struct sockaddr_in6 any = {.sin6_family = AF_INET6};
	said("IPV6_V6ONLY", setsockopt(listener, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof(zero)));
	said("bind", bind(listener, (struct sockaddr *)&any, sizeof(any)));
	said("listen", listen(listener, 5));
	said("getpeername",
		getpeername(listener, (struct sockaddr *)&any, &(socklen_t){sizeof(any)}));
	serve_one(listener, "127.0.0.1");
	serve_one(listener, "::1");
	serve_one(listener, "::ffff:127.0.0.1");
	close(listener);
	listener = bound_socket(SOCK_STREAM);
	said("TCP_NODELAY", setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)));
	struct sockaddr_storage address = bound_address(listener, &(socklen_t){0});
	int client = must("socket", socket(AF_INET, SOCK_STREAM, 0));
	said("nobody listens",
		connect(client, (struct sockaddr *)&address, sizeof(struct sockaddr_in)));
	said("listen", listen(listener, 1));
	said("connect", connect(client, (struct sockaddr *)&address, sizeof(struct sockaddr_in)));
	said("connect again",
		connect(client, (struct sockaddr *)&address, sizeof(struct sockaddr_in)));
}

// The name is printed by its length alone: directories differ between two runs.
static void unix_name(const char *what, const struct sockaddr_un *name, socklen_t length)
{
	struct sockaddr_un peer;
	socklen_t peer_length = sizeof(peer);
	int listener = must("socket", socket(AF_UNIX, SOCK_STREAM, 0));
	int client = must("socket", socket(AF_UNIX, SOCK_STREAM, 0));
	say("-- %s, length %u", what, length);
	said("connect", connect(client, (const struct sockaddr *)name, length));
	said("bind", bind(listener, (const struct sockaddr *)name, length));
	said("listen", listen(listener, 2));
	if (length == sizeof(sa_family_t)) { // the kernel chose a name
		must("getsockname", getsockname(listener, (struct sockaddr *)&peer, &peer_length));
		say("chosen: %u", peer_length);
		name = &peer;
		length = peer_length;
	}
	if (said("connect", connect(client, (const struct sockaddr *)name, length)) == 0) {
		struct sockaddr_un seen;
		socklen_t seen_length = sizeof(seen);
		int server = must("accept", accept(listener, NULL, NULL));
		said("getpeername", getpeername(client, (struct sockaddr *)&seen, &seen_length));
		say("same %d length %u", !memcmp(&seen, name, length), seen_length);
		exchange(client, server);
	}
	close(listener);
	close(client);
	char path[sizeof(name->sun_path) + 1] = "";
	if (length > offsetof(struct sockaddr_un, sun_path))
		memcpy(path, name->sun_path, length - offsetof(struct sockaddr_un, sun_path));
	if (path[0])
		unlink(path);
}

static void unix_names(void)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	size_t head = offsetof(struct sockaddr_un, sun_path);
	must("chdir", chdir(probe_host));
	strcpy(name.sun_path, "with-its-end");
	unix_name("a path and its end", &name, (socklen_t)(head + 13));
	unix_name("a path without its end", &name, (socklen_t)(head + 12));
	unix_name("all that is there", &name, sizeof(name));
	unix_name("one letter of it", &name, (socklen_t)(head + 1));
	memset(name.sun_path, 'x', sizeof(name.sun_path));
	unix_name("no room for an end", &name, sizeof(name));
	memcpy(name.sun_path, "\0abstract\0name", 14);
	unix_name("an abstract name", &name, (socklen_t)(head + 14));
	unix_name("an abstract name without a letter", &name, (socklen_t)(head + 1));
	unix_name("none", &name, (socklen_t)head);
	for (socklen_t length = 0; length < head; length++)
		unix_name("too short", &name, length);
	int client = must("socket", socket(AF_UNIX, SOCK_STREAM, 0));
	said("from nowhere", connect(client, (struct sockaddr *)(uintptr_t)8, sizeof(name)));
	said("too long", connect(client, (struct sockaddr *)&name, sizeof(name) + 40));
}

static void pair_of(int type)
{
	char text[64];
	int fds[2];
	must("socketpair", socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, fds));
	struct iovec parts[2] = {{"in ", 3}, {"parts", 5}};
	say("-- a pair of type %d", type);
	said("writev", writev(fds[0], parts, 2));
	say_text("recv", recv(fds[1], text, sizeof(text), 0), text);
	said("recv would wait", recv(fds[1], text, sizeof(text), MSG_DONTWAIT));
	said("shutdown", shutdown(fds[0], SHUT_WR));
	said("send", send(fds[0], "x", 1, MSG_NOSIGNAL));
	said("end", recv(fds[1], text, sizeof(text), MSG_DONTWAIT));
	close(fds[1]);
	said("write", write(fds[0], "x", 1));
	close(fds[0]);
}

static void pairs_and_files(void)
{
	char text[64];
	int fds[2], file = must("memfd", memfd_create("file", MFD_CLOEXEC));
	struct epoll_event event = {.events = EPOLLIN};
	int events = epoll_create1(EPOLL_CLOEXEC), counter = eventfd(0, EFD_NONBLOCK);
	signal(SIGPIPE, SIG_IGN);
	pair_of(SOCK_STREAM);
	pair_of(SOCK_DGRAM);
	pair_of(SOCK_SEQPACKET);
	must("pipe", pipe2(fds, O_NONBLOCK));
	said("write to a pipe", write(fds[1], "through a pipe", 14));
	said("send to a pipe", send(fds[1], "x", 1, 0));
	said("recv from a pipe", recv(fds[0], text, 1, 0));
	said("splice to a file", splice(fds[0], NULL, file, NULL, 14, 0));
	said("read of an empty pipe", read(fds[0], text, 1));
	said("read at the end of a file", read(file, text, 1));
	said("sendfile", sendfile(fds[1], file, &(off_t){2}, 100));
	say_text("read", read(fds[0], text, sizeof(text)), text);
	said("connect of a file",
		connect(file, (struct sockaddr *)&probe_address, probe_address_length));
	said("epoll of a file", epoll_ctl(events, EPOLL_CTL_ADD, file, &event));
	said("epoll of a pipe", epoll_ctl(events, EPOLL_CTL_ADD, fds[0], &event));
	said("write of a counter", write(counter, &(uint64_t){7}, 8));
	said("read of a counter", read(counter, text, 8));
	said("read of a counter", read(counter, text, 8));
	close(fds[0]);
	said("write to nobody", write(fds[1], "x", 1));
	close(fds[1]);
	said("write to nothing", write(fds[1], "x", 1));
	said("connect of nothing",
		connect(fds[1], (struct sockaddr *)&probe_address, probe_address_length));
	said("getsockopt of a file", getsockopt(file, SOL_SOCKET, SO_ERROR, text, &(socklen_t){4}));
}

static void use(int writer, int reader, int is_socket)
{
	char text[16];
	struct iovec part = {text, sizeof(text)};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
	must("write", (int)write(writer, "0123456789abcdef", 16));
	must("read", (int)read(reader, text, sizeof(text)));
	must("writev", (int)writev(writer, &part, 1));
	must("readv", (int)readv(reader, &part, 1));
	if (!is_socket)
		return;
	must("send", (int)send(writer, text, sizeof(text), 0));
	must("recv", (int)recv(reader, text, sizeof(text), 0));
	must("sendto", (int)sendto(writer, text, sizeof(text), 0, NULL, 0));
	must("recvfrom", (int)recvfrom(reader, text, sizeof(text), 0, NULL, NULL));
	must("sendmsg", (int)sendmsg(writer, &message, 0));
	must("recvmsg", (int)recvmsg(reader, &message, 0));
}

// Argument: how many times. Every call moves bytes, on kinds of descriptors that are not routed.
static void calls(void)
{
	int pipes[2], pair[2], file = must("memfd", memfd_create("file", MFD_CLOEXEC));
	int listener = bound_socket(SOCK_STREAM), client = probe_socket(0),
	    datagram = bound_socket(SOCK_DGRAM);
	struct sockaddr_storage address;
	socklen_t length;
	must("pipe", pipe(pipes));
	must("socketpair", socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	must("listen", listen(listener, 1));
	address = bound_address(listener, &length);
	must("connect", connect(client, (struct sockaddr *)&address, length));
	int server = must("accept", accept(listener, NULL, NULL));
	// Nagle's algorithm would wait for an acknowledgement before each second write.
	must("TCP_NODELAY", setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int)));
	must("TCP_NODELAY", setsockopt(server, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int)));
	address = bound_address(datagram, &length);
	must("connect", connect(datagram, (struct sockaddr *)&address, length)); // to itself
	for (int left = atoi(probe_arguments[0]); left > 0; left--) {
		use(pipes[1], pipes[0], false);
		use(file, file, false);
		use(pair[0], pair[1], true);
		use(client, server, true);
		use(server, client, true);
		use(datagram, datagram, true);
	}
	say("moved");
}

static const struct probe_case cases[] = {{"datagrams", datagrams}, {"netlink", netlink},
	{"dual-stack", dual_stack}, {"unix-names", unix_names},
	{"pairs-and-files", pairs_and_files}, {"calls", calls}};

PROBE_MAIN(cases)
