// SPDX-License-Identifier: MIT
// The daemon as a whole: starts the workers, waits for signals, reloads, drains.
#ifndef AIRLOCK_HOSTD_SERVER_H
#define AIRLOCK_HOSTD_SERVER_H

#include "hostd/config.h"
#include "wire/compiler.h"

// Runs until SIGTERM or SIGINT and the drain that follows. config_path is read again at SIGHUP.
// Takes the reference over. Returns the process's exit code: 0, or 3 when it could not start.
int server_run(struct config *config, const char *config_path) MUST_CHECK;

#endif
