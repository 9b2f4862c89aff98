// SPDX-License-Identifier: MIT
// Both ends of the relay benchmarks. The far end (`serve`) does what a connection's first byte
// says: D sends until it is closed, U swallows and answers with one byte at the end, E echoes. The
// near end opens connections, to a TCP port or through a unix socket, with Airlock's request before
// the first byte or without, and prints seconds. Of an HTTP server it asks for a page instead.
//
//   pump serve HOST PORT
//   pump download|upload VIA HOST PORT BYTES        one connection, BYTES of data
//   pump connect VIA HOST PORT COUNT                COUNT connections in turn, one byte each way
//   pump idle VIA HOST PORT COUNT                   COUNT connections that stay; a line when all
//                                                   are open, then waits for the end of standard
//                                                   input
//   pump get VIA HOST PORT BYTES                    GET /large, which has so many bytes
//   pump gets VIA HOST PORT COUNT                   COUNT connections in turn, GET /page on each
//   pump crowd VIA HOST PORT COUNT                  the same by 16 threads, each in turn
//   pump ask VIA HOST PORT COUNT                    GET /page on one connection, COUNT times in
//                                                   turn: the median, in microseconds
//   VIA: tcp, unix:PATH (another relay's), airlock:PATH (hostd's)
#include "wire/request.h"
#include "wire/stream.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define CHUNK (256 * 1024)
#define CROWD 16

// The one buffer of each thread: a thread's stack holds all that is __thread, used or not.
static __thread char chunk[CHUNK];

__attribute__((noreturn)) static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static double seconds_now(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static struct sockaddr_in tcp_address(const char *host, const char *port)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
	if (inet_pton(AF_INET, host, &address.sin_addr) != 1)
		fail(host);
	return address;
}

// --- the far end

static void *serve_connection(void *context)
{
	int fd = (int)(intptr_t)context;
	char how = 0;
	ssize_t got = recv(fd, &how, 1, 0);

	while (got > 0 && how == 'D')
		got = send(fd, chunk, sizeof(chunk), MSG_NOSIGNAL);
	while (got > 0 && how == 'U')
		got = recv(fd, chunk, sizeof(chunk), 0);
	while (got > 0 && how == 'E') {
		got = recv(fd, chunk, sizeof(chunk), 0);
		if (got > 0)
			got = send(fd, chunk, (size_t)got, MSG_NOSIGNAL);
	}
	if (how == 'U')
		send(fd, "k", 1, MSG_NOSIGNAL);
	close(fd);
	return NULL;
}

static void serve(const char *host, const char *port)
{
	struct sockaddr_in address = tcp_address(host, port);
	int on = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	pthread_attr_t attributes;

	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(listener, (struct sockaddr *)&address, sizeof(address)) < 0 ||
		listen(listener, 4096) < 0)
		fail("listen");
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, CHUNK + 128 * 1024);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	puts("listening");
	fflush(stdout);
	for (;;) {
		pthread_t thread;
		int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		if (fd < 0)
			fail("accept");
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		if (pthread_create(&thread, &attributes, serve_connection, (void *)(intptr_t)fd) !=
			0)
			close(fd);
	}
}

// --- the near end

static int open_unix(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	while (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		if (errno != EAGAIN)
			fail(path);
	return fd;
}

static int open_tcp(const struct sockaddr_in *address)
{
	int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0)
		fail("connect");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	return fd;
}

