// SPDX-License-Identifier: MIT
// Deny rules come first, whatever their place in the file; then the first allow rule that matches
// decides; what none allows is denied.
//
// A special address (hostd/address_class.h) is out of reach of `*` and of every name, unless
//   - an allow rule for a block names it, with the port, or
//   - it is the answer to a name, and an allow rule for that name and port lists it in to=.
// A block names a special address only if it is no wider than the registry's block around that
// address: 10.0.0.0/8 names private addresses, 0.0.0.0/0 does not, and the metadata service is
// named by its own address alone. An address that embeds an IPv4 address (NAT64, 6to4...) is
// special itself, and what it embeds must be public or named as well; deny rules look at both.
#include "hostd/policy.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "hostd/address_class.h"
#include "wire/name.h"
#include "wire/pattern.h"

// What a special address is held against: the rules for blocks, and the to= lists of a name's
// rules.
struct question {
	const struct enclave *enclave;
	const char *name; // NULL for a literal
	uint16_t port;
};

static void decide(struct policy_decision *decision, bool is_allowed, const struct rule *rule,
	const char *format, ...) PRINTF_LIKE(4, 5);

static void decide(struct policy_decision *decision, bool is_allowed, const struct rule *rule,
	const char *format, ...)
{
	decision->is_allowed = is_allowed;
	decision->rule = rule;
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(decision->reason, sizeof(decision->reason), format, arguments);
	va_end(arguments);
}

static void decide_by_rule(struct policy_decision *decision, const struct rule *rule)
{
	char text[NAME_SIZE + 16 * PATTERN_MAX_PORT_RANGES];
	bool is_allowed = rule->action == RULE_ALLOW;
	decide(decision, is_allowed, rule, "line %u: %s %s", rule->line,
		is_allowed ? "allow" : "deny", pattern_format(&rule->pattern, text, sizeof(text)));
}

static const struct rule *find_name_rule(
	const struct enclave *enclave, enum rule_action action, const char *name, uint16_t port)
{
	for (size_t i = 0; i < enclave->rule_count; i++) {
		const struct rule *rule = &enclave->rules[i];
		if (rule->action == action && pattern_matches_name(&rule->pattern, name, port))
			return rule;
	}
	return NULL;
}

static const struct rule *find_address_rule(const struct enclave *enclave, enum rule_action action,
	const struct address *address, uint16_t port)
{
	for (size_t i = 0; i < enclave->rule_count; i++) {
		const struct rule *rule = &enclave->rules[i];
		if (rule->action == action &&
			pattern_matches_address(&rule->pattern, address, port))
			return rule;
	}
	return NULL;
}

// The deny rule for an address, or for the IPv4 address that it embeds.
static const struct rule *find_deny_rule(
	const struct enclave *enclave, const struct address *address, uint16_t port)
{
	struct address embedded;
	const struct rule *rule = find_address_rule(enclave, RULE_DENY, address, port);
	if (!rule && address_class_embedded(address, &embedded))
		rule = find_address_rule(enclave, RULE_DENY, &embedded, port);
	return rule;
}

static bool block_names(const struct address_block *block, const struct address *address,
	const struct address_class *class)
{
	return block->prefix_length >= class->block.prefix_length &&
	       address_block_contains(block, address);
}

static bool rule_names(const struct rule *rule, const struct question *question,
	const struct address *address, const struct address_class *class)
{
	const struct pattern *pattern = &rule->pattern;
	if (rule->action != RULE_ALLOW)
		return false;
	if (pattern->kind == PATTERN_BLOCK)
		return block_names(&pattern->block, address, class) &&
		       pattern_matches_port(pattern, question->port);
	if (!question->name || !pattern_matches_name(pattern, question->name, question->port))
		return false;
	for (size_t i = 0; i < rule->to_count; i++) {
		if (block_names(&rule->to[i], address, class))
			return true;
	}
	return false;
}

// The first rule that names a special address, or NULL.
static const struct rule *find_naming_rule(const struct question *question,
	const struct address *address, const struct address_class *class)
{
	for (size_t i = 0; i < question->enclave->rule_count; i++) {
		const struct rule *rule = &question->enclave->rules[i];
		if (rule_names(rule, question, address, class))
			return rule;
	}
	return NULL;
}

static void deny_special(struct policy_decision *decision, const struct address *address,
	const struct address_class *class)
{
	char text[ADDRESS_TEXT_SIZE];
	decide(decision, false, NULL, "%s is special (%s) and no rule names it",
		address_format(address, text), class->name);
}

