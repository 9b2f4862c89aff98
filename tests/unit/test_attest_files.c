// SPDX-License-Identifier: MIT
#include "attest/files.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "tests/unit/support/bytes.h"

static char directory[64];

static void make_directory(void)
{
	strcpy(directory, "/tmp/airlock-files-XXXXXX");
	cr_assert_not_null(mkdtemp(directory));
}

static void remove_directory(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", directory);
	cr_assert_eq(system(command), 0);
}

TestSuite(files, .init = make_directory, .fini = remove_directory);

static const char *path_of(const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	return path;
}

static void put(const char *name, const void *data, size_t length)
{
	int fd = open(path_of(name), O_WRONLY | O_CREAT | O_TRUNC, 0644);

	cr_assert_eq(write(fd, data, length), (ssize_t)length);
	close(fd);
}

static size_t entries(void)
{
	char command[128], count[16];
	FILE *out;

	snprintf(command, sizeof(command), "ls -A %s | wc -l", directory);
	out = popen(command, "r");
	cr_assert_not_null(fgets(count, sizeof(count), out));
	pclose(out);
	return strtoul(count, NULL, 10);
}

static void assert_content(const char *name, const void *data, size_t length)
{
	struct attest_error error;
	uint8_t *got;
	size_t got_length;

	cr_assert(
		file_read(path_of(name), 1 << 20, &got, &got_length, &error), "%s", error.message);
	cr_assert_eq(got_length, length);
	cr_assert_eq(memcmp(got, data, length), 0);
	free(got);
}

// --- reading

Test(files, a_file_of_exactly_the_maximum_is_read_with_a_nul_behind_it)
{
	size_t sizes[] = {0, 1, 16381, 16382, 16383, 16384, 16385, 100000};
	uint8_t *data, *expected = malloc(100000);
	size_t length;

	for (size_t i = 0; i < 100000; i++)
		expected[i] = (uint8_t)(i * 31 + 1);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		put("f", expected, sizes[i]);
		cr_assert(file_read(path_of("f"), sizes[i], &data, &length, NULL));
		cr_assert_eq(length, sizes[i]);
		cr_assert_eq(memcmp(data, expected, length), 0);
		cr_assert_eq(data[length], 0);
		free(data);
	}
	free(expected);
}

Test(files, a_file_of_one_byte_more_is_malformed_and_named)
{
	struct attest_error error;
	uint8_t *data = (uint8_t *)1;
	size_t length;

	put("f", "12345", 5);
	cr_assert_not(file_read(path_of("f"), 4, &data, &length, &error));
	cr_assert_null(data);
	cr_assert_eq(error.fault, ATTEST_FAULT_MALFORMED);
	cr_assert_str_eq(error.field, path_of("f"));
	cr_assert_eq(error.offset, 4);
	cr_assert_str_eq(error.message, "more than 4 bytes");
}

Test(files, what_cannot_be_read_is_a_fault_of_the_device)
{
	struct attest_error error;
	uint8_t *data = (uint8_t *)1;
	size_t length;

	cr_assert_not(file_read(path_of("absent"), 4, &data, &length, &error));
	cr_assert_null(data);
	cr_assert_eq(error.fault, ATTEST_FAULT_DEVICE);
	cr_assert_str_eq(error.message, "cannot be opened: No such file or directory");
	data = (uint8_t *)1;
	cr_assert_not(file_read(directory, 4, &data, &length, &error));
	cr_assert_null(data);
	cr_assert_str_eq(error.message, "cannot be read: Is a directory");
}

Test(files, an_endless_input_is_given_up_at_the_maximum)
{
	struct attest_error error;
	uint8_t *data;
	size_t length;

	cr_assert_not(file_read("/dev/zero", 100000, &data, &length, &error));
	cr_assert_eq(error.fault, ATTEST_FAULT_MALFORMED);
}

// --- writing

