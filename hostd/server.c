// SPDX-License-Identifier: MIT
// The first thread does nothing but wait for signals, which every thread has blocked; so no code
// runs in a signal handler. The admin socket's verbs raise the same signals. What changes for the
// workers is put into struct shared, then they are woken.
#include "hostd/server.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "hostd/log.h"
#include "hostd/notify.h"
#include "hostd/worker.h"

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
	}
	old_listeners = shared->listeners;
	shared->listeners = listeners;
	pthread_mutex_unlock(&shared->lock);
	server_wake_workers(server);
	if (old_config)
		config_release(old_config);
	listener_set_release(old_listeners);
}

static void server_reload(struct server *server)
{
	char message[SERVER_MESSAGE];
	struct config *config;
	struct listener_set *listeners = NULL;

	notify_service_manager("RELOADING=1");
	config = config_load(server->config_path, message, sizeof(message));
	if (config)
		listeners = listener_set_open(
			config, server->shared.listeners, message, sizeof(message));
	if (listeners) {
		server_publish(server, config, listeners);
		statistics_add(&server->statistics.reloads, 1);
		log_message(LOG_LEVEL_INFO, "reloaded %s", server->config_path);
	} else {
		log_message(LOG_LEVEL_ERROR, "reload refused, the old configuration stays: %s",
			message);
		if (config)
			config_release(config);
	}
	notify_service_manager("READY=1");
}

static bool server_start_workers(struct server *server)
{
	char message[SERVER_MESSAGE];
	unsigned wanted = server->shared.config->workers;

	if (!wanted)
		wanted = count_processors();
	if (wanted > SERVER_MAX_WORKERS)
		wanted = SERVER_MAX_WORKERS;
	for (unsigned at = 0; at < wanted; at++) {
		struct worker *worker = worker_start(&server->shared, at, message, sizeof(message));

		if (!worker) {
			log_message(LOG_LEVEL_ERROR, "%s", message);
			return false;
		}
		server->workers[server->worker_count++] = worker;
	}
	return true;
}

static bool server_create(struct server *server, struct config *config)
{
	char message[SERVER_MESSAGE];
	struct shared *shared = &server->shared;

	pthread_mutex_init(&shared->lock, NULL);
	shared->config = config;
	shared->statistics = &server->statistics;
	shared->outcomes = outcomes_create();
	shared->limits = limits_create();
	if (!shared->outcomes || !shared->limits) {
		log_message(LOG_LEVEL_ERROR, "out of memory");
		return false;
	}
	shared->listeners = listener_set_open(config, NULL, message, sizeof(message));
	if (!shared->listeners) {
		log_message(LOG_LEVEL_ERROR, "%s", message);
		return false;
	}
	return server_start_workers(server);
}

// Closes what is open and waits for the workers.
static void server_destroy(struct server *server)
{
	struct shared *shared = &server->shared;

	atomic_store(&shared->is_stopping, true);
	server_publish(server, NULL, NULL);
	for (unsigned at = 0; at < server->worker_count; at++)
		worker_join(server->workers[at]);
	if (shared->limits)
		limits_destroy(shared->limits);
	if (shared->outcomes)
		outcomes_destroy(shared->outcomes);
	config_release(shared->config);
	pthread_mutex_destroy(&shared->lock);
}

static uint64_t server_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

// Until every worker is without sessions, the deadline, or a second signal to end.
static void server_drain(struct server *server)
{
	static const struct timespec look = {.tv_nsec = SERVER_DRAIN_LOOK * 1000000};
	uint64_t deadline = server_now() + server->shared.config->drain_timeout;

	notify_service_manager("STOPPING=1");
	log_message(LOG_LEVEL_INFO, "draining for at most %lu ms",
		server->shared.config->drain_timeout);
	atomic_store(&server->statistics.is_draining, true);
	atomic_store(&server->shared.is_draining, true);
	server_publish(server, NULL, NULL);
	while (atomic_load(&server->shared.running) && server_now() < deadline) {
		int number = sigtimedwait(&server->signals, NULL, &look);

		if (number == SIGTERM || number == SIGINT)
			return;
	}
}

static void server_wait(struct server *server)
{
	for (;;) {
		int number = sigwaitinfo(&server->signals, NULL);

		if (number == SIGHUP)
			server_reload(server);
		else if (number > 0)
			break;
	}
	server_drain(server);
}

int server_run(struct config *config, const char *config_path)
{
	struct server *server = calloc(1, sizeof(*server));
	bool has_started;

	if (!server) {
		config_release(config);
		return 3;
	}
	server->config_path = config_path;
	raise_descriptor_limit();
	server_block_signals(server);
	has_started = server_create(server, config);
	if (has_started) {
		log_message(LOG_LEVEL_INFO, "airlock-hostd %s runs with %u workers",
			AIRLOCK_VERSION, server->worker_count);
		notify_service_manager("READY=1");
		server_wait(server);
		log_message(LOG_LEVEL_INFO, "ended");
	}
	server_destroy(server);
	free(server);
	return has_started ? 0 : 3;
}
