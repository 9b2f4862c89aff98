// SPDX-License-Identifier: MIT
// Theory of operation: two lists under one lock, tasks to do and tasks that are done. The thread
// takes the first of the one, works on it without the lock, appends it to the other and wakes the
// loop. Nothing else is shared: a task holds copies, and policies and roots do not change.
//
// After a failure the connection to a simulated NSM is made anew with the next task, for an answer
// that comes too late would be taken for the next question's. The device has no such state.
#include "preload/tls/attester.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <utlist.h>

#include "preload/tls/tls_log.h"

#define END_TIMEOUT 1 // s

struct attester {
	enum attester_job job;
	int wake;
	bool is_started;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t has_work;
	// Under the lock:
	bool must_stop;
	struct attester_task *waiting, *finished;
	// The thread's, once it runs:
	const char *nsm_name;
	struct nsm *nsm;
	struct attest_error nsm_error; // while nsm is NULL
};

// --- what the threads do

static void refuse(struct attester_task *task, const char *what, const struct attest_error *error)
{
	char text[320];

	attest_error_format(error, text, sizeof(text));
	snprintf(task->text, sizeof(task->text), "%s: %.160s", what, text);
}

static bool is_simulated(const struct attester *attester)
{
	return strncmp(attester->nsm_name, "unix:", strlen("unix:")) == 0;
}

static void drop_nsm(struct attester *attester)
{
	if (!is_simulated(attester))
		return;
	nsm_close(attester->nsm);
	attester->nsm = NULL;
}

static void prove(struct attester *attester, struct attester_task *task)
{
	struct attest_error error;
	struct bytes document;

	if (!attester->nsm && is_simulated(attester))
		attester->nsm = nsm_open(attester->nsm_name, &attester->nsm_error);
	if (!attester->nsm) {
		refuse(task, "the NSM cannot be opened", &attester->nsm_error);
		return;
	}
	if (!evidence_make(attester->nsm, task->user_data, task->nonce, &document, &error)) {
		refuse(task, "the NSM does not give evidence", &error);
		drop_nsm(attester);
		return;
	}
	memcpy(task->document, document.data, document.length);
	task->length = document.length;
	task->is_good = true;
}

static void judge(struct attester_task *task)
{
	const struct attested *attested = task->attested;
	const struct verify_options trusted = {
		.policy = attested->policy,
		.root = {attested->root.data, attested->root.size},
	};
	struct attest_result *result;
	struct attest_error error;
	const char *release;

	if (!evidence_check((struct bytes){task->document, task->length}, &trusted, task->user_data,
		    task->nonce, &result, &error)) {
		refuse(task, "the server's evidence is refused", &error);
		return;
	}
	release = attest_result_release(result);
	snprintf(task->text, sizeof(task->text), "%s", release ? release : "");
	attest_result_free(result);
	task->is_good = true;
}

// --- the thread

// NULL: it must stop.
static struct attester_task *begin_task(struct attester *attester)
{
	struct attester_task *task = NULL;

	pthread_mutex_lock(&attester->lock);
	while (!attester->must_stop && !attester->waiting)
		pthread_cond_wait(&attester->has_work, &attester->lock);
	if (!attester->must_stop) {
		task = attester->waiting;
		task->is_begun = true;
		DL_DELETE(attester->waiting, task);
	}
	pthread_mutex_unlock(&attester->lock);
	return task;
}

static void end_task(struct attester *attester, struct attester_task *task)
{
	const uint64_t one = 1;
	ssize_t written;

	pthread_mutex_lock(&attester->lock);
	DL_APPEND(attester->finished, task);
	pthread_mutex_unlock(&attester->lock);
	written = write(attester->wake, &one, sizeof(one));
	(void)written; // only fails when it has been woken 2^64 times already
}

static void *run(void *argument)
{
	struct attester *attester = argument;
	struct attester_task *task;

	while ((task = begin_task(attester)) != NULL) {
		if (attester->job == ATTESTER_PROVES)
			prove(attester, task);
		else
			judge(task);
		end_task(attester, task);
	}
	return NULL;
}

// --- the loop's side

struct attester *attester_open(enum attester_job job, const char *nsm, int wake)
{
	struct attester *attester = calloc(1, sizeof(*attester));
	char text[320];

	if (!attester)
		return NULL;
	attester->job = job;
	attester->wake = wake;
	attester->nsm_name = nsm;
	pthread_mutex_init(&attester->lock, NULL);
	pthread_cond_init(&attester->has_work, NULL);
	if (!nsm)
		return attester;
	attester->nsm = nsm_open(nsm, &attester->nsm_error);
	if (!attester->nsm)
		tls_log_message(SETTINGS_LOG_ERROR, "the NSM cannot be opened: %s",
			attest_error_format(&attester->nsm_error, text, sizeof(text)));
	return attester;
}

int attester_start(struct attester *attester)
{
	int error = pthread_create(&attester->thread, NULL, run, attester);

	attester->is_started = error == 0;
	return -error;
}

void attester_submit(struct attester *attester, struct attester_task *task)
{
	pthread_mutex_lock(&attester->lock);
	DL_APPEND(attester->waiting, task);
	pthread_cond_signal(&attester->has_work);
	pthread_mutex_unlock(&attester->lock);
}

struct attester_task *attester_take(struct attester *attester)
{
	struct attester_task *task;

	pthread_mutex_lock(&attester->lock);
	task = attester->finished;
	if (task)
		DL_DELETE(attester->finished, task);
	pthread_mutex_unlock(&attester->lock);
	return task;
}

void attester_forget(struct attester *attester, struct attester_task *task)
{
	bool is_begun;

	pthread_mutex_lock(&attester->lock);
	is_begun = task->is_begun;
	if (!is_begun)
		DL_DELETE(attester->waiting, task);
	pthread_mutex_unlock(&attester->lock);
	task->stream = NULL;
	if (!is_begun)
		free(task);
}

static void free_tasks(struct attester_task *tasks)
{
	while (tasks) {
		struct attester_task *task = tasks;

		DL_DELETE(tasks, task);
		free(task);
	}
}

// false: it is still at work.
static bool stop(struct attester *attester)
{
	struct timespec until;

	if (!attester->is_started)
		return true;
	pthread_mutex_lock(&attester->lock);
	attester->must_stop = true;
	pthread_cond_signal(&attester->has_work);
	pthread_mutex_unlock(&attester->lock);
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += END_TIMEOUT;
	return pthread_timedjoin_np(attester->thread, NULL, &until) == 0;
}

void attester_close(struct attester *attester)
{
	if (!attester || !stop(attester))
		return;
	free_tasks(attester->waiting);
	free_tasks(attester->finished);
	nsm_close(attester->nsm);
	pthread_cond_destroy(&attester->has_work);
	pthread_mutex_destroy(&attester->lock);
	free(attester);
}
