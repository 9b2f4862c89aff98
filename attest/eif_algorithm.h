// SPDX-License-Identifier: MIT
// The algorithms that an image's signature may have: shared by those who verify and who make one.
#ifndef AIRLOCK_ATTEST_EIF_ALGORITHM_H
#define AIRLOCK_ATTEST_EIF_ALGORITHM_H

#include <gnutls/gnutls.h>
#include <stddef.h>
#include <stdint.h>

struct eif_algorithm {
	int64_t cose; // RFC 9053 table 1
	gnutls_sign_algorithm_t gnutls;
	gnutls_ecc_curve_t curve;
	size_t size; // bytes of r and of s
};

// NULL when it is none of them.
const struct eif_algorithm *eif_algorithm_by_cose(int64_t cose);
const struct eif_algorithm *eif_algorithm_by_curve(gnutls_ecc_curve_t curve);

#endif
