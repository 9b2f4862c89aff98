// SPDX-License-Identifier: MIT
// Sources: the IANA registries "IPv4 Special-Purpose Address Space", "IPv6 Special-Purpose Address
// Space" and "IPv6 Address Space" (RFC 6890 as updated by RFC 8190), with the RFC of each block
// beside it. Registry entries that are globally reachable service addresses of the public internet
// (AS112, AMT, TURN and PCP anycast inside 192.0.0.0/24 and 2001::/23) are not split off: inside
// those two blocks everything counts as special, which errs on the closed side. The amazon rows are
// services of an EC2 instance that hand out credentials (EC2 User Guide, "Instance metadata"; ECS
// and EKS guides, "task IAM roles" and "Pod Identity").
//
// Outside 2000::/3 IANA has given no global unicast addresses to anybody, so the rest is "reserved"
// as a whole; the table is searched for the narrowest match, not in order.
#include "hostd/address_class.h"

#include <string.h>

// clang-format off
#define IPV4(a, b, c, d, length) {{ADDRESS_IPV4, {a, b, c, d}}, length}
#define IPV6(length, ...)        {{ADDRESS_IPV6, {__VA_ARGS__}}, length}

static const struct address_class classes[] = {
	{"this network",       IPV4(0, 0, 0, 0, 8)},            // RFC 791, 3.2
	{"private",            IPV4(10, 0, 0, 0, 8)},           // RFC 1918
	{"shared (CGNAT)",     IPV4(100, 64, 0, 0, 10)},        // RFC 6598
	{"loopback",           IPV4(127, 0, 0, 0, 8)},          // RFC 1122, 3.2.1.3
	{"link-local",         IPV4(169, 254, 0, 0, 16)},       // RFC 3927
	{"IMDS",               IPV4(169, 254, 169, 254, 32)},   // amazon: instance metadata
	{"ECS credentials",    IPV4(169, 254, 170, 2, 32)},     // amazon: task roles
	{"EKS credentials",    IPV4(169, 254, 170, 23, 32)},    // amazon: pod identity
	{"private",            IPV4(172, 16, 0, 0, 12)},        // RFC 1918
	{"IETF protocols",     IPV4(192, 0, 0, 0, 24)},         // RFC 6890, 2.1
	{"documentation",      IPV4(192, 0, 2, 0, 24)},         // RFC 5737
	{"6to4 relay anycast", IPV4(192, 88, 99, 0, 24)},       // RFC 7526
	{"private",            IPV4(192, 168, 0, 0, 16)},       // RFC 1918
	{"benchmarking",       IPV4(198, 18, 0, 0, 15)},        // RFC 2544
	{"documentation",      IPV4(198, 51, 100, 0, 24)},      // RFC 5737
	{"documentation",      IPV4(203, 0, 113, 0, 24)},       // RFC 5737
	{"multicast",          IPV4(224, 0, 0, 0, 4)},          // RFC 5771
	{"reserved",           IPV4(240, 0, 0, 0, 4)},          // RFC 1112, 4
	{"broadcast",          IPV4(255, 255, 255, 255, 32)},   // RFC 8190

	{"unspecified",        IPV6(128, 0)},                                  // RFC 4291, 2.5.2
	{"loopback",           IPV6(128, [15] = 1)},                           // RFC 4291, 2.5.3
	{"IPv4-compatible",    IPV6(96, 0)},                                   // RFC 4291, 2.5.5.1
	{"IPv4-mapped",        IPV6(96, [10] = 0xff, [11] = 0xff)},            // RFC 4291, 2.5.5.2
	{"IPv4-translated",    IPV6(96, [8] = 0xff, [9] = 0xff)},              // RFC 2765, 2.1
	{"NAT64",              IPV6(96, 0x00, 0x64, 0xff, 0x9b)},              // RFC 6052
	{"local NAT64",        IPV6(48, 0x00, 0x64, 0xff, 0x9b, 0x00, 0x01)},  // RFC 8215
	{"discard-only",       IPV6(64, 0x01)},                                // RFC 6666
	{"IETF protocols",     IPV6(23, 0x20, 0x01)},                          // RFC 2928
	{"Teredo",             IPV6(32, 0x20, 0x01)},                          // RFC 4380
	{"documentation",      IPV6(32, 0x20, 0x01, 0x0d, 0xb8)},              // RFC 3849
	{"6to4",               IPV6(16, 0x20, 0x02)},                          // RFC 3056
	{"documentation",      IPV6(20, 0x3f, 0xff)},                          // RFC 9637
	{"SRv6 SIDs",          IPV6(16, 0x5f, 0x00)},                          // RFC 9602
	{"unique local",       IPV6(7, 0xfc)},                                 // RFC 4193
	{"IMDS",               IPV6(128, 0xfd, 0x00, 0x0e, 0xc2, [14] = 0x02, [15] = 0x54)}, // amazon
	{"EKS credentials",    IPV6(128, 0xfd, 0x00, 0x0e, 0xc2, [15] = 0x23)}, // amazon
	{"link-local",         IPV6(10, 0xfe, 0x80)},                          // RFC 4291, 2.5.6
	{"site-local",         IPV6(10, 0xfe, 0xc0)},                          // RFC 3879
	{"multicast",          IPV6(8, 0xff)},                                 // RFC 4291, 2.7
	{"reserved",           IPV6(3, 0x00)},                                 // outside 2000::/3
	{"reserved",           IPV6(2, 0x40)},
	{"reserved",           IPV6(1, 0x80)},
};
// clang-format on

const struct address_class *address_class_find(const struct address *address)
{
	struct address plain = address_unmap(address);
	const struct address_class *narrowest = NULL;
	for (size_t i = 0; i < ARRAY_SIZE(classes); i++) {
		if (!address_block_contains(&classes[i].block, &plain))
			continue;
		if (!narrowest || classes[i].block.prefix_length > narrowest->block.prefix_length)
			narrowest = &classes[i];
	}
	return narrowest;
}

struct embedding {
	const char *class_name;
	size_t offset; // of the IPv4 address, in bytes
};

bool address_class_embedded(const struct address *address, struct address *embedded)
{
	static const struct embedding embeddings[] = {
		{"IPv4-compatible", 12}, {"IPv4-translated", 12},
		{"NAT64", 12}, // RFC 6052, 2.2, prefix length 96
		{"6to4", 2},   // RFC 3056, 2
	};
	const struct address_class *class = address_class_find(address);
	for (size_t i = 0; class && i < ARRAY_SIZE(embeddings); i++) {
		if (strcmp(class->name, embeddings[i].class_name) != 0)
			continue;
		*embedded = (struct address){.family = ADDRESS_IPV4};
		memcpy(embedded->bytes, address->bytes + embeddings[i].offset, 4);
		return true;
	}
	return false;
}
