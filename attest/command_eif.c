// SPDX-License-Identifier: MIT
// `airlock-attest eif build`: an enclave image from a kernel, a command line and ramdisks, in the
// order that nitro-cli gives the sections. The same input gives the same file: the only time in it
// is SOURCE_DATE_EPOCH, and a signature has no randomness.
#include "attest/commands.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attest/eif.h"
#include "attest/eif_signature.h"
#include "attest/eif_write.h"
#include "attest/files.h"
#include "attest/image_file.h"
#include "wire/compiler.h"
#include "wire/parse.h"

#define CMDLINE_MAX   65536
#define KEY_FILE_MAX  65536
#define DEFAULT_CPUS  2
#define DEFAULT_BYTES (UINT64_C(1) << 30)

struct build_options {
	const char *kernel, *cmdline, *cmdline_file, *output, *sign_key, *sign_certificate;
	const char *name, *version;
	uint16_t flags;
	size_t ramdisk_count;
	const char *ramdisks[EIF_SECTIONS_MAX];
};

// What the image's sections point to.
struct build {
	struct eif eif;
	struct bytes maps[EIF_SECTIONS_MAX]; // of the kernel and the ramdisks
	size_t map_count;
	uint8_t *cmdline, *signature;
	char metadata[2048];
};

static void clear_build(struct build *build)
{
	for (size_t i = 0; i < build->map_count; i++)
		image_file_unmap(&build->maps[i]);
	free(build->cmdline);
	free(build->signature);
}

static bool add_section(struct build *build, enum eif_section_type type, const void *data,
	size_t length, struct attest_error *error)
{
	if (build->eif.section_count == EIF_SECTIONS_MAX)
		return attest_fail(error, ATTEST_FAULT_USAGE, NULL, ATTEST_NO_OFFSET,
			"more than %d sections", EIF_SECTIONS_MAX);
	build->eif.sections[build->eif.section_count++] =
		(struct eif_section){type, {data, length}};
	return true;
}

static bool add_file(struct build *build, enum eif_section_type type, const char *path,
	struct attest_error *error)
{
	struct bytes *map = &build->maps[build->map_count];

	if (build->map_count == ARRAY_SIZE(build->maps) || !image_file_map(path, map, error))
		return false;
	build->map_count++;
	return add_section(build, type, map->data, map->length, error);
}

// A file's last newline is the editor's, not the kernel's.
static bool add_cmdline(
	struct build *build, const struct build_options *options, struct attest_error *error)
{
	const void *text = options->cmdline;
	size_t length;

	if (!text) {
		if (!file_read(options->cmdline_file, CMDLINE_MAX, &build->cmdline, &length, error))
			return false;
		if (length > 0 && build->cmdline[length - 1] == '\n')
			length--;
		text = build->cmdline;
	} else {
		length = strlen(options->cmdline);
	}
	if (memchr(text, '\0', length))
		return attest_fail(error, ATTEST_FAULT_USAGE, "command line", ATTEST_NO_OFFSET,
			"holds a NUL byte");
	return add_section(build, EIF_CMDLINE, text, length, error);
}

static bool add_metadata(
	struct build *build, const struct build_options *options, struct attest_error *error)
{
	const char *epoch = getenv("SOURCE_DATE_EPOCH");
	struct eif_metadata metadata = {.name = options->name, .version = options->version};
	unsigned long when = 0;
	char build_time[32];
	size_t length;

	// 253402300799 is the last second of the year 9999.
	if (epoch && !parse_number(epoch, strlen(epoch), 253402300799, &when))
		return attest_fail(error, ATTEST_FAULT_USAGE, "SOURCE_DATE_EPOCH", ATTEST_NO_OFFSET,
			"is not a number of seconds");
	metadata.build_time = time_format((time_t)when, build_time);
	length = eif_metadata_format(&metadata, build->metadata, sizeof(build->metadata));
	if (length == 0)
		return attest_fail(error, ATTEST_FAULT_USAGE, "--name or --version",
			ATTEST_NO_OFFSET, "is too long or not printable ASCII");
	return add_section(build, EIF_METADATA, build->metadata, length, error);
}

static void free_secret(struct bytes *text)
{
	void *data = (void *)(uintptr_t)text->data;

	if (data)
		explicit_bzero(data, text->length);
	free(data);
}

