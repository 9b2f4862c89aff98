// SPDX-License-Identifier: MIT
// c-ares's sockets are kept in an epoll of the resolver's own by its socket state callback.
// Whatever c-ares answers, at once (from the hosts file, for localhost, for .onion) or later, goes
// into a queue that only resolver_process empties; an eventfd in the same epoll makes the queue
// visible to a worker that sleeps, and a timerfd the time at which c-ares has to send a question
// again, or to give it up.
//
// Lookups outlive those who asked for them, so their number has a bound of its own: each is two
// questions, and c-ares searches without end for a free one of the 65536 numbers that DNS has for
// them (generate_unique_id in its ares_query.c, release 1.18.1).
//
// Names are absolute: no search list, no ndots, no HOSTALIASES, because a name in wire form is
// asked as it is and the parent's own domain is no business of the enclave's. The parent's hosts
// file comes before DNS, as in its own nsswitch.conf by default. Servers, unless configured, are
// those of resolv.conf at the time the resolver is created.
#include "hostd/resolver.h"

#include <ares.h>
#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>
#include <utlist.h>

#include "wire/clock.h"

#define LOOKUP_TIME  5000 // ms for a lookup whose servers are all silent
#define LOOKUP_TRIES 2    // of every server; c-ares doubles the wait for the second
#define TEXT_SIZE    128

// One lookup: with c-ares until it is answered, then in the queue.
struct lookup {
	struct resolver *resolver;
	uint64_t token;
	struct control_addresses answer;
	char text[TEXT_SIZE];
	struct lookup *prev;
	struct lookup *next;
};

struct resolver {
	ares_channel channel;
	int epoll;
	int wakeup; // eventfd: readable while the queue holds something
	int timer;  // timerfd: readable when something is overdue
	resolver_callback callback;
	void *context;
	struct lookup *answered;
	unsigned asked;     // lookups that are with c-ares
	uint64_t due;       // ms, what the timer is set to, 0: it is stopped
	unsigned patience;  // ms until a question is sent for the second time
	bool is_processing; // what is queued now is emptied by the same call
};

// ---------------------------------------------------------------- starting c-ares

static pthread_once_t library_once = PTHREAD_ONCE_INIT;
static int library_status;

static void start_library(void)
{
	library_status = ares_library_init(ARES_LIB_INIT_ALL);
}

static void watch_socket(void *data, ares_socket_t socket, int is_reading, int is_writing)
{
	const struct resolver *resolver = data;
	struct epoll_event event = {
		.events = (is_reading ? EPOLLIN : 0u) | (is_writing ? EPOLLOUT : 0u),
		.data.fd = socket,
	};
	if (event.events == 0)
		epoll_ctl(resolver->epoll, EPOLL_CTL_DEL, socket, NULL);
	else if (epoll_ctl(resolver->epoll, EPOLL_CTL_MOD, socket, &event) < 0 && errno == ENOENT)
		epoll_ctl(resolver->epoll, EPOLL_CTL_ADD, socket, &event);
}

static int start_channel(struct resolver *resolver, const char *servers, int timeout)
{
	char lookups[] = "fb";
	struct ares_options options = {
		.flags = ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES,
		.timeout = timeout,
		.tries = LOOKUP_TRIES,
		.ndots = 1,
		.domains = NULL,
		.ndomains = 0,
		.lookups = lookups,
		.sock_state_cb = watch_socket,
		.sock_state_cb_data = resolver,
	};
	int mask = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_NDOTS |
		   ARES_OPT_DOMAINS | ARES_OPT_LOOKUPS | ARES_OPT_SOCK_STATE_CB | ARES_OPT_NOROTATE;
	int status = ares_init_options(&resolver->channel, &options, mask);
	resolver->patience = (unsigned)timeout;
	if (status != ARES_SUCCESS)
		return status;
	if (servers[0] != '\0')
		status = ares_set_servers_ports_csv(resolver->channel, servers);
	if (status != ARES_SUCCESS)
		ares_destroy(resolver->channel);
	return status;
}

static int count_servers(ares_channel channel)
{
	struct ares_addr_port_node *list;
	int count = 0;
	if (ares_get_servers_ports(channel, &list) != ARES_SUCCESS)
		return 1;
	for (const struct ares_addr_port_node *node = list; node; node = node->next)
		count++;
	ares_free_data(list);
	return count > 0 ? count : 1;
}

