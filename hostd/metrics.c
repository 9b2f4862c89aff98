// SPDX-License-Identifier: MIT
// Scrapers are few and may be strangers: connections are limited in number, in memory and in time,
// and no request body is ever taken.
#include "hostd/metrics.h"

#include <errno.h>
#include <inttypes.h>
#include <microhttpd.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define MAX_CONNECTIONS   64    // more wait in the backlog
#define CONNECTION_TIME   5u    // seconds without progress
#define CONNECTION_MEMORY 32768 // bytes: a longer request head is refused

struct metrics {
	struct MHD_Daemon *daemon;
	struct statistics *statistics;
};

// ---------------------------------------------------------------- the text

struct counter {
	const char *name;
	const char *help;
	size_t offset; // of an atomic_uint_fast64_t in struct statistics
};

#define COUNTER(field, name, help)                                                                 \
	{                                                                                          \
		name, help, offsetof(struct statistics, field)                                     \
	}

static const struct counter counters[] = {
	COUNTER(streams_accepted, "airlock_streams_accepted_total",
		"Streams accepted from enclaves, refused ones included."),
	COUNTER(streams_granted, "airlock_streams_granted_total",
		"Streams whose destination was reached."),
	COUNTER(control_requests, "airlock_control_requests_total",
		"Control requests of all kinds."),
	COUNTER(bytes_up, "airlock_bytes_up_total", "Bytes from enclaves to destinations."),
	COUNTER(bytes_down, "airlock_bytes_down_total", "Bytes from destinations to enclaves."),
	COUNTER(resolver_failures, "airlock_resolver_failures_total",
		"Name lookups that gave no address."),
	COUNTER(accept_pauses, "airlock_accept_pauses_total",
		"Times that accepting stopped for want of descriptors or memory."),
	COUNTER(unknown_cids, "airlock_unknown_cids_total",
		"Streams from CIDs that no enclave lists."),
	COUNTER(malformed, "airlock_malformed_requests_total",
		"Requests that were no requests, or came too late."),
	COUNTER(reloads, "airlock_reloads_total", "Configurations that took effect by a reload."),
};

static void print_head(const char *name, const char *kind, const char *help, FILE *out)
{
	fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind);
}

static void print_counters(struct statistics *statistics, FILE *out)
{
	for (size_t i = 0; i < ARRAY_SIZE(counters); i++) {
		atomic_uint_fast64_t *value =
			(atomic_uint_fast64_t *)(void *)((char *)statistics + counters[i].offset);
		print_head(counters[i].name, "counter", counters[i].help, out);
		fprintf(out, "%s %" PRIuFAST64 "\n", counters[i].name,
			atomic_load_explicit(value, memory_order_relaxed));
	}
}

static void print_ended(struct statistics *statistics, FILE *out)
{
	static const char name[] = "airlock_streams_ended_total";
	print_head(name, "counter", "Connect requests that ended, by outcome class.", out);
	for (int class = 0; class < STATISTICS_CLASSES; class ++)
		fprintf(out, "%s{class=\"%s\"} %" PRIuFAST64 "\n", name,
			outcome_class_name((enum outcome_class) class),
			atomic_load_explicit(
				&statistics->streams_ended[class], memory_order_relaxed));
}

static void print_gauge(const char *name, const char *help, int_fast64_t value, FILE *out)
{
	print_head(name, "gauge", help, out);
	fprintf(out, "%s %" PRIdFAST64 "\n", name, value);
}

void metrics_print(struct statistics *statistics, FILE *out)
{
	print_counters(statistics, out);
	print_ended(statistics, out);
	print_gauge("airlock_streams_open", "Streams accepted and not yet closed.",
		atomic_load_explicit(&statistics->streams_open, memory_order_relaxed), out);
	print_gauge("airlock_streams_relaying", "Open streams that reached their destination.",
		atomic_load_explicit(&statistics->streams_relaying, memory_order_relaxed), out);
	print_gauge("airlock_draining", "1 while hostd lets its last streams end.",
		atomic_load_explicit(&statistics->is_draining, memory_order_relaxed), out);
	print_head("airlock_build_info", "gauge", "1, with the version.", out);
	fputs("airlock_build_info{version=\"" AIRLOCK_VERSION "\"} 1\n", out);
}

// ---------------------------------------------------------------- HTTP

