// SPDX-License-Identifier: MIT
// `airlock-attest measure`: what PCRs an image will have, for people, for programs and as a policy
// for `airlock-attest verify`.
#include "attest/commands.h"

#include <ctype.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "attest/eif.h"
#include "attest/files.h"
#include "attest/image_file.h"
#include "wire/parse.h"

struct register_row {
	unsigned index;
	const uint8_t *value;
};

#define ROWS_MAX 4

static size_t list_rows(
	const struct eif_measurements *measurements, struct register_row rows[ROWS_MAX])
{
	rows[0] = (struct register_row){0, measurements->pcr0};
	rows[1] = (struct register_row){1, measurements->pcr1};
	rows[2] = (struct register_row){2, measurements->pcr2};
	rows[3] = (struct register_row){8, measurements->pcr8};
	return measurements->is_signed ? 4 : 3;
}

static void print_text(const struct register_row *rows, size_t count)
{
	char hex[2 * EIF_PCR_SIZE + 1];

	for (size_t i = 0; i < count; i++)
		printf("PCR%u %s\n", rows[i].index, hex_encode(rows[i].value, EIF_PCR_SIZE, hex));
}

static void print_json(const struct register_row *rows, size_t count)
{
	char hex[2 * EIF_PCR_SIZE + 1];

	printf("{\"HashAlgorithm\":\"SHA384\"");
	for (size_t i = 0; i < count; i++)
		printf(",\"PCR%u\":\"%s\"", rows[i].index,
			hex_encode(rows[i].value, EIF_PCR_SIZE, hex));
	printf("}\n");
}

// --- the policy

// The file's name without its folder and ending, as one word of a policy.
static void name_release(const char *path, char *out, size_t size)
{
	const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
	size_t length = strlen(base);

	if (length > 4 && strcmp(base + length - 4, ".eif") == 0)
		length -= 4;
	if (length >= size)
		length = size - 1;
	for (size_t i = 0; i < length; i++)
		out[i] = (char)(isalnum((unsigned char)base[i]) || strchr("._", base[i]) ? base[i]
											 : '-');
	out[length] = '\0';
	if (length == 0)
		snprintf(out, size, "image");
}

static bool write_policy(const char *path, const char *image, const struct register_row *rows,
	size_t count, struct attest_error *error)
{
	char shown[256], release[64], hex[2 * EIF_PCR_SIZE + 1], text[2048];
	int length;

	parse_copy_printable(shown, sizeof(shown), image, strlen(image));
	name_release(image, release, sizeof(release));
	length = snprintf(text, sizeof(text), "# measured from %s\nrelease %s\n", shown, release);
	for (size_t i = 0; i < count; i++)
		length += snprintf(text + length, sizeof(text) - (size_t)length, "  pcr%u %s\n",
			rows[i].index, hex_encode(rows[i].value, EIF_PCR_SIZE, hex));
	return file_write(path, text, (size_t)length, 0644, error);
}

// --- the command

static int measure(const char *image, const char *policy, bool is_json)
{
	__attribute__((cleanup(image_file_unmap))) struct bytes content = {NULL, 0};
	struct eif_measurements measurements;
	struct register_row rows[ROWS_MAX];
	struct attest_error error;
	struct eif eif;
	size_t count;

	if (!image_file_map(image, &content, &error))
		return command_fail(NULL, &error);
	if (!eif_parse(content.data, content.length, &eif, &error) ||
		!eif_measure(&eif, &measurements, &error))
		return command_fail(image, &error);
	count = list_rows(&measurements, rows);
	if (policy && !write_policy(policy, image, rows, count, &error))
		return command_fail(NULL, &error);
	if (is_json)
		print_json(rows, count);
	else
		print_text(rows, count);
	return EXIT_OK;
}

int command_measure(int argc, char **argv)
{
	static const struct option options[] = {
		{"policy-out", required_argument, NULL, 'p'},
		{"json", no_argument, NULL, 'j'},
		{0},
	};
	const char *policy = NULL;
	bool is_json = false;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'p':
			policy = optarg;
			break;
		case 'j':
			is_json = true;
			break;
		default:
			return command_usage(argv[0]);
		}
	}
	if (argc - optind != 1)
		return command_usage(argv[0]);
	return measure(argv[optind], policy, is_json);
}
