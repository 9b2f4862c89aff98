// SPDX-License-Identifier: MIT
// Writes a marker to a connection by every way that a program has, among them those that no
// preloaded library sees.
//
//   leaks WAY HOST PORT MARKER    HOST: a name. Prints "connect: 0", then what became of the marker
#include "tests/behaviour/probe.h"

#include <liburing.h>
#include <netdb.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

static const char *marker;

static int connect_by_name(const char *host, const char *port)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;
	int fd, result = getaddrinfo(host, port, &hints, &found);

	if (result != 0) {
		say("getaddrinfo: %s", gai_strerror(result));
		exit(1);
	}
	fd = must("socket", socket(found->ai_family, SOCK_STREAM, 0));
	if (said("connect", connect(fd, found->ai_addr, found->ai_addrlen)) < 0)
		exit(1);
	freeaddrinfo(found);
	return fd;
}

static ssize_t by_write(int fd)
{
	return write(fd, marker, strlen(marker));
}

static ssize_t by_writev(int fd)
{
	size_t half = strlen(marker) / 2;
	struct iovec parts[] = {{(void *)(uintptr_t)marker, half},
		{(void *)(uintptr_t)(marker + half), strlen(marker) - half}};
	return writev(fd, parts, 2);
}

static ssize_t by_sendmsg(int fd)
{
	struct iovec part = {(void *)(uintptr_t)marker, strlen(marker)};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
	return sendmsg(fd, &message, MSG_NOSIGNAL);
}

static ssize_t by_stdio(int fd)
{
	FILE *stream = fdopen(dup(fd), "w");
	int written = fputs(marker, stream);
	return fclose(stream) == 0 && written >= 0 ? (ssize_t)strlen(marker) : -1;
}

static ssize_t by_dprintf(int fd)
{
	return dprintf(fd, "%s", marker);
}

static ssize_t by_sendfile(int fd)
{
	int file = must("memfd_create", memfd_create("marker", MFD_CLOEXEC));
	off_t offset = 0;
	must("write", (int)by_write(file));
	return sendfile(fd, file, &offset, strlen(marker));
}

static ssize_t by_splice(int fd)
{
	int ends[2];
	must("pipe", pipe(ends));
	must("write", (int)by_write(ends[1]));
	return splice(ends[0], NULL, fd, NULL, strlen(marker), 0);
}

static ssize_t by_io_uring(int fd)
{
	struct io_uring ring;
	struct io_uring_cqe *entry;
	int error = io_uring_queue_init(4, &ring, 0);

	if (error < 0) {
		say("io_uring: not permitted here");
		exit(77);
	}
	io_uring_prep_send(io_uring_get_sqe(&ring), fd, marker, strlen(marker), 0);
	must("submit", io_uring_submit(&ring));
	must("wait", io_uring_wait_cqe(&ring, &entry));
	return entry->res;
}

// Not even syscall(2): the instruction itself.
static ssize_t by_raw_syscall(int fd)
{
	long length = (long)strlen(marker);
#if defined(__x86_64__)
	long result;
	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(SYS_write), "D"((long)fd), "S"(marker), "d"(length)
			 : "rcx", "r11", "memory");
	return result;
#elif defined(__aarch64__)
	register long number __asm__("x8") = SYS_write;
	register long result __asm__("x0") = fd;
	register const char *bytes __asm__("x1") = marker;
	register long size __asm__("x2") = length;
	__asm__ volatile("svc 0" : "+r"(result) : "r"(number), "r"(bytes), "r"(size) : "memory");
	return result;
#else
	return syscall(SYS_write, fd, marker, length);
#endif
}

static ssize_t status_of_child(pid_t child)
{
	int status;
	waitpid(child, &status, 0);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? (ssize_t)strlen(marker) : -1;
}

static ssize_t by_forked_child(int fd)
{
	pid_t child = fork();
	if (child == 0)
		_exit(by_write(fd) < 0);
	return status_of_child(child);
}

// A child that was not preloaded: its environment is empty.
static ssize_t by_executed_child(int fd)
{
	pid_t child = fork();
	if (child == 0) {
		dup2(fd, 1);
		execle("/bin/echo", "echo", "-n", marker, (char *)NULL, (char *[]){NULL});
		_exit(127);
	}
	return status_of_child(child);
}

// A byte to `told`, if that is one, once the first block is written.
static void write_for_ever(int fd, int told)
{
	char block[16384];
	size_t used = 0;

	while (used + strlen(marker) < sizeof(block))
		used += (size_t)sprintf(block + used, "%s", marker);
	while (write(fd, block, used) > 0) {
		if (told >= 0 && write(told, "", 1) != 1)
			break;
		told = -1;
		usleep(200); // the recordings have to keep up
	}
}

// Killed in the middle of writing more than all buffers hold.
static ssize_t by_killed_child(int fd)
{
	int told[2] = {-1, -1};
	char byte;
	must("pipe", pipe(told));
	pid_t child = fork();
	if (child == 0) {
		write_for_ever(fd, told[1]);
		_exit(0);
	}
	must("read", (int)read(told[0], &byte, 1));
	usleep(100000);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	return (ssize_t)strlen(marker);
}

// Waits for SIGUSR1, then writes until that fails. Says how, and how reading ends.
static ssize_t when_told(int fd)
{
	sigset_t set;
	int number;
	char byte;
	ssize_t got;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	say("ready");
	sigwait(&set, &number);
	write_for_ever(fd, -1);
	say("write: -1 %s", error_name(errno));
	while ((got = recv(fd, &byte, 1, 0)) > 0)
		;
	said("end", got);
	exit(0);
}

static const struct way {
	const char *name;
	ssize_t (*send)(int fd);
} ways[] = {
	{"write", by_write},
	{"writev", by_writev},
	{"sendmsg", by_sendmsg},
	{"stdio", by_stdio},
	{"dprintf", by_dprintf},
	{"sendfile", by_sendfile},
	{"splice", by_splice},
	{"io_uring", by_io_uring},
	{"raw-syscall", by_raw_syscall},
	{"forked-child", by_forked_child},
	{"executed-child", by_executed_child},
	{"killed-child", by_killed_child},
	{"when-told", when_told},
};

// Until the other side has seen it all and has ended too.
static void finish(int fd)
{
	static char bytes[65536];
	ssize_t got;

	said("shutdown", shutdown(fd, SHUT_WR));
	while ((got = recv(fd, bytes, sizeof(bytes), 0)) > 0)
		;
	said("end", got);
}

int main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN);
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc != 5)
		return 98;
	marker = argv[4];
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		if (strcmp(ways[i].name, argv[1]) == 0) {
			int fd = connect_by_name(argv[2], argv[3]);
			said("sent", ways[i].send(fd) == (ssize_t)strlen(marker) ? 0 : -1);
			finish(fd);
			return 0;
		}
	}
	return 98;
}
