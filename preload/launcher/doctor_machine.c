// SPDX-License-Identifier: MIT
#include <errno.h>
#include <fcntl.h>
#include <linux/vm_sockets.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "preload/launcher/attest_program.h"
#include "preload/launcher/clock.h"
#include "preload/launcher/doctor.h"
#include "preload/launcher/loopback.h"

#define VERSION_NUMBER(major, minor, patch) ((major)*1000000L + (minor)*1000L + (patch))

// What is known of kernels from one version on, or before one, when they carry vsock.
static const struct {
	long version;
	bool is_before;
	enum finding finding;
	const char *text;
} kernel_facts[] = {
	{VERSION_NUMBER(6, 6, 62), true, FINDING_WARN,
		"before 6.6.62: both directions of a stream full at once can deadlock"},
	{VERSION_NUMBER(6, 12, 0), false, FINDING_WARN,
		"6.12 and later: a transmission above 31744 bytes leaves in several descriptors, "
		"which "
		"some hypervisors do not reassemble; the library cuts its own, programs that write "
		"so "
		"much through stdio or io_uring are exposed on direct routes"},
	{VERSION_NUMBER(6, 17, 0), true, FINDING_OK,
		"before 6.17: no FIONREAD on vsock, the library answers it"},
};

void doctor_check_kernel(struct doctor *doctor)
{
	unsigned major = 0, minor = 0, patch = 0;
	struct utsname names;
	long version;

	if (uname(&names) != 0 || sscanf(names.release, "%u.%u.%u", &major, &minor, &patch) < 2) {
		doctor_report(doctor, FINDING_WARN, "the version cannot be read");
		return;
	}
	doctor_report(doctor, FINDING_OK, "Linux %s", names.release);
	if (doctor->settings->hostd.transport != ENDPOINT_VSOCK)
		return;
	version = VERSION_NUMBER((long)major, (long)minor, (long)patch);
	for (size_t i = 0; i < ARRAY_SIZE(kernel_facts); i++) {
		if ((version < kernel_facts[i].version) == kernel_facts[i].is_before)
			doctor_report(doctor, kernel_facts[i].finding, "%s", kernel_facts[i].text);
	}
}

// Asks the device file for the local CID (vsock(7)); no vsock socket is made.
void doctor_check_vsock(struct doctor *doctor)
{
	bool is_needed = doctor->settings->hostd.transport == ENDPOINT_VSOCK;
	enum finding absent = is_needed ? FINDING_FAIL : FINDING_OK;
	unsigned cid;
	int fd, error;

	fd = open("/dev/vsock", O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		doctor_report(doctor, absent, "/dev/vsock: %m%s",
			is_needed ? "" : " (hostd is on the stand-in, which needs none)");
		doctor->is_transport_failure |= is_needed;
		return;
	}
	error = ioctl(fd, IOCTL_VM_SOCKETS_GET_LOCAL_CID, &cid) == 0 ? 0 : errno;
	close(fd);
	if (error)
		doctor_report(
			doctor, absent, "/dev/vsock does not tell its CID: %s", strerror(error));
	else if (cid == VMADDR_CID_ANY)
		doctor_report(doctor, absent, "/dev/vsock is there, but has no transport");
	else
		doctor_report(doctor, FINDING_OK, "local CID %u", cid);
}

void doctor_check_loopback(struct doctor *doctor)
{
	int result = loopback_is_up();

	if (result < 0)
		doctor_report(doctor, FINDING_WARN, "lo: %s", strerror(-result));
	else if (result == 0)
		doctor_report(doctor, FINDING_WARN,
			"lo is down; `airlock run` raises it when it may (CAP_NET_ADMIN)");
	else
		doctor_report(doctor, FINDING_OK, "lo is up");
}

void doctor_check_clock(struct doctor *doctor)
{
	struct clock_reading clock = clock_read();

	if (clock.is_wrong)
		doctor_report(doctor, FINDING_FAIL, "%s is before this program was built (%s)",
			clock.now, clock.built);
	else
		doctor_report(
			doctor, FINDING_OK, "%s, after the build (%s)", clock.now, clock.built);
}

// The value of the first line of `airlock-attest describe`; cut where it ends.
static const char *module_id(char *answer)
{
	static const char key[] = "module-id ";

	answer[strcspn(answer, "\n")] = '\0';
	return strncmp(answer, key, sizeof(key) - 1) == 0 ? answer + sizeof(key) - 1 : NULL;
}

void doctor_check_nsm(struct doctor *doctor)
{
	char name[ENDPOINT_TEXT_SIZE];
	const char *nsm = settings_nsm_name(doctor->settings, name);
	char problem[ATTEST_PROBLEM_SIZE], answer[512];
	const char *id;
	ssize_t length;

	if (!nsm_is_there(nsm)) {
		doctor_report(doctor, FINDING_WARN,
			"%s: %m (outside a Nitro enclave there is none)", nsm);
		return;
	}
	length = nsm_ask(nsm, "describe", NULL, answer, sizeof(answer) - 1, problem);
	if (length < 0) {
		doctor_report(doctor, FINDING_FAIL, "%s: %s", nsm, problem);
		return;
	}
	answer[length] = '\0';
	id = module_id(answer);
	if (id)
		doctor_report(doctor, FINDING_OK, "%s answers: module %s", nsm, id);
	else
		doctor_report(doctor, FINDING_FAIL, "%s: its answer has no module id", nsm);
}