static void pass_gate(int fd, const struct sockaddr_in *address)
{
	struct request request = {.verb = REQUEST_CONNECT, .program = "pump"};
	struct pollfd entry = {.fd = fd, .events = POLLOUT};
	uint8_t bytes[REQUEST_SIZE];
	int send_buffer;

	request.source.family = request.destination.family = ADDRESS_IPV4;
	memcpy(request.destination.bytes, &address->sin_addr, 4);
	request.destination_port = ntohs(address->sin_port);
	if (getrandom(request.id, sizeof(request.id), 0) != sizeof(request.id))
		fail("getrandom");
	request_encode(&request, bytes);
	if (stream_send_request(fd, ENDPOINT_UNIX, bytes, &send_buffer) < 0)
		fail("request");
	poll(&entry, 1, 10000);
	if (!(entry.revents & POLLOUT) || (entry.revents & (POLLERR | POLLHUP))) {
		fprintf(stderr, "refused\n");
		exit(1);
	}
	stream_restore_send_buffer(fd, send_buffer);
}

static int open_stream(const char *via, const struct sockaddr_in *address)
{
	int fd;
	if (strncmp(via, "unix:", 5) == 0) {
		fd = open_unix(via + 5);
	} else if (strncmp(via, "airlock:", 8) == 0) {
		fd = open_unix(via + 8);
		pass_gate(fd, address);
	} else {
		fd = open_tcp(address);
	}
	return fd;
}

static int open_via(const char *via, const struct sockaddr_in *address, char how)
{
	int fd = open_stream(via, address);
	if (send(fd, &how, 1, MSG_NOSIGNAL) != 1)
		fail("send");
	return fd;
}

// Each of these does one measurement and returns what is printed.
typedef double (*verb_function)(
	const char *via, const struct sockaddr_in *address, unsigned long long amount);

static double download(const char *via, const struct sockaddr_in *address, unsigned long long left)
{
	double began = seconds_now();
	int fd = open_via(via, address, 'D');
	while (left > 0) {
		ssize_t got = recv(fd, chunk, left < CHUNK ? left : CHUNK, 0);
		if (got <= 0)
			fail("recv");
		left -= (unsigned long long)got;
	}
	return seconds_now() - began;
}

static double upload(const char *via, const struct sockaddr_in *address, unsigned long long left)
{
	double began = seconds_now();
	int fd = open_via(via, address, 'U');
	while (left > 0) {
		ssize_t sent = send(fd, chunk, left < CHUNK ? left : CHUNK, MSG_NOSIGNAL);
		if (sent <= 0)
			fail("send");
		left -= (unsigned long long)sent;
	}
	shutdown(fd, SHUT_WR);
	if (recv(fd, chunk, 1, 0) != 1)
		fail("answer");
	return seconds_now() - began;
}

static void echo_byte(int fd)
{
	char byte = 'x';
	if (send(fd, &byte, 1, MSG_NOSIGNAL) != 1 || recv(fd, &byte, 1, 0) != 1)
		fail("echo");
}

static double connect_in_turn(
	const char *via, const struct sockaddr_in *address, unsigned long long count)
{
	double began = seconds_now();

	for (unsigned long long i = 0; i < count; i++) {
		int fd = open_via(via, address, 'E');
		echo_byte(fd);
		close(fd);
	}
	return seconds_now() - began;
}

static double keep_idle(
	const char *via, const struct sockaddr_in *address, unsigned long long count)
{
	double began = seconds_now();
	char byte;

	for (unsigned long long i = 0; i < count; i++)
		echo_byte(open_via(via, address, 'E'));
	puts("open");
	fflush(stdout);
	while (read(0, &byte, 1) > 0)
		;
	return seconds_now() - began;
}

// --- the near end of an HTTP server

static void send_text(int fd, const char *text)
{
	if (send(fd, text, strlen(text), MSG_NOSIGNAL) != (ssize_t)strlen(text))
		fail("send");
}

// Returns how many bytes came before the end.
static unsigned long long read_to_end(int fd)
{
	unsigned long long total = 0;
	ssize_t got;

	while ((got = recv(fd, chunk, sizeof(chunk), 0)) > 0)
		total += (unsigned long long)got;
	if (got < 0)
		fail("recv");
	return total;
}

