// SPDX-License-Identifier: MIT
// The subcommands of `airlock-attest`. Each reads its own options (argv[0] is the subcommand) and
// returns the process's exit status.
#ifndef AIRLOCK_ATTEST_COMMANDS_H
#define AIRLOCK_ATTEST_COMMANDS_H

#include "attest/error.h"
#include "wire/exit_code.h"

#define DEFAULT_NSM "/dev/nsm"

// Prints "airlock-attest: SUBJECT: " and the error, and returns the exit status that its fault
// stands for. subject may be NULL.
int command_fail(const char *subject, const struct attest_error *error);

// Prints how the named subcommand is used to stderr. Returns EXIT_USAGE.
int command_usage(const char *name);

int command_get(int argc, char **argv);
int command_verify(int argc, char **argv);
int command_show(int argc, char **argv);
int command_pcr(int argc, char **argv);
int command_random(int argc, char **argv);
int command_describe(int argc, char **argv);
int command_simulate(int argc, char **argv);

int command_measure(int argc, char **argv);
int command_eif(int argc, char **argv);
int command_kms(int argc, char **argv);

#endif
