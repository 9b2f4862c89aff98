// SPDX-License-Identifier: MIT
// Each test forks a child that listens where hostd would and does one thing with one stream.
#include "preload/shared/control_client.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <criterion/criterion.h>

static struct endpoint endpoint;
static pid_t server;

typedef void scene(int fd, const struct request *request);

static void take_request(int fd, struct request *request)
{
	uint8_t bytes[REQUEST_SIZE];

	if (recv(fd, bytes, sizeof(bytes), MSG_WAITALL) != sizeof(bytes) ||
		!request_decode(bytes, request, NULL))
		_exit(1);
}

static void serve(int listener, bool takes_request, scene *play)
{
	int fd = accept(listener, NULL, NULL);
	struct request request = {0};

	if (takes_request)
		take_request(fd, &request);
	if (play)
		play(fd, &request);
	close(fd);
	_exit(0);
}

static void start(bool takes_request, scene *play)
{
	struct sockaddr_storage address;
	char text[64];
	int listener;

	snprintf(text, sizeof(text), "unix:@airlock-control-%d", getpid());
	cr_assert(endpoint_parse(text, strlen(text), false, &endpoint, NULL));
	listener = socket(AF_UNIX, SOCK_STREAM, 0);
	cr_assert_eq(bind(listener, (struct sockaddr *)&address,
			     endpoint_to_sockaddr(&endpoint, 0, &address)),
		0);
	cr_assert_eq(listen(listener, 8), 0);
	server = fork();
	if (server == 0)
		serve(listener, takes_request, play);
	close(listener);
}

static void stop(void)
{
	if (server > 0) {
		kill(server, SIGKILL);
		waitpid(server, NULL, 0);
	}
}

TestSuite(control_client, .fini = stop);

static void answer(int fd, const struct control_answer *answer)
{
	uint8_t bytes[CONTROL_MAX_ANSWER];
	size_t length = control_encode_answer(answer, bytes);

	if (send(fd, bytes, length, MSG_NOSIGNAL) != (ssize_t)length)
		_exit(1);
}

static void sleep_ms(long milliseconds)
{
	struct timespec time = {milliseconds / 1000, milliseconds % 1000 * 1000000};

	nanosleep(&time, NULL);
}

static int ping(void)
{
	char version[64];

	return control_client_ping(&endpoint, version, sizeof(version));
}

// --- identity

Test(control_client, every_request_has_another_id_and_the_programs_name)
{
	static char name[] = "a-name-of-some-length";
	struct request one = {0}, two = {0};

	program_invocation_short_name = name;
	control_client_identify(&one);
	control_client_identify(&two);
	cr_assert_neq(memcmp(one.id, two.id, sizeof(one.id)), 0);
	cr_assert_str_eq(one.program, "a-name-of-some-");
}

// --- answers

static void play_version(int fd, const struct request *request)
{
	struct control_answer out = {.status = CONTROL_OK};

	if (request->verb != REQUEST_PING)
		_exit(1);
	control_put_text(&out, "version 7");
	answer(fd, &out);
}

Test(control_client, ping_tells_the_version)
{
	char version[64];

	start(true, play_version);
	cr_assert_eq(control_client_ping(&endpoint, version, sizeof(version)), 0);
	cr_assert_str_eq(version, "version 7");
}

static void play_slowly(int fd, const struct request *request)
{
	struct control_answer out = {.status = CONTROL_OK};
	uint8_t bytes[CONTROL_MAX_ANSWER];
	size_t length;

	(void)request;
	control_put_text(&out, "slow");
	length = control_encode_answer(&out, bytes);
	for (size_t i = 0; i < length; i++) {
		(void)!write(fd, &bytes[i], 1);
		sleep_ms(5);
	}
}

Test(control_client, an_answer_may_come_byte_by_byte)
{
	char version[64];

	start(true, play_slowly);
	cr_assert_eq(control_client_ping(&endpoint, version, sizeof(version)), 0);
	cr_assert_str_eq(version, "slow");
}

static void play_addresses(int fd, const struct request *request)
{
	struct control_addresses out = {.ttl = 30, .count = 1};
	struct control_answer frame = {.status = CONTROL_OK};
	char name[NAME_SIZE];

	if (!control_read_resolve(request, name) || strcmp(name, "some.test") != 0)
		_exit(1);
	out.addresses[0] = (struct address){.family = ADDRESS_IPV4, .bytes = {192, 0, 2, 1}};
	control_put_addresses(&frame, &out);
	answer(fd, &frame);
}

Test(control_client, resolve_gives_the_addresses)
{
	struct control_addresses found;

	start(true, play_addresses);
	cr_assert_eq(control_client_resolve(&endpoint, "some.test", &found), 0);
	cr_assert_eq(found.count, 1);
	cr_assert_eq(found.ttl, 30);
	cr_assert_eq(found.addresses[0].bytes[0], 192);
}

static void play_outcome(int fd, const struct request *request)
{
	struct control_answer frame = {.status = CONTROL_OK};
	uint8_t id[REQUEST_ID_SIZE];
	struct outcome outcome;
	bool wait;

	if (!control_read_status(request, id, &wait) || !wait || id[0] != 42)
		_exit(1);
	outcome_set(&outcome, OUTCOME_STAGE_DIAL, OUTCOME_REFUSED, "nobody there");
	control_put_outcome(&frame, &outcome);
	answer(fd, &frame);
}

Test(control_client, status_gives_the_outcome)
{
	uint8_t id[REQUEST_ID_SIZE] = {42};
	struct outcome outcome;

	start(true, play_outcome);
	cr_assert_eq(control_client_status(&endpoint, id, true, 5000, &outcome), 0);
	cr_assert_eq(outcome.class, OUTCOME_REFUSED);
	cr_assert_str_eq(outcome.text, "nobody there");
}

