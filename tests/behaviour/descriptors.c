// SPDX-License-Identifier: MIT
// Descriptors that are duplicated, closed behind libc's back, reused, inherited and passed on.
// HOST PORT echoes.
#include "tests/behaviour/probe.h"

#include <dirent.h>
#include <netdb.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

static void say_peer(const char *what, int fd)
{
	struct sockaddr_storage name;
	socklen_t length = sizeof(name);
	if (said(what, getpeername(fd, (struct sockaddr *)&name, &length)) == 0)
		say_sockaddr("  is", (struct sockaddr *)&name, name.ss_family != AF_UNIX);
}

static void echo(const char *what, int fd)
{
	char text[8] = "";
	ssize_t sent = send(fd, "ping\n", 5, MSG_NOSIGNAL);
	ssize_t got = sent == 5 ? recv(fd, text, 5, MSG_WAITALL) : -1;
	say("%s: sent %zd got %zd %.4s", what, sent, got, text);
}

static int count_descriptors(void)
{
	DIR *directory = opendir("/proc/self/fd");
	int count = 0;
	while (readdir(directory))
		count++;
	closedir(directory);
	return count;
}

static void close_raw(int fd)
{
	syscall(SYS_close, fd);
}

static void reuse_as_socket(void)
{
	int fd = probe_connected();
	close_raw(fd);
	int again = probe_socket(0);
	say("same number %d", again == fd);
	say_peer("getpeername", again);
	said("connect", probe_connect(again));
	echo("echo", again);
}

static void reuse_as_file(void)
{
	char text[8];
	int fd = probe_connected();
	close_raw(fd);
	int again = open("/dev/zero", O_RDWR);
	say("same number %d", again == fd);
	say_peer("getpeername", again);
	said("read", read(again, text, sizeof(text)));
	said("write", write(again, text, sizeof(text)));
	close(again);
	again = open("/dev/null", O_RDONLY);
	said("end of file", read(again, text, sizeof(text)));
}

