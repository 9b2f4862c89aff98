// SPDX-License-Identifier: MIT
// Theory of operation: one table of directives; each has a reader that gets a whole line. The text
// is walked twice: first to count the routes, so that their array can be mapped at its final size
// (malloc is not to be had in a preload's constructor that runs before an allocator's own), then to
// read.
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include "preload/shared/settings.h"
#include "preload/shared/settings_tls.h"
#include "wire/nsm_socket.h"

// Slots 0 to 3 of a pool are not handed out (name_pool.h): a block this small still has twelve.
#define POOL_MIN_HOST_BITS 4

struct choice {
	const char *word;
	int value;
};

struct directive {
	const char *name;
	const char *argument; // for the message when it is absent
	size_t max_words;
	bool may_repeat;
	bool (*read)(
		struct settings *settings, const struct conf_line *line, struct conf_error *error);
};

// Returns the value, or -1 with *error filled.
static int read_choice(const struct conf_line *line, const struct conf_word *word,
	const struct choice *choices, struct conf_error *error)
{
	for (const struct choice *choice = choices; choice->word; choice++) {
		if (conf_word_is(word, choice->word))
			return choice->value;
	}
	conf_fail(error, line, word, "unknown word");
	return -1;
}

static bool read_endpoint(
	const struct conf_line *line, struct endpoint *endpoint, struct conf_error *error)
{
	const struct conf_word *word = &line->words[1];
	struct parse_error inner;

	if (!endpoint_parse(word->text, word->length, false, endpoint, &inner))
		return conf_fail_parse(error, line, word, &inner);
	return true;
}

static bool read_hostd(
	struct settings *settings, const struct conf_line *line, struct conf_error *error)
{
	return read_endpoint(line, &settings->hostd, error);
}

// A program's plaintext goes to this endpoint, so it must not be able to leave the enclave.
static bool read_tls_listen(
	struct settings *settings, const struct conf_line *line, struct conf_error *error)
{
	if (!read_endpoint(line, &settings->tls_listen, error))
		return false;
	if (settings->tls_listen.transport != ENDPOINT_UNIX)
		return conf_fail(error, line, &line->words[1],
			"must be unix: plaintext would leave the enclave");
	return true;
}

static bool read_nsm(
	struct settings *settings, const struct conf_line *line, struct conf_error *error)
{
	const struct conf_word *word = &line->words[1];

	if (conf_word_is(word, NSM_DEVICE))
		return true;
	if (!read_endpoint(line, &settings->nsm, error))
		return false;
	if (settings->nsm.transport != ENDPOINT_UNIX)
		return conf_fail(error, line, word, "must be " NSM_DEVICE " or unix:");
	return true;
}

// Who waits there waits at one port.
static bool read_report(
	struct settings *settings, const struct conf_line *line, struct conf_error *error)
{
	if (!read_endpoint(line, &settings->report, error))
		return false;
	if (endpoint_count(&settings->report) != 1)
		return conf_fail(error, line, &line->words[1], "must be one port");
	return true;
}

static bool read_names(
	struct settings *settings, const struct conf_line *line, struct conf_error *error)
{
	static const struct choice choices[] = {
		{"pool", NAMES_POOL}, {"resolve", NAMES_RESOLVE}, {NULL, 0}};
	int value = read_choice(line, &line->words[1], choices, error);

	if (value < 0)
		return false;
	settings->names = (enum names_mode)value;
	return true;
}

static bool read_gate(
	struct settings *settings, const struct conf_line *line, struct conf_error *error)
{
	static const struct choice choices[] = {
		{"auto", GATE_AUTO}, {"on", GATE_ON}, {"off", GATE_OFF}, {NULL, 0}};
	int value = read_choice(line, &line->words[1], choices, error);

	if (value < 0)
		return false;
	settings->gate = (enum gate_mode)value;
	return true;
}

