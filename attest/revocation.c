// SPDX-License-Identifier: MIT
// Check 14. CRLs come from the caller, never from the network or the document. One whose issuer is
// no CA of the chain says nothing about it; one whose issuer is must be authentic and current.
#include "attest/chain.h"

#include "attest/der.h"

#define OID_SIZE 128

static bool refuse(const struct certificate *issuer, struct attest_error *error, const char *reason)
{
	return certificate_refuse(issuer, 14, error, "the CRL of this issuer %s", reason);
}

// All that could narrow what a CRL says (a delta, a part of the certificates, other issuers) is in
// a critical extension (RFC 5280 5.2).
static bool check_extensions(
	gnutls_x509_crl_t crl, const struct certificate *issuer, struct attest_error *error)
{
	for (unsigned i = 0;; i++) {
		char oid[OID_SIZE];
		size_t size = sizeof(oid);
		unsigned is_critical = 0;
		int rc = gnutls_x509_crl_get_extension_info(crl, i, oid, &size, &is_critical);
		if (rc == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE)
			return true;
		if (rc < 0)
			return refuse(issuer, error, "has an unreadable extension");
		if (is_critical)
			return refuse(issuer, error, "has an unknown critical extension");
	}
}

static void free_datum(gnutls_datum_t *datum)
{
	gnutls_free(datum->data);
}

// Whether a list that is signed with algorithm says so inside too (RFC 5280 5.1.2.2).
static bool has_algorithm(struct bytes list, struct bytes algorithm)
{
	struct der_item item;

	return der_next(&list, &item) && (item.tag != DER_INTEGER || der_next(&list, &item)) &&
	       bytes_are_equal(item.whole, algorithm);
}

// An entry is a serial number, a date, and maybe extensions, each of which is an identifier, TRUE
// when it is critical, and its value (RFC 5280 5.1). entries is in strict DER.
static bool has_critical_entry(struct bytes entries)
{
	struct der_item entry, item, extension;

	while (der_next(&entries, &entry)) {
		if (!der_next(&entry.content, &item) || !der_next(&entry.content, &item) ||
			!der_next(&entry.content, &item))
			continue;
		while (der_next(&item.content, &extension)) {
			struct der_item part;
			if (der_next(&extension.content, &part) &&
				der_next(&extension.content, &part) && part.tag == DER_BOOLEAN)
				return true;
		}
	}
	return false;
}

// The entries are the sequence behind the dates. GnuTLS does not show their extensions.
static struct bytes find_entries(struct bytes list)
{
	struct der_item item;
	bool is_behind_dates = false;

	while (der_next(&list, &item)) {
		if (item.tag == DER_SEQUENCE && is_behind_dates)
			return item.content;
		is_behind_dates |= item.tag == DER_UTC_TIME || item.tag == DER_GENERALIZED_TIME;
	}
	return (struct bytes){NULL, 0};
}

// Not by gnutls_x509_crl_verify, which cannot be told another time than now.
static bool is_signed_by(
	gnutls_x509_crl_t crl, const struct certificate *issuer, bool *has_critical)
{
	__attribute__((cleanup(free_datum))) gnutls_datum_t whole = {0};
	struct der_item outer, signed_part, algorithm, signature;
	struct bytes rest;

	if (gnutls_x509_crl_export2(crl, GNUTLS_X509_FMT_DER, &whole) < 0)
		return false;
	rest = (struct bytes){whole.data, whole.size};
	if (!der_is_strict(rest) || !der_expect(&rest, DER_SEQUENCE, &outer) ||
		!der_expect(&outer.content, DER_SEQUENCE, &signed_part))
		return false;
	*has_critical = has_critical_entry(find_entries(signed_part.content));
	return der_expect(&outer.content, DER_SEQUENCE, &algorithm) &&
	       has_algorithm(signed_part.content, algorithm.whole) &&
	       der_expect(&outer.content, DER_BIT_STRING, &signature) &&
	       signature.content.data[0] == 0 &&
	       certificate_has_signed(issuer, signed_part.whole,
		       (struct bytes){signature.content.data + 1, signature.content.length - 1});
}

