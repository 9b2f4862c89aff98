// SPDX-License-Identifier: MIT
#include "attest/chain.h"

#include <stdio.h>
#include <string.h>

#include "attest/files.h"
#include "attest/roots.h"

const struct certificate *chain_leaf(const struct chain *chain)
{
	return &chain->certificates[chain->count - 1];
}

void chain_clear(struct chain *chain)
{
	for (size_t i = 0; i < chain->count; i++)
		certificate_clear(&chain->certificates[i]);
	chain->count = 0;
}

// The rest of check 9.
static bool read_certificates(struct chain *chain, const struct document *document,
	const uint8_t *start, struct attest_error *error)
{
	for (size_t i = 0; i <= document->cabundle_count; i++) {
		bool is_leaf = i == document->cabundle_count;
		struct bytes der = is_leaf ? document->certificate : document->cabundle[i];
		struct certificate *certificate = &chain->certificates[chain->count++];

		if (is_leaf)
			snprintf(certificate->field, sizeof(certificate->field), "certificate");
		else
			snprintf(certificate->field, sizeof(certificate->field), "cabundle[%u]",
				(unsigned)i);
		certificate->offset = (size_t)(der.data - start);
		if (!certificate_read(certificate, der, error))
			return false;
	}
	return true;
}

// Check 10. Naming one of AWS's roots leaves the other one out.
static bool check_root(struct chain *chain, const struct document *document, const uint8_t *start,
	const struct verify_options *options, struct attest_error *error)
{
	struct bytes first = document->cabundle[0];
	enum attest_partition partition = roots_partition(first);

	chain->platform = partition ? ATTEST_NITRO_ENCLAVE : ATTEST_NAMED_ROOT;
	chain->partition = partition ? partition : ATTEST_NO_PARTITION;
	if (options->root.data ? bytes_are_equal(first, options->root) : partition != 0)
		return true;
	return attest_fail_check(error, 10, ATTEST_FAULT_REFUSED, "cabundle[0]",
		(size_t)(first.data - start), "not the %s",
		options->root.data ? "root certificate that was named"
				   : "root certificate of AWS, commercial or GovCloud");
}

// Check 11. The root's signature over itself says nothing: it is pinned.
static bool check_order(struct chain *chain, struct attest_error *error)
{
	for (size_t i = 0; i < chain->count; i++) {
		if (!certificate_load_key(&chain->certificates[i], error))
			return false;
	}
	for (size_t i = 1; i < chain->count; i++) {
		const struct certificate *certificate = &chain->certificates[i];
		const struct certificate *issuer = certificate - 1;

		if (!bytes_are_equal(certificate->issuer, issuer->subject))
			return certificate_refuse(certificate, 11, error,
				"its issuer is not the subject of %s", issuer->field);
		// RFC 5280 would not count those in path lengths.
		if (bytes_are_equal(certificate->issuer, certificate->subject))
			return certificate_refuse(
				certificate, 11, error, "self-issued, and not the root");
		if (!certificate_has_signed(
			    issuer, certificate->signed_part, certificate->signature))
			return certificate_refuse(certificate, 11, error,
				"its signature is not by the key of %s", issuer->field);
	}
	return true;
}

// Check 12.
static bool check_validity(const struct chain *chain, time_t when, struct attest_error *error)
{
	char limit[32], at[32];

	for (size_t i = 0; i < chain->count; i++) {
		const struct certificate *certificate = &chain->certificates[i];

		if (when < certificate->not_before)
			return certificate_refuse(certificate, 12, error,
				"not valid before %s, and the time is %s",
				time_format(certificate->not_before, limit), time_format(when, at));
		if (when > certificate->not_after)
			return certificate_refuse(certificate, 12, error,
				"expired at %s, and the time is %s",
				time_format(certificate->not_after, limit), time_format(when, at));
	}
	return true;
}

// Check 13.
static bool check_constraints(const struct chain *chain, struct attest_error *error)
{
	for (size_t i = 0; i + 1 < chain->count; i++) {
		if (!constraints_check_authority(
			    &chain->certificates[i], chain->count - 2 - i, error))
			return false;
	}
	return constraints_check_leaf(chain_leaf(chain), error);
}

bool chain_verify(struct chain *chain, const struct document *document, const uint8_t *start,
	const struct verify_options *options, time_t when, struct attest_error *error)
{
	*chain = (struct chain){0};
	return read_certificates(chain, document, start, error) &&
	       check_root(chain, document, start, options, error) && check_order(chain, error) &&
	       check_validity(chain, when, error) && check_constraints(chain, error) &&
	       revocation_check(chain, options->crls, options->crl_count, when, error); // check 14
}
