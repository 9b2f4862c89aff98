// SPDX-License-Identifier: MIT
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "preload/launcher/attest_program.h"
#include "preload/launcher/doctor.h"
#include "preload/launcher/inspect.h"
#include "preload/launcher/install.h"
#include "preload/shared/name_pool.h"

#define SYSTEM_ANCHORS                                                                             \
	"/etc/ssl/certs/ca-certificates.crt"     // Debian's bundle, update-ca-certificates(8)
#define PEM_HEADER "-----BEGIN CERTIFICATE-----" // RFC 7468, section 5

void doctor_check_pool(struct doctor *doctor)
{
	const struct settings *settings = doctor->settings;

	if (settings->names == NAMES_RESOLVE) {
		doctor_report(doctor, FINDING_OK, "not used: names are resolved to real addresses");
		return;
	}
	doctor_report(doctor, FINDING_OK, "room for %u names",
		name_pool_limit(&settings->pool_ipv4, &settings->pool_ipv6));
}

// Returns the number of certificates, or -errno.
static int count_certificates(const char *path)
{
	char line[256];
	int count = 0;
	FILE *file = fopen(path, "re");

	if (!file)
		return -errno;
	while (fgets(line, sizeof(line), file)) {
		if (strncmp(line, PEM_HEADER, strlen(PEM_HEADER)) == 0)
			count++;
	}
	fclose(file);
	return count;
}

static void check_anchor_file(struct doctor *doctor, const char *setting)
{
	const char *path = strcmp(setting, "system") == 0 ? SYSTEM_ANCHORS : setting;
	enum finding bad = doctor->has_tls_route ? FINDING_FAIL : FINDING_WARN;
	int count = count_certificates(path);

	if (count < 0)
		doctor_report(doctor, bad, "%s: %s", path, strerror(-count));
	else
		doctor_report(doctor, count == 0 ? bad : FINDING_OK, "%s has %d certificates", path,
			count);
}

void doctor_check_anchors(struct doctor *doctor)
{
	const struct settings *settings = doctor->settings;

	check_anchor_file(doctor, settings->ca);
	for (size_t i = 0; i < settings->route_count; i++) {
		if (settings->routes[i].tls.ca[0] != '\0')
			check_anchor_file(doctor, settings->routes[i].tls.ca);
	}
}

static void check_policy_files(struct doctor *doctor, const struct route_tls *tls)
{
	bool has_root = tls->root[0] != '\0';
	char problem[ATTEST_PROBLEM_SIZE];
	int result = attest_read_policy(tls->policy, tls->root, problem);

	if (result > 0)
		doctor_report(doctor, FINDING_FAIL, "%s", problem);
	else if (result < 0)
		doctor_report(doctor, FINDING_WARN, "%s: not looked at: airlock-attest: %s",
			tls->policy, strerror(-result));
	else
		doctor_report(doctor, FINDING_OK, "%s is a policy%s%s%s", tls->policy,
			has_root ? ", " : "", tls->root, has_root ? " a root certificate" : "");
}

void doctor_check_policies(struct doctor *doctor)
{
	const struct settings *settings = doctor->settings;
	bool has_policy = false;

	for (size_t i = 0; i < settings->route_count; i++) {
		const struct route_tls *tls = &settings->routes[i].tls;

		if (tls->policy[0] == '\0' || !settings_offers_attestation(tls))
			continue;
		has_policy = true;
		check_policy_files(doctor, tls);
	}
	if (!has_policy)
		doctor_report(doctor, FINDING_OK, "no route names one");
}

void doctor_check_library(struct doctor *doctor)
{
	char path[PATH_MAX];
	int error = install_find_library(path);

	if (error)
		doctor_report(doctor, FINDING_FAIL, "libairlock.so is not beside this program: %s",
			strerror(-error));
	else
		doctor_report(doctor, FINDING_OK, "%s", path);
}

void doctor_check_command(struct doctor *doctor)
{
	struct inspection inspection;
	int result;

	if (!doctor->command)
		return;
	result = inspect_command(doctor->command, &inspection);
	if (result < 0)
		doctor_report(doctor, FINDING_FAIL, "%s: %s", inspection.path, strerror(-result));
	else if (result > 0)
		doctor_report(doctor, FINDING_FAIL, "%s %s", inspection.path, inspection.reason);
	else
		doctor_report(doctor, FINDING_OK, "%s can be preloaded", inspection.path);
}
