// SPDX-License-Identifier: MIT
// The order in which getaddrinfo lists the addresses of the hosts file.
#ifndef AIRLOCK_PRELOAD_DESTINATION_ORDER_H
#define AIRLOCK_PRELOAD_DESTINATION_ORDER_H

#include <stddef.h>

#include "wire/address.h"

#define DESTINATION_ORDER_MAX 64

// Sorts by RFC 6724, section 6, as far as the kernel of an enclave can tell destinations apart:
// those that it has a route to before the others (rule 1), then IPv6 before IPv4 (rule 6, default
// policy table); otherwise the order stays (rule 10).
// count is at most DESTINATION_ORDER_MAX.
void destination_order_sort(struct address *addresses, size_t count);

#endif
