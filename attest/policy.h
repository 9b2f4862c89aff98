// SPDX-License-Identifier: MIT
// What a verified document must say to be accepted: a file in the line format of wire/conf.h.
//
//	release NAME               begins a set of PCRs; a document must match all of one release
//	  pcr0 HEX                 (indented) 96 hex digits; PCR0 to PCR31
//	pcr8 HEX                   not indented: required whatever the release
//	nonce HEX                  compared in constant time
//	user_data HEX | sha256:HEX the value itself or its SHA-256
//	public_key HEX | sha256:HEX
//	platform nitro-enclave...  nitro-enclave, named-root; none named: whatever root is trusted
//	partition aws...           aws, aws-us-gov; none named: any
//	debug allow                PCR0, 1 and 2 may be zero: debug enclaves
//	max-age 5m                 from the document's timestamp to the time of verification
#ifndef AIRLOCK_ATTEST_POLICY_H
#define AIRLOCK_ATTEST_POLICY_H

#include <stdbool.h>
#include <stddef.h>

#include "wire/compiler.h"
#include "wire/conf.h"

struct policy;

// Returns NULL with *error filled (conf_error_format prints it): unknown words, values of the wrong
// length, an expected PCR of zeros only, a release without PCRs, a directive twice, and a file that
// expects no PCR at all unless it allows debug. Free with policy_free.
struct policy *policy_parse(const char *text, size_t length, struct conf_error *error) MUST_CHECK;
void policy_free(struct policy *policy);

#endif