static void reuse_as_pair(void)
{
	char text[8];
	int pair[2], fd = probe_connected();
	close_raw(fd);
	must("socketpair", socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	say("same number %d", pair[0] == fd);
	said("write", write(pair[1], "x", 1));
	close(pair[1]);
	said("read", read(pair[0], text, sizeof(text)));
	said("end of file", read(pair[0], text, sizeof(text)));
	said("send", send(pair[0], "x", 1, MSG_NOSIGNAL));
	int type = 0, domain = 0;
	socklen_t length = sizeof(int);
	getsockopt(pair[0], SOL_SOCKET, SO_TYPE, &type, &length);
	getsockopt(pair[0], SOL_SOCKET, SO_DOMAIN, &domain, &length);
	say("type %d domain %d", type, domain);
}

static void reuse_as_listener(void)
{
	int fd = probe_connected();
	close_range((unsigned)fd, (unsigned)fd, 0);
	int listener = probe_socket(0);
	struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	say("same number %d", listener == fd);
	said("bind", bind(listener, (struct sockaddr *)&any, sizeof(any)));
	said("listen", listen(listener, 5));
	int accepting = 0;
	socklen_t length = sizeof(accepting);
	getsockopt(listener, SOL_SOCKET, SO_ACCEPTCONN, &accepting, &length);
	say("accepting %d", accepting);
	say_peer("getpeername", listener);
}

static void reuse_as_datagram(void)
{
	int fd = probe_connected();
	FILE *stream = fdopen(fd, "r+");
	fclose(stream);
	int udp = must("socket", socket(AF_INET, SOCK_DGRAM, 0));
	struct sockaddr_in self = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof(self);
	say("same number %d", udp == fd);
	said("bind", bind(udp, (struct sockaddr *)&self, sizeof(self)));
	getsockname(udp, (struct sockaddr *)&self, &length);
	said("sendto", sendto(udp, "x", 1, 0, (struct sockaddr *)&self, sizeof(self)));
	char text[8];
	struct sockaddr_storage from;
	length = sizeof(from);
	said("recvfrom", recvfrom(udp, text, sizeof(text), 0, (struct sockaddr *)&from, &length));
	say_sockaddr("from", (struct sockaddr *)&from, false);
}

static void duplicates(void)
{
	int fd = probe_connected();
	int copies[] = {dup(fd), dup2(fd, 50), dup3(fd, 51, O_CLOEXEC), fcntl(fd, F_DUPFD, 60),
		fcntl(fd, F_DUPFD_CLOEXEC, 61)};
	for (size_t i = 0; i < 5; i++) {
		say("copy %zu close-on-exec %d", i, fcntl(copies[i], F_GETFD));
		say_peer("getpeername", copies[i]);
		echo("echo", copies[i]);
		close(i == 0 ? fd : copies[i - 1]);
	}
}

// Duplicated before it is connected: both numbers are the same socket.
static void duplicate_first(void)
{
	int fd = probe_socket(0), copy = dup(fd);
	said("connect", probe_connect(fd));
	say_peer("the copy", copy);
	echo("echo by the copy", copy);
	echo("echo by the original", fd);
	close(fd);
	echo("echo by the copy alone", copy);
}

// The number is known as that of a stream.
static void duplicate_reused(void)
{
	close_raw(probe_connected());
	duplicate_first();
}

// What a failed connect leaves can connect again, by each of its numbers.
static void duplicate_failed(void)
{
	struct sockaddr_storage other = probe_address;
	int fd = probe_socket(SOCK_NONBLOCK);
	((struct sockaddr_in *)&other)->sin_port = htons((uint16_t)atoi(probe_arguments[0]));
	said("connect", connect(fd, (struct sockaddr *)&other, probe_address_length));
	int copy = dup(fd);
	wait_for(fd, POLLOUT);
	said("connect", connect(fd, (struct sockaddr *)&other, probe_address_length));
	fcntl(fd, F_SETFL, 0);
	said("connect", probe_connect(copy));
	echo("copy", copy);
	echo("original", fd);
}

static void over_standard_input(void)
{
	int fd = probe_connected();
	said("dup2", dup2(fd, 0));
	close(fd);
	echo("echo", 0);
	close(0);
	close(1);
	close(2);
	fd = probe_socket(0);
	int connected = probe_connect(fd);
	int probe = open("/dev/null", O_RDWR);
	dup2(probe, 2);
	FILE *report = fopen(probe_arguments[0], "w");
	fprintf(report, "socket %d connect %d next %d\n", fd, connected, probe);
	fclose(report);
}

struct reader {
	int fd;
	ssize_t got;
};

static void *read_until_woken(void *context)
{
	struct reader *reader = context;
	char text[8];
	reader->got = recv(reader->fd, text, sizeof(text), 0);
	return NULL;
}

// Shutting a socket down wakes the thread that reads it.
static void wake_by_shutdown(void)
{
	struct reader reader = {.fd = probe_connected(), .got = -7};
	pthread_t thread;
	pthread_create(&thread, NULL, read_until_woken, &reader);
	usleep(100000); // whether the reader sleeps already changes nothing in what is printed
	said("shutdown", shutdown(reader.fd, SHUT_RDWR));
	pthread_join(thread, NULL);
	say("the reader got %zd", reader.got);
}

// The answer comes once hostd has accepted what was opened before: its backlog of 4096 is never
// full, however late it is scheduled.
static void wait_for_hostd(int number)
{
	struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *list;
	char name[32];
	snprintf(name, sizeof(name), "batch-%d.test", number);
	if (getaddrinfo(name, NULL, &hints, &list) == 0)
		freeaddrinfo(list);
}

static void cancelled_attempts(void)
{
	int count = atoi(probe_arguments[0]), before = count_descriptors();
	for (int i = 0; i < count; i++) {
		int fd = probe_socket(SOCK_NONBLOCK);
		if (probe_connect(fd) == 0 || errno != EINPROGRESS)
			give_up("connect");
		close(fd);
		if (i % 1000 == 999)
			wait_for_hostd(i);
	}
	say("descriptors more than before: %d", count_descriptors() - before);
}

static void many_connections(void)
{
	int count = atoi(probe_arguments[0]), before = count_descriptors();
	char text[8];
	for (int i = 0; i < count; i++) {
		int fd = probe_connected();
		if (send(fd, "ping\n", 5, MSG_NOSIGNAL) != 5 || recv(fd, text, 5, MSG_WAITALL) != 5)
			give_up("echo");
		close(fd);
	}
	say("descriptors more than before: %d", count_descriptors() - before);
}

// All numbers but one are in use.
static void no_room(void)
{
	int first = probe_socket(0), last = first;
	struct rlimit limit = {.rlim_cur = 64, .rlim_max = 64};
	must("setrlimit", setrlimit(RLIMIT_NOFILE, &limit));
	while (last < 62)
		last = must("dup", dup(1));
	said("connect", probe_connect(first));
	echo("echo", first);
}

static void close_on_exec_and_flags(void)
{
	for (int i = 0; i < 4; i++) {
		int fd = socket(
			probe_address.ss_family, SOCK_STREAM | (i & 1 ? SOCK_CLOEXEC : 0), 0);
		said("connect", probe_connect(fd));
		say("FD flags %d", fcntl(fd, F_GETFD));
		if (i & 2) {
			int on = 1;
			said("FIONBIO", ioctl(fd, FIONBIO, &on));
		}
		say("non-blocking %d", !!(fcntl(fd, F_GETFL) & O_NONBLOCK));
	}
}

static void asynchronous(void)
{
	int fd = probe_socket(SOCK_NONBLOCK);
	fcntl(fd, F_SETOWN, getpid());
	fcntl(fd, F_SETSIG, 40);
	fcntl(fd, F_SETFL, O_ASYNC | O_NONBLOCK);
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, 40);
	sigprocmask(SIG_BLOCK, &set, NULL);
	said("connect", probe_connect(fd));
	wait_for(fd, POLLOUT);
	say("owner is self %d", fcntl(fd, F_GETOWN) == getpid());
	say("signal %d", fcntl(fd, F_GETSIG));
	say("flags %d %d", !!(fcntl(fd, F_GETFL) & O_ASYNC), !!(fcntl(fd, F_GETFL) & O_NONBLOCK));
	so_error(fd);
	send(fd, "ping\n", 5, MSG_NOSIGNAL);
	wait_for(fd, POLLIN);
	struct timespec limit = {.tv_sec = PROBE_WAIT_MS / 1000};
	say("signalled %d", sigtimedwait(&set, NULL, &limit));
}

