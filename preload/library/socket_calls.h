// SPDX-License-Identifier: MIT
// The calls that ask about or change a socket without moving data, as programs see them: on a
// stream they answer what TCP would.
#ifndef AIRLOCK_PRELOAD_SOCKET_CALLS_H
#define AIRLOCK_PRELOAD_SOCKET_CALLS_H

#include <sys/socket.h>

int airlock_getpeername(int fd, struct sockaddr *address, socklen_t *length);
int airlock_getsockname(int fd, struct sockaddr *address, socklen_t *length);
int airlock_shutdown(int fd, int how);
int airlock_ioctl(int fd, unsigned long request, void *argument);

int airlock_dup(int fd);
int airlock_dup2(int fd, int target);
int airlock_dup3(int fd, int target, int flags);

// argument is whatever the command takes, in the width of a register.
int airlock_fcntl(int fd, int command, unsigned long argument);

#endif
