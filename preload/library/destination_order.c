// SPDX-License-Identifier: MIT
#include "preload/library/destination_order.h"

#include <unistd.h>

#include "preload/library/real.h"

#define RANK_NO_ROUTE 2
#define RANK_IPV4     1

// connect() on a datagram socket sends nothing: it only looks for a route and a source address.
static bool has_route(const struct address *address)
{
	struct sockaddr_storage storage;
	socklen_t length = address_to_sockaddr(address, 0, &storage);
	int fd = socket(storage.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return false;
	bool found = real_connect(fd, (struct sockaddr *)&storage, length) == 0;
	close(fd);
	return found;
}

static int rank(const struct address *address)
{
	int result = has_route(address) ? 0 : RANK_NO_ROUTE;

	if (address_unmap(address).family == ADDRESS_IPV4)
		result += RANK_IPV4;
	return result;
}

void destination_order_sort(struct address *addresses, size_t count)
{
	int ranks[DESTINATION_ORDER_MAX];

	for (size_t i = 0; i < count; i++) {
		struct address moving = addresses[i];
		int its_rank = rank(&moving);
		size_t place = i;

		for (; place > 0 && ranks[place - 1] > its_rank; place--) {
			addresses[place] = addresses[place - 1];
			ranks[place] = ranks[place - 1];
		}
		addresses[place] = moving;
		ranks[place] = its_rank;
	}
}
