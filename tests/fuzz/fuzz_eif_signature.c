// SPDX-License-Identifier: MIT
// A signature section: whatever is accepted lies within its buffers, and verifies for no PCR0 but
// the one that its payload names.
#include "attest/eif_signature.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
	if (!condition)
		abort();
}

static void require_within(const struct bytes *view, const uint8_t *buffer, size_t length)
{
	require(view->length <= length);
	require(view->data >= buffer && view->data + view->length <= buffer + length);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	// Not on the stack: AddressSanitizer would check nothing between its members either way.
	static struct eif_signature signature;
	static const uint8_t zeros[EIF_PCR_SIZE];
	struct attest_error error = {.fault = ATTEST_FAULT_NONE};
	struct bytes section = {data, size};

	if (!eif_signature_parse(&section, &signature, &error)) {
		require(error.fault == ATTEST_FAULT_MALFORMED);
		return 0;
	}
	require(signature.cose_length <= sizeof(signature.cose));
	require_within(&signature.protected_header, signature.cose, signature.cose_length);
	require_within(&signature.payload, signature.cose, signature.cose_length);
	require_within(&signature.value, signature.cose, signature.cose_length);
	require_within(&signature.certificate, signature.der, sizeof(signature.der));
	require(!eif_signature_verify(&signature, zeros, &error));
	require(error.fault == ATTEST_FAULT_REFUSED || error.fault == ATTEST_FAULT_MALFORMED);
	return 0;
}
