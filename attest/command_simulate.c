// SPDX-License-Identifier: MIT
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "attest/commands.h"
#include "attest/files.h"
#include "attest/simulated_nsm.h"
#include "attest/simulated_server.h"
#include "wire/parse.h"

struct options {
	const char *listen;
	const char *pki;
	struct simulated_bank bank;
};

enum { OPTION_LISTEN = 256, OPTION_PKI, OPTION_PCR, OPTION_DEBUG };

static const struct option long_options[] = {
	{"listen", required_argument, NULL, OPTION_LISTEN},
	{"pki", required_argument, NULL, OPTION_PKI},
	{"pcr", required_argument, NULL, OPTION_PCR},
	{"debug", no_argument, NULL, OPTION_DEBUG},
	{0},
};

// INDEX=HEX
static bool set_pcr(struct simulated_bank *bank, const char *text)
{
	const char *equals = strchr(text, '=');
	unsigned long index;
	uint8_t *value = NULL;
	size_t length = 0;
	bool is_good = equals &&
		       parse_number(text, (size_t)(equals - text), DOCUMENT_PCRS - 1, &index) &&
		       hex_decode(equals + 1, strlen(equals + 1), &value, &length) &&
		       length == DOCUMENT_PCR_SIZE;

	if (is_good)
		memcpy(bank->values[index], value, DOCUMENT_PCR_SIZE);
	free(value);
	return is_good;
}

static int parse(int argc, char **argv, struct options *options)
{
	struct attest_error error;
	int option;

	while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		switch (option) {
		case OPTION_LISTEN:
			options->listen = optarg;
			break;
		case OPTION_PKI:
			options->pki = optarg;
			break;
		case OPTION_PCR:
			if (set_pcr(&options->bank, optarg))
				break;
			attest_fail(&error, ATTEST_FAULT_USAGE, "--pcr", ATTEST_NO_OFFSET,
				"not INDEX=HEX with %d digits: %s", 2 * DOCUMENT_PCR_SIZE, optarg);
			return command_fail(NULL, &error);
		case OPTION_DEBUG:
			memset(options->bank.values, 0, 3 * sizeof(options->bank.values[0]));
			break;
		default:
			return command_usage("simulate");
		}
	}
	return optind == argc && options->listen ? EXIT_OK : command_usage("simulate");
}

int command_simulate(int argc, char **argv)
{
	struct options options = {0};
	struct simulated_nsm nsm = {0};
	struct endpoint endpoint;
	struct parse_error inner;
	struct attest_error error;
	bool is_good;
	int status;

	simulated_bank_boot(&options.bank);
	status = parse(argc, argv, &options);
	if (status != EXIT_OK)
		return status;
	if (!endpoint_parse(options.listen, strlen(options.listen), false, &endpoint, &inner)) {
		attest_fail(&error, ATTEST_FAULT_USAGE, "--listen", ATTEST_NO_OFFSET, "%s: %s",
			inner.reason, options.listen);
		return command_fail(NULL, &error);
	}
	nsm.bank = options.bank;
	nsm.pki = simulated_pki_open(options.pki, &error);
	is_good = nsm.pki && simulated_server_run(&nsm, &endpoint, &error);
	simulated_pki_free(nsm.pki);
	return is_good ? EXIT_OK : command_fail(NULL, &error);
}
