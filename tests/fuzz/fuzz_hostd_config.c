// SPDX-License-Identifier: MIT
// A configuration that is accepted prints as one that is accepted and prints the same; one that is
// refused is refused at a place inside it. And whatever its rules are, no special address is
// reached without an allow rule for a block that holds it.
#include "hostd/config.h"

#include <stdlib.h>
#include <string.h>

#include "hostd/address_class.h"
#include "hostd/policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
	if (!condition)
		abort();
}

static struct config *parse(const char *text, size_t length)
{
	struct conf_error error = {0};
	char message[512];
	struct config *config = config_parse(text, length, &error);
	if (config)
		return config;
	require(error.line >= 1 && error.column >= 1 && error.reason[0] != '\0');
	require(error.column <= length + 1);
	conf_error_format(&error, "hostd.conf", message, sizeof(message));
	require(strlen(message) < sizeof(message) && !strchr(message, '\n'));
	return NULL;
}

static char *print(const struct config *config, size_t *length)
{
	char *text = NULL;
	FILE *out = open_memstream(&text, length);
	require(out != NULL);
	config_print(config, out);
	fclose(out);
	return text;
}

static bool holds(const struct rule *rule, const struct address *address)
{
	return rule->action == RULE_ALLOW && rule->pattern.kind == PATTERN_BLOCK &&
	       address_block_contains(&rule->pattern.block, address);
}

static void check_special(const struct enclave *enclave, const char *text, uint16_t port)
{
	struct address address;
	struct policy_decision decision;
	require(address_parse(text, strlen(text), &address, NULL));
	policy_check_literal(enclave, &address, port, &decision);
	require(decision.reason[0] != '\0');
	if (!decision.is_allowed)
		return;
	bool is_held = false;
	for (size_t i = 0; i < enclave->rule_count; i++)
		is_held |= holds(&enclave->rules[i], &address);
	require(is_held && decision.rule && decision.rule->action == RULE_ALLOW);
}

static void check_enclave(const struct config *config, const struct enclave *enclave)
{
	static const char *const specials[] = {"127.0.0.1", "169.254.169.254", "10.0.0.1",
		"::", "::1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::1", "fd00:ec2::254", "fe80::1"};
	require(enclave->name[0] != '\0' && enclave->cid_count > 0);
	require(config_find_enclave(config, enclave->cids[0]) == enclave);
	for (size_t i = 0; i < ARRAY_SIZE(specials); i++)
		check_special(enclave, specials[i], 80);
	struct policy_decision decision;
	policy_check_name(enclave, "a.example", 443, &decision);
	require(!decision.is_allowed || policy_may_lookup(enclave, "a.example"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct config *config = parse((const char *)data, size);
	if (!config)
		return 0;
	for (size_t i = 0; i < config->enclave_count; i++)
		check_enclave(config, &config->enclaves[i]);
	size_t length;
	size_t length_again;
	char *text = print(config, &length);
	struct config *again = parse(text, length);
	require(again != NULL);
	char *text_again = print(again, &length_again);
	require(length == length_again && memcmp(text, text_again, length) == 0);
	free(text);
	free(text_again);
	config_release(config);
	config_release(again);
	return 0;
}
