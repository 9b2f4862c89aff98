// SPDX-License-Identifier: MIT
// /etc/hosts, hosts(5), read as libc's "files" service reads it. libc itself is not asked because
// the order of its services is nsswitch.conf's, and the next one would send DNS queries.
#ifndef AIRLOCK_PRELOAD_HOSTS_FILE_H
#define AIRLOCK_PRELOAD_HOSTS_FILE_H

#include <stdbool.h>

#include "preload/library/lookup.h"

#define HOSTS_FILE_PATH "/etc/hosts"

// Fills name, aliases and addresses from every line of the file at path that has the name (compared
// without regard to case), in the file's order. Returns false when there is none, or no file.
bool hosts_file_find(const char *path, const char *name, struct lookup_answer *answer) MUST_CHECK;

#endif
