// SPDX-License-Identifier: MIT
// Theory of operation: one epoll set. Its data is a part, a slot and the slot's generation, never a
// pointer, so that an event for a stream that ended earlier in the same batch is recognised; slots
// are given to others only between batches. Each turn: events, streams that had more to do,
// deadlines.
//
// SIGTERM drains: a program that has written, closed and ended trusts the system to deliver, so its
// stream goes on for at most DRAIN_TIMEOUT. All others are closed. The listener goes first, so that
// who connects meanwhile is refused at once and another airlock-tls can take its place.
#include "preload/tls/tls_server.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utlist.h>

#include "preload/tls/tls_log.h"
#include "preload/tls/tls_stream.h"
#include "wire/clock.h"
#include "wire/stream.h"

#define BACKLOG       4096
#define BATCH         128   // events
#define ACCEPTS       64    // in a turn
#define DRAIN_TIMEOUT 10000 // ms
#define PATIENCE      1000  // ms between two looks at the clock, or at a listener that had failed
#define SOCKET_MODE   0666  // every program of the enclave is served
#define MAX_INDEX     0xffffffu
#define LOCK_TRIES    100
#define LOCK_PAUSE    10000 // µs

static uint64_t pack(enum tls_part part, uint32_t index, uint32_t generation)
{
	return (uint64_t)part << 56 | (uint64_t)(index & MAX_INDEX) << 32 | generation;
}

static int watch(struct tls_server *server, int fd, uint32_t events, uint64_t data, int operation)
{
	struct epoll_event event = {.events = events, .data.u64 = data};

	return epoll_ctl(server->epoll, operation, fd, &event) < 0 ? -errno : 0;
}

int tls_server_watch(struct tls_server *server, const struct tls_stream *stream, enum tls_part part,
	int fd, uint32_t events, bool again)
{
	return watch(server, fd, events | EPOLLET, pack(part, stream->index, stream->generation),
		again ? EPOLL_CTL_MOD : EPOLL_CTL_ADD);
}

void tls_server_make_ready(struct tls_stream *stream)
{
	struct tls_server *server = stream->server;

	if (stream->is_ready)
		return;
	stream->is_ready = true;
	DL_APPEND2(server->ready, stream, prev_ready, next_ready);
}

// --- accepting

static void pause_listener(struct tls_server *server, int error)
{
	tls_log_message(SETTINGS_LOG_ERROR, "cannot accept: %s", strerror(error));
	if (watch(server, server->listener, 0, 0, EPOLL_CTL_DEL) < 0)
		return;
	server->is_paused = true;
	server->resume_at = server->memory.now + PATIENCE;
}

static int watch_listener(struct tls_server *server)
{
	return watch(
		server, server->listener, EPOLLIN, pack(TLS_PART_LISTENER, 0, 0), EPOLL_CTL_ADD);
}

void tls_server_resume(struct tls_server *server)
{
	if (server->is_paused && watch_listener(server) == 0)
		server->is_paused = false;
}

static void accept_some(struct tls_server *server)
{
	for (int i = 0; i < ACCEPTS && server->listener >= 0; i++) {
		int fd = accept4(server->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0 && (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED))
			return;
		if (fd < 0) {
			pause_listener(server, errno);
			return;
		}
		tls_stream_begin(server, fd);
	}
}

// --- the loop

static void close_listener(struct tls_server *server)
{
	const struct endpoint *listen = &server->settings->tls_listen;

	if (server->listener < 0)
		return;
	if (listen->path[0] != '\0')
		(void)unlink(listen->path);
	close(server->listener);
	server->listener = -1;
}

// Only streams that programs have left bytes on may go on.
static void begin_stop(struct tls_server *server)
{
	struct signalfd_siginfo signal;
	ssize_t length = read(server->signals, &signal, sizeof(signal));

	if (length != sizeof(signal) || server->must_stop)
		return;
	server->must_stop = true;
	server->stop_at = server->memory.now + DRAIN_TIMEOUT;
	server->is_paused = false;
	close_listener(server);
	for (size_t i = 0; i < server->slot_count; i++) {
		struct tls_stream *stream = server->slots[i];

		if (stream->state != TLS_STREAM_FREE && stream->state != TLS_STREAM_ENDED &&
			!tls_stream_has_left_bytes(stream))
			tls_stream_close(stream, NULL);
	}
}

static void handle_event(struct tls_server *server, const struct epoll_event *event)
{
	enum tls_part part = (enum tls_part)(event->data.u64 >> 56);
	uint32_t index = (uint32_t)(event->data.u64 >> 32) & MAX_INDEX;
	struct tls_stream *stream;

	if (part == TLS_PART_LISTENER) {
		accept_some(server);
		return;
	}
	if (part == TLS_PART_SIGNALS) {
		begin_stop(server);
		return;
	}
	if (part == TLS_PART_ATTESTERS) {
		tls_attest_on_finished(server);
		return;
	}
	stream = server->slots[index];
	if (stream->generation == (uint32_t)event->data.u64)
		tls_stream_handle_event(stream, part, event->events);
}

