// SPDX-License-Identifier: MIT
// What a route of attested TLS (attest/README.md) needs besides its anchors, made at the start.
#ifndef AIRLOCK_TLS_ATTESTED_H
#define AIRLOCK_TLS_ATTESTED_H

#include <gnutls/gnutls.h>
#include <stdbool.h>
#include <stddef.h>

#include "attest/policy.h"
#include "preload/shared/settings.h"
#include "wire/compiler.h"

struct attested {
	struct policy *policy; // what the server has to prove; NULL: nothing
	gnutls_datum_t root;   // in DER; empty: AWS's
};

// Reads what the route's policy= and root= name. false: problem has a sentence.
bool attested_load(struct attested *attested, const struct route_tls *tls, char *problem,
	size_t size) MUST_CHECK;
void attested_clear(struct attested *attested);

// Gives the credentials a new key on P-256 in a self-signed certificate: nobody else ever has it,
// so that evidence about it is about this process. Returns 0 or a GnuTLS error.
int attested_make_identity(gnutls_certificate_credentials_t credentials) MUST_CHECK;

#endif
