// SPDX-License-Identifier: MIT
// The enclave side's configuration and the decision that it makes for each connect. Read once, in
// the library's constructor or at the launcher's start (programs such as nginx clear their
// environment later).
#ifndef AIRLOCK_PRELOAD_SETTINGS_H
#define AIRLOCK_PRELOAD_SETTINGS_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "wire/compiler.h"
#include "wire/conf.h"
#include "wire/endpoint.h"
#include "wire/pattern.h"

#define SETTINGS_DEFAULT_PATH "/etc/airlock/enclave.conf"
#define SETTINGS_MAX_ROUTES   4096

enum route_action {
	ROUTE_DIRECT,
	ROUTE_TLS,
	ROUTE_LOCAL,
	ROUTE_DENY,
};

// Whether attested TLS (attest/README.md) is spoken on a tls route.
enum route_attest {
	ROUTE_ATTEST_NONE, // nothing is said of it
	ROUTE_ATTEST_OFF,
	ROUTE_ATTEST_PREFER,
	ROUTE_ATTEST_REQUIRE,
};

// Keys of a tls route, checked for form here and used by airlock-tls. Empty text: not given.
struct route_tls {
	uint16_t port; // 0: the program's
	char ca[256];
	char pins[4][64]; // "sha256/BASE64"
	size_t pin_count;
	char minimum[8]; // "1.2" or "1.3"
	char server_name[NAME_SIZE];
	char alpn[128];
	char certificate[256]; // a file, or "attested"
	char key[256];
	enum route_attest attest; // NONE exactly without cert=attested and policy=
	char policy[256];         // what the server has to prove
	char root[256];           // of a simulated NSM
	bool is_eof_lax;
	bool is_auto;
	bool starts_postgres;
};

struct route {
	struct pattern pattern;
	enum route_action action;
	unsigned line;
	struct route_tls tls;
};

enum names_mode {
	NAMES_POOL,
	NAMES_RESOLVE,
};

enum gate_mode {
	GATE_AUTO,
	GATE_ON,
	GATE_OFF,
};

enum settings_log_level {
	SETTINGS_LOG_NONE = 0, // nothing was asked for: nothing is printed
	SETTINGS_LOG_ERROR,
	SETTINGS_LOG_WARN,
	SETTINGS_LOG_INFO,
	SETTINGS_LOG_DEBUG,
};

struct settings {
	struct endpoint hostd;      // default vsock:parent:9001-9016
	struct endpoint tls_listen; // default unix:/run/airlock/tls.sock
	struct route *routes;       // mmap'ed
	size_t route_count;
	enum names_mode names;
	struct address_block pool_ipv4; // default 198.18.0.0/15
	struct address_block pool_ipv6; // default fd61:6972:6c6f::/96
	enum gate_mode gate;
	bool is_hairpin;
	char ca[256];           // "system" or a file
	struct endpoint nsm;    // of a simulated NSM; transport 0: the genuine device
	struct endpoint report; // for `airlock run` as the first process; transport 0: none
	enum settings_log_level log_level;
	uint64_t digest; // of the text and of the overriding environment: equal settings, equal
			 // digest
};

// Defaults: no route, so everything that is not loopback is denied.
void settings_set_defaults(struct settings *settings);

// Parses text on top of the defaults. On failure *error is filled and *settings holds no routes.
bool settings_parse(const char *text, size_t length, struct settings *settings,
	struct conf_error *error) MUST_CHECK;

// path, else $AIRLOCK_CONF, else the default path; then $AIRLOCK_HOSTD and $AIRLOCK_LOG. The
// environment is ignored in a setuid program (secure_getenv). A default path that does not exist is
// not an error (defaults), a named one is. On failure message gets one line for people.
bool settings_load(
	const char *path, struct settings *settings, char *message, size_t size) MUST_CHECK;
void settings_clear(struct settings *settings);

// The first route that matches; NULL: none, which means deny. name in wire form, or NULL when the
// program asked for an address. Loopback and unspecified addresses without hairpin get a
// built-in `local` route that stands before all others.
const struct route *settings_find_route(const struct settings *settings, const char *name,
	const struct address *address, uint16_t port);

bool settings_has_route(const struct settings *settings, enum route_action action);

const char *settings_action_name(enum route_action action);

// Whether the route speaks attested TLS, or would like to.
bool settings_offers_attestation(const struct route_tls *tls);

// Whether our side then proves what it is, by the NSM.
bool settings_proves(const struct route_tls *tls);

// "/dev/nsm" or "unix:PATH".
const char *settings_nsm_name(
	const struct settings *settings, char text[static ENDPOINT_TEXT_SIZE]);

// The words of the log directive and of AIRLOCK_LOG. The reader leaves *level alone for any other
// word.
const char *settings_log_level_name(enum settings_log_level level);
bool settings_read_log_level(
	const char *text, size_t length, enum settings_log_level *level) MUST_CHECK;

// The digest of what came before and one more text.
uint64_t settings_digest_add(uint64_t digest, const char *text, size_t length);

// In the form that settings_parse reads again.
void settings_print(const struct settings *settings, FILE *out);

#endif
