// SPDX-License-Identifier: MIT
// getaddrinfo_a() and its relatives. usage: lookups_async CASE NAME SERVICE
#include <pthread.h>
#include <signal.h>
#include <sys/time.h>
#include <sys/wait.h>

#include "tests/behaviour/names.h"

static void say_requests(struct gaicb *requests, int count)
{
	for (int i = 0; i < count; i++) {
		int code = gai_error(&requests[i]);
		say("  %s: %s", or_null(requests[i].ar_name), code_name(code));
		if (code != 0)
			continue;
		say_list(requests[i].ar_result);
		freeaddrinfo(requests[i].ar_result);
	}
}

static const struct addrinfo stream_hints = {.ai_socktype = SOCK_STREAM};

#define REQUESTS 4

static void fill_requests(
	struct gaicb requests[static REQUESTS], struct gaicb *list[static REQUESTS + 1])
{
	const char *names[REQUESTS] = {probe_host, "127.0.0.1", "no-such-name.test", NULL};

	memset(requests, 0, REQUESTS * sizeof(*requests));
	for (int i = 0; i < REQUESTS; i++) {
		requests[i].ar_name = names[i];
		requests[i].ar_service = probe_port;
		requests[i].ar_request = &stream_hints;
		list[i] = &requests[i];
	}
	list[REQUESTS] = NULL; // getaddrinfo_a(3): null pointers are ignored
}

static void wait_for_requests(struct gaicb *const *list, int count)
{
	while (gai_suspend((const struct gaicb *const *)list, count, NULL) != EAI_ALLDONE)
		;
}

static void run_wait(void)
{
	struct gaicb requests[REQUESTS], *list[REQUESTS + 1];

	fill_requests(requests, list);
	say("GAI_WAIT: %s", code_name(getaddrinfo_a(GAI_WAIT, list, REQUESTS + 1, NULL)));
	say_requests(requests, REQUESTS);
	say("cancel: %s", code_name(gai_cancel(&requests[0])));
	say("nothing: %s", code_name(getaddrinfo_a(GAI_WAIT, list, 0, NULL)));
	say("bad mode: %s", code_name(getaddrinfo_a(7, list, 1, NULL)));
}

static void run_nowait(void)
{
	struct gaicb requests[REQUESTS], *list[REQUESTS + 1];

	fill_requests(requests, list);
	say("GAI_NOWAIT: %s", code_name(getaddrinfo_a(GAI_NOWAIT, list, REQUESTS + 1, NULL)));
	wait_for_requests(list, REQUESTS + 1);
	say_requests(requests, REQUESTS);
}

static void run_signal(void)
{
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
	struct gaicb requests[REQUESTS], *list[REQUESTS + 1];
	siginfo_t info;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	event.sigev_value.sival_int = 4711;
	fill_requests(requests, list);
	say("GAI_NOWAIT: %s", code_name(getaddrinfo_a(GAI_NOWAIT, list, REQUESTS + 1, &event)));
	must("sigwaitinfo", sigwaitinfo(&set, &info));
	say("signal code %d value %d own pid %d", info.si_code, info.si_value.sival_int,
		info.si_pid == getpid());
	say_requests(requests, REQUESTS);
	getaddrinfo_a(GAI_NOWAIT, list, 0, &event);
	must("sigwaitinfo", sigwaitinfo(&set, &info));
	say("an empty list signals too");
}

static pthread_mutex_t told_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t told_change = PTHREAD_COND_INITIALIZER;
static int told;

static void tell(union sigval value)
{
	sigset_t blocked;

	pthread_sigmask(SIG_SETMASK, NULL, &blocked);
	pthread_mutex_lock(&told_lock);
	told = value.sival_int;
	say("told %d, SIGTERM blocked %d", told, sigismember(&blocked, SIGTERM));
	pthread_cond_signal(&told_change);
	pthread_mutex_unlock(&told_lock);
}

