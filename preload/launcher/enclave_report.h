// SPDX-License-Identifier: MIT
// Telling whoever started the enclave that it is up: the heartbeat that nitro-cli waits for.
#ifndef AIRLOCK_LAUNCHER_ENCLAVE_REPORT_H
#define AIRLOCK_LAUNCHER_ENCLAVE_REPORT_H

#include "wire/compiler.h"
#include "wire/endpoint.h"

// Connects to endpoint, sends the byte 0xb7 and waits for it to come back, as nitro-cli's own init
// does (init/init.c in aws-nitro-enclaves-sdk-bootstrap). Tries again until five seconds are over.
// Returns 0, -ENETUNREACH nobody listens there, -ETIMEDOUT no answer, -EPROTO another answer,
// -ECONNRESET closed without one, or another -errno.
int enclave_report(const struct endpoint *endpoint) MUST_CHECK;

#endif
