// SPDX-License-Identifier: MIT
// Any bytes as a certificate: refused, or every view of it lies inside. What of it is accepted in a
// chain is asked of each rule. The first byte chooses how deep the chain is.
#include "attest/chain.h"

#include <stdlib.h>
#include <string.h>

#include "attest/der.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
	if (!condition)
		abort();
}

static void check_view(struct bytes view, struct bytes whole)
{
	if (view.data)
		require(view.data >= whole.data &&
			view.data + view.length <= whole.data + whole.length);
}

static void check_rules(struct certificate *certificate, size_t below)
{
	struct attest_error error = {0};
	bool is_authority = constraints_check_authority(certificate, below, &error);
	bool is_leaf;

	require(is_authority || error.check == 13);
	is_leaf = constraints_check_leaf(certificate, &error);
	require(is_leaf || error.check == 13);
	require(!is_authority || !is_leaf);
	require(!is_leaf || !constraints_may_sign_crls(certificate));
	error.check = 0;
	if (certificate_load_key(certificate, &error))
		require(!certificate_has_signed(
			certificate, certificate->signed_part, certificate->issuer));
	else
		require(error.check == 11);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct certificate certificate = {.field = "certificate", .offset = 7};
	struct attest_error error = {0};
	struct bytes der = {data + 1, size - 1};

	if (size < 1 || size > DOCUMENT_CERTIFICATE_MAX + 1)
		return 0;
	if (certificate_read(&certificate, der, &error)) {
		require(der_is_strict(der));
		const struct bytes views[] = {certificate.whole, certificate.version,
			certificate.signed_part, certificate.algorithm, certificate.algorithm2,
			certificate.issuer, certificate.subject, certificate.key,
			certificate.signature};
		for (size_t i = 0; i < ARRAY_SIZE(views); i++)
			check_view(views[i], der);
		for (size_t i = 0; i < certificate.extension_count; i++)
			check_view(certificate.extensions[i].value, der);
		check_rules(&certificate, data[0] % CHAIN_MAX);
	} else {
		require(error.check == 9 && error.fault == ATTEST_FAULT_MALFORMED &&
			error.offset == 7);
	}
	certificate_clear(&certificate);
	return 0;
}
