// SPDX-License-Identifier: MIT
// airlock-attest pcr read [INDEX], extend INDEX (FILE | --hex HEX), lock (INDEX | --range N): one
// table of actions; each gets the words that follow it.
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attest/commands.h"
#include "attest/files.h"
#include "attest/nsm.h"
#include "wire/compiler.h"
#include "wire/parse.h"

struct options {
	const char *nsm;
	const char *hex;
	const char *range;
	int count; // of the words after the action
	char **words;
};

struct action {
	const char *name;
	// Returns an exit status; EXIT_USAGE without a word of its own when the words do not fit.
	int (*run)(struct nsm *nsm, const struct options *options);
	bool (*fits)(const struct options *options);
};

enum { OPTION_NSM = 256, OPTION_HEX, OPTION_RANGE };

static const struct option long_options[] = {
	{"nsm", required_argument, NULL, OPTION_NSM},
	{"hex", required_argument, NULL, OPTION_HEX},
	{"range", required_argument, NULL, OPTION_RANGE},
	{0},
};

// Whether the NSM has such a PCR is its own to say.
static bool read_number(const char *text, uint16_t *number)
{
	unsigned long value;

	if (!parse_number(text, strlen(text), UINT16_MAX, &value))
		return false;
	*number = (uint16_t)value;
	return true;
}

static bool is_number(const char *text)
{
	uint16_t number;

	return read_number(text, &number);
}

static void print_pcr(unsigned index, struct bytes value, const char *note)
{
	char text[2 * NSM_RESPONSE_MAX + 1];

	printf("pcr%u %s%s\n", index, hex_encode(value.data, value.length, text), note);
}

// --- read

static bool read_fits(const struct options *options)
{
	return !options->hex && !options->range &&
	       (options->count == 0 || (options->count == 1 && is_number(options->words[0])));
}

static int read_one(struct nsm *nsm, uint16_t index)
{
	const struct nsm_request request = {.command = NSM_DESCRIBE_PCR, .index = index};
	struct nsm_response response;
	struct attest_error error;

	if (!nsm_call(nsm, &request, &response, &error))
		return command_fail(NULL, &error);
	print_pcr(index, response.data, response.is_locked ? " locked" : "");
	return EXIT_OK;
}

static int run_read(struct nsm *nsm, const struct options *options)
{
	const struct nsm_request request = {.command = NSM_DESCRIBE_NSM};
	struct nsm_response response;
	struct attest_error error;
	uint16_t index;
	int status = EXIT_OK;

	if (options->count == 1 && read_number(options->words[0], &index))
		return read_one(nsm, index);
	if (!nsm_call(nsm, &request, &response, &error))
		return command_fail(NULL, &error);
	for (index = 0; index < response.describe.max_pcrs && status == EXIT_OK; index++)
		status = read_one(nsm, index);
	return status;
}

// --- extend

static bool extend_fits(const struct options *options)
{
	return !options->range && options->count == (options->hex ? 1 : 2) &&
	       is_number(options->words[0]);
}

// *data is the caller's to free.
static bool read_data(
	const struct options *options, uint8_t **data, size_t *length, struct attest_error *error)
{
	if (!options->hex)
		return file_read(options->words[1], NSM_REQUEST_MAX, data, length, error);
	if (hex_decode(options->hex, strlen(options->hex), data, length))
		return true;
	return attest_fail(
		error, ATTEST_FAULT_USAGE, "--hex", ATTEST_NO_OFFSET, "not hexadecimal digits");
}

static int run_extend(struct nsm *nsm, const struct options *options)
{
	struct nsm_request request = {.command = NSM_EXTEND_PCR};
	struct nsm_response response;
	struct attest_error error;
	uint8_t *data = NULL;
	bool is_good = read_number(options->words[0], &request.index) &&
		       read_data(options, &data, &request.data.length, &error);

	request.data.data = data;
	is_good = is_good && nsm_call(nsm, &request, &response, &error);
	free(data);
	if (!is_good)
		return command_fail(NULL, &error);
	print_pcr(request.index, response.data, "");
	return EXIT_OK;
}

// --- lock

static bool lock_fits(const struct options *options)
{
	if (options->hex)
		return false;
	return options->range ? options->count == 0 && is_number(options->range)
			      : options->count == 1 && is_number(options->words[0]);
}

static int run_lock(struct nsm *nsm, const struct options *options)
{
	struct nsm_request request = {.command = options->range ? NSM_LOCK_PCRS : NSM_LOCK_PCR};
	struct nsm_response response;
	struct attest_error error;
	bool is_good = options->range ? read_number(options->range, &request.range)
				      : read_number(options->words[0], &request.index);

	is_good = is_good && nsm_call(nsm, &request, &response, &error);
	return is_good ? EXIT_OK : command_fail(NULL, &error);
}

// --- the whole

static const struct action actions[] = {
	{"read", run_read, read_fits},
	{"extend", run_extend, extend_fits},
	{"lock", run_lock, lock_fits},
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
			options->hex = optarg;
			break;
		case OPTION_RANGE:
			options->range = optarg;
			break;
		default:
			return false;
		}
	}
	options->count = argc - optind - 1;
	options->words = argv + optind + 1;
	return options->count >= 0;
}

static const struct action *find_action(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(actions); i++) {
		if (strcmp(actions[i].name, name) == 0)
			return &actions[i];
	}
	return NULL;
}

int command_pcr(int argc, char **argv)
{
	struct options options = {.nsm = DEFAULT_NSM};
	const struct action *action;
	struct attest_error error;
	struct nsm *nsm;
	int status;

	action = parse(argc, argv, &options) ? find_action(argv[optind]) : NULL;
	if (!action || !action->fits(&options))
		return command_usage("pcr");
	nsm = nsm_open(options.nsm, &error);
	if (!nsm)
		return command_fail(NULL, &error);
	status = action->run(nsm, &options);
	nsm_close(nsm);
	return status;
}
