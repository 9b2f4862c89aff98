// SPDX-License-Identifier: MIT
// Check 13. basicConstraints and keyUsage have so few strict encodings that they are compared, not
// parsed.
#include "attest/chain.h"

#include <string.h>

#define OID(name, ...) static const uint8_t name[] = {__VA_ARGS__}
// RFC 5280 4.2.1: id-ce (2.5.29) and the number.
OID(oid_key_usage, 0x55, 0x1d, 15);
OID(oid_basic_constraints, 0x55, 0x1d, 19);
OID(oid_name_constraints, 0x55, 0x1d, 30);
OID(oid_policy_constraints, 0x55, 0x1d, 36);
OID(oid_extended_key_usage, 0x55, 0x1d, 37);
OID(oid_inhibit_any_policy, 0x55, 0x1d, 54);
#define FIND(certificate, oid)                                                                     \
	certificate_find_extension(certificate, (struct bytes){oid, sizeof(oid)})

// The first byte of the bit string.
enum key_usage {
	DIGITAL_SIGNATURE = 0x80,
	KEY_CERT_SIGN = 0x04,
	CRL_SIGN = 0x02,
};

#define NO_PATH_LENGTH 256

// Returns the bits, 0 without the extension or when it is not strict (trailing zero bits, the
// second byte that only decipherOnly needs).
static unsigned key_usage(const struct certificate *certificate)
{
	const struct certificate_extension *extension = FIND(certificate, oid_key_usage);
	const uint8_t *value;

	if (!extension || extension->value.length != 4)
		return 0;
	value = extension->value.data;
	if (value[0] != 0x03 || value[1] != 2 || value[2] > 7 || !(value[3] & (1U << value[2])))
		return 0;
	return value[3];
}

// CA:TRUE without a path length, or with one from 0 to 127 (NO_PATH_LENGTH stands for none).
static bool is_authority(const struct certificate *certificate, unsigned *path_length)
{
	static const uint8_t plain[] = {0x30, 3, 0x01, 1, 0xff};
	static const uint8_t with_length[] = {0x30, 6, 0x01, 1, 0xff, 0x02, 1};
	const struct certificate_extension *extension = FIND(certificate, oid_basic_constraints);

	if (!extension || !extension->is_critical)
		return false;
	*path_length = NO_PATH_LENGTH;
	if (bytes_are_equal(extension->value, (struct bytes){plain, sizeof(plain)}))
		return true;
	if (extension->value.length != sizeof(with_length) + 1 ||
		memcmp(extension->value.data, with_length, sizeof(with_length)) != 0)
		return false;
	*path_length = extension->value.data[sizeof(with_length)];
	return *path_length < 128;
}

// What restricts a certificate and is not interpreted here refuses, critical or not.
static bool check_extensions(const struct certificate *certificate, struct attest_error *error)
{
	static const uint8_t version_3[] = {2};

	if (!certificate->version.data ||
		!bytes_are_equal(certificate->version, (struct bytes){version_3, 1}))
		return certificate_refuse(certificate, 13, error, "not of X.509 version 3");
	for (size_t i = 0; i < certificate->extension_count; i++) {
		const struct certificate_extension *extension = &certificate->extensions[i];
		if (extension->is_critical && extension != FIND(certificate, oid_key_usage) &&
			extension != FIND(certificate, oid_basic_constraints))
			return certificate_refuse(
				certificate, 13, error, "has an unknown critical extension");
	}
	if (FIND(certificate, oid_name_constraints) || FIND(certificate, oid_policy_constraints) ||
		FIND(certificate, oid_extended_key_usage) ||
		FIND(certificate, oid_inhibit_any_policy))
		return certificate_refuse(certificate, 13, error,
			"has an extension that restricts it and is not supported");
	return true;
}

bool constraints_check_authority(
	const struct certificate *certificate, size_t below, struct attest_error *error)
{
	unsigned path_length;

	if (!check_extensions(certificate, error))
		return false;
	if (!is_authority(certificate, &path_length))
		return certificate_refuse(certificate, 13, error,
			"issues certificates, and has no critical basicConstraints of a CA");
	if (path_length != NO_PATH_LENGTH && below > path_length)
		return certificate_refuse(certificate, 13, error,
			"%u CA certificates below it, its path length allows %u", (unsigned)below,
			path_length);
	if (!(key_usage(certificate) & KEY_CERT_SIGN))
		return certificate_refuse(certificate, 13, error,
			"issues certificates, and its keyUsage lacks keyCertSign");
	return true;
}

bool constraints_check_leaf(const struct certificate *certificate, struct attest_error *error)
{
	static const uint8_t none[] = {0x30, 0};
	const struct certificate_extension *extension = FIND(certificate, oid_basic_constraints);
	unsigned usage = key_usage(certificate);

	if (!check_extensions(certificate, error))
		return false;
	if (extension && !bytes_are_equal(extension->value, (struct bytes){none, sizeof(none)}))
		return certificate_refuse(certificate, 13, error,
			"signs the document, and its basicConstraints are not those of a leaf");
	if (!(usage & DIGITAL_SIGNATURE))
		return certificate_refuse(certificate, 13, error,
			"signs the document, and its keyUsage lacks digitalSignature");
	if (usage & (KEY_CERT_SIGN | CRL_SIGN))
		return certificate_refuse(certificate, 13, error,
			"signs the document, and its keyUsage is that of a CA");
	return true;
}

bool constraints_may_sign_crls(const struct certificate *certificate)
{
	return key_usage(certificate) & CRL_SIGN;
}
