// SPDX-License-Identifier: MIT
// One table of subcommands drives dispatch and help; each reads its own options.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "attest/commands.h"
#include "wire/compiler.h"

struct command {
	const char *name;
	const char *synopsis;
	const char *summary;
	int (*main)(int argc, char **argv);
};

static const struct command commands[] = {
	{"get", "[--nsm NAME] [--nonce HEX] [--user-data FILE] [--public-key FILE] [-o FILE]",
		"ask the NSM for an attestation document", command_get},
	{"verify",
		"FILE (--policy FILE | --any-image) [--allow-debug] [--nonce HEX]"
		" [--time now|document|RFC3339] [--root FILE] [--crl FILE]... [--max-age 5m]"
		" [--json]",
		"whether a document is genuine and says what the policy expects", command_verify},
	{"show", "FILE", "a document's structure, unverified", command_show},
	{"measure", "IMAGE.eif [--policy-out FILE] [--json]",
		"the PCRs that an enclave image will have", command_measure},
	{"eif",
		"build --kernel FILE (--cmdline TEXT | --cmdline-file FILE) [--ramdisk FILE]..."
		" [--arch x86_64|aarch64] [--name TEXT] [--version TEXT]"
		" [--sign-key FILE --sign-certificate FILE] -o FILE",
		"make an enclave image, the same from the same input", command_eif},
	{"kms", "unwrap --key PRIVATE.pem FILE",
		"the plaintext of a CiphertextForRecipient from AWS KMS", command_kms},
	{"pcr",
		"read [INDEX] | extend INDEX (FILE | --hex HEX) | lock (INDEX | --range N)"
		" [--nsm NAME]",
		"read, extend and lock platform configuration registers", command_pcr},
	{"random", "[--nsm NAME] [--hex] N", "write N bytes from the NSM's generator",
		command_random},
	{"describe", "[--nsm NAME]", "what the NSM says of itself", command_describe},
	{"simulate", "--listen unix:PATH [--pki DIRECTORY] [--pcr INDEX=HEX]... [--debug]",
		"be an NSM whose root nobody trusts who does not name it", command_simulate},
	{"help", "", "this text", NULL},
};

static void print_help(FILE *out)
{
	fputs("airlock-attest proves what runs in an enclave, and verifies such proofs.\n\n", out);
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		fprintf(out, "  airlock-attest %s %s\n        %s\n", commands[i].name,
			commands[i].synopsis, commands[i].summary);
	fputs("\nThe NSM is --nsm /dev/nsm (default) or --nsm unix:PATH of a simulated one.\n"
	      "Exit status: 0 ok, 1 the answer is no, 2 usage or configuration, 3 device or\n"
	      "transport, 4 malformed input. See airlock-attest(1).\n",
		out);
}

static const struct command *find_command(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	}
	return NULL;
}

static int exit_code(enum attest_fault fault)
{
	switch (fault) {
	case ATTEST_FAULT_NONE:
		return EXIT_OK;
	case ATTEST_FAULT_REFUSED:
		return EXIT_NO;
	case ATTEST_FAULT_USAGE:
		return EXIT_USAGE;
	case ATTEST_FAULT_DEVICE:
		return EXIT_TRANSPORT;
	case ATTEST_FAULT_MALFORMED:
		return EXIT_MALFORMED;
	}
	return EXIT_MALFORMED;
}

int command_fail(const char *subject, const struct attest_error *error)
{
	char text[512];

	attest_error_format(error, text, sizeof(text));
	if (subject && strcmp(subject, error->field) != 0)
		fprintf(stderr, "airlock-attest: %s: %s\n", subject, text);
	else
		fprintf(stderr, "airlock-attest: %s\n", text);
	return exit_code(error->fault);
}

int command_usage(const char *name)
{
	const struct command *command = find_command(name);

	if (command)
		fprintf(stderr, "usage: airlock-attest %s %s\n", command->name, command->synopsis);
	return EXIT_USAGE;
}

// What was printed is an answer only once it has arrived.
static int finish(int status)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	fprintf(stderr, "airlock-attest: standard output: %s\n", strerror(errno));
	return status == EXIT_OK ? EXIT_TRANSPORT : status;
}

// `--nsm NAME` before the subcommand is moved behind it, where it is read.
static void move_device(int argc, char **argv)
{
	int count = 0;

	if (argc > 3 && strcmp(argv[1], "--nsm") == 0)
		count = 2;
	else if (argc > 2 && strncmp(argv[1], "--nsm=", strlen("--nsm=")) == 0)
		count = 1;
	if (count == 0)
		return;
	char *name = argv[count + 1];
	memmove(argv + 2, argv + 1, (size_t)count * sizeof(*argv));
	argv[1] = name;
}

// A standard descriptor that is closed would be the next file's or socket's number, and that would
// get what is written there. This one can be neither read nor written (O_PATH in open(2)).
static bool occupy_standard_descriptors(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		if (fcntl(fd, F_GETFD) < 0 && open("/", O_PATH) != fd)
			return false;
	}
	return true;
}

int main(int argc, char **argv)
{
	const struct command *command;

	if (!occupy_standard_descriptors())
		return EXIT_TRANSPORT;
	if (argc < 2) {
		print_help(stderr);
		return EXIT_USAGE;
	}
	if (strcmp(argv[1], "help") == 0 || strcmp(argv[1], "--help") == 0 ||
		strcmp(argv[1], "-h") == 0) {
		print_help(stdout);
		return finish(EXIT_OK);
	}
	if (strcmp(argv[1], "version") == 0 || strcmp(argv[1], "--version") == 0) {
		puts("airlock-attest " AIRLOCK_VERSION);
		return finish(EXIT_OK);
	}
	move_device(argc, argv);
	command = find_command(argv[1]);
	if (!command || !command->main) {
		fprintf(stderr, "airlock-attest: unknown subcommand: %s\n", argv[1]);
		print_help(stderr);
		return EXIT_USAGE;
	}
	return finish(command->main(argc - 1, argv + 1));
}
