// SPDX-License-Identifier: MIT
#include "preload/tls/peer_names.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "wire/parse.h"

#define PRINTED_NAMES 3

// One entry. What is longer than a name can be stays empty: it is nobody's.
struct entry {
	int kind; // gnutls_x509_subject_alt_name_t, or negative: there are no more
	char bytes[NAME_SIZE];
	size_t length;
};

static bool read_entry(gnutls_x509_crt_t certificate, unsigned index, struct entry *entry)
{
	size_t size = sizeof(entry->bytes);
	unsigned kind = 0;
	int result = gnutls_x509_crt_get_subject_alt_name2(
		certificate, index, entry->bytes, &size, &kind, NULL);

	entry->kind = (int)kind;
	entry->length = result < 0 ? 0 : size;
	return result >= 0 || result == GNUTLS_E_SHORT_MEMORY_BUFFER;
}

bool peer_names_match(const char *pattern, size_t length, const char *name)
{
	if (length > 2 && pattern[0] == '*' && pattern[1] == '.') {
		name = strchr(name, '.');
		pattern++;
		length--;
	}
	return name && strlen(name) == length && strncasecmp(pattern, name, length) == 0;
}

static bool is_address(const struct entry *entry, const struct address *address)
{
	size_t length = address->family == ADDRESS_IPV4 ? 4 : 16;

	return entry->length == length && memcmp(entry->bytes, address->bytes, length) == 0;
}

bool peer_names_include(gnutls_x509_crt_t certificate, const struct verify_target *target)
{
	struct entry entry;

	for (unsigned i = 0; read_entry(certificate, i, &entry); i++) {
		bool is_it = target->name[0] != '\0' ? entry.kind == GNUTLS_SAN_DNSNAME &&
							       peer_names_match(entry.bytes,
								       entry.length, target->name)
						     : entry.kind == GNUTLS_SAN_IPADDRESS &&
							       is_address(&entry, &target->address);

		if (is_it)
			return true;
	}
	return false;
}

static void format_entry(const struct entry *entry, char *text, size_t size)
{
	struct address address = {.family = entry->length == 4 ? ADDRESS_IPV4 : ADDRESS_IPV6};
	char shown[64];

	if (entry->kind == GNUTLS_SAN_IPADDRESS && (entry->length == 4 || entry->length == 16)) {
		memcpy(address.bytes, entry->bytes, entry->length);
		snprintf(text, size, "IP:%s", address_format(&address, shown));
		return;
	}
	parse_copy_printable(shown, sizeof(shown), entry->length ? entry->bytes : "...",
		entry->length ? entry->length : 3);
	snprintf(text, size, "%s%s", entry->kind == GNUTLS_SAN_DNSNAME ? "DNS:" : "other:", shown);
}

bool peer_names_print(gnutls_x509_crt_t certificate, char *text, size_t size)
{
	struct entry entry;
	unsigned count = 0;
	size_t used = 0;

	for (; read_entry(certificate, count, &entry) && used < size; count++) {
		char shown[80] = "...";

		if (count < PRINTED_NAMES)
			format_entry(&entry, shown, sizeof(shown));
		used += (size_t)snprintf(
			text + used, size - used, "%s%s", count ? ", " : "", shown);
		if (count == PRINTED_NAMES)
			break;
	}
	return count > 0;
}
