// SPDX-License-Identifier: MIT
// What the probes of this folder share. A probe is a small program that does one thing to a socket
// and prints, line by line, what it saw; it is run without and with Airlock and the two outputs are
// compared. So a probe prints no number that may differ between two runs.
#ifndef AIRLOCK_TESTS_PROBE_H
#define AIRLOCK_TESTS_PROBE_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PROBE_WAIT_MS 20000 // no event within this long ends a probe as failed

struct probe_case {
	const char *name;
	void (*run)(void);
};

static struct sockaddr_storage probe_address;
static socklen_t probe_address_length;
static const char *probe_host = "";
static const char *probe_port = "";
static char **probe_arguments; // behind HOST PORT

__attribute__((format(printf, 1, 2))) static inline void say(const char *format, ...)
{
	va_list list;
	va_start(list, format);
	vprintf(format, list);
	va_end(list);
	putchar('\n');
	fflush(stdout);
}

// "connect: 0" or "connect: -1 ECONNREFUSED".
static inline long said(const char *what, long result)
{
	int error = errno;
	if (result < 0)
		say("%s: %ld %s", what, result, strerrorname_np(error));
	else
		say("%s: %ld", what, result);
	errno = error;
	return result;
}

__attribute__((noreturn)) static inline void give_up(const char *what)
{
	say("gave up: %s: %s", what, strerrorname_np(errno));
	exit(99);
}

static inline int must(const char *what, int result)
{
	if (result < 0)
		give_up(what);
	return result;
}

static inline void probe_set_address(const char *host, const char *port)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)&probe_address;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&probe_address;
	probe_host = host;
	probe_port = port;
	memset(&probe_address, 0, sizeof(probe_address));
	if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons((uint16_t)atoi(port));
		probe_address_length = sizeof(*v4);
	} else if (inet_pton(AF_INET6, host, &v6->sin6_addr) == 1) {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons((uint16_t)atoi(port));
		probe_address_length = sizeof(*v6);
	}
}

static inline int probe_socket(int flags)
{
	return must(
		"socket", socket(probe_address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | flags, 0));
}

static inline int probe_connect(int fd)
{
	return connect(fd, (struct sockaddr *)&probe_address, probe_address_length);
}

// A blocking, connected socket, or the end of the probe.
static inline int probe_connected(void)
{
	int fd = probe_socket(0);
	must("connect", probe_connect(fd));
	return fd;
}

static inline int so_error(int fd)
{
	int error = -1;
	socklen_t length = sizeof(error);
	must("SO_ERROR", getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length));
	return error;
}

static inline const char *error_name(int error)
{
	return error == 0 ? "0" : strerrorname_np(error);
}

// Waits for any of events; returns revents, or ends the probe.
static inline short wait_for(int fd, short events)
{
	struct pollfd entry = {.fd = fd, .events = events};
	int count = poll(&entry, 1, PROBE_WAIT_MS);
	if (count != 1)
		give_up("poll");
	return entry.revents;
}

static inline double seconds_now(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static inline void say_sockaddr(const char *what, const struct sockaddr *address, bool with_port)
{
	char text[INET6_ADDRSTRLEN] = "?";
	unsigned port = 0;
	if (address->sa_family == AF_INET) {
		const struct sockaddr_in *v4 = (const struct sockaddr_in *)address;
		inet_ntop(AF_INET, &v4->sin_addr, text, sizeof(text));
		port = ntohs(v4->sin_port);
	} else if (address->sa_family == AF_INET6) {
		const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)address;
		inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof(text));
		port = ntohs(v6->sin6_port);
	}
	if (with_port)
		say("%s: family %d %s port %u", what, address->sa_family, text, port);
	else
		say("%s: family %d %s port %s", what, address->sa_family, text, port ? "set" : "0");
}

// usage: PROBE CASE HOST PORT [ARGUMENTS...]
static inline int probe_main(int argc, char **argv, const struct probe_case *cases, size_t count)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc >= 4)
		probe_set_address(argv[2], argv[3]);
	probe_arguments = argv + (argc < 4 ? argc : 4);
	for (size_t i = 0; argc >= 2 && i < count; i++) {
		if (strcmp(cases[i].name, argv[1]) == 0) {
			cases[i].run();
			return 0;
		}
	}
	fprintf(stderr, "usage: %s CASE HOST PORT [ARGUMENTS...]\n", argv[0]);
	return 98;
}

#define PROBE_MAIN(cases)                                                                          \
	int main(int argc, char **argv)                                                            \
	{                                                                                          \
		return probe_main(argc, argv, cases, sizeof(cases) / sizeof((cases)[0]));          \
	}

#endif
