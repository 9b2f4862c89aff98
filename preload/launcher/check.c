// SPDX-License-Identifier: MIT
#include <stdio.h>

#include "preload/launcher/message.h"
#include "preload/launcher/subcommands.h"
#include "preload/shared/settings.h"

int check_subcommand(const struct invocation *invocation)
{
	struct settings settings;
	char problem[512];

	if (!settings_load(invocation->conf, &settings, problem, sizeof(problem))) {
		message_print("%s", problem);
		return EXIT_USAGE;
	}
	settings_print(&settings, stdout);
	settings_clear(&settings);
	if (fflush(stdout) != 0) {
		message_print("standard output: %m");
		return EXIT_NO;
	}
	return EXIT_OK;
}
