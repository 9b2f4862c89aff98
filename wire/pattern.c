// SPDX-License-Identifier: MIT
#include "wire/pattern.h"

#include <stdio.h>
#include <string.h>

// A piece of the input together with where it stands there, so that errors can say so.
struct piece {
	const char *text;
	size_t length;
	size_t offset;
};

static bool fail_at(struct parse_error *error, size_t offset)
{
	if (error)
		error->offset += offset;
	return false;
}

// --- ports

static bool parse_port_range(const char *text, size_t length, struct port_range *range)
{
	const char *dash = length ? memchr(text, '-', length) : NULL;
	size_t first_length = dash ? (size_t)(dash - text) : length;
	unsigned long first;

	if (!parse_number(text, first_length, UINT16_MAX, &first) || first == 0)
		return false;
	unsigned long last = first;
	if (dash && (!parse_number(dash + 1, length - first_length - 1, UINT16_MAX, &last) ||
			    last < first))
		return false;
	*range = (struct port_range){.first = (uint16_t)first, .last = (uint16_t)last};
	return true;
}

size_t pattern_parse_ports(const char *text, size_t length,
	struct port_range ports[static PATTERN_MAX_PORT_RANGES], struct parse_error *error)
{
	size_t count = 0;

	for (size_t offset = 0; offset <= length; count++) {
		const char *comma = length ? memchr(text + offset, ',', length - offset) : NULL;
		size_t item_length = comma ? (size_t)(comma - text) - offset : length - offset;
		if (count == PATTERN_MAX_PORT_RANGES)
			return parse_fail(
				error, offset, "more than %d port ranges", PATTERN_MAX_PORT_RANGES);
		if (!parse_port_range(text + offset, item_length, &ports[count]))
			return parse_fail(
				error, offset, "not a port of 1 to 65535, or a range of them");
		offset += item_length + 1;
	}
	return count;
}

// --- hosts

static bool parse_block(
	const struct piece *host, struct pattern *pattern, struct parse_error *error)
{
	struct address_block *block = &pattern->block;

	pattern->kind = PATTERN_BLOCK;
	if (!address_block_parse(host->text, host->length, block, error))
		return fail_at(error, host->offset);

	// Matching unmaps the address that it is given, so a mapped pattern must become IPv4 too.
	struct address unmapped = address_unmap(&block->base);
	if (block->base.family != unmapped.family && block->prefix_length >= 96) {
		block->base = unmapped;
		block->prefix_length -= 96;
	}
	return true;
}

static bool parse_name(
	const struct piece *host, size_t skip, struct pattern *pattern, struct parse_error *error)
{
	if (!name_from_text(host->text + skip, host->length - skip, pattern->name, error))
		return fail_at(error, host->offset + skip);
	return true;
}

static bool parse_host(const struct piece *host, struct pattern *pattern, struct parse_error *error)
{
	struct address address;

	if (host->length == 1 && host->text[0] == '*') {
		pattern->kind = PATTERN_ANY;
		return true;
	}
	if (host->length >= 2 && host->text[0] == '*' && host->text[1] == '.') {
		pattern->kind = PATTERN_SUFFIX;
		return parse_name(host, 2, pattern, error);
	}
	if (memchr(host->text, '/', host->length) || memchr(host->text, ':', host->length) ||
		address_parse(host->text, host->length, &address, NULL))
		return parse_block(host, pattern, error);
	pattern->kind = PATTERN_NAME;
	return parse_name(host, 0, pattern, error);
}

// "[...]" or "[...]:PORTS". ports->text stays NULL when there are none.
static bool split_brackets(const char *text, size_t length, struct piece *host, struct piece *ports,
	struct parse_error *error)
{
	const char *end = memchr(text, ']', length);

	if (!end)
		return parse_fail(error, 0, "a bracket that is not closed");
	size_t after = (size_t)(end - text) + 1;
	*host = (struct piece){text + 1, after - 2, 1};
	if (!memchr(host->text, ':', host->length))
		return parse_fail(error, 1, "only IPv6 addresses stand in brackets");
	if (after == length)
		return true;
	if (text[after] != ':')
		return parse_fail(error, after, "only :PORTS can follow a bracket");
	*ports = (struct piece){text + after + 1, length - after - 1, after + 1};
	return true;
}

