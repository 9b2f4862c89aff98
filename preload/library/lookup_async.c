// SPDX-License-Identifier: MIT
// Theory of operation: one queue of jobs, one job for each request, and up to MAX_WORKERS threads
// that take jobs until there are none, and end. A batch is one call of getaddrinfo_a; its memory,
// which holds its jobs too, is freed when its last job has ended and its caller, if it waits, has
// been told.
//
// The lock guards the queue, the running list and the counts. `ended` counts jobs that came to an
// end; who waits for one waits on that number as a futex, which unlike a condition variable returns
// when a signal handler has run, as gai_suspend(3) must. A request belongs to its program again as
// soon as its __return is final.
#include "preload/library/lookup_async.h"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "preload/library/addrinfo.h"
#include "preload/library/real.h"
#include "wire/clock.h"
#include "wire/compiler.h"

#define MAX_WORKERS 20 // glibc's default (gai_misc.c)

struct batch;

struct job {
	struct gaicb *request;
	struct batch *batch;
	struct job *next;
};

struct batch {
	int pending; // jobs that have not ended
	bool has_waiter;
	struct sigevent event;
	struct job jobs[];
};

static struct {
	pthread_mutex_t lock;
	pthread_once_t once;
	struct job *queue;
	struct job *running;
	int workers;
	_Atomic uint32_t ended;
} lookups = {.lock = PTHREAD_MUTEX_INITIALIZER, .once = PTHREAD_ONCE_INIT};

// --- fork: the child has no workers, and its copies of the jobs never end, as in libc

static void before_fork(void)
{
	pthread_mutex_lock(&lookups.lock);
}

static void after_fork_in_parent(void)
{
	pthread_mutex_unlock(&lookups.lock);
}

static void after_fork_in_child(void)
{
	pthread_mutex_init(&lookups.lock, NULL);
	lookups.queue = NULL;
	lookups.running = NULL;
	lookups.workers = 0;
}

static void register_fork_handlers(void)
{
	pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}

// --- threads and notification

// A detached thread, or the program's attributes. Returns false when there can be no more threads.
static bool start_thread(const pthread_attr_t *attributes, void *(*run)(void *), void *argument)
{
	pthread_attr_t detached;
	pthread_t thread;

	if (attributes)
		return pthread_create(&thread, attributes, run, argument) == 0;
	pthread_attr_init(&detached);
	pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
	bool is_started = pthread_create(&thread, &detached, run, argument) == 0;
	pthread_attr_destroy(&detached);
	return is_started;
}

