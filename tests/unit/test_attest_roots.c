// SPDX-License-Identifier: MIT
#include "attest/roots.h"

#include <criterion/criterion.h>
#include <gnutls/crypto.h>

#include "attest/files.h"

static void check_hash(enum attest_partition partition, const char *expected)
{
	struct bytes root = roots_find(partition);
	uint8_t hash[32];
	char text[65];

	cr_assert_geq(gnutls_hash_fast(GNUTLS_DIG_SHA256, root.data, root.length, hash), 0);
	cr_assert_str_eq(hex_encode(hash, sizeof(hash), text), expected);
	cr_assert_eq(roots_partition(root), partition);
}

Test(attest_roots, are_those_of_aws)
{
	check_hash(ATTEST_AWS, "641a0321a3e244efe456463195d606317ed7cdcc3c1756e09893f3c68f79bb5b");
	check_hash(ATTEST_AWS_US_GOV,
		"20bcd30a3e168ea03789e1c45912bc123c4de3c977b8a6e1c125c7929d668b3b");
}

Test(attest_roots, are_two)
{
	cr_assert_null(roots_find(ATTEST_NO_PARTITION).data);
}

Test(attest_roots, are_found_by_all_of_their_bytes)
{
	struct bytes root = roots_find(ATTEST_AWS);

	root.length--;
	cr_assert_eq(roots_partition(root), 0);
	root = roots_find(ATTEST_AWS_US_GOV);
	root.data++;
	root.length--;
	cr_assert_eq(roots_partition(root), 0);
}
