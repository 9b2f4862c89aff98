// SPDX-License-Identifier: MIT
// Sockets that are in an epoll set before connect(), as nginx, Boost.Asio and Netty do it. HOST
// PORT echoes.
#include "tests/behaviour/probe.h"

#include <sys/epoll.h>
#include <sys/wait.h>

#define MARK 0x1122334455667788ull

static int watch(int set, int fd, int operation, uint32_t events, uint64_t mark)
{
	struct epoll_event event = {.events = events, .data.u64 = mark};
	return epoll_ctl(set, operation, fd, &event);
}

static void say_event(const char *what, int set, int milliseconds)
{
	struct epoll_event event = {0};
	int count = epoll_wait(set, &event, 1, milliseconds);
	if (count <= 0)
		say("%s: %d", what, count);
	else
		say("%s: in %d out %d mark %llx", what, !!(event.events & EPOLLIN),
			!!(event.events & EPOLLOUT), (unsigned long long)event.data.u64);
}

// An unconnected TCP socket reports EPOLLHUP; the event after connect() is what counts.
static int registered(int set, uint32_t events)
{
	int fd = probe_socket(SOCK_NONBLOCK);
	said("add", watch(set, fd, EPOLL_CTL_ADD, events, MARK));
	said("connect", probe_connect(fd));
	return fd;
}

static void level(void)
{
	int set = epoll_create1(EPOLL_CLOEXEC);
	int fd = registered(set, EPOLLIN | EPOLLOUT);
	say_event("connected", set, PROBE_WAIT_MS);
	say_event("still writable", set, PROBE_WAIT_MS);
	said("add again", watch(set, fd, EPOLL_CTL_ADD, EPOLLIN, 1));
	said("modify", watch(set, fd, EPOLL_CTL_MOD, EPOLLIN, MARK + 1));
	said("send", send(fd, "ping\n", 5, MSG_NOSIGNAL));
	say_event("readable", set, PROBE_WAIT_MS);
	said("delete", watch(set, fd, EPOLL_CTL_DEL, 0, 0));
	say_event("nothing", set, 100);
	said("delete again", watch(set, fd, EPOLL_CTL_DEL, 0, 0));
	said("add", watch(set, fd, EPOLL_CTL_ADD, EPOLLOUT, MARK + 2));
	say_event("writable", set, PROBE_WAIT_MS);
}

// An edge more than needed is allowed (epoll(7), Q9): EPOLLOUT comes again where the gate's end
// moves the send buffer. So the edge that is meant is awaited.
static void await_readable(const char *what, int set)
{
	struct epoll_event event = {0};

	while (!(event.events & EPOLLIN))
		if (epoll_wait(set, &event, 1, PROBE_WAIT_MS) != 1)
			give_up("epoll_wait");
	say("%s: mark %llx", what, (unsigned long long)event.data.u64);
}

