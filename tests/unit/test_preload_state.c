// SPDX-License-Identifier: MIT
#include "preload/shared/state.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <criterion/criterion.h>

static char directory[] = "/dev/shm/airlock-test-XXXXXX";
static char path[64];
static uint64_t digest;

static void default_path(char text[static 64], uint64_t number)
{
	snprintf(text, 64, "/dev/shm/airlock-%u-%016llx", geteuid(), (unsigned long long)number);
}

static void make_directory(void)
{
	cr_assert_not_null(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/state", directory);
	digest = 0xa1c0000000000000u | (uint64_t)getpid();
}

static void remove_directory(void)
{
	char text[64];

	unlink(path);
	rmdir(directory);
	default_path(text, digest);
	unlink(text);
}

TestSuite(state, .init = make_directory, .fini = remove_directory);

static size_t count_files(void)
{
	char pattern[80];
	glob_t found;
	size_t count;

	snprintf(pattern, sizeof(pattern), "%s/*", directory);
	count = glob(pattern, 0, NULL, &found) == 0 ? found.gl_pathc : 0;
	globfree(&found);
	return count;
}

static struct state *open_shared(const char *name)
{
	bool is_shared;
	struct state *state = state_open(name, digest, &is_shared);

	cr_assert_not_null(state);
	cr_assert(is_shared);
	return state;
}

Test(state, two_openers_of_one_path_share)
{
	struct state *one = open_shared(path);
	struct state *two = open_shared(path);

	cr_assert_neq(one, two);
	atomic_store(&one->verdict, GATE_DOES_NOT_WORK);
	cr_assert_eq(atomic_load(&two->verdict), GATE_DOES_NOT_WORK);
	cr_assert_eq(count_files(), 1, "nothing but the file itself may be left");
}

Test(state, the_file_is_private_and_sparse)
{
	struct stat status;
	struct state *state = open_shared(path);

	cr_assert_eq(stat(path, &status), 0);
	cr_assert_eq(status.st_mode & 07777, 0600);
	cr_assert_eq(status.st_size, sizeof(*state));
	cr_assert_lt(status.st_blocks * 512, 65536);
}

Test(state, no_descriptor_stays_open)
{
	int before = open("/dev/null", O_RDONLY);
	int after;

	close(before);
	open_shared(path);
	after = open("/dev/null", O_RDONLY);
	cr_assert_eq(after, before);
}

Test(state, without_a_path_equal_digests_share_and_others_do_not)
{
	struct state *one = open_shared(NULL);
	struct state *two = open_shared(NULL);
	char text[64];

	atomic_store(&one->verdict, GATE_WORKS);
	cr_assert_eq(atomic_load(&two->verdict), GATE_WORKS);
	default_path(text, digest);
	cr_assert_eq(unlink(text), 0, "the documented path: %s", text);
}

static void write_foreign(const char *name, mode_t mode, off_t size)
{
	int fd = open(name, O_RDWR | O_CREAT | O_EXCL, mode);

	cr_assert_geq(fd, 0);
	cr_assert_eq(fchmod(fd, mode), 0);
	cr_assert_eq(ftruncate(fd, size), 0);
	close(fd);
}

// The default path is spoilt as well, so that nothing can be shared.
static void assert_not_shared(const char *name)
{
	char text[64];
	bool is_shared = true;
	struct state *state;

	default_path(text, digest);
	write_foreign(text, 0600, 1);
	state = state_open(name, digest, &is_shared);
	cr_assert_not_null(state, "a mapping there is in any case");
	cr_assert_not(is_shared);
	atomic_store(&state->verdict, GATE_WORKS);
}

Test(state, a_file_without_our_header_is_not_used)
{
	write_foreign(path, 0600, sizeof(struct state));
	assert_not_shared(path);
}

Test(state, a_file_that_others_may_write_is_not_used)
{
	munmap(open_shared(path), sizeof(struct state));
	cr_assert_eq(chmod(path, 0666), 0);
	assert_not_shared(path);
}

Test(state, a_file_of_another_size_is_not_used)
{
	munmap(open_shared(path), sizeof(struct state));
	cr_assert_eq(truncate(path, 4096), 0);
	assert_not_shared(path);
}

Test(state, a_file_of_another_layout_is_not_used)
{
	struct state *state = open_shared(path);

	state->layout++;
	assert_not_shared(path);
}

Test(state, a_file_of_another_user_is_not_used)
{
	if (geteuid() != 0)
		cr_skip_test("only root can give a file away");
	munmap(open_shared(path), sizeof(struct state));
	cr_assert_eq(chown(path, 65534, 65534), 0);
	assert_not_shared(path);
}

Test(state, a_symbolic_link_is_not_followed)
{
	char target[80];

	snprintf(target, sizeof(target), "%s/target", directory);
	munmap(open_shared(target), sizeof(struct state));
	cr_assert_eq(symlink(target, path), 0);
	assert_not_shared(path);
	unlink(target);
}

Test(state, a_foreign_named_file_leads_to_the_default_one)
{
	struct state *by_default = open_shared(NULL);
	struct state *by_name;

	write_foreign(path, 0644, 10);
	by_name = open_shared(path);
	atomic_store(&by_default->verdict, GATE_DOES_NOT_WORK);
	cr_assert_eq(atomic_load(&by_name->verdict), GATE_DOES_NOT_WORK);
}

Test(state, an_unshared_state_is_still_shared_with_children)
{
	bool is_shared;
	struct state *state;
	char text[64];
	pid_t child;

	default_path(text, digest);
	write_foreign(text, 0600, 1);
	state = state_open("/nonexistent/state", digest, &is_shared);
	cr_assert_not_null(state);
	cr_assert_not(is_shared);
	child = fork();
	if (child == 0) {
		atomic_store(&state->verdict, GATE_WORKS);
		_exit(0);
	}
	waitpid(child, NULL, 0);
	cr_assert_eq(atomic_load(&state->verdict), GATE_WORKS);
}

Test(state, a_limit_on_file_sizes_does_not_kill)
{
	struct rlimit small = {.rlim_cur = 4096, .rlim_max = 4096};
	bool is_shared = true;

	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
	cr_assert_not_null(state_open(path, digest, &is_shared));
	cr_assert_not(is_shared);
	cr_assert_eq(count_files(), 0);
}

#define RACERS 16

// Every racer adds one to the same counter: only when all map the same file does it reach their
// number.
static void race(int start)
{
	char byte;
	bool is_shared;
	struct state *state;

	(void)!read(start, &byte, 1); // the end of the pipe is the start
	state = state_open(path, digest, &is_shared);
	if (!state || !is_shared)
		_exit(1);
	atomic_fetch_add(&state->sockets.next_sequence, 1);
	_exit(0);
}

Test(state, processes_that_create_at_once_end_up_with_one_file)
{
	for (int round = 0; round < 20; round++) {
		int start[2], status;
		struct state *state;

		cr_assert_eq(pipe(start), 0);
		for (int i = 0; i < RACERS; i++) {
			if (fork() == 0) {
				close(start[1]);
				race(start[0]);
			}
		}
		close(start[0]);
		close(start[1]);
		while (wait(&status) > 0)
			cr_assert_eq(status, 0);
		state = open_shared(path);
		cr_assert_eq(atomic_load(&state->sockets.next_sequence), RACERS);
		cr_assert_eq(count_files(), 1);
		munmap(state, sizeof(*state));
		unlink(path);
	}
}

Test(state, a_created_file_is_new_each_time_and_can_be_opened)
{
	char one[PATH_MAX], two[PATH_MAX];
	struct state *state;

	cr_assert_eq(state_create(one), 0);
	cr_assert_eq(state_create(two), 0);
	cr_assert_str_neq(one, two);
	state = open_shared(one);
	cr_assert_eq(atomic_load(&state->verdict), GATE_NOT_MEASURED);
	unlink(one);
	unlink(two);
}
