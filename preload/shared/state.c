// SPDX-License-Identifier: MIT
// Theory of operation: a file becomes visible under its name only when it is whole. It is made
// under a name of its own, sized, given its header, and then linked to the real name; of several
// processes that race, one link succeeds and the others open what won. A file that is not exactly
// what this code would have made (owner, mode, size, header) is left alone and not used.
#include "preload/shared/state.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "wire/random.h"

#define STATE_DIRECTORY "/dev/shm"
#define STATE_MAGIC     0x41495253544c4f43u
#define STATE_LAYOUT                                                                               \
	2u // changes with the meaning of any field; a change of size is seen without it
#define STATE_MODE   0600
#define MAX_ATTEMPTS 4

// Growing a file past RLIMIT_FSIZE raises SIGXFSZ, whose default kills (setrlimit(2)); a page that
// a full tmpfs cannot give raises SIGBUS. Neither may happen to a program because of us.
static bool has_room(int fd)
{
	struct rlimit limit;
	struct statfs room;

	if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur < sizeof(struct state))
		return false;
	return fstatfs(fd, &room) == 0 &&
	       (room.f_blocks == 0 || // a tmpfs without a limit
		       (uint64_t)room.f_bavail * (uint64_t)room.f_bsize >= sizeof(struct state));
}

// The first fields of struct state, in the form that is written to a new file.
struct state_header {
	uint64_t magic;
	uint32_t layout;
	uint32_t verdict;
};
_Static_assert(offsetof(struct state, magic) == offsetof(struct state_header, magic), "magic");
_Static_assert(offsetof(struct state, layout) == offsetof(struct state_header, layout), "layout");

static const struct state_header header = {.magic = STATE_MAGIC, .layout = STATE_LAYOUT};

// Makes a new file at path, which must not exist yet. Returns 0 or -errno.
static int make_file(const char *path)
{
	int error = 0;
	int fd;

	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, STATE_MODE);
	if (fd < 0)
		return -errno;
	if (!has_room(fd))
		error = -ENOSPC;
	else if (fchmod(fd, STATE_MODE) != 0 || ftruncate(fd, sizeof(struct state)) != 0)
		error = -errno; // fchmod: an unusual umask may have taken bits away
	else if (pwrite(fd, &header, sizeof(header), 0) != sizeof(header))
		error = -EIO;
	close(fd);
	if (error)
		unlink(path);
	return error;
}

// Returns 0, -EEXIST when another process was faster, or another -errno.
static int make_and_link(const char *path)
{
	char temporary[PATH_MAX];
	int length, error;

	length = snprintf(temporary, sizeof(temporary), "%s.%016llx", path,
		(unsigned long long)random_number());
	if (length < 0 || (size_t)length >= sizeof(temporary))
		return -ENAMETOOLONG;
	error = make_file(temporary);
	if (error)
		return error;
	if (link(temporary, path) != 0)
		error = -errno;
	unlink(temporary);
	return error;
}

static bool is_ours(int fd)
{
	struct stat status;

	return fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_uid == geteuid() &&
	       (status.st_mode & 07777) == STATE_MODE && status.st_size == sizeof(struct state);
}

static struct state *map_file(int fd)
{
	struct state *state = mmap(NULL, sizeof(*state), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (state == MAP_FAILED)
		return NULL;
	if (state->magic == STATE_MAGIC && state->layout == STATE_LAYOUT)
		return state;
	munmap(state, sizeof(*state));
	return NULL;
}

static struct state *open_or_make(const char *path)
{
	for (int attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
		int fd = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY);
		int error;

		if (fd >= 0) {
			struct state *state = is_ours(fd) ? map_file(fd) : NULL;

			close(fd);
			return state;
		}
		if (errno != ENOENT)
			return NULL;
		error = make_and_link(path);
		if (error && error != -EEXIST)
			return NULL;
	}
	return NULL;
}

// Shared at least with the children that are forked from here.
static struct state *map_anonymous(void)
{
	struct state *state = mmap(NULL, sizeof(*state), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (state == MAP_FAILED)
		return NULL;
	state->magic = STATE_MAGIC;
	state->layout = STATE_LAYOUT;
	return state;
}

struct state *state_open(const char *path, uint64_t digest, bool *is_shared)
{
	char default_path[64];
	struct state *state;

	*is_shared = true;
	state = path ? open_or_make(path) : NULL;
	if (state)
		return state;
	// Also for a program that has changed its user since `airlock run` made the named file.
	snprintf(default_path, sizeof(default_path), STATE_DIRECTORY "/airlock-%u-%016llx",
		(unsigned)geteuid(), (unsigned long long)digest);
	state = open_or_make(default_path);
	if (state)
		return state;
	*is_shared = false;
	return map_anonymous();
}

// An initramfs may have no /dev/shm; any directory will do for a file whose path is handed on.
int state_create(char path[static PATH_MAX])
{
	static const char *const directories[] = {STATE_DIRECTORY, "/tmp"};
	int error = -ENOENT;

	for (size_t i = 0; i < ARRAY_SIZE(directories); i++) {
		snprintf(path, PATH_MAX, "%s/airlock-run-%u-%016llx", directories[i],
			(unsigned)geteuid(), (unsigned long long)random_number());
		error = make_file(path);
		if (!error)
			break;
	}
	return error;
}
