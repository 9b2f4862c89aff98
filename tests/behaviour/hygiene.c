// SPDX-License-Identifier: MIT
// A program that does something to itself that libraries do not expect, and then connects to HOST
// PORT, an origin that sends back what it gets. HOST may be a name.
#include "tests/behaviour/probe.h"

#include <netdb.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

static void echo(int fd)
{
	char text[32];
	said("send", send(fd, "ping", 4, MSG_NOSIGNAL));
	ssize_t got = recv(fd, text, 4, MSG_WAITALL);
	say("recv: %zd %.*s", got, got > 0 ? (int)got : 0, text);
}

static void talk(void)
{
	int fd = probe_socket(0);
	if (said("connect", probe_connect(fd)) == 0)
		echo(fd);
	close(fd);
}

// Every address of the name, until one connects; lists are freed by libc's function.
static void talk_by_name(void)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
	int error = getaddrinfo(probe_host, probe_port, &hints, &list), fd = -1;
	say("getaddrinfo: %s", error ? gai_strerror(error) : "0");
	for (struct addrinfo *at = list; at && fd < 0; at = at->ai_next) {
		fd = must("socket", socket(at->ai_family, at->ai_socktype, at->ai_protocol));
		if (connect(fd, at->ai_addr, at->ai_addrlen) < 0) {
			close(fd);
			fd = -1;
		}
	}
	if (list)
		freeaddrinfo(list);
	if (fd < 0)
		give_up("connect");
	echo(fd);
	close(fd);
}

static void *talk_often(void *context)
{
	(void)context;
	for (int i = 0; i < 20; i++) {
		int fd = probe_connected();
		char text[32], *copy = malloc((size_t)(i + 1) * 1000);
		memset(copy, i, (size_t)(i + 1) * 1000);
		must("send", (int)send(fd, "ping", 4, MSG_NOSIGNAL));
		must("recv", (int)recv(fd, text, 4, MSG_WAITALL));
		close(fd);
		free(copy);
	}
	return NULL;
}

static void threads(void)
{
	pthread_t all[8];
	for (int i = 0; i < 8; i++)
		pthread_create(&all[i], NULL, talk_often, NULL);
	for (int i = 0; i < 8; i++)
		pthread_join(all[i], NULL);
	say("all talked");
}

static void without_environment(void)
{
	clearenv();
	talk();
	must("setenv", setenv("AIRLOCK_CONF", "/nonexistent", 1));
	must("setenv", setenv("AIRLOCK_HOSTD", "unix:/nonexistent", 1));
	talk();
}

// As daemons do at their start, here once before and once after the first connection.
static void without_descriptors(void)
{
	closefrom(3);
	talk();
	closefrom(3);
	talk();
	int kept = probe_connected();
	must("dup2", dup2(kept, 3));
	closefrom(4);
	echo(3);
}

static void count_descriptors(const char *when)
{
	int count = 0;
	for (int fd = 0; fd < 1024; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	say("%s: %d open", when, count);
}

// Arguments: how many descriptors are left, and whether the hard limit is as low. The program
// itself needs one.
static void few_descriptors(void)
{
	int left = atoi(probe_arguments[0]), last = 0;
	struct rlimit limit;
	must("getrlimit", getrlimit(RLIMIT_NOFILE, &limit));
	limit.rlim_cur = 40;
	if (probe_arguments[1])
		limit.rlim_max = 40;
	must("setrlimit", setrlimit(RLIMIT_NOFILE, &limit));
	while (last < 39 - left)
		last = must("dup", dup(1));
	count_descriptors("before");
	talk();
	count_descriptors("after");
	talk();
	must("getrlimit", getrlimit(RLIMIT_NOFILE, &limit));
	say("limit %u", (unsigned)limit.rlim_cur);
	while (dup(1) >= 0)
		;
	said("socket", socket(AF_INET, SOCK_STREAM, 0));
	close(20);
	talk();
	close(21);
	talk();
}

// With a connection open, a child lists what it has.
static void children(void)
{
	int fd = probe_socket(0);
	said("connect", probe_connect(fd));
	fflush(stdout);
	char line[256];
	FILE *child =
		popen("for fd in /proc/self/fd/*; do echo ${fd##*/}; done; ls /proc/self/fd", "r");
	while (child && fgets(line, sizeof(line), child))
		say("child: %s", strtok(line, "\n"));
	pclose(child);
	echo(fd);
}

// Argument: the directory. The settings were read before.
static void in_another_root(void)
{
	must("chroot", chroot(probe_arguments[0]));
	must("chdir", chdir("/"));
	talk();
}

// Says to a file, because it has no standard output. Arguments: the file; how many of the three
// descriptors it gives itself again, by /dev/null, before its socket gets the next number.
static void without_standard_descriptors(void)
{
	int opened = open(probe_arguments[0], O_WRONLY | O_CREAT | O_TRUNC, 0644);
	int file = must("dup", fcntl(must("open", opened), F_DUPFD_CLOEXEC, 10));
	for (int fd = 0; fd < 10; fd++)
		close(fd);
	for (int fd = 0; probe_arguments[1] && fd < atoi(probe_arguments[1]); fd++)
		must("open", open("/dev/null", O_RDWR));
	int fd = probe_socket(0), result = probe_connect(fd);
	char text[8] = "";
	dprintf(file, "socket %d connect %d next %d\n", fd, result, dup(fd));
	if (send(fd, "ping", 4, 0) == 4 && recv(fd, text, 4, MSG_WAITALL) == 4)
		dprintf(file, "recv %s\n", text);
}

static const struct probe_case cases[] = {{"talk", talk}, {"talk-by-name", talk_by_name},
	{"threads", threads}, {"without-environment", without_environment},
	{"without-descriptors", without_descriptors}, {"few-descriptors", few_descriptors},
	{"children", children}, {"in-another-root", in_another_root},
	{"without-standard-descriptors", without_standard_descriptors}};

PROBE_MAIN(cases)
