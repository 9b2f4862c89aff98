// SPDX-License-Identifier: MIT
// Sessions that servers let us resume, in memory only. A ticket may be offered only where
// everything is as it was when it came: the key says what. One that is taken is gone: a TLS 1.3
// ticket that is used twice lets an observer link the two connections (RFC 8446, C.4).
#ifndef AIRLOCK_TLS_TICKETS_H
#define AIRLOCK_TLS_TICKETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/compiler.h"

#define TICKETS_KEYS     256     // the key that was used least lately goes first
#define TICKETS_PER_KEY  16      // the oldest ticket goes first
#define TICKETS_LIFETIME 3600000 // ms; servers' own limits may be shorter
#define TICKETS_MAX_SIZE 65536   // bytes of one; larger ones are not kept
#define TICKETS_KEY_SIZE 1024

struct ticket {
	uint8_t *data; // owned; ticket_free
	size_t length;
};

struct ticket_scope {
	const char *name; // that the server's certificate was verified for
	uint16_t port;
	const char *alpn;     // "" : none
	const char *priority; // GnuTLS's text
	const char *trust;    // anchors and pins
	const char *client;   // certificate file, "": none
};

// The key's text, NUL terminated; the parts cannot run into each other. false: does not fit.
bool tickets_format_key(
	const struct ticket_scope *scope, char key[static TICKETS_KEY_SIZE]) MUST_CHECK;

struct tickets_of_key; // an entry
struct tickets {
	struct tickets_of_key *table; // in order of use, the oldest first
};

// Keeps a copy. Without memory the ticket is lost, and the next handshake a full one.
void tickets_put(
	struct tickets *tickets, const char *key, const void *data, size_t length, uint64_t now_ms);

// Hands out the newest ticket of the key and forgets it. false: there is none.
bool tickets_take(struct tickets *tickets, const char *key, uint64_t now_ms,
	struct ticket *ticket) MUST_CHECK;

// Wipes and frees.
void ticket_free(struct ticket *ticket);

void tickets_clear(struct tickets *tickets);

#endif