// One colon separates ports; two or more are those of an IPv6 address without ports.
static void split_colon(const char *text, size_t length, struct piece *host, struct piece *ports)
{
	const char *first = memchr(text, ':', length);
	size_t before = first ? (size_t)(first - text) : length;

	*host = (struct piece){text, length, 0};
	if (!first || memchr(first + 1, ':', length - before - 1))
		return;
	host->length = before;
	*ports = (struct piece){first + 1, length - before - 1, before + 1};
}

bool pattern_parse(
	const char *text, size_t length, struct pattern *pattern, struct parse_error *error)
{
	struct piece host = {.text = NULL}, ports = {.text = NULL};

	memset(pattern, 0, sizeof(*pattern));
	if (length == 0)
		return parse_fail(error, 0, "an empty pattern");
	if (text[0] != '[')
		split_colon(text, length, &host, &ports);
	else if (!split_brackets(text, length, &host, &ports, error))
		return false;

	if (!parse_host(&host, pattern, error))
		return false;
	if (!ports.text)
		return true;
	pattern->port_count = pattern_parse_ports(ports.text, ports.length, pattern->ports, error);
	return pattern->port_count > 0 || fail_at(error, ports.offset);
}

// --- matching

bool pattern_matches_port(const struct pattern *pattern, uint16_t port)
{
	if (pattern->port_count == 0)
		return true;
	for (size_t i = 0; i < pattern->port_count; i++)
		if (port >= pattern->ports[i].first && port <= pattern->ports[i].last)
			return true;
	return false;
}

static bool has_suffix(const char *name, const char *suffix)
{
	size_t length = strlen(name), suffix_length = strlen(suffix);

	return length > suffix_length + 1 && name[length - suffix_length - 1] == '.' &&
	       strcmp(name + length - suffix_length, suffix) == 0;
}

static bool matches_name(const struct pattern *pattern, const char *name)
{
	switch (pattern->kind) {
	case PATTERN_ANY:
		return true;
	case PATTERN_NAME:
		return strcmp(name, pattern->name) == 0;
	case PATTERN_SUFFIX:
		return has_suffix(name, pattern->name);
	case PATTERN_BLOCK:
		break;
	}
	return false;
}

bool pattern_matches_name(const struct pattern *pattern, const char *name, uint16_t port)
{
	return matches_name(pattern, name) && pattern_matches_port(pattern, port);
}

bool pattern_matches_address(
	const struct pattern *pattern, const struct address *address, uint16_t port)
{
	struct address unmapped = address_unmap(address);

	if (pattern->kind != PATTERN_ANY &&
		(pattern->kind != PATTERN_BLOCK ||
			!address_block_contains(&pattern->block, &unmapped)))
		return false;
	return pattern_matches_port(pattern, port);
}

// --- formatting

static void format_block(const struct pattern *pattern, char *text, size_t size)
{
	char address[ADDRESS_TEXT_SIZE], prefix[8] = "";
	const struct address_block *block = &pattern->block;
	bool is_ipv6 = block->base.family == ADDRESS_IPV6;
	bool is_bracketed = is_ipv6 && pattern->port_count > 0;

	if (block->prefix_length < (is_ipv6 ? 128u : 32u))
		snprintf(prefix, sizeof(prefix), "/%u", block->prefix_length);
	snprintf(text, size, "%s%s%s%s", is_bracketed ? "[" : "",
		address_format(&block->base, address), prefix, is_bracketed ? "]" : "");
}

static void append_range(char *text, size_t size, char separator, const struct port_range *range)
{
	size_t used = strlen(text);

	if (range->first == range->last)
		snprintf(text + used, size - used, "%c%u", separator, range->first);
	else
		snprintf(text + used, size - used, "%c%u-%u", separator, range->first, range->last);
}

const char *pattern_format(const struct pattern *pattern, char *text, size_t size)
{
	if (pattern->kind == PATTERN_BLOCK)
		format_block(pattern, text, size);
	else if (pattern->kind == PATTERN_ANY)
		snprintf(text, size, "*");
	else
		snprintf(text, size, "%s%s", pattern->kind == PATTERN_SUFFIX ? "*." : "",
			pattern->name);
	for (size_t i = 0; i < pattern->port_count; i++)
		append_range(text, size, i == 0 ? ':' : ',', &pattern->ports[i]);
	return text;
}
