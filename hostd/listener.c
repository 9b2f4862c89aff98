// SPDX-License-Identifier: MIT
#include "hostd/listener.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/vm_sockets.h>

#include "wire/stream.h"

#define LISTENER_BACKLOG 4096 // of each port; the kernel clamps it to net.core.somaxconn

static bool endpoint_has_file(const struct endpoint *endpoint)
{
	return endpoint->transport == ENDPOINT_UNIX && endpoint->path_length &&
	       endpoint->path[0] != '\0';
}

static bool socket_is_at(
	const struct listener_socket *socket, const struct endpoint *endpoint, uint32_t index)
{
	const struct endpoint *own = &socket->endpoint;

	if (own->transport != endpoint->transport)
		return false;
	if (own->transport == ENDPOINT_VSOCK)
		return own->cid == endpoint->cid &&
		       own->port_first + socket->index == endpoint->port_first + index;
	return own->path_length == endpoint->path_length &&
	       !memcmp(own->path, endpoint->path, own->path_length);
}

static void socket_release(struct listener_socket *socket)
{
	if (atomic_fetch_sub(&socket->references, 1) != 1)
		return;
	// Before the close: afterwards the name may already be another daemon's.
	if (endpoint_has_file(&socket->endpoint))
		unlink(socket->endpoint.path);
	close(socket->fd);
	free(socket);
}

static struct listener_socket *socket_open(const struct listen *listen, uint32_t index, int *error)
{
	struct listener_socket *socket = calloc(1, sizeof(*socket));

	if (!socket) {
		*error = -ENOMEM;
		return NULL;
	}
	socket->endpoint = listen->endpoint;
	socket->index = index;
	atomic_init(&socket->references, 1);
	socket->fd = stream_listen(&listen->endpoint, index, LISTENER_BACKLOG, listen->mode);
	if (socket->fd < 0) {
		*error = socket->fd;
		free(socket);
		return NULL;
	}
	return socket;
}

static struct listener_socket *socket_take_over(
	const struct listener_set *previous, const struct listen *listen, uint32_t index)
{
	for (size_t at = 0; previous && at < previous->count; at++) {
		struct listener_socket *socket = previous->listeners[at].socket;

		if (!socket_is_at(socket, &listen->endpoint, index))
			continue;
		atomic_fetch_add(&socket->references, 1);
		if (endpoint_has_file(&listen->endpoint))
			(void)chmod(listen->endpoint.path, listen->mode);
		return socket;
	}
	return NULL;
}

static int listener_set_add(struct listener_set *set, const struct listener_set *previous,
	const struct listen *listen, uint32_t index)
{
	int error = 0;
	struct listener_socket *socket = socket_take_over(previous, listen, index);

	if (!socket)
		socket = socket_open(listen, index, &error);
	if (!socket)
		return error;
	set->listeners[set->count++] = (struct listener){.socket = socket, .cid = listen->cid};
	return 0;
}

static struct listener_set *listener_set_create(const struct config *config)
{
	size_t count = 0;
	struct listener_set *set;

	for (size_t at = 0; at < config->listen_count; at++)
		count += endpoint_count(&config->listens[at].endpoint);
	set = calloc(1, sizeof(*set) + count * sizeof(set->listeners[0]));
	if (set)
		atomic_init(&set->references, 1);
	return set;
}

struct listener_set *listener_set_open(const struct config *config,
	const struct listener_set *previous, char *message, size_t size)
{
	struct listener_set *set = listener_set_create(config);

	if (!set) {
		snprintf(message, size, "out of memory for the listeners");
		return NULL;
	}
	for (size_t at = 0; at < config->listen_count; at++) {
		const struct listen *listen = &config->listens[at];

		for (uint32_t index = 0; index < endpoint_count(&listen->endpoint); index++) {
			char text[ENDPOINT_TEXT_SIZE];
			int error = listener_set_add(set, previous, listen, index);

			if (!error)
				continue;
			snprintf(message, size, "cannot listen on %s: %s%s",
				endpoint_format(&listen->endpoint, text), strerror(-error),
				(error == -EACCES || error == -EPERM) &&
						listen->endpoint.transport == ENDPOINT_VSOCK
					? " (a container's seccomp profile may forbid AF_VSOCK)"
					: "");
			listener_set_release(set);
			return NULL;
		}
	}
	return set;
}

struct listener_set *listener_set_hold(struct listener_set *set)
{
	atomic_fetch_add(&set->references, 1);
	return set;
}

void listener_set_release(struct listener_set *set)
{
	if (!set || atomic_fetch_sub(&set->references, 1) != 1)
		return;
	for (size_t at = 0; at < set->count; at++)
		socket_release(set->listeners[at].socket);
	free(set);
}

int listener_accept(const struct listener *listener, uint32_t *cid)
{
	struct sockaddr_vm peer = {0};
	socklen_t length = sizeof(peer);
	bool is_vsock = listener->socket->endpoint.transport == ENDPOINT_VSOCK;
	int fd = accept4(listener->socket->fd, is_vsock ? (struct sockaddr *)&peer : NULL,
		is_vsock ? &length : NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd < 0)
		return -errno;
	*cid = is_vsock ? peer.svm_cid : listener->cid;
	return fd;
}
