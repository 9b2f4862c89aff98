// SPDX-License-Identifier: MIT
// A connection to a Nitro Security Module: /dev/nsm, or the socket of a simulated one.
#ifndef AIRLOCK_ATTEST_NSM_H
#define AIRLOCK_ATTEST_NSM_H

#include <stdbool.h>
#include <stddef.h>

#include "attest/error.h"
#include "attest/nsm_message.h"
#include "wire/compiler.h"

struct nsm;

// name is a device's path or unix:PATH. The device serves its callers one at a time and a call
// takes milliseconds: keep the connection. Free with nsm_close. NULL with *error filled (DEVICE).
struct nsm *nsm_open(const char *name, struct attest_error *error);
void nsm_close(struct nsm *nsm);

// Asks and decodes. *response's views stay valid until the next call on this nsm. An {"Error"}
// response is a failure (DEVICE, its text as the message), as is an answer to another command than
// the one asked.
bool nsm_call(struct nsm *nsm, const struct nsm_request *request, struct nsm_response *response,
	struct attest_error *error) MUST_CHECK;

#endif
