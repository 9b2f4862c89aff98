// SPDX-License-Identifier: MIT
// GnuTLS reads SSLKEYLOGFILE, GNUTLS_SYSTEM_PRIORITY_FILE, GNUTLS_DEBUG_LEVEL and others, some of
// them before main(); a loader reads LD_PRELOAD. So the program is executed anew without them.
#ifndef AIRLOCK_TLS_ENVIRONMENT_H
#define AIRLOCK_TLS_ENVIRONMENT_H

#include "wire/compiler.h"

// Returns 0 when the environment holds nothing but AIRLOCK_CONF, AIRLOCK_HOSTD and AIRLOCK_LOG.
// Otherwise executes this program again with only those, and comes back with -errno only when that
// fails.
int environment_scrub(char **arguments) MUST_CHECK;

#endif
