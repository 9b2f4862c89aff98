// SPDX-License-Identifier: MIT
// Priorities, spelled out, so that neither a system-wide policy file nor a newer library's idea of
// NORMAL changes what is offered. AES-GCM stands first because GnuTLS's ChaCha20 is several times
// slower; %PROFILE_MEDIUM refuses keys of less than 2048 bits of RSA in certificates
// (gnutls_certificate_verification_profiles_t).
#include "preload/tls/trust.h"

#include <errno.h>
#include <gnutls/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "attest/evidence.h"
#include "attest/exchange.h"
#include "preload/tls/tls_log.h"

#define PIN_PREFIX "sha256/"
#define HYBRID     "X25519-MLKEM768" // draft-ietf-tls-ecdhe-mlkem; GnuTLS from 3.8.8 on knows it

#define GROUPS ":+GROUP-X25519:+GROUP-SECP256R1:+GROUP-SECP384R1"
#define COMMON                                                                                     \
	":+CTYPE-SRV-X509:+CTYPE-CLI-X509:+SIGN-ALL:-SIGN-RSA-SHA1:-SIGN-ECDSA-SHA1"               \
	":%PROFILE_MEDIUM"
#define CIPHERS ":+AES-128-GCM:+AES-256-GCM:+CHACHA20-POLY1305:+AEAD"

// [0]: TLS 1.3 alone. [1]: 1.2 too, with ephemeral elliptic curves and AEAD only.
static const char *const priority_texts[2][2] = {
	{"NONE:+VERS-TLS1.3" CIPHERS GROUPS COMMON,
		"NONE:+VERS-TLS1.3:+VERS-TLS1.2:+ECDHE-ECDSA:+ECDHE-RSA" CIPHERS GROUPS COMMON},
	{"NONE:+VERS-TLS1.3" CIPHERS ":+GROUP-" HYBRID GROUPS COMMON,
		"NONE:+VERS-TLS1.3:+VERS-TLS1.2:+ECDHE-ECDSA:+ECDHE-RSA" CIPHERS
		":+GROUP-" HYBRID GROUPS COMMON},
};

bool trust_parse_pin(const char *text, uint8_t digest[static TRUST_PIN_SIZE])
{
	size_t prefix = strlen(PIN_PREFIX);
	gnutls_datum_t decoded;
	gnutls_datum_t base64;
	bool is_good;

	if (strncmp(text, PIN_PREFIX, prefix) != 0)
		return false;
	base64.data = (unsigned char *)(uintptr_t)(text + prefix);
	base64.size = (unsigned)strlen(text + prefix);
	if (gnutls_base64_decode2(&base64, &decoded) < 0)
		return false;
	is_good = decoded.size == TRUST_PIN_SIZE;
	if (is_good)
		memcpy(digest, decoded.data, TRUST_PIN_SIZE);
	gnutls_free(decoded.data);
	return is_good;
}

bool trust_has_pin(const struct trust *trust, const gnutls_datum_t *der)
{
	uint8_t digest[TRUST_PIN_SIZE];
	gnutls_x509_crt_t certificate;
	bool is_found = false;

	if (gnutls_x509_crt_init(&certificate) < 0)
		return false;
	if (gnutls_x509_crt_import(certificate, der, GNUTLS_X509_FMT_DER) == 0 &&
		evidence_hash_key(certificate, digest)) {
		for (size_t i = 0; i < trust->pin_count; i++)
			is_found |= memcmp(trust->pins[i], digest, sizeof(digest)) == 0;
	}
	gnutls_x509_crt_deinit(certificate);
	return is_found;
}

// Returns how many anchors, or a negative GnuTLS error.
static int load_anchors(gnutls_certificate_credentials_t credentials, const char *anchors)
{
	if (strcmp(anchors, "system") == 0)
		return gnutls_certificate_set_x509_system_trust(credentials);
	return gnutls_certificate_set_x509_trust_file(credentials, anchors, GNUTLS_X509_FMT_PEM);
}

static bool has_problem(struct trust *trust, const char *what, const char *file, const char *why)
{
	snprintf(trust->problem, sizeof(trust->problem), "%s %.120s%s%s", what, file,
		why ? ": " : "", why ? why : "");
	tls_log_message(
		SETTINGS_LOG_ERROR, "route at line %u: %s", trust->route->line, trust->problem);
	return true;
}

// GnuTLS does not say which of the two it could not read.
static const char *explain_pair(const struct route_tls *tls, int error)
{
	if (error == GNUTLS_E_FILE_ERROR && access(tls->certificate, R_OK) == 0)
		return "its key cannot be read";
	return error == GNUTLS_E_FILE_ERROR ? "cannot be read" : gnutls_strerror(error);
}

static bool fails_to_load(struct trust *trust)
{
	const struct route_tls *tls = &trust->route->tls;
	int count = load_anchors(trust->credentials, trust->anchors);
	int error;

	if (count < 0 && count != GNUTLS_E_NO_CERTIFICATE_FOUND &&
		count != GNUTLS_E_BASE64_DECODING_ERROR &&
		count != GNUTLS_E_BASE64_UNEXPECTED_HEADER_ERROR)
		return has_problem(trust, "no trust anchors:", trust->anchors,
			count == GNUTLS_E_FILE_ERROR ? "cannot be read" : gnutls_strerror(count));
	if (count < 1)
		return has_problem(trust, "no trust anchors in", trust->anchors, NULL);
	trust->anchor_count = count;
	if (settings_proves(tls))
		error = attested_make_identity(trust->credentials);
	else if (tls->key[0] != '\0')
		error = gnutls_certificate_set_x509_key_file(
			trust->credentials, tls->certificate, tls->key, GNUTLS_X509_FMT_PEM);
	else
		return false;
	return error < 0 &&
	       has_problem(trust, "client certificate", tls->certificate, explain_pair(tls, error));
}

