// SPDX-License-Identifier: MIT
#include "attest/trusted_files.h"

#include <gnutls/x509.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "attest/files.h"

#define POLICY_FILE_MAX (4 << 20)
#define ROOT_FILE_MAX   (64 << 10)

static void free_bytes(uint8_t **bytes)
{
	free(*bytes);
}

static bool read_file(const char *what, const char *path, size_t maximum, uint8_t **data,
	size_t *length, char *message, size_t size)
{
	struct attest_error error;
	char text[320];

	if (file_read(path, maximum, data, length, &error))
		return true;
	snprintf(message, size, "%s: %s", what, attest_error_format(&error, text, sizeof(text)));
	return false;
}

bool trusted_read_policy(const char *path, struct policy **policy, char *message, size_t size)
{
	__attribute__((cleanup(free_bytes))) uint8_t *text = NULL;
	struct conf_error error;
	size_t length;

	if (!read_file("policy", path, POLICY_FILE_MAX, &text, &length, message, size))
		return false;
	*policy = policy_parse((const char *)text, length, &error);
	if (!*policy)
		conf_error_format(&error, path, message, size);
	return *policy;
}

static bool decode_root(const uint8_t *text, size_t length, gnutls_datum_t *der)
{
	gnutls_datum_t datum = {(unsigned char *)(uintptr_t)text, (unsigned)length};
	gnutls_x509_crt_t *list = NULL;
	unsigned count = 0;
	bool is_der = length > 0 && text[0] == 0x30;
	bool is_one;

	if (gnutls_x509_crt_list_import2(&list, &count, &datum,
		    is_der ? GNUTLS_X509_FMT_DER : GNUTLS_X509_FMT_PEM, 0) < 0)
		return false;
	is_one = count == 1 && gnutls_x509_crt_export2(list[0], GNUTLS_X509_FMT_DER, der) >= 0;
	for (unsigned i = 0; i < count; i++)
		gnutls_x509_crt_deinit(list[i]);
	gnutls_free(list);
	return is_one;
}

bool trusted_read_root(const char *path, gnutls_datum_t *der, char *message, size_t size)
{
	__attribute__((cleanup(free_bytes))) uint8_t *text = NULL;
	size_t length;

	if (!read_file("root", path, ROOT_FILE_MAX, &text, &length, message, size))
		return false;
	if (decode_root(text, length, der))
		return true;
	snprintf(message, size, "root: %s: not one certificate in PEM or DER", path);
	return false;
}
