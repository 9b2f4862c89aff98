// SPDX-License-Identifier: MIT
// The root of a simulated NSM's certificates, kept in a directory as root.pem and root.key (PEM,
// mode 0600).
#ifndef AIRLOCK_ATTEST_SIMULATED_ROOT_H
#define AIRLOCK_ATTEST_SIMULATED_ROOT_H

#include <stdbool.h>

#include <gnutls/x509.h>

#include "attest/error.h"
#include "wire/compiler.h"

// *is_there says whether there is a root; when there is, key and certificate are the caller's to
// release, also after a failure. False with *error filled: USAGE for what cannot be used, DEVICE.
bool simulated_root_read(const char *directory, gnutls_x509_privkey_t *key,
	gnutls_x509_crt_t *certificate, bool *is_there, struct attest_error *error) MUST_CHECK;

// Makes the directory when it is absent.
bool simulated_root_write(const char *directory, gnutls_x509_privkey_t key,
	gnutls_x509_crt_t certificate, struct attest_error *error) MUST_CHECK;

#endif
