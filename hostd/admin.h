// SPDX-License-Identifier: MIT
// The admin socket: one command a connection (a word and a newline), one text in answer, then it
// closes. The first word of the answer is "ok" or "error", alone on its line; the rest is for
// people. Only who may open the socket file (mode 0600: its owner) may ask.
#ifndef AIRLOCK_HOSTD_ADMIN_H
#define AIRLOCK_HOSTD_ADMIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "wire/compiler.h"
#include "wire/endpoint.h"

struct admin_command {
	const char *name;
	// Runs in the admin thread. Writes the answer's text to out; false: it did not work.
	bool (*run)(void *context, FILE *out);
};

struct admin;

// Listens and starts the thread, with every signal blocked in it. commands and context must outlive
// it. On failure returns NULL with one line in message.
struct admin *admin_start(const struct endpoint *endpoint, const struct admin_command *commands,
	size_t count, void *context, char *message, size_t size) MUST_CHECK;

// Ends the thread, closes and removes the socket. NULL is nothing.
void admin_stop(struct admin *admin);

// The client's side: asks the daemon behind endpoint. Copies the answer's text to out. Returns the
// process's exit code: 0, 1 when the daemon says that it did not work, 3 when it cannot be asked
// (then message says why and names the socket).
int admin_ask(const struct endpoint *endpoint, const char *command, FILE *out, char *message,
	size_t size) MUST_CHECK;

#endif
