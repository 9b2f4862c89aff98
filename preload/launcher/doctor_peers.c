// SPDX-License-Identifier: MIT
#include <errno.h>
#include <limits.h>
#include <time.h>

#include "preload/launcher/doctor.h"
#include "preload/launcher/install.h"
#include "preload/launcher/message.h"
#include "preload/shared/control_client.h"
#include "wire/stream.h"

#define GATE_MEASUREMENT 50 // ms

static long elapsed_us(const struct timespec *start)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (now.tv_sec - start->tv_sec) * 1000000L + (now.tv_nsec - start->tv_nsec) / 1000;
}

void doctor_check_hostd(struct doctor *doctor)
{
	const struct endpoint *hostd = &doctor->settings->hostd;
	char endpoint[ENDPOINT_TEXT_SIZE], version[64];
	struct timespec start;
	int error;

	clock_gettime(CLOCK_MONOTONIC, &start);
	error = control_client_ping(hostd, version, sizeof(version));
	endpoint_format(hostd, endpoint);
	if (error) {
		doctor->is_transport_failure = true;
		doctor_report(doctor, FINDING_FAIL, "%s: %s", endpoint, message_for_control(error));
		return;
	}
	doctor->hostd_answers = true;
	doctor_report(doctor, FINDING_OK, "%s answers: version %s, round trip %ld us", endpoint,
		version, elapsed_us(&start));
}

void doctor_check_gate(struct doctor *doctor)
{
	int result;

	if (!doctor->hostd_answers) {
		doctor_report(doctor, FINDING_WARN, "not measured: hostd does not answer");
		return;
	}
	result = control_client_measure_gate(
		&doctor->settings->hostd, GATE_MEASUREMENT, &doctor->window);
	if (result < 0)
		doctor_report(
			doctor, FINDING_FAIL, "not measured: %s", message_for_control(result));
	else if (result == 0)
		doctor_report(doctor, FINDING_WARN,
			"writability is not withheld: blocking connects ask hostd instead, "
			"non-blocking "
			"ones report success early and fail at their first use");
	else
		doctor_report(doctor, FINDING_OK, "withholds writability for the %d ms asked for",
			GATE_MEASUREMENT);
}

// The kernel clamps what it does not grant without an error (wire/stream.c).
void doctor_check_window(struct doctor *doctor)
{
	bool is_vsock = doctor->settings->hostd.transport == ENDPOINT_VSOCK;
	unsigned long window = doctor->window / 1024;

	if (doctor->window == 0)
		doctor_report(doctor, FINDING_WARN, "not measured: the gate was not either");
	else if (!is_vsock)
		doctor_report(doctor, FINDING_OK, "the stand-in's send buffer is %lu KiB", window);
	else if (doctor->window < STREAM_ENCLAVE_WINDOW)
		doctor_report(doctor, FINDING_WARN,
			"%lu KiB of a stream may be on the way instead of %u: the kernel limits it",
			window, STREAM_ENCLAVE_WINDOW / 1024);
	else
		doctor_report(doctor, FINDING_OK, "%lu KiB of a stream may be on the way", window);
}

// A name that the routes spell out is one that the parent is likely to allow.
static const char *first_routed_name(const struct settings *settings)
{
	for (size_t i = 0; i < settings->route_count; i++) {
		const struct route *route = &settings->routes[i];
		bool is_routed = route->action == ROUTE_DIRECT || route->action == ROUTE_TLS;

		if (is_routed && route->pattern.kind == PATTERN_NAME)
			return route->pattern.name;
	}
	return NULL;
}

void doctor_check_names(struct doctor *doctor)
{
	const char *name = first_routed_name(doctor->settings);
	struct control_addresses addresses;
	int error;

	if (!name) {
		doctor_report(doctor, FINDING_OK, "nothing to look up: no route spells out a name");
		return;
	}
	if (!doctor->hostd_answers) {
		doctor_report(doctor, FINDING_WARN, "%s: not asked: hostd does not answer", name);
		return;
	}
	error = control_client_resolve(&doctor->settings->hostd, name, &addresses);
	if (error)
		doctor_report(doctor, FINDING_WARN, "%s: %s", name,
			error == -EACCES ? "hostd's rules do not let this enclave ask for it"
					 : message_for_control(error));
	else if (addresses.failure != OUTCOME_NONE)
		doctor_report(doctor, FINDING_WARN, "%s: %s", name,
			outcome_class_name(addresses.failure));
	else
		doctor_report(doctor, FINDING_OK, "%s has %zu addresses", name, addresses.count);
}

// Between two runs there is none, and nothing is amiss.
void doctor_check_tls(struct doctor *doctor)
{
	const struct endpoint *listen = &doctor->settings->tls_listen;
	char endpoint[ENDPOINT_TEXT_SIZE], version[64], program[PATH_MAX];
	int error;

	if (!doctor->has_tls_route) {
		doctor_report(doctor, FINDING_OK, "no tls route, so airlock-tls is not needed");
		return;
	}
	error = control_client_ping(listen, version, sizeof(version));
	endpoint_format(listen, endpoint);
	if (error == -ENETUNREACH && install_find_program("airlock-tls", program) == 0)
		doctor_report(doctor, FINDING_WARN,
			"airlock-tls at %s: %s; `airlock run` starts %s, without it connections by "
			"tls routes are refused",
			endpoint, message_for_control(error), program);
	else if (error)
		doctor_report(doctor, FINDING_FAIL,
			"airlock-tls at %s: %s; connections by tls routes are refused", endpoint,
			message_for_control(error));
	else
		doctor_report(doctor, FINDING_OK, "airlock-tls at %s answers: version %s", endpoint,
			version);
}
