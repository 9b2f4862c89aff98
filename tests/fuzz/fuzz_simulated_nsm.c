// SPDX-License-Identifier: MIT
// Any packets, one after the other: each is answered with what a client can read, no locked
// register changes or opens, and documents are well formed. The input is packets of two bytes of
// length and as many bytes.
#include "attest/simulated_nsm.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
	if (!condition)
		abort();
}

static void check_locks(const struct simulated_bank *before, const struct simulated_bank *after)
{
	for (size_t i = 0; i < DOCUMENT_PCRS; i++) {
		require(!before->is_locked[i] || after->is_locked[i]);
		require(!before->is_locked[i] ||
			memcmp(before->values[i], after->values[i], DOCUMENT_PCR_SIZE) == 0);
	}
}

static void check_answer(const uint8_t *answer, size_t length)
{
	struct nsm_response response;
	struct document document;

	require(length > 0 && length <= NSM_RESPONSE_MAX);
	require(nsm_response_decode(answer, length, &response, NULL));
	if (response.command == NSM_ATTESTATION)
		require(document_parse(response.data.data, response.data.length, &document, NULL));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct simulated_nsm nsm;
	static uint8_t answer[NSM_RESPONSE_MAX];

	if (!nsm.pki)
		nsm.pki = simulated_pki_open(NULL, NULL);
	require(nsm.pki != NULL);
	simulated_bank_boot(&nsm.bank);
	while (size >= 2) {
		size_t length = (size_t)data[0] << 8 | data[1];
		struct simulated_bank before = nsm.bank;

		data += 2;
		size -= 2;
		if (length > size)
			length = size;
		check_answer(answer, simulated_nsm_answer(&nsm, data, length, answer));
		check_locks(&before, &nsm.bank);
		data += length;
		size -= length;
	}
	return 0;
}