Test(files, writing_replaces_the_whole_file_and_leaves_nothing_beside_it)
{
	put("f", "something longer", 16);
	cr_assert(file_write(path_of("f"), "new", 3, 0600, NULL));
	assert_content("f", "new", 3);
	cr_assert(file_write(path_of("g"), "", 0, 0600, NULL));
	assert_content("g", "", 0);
	cr_assert_eq(entries(), 2);
}

Test(files, a_reader_of_the_old_file_keeps_it_whole)
{
	char old[8] = {0};
	int fd;

	put("f", "old", 3);
	fd = open(path_of("f"), O_RDONLY);
	cr_assert(file_write(path_of("f"), "new", 3, 0600, NULL));
	cr_assert_eq(read(fd, old, sizeof(old)), 3);
	cr_assert_str_eq(old, "old");
	close(fd);
}

Test(files, the_mode_is_as_with_open)
{
	struct stat status;

	umask(027);
	cr_assert(file_write(path_of("f"), "x", 1, 0666, NULL));
	cr_assert_eq(stat(path_of("f"), &status), 0);
	cr_assert_eq(status.st_mode & 0777, 0640);
	cr_assert(file_write(path_of("f"), "x", 1, 0600, NULL));
	cr_assert_eq(stat(path_of("f"), &status), 0);
	cr_assert_eq(status.st_mode & 0777, 0600);
}

Test(files, parts_are_written_one_after_the_other)
{
	const struct bytes parts[] = {BYTES("ab"), BYTES(""), BYTES("cde")};

	cr_assert(file_write_parts(path_of("f"), parts, 3, 0600, NULL));
	assert_content("f", "abcde", 5);
}

Test(files, a_symbolic_link_stays_and_what_it_leads_to_is_replaced)
{
	struct stat status;

	put("f", "old", 3);
	cr_assert_eq(symlink("f", path_of("link")), 0);
	cr_assert(file_write(path_of("link"), "new", 3, 0600, NULL));
	cr_assert_eq(lstat(path_of("link"), &status), 0);
	cr_assert(S_ISLNK(status.st_mode));
	assert_content("f", "new", 3);
}

Test(files, a_pipe_is_written_to_as_it_is)
{
	char got[8] = {0};
	struct stat status;
	int fd;

	cr_assert_eq(mkfifo(path_of("pipe"), 0600), 0);
	fd = open(path_of("pipe"), O_RDONLY | O_NONBLOCK);
	cr_assert(file_write(path_of("pipe"), "abc", 3, 0600, NULL));
	cr_assert_eq(read(fd, got, sizeof(got)), 3);
	cr_assert_str_eq(got, "abc");
	cr_assert_eq(stat(path_of("pipe"), &status), 0);
	cr_assert(S_ISFIFO(status.st_mode));
	close(fd);
}

Test(files, a_failed_write_names_the_file_and_leaves_the_old_one)
{
	struct attest_error error;

	cr_assert_not(file_write(path_of("no/such"), "x", 1, 0600, &error));
	cr_assert_eq(error.fault, ATTEST_FAULT_DEVICE);
	cr_assert_str_eq(error.field, path_of("no/such"));
	cr_assert_str_eq(error.message, "cannot be written: No such file or directory");
	cr_assert_not(file_write("/dev/full", "x", 1, 0600, &error));
	cr_assert_str_eq(error.message, "cannot be written: No space left on device");
	cr_assert_eq(entries(), 0);
}

Test(files, a_write_that_is_cut_short_leaves_the_old_file_and_nothing_beside_it)
{
	struct rlimit limit = {.rlim_cur = 2, .rlim_max = 2};
	struct attest_error error;

	put("f", "old", 3);
	signal(SIGXFSZ, SIG_IGN);
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	cr_assert_not(file_write(path_of("f"), "new", 3, 0600, &error));
	cr_assert_str_eq(error.message, "cannot be written: File too large");
	assert_content("f", "old", 3);
	cr_assert_eq(entries(), 1);
}

// --- hexadecimal

