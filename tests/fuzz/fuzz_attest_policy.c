// SPDX-License-Identifier: MIT
// Any text is refused with a place inside it, or is a policy that expects something: a document
// whose PCRs are all zero keeps it only when it allows debug and expects none.
#include "attest/policy.h"

#include <stdlib.h>
#include <string.h>

#include "attest/policy_check.h"
#include "attest/policy_rules.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
	if (!condition)
		abort();
}

static void check(const struct policy *policy)
{
	static const uint8_t zeros[DOCUMENT_PCR_SIZE];
	struct document document = {.timestamp = 1};
	struct chain chain = {.platform = ATTEST_NITRO_ENCLAVE, .partition = ATTEST_AWS};
	struct verify_options options = {.policy = policy, .any_image = true};
	struct attest_error error = {0};
	const char *release;

	for (size_t i = 0; i < DOCUMENT_PCRS; i++)
		document.pcrs[i] = zeros;
	if (policy_check(&options, &document, &chain, &release, &error)) {
		require(policy_allows_debug(policy) && policy->common.expected == 0);
		require(policy->release_count == 0 && !release);
	} else {
		require(error.check == 18 && error.fault == ATTEST_FAULT_REFUSED);
	}
	for (size_t i = 0; i < policy->release_count; i++)
		require(policy->releases[i].pcrs.expected != 0 && policy->releases[i].name[0]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct conf_error error = {0};
	struct policy *policy = policy_parse((const char *)data, size, &error);

	if (policy)
		check(policy);
	else
		require(error.line >= 1 && error.column >= 1 && error.reason[0] != '\0');
	policy_free(policy);
	return 0;
}
