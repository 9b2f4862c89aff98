// SPDX-License-Identifier: MIT
// Is the peer who it has to be? Asked after every handshake.
#ifndef AIRLOCK_TLS_VERIFY_H
#define AIRLOCK_TLS_VERIFY_H

#include <gnutls/gnutls.h>
#include <stdbool.h>

#include "preload/tls/trust.h"
#include "preload/tls/verdicts.h"
#include "wire/address.h"
#include "wire/compiler.h"
#include "wire/name.h"
#include "wire/outcome.h"

// Who the peer has to be: a name, or where there is none an address. There is no third way.
struct verify_target {
	char name[NAME_SIZE]; // in wire form; empty: the address counts
	struct address address;
};

// The target's text, for people. Returns text.
const char *verify_target_format(const struct verify_target *target, char text[static NAME_SIZE]);

// Checks chain, dates, key strength, purpose, name or address (subjectAltName only) and pins of the
// certificate that the session has, be it fresh or resumed; or finds that all of that was done for
// the same bytes, name and route not long ago. Returns true when everything holds; else *outcome
// has the reason.
bool verify_peer(gnutls_session_t session, const struct verify_target *target,
	const struct trust *trust, struct verdicts *verdicts, struct outcome *outcome) MUST_CHECK;

// What a verdict is about: name and address of the target, the route's trust (by its address, which
// it keeps while the program runs) and each certificate's bytes. false: GnuTLS cannot digest.
bool verify_format_key(const struct verify_target *target, const struct trust *trust,
	const gnutls_datum_t *chain, unsigned count,
	uint8_t key[static VERDICTS_KEY_SIZE]) MUST_CHECK;

#endif
