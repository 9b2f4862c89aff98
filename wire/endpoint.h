// SPDX-License-Identifier: MIT
// Where streams are opened and accepted: vsock:CID:PORT[-PORT], unix:PATH, unix:@NAME.
#ifndef AIRLOCK_WIRE_ENDPOINT_H
#define AIRLOCK_WIRE_ENDPOINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "wire/compiler.h"
#include "wire/parse.h"

enum endpoint_transport {
	ENDPOINT_VSOCK = 1,
	ENDPOINT_UNIX = 2, // the stand-in
};

struct endpoint {
	enum endpoint_transport transport;
	uint32_t cid;        // vsock: a number, or VMADDR_CID_ANY for `any`
	uint32_t port_first; // vsock, both ends included
	uint32_t port_last;
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)]; // unix: @NAME has a leading NUL
	size_t path_length; // unix: bytes used, no final NUL counted
};

#define ENDPOINT_TEXT_SIZE 160
#define ENDPOINT_MAX_PORTS 1024 // a wider range is refused: a listener opens them all

// CID words: parent (3), host (2), local (1), any (listeners only: may_be_any). error may be NULL.
bool endpoint_parse(const char *text, size_t length, bool may_be_any, struct endpoint *endpoint,
	struct parse_error *error) MUST_CHECK;

// The form that endpoint_parse reads. Returns text.
const char *endpoint_format(const struct endpoint *endpoint, char text[static ENDPOINT_TEXT_SIZE]);

// How many addresses the endpoint stands for: its ports, or 1.
uint32_t endpoint_count(const struct endpoint *endpoint);

// The address of port_first + index (unix: index is ignored). Returns the length used.
socklen_t endpoint_to_sockaddr(
	const struct endpoint *endpoint, uint32_t index, struct sockaddr_storage *storage);

#endif
