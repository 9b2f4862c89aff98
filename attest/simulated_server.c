// SPDX-License-Identifier: MIT
// Theory of operation: one thread, one epoll set. A client is its descriptor and nothing else: a
// packet is a whole request, and its answer is sent at once or never. A client that lets answers
// pile up until its socket is full is closed, so nobody else waits for it. One packet a client a
// turn, so that a fast one does not keep others out. When descriptors or memory run out, which may
// be others' doing, the listener leaves the set until a client has gone or a while has passed, and
// newcomers wait in the backlog.
#include "attest/simulated_server.h"

#include <errno.h>
#include <libgen.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "attest/files.h"
#include "wire/nsm_socket.h"

#define BACKLOG 128 // newcomers beyond it wait in connect()
#define BATCH   64
#define PAUSE   1000 // milliseconds

struct server {
	struct simulated_nsm *nsm;
	int epoll;
	int listener;
	int signals;
	struct stat file;  // the socket's, when it has one
	bool is_paused;    // the listener is out of the set
	int64_t resume_at; // milliseconds of now(); when it is
};

// --- listening

static bool has_file(const struct endpoint *endpoint)
{
	return endpoint->path[0] != '\0';
}

// A socket file outlives its listener; connecting is refused then. It is also refused for a file
// that is no socket, which is not ours to remove.
static bool is_stale(const struct endpoint *endpoint)
{
	struct stat status;
	int fd;

	if (!has_file(endpoint) || lstat(endpoint->path, &status) < 0 || !S_ISSOCK(status.st_mode))
		return false;
	fd = nsm_socket_dial(endpoint);
	if (fd >= 0)
		close(fd);
	return fd == -ECONNREFUSED;
}

static int bind_to(int fd, const struct endpoint *endpoint)
{
	struct sockaddr_storage address;
	socklen_t length = endpoint_to_sockaddr(endpoint, 0, &address);

	if (bind(fd, (const struct sockaddr *)&address, length) == 0)
		return 0;
	if (errno != EADDRINUSE)
		return -errno;
	if (!is_stale(endpoint))
		return -EADDRINUSE;
	if (unlink(endpoint->path) < 0 && errno != ENOENT)
		return -errno;
	return bind(fd, (const struct sockaddr *)&address, length) < 0 ? -errno : 0;
}

// The mode before listen(): nobody connects while the umask's is there.
static int listen_at(const struct endpoint *endpoint, struct stat *file)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int result;

	if (fd < 0)
		return -errno;
	result = bind_to(fd, endpoint);
	if (result == 0 && has_file(endpoint) &&
		(chmod(endpoint->path, 0666) < 0 || lstat(endpoint->path, file) < 0))
		result = -errno;
	if (result == 0 && listen(fd, BACKLOG) < 0)
		result = -errno;
	if (result == 0)
		return fd;
	close(fd);
	return result;
}

// Another simulator that starts would find a socket stale that is bound and not listened at yet, or
// remove one that has just taken a stale one's place: the directory is held meanwhile. Returns its
// descriptor, or -errno.
static int lock_place(const struct endpoint *endpoint)
{
	char path[sizeof(endpoint->path)];

	strcpy(path, endpoint->path);
	return directory_lock(dirname(path));
}

// --- clients

static int watch(const struct server *server, int fd)
{
	struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

	return epoll_ctl(server->epoll, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

static int64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

static void pause_listening(struct server *server)
{
	server->is_paused = epoll_ctl(server->epoll, EPOLL_CTL_DEL, server->listener, NULL) == 0;
	server->resume_at = now() + PAUSE;
}

// Takes memory, too.
static void resume_listening(struct server *server)
{
	server->is_paused = watch(server, server->listener) < 0;
	server->resume_at = now() + PAUSE;
}

static void drop_client(struct server *server, int fd)
{
	close(fd);
	if (server->is_paused)
		resume_listening(server);
}

static void accept_client(struct server *server)
{
	int fd = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS))
		pause_listening(server);
	if (fd >= 0 && watch(server, fd) < 0)
		drop_client(server, fd);
}

