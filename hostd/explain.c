// SPDX-License-Identifier: MIT
#include "hostd/explain.h"

#include <string.h>

#include "hostd/address_class.h"
#include "hostd/policy.h"
#include "wire/name.h"

enum { ALLOWED = 0, DENIED = 1, USAGE = 2 };

struct destination {
	char name[NAME_SIZE]; // empty: an address
	struct address address;
	uint16_t port;
};

// ---------------------------------------------------------------- reading the question

static bool read_host(
	const char *text, size_t length, struct destination *destination, FILE *errors)
{
	struct parse_error error;
	bool is_bracketed = length >= 2 && text[0] == '[' && text[length - 1] == ']';
	if (is_bracketed) {
		text++;
		length -= 2;
	}
	if (address_parse(text, length, &destination->address, &error) &&
		(destination->address.family == ADDRESS_IPV6) == is_bracketed)
		return true;
	if (!is_bracketed && !memchr(text, ':', length) &&
		name_from_text(text, length, destination->name, &error))
		return true;
	if (!is_bracketed && memchr(text, ':', length))
		fputs("airlock-hostd: an IPv6 address stands in brackets: [ADDRESS]:PORT\n",
			errors);
	else
		fprintf(errors, "airlock-hostd: %.*s: %s\n", (int)length, text, error.reason);
	return false;
}

static bool read_destination(const char *text, struct destination *destination, FILE *errors)
{
	const char *colon = strrchr(text, ':');
	unsigned long port;
	*destination = (struct destination){.name = ""};
	if (!colon || !parse_number(colon + 1, strlen(colon + 1), UINT16_MAX, &port) || port == 0) {
		fprintf(errors, "airlock-hostd: %s: expected HOST:PORT\n", text);
		return false;
	}
	destination->port = (uint16_t)port;
	return read_host(text, (size_t)(colon - text), destination, errors);
}

// ---------------------------------------------------------------- writing the answer

static void print_pattern(const struct rule *rule, FILE *out)
{
	char text[NAME_SIZE + 16 * PATTERN_MAX_PORT_RANGES];
	fprintf(out, "line %u: %s %s", rule->line, rule->action == RULE_ALLOW ? "allow" : "deny",
		pattern_format(&rule->pattern, text, sizeof(text)));
}

static void print_to(const struct rule *rule, FILE *out)
{
	for (size_t i = 0; i < rule->to_count; i++) {
		char text[ADDRESS_TEXT_SIZE];
		fprintf(out, "%s%s/%u", i ? "," : " to=", address_format(&rule->to[i].base, text),
			rule->to[i].prefix_length);
	}
}

// The rules for blocks that an answer of the name server would be held against.
static void print_blocks(
	const struct enclave *enclave, enum rule_action action, uint16_t port, FILE *out)
{
	for (size_t i = 0; i < enclave->rule_count; i++) {
		const struct rule *rule = &enclave->rules[i];
		if (rule->action != action || rule->pattern.kind != PATTERN_BLOCK ||
			!pattern_matches_port(&rule->pattern, port))
			continue;
		fputs("  ", out);
		print_pattern(rule, out);
		fputc('\n', out);
	}
}

// The allow rules for the name that say what it may resolve into.
static void print_name_blocks(
	const struct enclave *enclave, const struct destination *destination, FILE *out)
{
	for (size_t i = 0; i < enclave->rule_count; i++) {
		const struct rule *rule = &enclave->rules[i];
		if (rule->action != RULE_ALLOW || !rule->to_count ||
			!pattern_matches_name(&rule->pattern, destination->name, destination->port))
			continue;
		fputs("  ", out);
		print_pattern(rule, out);
		print_to(rule, out);
		fputc('\n', out);
	}
}

static void print_after_resolution(
	const struct enclave *enclave, const struct destination *destination, FILE *out)
{
	if (enclave->upstream.kind != UPSTREAM_DIRECT) {
		fprintf(out,
			"the upstream proxy %s:%u resolves the name: addresses are not checked\n",
			enclave->upstream.host, enclave->upstream.port);
		return;
	}
	fputs("each address that the name resolves to is checked again\n"
	      "denied there:\n",
		out);
	print_blocks(enclave, RULE_DENY, destination->port, out);
	fputs("  special addresses (private, loopback, link-local...) that nothing below names\n"
	      "allowed there:\n"
	      "  every public address\n",
		out);
	print_name_blocks(enclave, destination, out);
	print_blocks(enclave, RULE_ALLOW, destination->port, out);
}

static void ask_policy(const struct enclave *enclave, const struct destination *destination,
	struct policy_decision *decision)
{
	if (destination->name[0] != '\0')
		policy_check_name(enclave, destination->name, destination->port, decision);
	else
		policy_check_literal(enclave, &destination->address, destination->port, decision);
}

static void print_decision(const struct policy_decision *decision, const char *answer, FILE *out)
{
	fprintf(out, "%s: ", answer);
	if (!decision->rule) {
		fprintf(out, "%s\n", decision->reason);
		return;
	}
	print_pattern(decision->rule, out);
	print_to(decision->rule, out);
	fputc('\n', out);
}

int explain_destination(const struct config *config, const char *cid, const char *destination,
	FILE *out, FILE *errors)
{
	unsigned long number;
	struct destination parsed;
	struct policy_decision decision;
	if (!parse_number(cid, strlen(cid), UINT32_MAX, &number)) {
		fprintf(errors, "airlock-hostd: %s: not a CID\n", cid);
		return USAGE;
	}
	if (!read_destination(destination, &parsed, errors))
		return USAGE;
	const struct enclave *enclave = config_find_enclave(config, (uint32_t)number);
	if (!enclave) {
		fprintf(out, "denied: no enclave lists CID %lu\n", number);
		return DENIED;
	}
	fprintf(out, "enclave: %s, line %u\n", enclave->name, enclave->line);
	ask_policy(enclave, &parsed, &decision);
	print_decision(&decision, decision.is_allowed ? "allowed" : "denied", out);
	if (decision.is_allowed && parsed.name[0] != '\0')
		print_after_resolution(enclave, &parsed, out);
	return decision.is_allowed ? ALLOWED : DENIED;
}