static bool read_text(const char *path, struct bytes *text, struct attest_error *error)
{
	uint8_t *data;

	if (!file_read(path, KEY_FILE_MAX, &data, &text->length, error)) {
		error->fault = ATTEST_FAULT_USAGE;
		return false;
	}
	text->data = data;
	return true;
}

static bool add_signature(
	struct build *build, const struct build_options *options, struct attest_error *error)
{
	__attribute__((cleanup(free_secret))) struct bytes key = {NULL, 0};
	__attribute__((cleanup(free_secret))) struct bytes certificate = {NULL, 0};
	struct eif_measurements measurements;
	size_t length;

	if (!read_text(options->sign_key, &key, error) ||
		!read_text(options->sign_certificate, &certificate, error))
		return false;
	eif_measure_content(&build->eif, &measurements);
	return eif_signature_make(
		       &key, &certificate, measurements.pcr0, &build->signature, &length, error) &&
	       add_section(build, EIF_SIGNATURE, build->signature, length, error);
}

static bool add_sections(
	struct build *build, const struct build_options *options, struct attest_error *error)
{
	if (!add_file(build, EIF_KERNEL, options->kernel, error) ||
		!add_cmdline(build, options, error) || !add_metadata(build, options, error))
		return false;
	for (size_t i = 0; i < options->ramdisk_count; i++) {
		if (!add_file(build, EIF_RAMDISK, options->ramdisks[i], error))
			return false;
	}
	return !options->sign_key || add_signature(build, options, error);
}

static int build_image(const struct build_options *options)
{
	__attribute__((cleanup(clear_build))) struct build build = {
		.eif = {.version = EIF_VERSION_MAX,
			.flags = options->flags,
			.default_memory = DEFAULT_BYTES,
			.default_cpus = DEFAULT_CPUS},
	};
	struct eif_layout layout;
	struct attest_error error;

	if (!add_sections(&build, options, &error) || !eif_lay_out(&build.eif, &layout, &error) ||
		!file_write_parts(options->output, layout.parts, layout.part_count, 0644, &error))
		return command_fail(NULL, &error);
	return EXIT_OK;
}

// --- options

static bool set_architecture(struct build_options *options, const char *name)
{
	if (strcmp(name, "aarch64") == 0)
		options->flags = EIF_FLAG_AARCH64;
	else if (strcmp(name, "x86_64") == 0)
		options->flags = 0;
	else
		return false;
	return true;
}

static bool add_ramdisk(struct build_options *options, const char *path)
{
	if (options->ramdisk_count == ARRAY_SIZE(options->ramdisks))
		return false;
	options->ramdisks[options->ramdisk_count++] = path;
	return true;
}

static const char **text_option(struct build_options *options, int option)
{
	switch (option) {
	case 'k':
		return &options->kernel;
	case 'c':
		return &options->cmdline;
	case 'f':
		return &options->cmdline_file;
	case 'n':
		return &options->name;
	case 'v':
		return &options->version;
	case 's':
		return &options->sign_key;
	case 't':
		return &options->sign_certificate;
	case 'o':
		return &options->output;
	}
	return NULL;
}

static bool parse_options(int argc, char **argv, struct build_options *options)
{
	static const struct option known[] = {
		{"kernel", required_argument, NULL, 'k'},
		{"cmdline", required_argument, NULL, 'c'},
		{"cmdline-file", required_argument, NULL, 'f'},
		{"ramdisk", required_argument, NULL, 'r'},
		{"arch", required_argument, NULL, 'a'},
		{"name", required_argument, NULL, 'n'},
		{"version", required_argument, NULL, 'v'},
		{"sign-key", required_argument, NULL, 's'},
		{"sign-certificate", required_argument, NULL, 't'},
		{0},
	};
	const char **text;
	int option;

	while ((option = getopt_long(argc, argv, "o:", known, NULL)) != -1) {
		text = text_option(options, option);
		if (text)
			*text = optarg;
		else if (option == 'r' ? !add_ramdisk(options, optarg)
				       : option != 'a' || !set_architecture(options, optarg))
			return false;
	}
	return optind == argc && options->kernel && options->output &&
	       !options->cmdline != !options->cmdline_file &&
	       !options->sign_key == !options->sign_certificate;
}

int command_eif(int argc, char **argv)
{
	struct build_options options = {.name = "enclave", .version = "0"};

	if (argc < 2 || strcmp(argv[1], "build") != 0 ||
		!parse_options(argc - 1, argv + 1, &options))
		return command_usage(argv[0]);
	return build_image(&options);
}
