// SPDX-License-Identifier: MIT
// /etc/hosts, hosts(5), read as libc's "files" service reads it. libc itself is not asked because
// the order of its services is nsswitch.conf's, and the next one would send DNS queries.
#ifndef AIRLOCK_PRELOAD_HOSTS_FILE_H
#define AIRLOCK_PRELOAD_HOSTS_FILE_H

#include <stdbool.h>

#include "preload/library/lookup.h"

#define HOSTS_FILE_PATH "/etc/hosts"

// Fills the addresses from every line of the file at path that has the name (compared without
// regard to case), in the file's order, and name and aliases from those of these lines that serve
// the family. Returns false when no line has the name. Expects an empty answer.
bool hosts_file_find(
	const char *path, const char *name, int family, struct lookup_answer *answer) MUST_CHECK;

#endif
