// SPDX-License-Identifier: MIT
// The daemon's counters over HTTP, by libmicrohttpd: /metrics in Prometheus's text format 0.0.4,
// /healthz (200 while the process answers), /readyz (200, or 503 while it drains).
#ifndef AIRLOCK_HOSTD_METRICS_H
#define AIRLOCK_HOSTD_METRICS_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "hostd/statistics.h"
#include "wire/address.h"
#include "wire/compiler.h"

struct metrics;

// Listens on address and port and serves in a thread of the library's own. statistics must outlive
// it. On failure returns NULL with one line in message.
struct metrics *metrics_start(const struct address *address, uint16_t port,
	struct statistics *statistics, char *message, size_t size) MUST_CHECK;

// Closes the connections and ends the thread. NULL is nothing.
void metrics_stop(struct metrics *metrics);

// The text of /metrics.
void metrics_print(struct statistics *statistics, FILE *out);

#endif
