// SPDX-License-Identifier: MIT
// Which addresses are special: not a host on the public internet, or a form that hides another
// address. Pure; one table with its sources.
#ifndef AIRLOCK_HOSTD_ADDRESS_CLASS_H
#define AIRLOCK_HOSTD_ADDRESS_CLASS_H

#include <stdbool.h>

#include "wire/address.h"
#include "wire/compiler.h"

struct address_class {
	const char *name;           // for people: "loopback", "link-local", "NAT64"
	struct address_block block; // the registry's whole block
};

// The narrowest special block that holds the address, or NULL for a public one. An IPv4-mapped
// address is classified as the IPv4 address that it stands for. The result lives for ever.
const struct address_class *address_class_find(const struct address *address);

// The IPv4 address that a well-known NAT64 (64:ff9b::/96), 6to4, IPv4-compatible or IPv4-translated
// address makes a translator or tunnel talk to. Returns false when there is none. Where a prefix
// does not tell the layout (64:ff9b:1::/48, Teredo), there is none either: such addresses are just
// special.
bool address_class_embedded(const struct address *address, struct address *embedded) MUST_CHECK;

#endif
