// SPDX-License-Identifier: MIT
// A feed of numbered messages, each sent by a call of its own, to a reader that stalls first.
//
//     messages listen|connect HOST PORT feed|sink COUNT SIZE PACED PACE STALL
//
// feed sends COUNT messages of SIZE bytes, the first PACED of them PACE microseconds apart, the
// rest at once, then waits for the other side's end. sink reads nothing for STALL milliseconds,
// then everything, and says what came. Whoever listens first says at which port.
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MAX_SIZE 65536

static unsigned count, size, paced, pace, stall;

static void sleep_microseconds(unsigned microseconds)
{
	struct timespec pause = {microseconds / 1000000, microseconds % 1000000 * 1000L};

	nanosleep(&pause, NULL);
}

static void fill(uint8_t *message, uint32_t number)
{
	memset(message, (int)(number % 251), size);
	memcpy(message, &number, sizeof(number));
}

static bool send_all(int fd, const uint8_t *bytes, size_t length)
{
	while (length > 0) {
		ssize_t sent = send(fd, bytes, length, MSG_NOSIGNAL);
		if (sent < 0)
			return false;
		bytes += sent;
		length -= (size_t)sent;
	}
	return true;
}

static int feed(int fd)
{
	uint8_t message[MAX_SIZE];
	uint32_t number = 0;

	while (number < count) {
		fill(message, number);
		if (!send_all(fd, message, size))
			break;
		if (++number <= paced)
			sleep_microseconds(pace);
	}
	printf("sent %u: %s\n", number, number == count ? "whole" : strerrorname_np(errno));
	shutdown(fd, SHUT_WR);
	ssize_t end = recv(fd, message, 1, 0);
	printf("end: %s\n", end < 0 ? strerrorname_np(errno) : end ? "a byte" : "EOF");
	return 0;
}

// Returns how many bytes came; fewer than wanted at the end.
static size_t receive(int fd, uint8_t *bytes, size_t wanted)
{
	size_t got = 0;

	while (got < wanted) {
		ssize_t more = recv(fd, bytes + got, wanted - got, 0);
		if (more <= 0) {
			printf("end: %s\n", more < 0 ? strerrorname_np(errno) : "EOF");
			break;
		}
		got += (size_t)more;
	}
	return got;
}

static int sink(int fd)
{
	uint8_t message[MAX_SIZE], expected[MAX_SIZE];
	uint32_t number = 0;
	bool is_intact = true;
	size_t got;

	sleep_microseconds(stall * 1000);
	while ((got = receive(fd, message, size)) == size) {
		fill(expected, number++);
		is_intact = is_intact && memcmp(message, expected, size) == 0;
	}
	printf("received %u and %zu bytes, %s\n", number, got, is_intact ? "intact" : "altered");
	return 0;
}

static int listen_at(const struct sockaddr_in *wanted)
{
	struct sockaddr_in address = *wanted;
	socklen_t length = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM, 0);

	if (bind(listener, (struct sockaddr *)&address, sizeof(address)) < 0 ||
		listen(listener, 1) < 0)
		return -1;
	getsockname(listener, (struct sockaddr *)&address, &length);
	printf("port %u\n", ntohs(address.sin_port));
	return accept(listener, NULL, NULL);
}

static int connect_to(const struct sockaddr_in *address)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	return connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 ? -1 : fd;
}

int main(int argc, char **argv)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	unsigned *numbers[] = {&count, &size, &paced, &pace, &stall};
	int on = 1;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc != 10 || inet_pton(AF_INET, argv[2], &address.sin_addr) != 1)
		return 2;
	address.sin_port = htons((uint16_t)atoi(argv[3]));
	for (int i = 0; i < 5; i++)
		*numbers[i] = (unsigned)atoi(argv[5 + i]);
	if (size < sizeof(uint32_t) || size > MAX_SIZE)
		return 2;
	int fd = strcmp(argv[1], "listen") == 0 ? listen_at(&address) : connect_to(&address);
	if (fd < 0) {
		printf("%s: %s\n", argv[1], strerrorname_np(errno));
		return 1;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	return strcmp(argv[4], "feed") == 0 ? feed(fd) : sink(fd);
}
