// SPDX-License-Identifier: MIT
// One thread, one poll set: an eventfd that ends it, the listener, and a few clients, each with a
// deadline, so that a silent one delays nobody. A command is run as soon as its newline (or the end
// of input) is there; the answer is small and is written with a send timeout. Whom there is no
// descriptor for stays in the backlog, and the listener unwatched for a moment.
#include "hostd/admin.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "wire/clock.h"
#include "wire/stream.h"

#define MAX_CLIENTS  16 // more wait in the backlog
#define BACKLOG      16
#define COMMAND_SIZE 64
#define CLIENT_TIME  2000  // ms for a client to say its command, and to take the answer
#define ANSWER_TIME  10000 // ms that a client waits for the daemon
#define ACCEPT_PAUSE 100   // ms

struct client {
	int fd;
	uint64_t deadline; // ms
	size_t length;
	char command[COMMAND_SIZE];
};

struct admin {
	struct endpoint endpoint;
	const struct admin_command *commands;
	size_t command_count;
	void *context;
	int listener;
	int stop; // eventfd
	pthread_t thread;
	struct client clients[MAX_CLIENTS];
	size_t client_count;
	uint64_t accepts_from; // ms: until then there was no room for another descriptor
};

// ---------------------------------------------------------------- answers

static void send_all(int fd, const char *text, size_t length)
{
	while (length > 0) {
		ssize_t sent = send(fd, text, length, MSG_NOSIGNAL);
		if (sent < 0 && errno == EINTR)
			continue;
		if (sent <= 0)
			return; // gone, or too slow: it is its own answer
		text += sent;
		length -= (size_t)sent;
	}
}

static bool run_command(struct admin *admin, const char *name, FILE *out)
{
	for (size_t i = 0; i < admin->command_count; i++) {
		if (strcmp(admin->commands[i].name, name) == 0)
			return admin->commands[i].run(admin->context, out);
	}
	fputs("unknown command\n", out);
	return false;
}

static void answer(struct admin *admin, const struct client *client, const char *name)
{
	char *text = NULL;
	size_t length = 0;
	FILE *out = open_memstream(&text, &length);
	if (!out)
		return;
	bool has_worked = run_command(admin, name, out);
	if (fclose(out) == 0) {
		const char *head = has_worked ? "ok\n" : "error\n";
		send_all(client->fd, head, strlen(head));
		send_all(client->fd, text, length);
	}
	free(text);
}

// ---------------------------------------------------------------- clients

static void accept_client(struct admin *admin)
{
	// Blocking, with timeouts: what cannot be sent within them is not wanted.
	int fd = accept4(admin->listener, NULL, NULL, SOCK_CLOEXEC);
	if (fd < 0) {
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
			admin->accepts_from = clock_now_ms() + ACCEPT_PAUSE;
		return;
	}
	struct timeval limit = {.tv_sec = CLIENT_TIME / 1000};
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	admin->clients[admin->client_count++] =
		(struct client){.fd = fd, .deadline = clock_now_ms() + CLIENT_TIME};
}

// Returns false when the client is done with.
static bool serve_client(struct admin *admin, struct client *client)
{
	size_t room = sizeof(client->command) - 1 - client->length;
	ssize_t got = recv(client->fd, client->command + client->length, room, MSG_DONTWAIT);
	if (got < 0)
		return errno == EAGAIN || errno == EINTR;
	client->length += (size_t)got;
	client->command[client->length] = '\0';
	char *end = memchr(client->command, '\n', client->length);
	bool is_whole = end || got == 0;
	if (end)
		*end = '\0';
	if (is_whole)
		answer(admin, client, client->command);
	return !is_whole && client->length < sizeof(client->command) - 1;
}

static void drop_client(struct admin *admin, size_t index)
{
	close(admin->clients[index].fd);
	admin->clients[index] = admin->clients[--admin->client_count];
}

// Backwards, because the last client takes a dropped one's place.
static void serve_clients(struct admin *admin, const struct pollfd *polled)
{
	uint64_t now = clock_now_ms();
	for (size_t i = admin->client_count; i-- > 0;) {
		struct client *client = &admin->clients[i];
		bool is_staying = now < client->deadline;
		if (polled[i].revents)
			is_staying = serve_client(admin, client) && is_staying;
		if (!is_staying)
			drop_client(admin, i);
	}
}

static int time_to_deadline(const struct admin *admin, uint64_t now)
{
	int shortest = admin->accepts_from > now ? (int)(admin->accepts_from - now) : -1;
	for (size_t i = 0; i < admin->client_count; i++) {
		uint64_t deadline = admin->clients[i].deadline;
		int left = deadline > now ? (int)(deadline - now) : 0;
		if (shortest < 0 || left < shortest)
			shortest = left;
	}
	return shortest;
}

