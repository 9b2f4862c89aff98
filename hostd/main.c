// SPDX-License-Identifier: MIT
// airlock-hostd's command line: one table of subcommands drives dispatch and help.
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "hostd/admin.h"
#include "hostd/config.h"
#include "hostd/explain.h"
#include "hostd/server.h"
#include "wire/compiler.h"
#include "wire/exit_code.h"

struct subcommand {
	const char *name;
	int arguments;
	const char *synopsis;
	const char *help;
	// config: a reference that the function takes over
	int (*run)(struct config *config, const char *config_path, char **arguments);
};

static int run_daemon(struct config *config, const char *config_path, char **arguments)
{
	(void)arguments;
	return server_run(config, config_path);
}

static int run_check(struct config *config, const char *config_path, char **arguments)
{
	(void)config_path;
	(void)arguments;
	config_print(config, stdout);
	config_release(config);
	return fflush(stdout) ? EXIT_TRANSPORT : EXIT_OK;
}

static int run_explain(struct config *config, const char *config_path, char **arguments)
{
	int code = explain_destination(config, arguments[0], arguments[1], stdout, stderr);

	(void)config_path;
	config_release(config);
	return code;
}

// Asks the running daemon, at the admin socket that its configuration names.
static int ask_daemon(struct config *config, const char *config_path, const char *command)
{
	char message[512];
	int code;

	if (!config->admin.transport) {
		fprintf(stderr, "airlock-hostd: %s has no admin directive\n", config_path);
		config_release(config);
		return EXIT_USAGE;
	}
	code = admin_ask(&config->admin, command, stdout, message, sizeof(message));
	if (code == EXIT_TRANSPORT)
		fprintf(stderr, "airlock-hostd: %s\n", message);
	config_release(config);
	return code;
}

static int run_status(struct config *config, const char *config_path, char **arguments)
{
	(void)arguments;
	return ask_daemon(config, config_path, "status");
}

static int run_drain(struct config *config, const char *config_path, char **arguments)
{
	(void)arguments;
	return ask_daemon(config, config_path, "drain");
}

static int run_reload(struct config *config, const char *config_path, char **arguments)
{
	(void)arguments;
	return ask_daemon(config, config_path, "reload");
}

static const struct subcommand subcommands[] = {
	{"", 0, "", "run in the foreground", run_daemon},
	{"check", 0, "check", "print what the configuration means", run_check},
	{"explain", 2, "explain CID HOST:PORT", "which rule decides, and how", run_explain},
	{"status", 0, "status", "ask the running daemon how it is", run_status},
	{"drain", 0, "drain", "let the running daemon end its streams, and end", run_drain},
	{"reload", 0, "reload", "let the running daemon read its configuration again", run_reload},
};

static void print_help(FILE *out)
{
	fputs("usage: airlock-hostd [-c FILE] [COMMAND]\n\n", out);
	for (size_t at = 0; at < ARRAY_SIZE(subcommands); at++)
		fprintf(out, "  %-26s %s\n", at ? subcommands[at].synopsis : "(none)",
			subcommands[at].help);
	fputs("\n  -c FILE        configuration, default " CONFIG_DEFAULT_PATH "\n"
	      "  --help, --version\n",
		out);
}

static int usage_error(const char *reason, const char *word)
{
	fprintf(stderr, "airlock-hostd: %s%s%s; see airlock-hostd --help\n", reason,
		word ? " " : "", word ? word : "");
	return EXIT_USAGE;
}

static int dispatch(const char *config_path, int count, char **words)
{
	const char *name = count ? words[0] : "";
	const struct subcommand *found = NULL;
	struct config *config;
	char message[512];

	for (size_t at = 0; at < ARRAY_SIZE(subcommands); at++) {
		if (!strcmp(subcommands[at].name, name))
			found = &subcommands[at];
	}
	if (!found)
		return usage_error("unknown command", name);
	if (count && count - 1 != found->arguments)
		return usage_error("usage: airlock-hostd", found->synopsis);
	config = config_load(config_path, message, sizeof(message));
	if (!config) {
		fprintf(stderr, "airlock-hostd: %s\n", message);
		return EXIT_USAGE;
	}
	return found->run(config, config_path, words + 1);
}

int main(int count, char **words)
{
	static const struct option options[] = {
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},
		{0},
	};
	const char *config_path = CONFIG_DEFAULT_PATH;
	int option;

	while ((option = getopt_long(count, words, "c:hV", options, NULL)) != -1) {
		switch (option) {
		case 'c':
			config_path = optarg;
			break;
		case 'h':
			print_help(stdout);
			return EXIT_OK;
		case 'V':
			puts("airlock-hostd " AIRLOCK_VERSION);
			return EXIT_OK;
		default:
			return EXIT_USAGE;
		}
	}
	return dispatch(config_path, count - optind, words + optind);
}
