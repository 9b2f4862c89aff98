// SPDX-License-Identifier: MIT
// The platform configuration registers of a simulated NSM.
#ifndef AIRLOCK_ATTEST_SIMULATED_BANK_H
#define AIRLOCK_ATTEST_SIMULATED_BANK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "attest/bytes.h"
#include "attest/document.h"
#include "wire/compiler.h"

#define SIMULATED_BANK_BOOT_LOCKED 16 // PCRs 0 to 15 are read-only once an enclave has booted

struct simulated_bank {
	uint8_t values[DOCUMENT_PCRS][DOCUMENT_PCR_SIZE];
	bool is_locked[DOCUMENT_PCRS];
};

// What a booted enclave has: PCR0, 1, 2 and 4 from a fixed text each (they are the image's and the
// instance's; zeros in the first three would mean a debug enclave), all others zero; 0 to 15
// locked.
void simulated_bank_boot(struct simulated_bank *bank);

// Each returns NULL, or the NSM's name for what is wrong (enum ErrorCode of
// aws-nitro-enclaves-nsm-api).

// The new value is SHA-384(old value || data).
const char *simulated_bank_extend(
	struct simulated_bank *bank, unsigned index, struct bytes data) MUST_CHECK;
// Locking what is locked is an error.
const char *simulated_bank_lock(struct simulated_bank *bank, unsigned index) MUST_CHECK;
// PCRs 0 to range - 1, of which any may be locked already.
const char *simulated_bank_lock_range(struct simulated_bank *bank, unsigned range) MUST_CHECK;

#endif
