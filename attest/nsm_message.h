// SPDX-License-Identifier: MIT
// The NSM's requests and responses in CBOR, both ways round: a client encodes requests and decodes
// responses, the simulated NSM the reverse. Pure. Encoding is by libcbor's builders; decoding by
// cbor_reader.h, lenient about definite and indefinite maps and strict about all else.
// Source: aws-nitro-enclaves-nsm-api (serde's external tagging) and drivers/misc/nsm.c.
#ifndef AIRLOCK_ATTEST_NSM_MESSAGE_H
#define AIRLOCK_ATTEST_NSM_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "attest/bytes.h"
#include "attest/document.h"
#include "attest/error.h"
#include "wire/compiler.h"
#include "wire/nsm_socket.h"

#define NSM_RANDOM_MAX 256 // bytes of one GetRandom

enum nsm_command {
	NSM_DESCRIBE_NSM = 1,
	NSM_GET_RANDOM,
	NSM_DESCRIBE_PCR,
	NSM_EXTEND_PCR,
	NSM_LOCK_PCR,
	NSM_LOCK_PCRS,
	NSM_ATTESTATION,
};

struct nsm_request {
	enum nsm_command command;
	uint16_t index;                            // DescribePCR, ExtendPCR, LockPCR
	uint16_t range;                            // LockPCRs: PCRs 0 to range - 1
	struct bytes data;                         // ExtendPCR
	struct bytes user_data, nonce, public_key; // Attestation; absent is null, empty is not
};

struct nsm_response {
	enum nsm_command command; // which it answers; 0 with error set
	char error[64];           // {"Error": text}; empty when it is none
	struct {
		uint16_t version_major, version_minor, version_patch;
		char module_id[128];
		uint16_t max_pcrs;
		size_t locked_count;
		uint16_t locked_pcrs[DOCUMENT_PCRS];
		char digest[16]; // "SHA384"
	} describe;
	bool is_locked; // DescribePCR
	struct bytes
		data; // DescribePCR, ExtendPCR: the PCR; GetRandom: random; Attestation: document
};

// Encode. Return the bytes written to out, or 0 when they do not fit (or are out of memory).
size_t nsm_request_encode(const struct nsm_request *request, uint8_t *out, size_t size);
size_t nsm_response_encode(const struct nsm_response *response, uint8_t *out, size_t size);

// Decode. Views point into data.
bool nsm_request_decode(const void *data, size_t length, struct nsm_request *request,
	struct attest_error *error) MUST_CHECK;
bool nsm_response_decode(const void *data, size_t length, struct nsm_response *response,
	struct attest_error *error) MUST_CHECK;

#endif
