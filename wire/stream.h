// SPDX-License-Identifier: MIT
// The one file of wire/ that does I/O on streams: opening and accepting them and working the gate,
// over vsock and over the unix stand-in. wire/README.md explains the gate and where its numbers
// come from. Errors are returned as -errno; errno itself may be overwritten.
#ifndef AIRLOCK_WIRE_STREAM_H
#define AIRLOCK_WIRE_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/compiler.h"
#include "wire/endpoint.h"
#include "wire/request.h"

// A single transmission into a vsock stream is at most this many bytes: larger packets leave newer
// guest kernels in several descriptors, which some hypervisors do not reassemble.
#define STREAM_VSOCK_MAX_SEND 31744

#define STREAM_GATE_SIZE       1024u // a vsock listener's receive allowance: one request
#define STREAM_HOST_WINDOW     (8u * 1024 * 1024) // hostd's receive allowance once granted
#define STREAM_ENCLAVE_WINDOW  (1536u * 1024)     // the opener's
#define STREAM_CONNECT_TIMEOUT 2000               // ms; vsock's own default, set explicitly

// --- the opener's side

// Opens a stream to a random port of endpoint: socket(), buffer sizes, connect(). The socket is
// non-blocking, close-on-exec and numbered 3 or more. A full backlog or a dead peer (ECONNRESET,
// ECONNREFUSED, ENOENT, EAGAIN) is tried again after about 2, 5, 15 and 40 ms, then given up with
// -ENETUNREACH; a vsock peer that does not answer is -ETIMEDOUT. Returns the fd, or -errno
// (-EMFILE, -ENFILE, -EACCES when socket(AF_VSOCK) is forbidden, ...).
int stream_dial(const struct endpoint *endpoint) MUST_CHECK;

// One attempt of stream_dial that does not wait, for event loops: when the fd becomes writable,
// stream_finish_dial tells what came of it. Returns the fd, or -errno.
int stream_begin_dial(const struct endpoint *endpoint) MUST_CHECK;

// Returns 0 when fd, which has become writable, is connected; otherwise -errno.
int stream_finish_dial(int fd) MUST_CHECK;

// Whether another attempt may succeed where one gave that -errno: a full backlog and a listener
// that is being restarted look alike.
bool stream_is_worth_another_try(int result);

// Arms the gate and sends the whole request: afterwards the fd is not writable until hostd opens
// the gate or closes. Stores the SO_SNDBUF to restore in *send_buffer (bytes as setsockopt takes
// them; 0 on vsock, where there is nothing to restore). A stream without room waits at most
// STREAM_CONNECT_TIMEOUT, then -ETIMEDOUT.
int stream_send_request(int fd, enum endpoint_transport transport,
	const uint8_t request[static REQUEST_SIZE], int *send_buffer) MUST_CHECK;

// After the opener saw writability: undo what arming did to SO_SNDBUF. A no-op for send_buffer 0.
void stream_restore_send_buffer(int fd, int send_buffer);

// The zero-byte send. Returns 0 while the other side has not closed altogether, -EPIPE when it
// has; never raises SIGPIPE, never blocks, sends nothing.
int stream_probe(int fd) MUST_CHECK;

// --- the acceptor's side

// A non-blocking, close-on-exec listener on port_first + index. On vsock the gate's receive
// allowance is set, which accepted sockets inherit. On unix a stale socket file (nobody listens) is
// replaced, a live one is -EADDRINUSE; mode is the new file's permission bits.
int stream_listen(
	const struct endpoint *endpoint, uint32_t index, int backlog, unsigned mode) MUST_CHECK;

// The request without consuming it: returns the number of bytes there (at most REQUEST_SIZE), 0 at
// EOF, -EAGAIN, or another -errno.
int stream_peek_request(int fd, uint8_t request[static REQUEST_SIZE]) MUST_CHECK;

// Whether bytes wait behind the request, which must not have been consumed: the opener has no gate.
bool stream_has_more_than_request(int fd) MUST_CHECK;

// Grants: gives the stream its full window, then consumes the request, which makes the opener
// writable. The whole request must have been peeked before; -EPROTO when it is not there.
int stream_open_gate(int fd, enum endpoint_transport transport) MUST_CHECK;

// Refusing is close(fd) with the request unread, after the outcome has been stored. Never shutdown.

#endif
