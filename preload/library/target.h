// SPDX-License-Identifier: MIT
// Where a connect wants to go, and who takes it there.
#ifndef AIRLOCK_PRELOAD_TARGET_H
#define AIRLOCK_PRELOAD_TARGET_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "wire/address.h"
#include "wire/compiler.h"
#include "wire/endpoint.h"

enum target_verdict {
	TARGET_TO_KERNEL, // a local route, or an address that the kernel is to refuse
	TARGET_DIAL,
	TARGET_DENIED,   // EACCES
	TARGET_NAMELESS, // a pool address that was never handed out: ENETUNREACH
};

struct target {
	int domain;          // of the address
	struct address peer; // an IPv4-mapped one is IPv4; the unspecified one is loopback
	uint16_t port;
	const char *name;                // behind a pool address, else NULL
	const struct endpoint *endpoint; // TARGET_DIAL: hostd or airlock-tls
	bool is_tls;
};

// address is a copy of the program's. Fills *target and decides. Async-signal-safe.
enum target_verdict target_decide(
	const struct sockaddr_storage *address, socklen_t length, struct target *target);

// "name:port" or "address:port" for logs, cut to size. Returns text.
const char *target_format(const struct target *target, char *text, size_t size);

#endif
