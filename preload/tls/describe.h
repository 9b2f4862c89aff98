// SPDX-License-Identifier: MIT
// What `airlock explain` tells about a TLS connection: one "key: value" a line.
#ifndef AIRLOCK_TLS_DESCRIBE_H
#define AIRLOCK_TLS_DESCRIBE_H

#include <stdbool.h>
#include <stddef.h>

#include "preload/tls/channel.h"

// Version, cipher, group, peer and issuer, and how the peer was verified. Fields are separated by
// "; ", text is cut to size.
void describe_session(const struct channel *channel, char *text, size_t size);

// A granted stream of a tls=auto route that has no session: passed through, or not decided yet.
void describe_plain(bool is_passed_through, char *text, size_t size);

#endif
