// SPDX-License-Identifier: MIT
// What the tls routes need of the disk, read once at the start: trust anchors, client certificates,
// pins, and the priorities that they allow. Afterwards no file is opened any more.
#ifndef AIRLOCK_TLS_TRUST_H
#define AIRLOCK_TLS_TRUST_H

#include <gnutls/gnutls.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "preload/shared/settings.h"
#include "preload/tls/attested.h"
#include "wire/compiler.h"
#include "wire/outcome.h"

#define TRUST_PIN_SIZE  32 // SHA-256
#define TRUST_MAX_PINS  4
#define TRUST_MAX_ALPN  17
#define TRUST_TEXT_SIZE 600

// One route's. Routes with equal files share the credentials.
struct trust {
	const struct route *route;
	gnutls_certificate_credentials_t credentials; // NULL: could not be loaded, see problem
	const char *anchors;                          // "system" or the file
	int anchor_count;
	char problem[OUTCOME_TEXT_SIZE]; // why the route cannot work, else empty
	const char *priority_text;
	gnutls_priority_t priority;
	bool has_hybrid; // the first group is the post-quantum one
	uint8_t pins[TRUST_MAX_PINS][TRUST_PIN_SIZE];
	size_t pin_count;
	gnutls_datum_t alpn[TRUST_MAX_ALPN]; // point into the route, or to attested TLS's
	unsigned alpn_count;
	struct attested attested;
	char text[TRUST_TEXT_SIZE]; // anchors and pins, for ticket keys
};

struct trust_set {
	struct trust *of_route; // one for each route; unused for those that are not tls
	size_t count;
};

// Loads for every tls route of settings, which must outlive the set. A route whose files are
// missing, or which has no anchor, gets a problem and refuses its connections: there is nothing
// less that it could trust. Returns 0 or -ENOMEM (also for what GnuTLS cannot set up at all).
int trust_load(struct trust_set *set, const struct settings *settings) MUST_CHECK;

const struct trust *trust_of_route(
	const struct trust_set *set, const struct settings *settings, const struct route *route);

void trust_clear(struct trust_set *set);

// "sha256/BASE64" into the digest.
bool trust_parse_pin(const char *text, uint8_t digest[static TRUST_PIN_SIZE]) MUST_CHECK;

// Whether the digest of the public key (SubjectPublicKeyInfo, RFC 7469 section 2.4) of a DER
// certificate is among the pins.
bool trust_has_pin(const struct trust *trust, const gnutls_datum_t *certificate) MUST_CHECK;

#endif
