// SPDX-License-Identifier: MIT
// What a process that reads an attacker's bytes needs no longer once it runs: files, programs,
// other kinds of sockets, memory that is executed.
#ifndef AIRLOCK_TLS_SANDBOX_H
#define AIRLOCK_TLS_SANDBOX_H

#include "wire/compiler.h"
#include "wire/endpoint.h"

// Once everything is open and loaded. listen: whose socket file may be removed at the end; nothing
// else of the file system can be opened or changed afterwards, where the kernel has Landlock.
// System calls that are not listed fail with EPERM. Returns 0, or -errno: then nothing may be
// served.
int sandbox_enter(const struct endpoint *listen) MUST_CHECK;

#endif
