// SPDX-License-Identifier: MIT
// A simulated NSM, without its socket: requests in, responses out.
#ifndef AIRLOCK_ATTEST_SIMULATED_NSM_H
#define AIRLOCK_ATTEST_SIMULATED_NSM_H

#include <stddef.h>
#include <stdint.h>

#include "attest/nsm_message.h"
#include "attest/simulated_bank.h"
#include "attest/simulated_pki.h"

struct simulated_nsm {
	struct simulated_bank bank;
	struct simulated_pki *pki; // the caller's
};

// Answers whatever came, always: what is no request gets {"Error": "InvalidOperation"}, one of more
// than NSM_REQUEST_MAX bytes (length says how many there were, of which data holds at most that)
// "InputTooLarge". Returns the response's size.
size_t simulated_nsm_answer(struct simulated_nsm *nsm, const void *data, size_t length,
	uint8_t response[static NSM_RESPONSE_MAX]);

#endif