Test(files, hex_of_either_case_is_decoded)
{
	char text[16];
	uint8_t *out;
	size_t length;

	cr_assert(hex_decode("00fFAa19", 8, &out, &length));
	cr_assert_eq(length, 4);
	cr_assert_str_eq(hex_encode(out, length, text), "00ffaa19");
	free(out);
}

Test(files, an_empty_hex_text_is_present_and_empty)
{
	char text[1];
	uint8_t *out = NULL;
	size_t length = 7;

	cr_assert(hex_decode("", 0, &out, &length));
	cr_assert_not_null(out);
	cr_assert_eq(length, 0);
	free(out);
	cr_assert_str_eq(hex_encode("", 0, text), "");
}

Test(files, what_is_not_hex_is_refused)
{
	static const char *const wrong[] = {"0", "000", "0g", "g0", "00 ", " 00", "0 0", "00\n",
		"0x00", "+0", "-1", "00:11", "0\xff", "00  "};
	uint8_t *out;
	size_t length;

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		out = (uint8_t *)1;
		cr_assert_not(
			hex_decode(wrong[i], strlen(wrong[i]), &out, &length), "%s", wrong[i]);
		cr_assert_null(out);
	}
	cr_assert_not(hex_decode("00\0", 4, &out, &length), "a NUL inside");
}

// --- times

Test(files, times_of_rfc_3339_are_read)
{
	static const struct {
		const char *text;
		time_t when;
	} cases[] = {
		{"1970-01-01T00:00:00Z", 0},
		{"2026-02-06T08:24:18Z", 1770366258},
		{"2026-02-06t08:24:18z", 1770366258},
		{"2026-02-06T08:24:18.999Z", 1770366258},
		{"2026-02-06T10:24:18+02:00", 1770366258},
		{"2026-02-06T02:54:18.5-05:30", 1770366258},
		{"2024-02-29T23:59:59Z", 1709251199},
		{"2000-02-29T00:00:00Z", 951782400},
		{"1969-12-31T23:59:59Z", -1},
		{"9999-12-31T23:59:59Z", 253402300799},
	};
	char text[32];
	time_t when;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cr_assert(time_parse(cases[i].text, &when), "%s", cases[i].text);
		cr_assert_eq(when, cases[i].when, "%s: %ld", cases[i].text, (long)when);
		cr_assert(time_parse(time_format(when, text), &when), "%s", text);
		cr_assert_eq(when, cases[i].when);
	}
}

Test(files, times_that_are_not_are_refused)
{
	static const char *const wrong[] = {"", "now", "2026", "2026-02-06", "2026-02-06T08:24:18",
		"2026-02-06 08:24:18Z", "2026-02-30T00:00:00Z", "2025-02-29T00:00:00Z",
		"2100-02-29T00:00:00Z", "2026-00-01T00:00:00Z", "2026-13-01T00:00:00Z",
		"2026-01-00T00:00:00Z", "2026-01-32T00:00:00Z", "2026-01-01T24:00:00Z",
		"2026-01-01T00:60:00Z", "2026-01-01T00:00:60Z", "26-01-01T00:00:00Z",
		"02026-01-01T00:00:00Z", "-01-01T00:00:00Z", "2026--1-01T00:00:00Z",
		"2026-1-1T0:0:0Z", "2026-01-01T00:00:00.Z", "2026-01-01T00:00:00+0000",
		"2026-01-01T00:00:00+24:00", "2026-01-01T00:00:00+00:60", "2026-01-01T00:00:00+00",
		"2026-01-01T00:00:00Z ", " 2026-01-01T00:00:00Z", "2026-01-01T00:00:00ZZ",
		"+026-01-01T00:00:00Z", "2026-01-01T 0:00:00Z"};
	time_t when = 42;

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		cr_assert_not(time_parse(wrong[i], &when), "%s", wrong[i]);
	cr_assert_eq(when, 42);
}

Test(files, times_that_have_no_date_are_still_a_text)
{
	char text[32];

	cr_assert_str_eq(time_format(1770366258, text), "2026-02-06T08:24:18Z");
	cr_assert_str_eq(time_format(INT64_MAX, text), "@9223372036854775807");
}
