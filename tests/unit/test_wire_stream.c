// SPDX-License-Identifier: MIT
// Everything here runs on the unix stand-in.
#include "wire/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <criterion/criterion.h>

#define BACKLOG 16
#define QUIET   30   // ms in which what must not happen would have happened
#define SOON    2000 // ms in which what must happen does

static char directory[] = "/tmp/airlock-unit-XXXXXX";
static struct endpoint endpoint;

static struct endpoint endpoint_of(const char *text)
{
	struct endpoint parsed;

	cr_assert(endpoint_parse(text, strlen(text), false, &parsed, NULL));
	return parsed;
}

static struct endpoint endpoint_in_directory(const char *file)
{
	char text[ENDPOINT_TEXT_SIZE];

	snprintf(text, sizeof(text), "unix:%s/%s", directory, file);
	return endpoint_of(text);
}

static void set_up(void)
{
	cr_assert_not_null(mkdtemp(directory));
	endpoint = endpoint_in_directory("socket");
}

static void tear_down(void)
{
	unlink(endpoint.path);
	rmdir(directory);
}

TestSuite(stream, .init = set_up, .fini = tear_down, .timeout = 20);

static int listen_at(const struct endpoint *where)
{
	int fd = stream_listen(where, 0, BACKLOG, 0600);

	cr_assert_geq(fd, 3, "%s", strerror(-fd));
	return fd;
}

struct pair {
	int listener, opener, acceptor;
};

static struct pair connected_pair(void)
{
	struct pair pair = {.listener = listen_at(&endpoint)};