static void *run_admin(void *data)
{
	enum { STOP, LISTENER, CLIENTS };
	struct admin *admin = data;
	for (;;) {
		uint64_t now = clock_now_ms();
		bool has_room = admin->client_count < MAX_CLIENTS && now >= admin->accepts_from;
		struct pollfd polled[CLIENTS + MAX_CLIENTS] = {
			[STOP] = {.fd = admin->stop, .events = POLLIN},
			[LISTENER] = {.fd = has_room ? admin->listener : -1, .events = POLLIN},
		};
		for (size_t i = 0; i < admin->client_count; i++)
			polled[CLIENTS + i] =
				(struct pollfd){.fd = admin->clients[i].fd, .events = POLLIN};
		poll(polled, CLIENTS + admin->client_count, time_to_deadline(admin, now));
		if (polled[STOP].revents)
			return NULL;
		serve_clients(admin, polled + CLIENTS);
		if (polled[LISTENER].revents)
			accept_client(admin);
	}
}

// ---------------------------------------------------------------- life

// Signals belong to the thread that waits for them: this one is born with all of them blocked.
static int start_thread(struct admin *admin)
{
	sigset_t all;
	sigset_t before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int error = pthread_create(&admin->thread, NULL, run_admin, admin);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -error;
}

// The file first: afterwards the name may already be another daemon's.
static void close_listener(const struct admin *admin)
{
	unlink(admin->endpoint.path);
	close(admin->listener);
}

static int open_admin(struct admin *admin)
{
	admin->listener = stream_listen(&admin->endpoint, 0, BACKLOG, 0600);
	if (admin->listener < 0)
		return admin->listener;
	admin->stop = eventfd(0, EFD_CLOEXEC);
	int error = admin->stop < 0 ? -errno : start_thread(admin);
	if (error < 0) {
		if (admin->stop >= 0)
			close(admin->stop);
		close_listener(admin);
	}
	return error;
}

struct admin *admin_start(const struct endpoint *endpoint, const struct admin_command *commands,
	size_t count, void *context, char *message, size_t size)
{
	char text[ENDPOINT_TEXT_SIZE];
	struct admin *admin = calloc(1, sizeof(*admin));
	int error = -ENOMEM;
	if (admin) {
		admin->endpoint = *endpoint;
		admin->commands = commands;
		admin->command_count = count;
		admin->context = context;
		error = open_admin(admin);
	}
	if (error == 0)
		return admin;
	snprintf(message, size, "admin socket %s: %s", endpoint_format(endpoint, text),
		strerror(-error));
	free(admin);
	return NULL;
}

void admin_stop(struct admin *admin)
{
	if (!admin)
		return;
	uint64_t one = 1;
	ssize_t written = write(admin->stop, &one, sizeof(one)); // the counter is 0: it fits
	(void)written;
	pthread_join(admin->thread, NULL);
	while (admin->client_count > 0)
		drop_client(admin, 0);
	close(admin->stop);
	close_listener(admin);
	free(admin);
}

// ---------------------------------------------------------------- the client's side

static int open_client(const struct endpoint *endpoint)
{
	struct sockaddr_storage address;
	socklen_t length = endpoint_to_sockaddr(endpoint, 0, &address);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	struct timeval limit = {.tv_sec = ANSWER_TIME / 1000};
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	if (connect(fd, (struct sockaddr *)&address, length) == 0)
		return fd;
	int error = -errno;
	close(fd);
	return error;
}

// The answer's first line decides; the text after it is copied. Returns an exit code, or -errno.
static int copy_answer(FILE *in, FILE *out)
{
	char line[256];
	if (!fgets(line, sizeof(line), in))
		return ferror(in) ? -errno : -EPIPE;
	bool has_worked = strcmp(line, "ok\n") == 0;
	if (!has_worked && strcmp(line, "error\n") != 0)
		return -EPROTO;
	while (fgets(line, sizeof(line), in))
		fputs(line, out);
	return ferror(in) ? -errno : has_worked ? 0 : 1;
}

int admin_ask(
	const struct endpoint *endpoint, const char *command, FILE *out, char *message, size_t size)
{
	enum { CANNOT_ASK = 3 };
	char text[ENDPOINT_TEXT_SIZE];
	char line[COMMAND_SIZE];
	int fd = open_client(endpoint);
	int result = fd;
	if (fd >= 0) {
		FILE *in = fdopen(fd, "r");
		snprintf(line, sizeof(line), "%s\n", command);
		send_all(fd, line, strlen(line));
		result = in ? copy_answer(in, out) : -ENOMEM;
		if (in)
			fclose(in);
		else
			close(fd);
	}
	if (result >= 0)
		return result;
	snprintf(message, size, "%s: %s", endpoint_format(endpoint, text), strerror(-result));
	return CANNOT_ASK;
}