static enum MHD_Result reply(struct MHD_Connection *connection, unsigned status, const char *type,
	char *text, size_t length, enum MHD_ResponseMemoryMode mode)
{
	struct MHD_Response *response = MHD_create_response_from_buffer(length, text, mode);
	if (!response) {
		if (mode == MHD_RESPMEM_MUST_FREE)
			free(text);
		return MHD_NO;
	}
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
		MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
	enum MHD_Result result = MHD_queue_response(connection, status, response);
	MHD_destroy_response(response);
	return result;
}

static enum MHD_Result reply_word(
	struct MHD_Connection *connection, unsigned status, const char *word)
{
	char text[32];
	int length = snprintf(text, sizeof(text), "%s\n", word);
	return reply(connection, status, "text/plain; charset=utf-8", text, (size_t)length,
		MHD_RESPMEM_MUST_COPY);
}

static enum MHD_Result reply_metrics(struct MHD_Connection *connection, struct metrics *metrics)
{
	char *text = NULL;
	size_t length = 0;
	FILE *out = open_memstream(&text, &length);
	if (!out)
		return MHD_NO;
	metrics_print(metrics->statistics, out);
	if (fclose(out) != 0) {
		free(text);
		return MHD_NO;
	}
	return reply(connection, MHD_HTTP_OK, "text/plain; version=0.0.4; charset=utf-8", text,
		length, MHD_RESPMEM_MUST_FREE);
}

static enum MHD_Result answer(void *data, struct MHD_Connection *connection, const char *url,
	const char *method, const char *version, const char *body, size_t *body_size, void **state)
{
	(void)version;
	(void)body;
	(void)body_size;
	(void)state;
	struct metrics *metrics = data;
	bool is_reading = strcmp(method, MHD_HTTP_METHOD_GET) == 0 ||
			  strcmp(method, MHD_HTTP_METHOD_HEAD) == 0;
	if (!is_reading)
		return reply_word(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "GET only");
	if (strcmp(url, "/metrics") == 0)
		return reply_metrics(connection, metrics);
	if (strcmp(url, "/healthz") == 0)
		return reply_word(connection, MHD_HTTP_OK, "ok");
	if (strcmp(url, "/readyz") != 0)
		return reply_word(connection, MHD_HTTP_NOT_FOUND, "not found");
	bool is_draining =
		atomic_load_explicit(&metrics->statistics->is_draining, memory_order_relaxed);
	return is_draining ? reply_word(connection, MHD_HTTP_SERVICE_UNAVAILABLE, "draining")
			   : reply_word(connection, MHD_HTTP_OK, "ready");
}

// The library's own words (about a client's bad request, for example) are not for our log.
static void swallow_message(void *data, const char *format, va_list arguments)
{
	(void)data;
	(void)format;
	(void)arguments;
}

// The library's thread is born with every signal blocked: signals belong to the thread that waits
// for them.
static struct MHD_Daemon *start_daemon(
	struct metrics *metrics, const struct address *address, uint16_t port)
{
	struct sockaddr_storage storage;
	sigset_t all;
	sigset_t before;
	unsigned flags = MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL | MHD_USE_ERROR_LOG;
	if (address->family == ADDRESS_IPV6)
		flags |= MHD_USE_IPv6;
	address_to_sockaddr(address, port, &storage);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	struct MHD_Daemon *daemon = MHD_start_daemon(flags, port, NULL, NULL, answer, metrics,
		MHD_OPTION_EXTERNAL_LOGGER, swallow_message, NULL, MHD_OPTION_SOCK_ADDR,
		(struct sockaddr *)&storage, MHD_OPTION_CONNECTION_LIMIT, (unsigned)MAX_CONNECTIONS,
		MHD_OPTION_CONNECTION_TIMEOUT, CONNECTION_TIME, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
		(size_t)CONNECTION_MEMORY, MHD_OPTION_END);
	int error = errno;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	errno = error;
	return daemon;
}

struct metrics *metrics_start(const struct address *address, uint16_t port,
	struct statistics *statistics, char *message, size_t size)
{
	char text[ADDRESS_TEXT_SIZE];
	struct metrics *metrics = calloc(1, sizeof(*metrics));
	errno = metrics ? 0 : ENOMEM;
	if (metrics) {
		metrics->statistics = statistics;
		metrics->daemon = start_daemon(metrics, address, port);
		if (metrics->daemon)
			return metrics;
	}
	snprintf(message, size, "metrics on %s port %u: %s", address_format(address, text), port,
		errno ? strerror(errno) : "cannot start");
	free(metrics);
	return NULL;
}

void metrics_stop(struct metrics *metrics)
{
	if (!metrics)
		return;
	MHD_stop_daemon(metrics->daemon);
	free(metrics);
}