static void run_thread(void)
{
	struct sigevent event = {.sigev_notify = SIGEV_THREAD, .sigev_notify_function = tell};
	struct gaicb requests[REQUESTS], *list[REQUESTS + 1];

	event.sigev_value.sival_int = 4712;
	fill_requests(requests, list);
	say("GAI_NOWAIT: %s", code_name(getaddrinfo_a(GAI_NOWAIT, list, REQUESTS + 1, &event)));
	pthread_mutex_lock(&told_lock);
	while (!told)
		pthread_cond_wait(&told_change, &told_lock);
	pthread_mutex_unlock(&told_lock);
	say_requests(requests, REQUESTS);
}

static void ignore_signal(int number)
{
	(void)number;
}

// NAME answers late: what is running cannot be cancelled, what waits behind 20 others can.
static void run_slow(void)
{
	const struct timespec soon = {.tv_nsec = 200 * 1000 * 1000};
	static struct gaicb requests[40];
	struct gaicb *list[40];
	int cancelled = 0, running = 0;

	for (int i = 0; i < 40; i++) {
		requests[i].ar_name = probe_host;
		requests[i].ar_request = &stream_hints;
		list[i] = &requests[i];
	}
	say("GAI_NOWAIT: %s", code_name(getaddrinfo_a(GAI_NOWAIT, list, 40, NULL)));
	say("suspend: %s", code_name(gai_suspend((const struct gaicb *const *)list, 40, &soon)));
	for (int i = 0; i < 40; i++) {
		int code = gai_cancel(list[i]);
		cancelled += code == EAI_CANCELED;
		running += code == EAI_NOTCANCELED;
	}
	say("cancelled %d running %d", cancelled, running);
	sigaction(SIGALRM, &(struct sigaction){.sa_handler = ignore_signal}, NULL);
	setitimer(ITIMER_REAL, &(struct itimerval){.it_value.tv_usec = 200 * 1000}, NULL);
	say("interrupted: %s", code_name(gai_suspend((const struct gaicb *const *)list, 1, NULL)));
	say("first: %s", code_name(gai_suspend((const struct gaicb *const *)list, 1, NULL)));
	say("then: %s", code_name(gai_suspend((const struct gaicb *const *)list, 1, NULL)));
	say_requests(requests, 1);
}

// The child of a process that has requests under way can look names up, in both ways.
static void run_fork(void)
{
	struct gaicb requests[REQUESTS], *list[REQUESTS + 1];
	int status;

	fill_requests(requests, list);
	say("GAI_NOWAIT: %s", code_name(getaddrinfo_a(GAI_NOWAIT, list, REQUESTS + 1, NULL)));
	pid_t child = must("fork", fork());
	if (child == 0) {
		alarm(PROBE_WAIT_MS / 1000);
		run_wait();
		run_nowait();
		exit(0);
	}
	must("waitpid", waitpid(child, &status, 0));
	say("child ended with %d", status);
	wait_for_requests(list, REQUESTS + 1);
	say_requests(requests, REQUESTS);
}

static void *look_up_late_name(void *unused)
{
	struct addrinfo *list;

	getaddrinfo(probe_host, probe_port, &stream_hints, &list);
	freeaddrinfo(list);
	return unused;
}

static int count_descriptors(void)
{
	int count = 0;

	for (int fd = 0; fd < 256; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

// Threads that are cancelled while they wait for an answer leave no descriptor behind.
static void run_cancelled_threads(void)
{
	pthread_t threads[10];
	int before = count_descriptors();

	for (int i = 0; i < 10; i++)
		must("pthread_create", -pthread_create(&threads[i], NULL, look_up_late_name, NULL));
	usleep(200 * 1000);
	for (int i = 0; i < 10; i++)
		pthread_cancel(threads[i]);
	for (int i = 0; i < 10; i++)
		pthread_join(threads[i], NULL);
	say("descriptors left: %d", count_descriptors() - before);
}

static const struct probe_case cases[] = {
	{"wait", run_wait},
	{"nowait", run_nowait},
	{"signal", run_signal},
	{"thread", run_thread},
	{"slow", run_slow},
	{"fork", run_fork},
	{"cancelled-threads", run_cancelled_threads},
};

PROBE_MAIN(cases)
