// SPDX-License-Identifier: MIT
#include "preload/shared/settings.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "wire/conf_file.h"
#include "wire/nsm_socket.h"

#define DEFAULT_HOSTD      "vsock:parent:9001-9016"
#define DEFAULT_TLS_LISTEN "unix:/run/airlock/tls.sock"
#define DEFAULT_POOL_IPV4  "198.18.0.0/15"
#define DEFAULT_POOL_IPV6  "fd61:6972:6c6f::/96"

// FNV-1a, 64 bits: draft-eastlake-fnv, section 2. It names a file, it protects nothing.
#define FNV_OFFSET 14695981039346656037u
#define FNV_PRIME  1099511628211u
#define SMALL_FILE 4096 // bytes; read on the stack

uint64_t settings_digest_add(uint64_t digest, const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++)
		digest = (digest ^ (uint8_t)text[i]) * FNV_PRIME;
	return (digest ^ 0xff) *
	       FNV_PRIME; // no text holds this byte twice: "ab","c" differs from "a","bc"
}

const char *settings_nsm_name(const struct settings *settings, char text[static ENDPOINT_TEXT_SIZE])
{
	return settings->nsm.transport != 0 ? endpoint_format(&settings->nsm, text) : NSM_DEVICE;
}

bool settings_read_log_level(const char *text, size_t length, enum settings_log_level *level)
{
	for (int i = SETTINGS_LOG_ERROR; i <= SETTINGS_LOG_DEBUG; i++) {
		const char *name = settings_log_level_name((enum settings_log_level)i);

		if (strlen(name) == length && memcmp(name, text, length) == 0) {
			*level = (enum settings_log_level)i;
			return true;
		}
	}
	return false;
}

const char *settings_log_level_name(enum settings_log_level level)
{
	static const char *const names[] = {"none", "error", "warn", "info", "debug"};

	return names[level];
}

void settings_set_defaults(struct settings *settings)
{
	bool is_good;

	memset(settings, 0, sizeof(*settings));
	is_good = endpoint_parse(
			  DEFAULT_HOSTD, strlen(DEFAULT_HOSTD), false, &settings->hostd, NULL) &&
		  endpoint_parse(DEFAULT_TLS_LISTEN, strlen(DEFAULT_TLS_LISTEN), false,
			  &settings->tls_listen, NULL) &&
		  address_block_parse(DEFAULT_POOL_IPV4, strlen(DEFAULT_POOL_IPV4),
			  &settings->pool_ipv4, NULL) &&
		  address_block_parse(
			  DEFAULT_POOL_IPV6, strlen(DEFAULT_POOL_IPV6), &settings->pool_ipv6, NULL);
	(void)is_good; // constants; the unit tests read them back
	strcpy(settings->ca, "system");
	settings->digest = FNV_OFFSET;
}

void settings_clear(struct settings *settings)
{
	if (settings->routes)
		munmap(settings->routes, settings->route_count * sizeof(struct route));
	settings->routes = NULL;
	settings->route_count = 0;
}

// An empty variable counts as an absent one.
static const char *environment_value(const char *name)
{
	const char *value = secure_getenv(name);

	return value && value[0] != '\0' ? value : NULL;
}

static bool read_environment(struct settings *settings, char *message, size_t size)
{
	const char *hostd = environment_value("AIRLOCK_HOSTD");
	const char *log = environment_value("AIRLOCK_LOG");
	struct parse_error error;

	if (hostd && !endpoint_parse(hostd, strlen(hostd), false, &settings->hostd, &error)) {
		snprintf(message, size, "AIRLOCK_HOSTD: %s: `%.80s`", error.reason, hostd);
		return false;
	}
	if (log && !settings_read_log_level(log, strlen(log), &settings->log_level)) {
		snprintf(message, size, "AIRLOCK_LOG: unknown word: `%.80s`", log);
		return false;
	}
	if (hostd)
		settings->digest = settings_digest_add(settings->digest, hostd, strlen(hostd));
	return true;
}

struct source {
	int fd;
	const char *path;
	char *message; // for what is wrong
	size_t message_size;
};

