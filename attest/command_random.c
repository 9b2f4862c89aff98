// SPDX-License-Identifier: MIT
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attest/commands.h"
#include "attest/files.h"
#include "attest/nsm.h"
#include "wire/parse.h"

struct options {
	const char *nsm;
	bool is_hex;
	unsigned long count; // bytes
};

enum { OPTION_NSM = 256, OPTION_HEX };

static const struct option long_options[] = {
	{"nsm", required_argument, NULL, OPTION_NSM},
	{"hex", no_argument, NULL, OPTION_HEX},
	{0},
};

static bool parse(int argc, char **argv, struct options *options)
{
	int option;

	while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		switch (option) {
		case OPTION_NSM:
			options->nsm = optarg;
			break;
		case OPTION_HEX:
			options->is_hex = true;
			break;
		default:
			return false;
		}
	}
	return optind == argc - 1 &&
	       parse_number(argv[optind], strlen(argv[optind]), UINT32_MAX, &options->count);
}

static void print(const struct bytes *bytes, size_t count, bool is_hex)
{
	char text[2 * NSM_RESPONSE_MAX + 1];

	if (is_hex)
		fputs(hex_encode(bytes->data, count, text), stdout);
	else
		fwrite(bytes->data, 1, count, stdout);
	explicit_bzero(text, sizeof(text));
}

// The NSM gives as many bytes a call as it likes.
static bool copy_random(struct nsm *nsm, const struct options *options, struct attest_error *error)
{
	const struct nsm_request request = {.command = NSM_GET_RANDOM};
	struct nsm_response response;

	for (unsigned long left = options->count; left > 0 && !ferror(stdout);) {
		if (!nsm_call(nsm, &request, &response, error))
			return false;
		size_t count = response.data.length < left ? response.data.length : left;
		if (count == 0)
			return attest_fail(error, ATTEST_FAULT_DEVICE, NULL, ATTEST_NO_OFFSET,
				"the NSM gives no random bytes");
		print(&response.data, count, options->is_hex);
		left -= count;
	}
	if (options->is_hex)
		putchar('\n');
	return true;
}

int command_random(int argc, char **argv)
{
	struct options options = {.nsm = DEFAULT_NSM};
	struct attest_error error;
	struct nsm *nsm;
	bool is_good;

	if (!parse(argc, argv, &options))
		return command_usage("random");
	// Nothing of it stays in a buffer of stdio.
	setvbuf(stdout, NULL, _IONBF, 0);
	nsm = nsm_open(options.nsm, &error);
	is_good = nsm && copy_random(nsm, &options, &error);
	nsm_close(nsm);
	return is_good ? EXIT_OK : command_fail(NULL, &error);
}
