// SPDX-License-Identifier: MIT
// What hostile bytes may cost: 16 KiB of them 50 ms of CPU and 1 MiB of memory.
#include "attest/verify.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SIZE 16384

static uint8_t input[DOCUMENT_MAX];

// Kilobytes. proc(5): writing 5 to clear_refs lowers the peak to what is in use now.
static long peak_memory(bool is_begin)
{
	char line[128];
	long kilobytes = 0;

	if (is_begin) {
		int fd = open("/proc/self/clear_refs", O_WRONLY);
		cr_assert(fd >= 0 && write(fd, "5", 1) == 1);
		close(fd);
	}
	FILE *status = fopen("/proc/self/status", "r");
	while (fgets(line, sizeof(line), status))
		sscanf(line, "VmHWM: %ld", &kilobytes);
	fclose(status);
	return kilobytes;
}

static double cpu_milliseconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static void check(size_t length, const char *name)
{
	struct verify_options options = {.clock = VERIFY_NOW, .any_image = true};
	struct attest_error error = {0};
	struct attest_result *result;
	long memory = peak_memory(true);
	double begin = cpu_milliseconds();

	cr_expect_not(attest_verify(input, length, &options, &result, &error), "%s", name);
	cr_expect_lt(cpu_milliseconds() - begin, 50, "%s", name);
#ifndef __SANITIZE_ADDRESS__
	memory = peak_memory(false) - memory;
	cr_expect_leq(memory, 1024, "%s: %ld KiB", name, memory);
#else
	(void)memory;
#endif
}

// An envelope whose payload is the rest of the 16 KiB, and may be followed by a signature.
static size_t envelope(void)
{
	static const uint8_t head[] = {0x84, 0x44, 0xa1, 0x01, 0x38, 0x22, 0xa0, 0x59, 0x40, 0x00};

	memcpy(input, head, sizeof(head));
	return sizeof(head);
}

static size_t end_envelope(void)
{
	size_t end = 10 + SIZE;

	input[end] = 0x58;
	input[end + 1] = DOCUMENT_SIGNATURE_SIZE;
	return end + 2 + DOCUMENT_SIGNATURE_SIZE;
}

Test(attest_limits, every_byte_repeated)
{
	for (unsigned byte = 0; byte < 256; byte++) {
		char name[32];
		memset(input, (int)byte, sizeof(input));
		snprintf(name, sizeof(name), "bytes of %02x", byte);
		check(SIZE, name);
		envelope();
		check(end_envelope(), name);
	}
}

Test(attest_limits, random_bytes)
{
	srandom(1);
	for (unsigned round = 0; round < 200; round++) {
		for (size_t i = 0; i < sizeof(input); i++)
			input[i] = (uint8_t)random();
		check(SIZE, "random bytes");
		envelope();
		check(end_envelope(), "random payload");
	}
}

Test(attest_limits, lengths_that_are_claimed)
{
	static const uint8_t heads[] = {0x5b, 0x7b, 0x9b, 0xbb, 0x5a, 0x9a, 0xba, 0xdb};

	for (size_t i = 0; i < sizeof(heads); i++) {
		memset(input, 0, sizeof(input));
		input[0] = heads[i];
		memset(input + 1, 0x7f, 8);
		check(SIZE, "a long item");
		size_t at = envelope();
		input[at] = heads[i];
		memset(input + at + 1, 0x7f, 8);
		check(end_envelope(), "a long item in the payload");
	}
}

Test(attest_limits, nesting)
{
	static const uint8_t heads[] = {0x81, 0x9f, 0xa1, 0xbf, 0xc1, 0xd2};

	for (size_t i = 0; i < sizeof(heads); i++) {
		memset(input, heads[i], sizeof(input));
		check(SIZE, "nested");
		envelope();
		check(end_envelope(), "nested in the payload");
	}
}
