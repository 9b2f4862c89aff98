// SPDX-License-Identifier: MIT
// One table of subcommands drives dispatch, argument counts and help.
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "preload/launcher/enclave_init.h"
#include "preload/launcher/message.h"
#include "preload/launcher/subcommands.h"
#include "wire/compiler.h"

struct subcommand {
	const char *name;
	const char *synopsis;
	const char *summary;
	int min_arguments;
	int max_arguments; // -1: any number
	bool runs_programs;
	int (*main)(const struct invocation *invocation);
};

static const struct subcommand subcommands[] = {
	{"run", "[-c FILE] [--allow-unhooked] [--init] [--] COMMAND [ARGUMENT...]",
		"run a program through Airlock and return its status", 1, -1, true, run_subcommand},
	{"check", "[-c FILE]", "print the configuration as it was understood", 0, 0, false,
		check_subcommand},
	{"explain", "[-c FILE] HOST:PORT", "which route decides, and what hostd answers", 1, 1,
		false, explain_subcommand},
	{"doctor", "[-c FILE] [COMMAND]", "look for what could go wrong here", 0, 1, false,
		doctor_subcommand},
};

enum {
	OPTION_ALLOW_UNHOOKED = 256,
	OPTION_INIT,
};

static const struct option long_options[] = {
	{"config", required_argument, NULL, 'c'},
	{"allow-unhooked", no_argument, NULL, OPTION_ALLOW_UNHOOKED},
	{"init", no_argument, NULL, OPTION_INIT},
	{"help", no_argument, NULL, 'h'},
	{0},
};

static void print_usage(FILE *out, const struct subcommand *subcommand)
{
	fprintf(out, "usage: airlock %s %s\n", subcommand->name, subcommand->synopsis);
}

static void print_help(FILE *out)
{
	fputs("Airlock gives programs in an enclave the network through one vsock link.\n\n", out);
	for (size_t i = 0; i < ARRAY_SIZE(subcommands); i++)
		fprintf(out, "  airlock %s %s\n        %s\n", subcommands[i].name,
			subcommands[i].synopsis, subcommands[i].summary);
	fputs("\nThe configuration is FILE, else $AIRLOCK_CONF, else /etc/airlock/enclave.conf.\n"
	      "Exit status: 0 ok, 1 the answer is no, 2 usage or configuration, 3 transport;\n"
	      "run returns the program's own. See airlock(1) and enclave.conf(5).\n",
		out);
}

static const struct subcommand *find_subcommand(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(subcommands); i++) {
		if (strcmp(subcommands[i].name, name) == 0)
			return &subcommands[i];
	}
	return NULL;
}

// argv[0] is the subcommand. Returns -1 to go on, or the exit code.
static int read_options(
	const struct subcommand *subcommand, int argc, char **argv, struct invocation *invocation)
{
	int option;

	while ((option = getopt_long(argc, argv, "+c:h", long_options, NULL)) != -1) {
		if (option == 'c') {
			invocation->conf = optarg;
		} else if (option == OPTION_ALLOW_UNHOOKED && subcommand->runs_programs) {
			invocation->allow_unhooked = true;
		} else if (option == OPTION_INIT && subcommand->runs_programs) {
			invocation->is_init = true;
		} else if (option == 'h') {
			print_usage(stdout, subcommand);
			return EXIT_OK;
		} else {
			print_usage(stderr, subcommand);
			return EXIT_USAGE;
		}
	}
	invocation->count = argc - optind;
	invocation->arguments = argv + optind;
	if (invocation->count >= subcommand->min_arguments &&
		(subcommand->max_arguments < 0 || invocation->count <= subcommand->max_arguments))
		return -1;
	print_usage(stderr, subcommand);
	return EXIT_USAGE;
}

static int dispatch(int argc, char **argv)
{
	const struct subcommand *subcommand = find_subcommand(argv[0]);
	struct invocation invocation = {0};
	int code;

	if (!subcommand) {
		message_print("unknown subcommand: %s", argv[0]);
		print_help(stderr);
		return EXIT_USAGE;
	}
	code = read_options(subcommand, argc, argv, &invocation);
	return code >= 0 ? code : subcommand->main(&invocation);
}

int main(int argc, char **argv)
{
	if (strcmp(program_invocation_short_name, "init") == 0)
		return enclave_init_main();
	if (argc < 2) {
		print_help(stderr);
		return EXIT_USAGE;
	}
	if (strcmp(argv[1], "help") == 0 || strcmp(argv[1], "--help") == 0 ||
		strcmp(argv[1], "-h") == 0) {
		print_help(stdout);
		return EXIT_OK;
	}
	if (strcmp(argv[1], "version") == 0 || strcmp(argv[1], "--version") == 0) {
		puts("airlock " AIRLOCK_VERSION);
		return EXIT_OK;
	}
	return dispatch(argc - 1, argv + 1);
}
