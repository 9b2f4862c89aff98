// SPDX-License-Identifier: MIT
// `airlock doctor`: a table of checks, each of which prints its findings.
#include "preload/launcher/doctor.h"

#include <stdarg.h>
#include <stdio.h>

#include "preload/launcher/message.h"
#include "preload/launcher/subcommands.h"

static const struct {
	const char *topic;
	void (*run)(struct doctor *doctor);
} checks[] = {
	{"kernel", doctor_check_kernel},
	{"vsock", doctor_check_vsock},
	{"loopback", doctor_check_loopback},
	{"hostd", doctor_check_hostd},
	{"gate", doctor_check_gate},
	{"window", doctor_check_window},
	{"names", doctor_check_names},
	{"pool", doctor_check_pool},
	{"tls", doctor_check_tls},
	{"anchors", doctor_check_anchors},
	{"policies", doctor_check_policies},
	{"clock", doctor_check_clock},
	{"nsm", doctor_check_nsm},
	{"library", doctor_check_library},
	{"command", doctor_check_command},
};

void doctor_report(struct doctor *doctor, enum finding finding, const char *format, ...)
{
	static const char *const words[] = {
		[FINDING_OK] = "ok", [FINDING_WARN] = "warn", [FINDING_FAIL] = "fail"};
	va_list arguments;

	if (finding == FINDING_FAIL)
		doctor->has_failed = true;
	printf("%-4s  %-8s  ", words[finding], doctor->topic);
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	putchar('\n');
}

int doctor_subcommand(const struct invocation *invocation)
{
	struct doctor doctor = {.command = invocation->arguments[0]};
	struct settings settings;
	char problem[512];

	if (!settings_load(invocation->conf, &settings, problem, sizeof(problem))) {
		message_print("%s", problem);
		return EXIT_USAGE;
	}
	doctor.settings = &settings;
	doctor.has_tls_route = settings_has_route(&settings, ROUTE_TLS);
	for (size_t i = 0; i < ARRAY_SIZE(checks); i++) {
		doctor.topic = checks[i].topic;
		checks[i].run(&doctor);
	}
	settings_clear(&settings);
	if (doctor.is_transport_failure)
		return EXIT_TRANSPORT;
	return doctor.has_failed ? EXIT_NO : EXIT_OK;
}
