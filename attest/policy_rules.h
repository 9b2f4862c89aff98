// SPDX-License-Identifier: MIT
// A policy taken apart (policy.c), for policy_check.c.
#ifndef AIRLOCK_ATTEST_POLICY_RULES_H
#define AIRLOCK_ATTEST_POLICY_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "attest/document.h"
#include "attest/policy.h"

#define POLICY_RELEASES_MAX 1024
#define POLICY_HASH_SIZE    32 // SHA-256

struct policy_pcrs {
	uint32_t expected; // bit n: PCR n must be as here
	uint8_t values[DOCUMENT_PCRS][DOCUMENT_PCR_SIZE];
};

struct policy_release {
	char name[POLICY_NAME_MAX + 1];
	struct policy_pcrs pcrs;
};

struct policy_value {
	bool is_set;
	bool is_hash; // data is the SHA-256 of what is expected
	size_t length;
	uint8_t data[DOCUMENT_FIELD_MAX];
};

struct policy {
	struct policy_pcrs common;
	size_t release_count;
	struct policy_release *releases;
	struct policy_value nonce, user_data, public_key;
	unsigned platforms, partitions; // bit n: the value n of the enum; 0: any
	bool allows_debug;
	uint64_t max_age; // milliseconds, 0: none
};

#endif
