// SPDX-License-Identifier: MIT
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "attest/commands.h"
#include "attest/files.h"
#include "attest/nsm.h"

// A field that was read from the command line or from a file; its data is ours to free.
struct field {
	uint8_t *data;
	size_t length;
};

struct options {
	const char *nsm;
	const char *output;
	struct field nonce, user_data, public_key;
};

enum { OPTION_NSM = 256, OPTION_NONCE, OPTION_USER_DATA, OPTION_PUBLIC_KEY };

static const struct option long_options[] = {
	{"nsm", required_argument, NULL, OPTION_NSM},
	{"nonce", required_argument, NULL, OPTION_NONCE},
	{"user-data", required_argument, NULL, OPTION_USER_DATA},
	{"public-key", required_argument, NULL, OPTION_PUBLIC_KEY},
	{"output", required_argument, NULL, 'o'},
	{0},
};

static int read_nonce(const char *text, struct field *field)
{
	struct attest_error error;

	free(field->data);
	field->data = NULL;
	if (hex_decode(text, strlen(text), &field->data, &field->length) &&
		field->length <= DOCUMENT_FIELD_MAX)
		return EXIT_OK;
	attest_fail(&error, ATTEST_FAULT_USAGE, "--nonce", ATTEST_NO_OFFSET,
		"not hexadecimal digits of at most %d bytes", DOCUMENT_FIELD_MAX);
	return command_fail(NULL, &error);
}

static int read_field(const char *path, struct field *field)
{
	struct attest_error error;

	free(field->data);
	field->data = NULL;
	if (file_read(path, DOCUMENT_FIELD_MAX, &field->data, &field->length, &error))
		return EXIT_OK;
	if (error.fault == ATTEST_FAULT_MALFORMED)
		error.fault = ATTEST_FAULT_USAGE; // larger than the NSM takes, as a nonce may be
	return command_fail(path, &error);
}

static int parse(int argc, char **argv, struct options *options)
{
	int option, status = EXIT_OK;

	while (status == EXIT_OK &&
		(option = getopt_long(argc, argv, "o:", long_options, NULL)) != -1) {
		switch (option) {
		case OPTION_NSM:
			options->nsm = optarg;
			break;
		case OPTION_NONCE:
			status = read_nonce(optarg, &options->nonce);
			break;
		case OPTION_USER_DATA:
			status = read_field(optarg, &options->user_data);
			break;
		case OPTION_PUBLIC_KEY:
			status = read_field(optarg, &options->public_key);
			break;
		case 'o':
			options->output = optarg;
			break;
		default:
			return command_usage("get");
		}
	}
	return status == EXIT_OK && optind != argc ? command_usage("get") : status;
}

static struct bytes view(const struct field *field)
{
	return (struct bytes){field->data, field->length};
}

static int get(const struct options *options)
{
	const struct nsm_request request = {
		.command = NSM_ATTESTATION,
		.nonce = view(&options->nonce),
		.user_data = view(&options->user_data),
		.public_key = view(&options->public_key),
	};
	struct nsm_response response;
	struct attest_error error;
	struct nsm *nsm = nsm_open(options->nsm, &error);
	bool is_good =
		nsm && nsm_call(nsm, &request, &response, &error) &&
		file_write(options->output, response.data.data, response.data.length, 0644, &error);

	nsm_close(nsm);
	return is_good ? EXIT_OK : command_fail(NULL, &error);
}

int command_get(int argc, char **argv)
{
	struct options options = {.nsm = DEFAULT_NSM, .output = "-"};
	int status = parse(argc, argv, &options);

	if (status == EXIT_OK)
		status = get(&options);
	free(options.nonce.data);
	free(options.user_data.data);
	free(options.public_key.data);
	return status;
}
