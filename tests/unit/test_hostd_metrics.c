// SPDX-License-Identifier: MIT
#include <criterion/criterion.h>

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "hostd/metrics.h"

static struct statistics statistics;
static struct address loopback;
static uint16_t port;

// A port that was free a moment ago.
static uint16_t find_port(void)
{
	struct sockaddr_storage address;
	socklen_t length = address_to_sockaddr(&loopback, 0, &address);
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	struct address bound;
	uint16_t number;
	cr_assert_eq(bind(fd, (struct sockaddr *)&address, length), 0);
	length = sizeof(address);
	cr_assert_eq(getsockname(fd, (struct sockaddr *)&address, &length), 0);
	cr_assert(address_from_sockaddr((struct sockaddr *)&address, length, &bound, &number));
	close(fd);
	return number;
}

static struct metrics *start(void)
{
	char message[256] = "";
	cr_assert(address_parse("127.0.0.1", 9, &loopback, NULL));
	port = find_port();
	struct metrics *metrics =
		metrics_start(&loopback, port, &statistics, message, sizeof(message));
	cr_assert(metrics, "%s", message);
	return metrics;
}

// The whole answer to one request, NUL terminated.
static const char *ask(const char *request)
{
	static char answer[16384];
	struct sockaddr_storage address;
	socklen_t address_length = address_to_sockaddr(&loopback, port, &address);
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	cr_assert_eq(connect(fd, (struct sockaddr *)&address, address_length), 0);
	cr_assert_eq(send(fd, request, strlen(request), MSG_NOSIGNAL), (ssize_t)strlen(request));
	size_t length = 0;
	ssize_t got;
	while ((got = recv(fd, answer + length, sizeof(answer) - 1 - length, 0)) > 0)
		length += (size_t)got;
	answer[length] = '\0';
	close(fd);
	return answer;
}

#define GET(path) ask("GET " path " HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")

static int status_of(const char *answer)
{
	int status = 0;
	cr_assert_eq(sscanf(answer, "HTTP/1.1 %d", &status), 1, "%s", answer);
	return status;
}

Test(hostd_metrics, prints_every_counter_with_its_type)
{
	static const char *const lines[] = {
		"# TYPE airlock_streams_accepted_total counter\nairlock_streams_accepted_total 1\n",
		"\nairlock_streams_granted_total 2\n",
		"\nairlock_control_requests_total 3\n",
		"\nairlock_bytes_up_total 18446744073709551615\n",
		"\nairlock_bytes_down_total 5\n",
		"\nairlock_resolver_failures_total 6\n",
		"\nairlock_accept_pauses_total 7\n",
		"\nairlock_unknown_cids_total 8\n",
		"\nairlock_malformed_requests_total 9\n",
		"\nairlock_reloads_total 10\n",
		"# TYPE airlock_streams_ended_total counter\n",
		"\nairlock_streams_ended_total{class=\"none\"} 0\n",
		"\nairlock_streams_ended_total{class=\"timed-out\"} 11\n",
		"\nairlock_streams_ended_total{class=\"internal\"} 0\n",
		"# TYPE airlock_streams_open gauge\nairlock_streams_open 12\n",
		"\nairlock_streams_relaying -1\n",
		"\nairlock_draining 1\n",
		"\nairlock_build_info{version=\"",
	};
	statistics.streams_accepted = 1;
	statistics.streams_granted = 2;
	statistics.control_requests = 3;
	statistics.bytes_up = UINT64_MAX;
	statistics.bytes_down = 5;
	statistics.resolver_failures = 6;
	statistics.accept_pauses = 7;
	statistics.unknown_cids = 8;
	statistics.malformed = 9;
	statistics.reloads = 10;
	statistics.streams_ended[OUTCOME_TIMED_OUT] = 11;
	statistics.streams_open = 12;
	statistics.streams_relaying = -1;
	statistics.is_draining = true;
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	metrics_print(&statistics, out);
	fclose(out);
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
		cr_expect(strstr(text, lines[i]), "no `%s' in\n%s", lines[i], text);
	free(text);
}

Test(hostd_metrics, serves_metrics_health_and_readiness)
{
	struct metrics *metrics = start();
	statistics.bytes_down = 4711;
	const char *answer = GET("/metrics");
	cr_expect_eq(status_of(answer), 200);
	cr_expect(strstr(answer, "Content-Type: text/plain; version=0.0.4"), "%s", answer);
	cr_expect(strstr(answer, "\nairlock_bytes_down_total 4711\n"), "%s", answer);
	cr_expect_eq(status_of(GET("/healthz")), 200);
	cr_expect_eq(status_of(GET("/readyz")), 200);
	statistics.is_draining = true;
	cr_expect_eq(status_of(GET("/healthz")), 200);
	cr_expect_eq(status_of(GET("/readyz")), 503);
	metrics_stop(metrics);
}

Test(hostd_metrics, refuses_other_paths_and_methods)
{
	struct metrics *metrics = start();
	cr_expect_eq(status_of(GET("/")), 404);
	cr_expect_eq(status_of(GET("/metrics/")), 404);
	cr_expect_eq(status_of(GET("/../metrics")), 404);
	const char *answer = ask("POST /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n"
				 "Connection: close\r\n\r\nabc");
	cr_expect_eq(status_of(answer), 405);
	cr_expect(strstr(answer, "Allow: GET, HEAD"), "%s", answer);
	answer = ask("HEAD /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
	cr_expect_eq(status_of(answer), 200);
	cr_expect_not(strstr(answer, "airlock_"), "%s", answer);
	metrics_stop(metrics);
}

Test(hostd_metrics, says_why_it_cannot_listen)
{
	struct metrics *metrics = start();
	char message[256] = "";
	cr_assert_null(metrics_start(&loopback, port, &statistics, message, sizeof(message)));
	cr_assert(strstr(message, "127.0.0.1 port") && strstr(message, "in use"), "%s", message);
	metrics_stop(metrics);
	metrics_stop(NULL);
}
