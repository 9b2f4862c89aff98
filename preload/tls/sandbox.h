// SPDX-License-Identifier: MIT
// What a process that reads an attacker's bytes needs no longer once it runs: files, programs,
// other kinds of sockets, memory that is executed.
#ifndef AIRLOCK_TLS_SANDBOX_H
#define AIRLOCK_TLS_SANDBOX_H

#include "wire/compiler.h"
#include "wire/endpoint.h"

// Where the kernel has Landlock, nothing of the file system can be opened or changed afterwards by
// this thread and those that it starts; but the socket file of listen may be removed at the end.
// Returns 0, or -errno: then nothing may be served.
int sandbox_forbid_files(const struct endpoint *listen) MUST_CHECK;

// Once everything is open and loaded, and all threads run: system calls that are not listed fail
// with EPERM, in all of them. Returns 0, or -errno as above.
int sandbox_forbid_calls(void) MUST_CHECK;

#endif
