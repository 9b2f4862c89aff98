// SPDX-License-Identifier: MIT
// Threads that are cancelled: connect() is a cancellation point, what asks and changes a socket is
// none (pthreads(7)).
#include "tests/behaviour/probe.h"

#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/wait.h>

static int count_descriptors(void)
{
	int count = 0;
	DIR *folder = opendir("/proc/self/fd");
	while (readdir(folder))
		count++;
	closedir(folder);
	return count;
}

static void *connect_and_wait(void *context)
{
	int fd = *(int *)context;
	said("connect", probe_connect(fd));
	return NULL;
}

// HOST PORT does not answer. connect() is a cancellation point, pthreads(7).
static void cancelled(void)
{
	int fd = probe_socket(0), before = count_descriptors();
	pthread_t thread;
	void *result;
	pthread_create(&thread, NULL, connect_and_wait, &fd);
	usleep(100000);
	said("cancel", -pthread_cancel(thread));
	pthread_join(thread, &result);
	say("was cancelled: %d", result == PTHREAD_CANCELED);
	say("descriptors more than before: %d", count_descriptors() - before);
}

// HOST PORT does not answer. What a thread connects is closed by another one, and its number is a
// file's when the connect ends.
static void reused_while_waiting(void)
{
	struct stat status;
	int fd = probe_socket(0);
	pthread_t thread;
	pthread_create(&thread, NULL, connect_and_wait, &fd);
	usleep(500000);
	close(fd);
	say("same number %d", must("open", open("/dev/null", O_RDWR)) == fd);
	pthread_join(thread, NULL);
	say("still the file: %d", fstat(fd, &status) == 0 && S_ISCHR(status.st_mode));
}

// --- what is not a cancellation point (pthreads(7)), done by threads that have been cancelled.
// Each returns a descriptor to be closed, or -1.

static int take_error(int fd)
{
	int error;
	socklen_t length = sizeof(error);
	getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length);
	return -1;
}

static int get_option(int fd)
{
	int value;
	socklen_t length = sizeof(value);
	getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &value, &length);
	return -1;
}

static int get_information(int fd)
{
	struct tcp_info info;
	socklen_t length = sizeof(info);
	getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length);
	return -1;
}

static int set_option(int fd)
{
	int on = 1;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	return -1;
}

static int get_names(int fd)
{
	struct sockaddr_storage name;
	socklen_t length = sizeof(name);
	getsockname(fd, (struct sockaddr *)&name, &length);
	getpeername(fd, (struct sockaddr *)&name, &length);
	return -1;
}

static int shut_sides(int fd)
{
	struct sockaddr_storage name;
	socklen_t length = sizeof(name);
	shutdown(fd, SHUT_WR);
	getpeername(fd, (struct sockaddr *)&name, &length);
	shutdown(fd, SHUT_RDWR);
	return -1;
}

static int control(int fd)
{
	int value;
	ioctl(fd, FIONREAD, &value);
	ioctl(fd, TIOCOUTQ, &value);
	return -1;
}

static int watch(int fd)
{
	int set = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event event = {.events = EPOLLIN};
	epoll_ctl(set, EPOLL_CTL_ADD, fd, &event);
	return set;
}

static int listen_on(int fd)
{
	listen(fd, 5);
	return -1;
}

static int duplicate(int fd)
{
	return dup(fd);
}

static int duplicate_by_fcntl(int fd)
{
	return fcntl(fd, F_DUPFD_CLOEXEC, 10);
}

static int file;

// A blocking one waits for the connect.
static int send_file(int fd)
{
	struct timeval limit = {.tv_usec = 100000};
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	ioctl(fd, FIONBIO, &(int){0});
	sendfile(fd, file, NULL, 100);
	return -1;
}

static int fork_off(int fd)
{
	if (fork() == 0)
		_exit(0);
	(void)fd;
	return -1;
}

