// SPDX-License-Identifier: MIT
// What one call costs: nanoseconds of read() and recv() on descriptors that are not routed. Run
// with and without the library; `spawn` measures what a process costs instead.
//
//   calls io COUNT            prints two numbers: ns for a read of /dev/zero, ns for a recv that
//   finds nothing calls spawn COUNT PROGRAM [NAME=VALUE...]   prints the mean in microseconds of
//   spawn, exec, exit and wait,
//                             with just these variables in the program's environment
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

static void spawns(long count, char *program, char **environment)
{
	char *arguments[] = {program, NULL};
	double began = seconds_now();
	for (long i = 0; i < count; i++) {
		pid_t child;
		int status;
		if (posix_spawn(&child, program, NULL, NULL, arguments, environment) != 0 ||
			waitpid(child, &status, 0) != child || status != 0)
			exit(1);
	}
	printf("%.2f\n", (seconds_now() - began) / (double)count * 1e6);
}

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "io") == 0)
		calls(atol(argv[2]));
	else if (argc >= 4 && strcmp(argv[1], "spawn") == 0)
		spawns(atol(argv[2]), argv[3], argv + 4);
	else
		return 2;
	return 0;
}
