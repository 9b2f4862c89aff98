// SPDX-License-Identifier: MIT
// airlock-attest verify: gathers what the caller gave, asks attest_verify, prints the answer.
#include <getopt.h>
#include <gnutls/gnutls.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attest/commands.h"
#include "attest/files.h"
#include "attest/report.h"
#include "attest/trusted_files.h"
#include "attest/verify.h"

#define CRL_FILE_MAX  (16 << 20)
#define CRL_COUNT_MAX 32

struct command {
	struct verify_options options;
	bool is_json;
	const char *root_path, *policy_path;
	size_t crl_count;
	const char *crl_paths[CRL_COUNT_MAX];
	// Owned:
	uint8_t *nonce;
	struct policy *policy;
	gnutls_datum_t root;
	struct bytes crls[CRL_COUNT_MAX];
};

static void clear_command(struct command *command)
{
	for (size_t i = 0; i < command->crl_count; i++)
		free((void *)(uintptr_t)command->crls[i].data);
	gnutls_free(command->root.data);
	policy_free(command->policy);
	free(command->nonce);
}

static void free_bytes(uint8_t **bytes)
{
	free(*bytes);
}

// --- options

static bool usage(const char *option, const char *text, const char *reason)
{
	fprintf(stderr, "airlock-attest: verify: --%s: %s: `%s`\n", option, reason, text);
	return false;
}

static bool read_time(struct command *command, const char *text)
{
	if (strcmp(text, "now") == 0)
		command->options.clock = VERIFY_NOW;
	else if (strcmp(text, "document") == 0)
		command->options.clock = VERIFY_DOCUMENT;
	else if (time_parse(text, &command->options.stated))
		command->options.clock = VERIFY_STATED;
	else
		return usage("time", text, "neither now, document nor a time of RFC 3339");
	return true;
}

static bool read_nonce(struct command *command, const char *text)
{
	size_t length;

	if (command->nonce)
		return usage("nonce", text, "given twice");
	if (!hex_decode(text, strlen(text), &command->nonce, &length) || length == 0 ||
		length > DOCUMENT_FIELD_MAX)
		return usage("nonce", text, "not 1 to 1024 bytes in hex");
	command->options.nonce = (struct bytes){command->nonce, length};
	return true;
}

static bool read_max_age(struct command *command, const char *text)
{
	struct conf_word word = {text, strlen(text), 1};
	unsigned long milliseconds;

	if (!conf_word_duration(&word, &milliseconds) || milliseconds == 0)
		return usage("max-age", text, "not a duration like 5m, more than zero");
	command->options.max_age = milliseconds;
	return true;
}

static bool add_crl(struct command *command, const char *path)
{
	if (command->crl_count == CRL_COUNT_MAX)
		return usage("crl", path, "more than 32 CRLs");
	command->crl_paths[command->crl_count++] = path;
	return true;
}

static bool set_path(const char *option, const char **path, const char *text)
{
	if (*path)
		return usage(option, text, "given twice");
	*path = text;
	return true;
}

static bool read_option(struct command *command, int option)
{
	switch (option) {
	case 'p':
		return set_path("policy", &command->policy_path, optarg);
	case 'r':
		return set_path("root", &command->root_path, optarg);
	case 'a':
		command->options.any_image = true;
		return true;
	case 'd':
		command->options.allow_debug = true;
		return true;
	case 'j':
		command->is_json = true;
		return true;
	case 'n':
		return read_nonce(command, optarg);
	case 't':
		return read_time(command, optarg);
	case 'm':
		return read_max_age(command, optarg);
	case 'c':
		return add_crl(command, optarg);
	default: // getopt_long has said what was wrong
		return false;
	}
}

static bool read_options(struct command *command, int argc, char **argv)
{
	static const struct option options[] = {{"policy", required_argument, NULL, 'p'},
		{"any-image", no_argument, NULL, 'a'}, {"allow-debug", no_argument, NULL, 'd'},
		{"nonce", required_argument, NULL, 'n'}, {"time", required_argument, NULL, 't'},
		{"root", required_argument, NULL, 'r'}, {"crl", required_argument, NULL, 'c'},
		{"max-age", required_argument, NULL, 'm'}, {"json", no_argument, NULL, 'j'}, {0}};
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (!read_option(command, option))
			return false;
	}
	if (!command->policy_path == !command->options.any_image) {
		fputs("airlock-attest: verify: either --policy or --any-image is needed\n", stderr);
		return false;
	}
	return argc - optind == 1;
}

// --- files

static int read_trusted(struct command *command)
{
	char message[512];
	bool is_read = true;

	if (command->policy_path)
		is_read = trusted_read_policy(
			command->policy_path, &command->policy, message, sizeof(message));
	if (is_read && command->root_path)
		is_read = trusted_read_root(
			command->root_path, &command->root, message, sizeof(message));
	if (!is_read) {
		fprintf(stderr, "airlock-attest: %s\n", message);
		return EXIT_USAGE;
	}
	command->options.policy = command->policy;
	command->options.root = (struct bytes){command->root.data, command->root.size};
	return EXIT_OK;
}

static int read_crls(struct command *command)
{
	for (size_t i = 0; i < command->crl_count; i++) {
		struct attest_error error;
		uint8_t *text;
		if (!file_read(command->crl_paths[i], CRL_FILE_MAX, &text, &command->crls[i].length,
			    &error)) {
			command_fail("crl", &error);
			return EXIT_USAGE;
		}
		command->crls[i].data = text;
	}
	command->options.crls = command->crls;
	command->options.crl_count = command->crl_count;
	return EXIT_OK;
}

// --- the answer

// An answer about the document goes to standard output in JSON; what is wrong with the call does
// not.
static int refuse(const struct command *command, const char *path, const struct attest_error *error)
{
	bool is_answer =
		error->fault == ATTEST_FAULT_REFUSED || error->fault == ATTEST_FAULT_MALFORMED;

	if (!command->is_json || !is_answer)
		return command_fail(path, error);
	report_print_refusal_json(stdout, error);
	return error->fault == ATTEST_FAULT_REFUSED ? EXIT_NO : EXIT_MALFORMED;
}

static int verify(const struct command *command, const char *path)
{
	__attribute__((cleanup(free_bytes))) uint8_t *data = NULL;
	struct attest_result *result;
	struct attest_error error = {0};
	size_t length;

	if (!file_read(path, DOCUMENT_MAX, &data, &length, &error)) {
		if (error.fault == ATTEST_FAULT_MALFORMED) // its size is part of the first check
			attest_fail_check(&error, 1, error.fault, "document", error.offset,
				"too long for a document");
		return refuse(command, path, &error);
	}
	if (!attest_verify(data, length, &command->options, &result, &error))
		return refuse(command, path, &error);
	if (command->is_json)
		report_print_json(stdout, result, &command->options);
	else
		report_print_text(stdout, result, &command->options);
	attest_result_free(result);
	return EXIT_OK;
}

int command_verify(int argc, char **argv)
{
	__attribute__((cleanup(clear_command))) struct command command = {
		.options.clock = VERIFY_NOW};
	int status;

	if (!read_options(&command, argc, argv))
		return command_usage("verify");
	status = read_trusted(&command);
	if (status == EXIT_OK)
		status = read_crls(&command);
	return status == EXIT_OK ? verify(&command, argv[optind]) : status;
}
