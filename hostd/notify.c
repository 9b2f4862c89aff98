// SPDX-License-Identifier: MIT
#include "hostd/notify.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static uint64_t notify_clock(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

// A path, or @NAME for an abstract one. Returns 0 when it is neither or does not fit.
static socklen_t notify_address(const char *text, struct sockaddr_un *address)
{
	size_t length = text ? strlen(text) : 0;

	if (length < 2 || length >= sizeof(address->sun_path) || !strchr("/@", text[0]))
		return 0;
	*address = (struct sockaddr_un){.sun_family = AF_UNIX};
	memcpy(address->sun_path, text, length);
	if (text[0] == '@')
		address->sun_path[0] = '\0';
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
}

void notify_service_manager(const char *state)
{
	struct sockaddr_un address;
	socklen_t length = notify_address(getenv("NOTIFY_SOCKET"), &address);
	char message[96];
	int fd;

	if (!length)
		return;
	snprintf(message, sizeof(message), "%s\nMONOTONIC_USEC=%" PRIu64, state, notify_clock());
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	(void)sendto(
		fd, message, strlen(message), MSG_NOSIGNAL, (struct sockaddr *)&address, length);
	close(fd);
}
