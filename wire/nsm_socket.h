// SPDX-License-Identifier: MIT
// The socket of a simulated NSM, for those who ask it (airlock-attest, libairlock.so) and for the
// one that answers. It is a SOCK_SEQPACKET socket, which keeps packets apart, so there is no
// framing: one packet is one request of at most NSM_REQUEST_MAX bytes, and is answered by one
// packet of at most NSM_RESPONSE_MAX, on the same connection and in the same order. An empty packet
// is not a request. The bytes are the genuine device's (attest/nsm_message.h). Functions here are
// async-signal-safe.
#ifndef AIRLOCK_WIRE_NSM_SOCKET_H
#define AIRLOCK_WIRE_NSM_SOCKET_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "wire/compiler.h"
#include "wire/endpoint.h"

#define NSM_REQUEST_MAX  4096  // what the device takes; longer is EMSGSIZE
#define NSM_RESPONSE_MAX 12288 // the device cuts longer ones off without an error
#define NSM_TIMEOUT      120   // seconds; the driver gives up with ETIMEDOUT then

#define NSM_DEVICE "/dev/nsm"

// The device's only ioctl, _IOWR(0x0A, 0, struct nsm_raw), and its argument (linux/nsm.h since
// Linux 6.8).
#define NSM_IOCTL 0xC0200A00u

struct nsm_ioctl {
	uint64_t request; // addresses and bytes
	uint64_t request_length;
	uint64_t response;
	uint64_t response_length; // in: room; out: what was written
};

// A connected, blocking, close-on-exec socket whose calls give up after NSM_TIMEOUT. Returns the
// fd, which the caller closes, or -errno; -EPROTOTYPE when another kind of server listens there.
int nsm_socket_dial(const struct endpoint *endpoint) MUST_CHECK;

// Asks on a connection that nobody else uses meanwhile. Returns the answer's length, of which at
// most size bytes were stored in response; or -errno: -EFAULT for memory that is not there,
// -ETIMEDOUT, -EIO when the other side has closed.
ssize_t nsm_socket_ask(
	int fd, const void *request, size_t request_length, void *response, size_t size) MUST_CHECK;

#endif
