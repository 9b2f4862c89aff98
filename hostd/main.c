// SPDX-License-Identifier: MIT
// airlock-hostd's command line: one table of subcommands drives dispatch and help.
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "hostd/config.h"
#include "hostd/log.h"
#include "hostd/server.h"
#include "wire/compiler.h"

enum exit_code {
	EXIT_OK = 0,
	EXIT_NO = 1, // the answer is no
	EXIT_USAGE = 2,
	EXIT_TRANSPORT = 3,
};

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

static const struct subcommand subcommands[] = {
	{"", 0, "", "run in the foreground", run_daemon},
	{"check", 0, "check", "print what the configuration means", run_check},
};

static void print_help(FILE *out)
{
	fputs("usage: airlock-hostd [-c FILE] [--log LEVEL] [COMMAND]\n\n", out);
	for (size_t at = 0; at < ARRAY_SIZE(subcommands); at++)
		fprintf(out, "  %-26s %s\n", at ? subcommands[at].synopsis : "(none)",
			subcommands[at].help);
	fputs("\n  -c FILE        configuration, default " CONFIG_DEFAULT_PATH "\n"
	      "  --log LEVEL    error, warn, info (default) or debug\n"
	      "  --help, --version\n",
		out);
}

static int usage_error(const char *reason, const char *word)
{
	fprintf(stderr, "airlock-hostd: %s%s%s; see airlock-hostd --help\n", reason,
		word ? " " : "", word ? word : "");
	return EXIT_USAGE;
}

static bool set_log_level(const char *name)
{
	static const char *const levels[] = {
		[LOG_LEVEL_ERROR] = "error",
		[LOG_LEVEL_WARN] = "warn",
		[LOG_LEVEL_INFO] = "info",
		[LOG_LEVEL_DEBUG] = "debug",
	};

	for (size_t level = 0; level < ARRAY_SIZE(levels); level++) {
		if (strcmp(name, levels[level]) != 0)
			continue;
		log_set_level((enum log_level)level);
		return true;
	}
	return false;
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
		{"log", required_argument, NULL, 'l'},
		{0},
	};
	const char *config_path = CONFIG_DEFAULT_PATH;
	int option;

	while ((option = getopt_long(count, words, "c:hV", options, NULL)) != -1) {
		switch (option) {
		case 'c':
			config_path = optarg;
			break;
		case 'l':
			if (!set_log_level(optarg))
				return usage_error("unknown level", optarg);
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
