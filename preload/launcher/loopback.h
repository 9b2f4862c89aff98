// SPDX-License-Identifier: MIT
// An enclave's init leaves the interface `lo` down; programs that talk to themselves over 127.0.0.1
// need it.
#ifndef AIRLOCK_LAUNCHER_LOOPBACK_H
#define AIRLOCK_LAUNCHER_LOOPBACK_H

#include "wire/compiler.h"

// Returns 1 when lo is up, 0 when it is down, or -errno.
int loopback_is_up(void) MUST_CHECK;

// Returns 0, or -errno: -EPERM without CAP_NET_ADMIN.
int loopback_raise(void) MUST_CHECK;

#endif
