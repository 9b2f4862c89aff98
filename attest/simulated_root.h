// SPDX-License-Identifier: MIT
// The root of a simulated NSM's certificates, kept in a directory as root.pem and root.key (PEM,
// mode 0600).
#ifndef AIRLOCK_ATTEST_SIMULATED_ROOT_H
#define AIRLOCK_ATTEST_SIMULATED_ROOT_H

#include <stdbool.h>

#include <gnutls/x509.h>

#include "attest/error.h"
#include "wire/compiler.h"

// Makes the directory when it is absent. Between reading a root and writing one nobody else shall
// do so: call this before, and directory_unlock (attest/files.h) with what it returned when that is
// done. -1 with *error filled (DEVICE).
int simulated_root_lock(const char *directory, struct attest_error *error) MUST_CHECK;

// *is_there says whether there is a root; when there is, key and certificate are the caller's to
// release, also after a failure. It must be on P-384 and valid now: nothing under another is
// accepted. False with *error filled: USAGE for what cannot be used, DEVICE.
bool simulated_root_read(const char *directory, gnutls_x509_privkey_t *key,
	gnutls_x509_crt_t *certificate, bool *is_there, struct attest_error *error) MUST_CHECK;

bool simulated_root_write(const char *directory, gnutls_x509_privkey_t key,
	gnutls_x509_crt_t certificate, struct attest_error *error) MUST_CHECK;

#endif
