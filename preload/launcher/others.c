// SPDX-License-Identifier: MIT
#include "preload/launcher/others.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define KERNEL_THREAD 0x00200000 // PF_KTHREAD of the kernel's include/linux/sched.h

static DIR *open_own_proc(void)
{
	char self[16] = "", pid[16];

	snprintf(pid, sizeof(pid), "%d", getpid());
	if (readlink("/proc/self", self, sizeof(self) - 1) < 0 || strcmp(self, pid) != 0)
		return NULL;
	return opendir("/proc");
}

static bool read_stat(int proc, const char *name, char *text, size_t size)
{
	char path[64];
	ssize_t length;
	int fd;

	snprintf(path, sizeof(path), "%.32s/stat", name);
	fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	length = read(fd, text, size - 1);
	close(fd);
	text[length > 0 ? length : 0] = '\0';
	return length > 0;
}

// By the fields 3, 9 and 20 (proc(5)); the second may hold blanks and brackets. A process whose
// first thread has ended is shown as a zombie while it has others.
static bool is_living_program(int proc, const char *name)
{
	char text[512], state;
	unsigned flags;
	const char *rest;
	long threads;

	if (!read_stat(proc, name, text, sizeof(text)))
		return false;
	rest = strrchr(text, ')');
	return rest &&
	       sscanf(rest,
		       ") %c %*d %*d %*d %*d %*d %u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %ld",
		       &state, &flags, &threads) == 3 &&
	       (state != 'Z' || threads > 1) && state != 'X' && !(flags & KERNEL_THREAD);
}

int others_signal(pid_t spared, int number)
{
	DIR *proc = open_own_proc();
	const struct dirent *entry;
	int count = 0;

	if (!proc)
		return -1;
	while ((entry = readdir(proc)) != NULL) {
		pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10); // 0: no process

		if (pid <= 0 || pid == getpid() || pid == spared ||
			!is_living_program(dirfd(proc), entry->d_name))
			continue;
		kill(pid, number);
		count++;
	}
	closedir(proc);
	return count;
}
