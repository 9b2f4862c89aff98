// SPDX-License-Identifier: MIT
// The subcommands of `airlock`. Each gets what main.c has read from the command line and returns
// the process's exit code.
#ifndef AIRLOCK_LAUNCHER_SUBCOMMANDS_H
#define AIRLOCK_LAUNCHER_SUBCOMMANDS_H

#include <stdbool.h>

#include "wire/exit_code.h"

struct enclave_user;

struct invocation {
	const char *conf; // -c, or NULL
	bool allow_unhooked;
	bool is_init;                    // --init, or started as init
	bool is_mounted;                 // enclave_mount_all has been called
	const struct enclave_user *user; // to run as; NULL: ours
	int count;                       // of arguments, options taken away
	char **arguments;                // NULL terminated
};

int run_subcommand(const struct invocation *invocation);
int check_subcommand(const struct invocation *invocation);
int explain_subcommand(const struct invocation *invocation);
int doctor_subcommand(const struct invocation *invocation);

#endif
