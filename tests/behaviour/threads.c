// SPDX-License-Identifier: MIT
// Threads of one process that do at once all that a socket can have done to it. HOST PORT echoes;
// further arguments: a port that refuses, a name of HOST, how many rounds.
#include "tests/behaviour/probe.h"

#include <netdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/uio.h>
#include <sys/wait.h>

static _Atomic int failures;

static void expect(const char *what, bool is_true)
{
	if (is_true)
		return;
	failures++;
	say("failed: %s: %s", what, strerrorname_np(errno));
}

static void echo(int fd)
{
	char text[8] = "";
	expect("send", send(fd, "ping\n", 5, MSG_NOSIGNAL) == 5);
	expect("recv", recv(fd, text, 5, MSG_WAITALL) == 5 && memcmp(text, "ping\n", 5) == 0);
}

static void echo_in_pieces(int fd)
{
	char first[3], second[3];
	struct iovec out[] = {{"pin", 3}, {"g!\n", 3}}, in[] = {{first, 3}, {second, 3}};
	struct msghdr message = {.msg_iov = in, .msg_iovlen = 2};
	expect("writev", writev(fd, out, 2) == 6);
	expect("recvmsg", recvmsg(fd, &message, MSG_WAITALL) == 6 && second[2] == '\n');
}

static void connect_blocking(void)
{
	struct sockaddr_storage name;
	socklen_t length = sizeof(name);
	int one = 1, fd = probe_socket(0);
	expect("setsockopt", setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) == 0);
	expect("connect", probe_connect(fd) == 0);
	expect("getpeername", getpeername(fd, (struct sockaddr *)&name, &length) == 0);
	echo(fd);
	echo_in_pieces(fd);
	expect("shutdown", shutdown(fd, SHUT_WR) == 0);
	char byte;
	expect("end", read(fd, &byte, 1) == 0);
	close(fd);
}

static void connect_and_poll(void)
{
	int fd = probe_socket(SOCK_NONBLOCK);
	expect("connect", probe_connect(fd) < 0 && errno == EINPROGRESS);
	struct pollfd item = {.fd = fd, .events = POLLOUT};
	expect("poll", poll(&item, 1, PROBE_WAIT_MS) == 1);
	expect("SO_ERROR", so_error(fd) == 0);
	fcntl(fd, F_SETFL, 0);
	echo(fd);
	close(fd);
}

static void register_and_connect(void)
{
	int set = epoll_create1(EPOLL_CLOEXEC), fd = probe_socket(SOCK_NONBLOCK);
	struct epoll_event event = {.events = EPOLLOUT, .data.fd = fd}, happened;
	expect("add", epoll_ctl(set, EPOLL_CTL_ADD, fd, &event) == 0);
	expect("connect", probe_connect(fd) < 0 && errno == EINPROGRESS);
	do
		expect("epoll_wait", epoll_wait(set, &happened, 1, PROBE_WAIT_MS) == 1);
	while (happened.events & EPOLLHUP); // the unconnected socket's
	expect("data", happened.data.fd == fd);
	expect("SO_ERROR", so_error(fd) == 0);
	expect("remove", epoll_ctl(set, EPOLL_CTL_DEL, fd, NULL) == 0);
	fcntl(fd, F_SETFL, 0);
	echo(fd);
	close(fd);
	close(set);
}

static void be_refused(void)
{
	struct sockaddr_storage other = probe_address;
	int fd = probe_socket(0);
	((struct sockaddr_in *)&other)->sin_port = htons((uint16_t)atoi(probe_arguments[0]));
	expect("refused", connect(fd, (struct sockaddr *)&other, probe_address_length) < 0 &&
				  errno == ECONNREFUSED);
	close(fd);
}

static void duplicate(void)
{
	int before = probe_socket(0), same = dup(before);
	expect("connect", probe_connect(before) == 0);
	close(before);
	echo(same);
	int third = fcntl(same, F_DUPFD_CLOEXEC, 3), fourth = probe_socket(0);
	expect("dup2", dup2(same, fourth) == fourth);
	close(same);
	echo(third);
	close(third);
	echo(fourth);
	close(fourth);
}

static void look_up(void)
{
	struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *list;
	if (getaddrinfo(probe_arguments[1], probe_port, &hints, &list) != 0) {
		expect("getaddrinfo", false);
		return;
	}
	int fd = probe_socket(0);
	expect("connect by name", connect(fd, list->ai_addr, list->ai_addrlen) == 0);
	freeaddrinfo(list);
	echo(fd);
	close(fd);
}

static void look_up_meanwhile(void)
{
	struct gaicb request = {.ar_name = probe_arguments[1], .ar_service = probe_port};
	struct gaicb *list[] = {&request};
	const struct gaicb *waited[] = {&request};
	if (getaddrinfo_a(GAI_NOWAIT, list, 1, NULL) != 0) {
		expect("getaddrinfo_a", false);
		return;
	}
	connect_blocking();
	while (gai_suspend(waited, 1, NULL) == 0)
		;
	expect("answer", gai_error(&request) == 0 && request.ar_result->ai_family == AF_INET);
	freeaddrinfo(request.ar_result);
}

static void fork_and_connect(void)
{
	int inherited = probe_connected(), status;
	pid_t child = fork();
	if (child == 0) {
		int before = failures;
		alarm(PROBE_WAIT_MS / 1000);
		echo(inherited);
		connect_blocking();
		_exit(failures != before);
	}
	expect("waitpid", waitpid(child, &status, 0) == child && status == 0);
	echo(inherited);
	close(inherited);
}

static void *send_much(void *context)
{
	static const char bytes[1000];
	for (int i = 0; i < 50; i++)
		expect("send", send(*(int *)context, bytes, sizeof(bytes), MSG_NOSIGNAL) > 0);
	shutdown(*(int *)context, SHUT_WR);
	return NULL;
}

// One thread sends while this one receives.
static void share(void)
{
	char bytes[4096];
	pthread_t sender;
	int fd = probe_connected();
	size_t received = 0;
	pthread_create(&sender, NULL, send_much, &fd);
	for (ssize_t count; (count = recv(fd, bytes, sizeof(bytes), 0)) > 0;)
		received += (size_t)count;
	pthread_join(sender, NULL);
	expect("all came back", received == 50000);
	close(fd);
}

static void (*const jobs[])(void) = {connect_blocking, connect_and_poll, register_and_connect,
	be_refused, duplicate, look_up, look_up_meanwhile, fork_and_connect, share};

#define JOBS (sizeof(jobs) / sizeof(jobs[0]))

// Each thread begins with another job.
static void *work(void *context)
{
	size_t first = (size_t)context;
	for (int round = 0; round < atoi(probe_arguments[2]); round++)
		jobs[(first + (size_t)round) % JOBS]();
	return NULL;
}

static void everything(void)
{
	pthread_t workers[JOBS];
	for (size_t i = 0; i < JOBS; i++)
		pthread_create(&workers[i], NULL, work, (void *)i);
	for (size_t i = 0; i < JOBS; i++)
		pthread_join(workers[i], NULL);
	say("failures: %d", failures);
}

static const struct probe_case cases[] = {
	{"everything", everything},
};
PROBE_MAIN(cases)
