// SPDX-License-Identifier: MIT
// Starting the program and standing in front of it: signals go through, children are reaped, its
// status becomes ours. Fit to be PID 1.
#ifndef AIRLOCK_LAUNCHER_SUPERVISE_H
#define AIRLOCK_LAUNCHER_SUPERVISE_H

#include "preload/launcher/enclave_command.h"
#include "preload/shared/settings.h"
#include "wire/compiler.h"

#define STATUS_NOT_EXECUTABLE 126 // as shells say it: POSIX, XCU 2.8.2
#define STATUS_NOT_FOUND      127

// Starts airlock-tls when a route of settings needs it, and keeps it running while the program
// does. Runs arguments[0] (looked up as execvp(3) does) as user (NULL: ours) in the caller's
// process group and with the caller's signal mask and dispositions, and waits for it. As PID 1 ends
// all other processes then. Returns its exit status, 128 + the signal that killed it, 126 or 127
// when it could not be executed, or -errno when there is no process to be had.
int supervise_run(const struct settings *settings, char *const *arguments,
	const struct enclave_user *user) MUST_CHECK;

#endif
