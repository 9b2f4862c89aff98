// SPDX-License-Identifier: MIT
// Whether something is mounted is seen without /proc, which may be what is missing: a mount point
// lies on another device than its parent.
#include "preload/launcher/enclave_mounts.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "preload/launcher/enclave_machine.h"
#include "preload/launcher/message.h"
#include "wire/compiler.h"

#define CLOSED (MS_NOSUID | MS_NODEV | MS_NOEXEC)

struct file_system {
	const char *path;
	const char *parent;
	const char *type;
	const char *options;
	unsigned long flags;
	bool is_scratch; // of use without a mount where it can be written
};

// In this order: /dev/pts and /dev/shm lie in /dev. Group 5 is tty in Debian's base-passwd and
// others'; 0620 is what grantpt(3) wants.
static const struct file_system file_systems[] = {
	{"/dev", "/", "devtmpfs", "mode=0755", MS_NOSUID, false},
	{"/proc", "/", "proc", NULL, CLOSED, false},
	{"/sys", "/", "sysfs", NULL, CLOSED, false},
	{"/dev/pts", "/dev", "devpts", "gid=5,mode=0620,ptmxmode=0666", MS_NOSUID | MS_NOEXEC,
		false},
	{"/dev/shm", "/dev", "tmpfs", "mode=1777", MS_NOSUID | MS_NODEV, false},
	{"/run", "/", "tmpfs", "mode=0755", MS_NOSUID | MS_NODEV, true},
	{"/tmp", "/", "tmpfs", "mode=1777", MS_NOSUID | MS_NODEV, true},
};

// What devtmpfs leaves to user space, and bash's <(...) among others needs.
static const struct {
	const char *path;
	const char *target;
} links[] = {
	{"/dev/fd", "/proc/self/fd"},
	{"/dev/stdin", "/proc/self/fd/0"},
	{"/dev/stdout", "/proc/self/fd/1"},
	{"/dev/stderr", "/proc/self/fd/2"},
};

static bool is_mount_point(const struct file_system *file_system)
{
	struct stat above, here;

	return stat(file_system->parent, &above) == 0 && stat(file_system->path, &here) == 0 &&
	       above.st_dev != here.st_dev;
}

// EBUSY: mounted since the look, or a mount that the look cannot tell from its parent.
static int mount_if_missing(const struct file_system *file_system)
{
	if (is_mount_point(file_system))
		return 0;
	if (mkdir(file_system->path, 0755) != 0 && errno != EEXIST)
		return -errno;
	if (mount(file_system->type, file_system->path, file_system->type, file_system->flags,
		    file_system->options) == 0 ||
		errno == EBUSY)
		return 0;
	return -errno;
}

int enclave_mount_devices(void)
{
	return mount_if_missing(&file_systems[0]);
}

static void make_links(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(links); i++) {
		if (symlink(links[i].target, links[i].path) != 0 && errno != EEXIST)
			message_print("%s: %m", links[i].path);
	}
}

void enclave_mount_all(void)
{
	if (geteuid() != 0)
		return; // in a container, whose runtime has mounted what it wanted
	for (size_t i = 0; i < ARRAY_SIZE(file_systems); i++) {
		const struct file_system *file_system = &file_systems[i];
		int error;

		if (file_system->is_scratch && access(file_system->path, W_OK) == 0 &&
			!enclave_is_machine())
			continue;
		error = mount_if_missing(file_system);
		if (error)
			message_print("cannot mount %s on %s: %s", file_system->type,
				file_system->path, strerror(-error));
	}
	make_links();
}
