// SPDX-License-Identifier: MIT
// Bytes through a connected socket: every sending and receiving call, sizes around every limit,
// half-close, resets. HOST PORT is what each case's test arranges.
#include "tests/behaviour/probe.h"

#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <signal.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>

// A position-dependent pattern: a lost, doubled or reordered byte shows.
static uint8_t pattern_at(uint64_t position)
{
	return (uint8_t)(position * 31 + (position >> 8) * 17 + (position >> 16) * 7);
}

static void free_bytes(uint8_t **bytes)
{
	free(*bytes);
}

#define FREED __attribute__((cleanup(free_bytes)))

static uint8_t *pattern(size_t length)
{
	uint8_t *bytes = malloc(length);
	for (size_t i = 0; i < length; i++)
		bytes[i] = pattern_at(i);
	return bytes;
}

struct receiver {
	int fd;
	uint64_t received;
	bool is_intact;
	long end; // 0: EOF, else errno
};

static void *receive_all(void *context)
{
	struct receiver *receiver = context;
	static __thread uint8_t bytes[200000];
	receiver->is_intact = true;
	for (;;) {
		ssize_t got = recv(receiver->fd, bytes, sizeof(bytes), 0);
		if (got <= 0) {
			receiver->end = got < 0 ? errno : 0;
			return NULL;
		}
		for (ssize_t i = 0; i < got; i++)
			if (bytes[i] != pattern_at(receiver->received + (uint64_t)i))
				receiver->is_intact = false;
		receiver->received += (uint64_t)got;
	}
}

static void say_received(const struct receiver *receiver)
{
	say("received %llu intact %d end %s", (unsigned long long)receiver->received,
		receiver->is_intact, error_name((int)receiver->end));
}

typedef ssize_t sender(int fd, const uint8_t *bytes, size_t length);

static ssize_t by_send(int fd, const uint8_t *bytes, size_t length)
{
	return send(fd, bytes, length, MSG_NOSIGNAL);
}

static ssize_t by_write(int fd, const uint8_t *bytes, size_t length)
{
	return write(fd, bytes, length);
}

static ssize_t by_syscall(int fd, const uint8_t *bytes, size_t length)
{
	return syscall(SYS_write, fd, bytes, length);
}

// Pieces of odd sizes, some empty.
static int pieces(const uint8_t *bytes, size_t length, struct iovec list[static 40])
{
	int count = 0;
	size_t step = length / 37 + 1, position = 0;
	while (position < length && count < 39) {
		size_t take = position + step < length && count < 38 ? step : length - position;
		list[count++] = (struct iovec){(uint8_t *)(uintptr_t)bytes + position, take};
		position += take;
		if (count == 5)
			list[count++] = (struct iovec){NULL, 0};
	}
	return count;
}

static ssize_t by_writev(int fd, const uint8_t *bytes, size_t length)
{
	struct iovec list[40];
	return writev(fd, list, pieces(bytes, length, list));
}

static ssize_t by_sendmsg(int fd, const uint8_t *bytes, size_t length)
{
	struct iovec list[40];
	struct msghdr message = {.msg_iov = list};
	message.msg_iovlen = (size_t)pieces(bytes, length, list);
	return sendmsg(fd, &message, MSG_NOSIGNAL);
}

static ssize_t by_sendmmsg(int fd, const uint8_t *bytes, size_t length)
{
	struct iovec halves[2] = {{(uint8_t *)(uintptr_t)bytes, length / 2},
		{(uint8_t *)(uintptr_t)bytes + length / 2, length - length / 2}};
	struct mmsghdr messages[2] = {{.msg_hdr = {.msg_iov = &halves[0], .msg_iovlen = 1}},
		{.msg_hdr = {.msg_iov = &halves[1], .msg_iovlen = 1}}};
	int count = sendmmsg(fd, messages, 2, MSG_NOSIGNAL);
	return count < 2 ? -1 : (ssize_t)messages[0].msg_len + messages[1].msg_len;
}