static double get_large(
	const char *via, const struct sockaddr_in *address, unsigned long long amount)
{
	double began = seconds_now();
	int fd = open_stream(via, address);

	send_text(fd, "GET /large HTTP/1.0\r\n\r\n");
	if (read_to_end(fd) < amount) {
		fprintf(stderr, "a short answer\n");
		exit(1);
	}
	return seconds_now() - began;
}

static double get_in_turn(
	const char *via, const struct sockaddr_in *address, unsigned long long count)
{
	double began = seconds_now();

	for (unsigned long long i = 0; i < count; i++) {
		int fd = open_stream(via, address);
		send_text(fd, "GET /page HTTP/1.0\r\n\r\n");
		if (read_to_end(fd) == 0)
			fail("an empty answer");
		close(fd);
	}
	return seconds_now() - began;
}

struct crowd {
	const char *via;
	const struct sockaddr_in *address;
	unsigned long long share;
};

static void *get_share(void *context)
{
	const struct crowd *crowd = context;

	get_in_turn(crowd->via, crowd->address, crowd->share);
	return NULL;
}

static double get_in_crowd(
	const char *via, const struct sockaddr_in *address, unsigned long long count)
{
	struct crowd crowd = {via, address, count / CROWD};
	double began = seconds_now();
	pthread_t threads[CROWD];

	for (unsigned i = 0; i < CROWD; i++)
		if (pthread_create(&threads[i], NULL, get_share, &crowd) != 0)
			fail("thread");
	for (unsigned i = 0; i < CROWD; i++)
		pthread_join(threads[i], NULL);
	return seconds_now() - began;
}

// A head, then as many bytes as it announces.
static void read_answer(int fd)
{
	char answer[8192];
	size_t used = 0, wanted = sizeof(answer);

	while (used < wanted) {
		ssize_t got = recv(fd, answer + used, sizeof(answer) - 1 - used, 0);
		if (got <= 0)
			fail("answer");
		used += (size_t)got;
		answer[used] = '\0';
		const char *body = strstr(answer, "\r\n\r\n");
		const char *length = strstr(answer, "Content-Length: ");
		if (body && length)
			wanted = (size_t)(body + 4 - answer) + strtoul(length + 16, NULL, 10);
	}
}

static int compare_doubles(const void *left, const void *right)
{
	double difference = *(const double *)left - *(const double *)right;
	return (difference > 0) - (difference < 0);
}

static double ask_in_turn(
	const char *via, const struct sockaddr_in *address, unsigned long long count)
{
	double *times = calloc(count, sizeof(*times)), median;
	int fd = open_stream(via, address);

	if (!times)
		fail("calloc");
	for (unsigned long long i = 0; i < count; i++) {
		double began = seconds_now();
		send_text(fd, "GET /page HTTP/1.1\r\nHost: bench\r\n\r\n");
		read_answer(fd);
		times[i] = (seconds_now() - began) * 1e6;
	}
	qsort(times, count, sizeof(*times), compare_doubles);
	median = times[count / 2];
	free(times);
	return median;
}

static const struct {
	const char *name;
	verb_function measure;
} verbs[] = {
	{"download", download},
	{"upload", upload},
	{"connect", connect_in_turn},
	{"idle", keep_idle},
	{"get", get_large},
	{"gets", get_in_turn},
	{"crowd", get_in_crowd},
	{"ask", ask_in_turn},
};

static void raise_descriptor_limit(void)
{
	struct rlimit limit;

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

int main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN);
	raise_descriptor_limit();
	if (argc == 4 && strcmp(argv[1], "serve") == 0)
		serve(argv[2], argv[3]);
	for (size_t i = 0; argc == 6 && i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (strcmp(argv[1], verbs[i].name) == 0) {
			struct sockaddr_in address = tcp_address(argv[3], argv[4]);
			printf("%.6f\n",
				verbs[i].measure(argv[2], &address, strtoull(argv[5], NULL, 10)));
			return 0;
		}
	}
	fprintf(stderr, "usage: see the top of pump.c\n");
	return 2;
}
