// SPDX-License-Identifier: MIT
#include <getopt.h>
#include <stdio.h>

#include "attest/commands.h"
#include "attest/nsm.h"

enum { OPTION_NSM = 256 };

static const struct option long_options[] = {
	{"nsm", required_argument, NULL, OPTION_NSM},
	{0},
};

static void print(const struct nsm_response *response)
{
	printf("module-id %s\nversion %u.%u.%u\ndigest %s\npcrs %u\nlocked",
		response->describe.module_id, response->describe.version_major,
		response->describe.version_minor, response->describe.version_patch,
		response->describe.digest, response->describe.max_pcrs);
	for (size_t i = 0; i < response->describe.locked_count; i++)
		printf(" %u", response->describe.locked_pcrs[i]);
	putchar('\n');
}

int command_describe(int argc, char **argv)
{
	const struct nsm_request request = {.command = NSM_DESCRIBE_NSM};
	const char *name = DEFAULT_NSM;
	struct nsm_response response;
	struct attest_error error;
	struct nsm *nsm;
	bool is_good;
	int option;

	while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		if (option != OPTION_NSM)
			return command_usage("describe");
		name = optarg;
	}
	if (optind != argc)
		return command_usage("describe");
	nsm = nsm_open(name, &error);
	is_good = nsm && nsm_call(nsm, &request, &response, &error);
	nsm_close(nsm);
	if (!is_good)
		return command_fail(NULL, &error);
	print(&response);
	return EXIT_OK;
}
