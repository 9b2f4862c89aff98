// SPDX-License-Identifier: MIT
// The shared tables. By themselves, filled by several threads beyond what they hold, so that
// entries are evicted while others look at them: with ThreadSanitizer, which Criterion's tests
// cannot have. And the library's own, crowded around one stream. HOST PORT accepts.
#include "tests/behaviour/probe.h"

#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "preload/shared/name_pool.c"
#include "preload/shared/socket_table.c"
#include "wire/address.c"

#define THREADS 4
#define SOCKETS 60000
#define NAMES   2000

static struct socket_table *sockets;
static struct name_pool *names;

// Looks at what the library's own looks at.
static enum socket_use use_of(const struct socket_entry *entry)
{
	bool is_unused = atomic_load(&entry->fd) < 0 || atomic_load(&entry->owner) == 0;
	return is_unused ? SOCKET_UNUSED : SOCKET_USED;
}

static void *insert_sockets(void *context)
{
	uint64_t first = 1 + (uint64_t)(uintptr_t)context * SOCKETS;
	for (uint64_t cookie = first; cookie < first + SOCKETS; cookie++) {
		struct socket_entry *entry = socket_table_insert(sockets, cookie, use_of);
		atomic_store(&entry->owner, 1);
		atomic_store(&entry->fd, 7);
		entry->peer_port = (uint16_t)cookie;
		socket_entry_publish(entry, SOCKET_PHASE_OPEN);
		(void)socket_table_find(sockets, cookie ^ 1);
	}
	return NULL;
}

// Each thread the same ones.
static void *insert_names(void *context)
{
	char name[32];
	(void)context;
	for (int i = 0; i < NAMES; i++) {
		snprintf(name, sizeof(name), "name-%d.test", i);
		int slot = name_pool_insert(names, name, NAME_POOL_SLOTS);
		if (slot < 0 || strcmp(name_pool_name(names, (uint32_t)slot), name) != 0)
			give_up(name);
	}
	return NULL;
}

static void *shared(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	return memory == MAP_FAILED ? give_up("mmap"), NULL : memory;
}

static void fill(void *(*insert)(void *context))
{
	pthread_t threads[THREADS];
	for (size_t i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, insert, (void *)i);
	for (size_t i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	say("filled");
}

static void fill_sockets(void)
{
	sockets = shared(sizeof(*sockets));
	fill(insert_sockets);
}

static void fill_names(void)
{
	names = shared(sizeof(*names));
	fill(insert_names);
}

// --- the library's own table, crowded where one stream's entry is

static uint64_t cookie_of(int fd)
{
	uint64_t cookie = 0;
	socklen_t length = sizeof(cookie);
	must("SO_COOKIE", getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &length));
	return cookie;
}

static bool is_neighbour(uint64_t cookie, uint64_t of)
{
	return ((first_place(of) - first_place(cookie)) & (SOCKET_TABLE_ENTRIES - 1)) < WINDOW;
}

// Spends cookies, which count up, until the one that is `ahead` of the last is near. Returns the
// last.
static uint64_t spend_cookies(uint64_t of, uint64_t ahead)
{
	uint64_t last;
	do {
		int fd = must("socket", socket(AF_UNIX, SOCK_STREAM, 0));
		last = cookie_of(fd);
		close(fd);
	} while (!is_neighbour(last + ahead, of));
	return last;
}

// Connects until every place that the cookie's entry may have has been taken over.
static void crowd_out(uint64_t cookie)
{
	uint64_t ahead = 1;
	cpu_set_t here;
	CPU_ZERO(&here);
	CPU_SET(sched_getcpu(), &here);
	sched_setaffinity(0, sizeof(here), &here); // each processor has cookies of its own
	for (unsigned hits = 0, tries = 0; hits < 4 * WINDOW; tries++) {
		uint64_t last = spend_cookies(cookie, ahead);
		int fd = probe_connected();
		hits += is_neighbour(cookie_of(fd), cookie);
		ahead = cookie_of(fd) - last;
		close(fd);
		if (tries > 100 * WINDOW)
			give_up("no neighbours");
	}
}

static void say_peer(const char *what, int fd)
{
	struct sockaddr_storage name = {.ss_family = AF_UNSPEC};
	socklen_t length = sizeof(name);
	must("getpeername", getpeername(fd, (struct sockaddr *)&name, &length));
	say_sockaddr(what, (struct sockaddr *)&name, name.ss_family != AF_UNIX);
}

static void dialled_by_another_number(void)
{
	int first = probe_connected(), stream = dup(first);
	close(first);
	crowd_out(cookie_of(stream));
	say_peer("duplicate", stream);
}

static void dialled_by_another_process(void)
{
	int end[2], gone[2];
	char byte;
	must("pipe", pipe(end));
	must("pipe", pipe(gone));
	pid_t dialler = must("fork", fork());
	if (dialler == 0) {
		int stream = probe_connected();
		if (must("fork", fork()) > 0)
			_exit(0);
		must("read", (int)read(gone[0], &byte, 1));
		crowd_out(cookie_of(stream));
		say_peer("inherited", stream);
		_exit(0);
	}
	must("waitpid", waitpid(dialler, NULL, 0));
	must("write", (int)write(gone[1], "x", 1));
	close(end[1]);
	must("read", (int)read(end[0], &byte, 1)); // the child's end
}

// A process that will crowd out the cookie that it is sent, and lives until this one's end.
static int start_crowd(void)
{
	int ends[2];
	uint64_t cookie;
	char byte;
	must("socketpair", socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
	if (must("fork", fork()) > 0) {
		close(ends[1]);
		return ends[0];
	}
	close(ends[0]);
	if (must("read", (int)read(ends[1], &cookie, sizeof(cookie))) != sizeof(cookie))
		_exit(1);
	crowd_out(cookie);
	must("write", (int)write(ends[1], "x", 1));
	must("read", (int)read(ends[1], &byte, 1));
	_exit(0);
}

static void crowded_by_others(void)
{
	int crowds[] = {start_crowd(), start_crowd()};
	int stream = probe_connected(); // after the forks: nobody else has it
	uint64_t cookie = cookie_of(stream);
	char byte;
	for (int i = 0; i < 2; i++) {
		must("write", (int)write(crowds[i], &cookie, sizeof(cookie)));
		if (read(crowds[i], &byte, 1) != 1)
			give_up("a crowd");
	}
	say_peer("held", stream);
}

// /proc shows no descriptors of such a process.
static void *without_first_thread(void *context)
{
	char byte;
	(void)context;
	while (readlink("/proc/self/exe", &byte, 1) >= 0)
		usleep(1000);
	crowded_by_others();
	exit(0);
}

static void crowded_without_first_thread(void)
{
	pthread_t thread;
	pthread_create(&thread, NULL, without_first_thread, NULL);
	pthread_exit(NULL);
}

static const struct probe_case cases[] = {
	{"sockets", fill_sockets},
	{"names", fill_names},
	{"dialled-by-another-number", dialled_by_another_number},
	{"dialled-by-another-process", dialled_by_another_process},
	{"crowded-by-others", crowded_by_others},
	{"crowded-without-first-thread", crowded_without_first_thread},
};
PROBE_MAIN(cases)
