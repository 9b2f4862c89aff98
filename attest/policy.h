// SPDX-License-Identifier: MIT
// What a verified document must say to be accepted: a file in the line format of wire/conf.h.
//
//	release NAME               begins a set of PCRs; a document must match all of one release
//	  pcr0 HEX                 (indented) 96 hex digits; pcr0 to pcr31
//	pcr8 HEX                   not indented: required whatever the release
//	nonce HEX                  compared in constant time
//	user_data HEX | sha256:HEX the value itself or its SHA-256
//	public_key HEX | sha256:HEX
//	platform nitro-enclave...  nitro-enclave, named-root; none named: whatever root is trusted
//	partition aws...           aws, aws-us-gov; none named: any. A named root has none
//	debug allow                debug enclaves, whose PCR0, 1 and 2 are zero, are not refused
//	max-age 5m                 from the document's timestamp to the time of verification
#ifndef AIRLOCK_ATTEST_POLICY_H
#define AIRLOCK_ATTEST_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/compiler.h"
#include "wire/conf.h"

#define POLICY_NAME_MAX 64 // bytes of a release's name

struct policy;

// Returns NULL with *error filled (conf_error_format prints it): unknown words, values of the wrong
// length, an expected PCR of zeros only, a release without PCRs, a directive or a name twice, and a
// file that expects no PCR at all unless it allows debug (it then accepts debug enclaves alone).
// Free with policy_free.
struct policy *policy_parse(const char *text, size_t length, struct conf_error *error) MUST_CHECK;
void policy_free(struct policy *policy);

// From max-age, in milliseconds; 0 when the policy has none.
uint64_t policy_max_age(const struct policy *policy);
bool policy_allows_debug(const struct policy *policy);

#endif