// Decides for a special address; class is its class.
static void check_special(const struct question *question, const struct address *address,
	const struct address_class *class, struct policy_decision *decision)
{
	const struct rule *rule = find_naming_rule(question, address, class);
	if (!rule) {
		deny_special(decision, address, class);
		return;
	}
	struct address embedded;
	if (address_class_embedded(address, &embedded)) {
		const struct address_class *inner = address_class_find(&embedded);
		if (inner && !find_naming_rule(question, &embedded, inner)) {
			deny_special(decision, &embedded, inner);
			return;
		}
	}
	decide_by_rule(decision, rule);
}

void policy_check_name(const struct enclave *enclave, const char *name, uint16_t port,
	struct policy_decision *decision)
{
	// Spellings of addresses (2130706433, 0x7f.1) are no names; the request's decoder refuses
	// them already, and this keeps the promise for every other caller.
	if (!name_is_wire_form(name, strlen(name), NULL)) {
		decide(decision, false, NULL, "not a host name");
		return;
	}
	const struct rule *rule = find_name_rule(enclave, RULE_DENY, name, port);
	if (!rule)
		rule = find_name_rule(enclave, RULE_ALLOW, name, port);
	if (rule)
		decide_by_rule(decision, rule);
	else
		decide(decision, false, NULL, "no rule allows %.100s port %u", name, port);
}

// What holds for an address however it was come by: deny rules, and what is special. Returns
// whether that decided.
static bool decide_by_address(const struct question *question, const struct address *address,
	struct policy_decision *decision)
{
	const struct rule *rule = find_deny_rule(question->enclave, address, question->port);
	if (rule) {
		decide_by_rule(decision, rule);
		return true;
	}
	const struct address_class *class = address_class_find(address);
	if (class)
		check_special(question, address, class, decision);
	return class != NULL;
}

void policy_check_literal(const struct enclave *enclave, const struct address *address,
	uint16_t port, struct policy_decision *decision)
{
	const struct question question = {enclave, NULL, port};
	struct address plain = address_unmap(address);
	if (decide_by_address(&question, &plain, decision))
		return;
	char text[ADDRESS_TEXT_SIZE];
	const struct rule *rule = find_address_rule(enclave, RULE_ALLOW, &plain, port);
	if (rule)
		decide_by_rule(decision, rule);
	else
		decide(decision, false, NULL, "no rule allows %s port %u",
			address_format(&plain, text), port);
}

void policy_check_resolved(const struct enclave *enclave, const struct rule *name_rule,
	const char *name, const struct address *address, uint16_t port,
	struct policy_decision *decision)
{
	const struct question question = {enclave, name, port};
	struct address plain = address_unmap(address);
	if (decide_by_address(&question, &plain, decision))
		return;
	char text[ADDRESS_TEXT_SIZE];
	decide(decision, true, name_rule, "line %u allows %.60s at %s", name_rule->line, name,
		address_format(&plain, text));
}

// The first port of first..last that no deny rule closes for the name, or UINT32_MAX.
static uint32_t first_open_port(
	const struct enclave *enclave, const char *name, uint32_t first, uint32_t last)
{
	for (uint32_t port = first; port <= last;) {
		const struct rule *rule = find_name_rule(enclave, RULE_DENY, name, (uint16_t)port);
		if (!rule)
			return port;
		uint32_t next = UINT16_MAX + 1u;
		for (size_t i = 0; i < rule->pattern.port_count; i++) {
			const struct port_range *range = &rule->pattern.ports[i];
			if (port >= range->first && port <= range->last)
				next = range->last + 1u;
		}
		port = next;
	}
	return UINT32_MAX;
}

bool policy_may_lookup(const struct enclave *enclave, const char *name)
{
	static const struct port_range every_port = {1, UINT16_MAX};
	if (!name_is_wire_form(name, strlen(name), NULL))
		return false;
	for (size_t i = 0; i < enclave->rule_count; i++) {
		const struct rule *rule = &enclave->rules[i];
		const struct pattern *pattern = &rule->pattern;
		const struct port_range *ranges =
			pattern->port_count ? pattern->ports : &every_port;
		size_t count = pattern->port_count ? pattern->port_count : 1;
		if (rule->action != RULE_ALLOW)
			continue;
		for (size_t r = 0; r < count; r++) {
			if (pattern_matches_name(pattern, name, ranges[r].first) &&
				first_open_port(enclave, name, ranges[r].first, ranges[r].last) !=
					UINT32_MAX)
				return true;
		}
	}
	return false;
}