static int file_of(const uint8_t *bytes, size_t length)
{
	int file = must("memfd", memfd_create("pattern", 0));
	if (write(file, bytes, length) != (ssize_t)length)
		give_up("memfd");
	lseek(file, 0, SEEK_SET);
	return file;
}

static ssize_t by_sendfile(int fd, const uint8_t *bytes, size_t length)
{
	int file = file_of(bytes, length);
	off_t offset = 0;
	ssize_t total = 0;
	while ((size_t)total < length) {
		ssize_t sent = sendfile(fd, file, &offset, length - (size_t)total);
		if (sent <= 0)
			return -1;
		total += sent;
	}
	close(file);
	return offset == (off_t)length ? total : -2;
}

static ssize_t by_splice(int fd, const uint8_t *bytes, size_t length)
{
	int file = file_of(bytes, length), pipes[2];
	must("pipe", pipe(pipes));
	size_t total = 0;
	while (total < length) {
		ssize_t in = splice(file, NULL, pipes[1], NULL, length - total, 0);
		for (ssize_t out = 0; in > 0 && out < in;) {
			ssize_t moved = splice(pipes[0], NULL, fd, NULL, (size_t)(in - out), 0);
			if (moved <= 0)
				return -1;
			out += moved;
		}
		if (in <= 0)
			return -1;
		total += (size_t)in;
	}
	close(file);
	return (ssize_t)total;
}

static ssize_t by_stdio(int fd, const uint8_t *bytes, size_t length)
{
	FILE *stream = fdopen(dup(fd), "w");
	size_t written = fwrite(bytes, 1, length, stream);
	return fclose(stream) == 0 ? (ssize_t)written : -1;
}

static const struct {
	const char *name;
	sender *send;
} senders[] = {{"send", by_send}, {"write", by_write}, {"syscall", by_syscall},
	{"writev", by_writev}, {"sendmsg", by_sendmsg}, {"sendmmsg", by_sendmmsg},
	{"sendfile", by_sendfile}, {"splice", by_splice}, {"stdio", by_stdio}};

static sender *named_sender(const char *name)
{
	for (size_t i = 0; i < sizeof(senders) / sizeof(senders[0]); i++)
		if (strcmp(senders[i].name, name) == 0)
			return senders[i].send;
	give_up("no such sender");
}

// Arguments: SENDER SIZE. A blocking call sends all that it is given, like TCP.
static void echoed(void)
{
	size_t length = strtoul(probe_arguments[1], NULL, 10);
	FREED uint8_t *bytes = pattern(length);
	struct receiver receiver = {.fd = probe_connected()};
	pthread_t thread;
	pthread_create(&thread, NULL, receive_all, &receiver);
	ssize_t sent = named_sender(probe_arguments[0])(receiver.fd, bytes, length);
	said("sent", (long)sent);
	said("shutdown", shutdown(receiver.fd, SHUT_WR));
	pthread_join(thread, NULL);
	say_received(&receiver);
}

// Arguments: SENDER SIZE. Short counts are allowed; what arrives must be what was counted.
static void echoed_nonblocking(void)
{
	size_t length = strtoul(probe_arguments[1], NULL, 10), total = 0;
	sender *send_some = named_sender(probe_arguments[0]);
	FREED uint8_t *bytes = pattern(length);
	struct receiver receiver = {.fd = probe_connected()};
	pthread_t thread;
	pthread_create(&thread, NULL, receive_all, &receiver);
	int fd = dup(receiver.fd);
	while (total < length) {
		ssize_t sent = send_some == by_send ? send(fd, bytes + total, length - total,
							      MSG_DONTWAIT | MSG_NOSIGNAL)
						    : send_some(fd, bytes + total, length - total);
		if (sent > 0)
			total += (size_t)sent;
		else if (sent < 0 && errno == EAGAIN)
			wait_for(fd, POLLOUT);
		else
			give_up("send");
	}
	said("shutdown", shutdown(fd, SHUT_WR));
	pthread_join(thread, NULL);
	say_received(&receiver);
}