// Those that are ready now; what they make ready waits for the next turn.
static void run_ready(struct tls_server *server)
{
	struct tls_stream *stream;
	size_t count;

	DL_COUNT2(server->ready, stream, count, next_ready);
	while (count-- > 0 && server->ready) {
		stream = server->ready;
		DL_DELETE2(server->ready, stream, prev_ready, next_ready);
		stream->is_ready = false;
		tls_stream_run(stream);
	}
}

static void run_deadlines(struct tls_server *server)
{
	struct deadline *due;

	while ((due = deadlines_take(server->deadlines, TLS_DEADLINE_COUNT, server->memory.now)) !=
		NULL)
		tls_stream_handle_deadline(
			(struct tls_stream *)((char *)due - offsetof(struct tls_stream, deadline)));
}

static void free_ended(struct tls_server *server)
{
	while (server->ended) {
		struct tls_stream *stream = server->ended;

		server->ended = stream->next;
		stream->state = TLS_STREAM_FREE;
		stream->next = server->spare;
		server->spare = stream;
	}
}

static int wait_time(const struct tls_server *server)
{
	int wait = server->ready
			   ? 0
			   : deadlines_wait(server->deadlines, TLS_DEADLINE_COUNT, clock_now_ms());

	if ((server->must_stop || server->is_paused) && (wait < 0 || wait > PATIENCE))
		return PATIENCE;
	return wait;
}

static bool is_done(const struct tls_server *server)
{
	return server->must_stop && (!server->live || server->memory.now >= server->stop_at);
}

int tls_server_run(struct tls_server *server)
{
	struct epoll_event events[BATCH];

	while (!is_done(server)) {
		int count = epoll_wait(server->epoll, events, BATCH, wait_time(server));

		if (count < 0 && errno != EINTR)
			return -errno;
		server->memory.now = clock_now_ms();
		for (int i = 0; i < count; i++)
			handle_event(server, &events[i]);
		run_ready(server);
		run_deadlines(server);
		free_ended(server);
		// What was lacking may have been somebody else's to give back.
		if (server->memory.now >= server->resume_at)
			tls_server_resume(server);
	}
	return 0;
}

// --- beginning and end

static int open_signals(struct tls_server *server)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	server->signals = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (server->signals < 0)
		return -errno;
	return watch(server, server->signals, EPOLLIN, pack(TLS_PART_SIGNALS, 0, 0), EPOLL_CTL_ADD);
}

// Of two that begin to listen on one path in the same instant, as those of programs that start at
// once do, stream_listen lets both, one of them out of reach. So they take turns. Nobody is waited
// for long: who else can read the directory can lock it too.
static int lock_directory(const struct endpoint *listen)
{
	char path[sizeof(listen->path) + 1] = "";
	int fd;

	if (listen->path[0] == '\0')
		return -1; // an abstract name is nobody else's from bind(2) on
	memcpy(path, listen->path, listen->path_length);
	fd = open(dirname(path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (int i = 0; fd >= 0 && i < LOCK_TRIES && flock(fd, LOCK_EX | LOCK_NB) < 0; i++)
		(void)usleep(LOCK_PAUSE);
	return fd;
}

static int open_listener(struct tls_server *server)
{
	const struct endpoint *listen = &server->settings->tls_listen;
	char endpoint[ENDPOINT_TEXT_SIZE];
	int lock = lock_directory(listen);
	int fd = stream_listen(listen, 0, BACKLOG, SOCKET_MODE);

	if (lock >= 0)
		close(lock);
	server->listener = fd;
	if (fd < 0) {
		tls_log_message(SETTINGS_LOG_ERROR, "cannot listen at %s: %s",
			endpoint_format(listen, endpoint), strerror(-fd));
		return fd;
	}
	return watch_listener(server);
}

static int open_attesters(struct tls_server *server)
{
	int error = tls_attest_open(server);

	if (error || server->attesters_wake < 0)
		return error;
	return watch(server, server->attesters_wake, EPOLLIN, pack(TLS_PART_ATTESTERS, 0, 0),
		EPOLL_CTL_ADD);
}

int tls_server_open(struct tls_server *server, const struct settings *settings)
{
	int error;

	memset(server, 0, sizeof(*server));
	server->settings = settings;
	server->listener = server->signals = server->attesters_wake = -1;
	server->memory.now = clock_now_ms();
	server->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (server->epoll < 0)
		return -errno;
	error = trust_load(&server->trust, settings);
	if (!error)
		error = open_attesters(server);
	if (!error)
		error = open_signals(server);
	if (!error)
		error = open_listener(server);
	return error;
}

int tls_server_start(struct tls_server *server)
{
	return tls_attest_start(server);
}

static void close_streams(struct tls_server *server)
{
	for (size_t i = 0; i < server->slot_count; i++) {
		struct tls_stream *stream = server->slots[i];

		if (stream->state != TLS_STREAM_FREE && stream->state != TLS_STREAM_ENDED)
			tls_stream_close(stream, NULL);
	}
	for (size_t i = 0; i < server->slot_count; i++)
		free(server->slots[i]);
	free(server->slots);
}

void tls_server_close(struct tls_server *server)
{
	close_streams(server);
	close_listener(server);
	if (server->signals >= 0)
		close(server->signals);
	close(server->epoll);
	tls_attest_close(server);
	tls_outcomes_clear(&server->outcomes);
	tickets_clear(&server->memory.tickets);
	queue_pool_destroy(&server->memory.pool);
	trust_clear(&server->trust);
}