	pair.opener = stream_dial(&endpoint);
	cr_assert_geq(pair.opener, 3, "%s", strerror(-pair.opener));
	pair.acceptor = accept4(pair.listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	cr_assert_geq(pair.acceptor, 3);
	return pair;
}

static short poll_events(int fd, int milliseconds)
{
	struct pollfd entry = {.fd = fd, .events = POLLIN | POLLOUT};

	return poll(&entry, 1, milliseconds) == 1 ? entry.revents : 0;
}

static int option_of(int fd, int option)
{
	int value = -1;
	socklen_t size = sizeof(value);

	cr_assert_eq(getsockopt(fd, SOL_SOCKET, option, &value, &size), 0);
	return value;
}

static int64_t now_milliseconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void send_request(int fd, uint8_t request[static REQUEST_SIZE], int *send_buffer)
{
	for (size_t i = 0; i < REQUEST_SIZE; i++)
		request[i] = (uint8_t)(i * 7);
	cr_assert_eq(stream_send_request(fd, ENDPOINT_UNIX, request, send_buffer), 0);
}

// --- dialling

Test(stream, a_dialled_socket_is_non_blocking_and_closed_on_exec)
{
	struct pair pair = connected_pair();

	cr_assert(fcntl(pair.opener, F_GETFL) & O_NONBLOCK);
	cr_assert(fcntl(pair.opener, F_GETFD) & FD_CLOEXEC);
	cr_assert(fcntl(pair.listener, F_GETFL) & O_NONBLOCK);
	cr_assert(fcntl(pair.listener, F_GETFD) & FD_CLOEXEC);
	cr_assert_eq(option_of(pair.opener, SO_TYPE), SOCK_STREAM);
}

Test(stream, sockets_never_land_on_the_standard_streams)
{
	close(0);
	close(1);
	cr_assert_geq(stream_listen(&endpoint, 0, BACKLOG, 0600), 3);
	cr_assert_geq(stream_dial(&endpoint), 3);
	cr_assert_eq(fcntl(0, F_GETFD), -1, "the low number is free again");
}

Test(stream, a_dead_listener_is_tried_for_a_while_and_then_unreachable)
{
	int64_t begin = now_milliseconds();

	cr_assert_eq(stream_dial(&endpoint), -ENETUNREACH);
	int64_t took = now_milliseconds() - begin;
	cr_assert_geq(took, 30, "%ld ms", (long)took); // half of 2 + 5 + 15 + 40, rounding
	cr_assert_leq(took, 10000, "%ld ms", (long)took);
}

Test(stream, a_socket_file_without_a_listener_is_unreachable)
{
	close(listen_at(&endpoint));
	cr_assert_eq(access(endpoint.path, F_OK), 0);
	cr_assert_eq(stream_dial(&endpoint), -ENETUNREACH);
}

static bool comes_back_in_a_pause;
static int came_back = -1;

// Instead of libc's: what stream_dial pauses with between two tries. A thread that listens after a
// while could be late for the last of them.
int nanosleep(const struct timespec *time, struct timespec *left)
{
	if (comes_back_in_a_pause)
		came_back = stream_listen(&endpoint, 0, BACKLOG, 0600);
	comes_back_in_a_pause = false;
	errno = clock_nanosleep(CLOCK_MONOTONIC, 0, time, left);
	return errno ? -1 : 0;
}

Test(stream, a_listener_that_comes_back_is_found)
{
	comes_back_in_a_pause = true;
	int fd = stream_dial(&endpoint);
	cr_assert_geq(came_back, 3);
	cr_assert_geq(fd, 3, "%s", strerror(-fd));
}

Test(stream, a_full_backlog_is_tried_again_and_then_unreachable)
{
	int listener = stream_listen(&endpoint, 0, 0, 0600), fds[8], count = 0;

	cr_assert_geq(listener, 3);
	while (count < 8 && (fds[count] = stream_dial(&endpoint)) >= 0)
		count++;
	cr_assert_lt(count, 8);
	cr_assert_eq(fds[count], -ENETUNREACH);
	cr_assert_geq(accept(listener, NULL, NULL), 3);
	cr_assert_geq(stream_dial(&endpoint), 3, "there is room again");
}

Test(stream, other_errors_are_returned_as_they_are)
{
	char text[ENDPOINT_TEXT_SIZE];

	close(listen_at(&endpoint));
	snprintf(text, sizeof(text), "unix:%s/below", endpoint.path);
	struct endpoint below = endpoint_of(text);
	cr_assert_eq(stream_dial(&below), -ENOTDIR);
}

Test(stream, running_out_of_descriptors_is_said)
{
	struct rlimit before, limit;

	cr_assert_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
	limit = before;
	limit.rlim_cur = 3;
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	int dialled = stream_dial(&endpoint);
	int listener = stream_listen(&endpoint, 0, BACKLOG, 0600);
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
	cr_assert_eq(dialled, -EMFILE);
	cr_assert_eq(listener, -EMFILE);
}

Test(stream, failed_dials_leave_no_descriptor_behind)
{
	int before = dup(1);

	close(before);
	cr_assert_eq(stream_dial(&endpoint), -ENETUNREACH);
	int after = dup(1);
	cr_assert_eq(before, after);
}

// --- the gate

Test(stream, a_request_withholds_writability_until_the_gate_opens)
{
	struct pair pair = connected_pair();
	uint8_t request[REQUEST_SIZE], seen[REQUEST_SIZE];
	int send_buffer;

	send_request(pair.opener, request, &send_buffer);
	cr_assert_eq(poll_events(pair.opener, QUIET), 0);

	for (int i = 0; i < 2; i++) {
		memset(seen, 0, sizeof(seen));
		cr_assert_eq(stream_peek_request(pair.acceptor, seen), REQUEST_SIZE);
		cr_assert_eq(memcmp(request, seen, sizeof(seen)), 0);
	}
	cr_assert_eq(poll_events(pair.opener, QUIET), 0, "peeking does not open the gate");

	cr_assert_eq(stream_open_gate(pair.acceptor, ENDPOINT_UNIX), 0);
	cr_assert_eq(poll_events(pair.opener, SOON), POLLOUT);
	cr_assert_eq(stream_probe(pair.opener), 0);
	cr_assert_eq(stream_peek_request(pair.acceptor, seen), -EAGAIN, "nothing is left over");
}

Test(stream, the_send_buffer_is_restored_to_what_it_was)
{
	struct pair pair = connected_pair();
	uint8_t request[REQUEST_SIZE];
	int before = option_of(pair.opener, SO_SNDBUF), send_buffer;

	send_request(pair.opener, request, &send_buffer);
	cr_assert_lt(option_of(pair.opener, SO_SNDBUF), before);
	cr_assert_eq(stream_open_gate(pair.acceptor, ENDPOINT_UNIX), 0);
	stream_restore_send_buffer(pair.opener, send_buffer);
	cr_assert_eq(option_of(pair.opener, SO_SNDBUF), before);
	stream_restore_send_buffer(pair.opener, 0);
	cr_assert_eq(option_of(pair.opener, SO_SNDBUF), before);
}

Test(stream, bytes_behind_the_request_are_the_programs)
{
	struct pair pair = connected_pair();
	uint8_t request[REQUEST_SIZE];
	char bytes[64];
	int send_buffer;

	send_request(pair.opener, request, &send_buffer);
	stream_restore_send_buffer(pair.opener, send_buffer);
	cr_assert_eq(send(pair.opener, "early", 5, MSG_DONTWAIT), 5);
	cr_assert_eq(stream_open_gate(pair.acceptor, ENDPOINT_UNIX), 0);
	cr_assert_eq(recv(pair.acceptor, bytes, sizeof(bytes), MSG_DONTWAIT), 5);
	cr_assert_eq(memcmp(bytes, "early", 5), 0);
	cr_assert_eq(send(pair.acceptor, "answer", 6, MSG_DONTWAIT), 6);
	cr_assert_eq(recv(pair.opener, bytes, sizeof(bytes), MSG_DONTWAIT), 6);
}

Test(stream, a_refused_opener_wakes_with_an_error)
{
	struct pair pair = connected_pair();
	uint8_t request[REQUEST_SIZE];
	int send_buffer;

	send_request(pair.opener, request, &send_buffer);
	cr_assert_eq(stream_peek_request(pair.acceptor, request), REQUEST_SIZE);
	close(pair.acceptor);
	short events = poll_events(pair.opener, SOON);
	cr_assert(events & POLLERR);
	cr_assert(events & POLLHUP);
	cr_assert_lt(recv(pair.opener, request, 1, MSG_DONTWAIT), 0);
	cr_assert_eq(errno, ECONNRESET);
	cr_assert_eq(stream_probe(pair.opener), -EPIPE);
}

Test(stream, a_request_to_a_closed_peer_fails_without_a_signal)
{
	struct pair pair = connected_pair();
	uint8_t request[REQUEST_SIZE] = {0};
	int send_buffer;

	close(pair.acceptor);
	cr_assert_eq(
		stream_send_request(pair.opener, ENDPOINT_UNIX, request, &send_buffer), -EPIPE);
}

Test(stream, a_peek_tells_a_part_from_nothing_from_the_end)
{
	struct pair pair = connected_pair();
	uint8_t request[REQUEST_SIZE];

	cr_assert_eq(stream_peek_request(pair.acceptor, request), -EAGAIN);
	cr_assert_eq(send(pair.opener, "part", 4, 0), 4);
	cr_assert_eq(stream_peek_request(pair.acceptor, request), 4);
	cr_assert_eq(send(pair.opener, "more", 4, 0), 4);
	cr_assert_eq(stream_peek_request(pair.acceptor, request), 8);
	cr_assert_eq(memcmp(request, "partmore", 8), 0);
	close(pair.opener);
	cr_assert_eq(recv(pair.acceptor, request, 8, 0), 8);
	cr_assert_eq(stream_peek_request(pair.acceptor, request), 0);
}

Test(stream, a_gate_without_a_whole_request_does_not_open)
{
	int fds[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	cr_assert_eq(stream_open_gate(fds[1], ENDPOINT_UNIX), -EAGAIN);
	cr_assert_eq(send(fds[0], "part", 4, 0), 4);
	cr_assert_eq(stream_open_gate(fds[1], ENDPOINT_UNIX), -EPROTO);
	close(fds[0]);
	cr_assert_eq(stream_open_gate(fds[1], ENDPOINT_UNIX), -EPROTO);
}

Test(stream, a_request_that_came_in_pieces_is_consumed_whole)
{
	int fds[2];
	uint8_t request[REQUEST_SIZE] = {0};

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	for (size_t i = 0; i < REQUEST_SIZE; i += 256)
		cr_assert_eq(send(fds[0], request + i, 256, 0), 256);
	cr_assert_eq(send(fds[0], "tail", 4, 0), 4);
	cr_assert_eq(stream_open_gate(fds[1], ENDPOINT_UNIX), 0);
	cr_assert_eq(recv(fds[1], request, sizeof(request), MSG_DONTWAIT), 4);
}

// A vsock socket may be connected before its credit has come. Without arming, a full unix socket
// looks the same.
static void fill(int fd)
{
	static const char bytes[4096];

	while (send(fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
		;
}

static void *drain_after_a_moment(void *fd)
{
	static char bytes[4096];

	usleep(QUIET * 1000);
	while (recv(*(int *)fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
		;
	return NULL;
}

Test(stream, a_request_waits_for_room)
{
	int fds[2], send_buffer = -1;
	uint8_t request[REQUEST_SIZE] = {0};
	pthread_t thread;

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	fill(fds[0]);
	cr_assert_eq(pthread_create(&thread, NULL, drain_after_a_moment, &fds[1]), 0);
	cr_assert_eq(stream_send_request(fds[0], ENDPOINT_VSOCK, request, &send_buffer), 0);
	pthread_join(thread, NULL);
	cr_assert_eq(send_buffer, 0);
}

Test(stream, a_request_without_room_times_out)
{
	int fds[2], send_buffer;
	uint8_t request[REQUEST_SIZE] = {0};
	int64_t begin = now_milliseconds();

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	fill(fds[0]);
	cr_assert_eq(
		stream_send_request(fds[0], ENDPOINT_VSOCK, request, &send_buffer), -ETIMEDOUT);
	int64_t took = now_milliseconds() - begin;
	cr_assert_geq(took, STREAM_CONNECT_TIMEOUT - 1);
	cr_assert_leq(took, STREAM_CONNECT_TIMEOUT + 10000);
}

// --- the zero-byte send

Test(stream, the_probe_tells_an_orderly_end_from_a_close)
{
	struct pair pair = connected_pair();
	char byte;

	cr_assert_eq(stream_probe(pair.opener), 0);
	shutdown(pair.acceptor, SHUT_WR);
	cr_assert_eq(recv(pair.opener, &byte, 1, 0), 0);
	cr_assert_eq(stream_probe(pair.opener), 0, "only the other direction has ended");
	close(pair.acceptor);
	cr_assert_eq(stream_probe(pair.opener), -EPIPE);
}

Test(stream, the_probe_after_our_own_end_is_a_closed_one)
{
	struct pair pair = connected_pair();

	shutdown(pair.opener, SHUT_WR);
	cr_assert_eq(stream_probe(pair.opener), -EPIPE);
}

Test(stream, the_probe_sends_nothing)
{
	struct pair pair = connected_pair();
	uint8_t request[REQUEST_SIZE];

	cr_assert_eq(stream_probe(pair.opener), 0);
	cr_assert_eq(stream_peek_request(pair.acceptor, request), -EAGAIN);
}

// --- listening

Test(stream, a_stale_socket_file_is_replaced)
{
	struct stat before, after;

	close(listen_at(&endpoint));
	cr_assert_eq(stat(endpoint.path, &before), 0);
	cr_assert(S_ISSOCK(before.st_mode));
	connected_pair();
	cr_assert_eq(stat(endpoint.path, &after), 0);
}

Test(stream, a_live_listener_is_not_replaced)
{
	listen_at(&endpoint);
	cr_assert_eq(stream_listen(&endpoint, 0, BACKLOG, 0600), -EADDRINUSE);
	cr_assert_geq(stream_dial(&endpoint), 3);
}

Test(stream, a_live_listener_with_a_full_backlog_is_not_replaced)
{
	cr_assert_geq(stream_listen(&endpoint, 0, 0, 0600), 3);
	while (stream_dial(&endpoint) >= 0)
		;
	cr_assert_eq(stream_listen(&endpoint, 0, BACKLOG, 0600), -EADDRINUSE);
}

Test(stream, a_file_that_is_no_socket_is_left_alone)
{
	struct stat status;
	int fd = open(endpoint.path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

	cr_assert_geq(fd, 0);
	cr_assert_eq(stream_listen(&endpoint, 0, BACKLOG, 0600), -EADDRINUSE);
	cr_assert_eq(stat(endpoint.path, &status), 0);
	cr_assert(S_ISREG(status.st_mode));
}

Test(stream, a_missing_directory_is_said)
{
	struct endpoint missing = endpoint_of("unix:/nonexistent-airlock/socket");

	cr_assert_eq(stream_listen(&missing, 0, BACKLOG, 0600), -ENOENT);
}

Test(stream, the_mode_does_not_depend_on_the_umask)
{
	static const struct {
		mode_t mask;
		unsigned mode;
	} cases[] = {{0, 0600}, {0077, 0666}, {0777, 0660}};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct stat status;
		umask(cases[i].mask);
		int fd = stream_listen(&endpoint, 0, BACKLOG, cases[i].mode);
		cr_assert_geq(fd, 3);
		cr_assert_eq(stat(endpoint.path, &status), 0);
		cr_expect_eq(status.st_mode & 0777, cases[i].mode, "%o", status.st_mode);
		close(fd);
	}
}

Test(stream, abstract_names_work_and_are_exclusive)
{
	char text[ENDPOINT_TEXT_SIZE];

	snprintf(text, sizeof(text), "unix:@%s", directory + 5);
	endpoint = endpoint_of(text);
	connected_pair();
	cr_assert_eq(stream_listen(&endpoint, 0, BACKLOG, 0600), -EADDRINUSE);
}