// Argument: how many. The far end sends the pattern; each receiving call takes a share.
static void receive_ways(void)
{
	int fd = probe_connected();
	uint64_t position = 0;
	uint8_t bytes[3000];
	for (int way = 0;; way = (way + 1) % 6) {
		struct iovec list[2] = {{bytes, 1000}, {bytes + 1000, 2000}};
		struct msghdr message = {.msg_iov = list, .msg_iovlen = 2};
		struct mmsghdr many = {.msg_hdr = message};
		ssize_t got = -1;
		if (way == 0)
			got = recv(fd, bytes, sizeof(bytes), 0);
		else if (way == 1)
			got = read(fd, bytes, sizeof(bytes));
		else if (way == 2)
			got = readv(fd, list, 2);
		else if (way == 3)
			got = recvmsg(fd, &message, 0);
		else if (way == 4)
			got = recvmmsg(fd, &many, 1, 0, NULL) == 1 ? (ssize_t)many.msg_len : -1;
		else
			got = syscall(SYS_recvfrom, fd, bytes, sizeof(bytes), 0, NULL, NULL);
		if (got <= 0) {
			said("end", (long)got);
			break;
		}
		for (ssize_t i = 0; i < got; i++)
			if (bytes[i] != pattern_at(position + (uint64_t)i))
				give_up("a wrong byte");
		position += (uint64_t)got;
	}
	say("received %llu", (unsigned long long)position);
}

// More than any buffer holds, in one call.
static void wait_all(void)
{
	size_t length = 4 * 1024 * 1024;
	FREED uint8_t *bytes = malloc(length);
	FREED uint8_t *sent = pattern(length);
	int fd = probe_connected();
	if (fork() == 0) {
		by_send(fd, sent, length);
		_exit(0);
	}
	ssize_t got = recv(fd, bytes, length, MSG_WAITALL);
	said("recv MSG_WAITALL", (long)got);
	say("intact %d", got == (ssize_t)length && memcmp(bytes, sent, length) == 0);
}

// A reset that comes while a receive of more than any buffer holds waits for its first byte.
static void wait_all_of_nothing(void)
{
	size_t length = 4 * 1024 * 1024;
	FREED uint8_t *bytes = malloc(length);
	int fd = probe_connected();
	if (fork() == 0) {
		usleep(500 * 1000);
		send(fd, "x", 1, MSG_NOSIGNAL);
		_exit(0);
	}
	said("recv MSG_WAITALL", (long)recv(fd, bytes, length, MSG_WAITALL));
	said("recv again", (long)recv(fd, bytes, length, MSG_WAITALL));
}

// The far end half-closes first, then reads what we still send.
static void far_half_close(void)
{
	char text[64];
	int fd = probe_connected();
	ssize_t total = 0, got;
	while ((got = recv(fd, text, sizeof(text), 0)) > 0)
		total += got;
	say("received %zd then %zd", total, got);
	said("recv again", recv(fd, text, sizeof(text), 0));
	said("send", send(fd, "late\n", 5, MSG_NOSIGNAL));
	said("shutdown", shutdown(fd, SHUT_WR));
	said("recv again", recv(fd, text, sizeof(text), 0));
}

// Reads to the end, whatever it is: EOF or ECONNRESET.
static void until_the_end(void)
{
	char text[4096];
	int fd = probe_connected();
	if (probe_arguments[0])
		said("send",
			send(fd, probe_arguments[0], strlen(probe_arguments[0]), MSG_NOSIGNAL));
	if (probe_arguments[0] && probe_arguments[1])
		said("shutdown", shutdown(fd, SHUT_WR));
	ssize_t total = 0, got;
	while ((got = recv(fd, text, sizeof(text), 0)) > 0)
		total += got;
	said("end", (long)got);
	say("received %zd", total);
	said("recv again", recv(fd, text, sizeof(text), 0));
	say("SO_ERROR: %s", error_name(so_error(fd)));
}

