// SPDX-License-Identifier: MIT
// What a host name means inside the enclave: the one answer that getaddrinfo, gethostbyname and
// their relatives put into their own forms.
#ifndef AIRLOCK_PRELOAD_LOOKUP_H
#define AIRLOCK_PRELOAD_LOOKUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/address.h"
#include "wire/compiler.h"
#include "wire/control.h"
#include "wire/name.h"

#define LOOKUP_MAX_ADDRESSES CONTROL_MAX_ADDRESSES
#define LOOKUP_MAX_ALIASES   32
#define LOOKUP_ALIAS_BYTES   1024 // with their NULs; further aliases are dropped

enum lookup_status {
	LOOKUP_FOUND,
	LOOKUP_LEAVE_TO_LIBC, // only local routes can match the name
	LOOKUP_NO_SUCH_NAME,
	LOOKUP_TRY_AGAIN,
	LOOKUP_FAILED, // asking again will not help: hostd's own failure, a full pool
};

enum lookup_source {
	LOOKUP_FROM_HOSTS_FILE, // or built in: localhost
	LOOKUP_FROM_HOSTD,      // hostd's addresses, or the pool's of the families that hostd found
	LOOKUP_FROM_POOL,       // which families it has is not known: IPv4 unless IPv6 is asked for
};

struct lookup_answer {
	enum lookup_source source;
	char name[NAME_SIZE]; // official; the program's spelling, without a dot at the end
	size_t alias_count;
	size_t alias_bytes;
	char aliases[LOOKUP_ALIAS_BYTES]; // alias_count texts, each with its NUL
	size_t count;
	struct address addresses[LOOKUP_MAX_ADDRESSES];
};

// Looks a name up: /etc/hosts, localhost (RFC 6761, 6.3), then the routes and hostd. text is not an
// address; family (AF_UNSPEC, AF_INET, AF_INET6) decides whose aliases of a hosts file are meant,
// the answer has the addresses of both; port is what the program will connect to, 0 when it is not
// known. Never asks DNS. May block while hostd resolves; not to be called in a signal handler.
// *answer is valid only with LOOKUP_FOUND.
enum lookup_status lookup_name(
	const char *text, int family, uint16_t port, struct lookup_answer *answer) MUST_CHECK;

// The answer's addresses for AF_UNSPEC, AF_INET or AF_INET6, as libc selects them. Returns how
// many; 0: the name exists, but not in this family.
size_t lookup_select(const struct lookup_answer *answer, int family,
	struct address selected[static LOOKUP_MAX_ADDRESSES]);

// Turns an address of a hosts file into what libc reads there for a family: ::1 is 127.0.0.1, and a
// mapped address what it maps, when IPv4 is asked for. Returns false when the line does not serve
// the family.
bool lookup_hosts_address(struct address *address, int family) MUST_CHECK;

#endif
