// SPDX-License-Identifier: MIT
// A message that decodes must come back the same from its own encoding, as a request and as a
// response.
#include "attest/nsm_message.h"

#include <stdlib.h>
#include <string.h>

// Decoding accepts optional fields that are not there, which encoding writes as null.
#define ROOM (NSM_RESPONSE_MAX + 64)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
	if (!condition)
		abort();
}

static void require_same(struct bytes a, struct bytes b)
{
	require(!a.data == !b.data && a.length == b.length);
	require(a.length == 0 || memcmp(a.data, b.data, a.length) == 0);
}

static void check_request(const uint8_t *data, size_t size)
{
	static uint8_t wire[ROOM], wire_again[ROOM];
	struct nsm_request request, again;
	struct attest_error error = {0};
	size_t length;

	if (!nsm_request_decode(data, size, &request, &error)) {
		require(error.fault == ATTEST_FAULT_MALFORMED && error.message[0]);
		require(error.offset <= size);
		return;
	}
	length = nsm_request_encode(&request, wire, sizeof(wire));
	require(length > 0);
	if (length > NSM_REQUEST_MAX)
		return;
	require(nsm_request_decode(wire, length, &again, &error));
	require(request.command == again.command && request.index == again.index);
	require(request.range == again.range);
	require_same(request.data, again.data);
	require_same(request.user_data, again.user_data);
	require_same(request.nonce, again.nonce);
	require_same(request.public_key, again.public_key);
	require(nsm_request_encode(&again, wire_again, sizeof(wire_again)) == length);
	require(memcmp(wire, wire_again, length) == 0);
}

static void require_same_description(const struct nsm_response *a, const struct nsm_response *b)
{
	require(a->describe.version_major == b->describe.version_major);
	require(a->describe.version_minor == b->describe.version_minor);
	require(a->describe.version_patch == b->describe.version_patch);
	require(strcmp(a->describe.module_id, b->describe.module_id) == 0);
	require(a->describe.max_pcrs == b->describe.max_pcrs);
	require(a->describe.locked_count == b->describe.locked_count);
	require(memcmp(a->describe.locked_pcrs, b->describe.locked_pcrs,
			sizeof(a->describe.locked_pcrs)) == 0);
	require(strcmp(a->describe.digest, b->describe.digest) == 0);
}

static void check_response(const uint8_t *data, size_t size)
{
	static uint8_t wire[ROOM], wire_again[ROOM];
	struct nsm_response response, again;
	struct attest_error error = {0};
	size_t length;

	if (!nsm_response_decode(data, size, &response, &error)) {
		require(error.fault == ATTEST_FAULT_MALFORMED && error.message[0]);
		require(error.offset <= size);
		return;
	}
	require((response.command == 0) == (response.error[0] != '\0'));
	length = nsm_response_encode(&response, wire, sizeof(wire));
	require(length > 0 && length <= size);
	require(nsm_response_decode(wire, length, &again, &error));
	require(response.command == again.command && response.is_locked == again.is_locked);
	require(strcmp(response.error, again.error) == 0);
	require_same(response.data, again.data);
	require_same_description(&response, &again);
	require(nsm_response_encode(&again, wire_again, sizeof(wire_again)) == length);
	require(memcmp(wire, wire_again, length) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	check_request(data, size);
	check_response(data, size);
	return 0;
}