static bool check_signature(
	gnutls_x509_crl_t crl, const struct certificate *issuer, struct attest_error *error)
{
	bool has_critical = false;

	if (!constraints_may_sign_crls(issuer))
		return refuse(issuer, error, "is by a key whose keyUsage lacks cRLSign");
	if (gnutls_x509_crl_get_signature_algorithm(crl) != GNUTLS_SIGN_ECDSA_SHA384)
		return refuse(issuer, error, "is not signed with ecdsa-with-SHA384");
	if (!is_signed_by(crl, issuer, &has_critical))
		return refuse(issuer, error, "is not signed by the issuer's key");
	return !has_critical ||
	       refuse(issuer, error, "has an entry with an unknown critical extension");
}

static bool check_dates(gnutls_x509_crl_t crl, const struct certificate *issuer, time_t when,
	struct attest_error *error)
{
	time_t this_update = gnutls_x509_crl_get_this_update(crl);
	time_t next_update = gnutls_x509_crl_get_next_update(crl);

	if (this_update == (time_t)-1 || next_update == (time_t)-1)
		return refuse(issuer, error, "does not say from when until when it is current");
	if (when < this_update)
		return refuse(issuer, error, "was not yet issued at the time of verification");
	if (when > next_update)
		return refuse(issuer, error, "is out of date at the time of verification");
	return true;
}

static bool is_issuer(gnutls_x509_crl_t crl, const struct certificate *certificate)
{
	gnutls_datum_t name = {0};
	bool is_equal;

	if (gnutls_x509_crl_get_raw_issuer_dn(crl, &name) < 0)
		return false;
	is_equal = bytes_are_equal((struct bytes){name.data, name.size}, certificate->subject);
	gnutls_free(name.data);
	return is_equal;
}

// *covered gets a bit for each certificate that this CRL is about.
static bool check_crl(const struct chain *chain, gnutls_x509_crl_t crl, time_t when,
	unsigned *covered, struct attest_error *error)
{
	for (size_t i = 0; i + 1 < chain->count; i++) {
		const struct certificate *issuer = &chain->certificates[i];
		const struct certificate *certificate = issuer + 1;

		if (!is_issuer(crl, issuer))
			continue;
		if (!check_signature(crl, issuer, error) ||
			!check_dates(crl, issuer, when, error) ||
			!check_extensions(crl, issuer, error))
			return false;
		if (gnutls_x509_crt_check_revocation(certificate->handle, &crl, 1) != 0)
			return certificate_refuse(certificate, 14, error, "revoked by its issuer");
		*covered |= 1U << (i + 1);
	}
	return true;
}

struct crl_list {
	unsigned count;
	gnutls_x509_crl_t *crls;
};

static void free_list(struct crl_list *list)
{
	for (unsigned i = 0; i < list->count; i++)
		gnutls_x509_crl_deinit(list->crls[i]);
	gnutls_free(list->crls);
}

// A PEM file may hold several.
static bool read_and_check(const struct chain *chain, struct bytes text, time_t when,
	unsigned *covered, struct attest_error *error)
{
	__attribute__((cleanup(free_list))) struct crl_list list = {0};
	// GnuTLS does not write to what it reads.
	gnutls_datum_t datum = {(unsigned char *)(uintptr_t)text.data, (unsigned)text.length};
	bool is_der = text.length > 0 && text.data[0] == 0x30;
	int rc = gnutls_x509_crl_list_import2(&list.crls, &list.count, &datum,
		is_der ? GNUTLS_X509_FMT_DER : GNUTLS_X509_FMT_PEM, 0);

	if (rc < 0) {
		list = (struct crl_list){0}; // GnuTLS has freed them
		return attest_fail_check(error, 14, ATTEST_FAULT_USAGE, "crl", ATTEST_NO_OFFSET,
			"not a CRL in DER or PEM: %s", gnutls_strerror(rc));
	}
	for (unsigned i = 0; i < list.count; i++) {
		if (!check_crl(chain, list.crls[i], when, covered, error))
			return false;
	}
	return true;
}

bool revocation_check(struct chain *chain, const struct bytes *crls, size_t count, time_t when,
	struct attest_error *error)
{
	unsigned covered = 0;

	for (size_t i = 0; i < count; i++) {
		if (!read_and_check(chain, crls[i], when, &covered, error))
			return false;
	}
	if (count > 0 && covered == 0)
		return attest_fail_check(error, 14, ATTEST_FAULT_REFUSED, "crl", ATTEST_NO_OFFSET,
			"none of the CRLs given is by an issuer of this chain");
	chain->revocation_checked = (unsigned)__builtin_popcount(covered);
	return true;
}
