// SPDX-License-Identifier: MIT
#include <criterion/criterion.h>

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "hostd/admin.h"

static char directory[] = "/tmp/airlock-admin-XXXXXX";
static struct endpoint endpoint;
static struct admin *admin;
static _Atomic int drains;

static bool run_status(void *context, FILE *out)
{
	fprintf(out, "%s\nsecond line\n", (const char *)context);
	return true;
}

static bool run_drain(void *context, FILE *out)
{
	(void)context;
	(void)out;
	drains++;
	return true;
}

static bool run_reload(void *context, FILE *out)
{
	(void)context;
	fputs("line 3 is wrong\n", out);
	return false;
}

static const struct admin_command commands[] = {
	{"status", run_status},
	{"drain", run_drain},
	{"reload", run_reload},
};

static struct admin *start(char *message, size_t size)
{
	static char context[] = "all is well";
	return admin_start(&endpoint, commands, ARRAY_SIZE(commands), context, message, size);
}

static void set_up(void)
{
	char text[128];
	char message[256] = "";
	cr_assert(mkdtemp(directory));
	snprintf(text, sizeof(text), "unix:%s/admin", directory);
	cr_assert(endpoint_parse(text, strlen(text), false, &endpoint, NULL));
	admin = start(message, sizeof(message));
	cr_assert(admin, "%s", message);
}

static void tear_down(void)
{
	admin_stop(admin);
	rmdir(directory);
}

TestSuite(hostd_admin, .init = set_up, .fini = tear_down, .timeout = 20);

// What admin_ask printed; its return value in *status.
static char *ask(const char *command, int *status)
{
	char *text = NULL;
	size_t size;
	char message[256];
	FILE *out = open_memstream(&text, &size);
	*status = admin_ask(&endpoint, command, out, message, sizeof(message));
	fclose(out);
	return text;
}

Test(hostd_admin, runs_commands_and_returns_their_text)
{
	int status;
	char *text = ask("status", &status);
	cr_assert_eq(status, 0);
	cr_assert_str_eq(text, "all is well\nsecond line\n");
	free(text);
	text = ask("drain", &status);
	cr_assert_eq(status, 0);
	cr_assert_str_empty(text);
	cr_assert_eq(drains, 1);
	free(text);
	text = ask("reload", &status);
	cr_assert_eq(status, 1);
	cr_assert_str_eq(text, "line 3 is wrong\n");
	free(text);
	text = ask("frobnicate", &status);
	cr_assert_eq(status, 1);
	cr_assert_str_eq(text, "unknown command\n");
	free(text);
}

Test(hostd_admin, is_for_its_owner_alone)
{
	struct stat information;
	cr_assert_eq(stat(endpoint.path, &information), 0);
	cr_assert_eq(information.st_mode & 0777, 0600);
}

Test(hostd_admin, leaves_no_socket_file_behind)
{
	char message[256] = "";
	cr_assert_eq(access(endpoint.path, F_OK), 0);
	admin_stop(admin);
	cr_assert_neq(access(endpoint.path, F_OK), 0);
	admin = start(message, sizeof(message));
	cr_assert(admin, "%s", message);
}

static int dial(void)
{
	struct sockaddr_storage address;
	socklen_t length = endpoint_to_sockaddr(&endpoint, 0, &address);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	cr_assert_eq(connect(fd, (struct sockaddr *)&address, length), 0);
	return fd;
}

Test(hostd_admin, is_not_held_up_by_silent_or_talkative_clients)
{
	static const char garbage[1000];
	int clients[12];
	for (size_t i = 0; i < ARRAY_SIZE(clients); i++) {
		clients[i] = dial();
		if (i % 3 == 1)
			cr_assert_eq(send(clients[i], "stat", 4, MSG_NOSIGNAL), 4);
		if (i % 3 == 2)
			cr_assert_gt(send(clients[i], garbage, sizeof(garbage), MSG_NOSIGNAL), 0);
	}
	int status;
	char *text = ask("status", &status);
	cr_assert_eq(status, 0);
	free(text);
	// The rest of a command may come later, and its end may be the end of input.
	cr_assert_eq(send(clients[1], "us", 2, MSG_NOSIGNAL), 2);
	shutdown(clients[1], SHUT_WR);
	char answer[16] = "";
	cr_assert_eq(recv(clients[1], answer, 3, MSG_WAITALL), 3);
	cr_assert_str_eq(answer, "ok\n");
	// A silent one is closed in the end.
	cr_assert_eq(recv(clients[0], answer, sizeof(answer), 0), 0);
	for (size_t i = 0; i < ARRAY_SIZE(clients); i++)
		close(clients[i]);
}

