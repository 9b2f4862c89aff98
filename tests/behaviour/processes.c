// SPDX-License-Identifier: MIT
// A connected socket and the processes and threads around it. HOST PORT echoes.
#include "tests/behaviour/probe.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/wait.h>

extern char **environ;

static void say_peer(int fd)
{
	struct sockaddr_storage name;
	socklen_t length = sizeof(name);
	if (said("getpeername", getpeername(fd, (struct sockaddr *)&name, &length)) == 0)
		say_sockaddr("  is", (struct sockaddr *)&name, true);
}

static void echo(const char *what, int fd)
{
	char text[8] = "";
	ssize_t sent = send(fd, "ping\n", 5, MSG_NOSIGNAL);
	ssize_t got = sent == 5 ? recv(fd, text, 5, MSG_WAITALL) : -1;
	say("%s: sent %zd got %zd %.4s", what, sent, got, text);
}

static void reap(pid_t child)
{
	int status;
	must("waitpid", waitpid(child, &status, 0));
	say("child ended with %d", status);
}

static void parent_connects(void)
{
	int fd = probe_connected();
	pid_t child = fork();
	if (child == 0) {
		say_peer(fd);
		echo("child", fd);
		_exit(0);
	}
	reap(child);
	echo("parent", fd);
}

// The child connects and lives on while the parent uses the same socket.
static void child_connects(void)
{
	int fd = probe_socket(0), told[2], ended[2];
	must("pipe", pipe(told));
	must("pipe", pipe(ended));
	pid_t child = fork();
	if (child == 0) {
		char byte;
		close(ended[1]);
		said("connect in the child", probe_connect(fd));
		must("write", (int)write(told[1], "x", 1));
		must("read", (int)read(ended[0], &byte, 1));
		_exit(0);
	}
	char byte;
	must("read", (int)read(told[0], &byte, 1));
	say_peer(fd);
	echo("parent", fd);
	close(ended[1]);
	reap(child);
}

static void use_inherited(void)
{
	int fd = atoi(probe_arguments[0]);
	say_peer(fd);
	echo("exec'ed", fd);
}

static char **arguments_for(int fd, char number[static 16])
{
	static char *list[6];
	snprintf(number, 16, "%d", fd);
	list[0] = (char *)(uintptr_t) "processes";
	list[1] = (char *)(uintptr_t) "use-inherited";
	list[2] = (char *)(uintptr_t)probe_host;
	list[3] = (char *)(uintptr_t)probe_port;
	list[4] = number;
	return list;
}

static int inheritable(void)
{
	int fd = probe_connected();
	fcntl(fd, F_SETFD, 0);
	return fd;
}

static void exec_itself(void)
{
	char number[16];
	int fd = inheritable();
	execv("/proc/self/exe", arguments_for(fd, number));
	give_up("execv");
}

static void vfork_exec(void)
{
	char number[16];
	int fd = inheritable();
	char **list = arguments_for(fd, number);
	pid_t child = vfork();
	if (child == 0) {
		execv("/proc/self/exe", list);
		_exit(97);
	}
	reap(child);
	echo("parent", fd);
}

static void spawn(void)
{
	char number[16];
	int fd = probe_connected();
	posix_spawn_file_actions_t actions;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, fd, 40);
	pid_t child;
	char **list = arguments_for(40, number);
	must("posix_spawn", -posix_spawn(&child, "/proc/self/exe", &actions, NULL, list, environ));
	posix_spawn_file_actions_destroy(&actions);
	reap(child);
	echo("parent", fd);
}

// Standard input is the socket, as inetd and shells do it.
static void spawn_on_standard_input(void)
{
	char number[16];
	int fd = probe_connected();
	posix_spawn_file_actions_t actions;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, fd, 0);
	pid_t child;
	char **list = arguments_for(0, number);
	must("posix_spawn", -posix_spawn(&child, "/proc/self/exe", &actions, NULL, list, environ));
	posix_spawn_file_actions_destroy(&actions);
	reap(child);
}

static int connect_in_clone(void *context)
{
	int fd = *(int *)context;
	return probe_connect(fd) == 0 ? 0 : 1;
}

// CLONE_FILES: the child's descriptors are the parent's.
static void cloned(void)
{
	static char stack[256 * 1024] __attribute__((aligned(16)));
	int fd = probe_socket(0);
	pid_t child = must("clone", clone(connect_in_clone, stack + sizeof(stack),
					    CLONE_FILES | CLONE_VM | SIGCHLD, &fd));
	reap(child);
	say_peer(fd);
	echo("parent", fd);
}

struct worker {
	pthread_t thread;
	int rounds;
	int failures;
};

static void *connect_often(void *context)
{
	struct worker *worker = context;
	char text[8];
	for (int i = 0; i < worker->rounds; i++) {
		struct sockaddr_storage name;
		socklen_t length = sizeof(name);
		int fd = probe_socket(0);
		if (probe_connect(fd) != 0 ||
			getpeername(fd, (struct sockaddr *)&name, &length) != 0)
			worker->failures++;
		int copy = dup(fd);
		close(fd);
		if (send(copy, "ping\n", 5, MSG_NOSIGNAL) != 5 ||
			recv(copy, text, 5, MSG_WAITALL) != 5)
			worker->failures++;
		close(copy);
	}
	return NULL;
}

// Forks while other threads are inside connect(): the children must be able to connect too.
static void fork_among_threads(void)
{
	struct worker workers[4] = {0};
	int failures = 0;
	for (size_t i = 0; i < 4; i++) {
		workers[i].rounds = 100;
		pthread_create(&workers[i].thread, NULL, connect_often, &workers[i]);
	}
	for (int i = 0; i < 30; i++) {
		pid_t child = fork();
		if (child == 0) {
			alarm(20);
			struct worker self = {.rounds = 3};
			connect_often(&self);
			_exit(self.failures);
		}
		int status;
		waitpid(child, &status, 0);
		failures += status != 0;
	}
	for (size_t i = 0; i < 4; i++) {
		pthread_join(workers[i].thread, NULL);
		failures += workers[i].failures;
	}
	say("failures: %d", failures);
}

static void threads(void)
{
	struct worker workers[64] = {0};
	int failures = 0;
	for (size_t i = 0; i < 64; i++) {
		workers[i].rounds = 20;
		pthread_create(&workers[i].thread, NULL, connect_often, &workers[i]);
	}
	for (size_t i = 0; i < 64; i++) {
		pthread_join(workers[i].thread, NULL);
		failures += workers[i].failures;
	}
	say("failures: %d", failures);
}

static const struct probe_case cases[] = {
	{"parent-connects", parent_connects},
	{"child-connects", child_connects},
	{"use-inherited", use_inherited},
	{"exec", exec_itself},
	{"vfork-exec", vfork_exec},
	{"spawn", spawn},
	{"spawn-on-standard-input", spawn_on_standard_input},
	{"clone", cloned},
	{"fork-among-threads", fork_among_threads},
	{"threads", threads},
};
PROBE_MAIN(cases)