struct attempt {
	int (*call)(int fd);
	int fd;
	int result;
};

static void *be_cancelled(void *context)
{
	struct attempt *attempt = context;
	pthread_cancel(pthread_self());
	attempt->result = attempt->call(attempt->fd);
	return NULL;
}

static bool attempt_is_done(int fd, int (*call)(int fd))
{
	struct attempt attempt = {call, fd, -1};
	pthread_t thread;
	void *result;
	pthread_create(&thread, NULL, be_cancelled, &attempt);
	pthread_join(thread, &result);
	if (attempt.result >= 0)
		close(attempt.result);
	return result != PTHREAD_CANCELED;
}

static const struct {
	const char *name;
	int (*call)(int fd);
} calls[] = {
	{"SO_ERROR", take_error},
	{"TCP_NODELAY", get_option},
	{"TCP_INFO", get_information},
	{"setsockopt", set_option},
	{"names", get_names},
	{"shutdown", shut_sides},
	{"ioctl", control},
	{"epoll_ctl", watch},
	{"listen", listen_on},
	{"dup", duplicate},
	{"fcntl", duplicate_by_fcntl},
	{"sendfile", send_file},
	{"fork", fork_off},
};

static void call_each(int (*open_one)(void))
{
	signal(SIGPIPE, SIG_IGN);
	file = must("open", open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		int fd = open_one(), before = count_descriptors();
		bool is_done = attempt_is_done(fd, calls[i].call);
		say("%s: done %d, descriptors more than before: %d", calls[i].name, is_done,
			count_descriptors() - before);
		close(fd);
	}
	while (wait(NULL) > 0)
		;
}

static int begin_to_connect(void)
{
	int fd = probe_socket(SOCK_NONBLOCK);
	probe_connect(fd);
	return fd;
}

// Nothing has asked it yet what came of it.
static int wait_for_connect(void)
{
	int fd = begin_to_connect();
	wait_for(fd, POLLOUT);
	return fd;
}

static void uncancelled_open(void)
{
	call_each(probe_connected);
}

static void uncancelled_pending(void)
{
	call_each(begin_to_connect);
}

static void uncancelled_decided(void)
{
	call_each(wait_for_connect);
}

// The first thing that a program does is to ask for an option of an inherited socket.
static void uncancelled_first(void)
{
	say("done %d", attempt_is_done(atoi(probe_arguments[0]), get_option));
}

static void uncancelled_inherited(void)
{
	char number[16];
	int fd = probe_connected();
	fcntl(fd, F_SETFD, 0);
	snprintf(number, sizeof(number), "%d", fd);
	execl("/proc/self/exe", "cancelling", "uncancelled-first", probe_host, probe_port, number,
		NULL);
	give_up("execl");
}

static _Atomic bool is_over;

static void *connect_until_over(void *context)
{
	while (!is_over) {
		int fd = probe_socket(0);
		probe_connect(fd);
		close(fd);
	}
	return context;
}

// Nobody is there to be dialled, and each dial takes its time to find that out.
static void uncancelled_fork(void)
{
	pthread_t thread;
	int done = 0;
	pthread_create(&thread, NULL, connect_until_over, NULL);
	for (int i = 0; i < 10; i++) {
		usleep(20000);
		done += attempt_is_done(-1, fork_off);
	}
	is_over = true;
	pthread_join(thread, NULL);
	say("done %d", done);
	while (wait(NULL) > 0)
		;
}

static const struct probe_case cases[] = {
	{"cancelled", cancelled},
	{"reused-while-waiting", reused_while_waiting},
	{"uncancelled-open", uncancelled_open},
	{"uncancelled-pending", uncancelled_pending},
	{"uncancelled-decided", uncancelled_decided},
	{"uncancelled-first", uncancelled_first},
	{"uncancelled-inherited", uncancelled_inherited},
	{"uncancelled-fork", uncancelled_fork},
};
PROBE_MAIN(cases)
