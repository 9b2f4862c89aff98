// SPDX-License-Identifier: MIT
// The first thread does nothing but wait for signals, which every thread has blocked; so no code
// runs in a signal handler. The admin socket's "drain" raises SIGTERM; its "reload" does in its own
// thread what SIGHUP does in this one, so that it can answer how it went. What changes for the
// workers is put into struct shared, then they are woken.
#include "hostd/server.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "hostd/admin.h"
#include "hostd/log.h"
#include "hostd/metrics.h"
#include "hostd/notify.h"
#include "hostd/worker.h"
#include "wire/clock.h"

#define SERVER_MAX_WORKERS 256
#define SERVER_MESSAGE     512
#define SERVER_DRAIN_LOOK  20 // ms between two looks whether the workers have ended

struct server {
	struct shared shared;
	struct statistics statistics;
	struct worker *workers[SERVER_MAX_WORKERS];
	unsigned worker_count;
	const char *config_path;
	sigset_t signals;
	uint64_t started_at;         // ms
	pthread_mutex_t reload_lock; // one reload at a time, and none once a drain has begun
	struct admin *admin;
	struct metrics *metrics;
};

// Each stream takes two descriptors, and the usual soft limit is 1024.
static void raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		log_message(LOG_LEVEL_WARN, "cannot raise the limit on descriptors: %s",
			strerror(errno));
}

static unsigned count_processors(void)
{
	cpu_set_t set;

	// This process's share of the processors, which a container may have cut.
	if (sched_getaffinity(0, sizeof(set), &set) < 0)
		return 1;
	return (unsigned)CPU_COUNT(&set);
}

static void server_block_signals(struct server *server)
{
	sigemptyset(&server->signals);
	sigaddset(&server->signals, SIGTERM);
	sigaddset(&server->signals, SIGINT);
	sigaddset(&server->signals, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &server->signals, NULL);
	signal(SIGPIPE, SIG_IGN);
}

static void server_wake_workers(struct server *server)
{
	for (unsigned at = 0; at < server->worker_count; at++)
		worker_wake(server->workers[at]);
}

// Puts config and listeners (either may be NULL: unchanged, none) in the place of the old ones.
static void server_publish(
	struct server *server, struct config *config, struct listener_set *listeners)
{
	struct shared *shared = &server->shared;
	struct config *old_config = NULL;
	struct listener_set *old_listeners;

	pthread_mutex_lock(&shared->lock);
	if (config) {
		old_config = shared->config;
		shared->config = config;
		log_set_level(config->log_level);
	}
	old_listeners = shared->listeners;
	shared->listeners = listeners;
	pthread_mutex_unlock(&shared->lock);
	server_wake_workers(server);
	if (old_config)
		config_release(old_config);
	listener_set_release(old_listeners);
}

// Loads and publishes. On failure the old configuration stays, and message says why.
static bool server_replace_config(struct server *server, char *message, size_t size)
{
	struct config *config;
	struct listener_set *listeners;

	if (atomic_load(&server->statistics.is_draining)) {
		snprintf(message, size, "the daemon is draining");
		return false;
	}
	config = config_load(server->config_path, message, size);
	if (!config)
		return false;
	listeners = listener_set_open(config, server->shared.listeners, message, size);
	if (!listeners) {
		config_release(config);
		return false;
	}
	server_publish(server, config, listeners);
	statistics_add(&server->statistics.reloads, 1);
	return true;
}

static bool server_reload(struct server *server, char *message, size_t size)
{
	bool is_done;

	pthread_mutex_lock(&server->reload_lock);
	notify_service_manager("RELOADING=1");
	is_done = server_replace_config(server, message, size);
	notify_service_manager("READY=1");
	pthread_mutex_unlock(&server->reload_lock);
	if (is_done)
		log_message(LOG_LEVEL_INFO, "reloaded %s", server->config_path);
	else
		log_message(LOG_LEVEL_ERROR, "reload refused, the old configuration stays: %s",
			message);
	return is_done;
}

static bool answer_status(void *context, FILE *out)
{
	struct server *server = context;
	struct statistics *statistics = &server->statistics;

	fprintf(out, "version %s\n", AIRLOCK_VERSION);
	fprintf(out, "configuration %s\n", server->config_path);
	fprintf(out, "state %s\n", atomic_load(&statistics->is_draining) ? "draining" : "running");
	fprintf(out, "uptime %ju s\n", (uintmax_t)(clock_now_ms() - server->started_at) / 1000);
	fprintf(out, "workers %u\n", server->worker_count);
	fprintf(out, "streams open %jd\n", (intmax_t)atomic_load(&statistics->streams_open));
	fprintf(out, "streams relaying %jd\n",
		(intmax_t)atomic_load(&statistics->streams_relaying));
	fprintf(out, "streams accepted %ju\n",
		(uintmax_t)atomic_load(&statistics->streams_accepted));
	fprintf(out, "bytes up %ju\n", (uintmax_t)atomic_load(&statistics->bytes_up));
	fprintf(out, "bytes down %ju\n", (uintmax_t)atomic_load(&statistics->bytes_down));
	limits_print(server->shared.limits, out);
	return true;
}

static bool answer_drain(void *context, FILE *out)
{
	(void)context;
	fputs("draining\n", out);
	return kill(getpid(), SIGTERM) == 0;
}