static bool parse_text(
	const struct source *source, const char *text, size_t length, struct settings *settings)
{
	struct conf_error error;

	if (settings_parse(text, length, settings, &error))
		return true;
	conf_error_format(&error, source->path, source->message, source->message_size);
	return false;
}

// What did not fit into the small buffer: beginning holds its first bytes.
static bool parse_large_file(const struct source *source, const char *beginning, size_t length,
	struct settings *settings)
{
	bool is_good = false;
	ssize_t rest;
	char *text = mmap(NULL, CONF_FILE_MAX + 1, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (text == MAP_FAILED) {
		snprintf(source->message, source->message_size, "%s: %s", source->path,
			strerror(errno));
		return false;
	}
	memcpy(text, beginning, length);
	rest = conf_file_read(source->fd, text + length, CONF_FILE_MAX + 1 - length);
	if (rest < 0)
		snprintf(source->message, source->message_size, "%s: %s", source->path,
			strerror((int)-rest));
	else
		is_good = parse_text(source, text, length + (size_t)rest, settings);
	munmap(text, CONF_FILE_MAX + 1);
	return is_good;
}

// Every program that is started reads its settings here, so the usual small file costs no mapping.
static bool parse_file(const struct source *source, struct settings *settings)
{
	__attribute__((uninitialized)) char text[SMALL_FILE];
	ssize_t length = conf_file_read(source->fd, text, sizeof(text));

	if (length == -EFBIG)
		return parse_large_file(source, text, sizeof(text), settings);
	if (length >= 0)
		return parse_text(source, text, (size_t)length, settings);
	snprintf(source->message, source->message_size, "%s: %s", source->path,
		strerror((int)-length));
	return false;
}

bool settings_load(const char *path, struct settings *settings, char *message, size_t size)
{
	const char *named = path ? path : environment_value("AIRLOCK_CONF");
	struct source source = {.path = named ? named : SETTINGS_DEFAULT_PATH,
		.message = message,
		.message_size = size};
	bool is_good;

	settings_set_defaults(settings);
	source.fd = open(source.path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (source.fd < 0 && (named || errno != ENOENT)) {
		snprintf(message, size, "%s: %s", source.path, strerror(errno));
		return false;
	}
	if (source.fd >= 0) {
		is_good = parse_file(&source, settings);
		close(source.fd);
		if (!is_good)
			return false;
	}
	if (!read_environment(settings, message, size)) {
		settings_clear(settings);
		return false;
	}
	return true;
}

// What the kernel delivers inside the enclave whatever the routes say: 127.0.0.0/8, ::1 (RFC 1122,
// RFC 4291), and the unspecified addresses, which connect() takes for loopback (ip(7)).
static bool is_loopback(const struct address *original)
{
	struct address address = address_unmap(original);
	static const uint8_t zeros[16];

	if (address.family == ADDRESS_IPV4)
		return address.bytes[0] == 127 || memcmp(address.bytes, zeros, 4) == 0;
	return memcmp(address.bytes, zeros, 15) == 0 && address.bytes[15] <= 1;
}

const struct route *settings_find_route(const struct settings *settings, const char *name,
	const struct address *address, uint16_t port)
{
	static const struct route kernels_own = {
		.pattern = {.kind = PATTERN_ANY}, .action = ROUTE_LOCAL};

	if (!name && !settings->is_hairpin && is_loopback(address))
		return &kernels_own;
	for (size_t i = 0; i < settings->route_count; i++) {
		const struct route *route = &settings->routes[i];

		if (name ? pattern_matches_name(&route->pattern, name, port)
			 : pattern_matches_address(&route->pattern, address, port))
			return route;
	}
	return NULL;
}

bool settings_has_route(const struct settings *settings, enum route_action action)
{
	for (size_t i = 0; i < settings->route_count; i++) {
		if (settings->routes[i].action == action)
			return true;
	}
	return false;
}

const char *settings_action_name(enum route_action action)
{
	static const char *const names[] = {
		[ROUTE_DIRECT] = "direct",
		[ROUTE_TLS] = "tls",
		[ROUTE_LOCAL] = "local",
		[ROUTE_DENY] = "deny",
	};

	return names[action];
}