// False when the client has left or deserves to.
static bool serve_request(struct server *server, int fd)
{
	uint8_t request[NSM_REQUEST_MAX], response[NSM_RESPONSE_MAX];
	ssize_t count = recv(fd, request, sizeof(request), MSG_TRUNC);
	size_t length;

	if (count < 0)
		return errno == EAGAIN || errno == EINTR;
	if (count == 0)
		return false;
	length = simulated_nsm_answer(server->nsm, request, (size_t)count, response);
	return send(fd, response, length, MSG_NOSIGNAL) == (ssize_t)length;
}

// Returns false when a signal asks for the end.
static bool handle_event(struct server *server, int fd)
{
	if (fd == server->signals)
		return false;
	if (fd == server->listener)
		accept_client(server);
	else if (!serve_request(server, fd))
		drop_client(server, fd);
	return true;
}

// --- the whole

// Each client costs a descriptor.
static void raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static int catch_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return fd < 0 ? -errno : fd;
}

// The signals before the socket, whose file none of them shall leave behind, and after the lock,
// since waiting for that is nothing that they could not end.
static int set_up_listener(struct server *server, const struct endpoint *endpoint)
{
	__attribute__((cleanup(directory_unlock))) int lock = -1;

	if (has_file(endpoint)) {
		lock = lock_place(endpoint);
		if (lock < 0)
			return lock;
	}
	server->signals = catch_signals();
	if (server->signals < 0)
		return server->signals;
	server->listener = listen_at(endpoint, &server->file);
	return server->listener < 0 ? server->listener : 0;
}

static int set_up(struct server *server, const struct endpoint *endpoint)
{
	int result;

	raise_descriptor_limit();
	result = set_up_listener(server, endpoint);
	if (result < 0)
		return result;
	server->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (server->epoll < 0)
		return -errno;
	result = watch(server, server->signals);
	return result < 0 ? result : watch(server, server->listener);
}

static void serve(struct server *server)
{
	struct epoll_event events[BATCH];
	bool is_going_on = true;

	while (is_going_on) {
		int count =
			epoll_wait(server->epoll, events, BATCH, server->is_paused ? PAUSE : -1);

		if (server->is_paused && now() >= server->resume_at)
			resume_listening(server);
		for (int i = 0; i < count && is_going_on; i++)
			is_going_on = handle_event(server, events[i].data.fd);
	}
}

// Somebody may have removed the file, and another simulator made his there.
static bool is_ours(const struct server *server, const struct endpoint *endpoint)
{
	struct stat status;

	return lstat(endpoint->path, &status) == 0 && status.st_dev == server->file.st_dev &&
	       status.st_ino == server->file.st_ino;
}

static void tear_down(const struct server *server, const struct endpoint *endpoint)
{
	const int fds[] = {server->epoll, server->listener, server->signals};

	// Before the close: afterwards the name may already be another simulator's, and the inode's
	// number another file's.
	if (server->listener >= 0 && has_file(endpoint) && is_ours(server, endpoint))
		unlink(endpoint->path);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		if (fds[i] >= 0)
			close(fds[i]);
	}
}

bool simulated_server_run(
	struct simulated_nsm *nsm, const struct endpoint *endpoint, struct attest_error *error)
{
	struct server server = {.nsm = nsm, .epoll = -1, .listener = -1, .signals = -1};
	char text[ENDPOINT_TEXT_SIZE];
	int result;

	endpoint_format(endpoint, text);
	if (endpoint->transport != ENDPOINT_UNIX)
		return attest_fail(
			error, ATTEST_FAULT_USAGE, text, ATTEST_NO_OFFSET, "not a unix endpoint");
	result = set_up(&server, endpoint);
	if (result == 0) {
		printf("listening %s\n", text);
		fflush(stdout);
		serve(&server);
	}
	tear_down(&server, endpoint);
	return result == 0 || attest_fail(error, ATTEST_FAULT_DEVICE, text, ATTEST_NO_OFFSET, "%s",
				      strerror(-result));
}
