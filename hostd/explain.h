// SPDX-License-Identifier: MIT
// What the configuration answers to a destination, in words: `airlock-hostd explain CID HOST:PORT`.
// Asks the same policy as the daemon, and neither the daemon nor a name server.
#ifndef AIRLOCK_HOSTD_EXPLAIN_H
#define AIRLOCK_HOSTD_EXPLAIN_H

#include <stdio.h>

#include "hostd/config.h"
#include "wire/compiler.h"

// destination: NAME:PORT, IPv4:PORT or [IPv6]:PORT. Writes the answer to out, or why the words make
// no question to errors. Returns the process's exit code: 0 allowed, 1 denied, 2 usage.
int explain_destination(const struct config *config, const char *cid, const char *destination,
	FILE *out, FILE *errors) MUST_CHECK;

#endif