// Our threads take no signals: handlers belong to the program's threads.
static bool start_quiet_thread(void *(*run)(void *))
{
	sigset_t all, before;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	bool is_started = start_thread(NULL, run, NULL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return is_started;
}

// The program's own function gets a thread with no signal blocked, as libc's does.
static void *call_program(void *argument)
{
	struct sigevent event = *(struct sigevent *)argument;
	sigset_t none;

	free(argument);
	sigemptyset(&none);
	pthread_sigmask(SIG_SETMASK, &none, NULL);
	event.sigev_notify_function(event.sigev_value);
	return NULL;
}

static void notify_by_thread(const struct sigevent *event)
{
	struct sigevent *copy = malloc(sizeof(*copy));

	if (!copy)
		return;
	*copy = *event;
	if (!start_thread(event->sigev_notify_attributes, call_program, copy))
		free(copy);
}

static void notify_by_signal(const struct sigevent *event)
{
	siginfo_t info = {
		.si_signo = event->sigev_signo,
		.si_code = SI_ASYNCNL,
	};

	info.si_pid = getpid();
	info.si_uid = getuid();
	info.si_value = event->sigev_value;
	real_syscall(SYS_rt_sigqueueinfo, getpid(), event->sigev_signo, &info);
}

static void notify(const struct sigevent *event)
{
	if (event->sigev_notify == SIGEV_SIGNAL)
		notify_by_signal(event);
	else if (event->sigev_notify == SIGEV_THREAD)
		notify_by_thread(event);
}

// --- jobs. These expect the lock.

static void push(struct job **list, struct job *job)
{
	job->next = *list;
	*list = job;
}

static void append(struct job *job)
{
	struct job **end = &lookups.queue;

	while (*end)
		end = &(*end)->next;
	*end = job;
	job->next = NULL;
}

// Takes a request's job off a list. Returns NULL when it is not on it.
static struct job *take(struct job **list, const struct gaicb *request)
{
	for (; *list; list = &(*list)->next) {
		struct job *job = *list;

		if (job->request != request)
			continue;
		*list = job->next;
		return job;
	}
	return NULL;
}

// The job is on no list any more. Returns its batch when that has ended and nobody waits for it:
// then the caller owns it, and calls finish() without the lock.
static struct batch *end_job(struct job *job, int result)
{
	struct batch *batch = job->batch;

	__atomic_store_n(&job->request->__return, result, __ATOMIC_RELEASE);
	batch->pending--;
	atomic_fetch_add(&lookups.ended, 1);
	real_syscall(SYS_futex, &lookups.ended, FUTEX_WAKE_PRIVATE, INT32_MAX, NULL, NULL, 0);
	return batch->pending == 0 && !batch->has_waiter ? batch : NULL;
}

static void finish(struct batch *batch)
{
	if (!batch)
		return;
	notify(&batch->event);
	free(batch);
}

// --- workers

static struct job *next_job(void)
{
	pthread_mutex_lock(&lookups.lock);
	struct job *job = lookups.queue;
	if (job) {
		lookups.queue = job->next;
		push(&lookups.running, job);
	} else {
		lookups.workers--;
	}
	pthread_mutex_unlock(&lookups.lock);
	return job;
}

static void *work(void *unused)
{
	struct job *job;

	(void)unused;
	while ((job = next_job())) {
		struct gaicb *request = job->request;
		int result = airlock_getaddrinfo(request->ar_name, request->ar_service,
			request->ar_request, &request->ar_result);

		pthread_mutex_lock(&lookups.lock);
		take(&lookups.running, request);
		struct batch *ended = end_job(job, result);
		pthread_mutex_unlock(&lookups.lock);
		finish(ended);
	}
	return NULL;
}

// Expects the lock. Returns false when the queue has nobody to work on it.
static bool start_workers(int wanted)
{
	while (wanted-- > 0 && lookups.workers < MAX_WORKERS) {
		if (!start_quiet_thread(work))
			break;
		lookups.workers++;
	}
	return lookups.workers > 0;
}

// --- getaddrinfo_a

static struct batch *make_batch(int mode, struct gaicb **list, int count, struct sigevent *event)
{
	struct batch *batch = calloc(1, sizeof(*batch) + (size_t)count * sizeof(struct job));

	if (!batch)
		return NULL;
	batch->has_waiter = mode == GAI_WAIT;
	batch->event.sigev_notify = SIGEV_NONE;
	if (event && mode == GAI_NOWAIT)
		batch->event = *event;
	for (int i = 0; i < count; i++) {
		if (list[i])
			batch->jobs[batch->pending++] = (struct job){list[i], batch, NULL};
	}
	return batch;
}

// Returns false, with nothing queued, when no thread can be had.
static bool submit(struct batch *batch)
{
	int count = batch->pending; // the first worker may already change it

	pthread_mutex_lock(&lookups.lock);
	bool is_submitted = start_workers(count);
	for (int i = 0; is_submitted && i < count; i++) {
		batch->jobs[i].request->__return = EAI_INPROGRESS;
		append(&batch->jobs[i]);
	}
	pthread_mutex_unlock(&lookups.lock);
	return is_submitted;
}

static bool is_batch_done(struct batch *batch)
{
	pthread_mutex_lock(&lookups.lock);
	bool is_done = batch->pending == 0;
	pthread_mutex_unlock(&lookups.lock);
	return is_done;
}

// Waits until some job has ended since `seen`; deadline (CLOCK_MONOTONIC) may be NULL. Returns 0,
// EINTR or ETIMEDOUT.
static int wait_for_any(uint32_t seen, const struct timespec *deadline)
{
	long result = real_syscall(SYS_futex, &lookups.ended, FUTEX_WAIT_BITSET_PRIVATE, seen,
		deadline, NULL, FUTEX_BITSET_MATCH_ANY);

	return result < 0 && (errno == EINTR || errno == ETIMEDOUT) ? errno : 0;
}

static void wait_for_batch(struct batch *batch)
{
	uint32_t seen = atomic_load(&lookups.ended);

	while (!is_batch_done(batch)) {
		(void)wait_for_any(seen, NULL);
		seen = atomic_load(&lookups.ended);
	}
	free(batch);
}

static int start_batch(int mode, struct gaicb **list, int count, struct sigevent *event)
{
	struct batch *batch = make_batch(mode, list, count, event);

	if (!batch)
		return EAI_MEMORY;
	pthread_once(&lookups.once, register_fork_handlers);
	if (mode != GAI_WAIT && batch->pending == 0) {
		finish(batch);
		return 0;
	}
	if (batch->pending > 0 && !submit(batch)) {
		free(batch);
		return EAI_AGAIN;
	}
	if (mode == GAI_WAIT)
		wait_for_batch(batch);
	return 0;
}

int airlock_getaddrinfo_a(int mode, struct gaicb **list, int count, struct sigevent *event)
{
	int saved_errno = errno;

	if (mode != GAI_WAIT && mode != GAI_NOWAIT) {
		errno = EINVAL;
		return EAI_SYSTEM;
	}
	int error = start_batch(mode, list, count > 0 ? count : 0, event);
	errno = saved_errno;
	return error;
}

// --- gai_suspend, gai_cancel

static bool is_in_progress(const struct gaicb *request)
{
	return request && __atomic_load_n(&request->__return, __ATOMIC_ACQUIRE) == EAI_INPROGRESS;
}

static int count_in_progress(const struct gaicb *const *list, int count)
{
	int result = 0;

	for (int i = 0; i < count; i++)
		result += is_in_progress(list[i]);
	return result;
}

// Waits until one of those that are in progress now has ended.
static int wait_for_one(const struct gaicb *const *list, int count, const struct timespec *deadline)
{
	uint32_t seen = atomic_load(&lookups.ended);
	int before = count_in_progress(list, count);

	if (before == 0)
		return EAI_ALLDONE;
	for (;;) {
		int error = wait_for_any(seen, deadline);
		if (count_in_progress(list, count) < before)
			return 0;
		if (error == EINTR)
			return EAI_INTR;
		if (error == ETIMEDOUT)
			return EAI_SYSTEM; // glibc 2.36; gai_suspend(3) has EAI_AGAIN
		seen = atomic_load(&lookups.ended);
	}
}

int airlock_gai_suspend(const struct gaicb *const *list, int count, const struct timespec *timeout)
{
	int saved_errno = errno;
	struct timespec deadline = {0};

	if (timeout)
		deadline = clock_after(timeout);
	int error = wait_for_one(list, count, timeout ? &deadline : NULL);
	if (error != EAI_SYSTEM)
		errno = saved_errno;
	return error;
}

int airlock_gai_cancel(struct gaicb *request)
{
	struct batch *ended = NULL;
	int result = EAI_ALLDONE;

	pthread_mutex_lock(&lookups.lock);
	struct job *job = take(&lookups.queue, request);
	if (job) {
		ended = end_job(job, EAI_CANCELED);
		result = EAI_CANCELED;
	} else if ((job = take(&lookups.running, request))) {
		push(&lookups.running, job);
		result = EAI_NOTCANCELED;
	}
	pthread_mutex_unlock(&lookups.lock);
	finish(ended);
	return result;
}
