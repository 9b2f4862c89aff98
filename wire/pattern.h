// SPDX-License-Identifier: MIT
// PATTERN[:PORTS], the left side of a route in the enclave and of a rule on the parent:
// an exact name, *.suffix (one or more labels before it), *, an address or a block of addresses.
// An IPv6 address that is followed by ports stands in brackets. PORTS: 443, 8000-8100,
// 80,443,8000-8100.
#ifndef AIRLOCK_WIRE_PATTERN_H
#define AIRLOCK_WIRE_PATTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/address.h"
#include "wire/compiler.h"
#include "wire/name.h"
#include "wire/parse.h"

#define PATTERN_MAX_PORT_RANGES 16

enum pattern_kind {
	PATTERN_ANY,    // *
	PATTERN_NAME,   // exact
	PATTERN_SUFFIX, // *.suffix: name holds "suffix"
	PATTERN_BLOCK,  // an address is a block of one
};

struct port_range {
	uint16_t first;
	uint16_t last;
};

struct pattern {
	enum pattern_kind kind;
	char name[NAME_SIZE];
	struct address_block block;
	struct port_range ports[PATTERN_MAX_PORT_RANGES];
	size_t port_count; // 0: every port
};

bool pattern_parse(const char *text, size_t length, struct pattern *pattern,
	struct parse_error *error) MUST_CHECK;

// One port, a range or a comma list. Returns the number of ranges, 0 when refused.
size_t pattern_parse_ports(const char *text, size_t length,
	struct port_range ports[static PATTERN_MAX_PORT_RANGES],
	struct parse_error *error) MUST_CHECK;

bool pattern_matches_port(const struct pattern *pattern, uint16_t port);

// name in wire form. A block never matches a name, a name or suffix never an address; * matches
// both.
bool pattern_matches_name(const struct pattern *pattern, const char *name, uint16_t port);

// IPv4-mapped addresses are compared as the IPv4 address that they stand for.
bool pattern_matches_address(
	const struct pattern *pattern, const struct address *address, uint16_t port);

// The form that pattern_parse reads, NUL terminated and cut to size. Returns text.
const char *pattern_format(const struct pattern *pattern, char *text, size_t size);

#endif
