// SPDX-License-Identifier: MIT
// IP addresses, address blocks, and the sockaddr forms of both.
#ifndef AIRLOCK_WIRE_ADDRESS_H
#define AIRLOCK_WIRE_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "wire/compiler.h"
#include "wire/parse.h"

enum address_family {
	ADDRESS_NONE = 0,
	ADDRESS_IPV4 = 4,
	ADDRESS_IPV6 = 6,
};

struct address {
	enum address_family family;
	uint8_t bytes[16]; // network order; IPv4 uses the first four, the rest are zero
};

// A block of addresses. Bits past prefix_length are zero.
struct address_block {
	struct address base;
	unsigned prefix_length; // 0..32 or 0..128
};

#define ADDRESS_TEXT_SIZE 46 // INET6_ADDRSTRLEN

// Dotted quad, or RFC 4291 text without brackets, zone or port; IPv4 in inet_aton's other
// spellings (decimal, octal, hex, fewer than four parts) is refused. error may be NULL.
bool address_parse(const char *text, size_t length, struct address *address,
	struct parse_error *error) MUST_CHECK;

// RFC 5952 text, NUL terminated. Returns text.
const char *address_format(const struct address *address, char text[static ADDRESS_TEXT_SIZE]);

bool address_is_equal(const struct address *a, const struct address *b);

// ::ffff:a.b.c.d becomes a.b.c.d, everything else is returned as it is (RFC 4291, 2.5.5.2).
struct address address_unmap(const struct address *address);

// "10.0.0.0/8", or a lone address as a block of one. Host bits that are set are refused: they are
// nearly always a slip of the pen. error may be NULL.
bool address_block_parse(const char *text, size_t length, struct address_block *block,
	struct parse_error *error) MUST_CHECK;
bool address_block_contains(const struct address_block *block, const struct address *address);

// From AF_INET or AF_INET6; port in host order. Returns false for other families and short lengths.
bool address_from_sockaddr(const struct sockaddr *sockaddr, socklen_t length,
	struct address *address, uint16_t *port) MUST_CHECK;

// Returns the length used. storage is zeroed first. Scope id and flow label are 0.
socklen_t address_to_sockaddr(
	const struct address *address, uint16_t port, struct sockaddr_storage *storage);

#endif
