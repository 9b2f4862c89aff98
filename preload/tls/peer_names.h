// SPDX-License-Identifier: MIT
// What a certificate's subjectAltName says: whose it is. GnuTLS is asked too (verify.c); here are
// the rules in which it is laxer than RFC 9525, section 6: no common name, no address among the
// names, and a `*` is a whole label or nothing.
#ifndef AIRLOCK_TLS_PEER_NAMES_H
#define AIRLOCK_TLS_PEER_NAMES_H

#include <gnutls/x509.h>
#include <stdbool.h>
#include <stddef.h>

#include "preload/tls/verify.h"
#include "wire/compiler.h"

// Whether one of the certificate's dNSNames is the target's name or `*` before all but its first
// label; or, for an address, whether one of its iPAddresses is that address.
bool peer_names_include(
	gnutls_x509_crt_t certificate, const struct verify_target *target) MUST_CHECK;

// The same for one dNSName of length bytes, which may hold anything.
bool peer_names_match(const char *pattern, size_t length, const char *name) MUST_CHECK;

// The first few, for people, as `DNS:a.example, IP:192.0.2.1`. false: there is none.
bool peer_names_print(gnutls_x509_crt_t certificate, char *text, size_t size) MUST_CHECK;

#endif