static bool uses_same_files(const struct trust *a, const struct trust *b)
{
	const struct route_tls *one = &a->route->tls;
	const struct route_tls *other = &b->route->tls;

	return strcmp(a->anchors, b->anchors) == 0 &&
	       strcmp(one->certificate, other->certificate) == 0 &&
	       strcmp(one->key, other->key) == 0 && settings_proves(one) == settings_proves(other);
}

// An earlier route's credentials with the same files, or why these cannot be had.
static bool share_credentials(const struct trust_set *set, struct trust *trust)
{
	for (const struct trust *other = set->of_route; other < trust; other++) {
		if (!other->route || !uses_same_files(other, trust))
			continue;
		trust->credentials = other->credentials;
		trust->anchor_count = other->anchor_count;
		if (!other->credentials)
			memcpy(trust->problem, other->problem, sizeof(trust->problem));
		return true;
	}
	return false;
}

static int load_credentials(const struct trust_set *set, struct trust *trust)
{
	if (share_credentials(set, trust))
		return 0;
	if (gnutls_certificate_allocate_credentials(&trust->credentials) < 0)
		return -ENOMEM;
	if (fails_to_load(trust)) {
		gnutls_certificate_free_credentials(trust->credentials);
		trust->credentials = NULL;
	}
	return 0;
}

static void list_protocols(struct trust *trust)
{
	const char *at = trust->route->tls.alpn;

	// First: a server that speaks it as well as the route's own protocols is to choose it.
	if (settings_offers_attestation(&trust->route->tls))
		trust->alpn[trust->alpn_count++] =
			(gnutls_datum_t){.data = (unsigned char *)(uintptr_t)EXCHANGE_PROTOCOL,
				.size = (unsigned)strlen(EXCHANGE_PROTOCOL)};
	while (*at && trust->alpn_count < TRUST_MAX_ALPN) {
		size_t length = strcspn(at, ",");

		trust->alpn[trust->alpn_count++] = (gnutls_datum_t){
			.data = (unsigned char *)(uintptr_t)at, .size = (unsigned)length};
		at += length + (at[length] == ',');
	}
}

static void read_pins(struct trust *trust)
{
	const struct route_tls *tls = &trust->route->tls;
	size_t length;

	length = (size_t)snprintf(trust->text, sizeof(trust->text), "%s", trust->anchors);
	for (size_t i = 0; i < tls->pin_count; i++) {
		if (!trust_parse_pin(tls->pins[i], trust->pins[trust->pin_count++]))
			(void)has_problem(trust, "pin", tls->pins[i], "not a SHA-256 digest");
		length += (size_t)snprintf(
			trust->text + length, sizeof(trust->text) - length, " %s", tls->pins[i]);
	}
}

static int trust_fill(const struct trust_set *set, struct trust *trust,
	const struct settings *settings, const struct route *route)
{
	bool allows_12 = strcmp(route->tls.minimum, "1.2") == 0;
	char problem[512];
	int error;

	trust->route = route;
	trust->anchors = route->tls.ca[0] != '\0' ? route->tls.ca : settings->ca;
	trust->has_hybrid = gnutls_group_get_id(HYBRID) != GNUTLS_GROUP_INVALID;
	trust->priority_text = priority_texts[trust->has_hybrid][allows_12];
	if (gnutls_priority_init(&trust->priority, trust->priority_text, NULL) < 0)
		return -ENOMEM;
	list_protocols(trust);
	read_pins(trust);
	error = load_credentials(set, trust);
	if (!error && trust->problem[0] == '\0' &&
		!attested_load(&trust->attested, &route->tls, problem, sizeof(problem)))
		(void)has_problem(trust, "attestation:", problem, NULL);
	return error;
}

int trust_load(struct trust_set *set, const struct settings *settings)
{
	int error = 0;

	set->count = settings->route_count;
	set->of_route = calloc(set->count ? set->count : 1, sizeof(*set->of_route));
	if (!set->of_route)
		return -ENOMEM;
	for (size_t i = 0; i < set->count && !error; i++) {
		if (settings->routes[i].action == ROUTE_TLS)
			error = trust_fill(set, &set->of_route[i], settings, &settings->routes[i]);
	}
	return error;
}

const struct trust *trust_of_route(
	const struct trust_set *set, const struct settings *settings, const struct route *route)
{
	return &set->of_route[route - settings->routes];
}

void trust_clear(struct trust_set *set)
{
	for (size_t i = 0; i < set->count; i++) {
		struct trust *trust = &set->of_route[i];
		bool is_shared = false;

		for (size_t later = i + 1; later < set->count; later++)
			is_shared |= set->of_route[later].credentials == trust->credentials;
		if (trust->credentials && !is_shared)
			gnutls_certificate_free_credentials(trust->credentials);
		if (trust->priority)
			gnutls_priority_deinit(trust->priority);
		attested_clear(&trust->attested);
	}
	free(set->of_route);
	*set = (struct trust_set){0};
}