static bool read_hairpin(
	struct settings *settings, const struct conf_line *line, struct conf_error *error)
{
	static const struct choice choices[] = {{"on", true}, {"off", false}, {NULL, 0}};
	int value = read_choice(line, &line->words[1], choices, error);

	if (value < 0)
		return false;
	settings->is_hairpin = value;
	return true;
}

static bool read_log(
	struct settings *settings, const struct conf_line *line, struct conf_error *error)
{
	const struct conf_word *word = &line->words[1];

	if (!settings_read_log_level(word->text, word->length, &settings->log_level))
		return conf_fail(error, line, word, "unknown word");
	return true;
}

static bool read_ca(
	struct settings *settings, const struct conf_line *line, struct conf_error *error)
{
	const struct conf_word *word = &line->words[1];

	if (conf_word_is(word, "system")) {
		strcpy(settings->ca, "system");
		return true;
	}
	return settings_read_path(line, word, word, settings->ca, sizeof(settings->ca), error);
}

static bool is_kernels_own(const struct address_block *block)
{
	const uint8_t *bytes = block->base.bytes;
	static const uint8_t zeros[15];

	if (block->base.family == ADDRESS_IPV4)
		return bytes[0] == 127 || bytes[0] == 0;
	return memcmp(bytes, zeros, sizeof(zeros)) == 0;
}

static bool read_pool_block(struct settings *settings, const struct conf_line *line,
	const struct conf_word *word, struct conf_error *error)
{
	struct address_block block;
	struct parse_error inner;
	unsigned bits;

	if (!address_block_parse(word->text, word->length, &block, &inner))
		return conf_fail_parse(error, line, word, &inner);
	bits = block.base.family == ADDRESS_IPV4 ? 32 : 128;
	if (bits - block.prefix_length < POOL_MIN_HOST_BITS)
		return conf_fail(error, line, word, "block of fewer than 16 addresses");
	if (is_kernels_own(&block))
		return conf_fail(
			error, line, word, "loopback or unspecified addresses cannot be a pool");
	if (block.base.family == ADDRESS_IPV4)
		settings->pool_ipv4 = block;
	else
		settings->pool_ipv6 = block;
	return true;
}

// One block, or two of different families; a family that is not named keeps its default.
static bool read_pool(
	struct settings *settings, const struct conf_line *line, struct conf_error *error)
{
	enum address_family previous = ADDRESS_NONE;

	for (size_t i = 1; i < line->count; i++) {
		const struct conf_word *word = &line->words[i];
		bool is_ipv6 = memchr(word->text, ':', word->length) != NULL;
		enum address_family family = is_ipv6 ? ADDRESS_IPV6 : ADDRESS_IPV4;

		if (!read_pool_block(settings, line, word, error))
			return false;
		if (family == previous)
			return conf_fail(error, line, word, "second block of one family");
		previous = family;
	}
	return true;
}

static bool read_action(const struct conf_line *line, struct route *route, struct conf_error *error)
{
	static const struct choice choices[] = {{"direct", ROUTE_DIRECT}, {"tls", ROUTE_TLS},
		{"local", ROUTE_LOCAL}, {"deny", ROUTE_DENY}, {NULL, 0}};
	int value;

	if (line->count < 3)
		return conf_fail(error, line, &line->words[1],
			"no action after the pattern: direct, tls, local or deny");
	value = read_choice(line, &line->words[2], choices, error);
	if (value < 0)
		return false;
	route->action = (enum route_action)value;
	if (route->action == ROUTE_TLS)
		return settings_tls_parse(line, 3, &route->tls, error);
	if (line->count > 3)
		return conf_fail(error, line, &line->words[3], "only a tls route takes keys");
	return true;
}

// settings_parse has mapped room for every route of the text.
static bool read_route(
	struct settings *settings, const struct conf_line *line, struct conf_error *error)
{
	struct route *route = &settings->routes[settings->route_count];
	const struct conf_word *word = &line->words[1];
	struct parse_error inner;

