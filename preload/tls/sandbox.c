// SPDX-License-Identifier: MIT
// Theory of operation: Landlock first, because it needs calls that seccomp then forbids, and
// because threads inherit it; then the threads, for the filter forbids to start any; then the
// filter, which is set for all threads at once (SECCOMP_FILTER_FLAG_TSYNC, seccomp(2)). Landlock is
// best effort, since not every kernel has it (landlock(7)); a seccomp filter is not. The list has
// what the files of this folder, GnuTLS's random generator and malloc(3) call; each new call must
// be entered here by name.
#include "preload/tls/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <seccomp.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "preload/tls/tls_log.h"
#include "wire/nsm_socket.h"

#define ALL_ACCESS_1                                                                               \
	((LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1) // every right of Landlock's first version

// --- Landlock

static int open_directory(const struct endpoint *listen)
{
	char path[sizeof(listen->path) + 1] = ".";
	char *slash;

	if (listen->path[0] == '\0')
		return -1; // an abstract name: there is no file
	memcpy(path, listen->path, listen->path_length);
	path[listen->path_length] = '\0';
	slash = strrchr(path, '/');
	if (!slash)
		strcpy(path, ".");
	else
		slash[slash == path] = '\0';
	return open(path, O_PATH | O_CLOEXEC | O_DIRECTORY);
}

static void allow_removal(int rules, const struct endpoint *listen)
{
	struct landlock_path_beneath_attr beneath = {
		.allowed_access = LANDLOCK_ACCESS_FS_REMOVE_FILE,
		.parent_fd = open_directory(listen),
	};

	if (beneath.parent_fd < 0)
		return;
	(void)syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &beneath, 0);
	close(beneath.parent_fd);
}

static void restrict_files(const struct endpoint *listen)
{
	struct landlock_ruleset_attr attributes = {.handled_access_fs = ALL_ACCESS_1};
	int rules = (int)syscall(
		SYS_landlock_create_ruleset, &attributes, sizeof(attributes.handled_access_fs), 0);
	long result = -1;

	if (rules >= 0) {
		allow_removal(rules, listen);
		result = syscall(SYS_landlock_restrict_self, rules, 0);
		close(rules);
	}
	if (result != 0)
		tls_log_message(SETTINGS_LOG_INFO, "no Landlock here: %s", strerror(errno));
}

// --- seccomp

static const int calls[] = {
	// the loop: tls_server.c, tls_open.c
	SCMP_SYS(epoll_wait), SCMP_SYS(epoll_pwait), SCMP_SYS(epoll_ctl), SCMP_SYS(accept4),
	SCMP_SYS(poll), SCMP_SYS(ppoll),
	// streams: channel.c, tls_relay.c, wire/stream.c
	SCMP_SYS(connect), SCMP_SYS(recvfrom), SCMP_SYS(sendto), SCMP_SYS(shutdown),
	SCMP_SYS(getsockopt), SCMP_SYS(setsockopt), SCMP_SYS(close), SCMP_SYS(fcntl),
	SCMP_SYS(clock_nanosleep), SCMP_SYS(nanosleep),
	// messages: tls_log.c; the ready descriptor: main.c
	SCMP_SYS(write), SCMP_SYS(read),
	// time and chance, where the vDSO does not do; GnuTLS's generator
	SCMP_SYS(clock_gettime), SCMP_SYS(gettimeofday), SCMP_SYS(time), SCMP_SYS(getrandom),
	SCMP_SYS(getrusage), SCMP_SYS(getpid), SCMP_SYS(gettid),
	// memory and locks
	SCMP_SYS(brk), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise), SCMP_SYS(futex),
	// a thread's first steps, which may come after the filter: attester.c
	SCMP_SYS(set_robust_list), SCMP_SYS(rseq),
	// the end
	SCMP_SYS(unlink), SCMP_SYS(unlinkat), SCMP_SYS(exit), SCMP_SYS(exit_group),
	SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn), SCMP_SYS(restart_syscall),
	SCMP_SYS(tgkill), // abort(3)
};

// Memory may be had, but not executed; sockets only of the kinds that streams have.
static int allow_with_conditions(scmp_filter_ctx filter)
{
	static const struct {
		int call;
		struct scmp_arg_cmp condition;
	} rules[] = {
		{SCMP_SYS(mmap), {2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0}},
		{SCMP_SYS(mprotect), {2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0}},
		{SCMP_SYS(socket), {0, SCMP_CMP_EQ, AF_UNIX, 0}},
		{SCMP_SYS(socket), {0, SCMP_CMP_EQ, AF_VSOCK, 0}},
		{SCMP_SYS(ioctl), {1, SCMP_CMP_EQ, NSM_IOCTL, 0}}, // attest/nsm.c
	};

	for (size_t i = 0; i < ARRAY_SIZE(rules); i++) {
		int error = seccomp_rule_add_array(
			filter, SCMP_ACT_ALLOW, rules[i].call, 1, &rules[i].condition);

		if (error < 0)
			return error;
	}
	return 0;
}

static int allow_plainly(scmp_filter_ctx filter)
{
	for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
		int error = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, calls[i], 0, NULL);

		// Some architectures lack some of the older calls.
		if (error < 0 && error != -EDOM)
			return error;
	}
	return 0;
}

static int load_filter(void)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int error;

	if (!filter)
		return -ENOMEM;
	error = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
	if (!error)
		error = allow_plainly(filter);
	if (!error)
		error = allow_with_conditions(filter);
	if (!error)
		error = seccomp_load(filter);
	seccomp_release(filter);
	return error;
}

// A sanitizer's runtime makes calls of its own.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define IS_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define IS_SANITIZED 1
#endif
#endif
#ifndef IS_SANITIZED
#define IS_SANITIZED 0
#endif

int sandbox_forbid_files(const struct endpoint *listen)
{
	if (IS_SANITIZED)
		return 0;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	restrict_files(listen);
	return 0;
}

int sandbox_forbid_calls(void)
{
	return IS_SANITIZED ? 0 : load_filter();
}