static void edge(void)
{
	char text[16];
	int set = epoll_create1(EPOLL_CLOEXEC);
	int fd = registered(set, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
	say_event("connected", set, PROBE_WAIT_MS);
	say("SO_ERROR: %s", error_name(so_error(fd)));
	for (int i = 0; i < 3; i++) {
		said("send", send(fd, "ping\n", 5, MSG_NOSIGNAL));
		await_readable("readable", set);
		said("recv", recv(fd, text, sizeof(text), 0));
		said("recv", recv(fd, text, sizeof(text), 0));
	}
}

static void one_shot(void)
{
	int set = epoll_create1(EPOLL_CLOEXEC);
	int fd = registered(set, EPOLLOUT | EPOLLONESHOT);
	say_event("connected", set, PROBE_WAIT_MS);
	say_event("disarmed", set, 100);
	said("rearm", watch(set, fd, EPOLL_CTL_MOD, EPOLLOUT | EPOLLONESHOT, MARK + 1));
	say_event("writable", set, PROBE_WAIT_MS);
}

static void modified_before(void)
{
	int set = epoll_create1(EPOLL_CLOEXEC), fd = probe_socket(SOCK_NONBLOCK);
	said("add", watch(set, fd, EPOLL_CTL_ADD, EPOLLIN, 1));
	said("modify", watch(set, fd, EPOLL_CTL_MOD, EPOLLOUT, MARK));
	said("connect", probe_connect(fd));
	say_event("connected", set, PROBE_WAIT_MS);
}

static void deleted_before(void)
{
	int set = epoll_create1(EPOLL_CLOEXEC), fd = probe_socket(SOCK_NONBLOCK);
	said("add", watch(set, fd, EPOLL_CTL_ADD, EPOLLOUT, 1));
	said("delete", watch(set, fd, EPOLL_CTL_DEL, 0, 0));
	said("connect", probe_connect(fd));
	wait_for(fd, POLLOUT);
	say_event("nothing", set, 100);
	said("modify", watch(set, fd, EPOLL_CTL_MOD, EPOLLOUT, 1));
}

static void two_sets(void)
{
	int first = epoll_create1(EPOLL_CLOEXEC), second = epoll_create1(EPOLL_CLOEXEC);
	int fd = probe_socket(SOCK_NONBLOCK);
	said("add", watch(first, fd, EPOLL_CTL_ADD, EPOLLOUT, 1));
	said("add", watch(second, fd, EPOLL_CTL_ADD, EPOLLOUT, 2));
	said("connect", probe_connect(fd));
	say_event("first", first, PROBE_WAIT_MS);
	say_event("second", second, PROBE_WAIT_MS);
}

static void nested(void)
{
	int outer = epoll_create1(EPOLL_CLOEXEC), inner = epoll_create1(EPOLL_CLOEXEC);
	said("nest", watch(outer, inner, EPOLL_CTL_ADD, EPOLLIN, 7));
	int fd = registered(inner, EPOLLOUT);
	say_event("outer", outer, PROBE_WAIT_MS);
	say_event("inner", inner, PROBE_WAIT_MS);
	said("close", close(fd));
	say_event("outer is empty", outer, 100);
}

// A registration whose set was closed and whose number now is another set's must not appear there.
static void reused_set(void)
{
	int set = epoll_create1(EPOLL_CLOEXEC), fd = probe_socket(SOCK_NONBLOCK);
	said("add", watch(set, fd, EPOLL_CTL_ADD, EPOLLOUT, 1));
	close(set);
	int other = epoll_create1(EPOLL_CLOEXEC);
	say("same number %d", other == set);
	said("connect", probe_connect(fd));
	wait_for(fd, POLLOUT);
	say_event("other set", other, 100);
}

static void inherited(void)
{
	int set = epoll_create1(0);
	int fd = probe_socket(SOCK_NONBLOCK);
	said("add", watch(set, fd, EPOLL_CTL_ADD, EPOLLOUT, MARK));
	pid_t child = fork();
	if (child == 0) {
		said("connect in the child", probe_connect(fd));
		say_event("child", set, PROBE_WAIT_MS);
		_exit(0);
	}
	waitpid(child, NULL, 0);
}

static void refused(void)
{
	int set = epoll_create1(EPOLL_CLOEXEC);
	int fd = registered(set, EPOLLIN | EPOLLOUT | EPOLLET);
	struct epoll_event event;
	say("events: %d", epoll_wait(set, &event, 1, PROBE_WAIT_MS));
	say("SO_ERROR: %s", error_name(so_error(fd)));
}

static void bad_calls(void)
{
	int set = epoll_create1(EPOLL_CLOEXEC), fd = probe_connected();
	said("bad set", watch(fd, fd, EPOLL_CTL_ADD, EPOLLIN, 0));
	said("closed set", watch(1234, fd, EPOLL_CTL_ADD, EPOLLIN, 0));
	said("null event", epoll_ctl(set, EPOLL_CTL_ADD, fd, NULL));
	said("bad operation", watch(set, fd, 77, EPOLLIN, 0));
	said("itself", watch(set, set, EPOLL_CTL_ADD, EPOLLIN, 0));
	said("a file", watch(set, open("/etc/passwd", O_RDONLY), EPOLL_CTL_ADD, EPOLLIN, 0));
}

static const struct probe_case cases[] = {
	{"level", level},
	{"edge", edge},
	{"one-shot", one_shot},
	{"modified-before", modified_before},
	{"deleted-before", deleted_before},
	{"two-sets", two_sets},
	{"nested", nested},
	{"reused-set", reused_set},
	{"inherited", inherited},
	{"refused", refused},
	{"bad-calls", bad_calls},
};
PROBE_MAIN(cases)
