// SPDX-License-Identifier: MIT
// The certificates of a document, from the pinned root to the leaf: what is left of check 9 after
// document_parse, and checks 10 to 14.
//
// There is no path building and no trust list: the first certificate must be the pinned root byte
// for byte, and each further one must be signed by the one before it. Nothing that a document
// brings along can be trusted in another role than the one its place gives it.
#ifndef AIRLOCK_ATTEST_CHAIN_H
#define AIRLOCK_ATTEST_CHAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include "attest/certificate.h"
#include "attest/document.h"
#include "attest/verify.h"
#include "wire/compiler.h"

#define CHAIN_MAX (DOCUMENT_CABUNDLE_MAX + 1)

struct chain {
	size_t count; // the leaf is the last
	struct certificate certificates[CHAIN_MAX];
	enum attest_platform platform;
	enum attest_partition partition;
	unsigned revocation_checked; // how many certificates an authentic CRL covers
};

// Reads and checks all of it at the time when. start is where the document begins, for offsets.
// Free with chain_clear, also after false. Views point into the document.
bool chain_verify(struct chain *chain, const struct document *document, const uint8_t *start,
	const struct verify_options *options, time_t when, struct attest_error *error) MUST_CHECK;
void chain_clear(struct chain *chain);

const struct certificate *chain_leaf(const struct chain *chain);

// Check 13 of one certificate: basicConstraints, keyUsage, version, and no extension that restricts
// and is not known here. below is the number of CA certificates between it and the leaf.
bool constraints_check_authority(
	const struct certificate *certificate, size_t below, struct attest_error *error) MUST_CHECK;
bool constraints_check_leaf(
	const struct certificate *certificate, struct attest_error *error) MUST_CHECK;
// Whether keyUsage says that CRLs may be signed with its key.
bool constraints_may_sign_crls(const struct certificate *certificate) MUST_CHECK;

// Check 14: what options->crls says about the chain.
bool revocation_check(struct chain *chain, const struct bytes *crls, size_t count, time_t when,
	struct attest_error *error) MUST_CHECK;

#endif