// A channel's patience is set before it is known how many servers share it: hence the two starts.
// Every server is tried LOOKUP_TRIES = 2 times, for one timeout and then for two.
static int start_patient_channel(struct resolver *resolver, const char *servers)
{
	int status = start_channel(resolver, servers, LOOKUP_TIME / 3);
	if (status != ARES_SUCCESS)
		return status;
	int count = count_servers(resolver->channel);
	if (count == 1)
		return ARES_SUCCESS;
	ares_destroy(resolver->channel);
	return start_channel(resolver, servers, LOOKUP_TIME / 3 / count);
}

static int watch_descriptor(const struct resolver *resolver, int fd)
{
	struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
	return epoll_ctl(resolver->epoll, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

static int open_descriptors(struct resolver *resolver)
{
	resolver->epoll = epoll_create1(EPOLL_CLOEXEC);
	resolver->wakeup = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	resolver->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (resolver->epoll < 0 || resolver->wakeup < 0 || resolver->timer < 0)
		return -errno;
	int error = watch_descriptor(resolver, resolver->wakeup);
	return error ? error : watch_descriptor(resolver, resolver->timer);
}

static void close_descriptors(struct resolver *resolver)
{
	if (resolver->epoll >= 0)
		close(resolver->epoll);
	if (resolver->wakeup >= 0)
		close(resolver->wakeup);
	if (resolver->timer >= 0)
		close(resolver->timer);
}

struct resolver *resolver_create(const char *servers, resolver_callback callback, void *context)
{
	pthread_once(&library_once, start_library);
	struct resolver *resolver = calloc(1, sizeof(*resolver));
	if (!resolver)
		return NULL;
	resolver->callback = callback;
	resolver->context = context;
	if (library_status != ARES_SUCCESS || open_descriptors(resolver) < 0 ||
		start_patient_channel(resolver, servers) != ARES_SUCCESS) {
		close_descriptors(resolver);
		free(resolver);
		return NULL;
	}
	return resolver;
}

void resolver_destroy(struct resolver *resolver)
{
	if (!resolver)
		return;
	ares_destroy(resolver->channel); // calls back for every lookup: they join the queue
	struct lookup *lookup;
	struct lookup *next;
	DL_FOREACH_SAFE(resolver->answered, lookup, next)
	{
		free(lookup);
	}
	close_descriptors(resolver);
	free(resolver);
}

// ---------------------------------------------------------------- answers

static enum outcome_class classify_status(int status)
{
	switch (status) {
	case ARES_SUCCESS: // without a single address
	case ARES_ENODATA:
	case ARES_ENOTFOUND:
	case ARES_EBADNAME:
		return OUTCOME_NO_SUCH_NAME;
	case ARES_EFORMERR:
	case ARES_ESERVFAIL:
	case ARES_ENOTIMP:
	case ARES_EREFUSED:
	case ARES_EBADRESP:
	case ARES_ECONNREFUSED:
	case ARES_ETIMEOUT:
	case ARES_EOF:
		return OUTCOME_TRY_AGAIN;
	default:
		return OUTCOME_INTERNAL;
	}
}

static void add_address(struct control_addresses *answer, const struct address *address)
{
	if (answer->count == CONTROL_MAX_ADDRESSES)
		return;
	for (size_t i = 0; i < answer->count; i++) {
		if (address_is_equal(&answer->addresses[i], address))
			return;
	}
	answer->addresses[answer->count++] = *address;
}

static uint32_t shorter_ttl(uint32_t ttl, int other)
{
	uint32_t limited = other > 0 ? (uint32_t)other : 0;
	return limited < ttl ? limited : ttl;
}

static void read_addresses(const struct ares_addrinfo *info, struct control_addresses *answer)
{
	answer->ttl = CONTROL_TTL_MAX;
	for (const struct ares_addrinfo_cname *cname = info->cnames; cname; cname = cname->next)
		answer->ttl = shorter_ttl(answer->ttl, cname->ttl);
	for (const struct ares_addrinfo_node *node = info->nodes; node; node = node->ai_next) {
		struct address address;
		uint16_t port;
		answer->ttl = shorter_ttl(answer->ttl, node->ai_ttl);
		if (!address_from_sockaddr(node->ai_addr, node->ai_addrlen, &address, &port))
			continue;
		address = address_unmap(&address);
		add_address(answer, &address);
	}
}

static void queue_answer(struct lookup *lookup)
{
	struct resolver *resolver = lookup->resolver;
	uint64_t one = 1;
	DL_APPEND(resolver->answered, lookup);
	if (resolver->is_processing)
		return;
	// Cannot fill up: resolver_process reads the counter before it empties the queue.
	ssize_t written = write(resolver->wakeup, &one, sizeof(one));
	(void)written;
}

static void take_answer(void *data, int status, int timeouts, struct ares_addrinfo *info)
{
	(void)timeouts;
	struct lookup *lookup = data;
	lookup->resolver->asked--;
	if (info)
		read_addresses(info, &lookup->answer);
	ares_freeaddrinfo(info);
	if (status != ARES_SUCCESS || lookup->answer.count == 0) {
		lookup->answer.count = 0;
		lookup->answer.failure = classify_status(status);
		snprintf(lookup->text, sizeof(lookup->text), "%s",
			status == ARES_SUCCESS ? "the answer has no address"
					       : ares_strerror(status));
	}
	queue_answer(lookup);
}

// ---------------------------------------------------------------- the worker's side

static void set_timer(struct resolver *resolver, uint64_t due)
{
	const struct itimerspec when = {.it_value = {.tv_sec = (time_t)(due / 1000),
						.tv_nsec = (long)(due % 1000) * 1000000}};

	resolver->due = due;
	timerfd_settime(resolver->timer, TFD_TIMER_ABSTIME, &when, NULL);
}

// c-ares looks at every question for this. It cuts to whole milliseconds, and at the last of them
// would find nothing overdue.
static uint64_t next_due(const struct resolver *resolver)
{
	struct timeval left;

	if (!ares_timeout(resolver->channel, NULL, &left))
		return 0;
	return clock_now_ms() + (uint64_t)left.tv_sec * 1000 + (uint64_t)left.tv_usec / 1000 + 1;
}

void resolver_start(struct resolver *resolver, const char *name, uint64_t token)
{
	static const struct ares_addrinfo_hints hints = {
		.ai_family = AF_UNSPEC,
		.ai_socktype = SOCK_STREAM,
	};
	struct lookup *lookup = calloc(1, sizeof(*lookup));
	if (!lookup)
		return; // the owner's own deadline ends it
	lookup->resolver = resolver;
	lookup->token = token;
	if (resolver->asked == RESOLVER_MAX_LOOKUPS) {
		lookup->answer.failure = OUTCOME_TRY_AGAIN;
		snprintf(lookup->text, sizeof(lookup->text), "too many lookups are under way");
		queue_answer(lookup);
		return;
	}
	resolver->asked++;
	ares_getaddrinfo(resolver->channel, name, NULL, &hints, take_answer, lookup);
	uint64_t due = clock_now_ms() + resolver->patience + 1;
	if (!resolver->due || due < resolver->due)
		set_timer(resolver, due);
}

int resolver_descriptor(const struct resolver *resolver)
{
	return resolver->epoll;
}

static void process_sockets(struct resolver *resolver)
{
	struct epoll_event events[32];
	int count = epoll_wait(resolver->epoll, events, ARRAY_SIZE(events), 0);
	for (int i = 0; i < count; i++) {
		int fd = events[i].data.fd;
		uint64_t ignored;
		if (fd == resolver->wakeup || fd == resolver->timer) {
			ssize_t got = read(fd, &ignored, sizeof(ignored));
			(void)got;
			continue;
		}
		bool is_readable = events[i].events & ~(uint32_t)EPOLLOUT;
		bool is_writable = events[i].events & ~(uint32_t)EPOLLIN;
		ares_process_fd(resolver->channel, is_readable ? fd : ARES_SOCKET_BAD,
			is_writable ? fd : ARES_SOCKET_BAD);
	}
	ares_process_fd(resolver->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD); // what is overdue
}

void resolver_process(struct resolver *resolver)
{
	resolver->is_processing = true;
	process_sockets(resolver);
	resolver->is_processing = false;
	set_timer(resolver, next_due(resolver));
	// Callbacks may start lookups whose answers are queued at once: those wait for the next
	// call.
	struct lookup *answered = resolver->answered;
	resolver->answered = NULL;
	struct lookup *lookup;
	struct lookup *next;
	DL_FOREACH_SAFE(answered, lookup, next)
	{
		resolver->callback(resolver->context, lookup->token, &lookup->answer, lookup->text);
		free(lookup);
	}
}
