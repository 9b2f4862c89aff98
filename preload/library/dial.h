// SPDX-License-Identifier: MIT
// Turning a TCP socket into a stream, and back.
#ifndef AIRLOCK_PRELOAD_DIAL_H
#define AIRLOCK_PRELOAD_DIAL_H

#include "preload/library/target.h"
#include "preload/shared/socket_table.h"
#include "wire/compiler.h"

// Opens a stream for the target, sends its request and puts it behind fd, an unconnected TCP
// socket. *entry is then the stream's, PENDING. Does not wait for the destination. Returns 0 or
// -errno with fd unchanged: -ENETUNREACH when hostd or airlock-tls cannot be reached, -ENOBUFS when
// no descriptor is to be had, -EBADF when fd was closed meanwhile.
int dial_replace(int fd, const struct target *target, struct socket_entry **entry) MUST_CHECK;

// Puts a fresh TCP socket with the recorded options behind fd, as after connect(AF_UNSPEC) or a
// connect() that reported its failure. Returns 0 or -errno with fd unchanged: -EBADF when fd is not
// the entry's stream any more.
int dial_dissolve(int fd, struct socket_entry *entry) MUST_CHECK;

#endif
