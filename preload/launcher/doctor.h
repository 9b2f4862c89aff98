// SPDX-License-Identifier: MIT
// One check of `airlock doctor` looks at one topic and reports one or more findings.
#ifndef AIRLOCK_LAUNCHER_DOCTOR_H
#define AIRLOCK_LAUNCHER_DOCTOR_H

#include <stdbool.h>
#include <stdint.h>

#include "preload/shared/settings.h"
#include "wire/compiler.h"

enum finding {
	FINDING_OK,
	FINDING_WARN,
	FINDING_FAIL,
};

struct doctor {
	const struct settings *settings;
	const char *command; // NULL: none was given
	const char *topic;   // of the check that runs
	bool has_tls_route;
	bool hostd_answers; // set by doctor_check_hostd, which therefore runs before the checks
			    // that ask hostd
	uint64_t window;    // bytes; set by doctor_check_gate, 0: not measured
	bool has_failed;
	bool is_transport_failure;
};

// Prints "ok|warn|fail  topic  text".
void doctor_report(struct doctor *doctor, enum finding finding, const char *format, ...)
	PRINTF_LIKE(3, 4);

// What the machine is like.
void doctor_check_kernel(struct doctor *doctor);
void doctor_check_vsock(struct doctor *doctor);
void doctor_check_loopback(struct doctor *doctor);
void doctor_check_clock(struct doctor *doctor);
void doctor_check_nsm(struct doctor *doctor);

// What the other parts of Airlock say.
void doctor_check_hostd(struct doctor *doctor);
void doctor_check_gate(struct doctor *doctor);
void doctor_check_window(struct doctor *doctor);
void doctor_check_names(struct doctor *doctor);
void doctor_check_tls(struct doctor *doctor);

// What is on the disk.
void doctor_check_pool(struct doctor *doctor);
void doctor_check_anchors(struct doctor *doctor);
void doctor_check_policies(struct doctor *doctor);
void doctor_check_library(struct doctor *doctor);
void doctor_check_command(struct doctor *doctor);

#endif