Test(hostd_admin, answers_all_of_more_clients_than_it_serves_at_once)
{
	int clients[30];
	for (size_t i = 0; i < ARRAY_SIZE(clients); i++) {
		clients[i] = dial();
		cr_assert_eq(send(clients[i], "drain\n", 6, MSG_NOSIGNAL), 6);
	}
	for (size_t i = 0; i < ARRAY_SIZE(clients); i++) {
		char answer[16];
		cr_assert_eq(recv(clients[i], answer, sizeof(answer), MSG_WAITALL), 3);
		close(clients[i]);
	}
	cr_assert_eq(drains, ARRAY_SIZE(clients));
}

static double processor_seconds(void)
{
	struct timespec time;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

Test(hostd_admin, rests_while_there_is_no_descriptor_for_a_client)
{
	struct rlimit room;
	struct rlimit none;
	int client = dial();
	char answer[16];
	cr_assert_eq(getrlimit(RLIMIT_NOFILE, &room), 0);
	none = room;
	none.rlim_cur = 3;
	cr_assert_eq(send(client, "drain\n", 6, MSG_NOSIGNAL), 6);
	cr_assert_eq(recv(client, answer, sizeof(answer), MSG_WAITALL), 3);
	close(client);
	client = dial();
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	double used = processor_seconds();
	sleep(1);
	used = processor_seconds() - used;
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &room), 0);
	cr_assert_eq(send(client, "drain\n", 6, MSG_NOSIGNAL), 6);
	cr_assert_eq(recv(client, answer, sizeof(answer), MSG_WAITALL), 3);
	close(client);
	cr_assert_lt(used, 0.3);
}

static void *await_hangup(void *client)
{
	struct pollfd polled = {.fd = *(int *)client};
	char *is_left = calloc(1, 1);
	poll(&polled, 1, -1);
	*is_left = access(endpoint.path, F_OK) == 0;
	return is_left;
}

// A client that is in the backlog hears of the close.
Test(hostd_admin, removes_its_socket_file_before_the_name_is_free)
{
	int clients[20];
	pthread_t watcher;
	void *is_left;
	char message[256] = "";
	for (size_t i = 0; i < ARRAY_SIZE(clients); i++)
		clients[i] = dial();
	cr_assert_eq(pthread_create(&watcher, NULL, await_hangup, &clients[19]), 0);
	admin_stop(admin);
	pthread_join(watcher, &is_left);
	cr_assert_eq(*(char *)is_left, 0);
	free(is_left);
	for (size_t i = 0; i < ARRAY_SIZE(clients); i++)
		close(clients[i]);
	admin = start(message, sizeof(message));
	cr_assert(admin, "%s", message);
}

Test(hostd_admin, does_not_take_a_socket_that_is_in_use)
{
	char message[256] = "";
	cr_assert_null(start(message, sizeof(message)));
	cr_assert(strstr(message, endpoint.path), "%s", message);
	int status;
	char *text = ask("status", &status);
	cr_assert_eq(status, 0);
	free(text);
}

Test(hostd_admin, says_which_socket_nobody_answers_at)
{
	struct endpoint nobody = endpoint;
	char message[256] = "";
	strcat(nobody.path, ".nobody");
	nobody.path_length += strlen(".nobody");
	cr_assert_eq(admin_ask(&nobody, "status", stdout, message, sizeof(message)), 3);
	cr_assert(strstr(message, nobody.path), "%s", message);
	admin_stop(NULL);
}