static void nothing_to_send(void)
{
	int fd = probe_connected();
	said("send of nothing", send(fd, "", 0, MSG_NOSIGNAL));
	said("write of nothing", write(fd, "", 0));
	said("recv of nothing", recv(fd, &fd, 0, MSG_DONTWAIT));
	said("read of nothing", read(fd, &fd, 0));
	said("send from nowhere", send(fd, (void *)(uintptr_t)8, 10, MSG_NOSIGNAL));
	said("send", send(fd, "ping\n", 5, MSG_NOSIGNAL));
	wait_for(fd, POLLIN);
	said("recv to nowhere", recv(fd, (void *)(uintptr_t)8, 10, 0));
	char text[8] = "";
	said("peek", recv(fd, text, sizeof(text), MSG_PEEK));
	said("peek with MSG_TRUNC", recv(fd, text, sizeof(text), MSG_PEEK));
	said("recv", recv(fd, text, sizeof(text), 0));
}

static void receive_timeout(void)
{
	char text[8];
	struct timeval limit = {.tv_usec = 200000};
	int fd = probe_socket(0);
	said("SO_RCVTIMEO", setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)));
	said("connect", probe_connect(fd));
	said("recv", recv(fd, text, sizeof(text), 0));
	limit.tv_usec = 100000;
	said("SO_RCVTIMEO", setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)));
	said("recv", recv(fd, text, sizeof(text), 0));
	said("read", read(fd, text, sizeof(text)));
}

// The far end does not read: a blocking send must give up with a count after SO_SNDTIMEO.
static void send_timeout(void)
{
	size_t length = 64 * 1024 * 1024;
	struct timeval limit = {.tv_usec = 300000};
	int fd = probe_connected();
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	FREED uint8_t *bytes = pattern(length);
	ssize_t sent = send(fd, bytes, length, MSG_NOSIGNAL);
	say("a part was sent: %d", sent > 0 && sent < (ssize_t)length);
	// TCP's window may have grown meanwhile.
	while (sent > 0)
		sent = send(fd, bytes, length, MSG_NOSIGNAL);
	said("send at last", sent);
}

static volatile sig_atomic_t signals;

static void count_signal(int number)
{
	(void)number;
	signals++;
}

static void send_to_a_reset(const char *what, bool is_spliced)
{
	int pipes[2], fd = probe_connected(), file = file_of((const uint8_t *)"bytes", 5);
	must("pipe", pipe(pipes));
	must("write", (int)write(pipes[1], "bytes", 5));
	must("send", (int)send(fd, "x", 1, MSG_NOSIGNAL));
	signals = 0;
	wait_for(fd, POLLIN); // the reset
	for (int i = 0; i < 2; i++) {
		if (is_spliced)
			said(what, splice(pipes[0], NULL, fd, NULL, 1, 0));
		else
			said(what, sendfile(fd, file, NULL, 1));
		say("SIGPIPE %d times", (int)signals);
	}
}

// The first call after a reset tells it, the next one is to a broken pipe.
static void reset_and_sigpipe(void)
{
	sigset_t set, pending;
	signal(SIGPIPE, count_signal);
	send_to_a_reset("sendfile", false);
	send_to_a_reset("splice", true);
	sigemptyset(&set);
	sigaddset(&set, SIGPIPE);
	sigprocmask(SIG_BLOCK, &set, NULL);
	send_to_a_reset("sendfile, SIGPIPE blocked", false);
	sigpending(&pending);
	say("pending %d", sigismember(&pending, SIGPIPE));
}

static const struct probe_case cases[] = {
	{"reset-and-sigpipe", reset_and_sigpipe},
	{"echoed", echoed},
	{"echoed-nonblocking", echoed_nonblocking},
	{"receive-ways", receive_ways},
	{"wait-all", wait_all},
	{"wait-all-of-nothing", wait_all_of_nothing},
	{"far-half-close", far_half_close},
	{"until-the-end", until_the_end},
	{"nothing", nothing_to_send},
	{"receive-timeout", receive_timeout},
	{"send-timeout", send_timeout},
};
PROBE_MAIN(cases)
