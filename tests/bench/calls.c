// SPDX-License-Identifier: MIT
// What one call costs: nanoseconds of read() and recv() on descriptors that are not routed. Run
// with and without the library; `spawn` measures what a process costs instead.
//
// calls io COUNT
//     two numbers: ns for a read of /dev/zero, ns for a recv that finds nothing
//
// calls spawn COUNT PROGRAM SET...
//     COUNT rounds of spawn, exec, exit and wait, one of each SET a round; for each SET its 5th
//     percentile and its median in microseconds. A SET is a program's whole environment:
//     NAME=VALUE,NAME=VALUE
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double seconds_now(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void calls(long count)
{
	char byte = 0;
	int pair[2], zero = open("/dev/zero", O_RDONLY);
	socketpair(AF_UNIX, SOCK_DGRAM, 0, pair);

	double began = seconds_now();
	for (long i = 0; i < count; i++)
		if (read(zero, &byte, 1) != 1)
			exit(1);
	double after_reads = seconds_now();
	for (long i = 0; i < count; i++)
		if (recv(pair[0], &byte, 1, MSG_DONTWAIT) >= 0)
			exit(1);
	double after_receives = seconds_now();
	printf("%.1f %.1f\n", (after_reads - began) / (double)count * 1e9,
		(after_receives - after_reads) / (double)count * 1e9);
}

#define MAX_SETS      16
#define MAX_VARIABLES 16

struct set {
	char *variables[MAX_VARIABLES + 1];
	double *microseconds;
};

static int compare_numbers(const void *one, const void *other)
{
	const double *a = one, *b = other;

	return (*a > *b) - (*a < *b);
}

static double spawn_once(char *program, char **environment)
{
	char *arguments[] = {program, NULL};
	pid_t child;
	int status;
	double began = seconds_now();

	if (posix_spawn(&child, program, NULL, NULL, arguments, environment) != 0 ||
		waitpid(child, &status, 0) != child || status != 0)
		exit(1);
	return (seconds_now() - began) * 1e6;
}

static void spawns(long count, char *program, int set_count, char **texts)
{
	static struct set sets[MAX_SETS];

	for (int i = 0; i < set_count; i++) {
		int number = 0;
		for (char *word = strtok(texts[i], ","); word && number < MAX_VARIABLES;
			word = strtok(NULL, ","))
			sets[i].variables[number++] = word;
		sets[i].microseconds = calloc((size_t)count, sizeof(double));
	}
	for (long turn = 0; turn < count; turn++)
		for (int i = 0; i < set_count; i++)
			sets[i].microseconds[turn] = spawn_once(program, sets[i].variables);
	for (int i = 0; i < set_count; i++) {
		qsort(sets[i].microseconds, (size_t)count, sizeof(double), compare_numbers);
		printf("%.2f %.2f\n", sets[i].microseconds[count / 20],
			sets[i].microseconds[count / 2]);
	}
}

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "io") == 0)
		calls(atol(argv[2]));
	else if (argc > 4 && argc <= 4 + MAX_SETS && strcmp(argv[1], "spawn") == 0)
		spawns(atol(argv[2]), argv[3], argc - 4, argv + 4);
	else
		return 2;
	return 0;
}
