// SPDX-License-Identifier: MIT
// The two files that say whom to believe. What is wrong with one is put into message, for people,
// with the file's name.
#ifndef AIRLOCK_ATTEST_TRUSTED_FILES_H
#define AIRLOCK_ATTEST_TRUSTED_FILES_H

#include <gnutls/gnutls.h>
#include <stdbool.h>
#include <stddef.h>

#include "attest/policy.h"
#include "wire/compiler.h"

// Of at most 4 MiB. *policy is freed with policy_free.
bool trusted_read_policy(
	const char *path, struct policy **policy, char *message, size_t size) MUST_CHECK;

// Exactly one certificate, PEM or DER, of at most 64 KiB. *der is freed with gnutls_free.
bool trusted_read_root(
	const char *path, gnutls_datum_t *der, char *message, size_t size) MUST_CHECK;

#endif
