// SPDX-License-Identifier: MIT
#include "attest/simulated_root.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "attest/files.h"

#define ROOT_FILE_MAX      16384 // bytes
#define KEY_IDENTIFIER_MAX 64

struct paths {
	char *certificate;
	char *key;
};

static void free_paths(struct paths *paths)
{
	free(paths->certificate);
	free(paths->key);
}

#define SCOPED_PATHS __attribute__((cleanup(free_paths))) struct paths

static bool find_paths(const char *directory, struct paths *paths, struct attest_error *error)
{
	*paths = (struct paths){0};
	if (asprintf(&paths->certificate, "%s/root.pem", directory) >= 0 &&
		asprintf(&paths->key, "%s/root.key", directory) >= 0)
		return true;
	return attest_fail(error, ATTEST_FAULT_DEVICE, NULL, ATTEST_NO_OFFSET, "out of memory");
}

int simulated_root_lock(const char *directory, struct attest_error *error)
{
	int fd = mkdir(directory, 0700) < 0 && errno != EEXIST ? -errno : directory_lock(directory);

	if (fd >= 0)
		return fd;
	attest_fail(error, ATTEST_FAULT_DEVICE, directory, ATTEST_NO_OFFSET, "%s", strerror(-fd));
	return -1;
}

// --- read

static bool read_pem(const char *path, gnutls_datum_t *pem, struct attest_error *error)
{
	size_t length;

	if (!file_read(path, ROOT_FILE_MAX, &pem->data, &length, error))
		return false;
	pem->size = (unsigned)length;
	return true;
}

static void forget(gnutls_datum_t *pem)
{
	if (pem->data)
		explicit_bzero(pem->data, pem->size);
	free(pem->data);
}

static bool read_certificate(
	const char *path, gnutls_x509_crt_t *certificate, struct attest_error *error)
{
	gnutls_datum_t pem = {0};
	int result;

	if (!read_pem(path, &pem, error))
		return false;
	result = gnutls_x509_crt_init(certificate);
	if (result >= 0)
		result = gnutls_x509_crt_import(*certificate, &pem, GNUTLS_X509_FMT_PEM);
	free(pem.data);
	return result >= 0 || attest_fail(error, ATTEST_FAULT_USAGE, path, ATTEST_NO_OFFSET, "%s",
				      gnutls_strerror(result));
}

static bool read_key(const char *path, gnutls_x509_privkey_t *key, struct attest_error *error)
{
	gnutls_datum_t pem = {0};
	int result;

	if (!read_pem(path, &pem, error))
		return false;
	result = gnutls_x509_privkey_init(key);
	if (result >= 0)
		result = gnutls_x509_privkey_import(*key, &pem, GNUTLS_X509_FMT_PEM);
	forget(&pem);
	return result >= 0 || attest_fail(error, ATTEST_FAULT_USAGE, path, ATTEST_NO_OFFSET, "%s",
				      gnutls_strerror(result));
}

// GnuTLS signs with any key: a certificate of another one would make documents that nobody accepts.
static bool belongs_together(gnutls_x509_privkey_t key, gnutls_x509_crt_t certificate)
{
	uint8_t of_key[KEY_IDENTIFIER_MAX], of_certificate[KEY_IDENTIFIER_MAX];
	size_t key_size = sizeof(of_key), certificate_size = sizeof(of_certificate);

	return gnutls_x509_privkey_get_key_id(key, 0, of_key, &key_size) >= 0 &&
	       gnutls_x509_crt_get_key_id(certificate, 0, of_certificate, &certificate_size) >= 0 &&
	       key_size == certificate_size && memcmp(of_key, of_certificate, key_size) == 0;
}

static bool is_on_p384(gnutls_x509_crt_t certificate)
{
	gnutls_ecc_curve_t curve;

	return gnutls_x509_crt_get_pk_algorithm(certificate, NULL) == GNUTLS_PK_ECDSA &&
	       gnutls_x509_crt_get_pk_ecc_raw(certificate, &curve, NULL, NULL) >= 0 &&
	       curve == GNUTLS_ECC_CURVE_SECP384R1;
}

static bool check_certificate(
	const char *path, gnutls_x509_crt_t certificate, struct attest_error *error)
{
	time_t begin = gnutls_x509_crt_get_activation_time(certificate);
	time_t end = gnutls_x509_crt_get_expiration_time(certificate);
	time_t now = time(NULL);
	char text[32];

	if (!is_on_p384(certificate))
		return attest_fail(error, ATTEST_FAULT_USAGE, path, ATTEST_NO_OFFSET,
			"its key is not on P-384");
	if (now < begin)
		return attest_fail(error, ATTEST_FAULT_USAGE, path, ATTEST_NO_OFFSET,
			"not valid before %s", time_format(begin, text));
	return now <= end || attest_fail(error, ATTEST_FAULT_USAGE, path, ATTEST_NO_OFFSET,
				     "expired at %s", time_format(end, text));
}

bool simulated_root_read(const char *directory, gnutls_x509_privkey_t *key,
	gnutls_x509_crt_t *certificate, bool *is_there, struct attest_error *error)
{
	SCOPED_PATHS paths;

	if (!find_paths(directory, &paths, error))
		return false;
	// The certificate is written last: where it is, both are.
	*is_there = access(paths.certificate, F_OK) == 0;
	if (!*is_there)
		return true;
	if (!read_certificate(paths.certificate, certificate, error) ||
		!check_certificate(paths.certificate, *certificate, error) ||
		!read_key(paths.key, key, error))
		return false;
	return belongs_together(*key, *certificate) ||
	       attest_fail(error, ATTEST_FAULT_USAGE, paths.key, ATTEST_NO_OFFSET,
		       "not the key of root.pem");
}

// --- write

bool simulated_root_write(const char *directory, gnutls_x509_privkey_t key,
	gnutls_x509_crt_t certificate, struct attest_error *error)
{
	gnutls_datum_t key_pem = {0}, certificate_pem = {0};
	SCOPED_PATHS paths;
	bool is_good;

	if (!find_paths(directory, &paths, error))
		return false;
	if (gnutls_x509_privkey_export2(key, GNUTLS_X509_FMT_PEM, &key_pem) < 0 ||
		gnutls_x509_crt_export2(certificate, GNUTLS_X509_FMT_PEM, &certificate_pem) < 0)
		is_good = attest_fail(error, ATTEST_FAULT_DEVICE, NULL, ATTEST_NO_OFFSET,
			"the root cannot be exported");
	else
		is_good = file_write(paths.key, key_pem.data, key_pem.size, 0600, error) &&
			  file_write(paths.certificate, certificate_pem.data, certificate_pem.size,
				  0600, error);
	forget(&key_pem);
	forget(&certificate_pem);
	return is_good;
}