static int pass(int descriptor, int through)
{
	char space[CMSG_SPACE(sizeof(int))] = {0}, byte = 0;
	struct iovec part = {.iov_base = &byte, .iov_len = 1};
	struct msghdr message = {.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = space,
		.msg_controllen = sizeof(space)};
	if (descriptor >= 0) {
		struct cmsghdr *header = CMSG_FIRSTHDR(&message);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(header), &descriptor, sizeof(int));
		return (int)sendmsg(through, &message, 0);
	}
	int received = -1;
	must("recvmsg", (int)recvmsg(through, &message, 0));
	memcpy(&received, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(int));
	return received;
}

static void passed_on(void)
{
	int pair[2];
	must("socketpair", socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	pid_t child = fork();
	if (child == 0) {
		int fd = pass(-1, pair[1]);
		say_peer("received", fd);
		echo("echo", fd);
		_exit(0);
	}
	int fd = probe_connected();
	must("sendmsg", pass(fd, pair[0]));
	close(fd);
	waitpid(child, NULL, 0);
}

struct dial {
	int fd;
	_Atomic pid_t thread;
	_Atomic bool has_ended;
	long result;
	int error;
};

static void *dial(void *context)
{
	struct dial *dial = context;
	dial->thread = gettid();
	dial->result = probe_connect(dial->fd);
	dial->error = errno;
	dial->has_ended = true;
	return NULL;
}

static bool is_asleep(pid_t thread)
{
	char path[64], text[16] = "";
	snprintf(path, sizeof(path), "/proc/self/task/%d/syscall", thread);
	int fd = must("open", open(path, O_RDONLY));
	must("read", (int)read(fd, text, sizeof(text) - 1));
	close(fd);
	return atoi(text) == SYS_clock_nanosleep;
}

// A listener that has as many connections waiting as it may: connect() to it gives EAGAIN.
static int full_listener(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int listener = must("socket", socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0));
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	must("bind", bind(listener, (struct sockaddr *)&address, sizeof(address)));
	must("listen", listen(listener, 0));
	for (int fd = -1, refused = 0; !refused; close(fd)) {
		fd = must("socket", socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0));
		refused = connect(fd, (struct sockaddr *)&address, sizeof(address));
	}
	return listener;
}

// What a thread connects is closed by another one, and its number is a file's before hostd, which
// is this program itself, has accepted.
static void reuse_while_dialling(void)
{
	struct stat file, now;
	struct dial attempt = {.fd = probe_socket(0)};
	int listener = full_listener(probe_arguments[0]), null = open("/dev/null", O_RDWR);
	pthread_t thread;
	pthread_create(&thread, NULL, dial, &attempt);
	while (attempt.thread == 0 || !is_asleep(attempt.thread))
		sched_yield();
	must("dup2", dup2(null, attempt.fd));
	while (!attempt.has_ended) {
		int fd = accept(listener, NULL, NULL);
		if (fd >= 0)
			wait_for(fd, POLLIN); // a request, or the end of what filled the listener
		close(fd);
	}
	pthread_join(thread, NULL);
	say("connect: %ld %s", attempt.result, error_name(attempt.error));
	fstat(null, &file);
	fstat(attempt.fd, &now);
	say("still the file: %d", file.st_rdev == now.st_rdev);
}

static const struct probe_case cases[] = {
	{"reuse-while-dialling", reuse_while_dialling},
	{"reuse-as-socket", reuse_as_socket},
	{"reuse-as-file", reuse_as_file},
	{"reuse-as-pair", reuse_as_pair},
	{"reuse-as-listener", reuse_as_listener},
	{"reuse-as-datagram", reuse_as_datagram},
	{"duplicates", duplicates},
	{"duplicate-first", duplicate_first},
	{"duplicate-reused", duplicate_reused},
	{"duplicate-failed", duplicate_failed},
	{"standard-input", over_standard_input},
	{"wake-by-shutdown", wake_by_shutdown},
	{"cancelled-attempts", cancelled_attempts},
	{"many-connections", many_connections},
	{"no-room", no_room},
	{"flags", close_on_exec_and_flags},
	{"asynchronous", asynchronous},
	{"passed-on", passed_on},
};
PROBE_MAIN(cases)