static bool answer_reload(void *context, FILE *out)
{
	char message[SERVER_MESSAGE];
	bool is_done = server_reload(context, message, sizeof(message));

	fprintf(out, "%s\n", is_done ? "reloaded" : message);
	return is_done;
}

static const struct admin_command admin_commands[] = {
	{"status", answer_status},
	{"drain", answer_drain},
	{"reload", answer_reload},
};

// The admin socket and /metrics, when the configuration asks for them.
static bool server_start_services(struct server *server, char *message, size_t size)
{
	const struct config *config = server->shared.config;

	if (config->admin.transport) {
		server->admin = admin_start(&config->admin, admin_commands,
			ARRAY_SIZE(admin_commands), server, message, size);
		if (!server->admin)
			return false;
	}
	if (config->metrics_address.family != ADDRESS_NONE) {
		server->metrics = metrics_start(&config->metrics_address, config->metrics_port,
			&server->statistics, message, size);
		if (!server->metrics)
			return false;
	}
	return true;
}

static bool server_start_workers(struct server *server, char *message, size_t size)
{
	unsigned wanted = server->shared.config->workers;

	if (!wanted)
		wanted = count_processors();
	if (wanted > SERVER_MAX_WORKERS)
		wanted = SERVER_MAX_WORKERS;
	for (unsigned at = 0; at < wanted; at++) {
		struct worker *worker = worker_start(&server->shared, at, message, size);

		if (!worker)
			return false;
		server->workers[server->worker_count++] = worker;
	}
	return true;
}

static bool server_create(struct server *server, struct config *config, char *message, size_t size)
{
	struct shared *shared = &server->shared;

	pthread_mutex_init(&shared->lock, NULL);
	pthread_mutex_init(&server->reload_lock, NULL);
	server->started_at = clock_now_ms();
	shared->config = config;
	log_set_level(config->log_level);
	shared->statistics = &server->statistics;
	shared->outcomes = outcomes_create();
	shared->limits = limits_create();
	shared->recent = recent_create();
	if (!shared->outcomes || !shared->limits || !shared->recent) {
		snprintf(message, size, "out of memory");
		return false;
	}
	shared->listeners = listener_set_open(config, NULL, message, size);
	if (!shared->listeners)
		return false;
	return server_start_workers(server, message, size) &&
	       server_start_services(server, message, size);
}

// Closes what is open and waits for the workers.
static void server_destroy(struct server *server)
{
	struct shared *shared = &server->shared;

	admin_stop(server->admin);
	metrics_stop(server->metrics);
	atomic_store(&shared->is_stopping, true);
	server_publish(server, NULL, NULL);
	for (unsigned at = 0; at < server->worker_count; at++)
		worker_join(server->workers[at]);
	recent_destroy(shared->recent);
	if (shared->limits)
		limits_destroy(shared->limits);
	if (shared->outcomes)
		outcomes_destroy(shared->outcomes);
	config_release(shared->config);
	pthread_mutex_destroy(&server->reload_lock);
	pthread_mutex_destroy(&shared->lock);
}

// Until every worker is without sessions, the deadline, or a second signal to end.
static void server_drain(struct server *server)
{
	static const struct timespec look = {.tv_nsec = SERVER_DRAIN_LOOK * 1000000};
	uint64_t deadline;

	pthread_mutex_lock(&server->reload_lock);
	deadline = clock_now_ms() + server->shared.config->drain_timeout;
	notify_service_manager("STOPPING=1");
	log_message(LOG_LEVEL_INFO, "draining for at most %lu ms",
		server->shared.config->drain_timeout);
	atomic_store(&server->statistics.is_draining, true);
	atomic_store(&server->shared.is_draining, true);
	server_publish(server, NULL, NULL);
	pthread_mutex_unlock(&server->reload_lock);
	while (atomic_load(&server->shared.running) && clock_now_ms() < deadline) {
		int number = sigtimedwait(&server->signals, NULL, &look);

		if (number == SIGTERM || number == SIGINT)
			return;
	}
}

static void server_wait(struct server *server)
{
	for (;;) {
		char message[SERVER_MESSAGE];
		int number = sigwaitinfo(&server->signals, NULL);

		if (number == SIGHUP)
			(void)server_reload(server, message, sizeof(message));
		else if (number > 0)
			break;
	}
	server_drain(server);
}

int server_run(struct config *config, const char *config_path)
{
	struct server *server = calloc(1, sizeof(*server));
	char message[SERVER_MESSAGE];
	bool has_started;

	if (!server) {
		config_release(config);
		return 3;
	}
	server->config_path = config_path;
	raise_descriptor_limit();
	server_block_signals(server);
	has_started = server_create(server, config, message, sizeof(message));
	if (has_started) {
		log_message(LOG_LEVEL_INFO, "airlock-hostd %s runs with %u workers",
			AIRLOCK_VERSION, server->worker_count);
		notify_service_manager("READY=1");
		server_wait(server);
		log_message(LOG_LEVEL_INFO, "ended");
	} else {
		log_message(LOG_LEVEL_ERROR, "%s", message);
	}
	server_destroy(server);
	free(server);
	return has_started ? 0 : 3;
}
