// SPDX-License-Identifier: MIT
// The shared tables by themselves, filled by several threads beyond what they hold, so that entries
// are evicted while others look at them: with ThreadSanitizer, which Criterion's tests cannot have.
#include "tests/behaviour/probe.h"

#include <pthread.h>
#include <sys/mman.h>

#include "preload/shared/name_pool.c"
#include "preload/shared/socket_table.c"
#include "wire/address.c"

#define THREADS 4
#define SOCKETS 60000
#define NAMES   2000

static struct socket_table *sockets;
static struct name_pool *names;

// Looks at what the library's own looks at.
static bool is_dead(const struct socket_entry *entry)
{
	return atomic_load(&entry->fd) < 0 || atomic_load(&entry->owner) == 0;
}

static void *insert_sockets(void *context)
{
	uint64_t first = 1 + (uint64_t)(uintptr_t)context * SOCKETS;
	for (uint64_t cookie = first; cookie < first + SOCKETS; cookie++) {
		struct socket_entry *entry = socket_table_insert(sockets, cookie, is_dead);
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

static const struct probe_case cases[] = {
	{"sockets", fill_sockets},
	{"names", fill_names},
};
PROBE_MAIN(cases)
