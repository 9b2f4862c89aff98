// SPDX-License-Identifier: MIT
// hostd's configuration: parsed once into an immutable, reference-counted object that workers
// share. A reload makes a new object; streams that began under the old one keep it until they end.
#ifndef AIRLOCK_HOSTD_CONFIG_H
#define AIRLOCK_HOSTD_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "hostd/log.h"
#include "wire/compiler.h"
#include "wire/conf.h"
#include "wire/endpoint.h"
#include "wire/pattern.h"

#define CONFIG_DEFAULT_PATH "/etc/airlock/hostd.conf"

struct listen {
	struct endpoint endpoint;
	uint32_t cid;  // unix only: the CID that its peers stand for
	unsigned mode; // unix only: permission bits of the socket file, default 0660
	unsigned line;
};

enum rule_action {
	RULE_ALLOW,
	RULE_DENY,
};

struct rule {
	enum rule_action action;
	struct pattern pattern;
	// allow by name or * only: blocks of special addresses (hostd/address_class.h) that the
	// name may resolve into
	struct address_block *to;
	size_t to_count;
	unsigned line; // for explain and for the log
};

enum upstream_kind {
	UPSTREAM_DIRECT,
	UPSTREAM_HTTP,   // CONNECT, RFC 9110 section 9.3.6
	UPSTREAM_SOCKS5, // RFC 1928, without authentication
};

struct upstream {
	enum upstream_kind kind;
	char host[NAME_SIZE]; // a name or an address in text
	uint16_t port;
};

struct enclave {
	char name[64];
	uint32_t *cids;
	size_t cid_count;
	struct rule *rules; // in file order
	size_t rule_count;
	unsigned max_connections; // 0: no limit
	unsigned max_rate;        // new streams per second, 0: no limit
	struct upstream upstream;
	unsigned line;
};

struct config {
	struct listen *listens;
	size_t listen_count;
	unsigned workers; // 0: auto, one a CPU
	struct enclave *enclaves;
	size_t enclave_count;
	unsigned long header_timeout;   // ms, never 0: request must be whole by then
	unsigned long dial_timeout;     // ms, never 0: name and dial together
	unsigned long idle_timeout;     // ms without a byte either way, never 0
	unsigned long drain_timeout;    // ms after SIGTERM, 0: none are waited for
	struct address metrics_address; // family ADDRESS_NONE: no metrics
	uint16_t metrics_port;
	struct endpoint admin; // transport 0: no admin socket
	char resolvers[512];   // "ADDR[:PORT][,...]" for c-ares; empty: the system's
	enum log_level log_level;
};

// Parses text; on failure returns NULL with *error filled. The object starts with one reference.
struct config *config_parse(const char *text, size_t length, struct conf_error *error) MUST_CHECK;

// Reads the file (at most 1 MiB) and parses it. On failure returns NULL with one line for people in
// message, which names the file, and for syntax the line, column and token.
struct config *config_load(const char *path, char *message, size_t size) MUST_CHECK;

struct config *config_hold(struct config *config); // one more reference; atomic
void config_release(struct config *config);        // the last one frees; NULL is nothing

// NULL when no enclave lists the CID.
const struct enclave *config_find_enclave(const struct config *config, uint32_t cid);

// What was understood, one directive a line, in a form that config_parse reads again.
void config_print(const struct config *config, FILE *out);

#endif
