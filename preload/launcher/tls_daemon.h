// SPDX-License-Identifier: MIT
// airlock-tls beside a program that needs it: started before the program, started again when it
// dies, ended after the program. One that somebody else runs at tls-listen is left alone, and
// replaced when it has gone.
#ifndef AIRLOCK_LAUNCHER_TLS_DAEMON_H
#define AIRLOCK_LAUNCHER_TLS_DAEMON_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "preload/shared/settings.h"
#include "wire/compiler.h"

struct tls_daemon {
	const struct settings *settings;
	char program[PATH_MAX];
	pid_t pid;           // 0: none runs
	uint64_t started_at; // ms of CLOCK_MONOTONIC
	uint64_t restart_at; // 0: no restart is due, nor a look at somebody else's
};

// Starts it and waits until it listens, unless no route needs it or somebody answers at tls-listen
// already. What goes wrong is said and stops nothing: connections by tls routes fail then. SIGCHLD
// must be blocked and at its default.
void tls_daemon_start(struct tls_daemon *daemon, const struct settings *settings);

// A child has ended: true when it was this one, whose restart is then arranged.
bool tls_daemon_note_end(struct tls_daemon *daemon, pid_t child, int status);

// Milliseconds until tls_daemon_restart is to be called, -1: nothing is due.
int tls_daemon_wait(const struct tls_daemon *daemon);

// Starts it, unless somebody answers in its place: then that is looked at again later.
void tls_daemon_restart(struct tls_daemon *daemon);

// Ends it, and waits until it has passed on what programs have left behind, which takes ten seconds
// at most. A signal that asks us to end meanwhile (ending.h) kills it.
void tls_daemon_stop(struct tls_daemon *daemon);

#endif
