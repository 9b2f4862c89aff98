// SPDX-License-Identifier: MIT
#include "wire/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>

// What connect() wants of a sockaddr_in6: everything before sin6_scope_id, which RFC 2133 did not
// have yet (SIN6_LEN_RFC2133 in the kernel's net/ipv6.h).
#define SOCKADDR_IN6_MIN_LENGTH offsetof(struct sockaddr_in6, sin6_scope_id)

static unsigned family_bits(enum address_family family)
{
	return family == ADDRESS_IPV4 ? 32 : 128;
}

bool address_parse(
	const char *text, size_t length, struct address *address, struct parse_error *error)
{
	char copy[ADDRESS_TEXT_SIZE];
	struct address parsed = {.family = ADDRESS_NONE};

	if (length == 0 || length >= sizeof(copy) || memchr(text, '\0', length))
		return parse_fail(error, 0, "not an IP address");
	memcpy(copy, text, length);
	copy[length] = '\0';

	// inet_pton, unlike inet_aton, reads only the one spelling with four decimal parts.
	if (inet_pton(AF_INET, copy, parsed.bytes) == 1)
		parsed.family = ADDRESS_IPV4;
	else if (inet_pton(AF_INET6, copy, parsed.bytes) == 1)
		parsed.family = ADDRESS_IPV6;
	else
		return parse_fail(error, 0, "not an IP address");
	*address = parsed;
	return true;
}

const char *address_format(const struct address *address, char text[static ADDRESS_TEXT_SIZE])
{
	int family = address->family == ADDRESS_IPV4 ? AF_INET : AF_INET6;

	if (address->family == ADDRESS_NONE ||
		!inet_ntop(family, address->bytes, text, ADDRESS_TEXT_SIZE))
		text[0] = '\0';
	return text;
}

bool address_is_equal(const struct address *a, const struct address *b)
{
	return a->family == b->family &&
	       memcmp(a->bytes, b->bytes, family_bits(a->family) / 8) == 0;
}

struct address address_unmap(const struct address *address)
{
	static const uint8_t mapped_prefix[12] = {[10] = 0xff, [11] = 0xff};

	if (address->family != ADDRESS_IPV6 ||
		memcmp(address->bytes, mapped_prefix, sizeof(mapped_prefix)) != 0)
		return *address;
	struct address unmapped = {.family = ADDRESS_IPV4};
	memcpy(unmapped.bytes, address->bytes + sizeof(mapped_prefix), 4);
	return unmapped;
}

// The bits of byte number index that belong to a prefix of prefix_length bits.
static uint8_t prefix_mask(unsigned prefix_length, unsigned index)
{
	unsigned before = index * 8;

	if (prefix_length <= before)
		return 0;
	unsigned bits = prefix_length - before;
	return (uint8_t)(bits >= 8 ? 0xff : 0xff << (8 - bits));
}

static bool has_host_bits(const struct address_block *block)
{
	for (unsigned i = 0; i < family_bits(block->base.family) / 8; i++)
		if (block->base.bytes[i] & (uint8_t)~prefix_mask(block->prefix_length, i))
			return true;
	return false;
}

bool address_block_parse(
	const char *text, size_t length, struct address_block *block, struct parse_error *error)
{
	const char *slash = length ? memchr(text, '/', length) : NULL;
	size_t base_length = slash ? (size_t)(slash - text) : length;
	struct address_block parsed;

	if (!address_parse(text, base_length, &parsed.base, error))
		return false;
	unsigned long prefix_length = family_bits(parsed.base.family);
	if (slash &&
		!parse_number(slash + 1, length - base_length - 1, prefix_length, &prefix_length))
		return parse_fail(
			error, base_length + 1, "not a prefix length of 0 to %lu", prefix_length);
	parsed.prefix_length = (unsigned)prefix_length;
	if (has_host_bits(&parsed))
		return parse_fail(
			error, 0, "bits are set past the prefix length of %lu", prefix_length);
	*block = parsed;
	return true;
}

bool address_block_contains(const struct address_block *block, const struct address *address)
{
	if (block->base.family != address->family)
		return false;
	for (unsigned i = 0; i < family_bits(address->family) / 8; i++)
		if ((block->base.bytes[i] ^ address->bytes[i]) &
			prefix_mask(block->prefix_length, i))
			return false;
	return true;
}

static void read_ipv4(const struct sockaddr *sockaddr, struct address *address, uint16_t *port)
{
	struct sockaddr_in in;

	memcpy(&in, sockaddr, sizeof(in));
	*address = (struct address){.family = ADDRESS_IPV4};
	memcpy(address->bytes, &in.sin_addr, 4);
	*port = ntohs(in.sin_port);
}

static void read_ipv6(const struct sockaddr *sockaddr, struct address *address, uint16_t *port)
{
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};

	memcpy(&in6, sockaddr, SOCKADDR_IN6_MIN_LENGTH);
	*address = (struct address){.family = ADDRESS_IPV6};
	memcpy(address->bytes, &in6.sin6_addr, 16);
	*port = ntohs(in6.sin6_port);
}

bool address_from_sockaddr(
	const struct sockaddr *sockaddr, socklen_t length, struct address *address, uint16_t *port)
{
	if (length < sizeof(sa_family_t))
		return false;
	if (sockaddr->sa_family == AF_INET && length >= sizeof(struct sockaddr_in)) {
		read_ipv4(sockaddr, address, port);
		return true;
	}
	if (sockaddr->sa_family == AF_INET6 && length >= SOCKADDR_IN6_MIN_LENGTH) {
		read_ipv6(sockaddr, address, port);
		return true;
	}
	return false;
}

socklen_t address_to_sockaddr(
	const struct address *address, uint16_t port, struct sockaddr_storage *storage)
{
	memset(storage, 0, sizeof(*storage));
	if (address->family == ADDRESS_IPV4) {
		struct sockaddr_in *in = (struct sockaddr_in *)storage;
		in->sin_family = AF_INET;
		in->sin_port = htons(port);
		memcpy(&in->sin_addr, address->bytes, 4);
		return sizeof(*in);
	}
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)storage;
	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons(port);
	memcpy(&in6->sin6_addr, address->bytes, 16);
	return sizeof(*in6);
}