	if (!pattern_parse(word->text, word->length, &route->pattern, &inner))
		return conf_fail_parse(error, line, word, &inner);
	if (!read_action(line, route, error))
		return false;
	route->line = line->number;
	settings->route_count++;
	return true;
}

static const struct directive directives[] = {
	{"hostd", "an endpoint", 2, false, read_hostd},
	{"route", "a pattern and an action", CONF_MAX_WORDS, true, read_route},
	{"names", "pool or resolve", 2, false, read_names},
	{"pool", "one or two blocks of addresses", 3, false, read_pool},
	{"gate", "auto, on or off", 2, false, read_gate},
	{"hairpin", "on or off", 2, false, read_hairpin},
	{"tls-listen", "an endpoint", 2, false, read_tls_listen},
	{"ca", "system or a file", 2, false, read_ca},
	{"nsm", NSM_DEVICE " or an endpoint", 2, false, read_nsm},
	{"report", "an endpoint", 2, false, read_report},
	{"log", "error, warn, info or debug", 2, false, read_log},
};

static const struct directive *find_directive(const struct conf_word *word)
{
	for (size_t i = 0; i < ARRAY_SIZE(directives); i++) {
		if (conf_word_is(word, directives[i].name))
			return &directives[i];
	}
	return NULL;
}

static bool read_line(struct settings *settings, const struct conf_line *line, unsigned *seen,
	struct conf_error *error)
{
	const struct directive *directive = find_directive(&line->words[0]);
	unsigned bit;

	if (!directive)
		return conf_fail(error, line, &line->words[0], "unknown directive");
	bit = 1u << (directive - directives);
	if ((*seen & bit) && !directive->may_repeat)
		return conf_fail(error, line, &line->words[0], "directive given twice");
	*seen |= bit;
	if (line->count < 2)
		return conf_fail(error, line, &line->words[0], "needs %s", directive->argument);
	if (line->count > directive->max_words)
		return conf_fail(
			error, line, &line->words[directive->max_words], "unexpected word");
	return directive->read(settings, line, error);
}

static bool count_routes(const char *text, size_t length, size_t *count, struct conf_error *error)
{
	struct conf_reader reader;
	struct conf_line line;
	int more;

	*count = 0;
	conf_begin(&reader, text, length);
	while ((more = conf_next_line(&reader, &line, error)) > 0) {
		if (!conf_word_is(&line.words[0], "route"))
			continue;
		if (++*count > SETTINGS_MAX_ROUTES)
			return conf_fail(error, &line, &line.words[0], "more than %d routes",
				SETTINGS_MAX_ROUTES);
	}
	return more == 0;
}

static bool map_routes(struct settings *settings, size_t count, struct conf_error *error)
{
	struct conf_line nowhere = {.number = 1};
	struct conf_word nothing = {.text = "", .column = 1};
	void *memory;

	if (count == 0)
		return true;
	memory = mmap(NULL, count * sizeof(struct route), PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		return conf_fail(error, &nowhere, &nothing, "no memory for %zu routes", count);
	settings->routes = memory;
	return true;
}

static bool read_lines(
	struct settings *settings, const char *text, size_t length, struct conf_error *error)
{
	struct conf_reader reader;
	struct conf_line line;
	unsigned seen = 0;
	int more;

	conf_begin(&reader, text, length);
	while ((more = conf_next_line(&reader, &line, error)) > 0) {
		if (!read_line(settings, &line, &seen, error))
			return false;
	}
	return more == 0;
}

bool settings_parse(
	const char *text, size_t length, struct settings *settings, struct conf_error *error)
{
	size_t count;

	settings_set_defaults(settings);
	if (!count_routes(text, length, &count, error) || !map_routes(settings, count, error))
		return false;
	if (!read_lines(settings, text, length, error)) {
		settings->route_count = count; // what was mapped is what is to be unmapped
		settings_clear(settings);
		return false;
	}
	settings->digest = settings_digest_add(settings->digest, text, length);
	return true;
}
