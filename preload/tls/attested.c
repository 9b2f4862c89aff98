// SPDX-License-Identifier: MIT
#include "preload/tls/attested.h"

#include <gnutls/crypto.h>
#include <gnutls/x509.h>
#include <string.h>
#include <time.h>

#include "attest/trusted_files.h"

#define DAY           86400
#define LIFETIME      (3650 * (time_t)DAY) // nothing is to be renewed: the key ends with the process
#define SERIAL_SIZE   16
#define IDENTITY_NAME "CN=airlock-tls"

bool attested_load(
	struct attested *attested, const struct route_tls *tls, char *problem, size_t size)
{
	if (!settings_offers_attestation(tls) || tls->policy[0] == '\0')
		return true;
	if (!trusted_read_policy(tls->policy, &attested->policy, problem, size))
		return false;
	return tls->root[0] == '\0' || trusted_read_root(tls->root, &attested->root, problem, size);
}

void attested_clear(struct attested *attested)
{
	policy_free(attested->policy);
	gnutls_free(attested->root.data);
	*attested = (struct attested){0};
}

static int fill(gnutls_x509_crt_t certificate, gnutls_x509_privkey_t key)
{
	uint8_t serial[SERIAL_SIZE];
	time_t now = time(NULL);
	int error = gnutls_rnd(GNUTLS_RND_NONCE, serial, sizeof(serial));

	serial[0] &= 0x7f; // a positive number, RFC 5280, 4.1.2.2
	if (error == 0)
		error = gnutls_x509_crt_set_version(certificate, 3);
	if (error == 0)
		error = gnutls_x509_crt_set_serial(certificate, serial, sizeof(serial));
	if (error == 0)
		error = gnutls_x509_crt_set_dn(certificate, IDENTITY_NAME, NULL);
	if (error == 0)
		error = gnutls_x509_crt_set_activation_time(certificate, now - DAY);
	if (error == 0)
		error = gnutls_x509_crt_set_expiration_time(certificate, now + LIFETIME);
	if (error == 0)
		error = gnutls_x509_crt_set_key(certificate, key);
	if (error == 0)
		error = gnutls_x509_crt_sign2(certificate, certificate, key, GNUTLS_DIG_SHA256, 0);
	return error;
}

int attested_make_identity(gnutls_certificate_credentials_t credentials)
{
	gnutls_x509_privkey_t key = NULL;
	gnutls_x509_crt_t certificate = NULL;
	int error = gnutls_x509_privkey_init(&key);

	if (error == 0)
		error = gnutls_x509_privkey_generate(
			key, GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0);
	if (error == 0)
		error = gnutls_x509_crt_init(&certificate);
	if (error == 0)
		error = fill(certificate, key);
	if (error == 0)
		error = gnutls_certificate_set_x509_key(credentials, &certificate, 1, key);
	if (certificate)
		gnutls_x509_crt_deinit(certificate);
	if (key)
		gnutls_x509_privkey_deinit(key);
	return error;
}