// --- refusals and failures

static void play_status(int fd, enum control_status status)
{
	struct control_answer out = {.status = status};

	answer(fd, &out);
}

static void play_denied(int fd, const struct request *request)
{
	(void)request;
	play_status(fd, CONTROL_DENIED);
}

static void play_busy(int fd, const struct request *request)
{
	(void)request;
	play_status(fd, CONTROL_BUSY);
}

static void play_unknown(int fd, const struct request *request)
{
	(void)request;
	play_status(fd, CONTROL_UNKNOWN_VERB);
}

static void play_garbage(int fd, const struct request *request)
{
	(void)request;
	(void)!write(fd, "HTTP/1.0 400\r\n", 14);
}

static void play_too_much(int fd, const struct request *request)
{
	uint8_t bytes[2 * CONTROL_MAX_ANSWER] = {CONTROL_VERSION};

	(void)request;
	(void)!write(fd, bytes, sizeof(bytes));
}

static void play_silence(int fd, const struct request *request)
{
	(void)fd;
	(void)request;
	sleep_ms(20000);
}

static const struct {
	bool takes_request;
	scene *play;
	int error;
} failures[] = {
	{true, play_denied, -EACCES},
	{true, play_busy, -EBUSY},
	{true, play_unknown, -EPROTO},
	{true, play_garbage, -EPROTO},
	{true, play_too_much, -EPROTO},
	{true, NULL, -ECONNRESET},
	{false, NULL, -ECONNRESET},
};

Test(control_client, failures_have_their_errors)
{
	for (size_t i = 0; i < ARRAY_SIZE(failures); i++) {
		start(failures[i].takes_request, failures[i].play);
		cr_expect_eq(ping(), failures[i].error, "failure %zu", i);
		stop();
	}
}

Test(control_client, nobody_listening_is_an_unreachable_network)
{
	start(true, NULL);
	stop();
	server = 0;
	cr_assert_eq(ping(), -ENETUNREACH);
}

Test(control_client, silence_ends_with_the_timeout)
{
	uint8_t id[REQUEST_ID_SIZE] = {0};
	struct timespec before, after;
	struct outcome outcome;
	long elapsed;

	start(true, play_silence);
	clock_gettime(CLOCK_MONOTONIC, &before);
	cr_assert_eq(control_client_status(&endpoint, id, true, 200, &outcome), -ETIMEDOUT);
	clock_gettime(CLOCK_MONOTONIC, &after);
	elapsed =
		(after.tv_sec - before.tv_sec) * 1000 + (after.tv_nsec - before.tv_nsec) / 1000000;
	cr_assert_geq(elapsed, 199);
	cr_assert_lt(elapsed, 10000);
}

static void ignore(int number)
{
	(void)number;
}

Test(control_client, signals_neither_end_nor_lengthen_the_wait)
{
	struct sigaction action = {.sa_handler = ignore};
	uint8_t id[REQUEST_ID_SIZE] = {0};
	struct outcome outcome;
	pid_t pest;

	sigaction(SIGUSR1, &action, NULL);
	start(true, play_silence);
	pest = fork();
	if (pest == 0) {
		for (int i = 0; i < 4000; i++) {
			kill(getppid(), SIGUSR1);
			sleep_ms(5);
		}
		_exit(0);
	}
	cr_assert_eq(control_client_status(&endpoint, id, true, 200, &outcome), -ETIMEDOUT);
	cr_assert_eq(waitpid(pest, NULL, WNOHANG), 0, "the wait outlived its timeout");
	kill(pest, SIGKILL);
	waitpid(pest, NULL, 0);
}

Test(control_client, no_descriptor_is_left_open)
{
	int before = dup(0);
	int after;

	close(before);
	for (size_t i = 0; i < ARRAY_SIZE(failures); i++) {
		start(failures[i].takes_request, failures[i].play);
		(void)!ping();
		stop();
	}
	after = dup(0);
	cr_assert_eq(after, before);
}

// --- the gate: the request unread withholds writability, taking it gives it

#define ASKED 1000 // ms; twice what a scene on a busy machine may be late

static void hold_then(int fd, bool answers)
{
	struct request request;

	sleep_ms(ASKED);
	take_request(fd, &request);
	if (answers)
		play_status(fd, CONTROL_OK);
}

static void play_held_and_answered(int fd, const struct request *request)
{
	(void)request;
	hold_then(fd, true);
}

static void play_held_and_ended(int fd, const struct request *request)
{
	(void)request;
	hold_then(fd, false);
}

static void play_open_and_late(int fd, const struct request *request)
{
	(void)request;
	sleep_ms(ASKED);
	play_status(fd, CONTROL_OK);
}

static void play_open_and_late_end(int fd, const struct request *request)
{
	(void)fd;
	(void)request;
	sleep_ms(ASKED);
}

static const struct {
	bool takes_request;
	scene *play;
	int result;
} gates[] = {
	{false, play_held_and_answered, 1},
	{false, play_held_and_ended, 1},
	{true, play_open_and_late, 0},
	{true, play_open_and_late_end, 0},
	{true, play_busy, -EBUSY},
	{true, NULL, -ECONNRESET},
	{false, NULL, -ECONNRESET},
};

Test(control_client, the_gate_is_measured)
{
	for (size_t i = 0; i < ARRAY_SIZE(gates); i++) {
		start(gates[i].takes_request, gates[i].play);
		cr_expect_eq(control_client_measure_gate(&endpoint, ASKED, NULL), gates[i].result,
			"gate %zu", i);
		stop();
	}
}
