// SPDX-License-Identifier: MIT
// The certificates of a simulated NSM: five levels of the genuine shape (root, regional, zonal,
// instance, leaf; P-384, ecdsa-with-SHA384, the genuine names' form, extensions and lifetimes)
// under names that are not AWS's.
#ifndef AIRLOCK_ATTEST_SIMULATED_PKI_H
#define AIRLOCK_ATTEST_SIMULATED_PKI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "attest/bytes.h"
#include "attest/document.h"
#include "attest/error.h"
#include "wire/compiler.h"

#define SIMULATED_PKI_MODULE_ID_SIZE 64

struct simulated_pki;

// directory: where root.pem and root.key (PEM, mode 0600) are, or are written when they are absent;
// it is made too. NULL: a root of this process alone. Free with simulated_pki_free. NULL with
// *error filled (USAGE: what is there cannot be used; DEVICE).
struct simulated_pki *simulated_pki_open(const char *directory, struct attest_error *error);
void simulated_pki_free(struct simulated_pki *pki);

// "i-..-enc..", made up at the start; the leaf's name begins with it.
const char *simulated_pki_module_id(const struct simulated_pki *pki);

// Issues anew, from the first certificate that is near its end or not valid yet, as after a step of
// the clock, all that is below; never the root. Call before the next two.
bool simulated_pki_renew(
	struct simulated_pki *pki, time_t now, struct attest_error *error) MUST_CHECK;

// DER, valid until the next renewal. Level 0 is the root, SIMULATED_PKI_LEVELS - 1 the leaf.
#define SIMULATED_PKI_LEVELS 5
struct bytes simulated_pki_certificate(const struct simulated_pki *pki, size_t level);

// ECDSA with the leaf's key and SHA-384, as r || s.
bool simulated_pki_sign(const struct simulated_pki *pki, struct bytes data,
	uint8_t signature[static DOCUMENT_SIGNATURE_SIZE], struct attest_error *error) MUST_CHECK;

#endif
