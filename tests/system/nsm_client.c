// SPDX-License-Identifier: MIT
// A client of /dev/nsm that knows nothing of Airlock: the device's ioctl, as linux/nsm.h has it.
//
// nsm_client ask HEX [SIZE]     sends these bytes, prints the answer in hex; SIZE: room for it
// nsm_client ways               every way to get at the device, a line each
// nsm_client errors             what fails, and how
// nsm_client mixed COUNT        threads and processes that share one descriptor: COUNT questions
// each nsm_client signals COUNT      a handler that asks while the program asks nsm_client
// inherited FD       describes over a descriptor that it was started with
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#if __has_include(<linux/nsm.h>)
#include <linux/nsm.h>
#else
struct nsm_iovec {
	uint64_t addr;
	uint64_t len;
};
struct nsm_raw {
	struct nsm_iovec request;
	struct nsm_iovec response;
};
#define NSM_IOCTL_RAW         _IOWR(0x0A, 0x0, struct nsm_raw)
#define NSM_RESPONSE_MAX_SIZE 0x3000
#endif

#define THREADS   8
#define PROCESSES 4

#define DESCRIBE                                                                                   \
	"\x6b"                                                                                     \
	"DescribeNSM"

static uint8_t response[NSM_RESPONSE_MAX_SIZE];

static void require(bool condition, const char *what)
{
	if (condition)
		return;
	printf("%s: %s\n", what, strerror(errno));
	fflush(stdout);
	_exit(1);
}

// The answer's length, or -1.
static ssize_t ask(int fd, const void *request, size_t length, void *answer, size_t size)
{
	struct nsm_raw raw = {{(uintptr_t)request, length}, {(uintptr_t)answer, size}};

	if (ioctl(fd, NSM_IOCTL_RAW, &raw) != 0)
		return -1;
	return (ssize_t)raw.response.len;
}

static bool describes(int fd)
{
	ssize_t length = ask(fd, DESCRIBE, strlen(DESCRIBE), response, sizeof(response));

	return length > 20 && memmem(response, (size_t)length, "module_id", 9);
}

static int device(void)
{
	int fd = open("/dev/nsm", O_RDWR | O_CLOEXEC);

	require(fd >= 0, "open");
	return fd;
}

static int ask_once(const char *hex, size_t size)
{
	uint8_t request[8192];
	size_t length = strlen(hex) / 2;

	for (size_t i = 0; i < length; i++)
		sscanf(hex + 2 * i, "%2hhx", &request[i]);
	ssize_t count = ask(device(), request, length, response, size);
	require(count >= 0, "ioctl");
	for (ssize_t i = 0; i < count; i++)
		printf("%02x", response[i]);
	puts("");
	return 0;
}

// --- ways

int __open_2(const char *, int);
int __open64_2(const char *, int);
int __openat_2(int, const char *, int);
int __openat64_2(int, const char *, int);

static void try_way(const char *way, int fd)
{
	require(fd >= 0, way);
	require(describes(fd), way);
	close(fd);
	printf("%s\n", way);
}

static bool child_describes(int fd, const char *program)
{
	char number[16];
	int status;
	pid_t child = fork();

	if (child == 0) {
		if (!program)
			_exit(describes(fd) ? 0 : 1);
		snprintf(number, sizeof(number), "%d", fd);
		execl(program, program, "inherited", number, (char *)0);
		_exit(2);
	}
	return waitpid(child, &status, 0) == child && status == 0;
}

static int ways(const char *program)
{
	int fd;

	try_way("open", open("/dev/nsm", O_RDWR));
	try_way("open64", open64("/dev/nsm", O_RDWR));
	try_way("openat", openat(AT_FDCWD, "/dev/nsm", O_RDWR));
	try_way("openat64", openat64(-1, "/dev/nsm", O_RDWR));
	try_way("__open_2", __open_2("/dev/nsm", O_RDWR));
	try_way("__open64_2", __open64_2("/dev/nsm", O_RDWR));
	try_way("__openat_2", __openat_2(AT_FDCWD, "/dev/nsm", O_RDWR));
	try_way("__openat64_2", __openat64_2(AT_FDCWD, "/dev/nsm", O_RDWR));
	try_way("syscall", (int)syscall(SYS_openat, AT_FDCWD, "/dev/nsm", O_RDWR, 0));
	fd = device();
	try_way("dup", dup(fd));
	try_way("dup2", dup2(fd, 77));
	try_way("F_DUPFD", fcntl(fd, F_DUPFD, 100));
	require(child_describes(fd, NULL), "fork");
	puts("fork");
	fd = open("/dev/nsm", O_RDWR);
	require(child_describes(fd, program), "exec");
	puts("exec");
	fd = device();
	require(!child_describes(fd, program), "an exec despite O_CLOEXEC");
	puts("O_CLOEXEC");
	fd = open("/dev/nsm", O_RDWR | O_NONBLOCK);
	require(fcntl(fd, F_GETFL) & O_NONBLOCK, "O_NONBLOCK");
	try_way("O_NONBLOCK", fd);
	close(0);
	fd = open("/dev/nsm", O_RDWR);
	require(fd == 0, "the lowest number");
	try_way("the lowest number", fd);
	return 0;
}

// --- errors

static void report(const char *what, long result)
{
	printf("%s: %s\n", what, result < 0 ? strerrorname_np(errno) : "success");
}

static int errors(void)
{
	static uint8_t large[4097];
	struct nsm_raw raw = {{(uintptr_t)DESCRIBE, strlen(DESCRIBE)}, {(uintptr_t)response, 64}};
	void *nothing = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int fd = device();

	report("4097 bytes", ask(fd, large, sizeof(large), response, sizeof(response)));
	report("a bad request", ask(fd, nothing, 12, response, sizeof(response)));
	report("a bad response", ask(fd, DESCRIBE, strlen(DESCRIBE), nothing, 4096));
	report("a bad argument", ioctl(fd, NSM_IOCTL_RAW, nothing));
	report("a bad path", open(nothing, O_RDWR));
	report("another file", open("/dev/nsm1", O_RDWR));
	report("another descriptor", ioctl(1, NSM_IOCTL_RAW, &raw));
	report("no descriptor", ioctl(1000, NSM_IOCTL_RAW, &raw));
	report("another ioctl", ioctl(fd, TIOCGWINSZ, &raw));
	report("no room", ask(fd, DESCRIBE, strlen(DESCRIBE), response, 0));
	errno = 0;
	report("a short response", ioctl(fd, NSM_IOCTL_RAW, &raw));
	require(raw.response.len == 64, "64 bytes");
	require(errno == 0, "errno after success");
	return 0;
}

// --- mixed

struct worker {
	int fd;
	unsigned index;
	long count;
};

static size_t describe_pcr(int fd, unsigned index, uint8_t *answer, size_t size)
{
	uint8_t request[] = "\xa1\x6b"
			    "DescribePCR\xa1\x65index";

	request[sizeof(request) - 1] = (uint8_t)index; // numbers below 24 are themselves
	ssize_t length = ask(fd, request, sizeof(request), answer, size);
	require(length > 50, "DescribePCR");
	return (size_t)length;
}

static void *work(void *context)
{
	const struct worker *worker = context;
	uint8_t expected[128], got[128];
	size_t length = describe_pcr(worker->fd, worker->index, expected, sizeof(expected));

	for (long i = 0; i < worker->count; i++) {
		memset(got, 0, sizeof(got));
		require(describe_pcr(worker->fd, worker->index, got, sizeof(got)) == length &&
				memcmp(got, expected, length) == 0,
			"somebody else's answer");
	}
	return NULL;
}

static void work_in_threads(int fd, long count)
{
	struct worker workers[THREADS];
	pthread_t threads[THREADS];

	for (unsigned i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){fd, i, count};
		require(pthread_create(&threads[i], NULL, work, &workers[i]) == 0, "thread");
	}
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
}

static int mixed(long count)
{
	int fd = device(), status;

	for (int i = 0; i < PROCESSES; i++) {
		if (fork() == 0) {
			work_in_threads(fd, count);
			_exit(0);
		}
	}
	for (int i = 0; i < PROCESSES; i++)
		require(wait(&status) > 0 && status == 0, "a process");
	puts("each its own");
	return 0;
}

// --- signals

static int signal_device;
static volatile sig_atomic_t handled;

static void handle(int number)
{
	(void)number;
	uint8_t answer[128];

	describe_pcr(signal_device, 1, answer, sizeof(answer));
	handled++;
}

static int signals(long count)
{
	struct sigaction action = {.sa_handler = handle};
	struct itimerval soon = {{0, 500}, {0, 500}};
	struct worker worker;

	signal_device = device();
	worker = (struct worker){signal_device, 0, count};
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &soon, NULL);
	while (handled < 20)
		work(&worker);
	memset(&soon, 0, sizeof(soon));
	setitimer(ITIMER_REAL, &soon, NULL);
	puts("handled");
	return 0;
}

int main(int argc, char **argv)
{
	const char *verb = argc > 1 ? argv[1] : "";

	if (!strcmp(verb, "ask") && argc > 2)
		return ask_once(argv[2], argc > 3 ? (size_t)atol(argv[3]) : sizeof(response));
	if (!strcmp(verb, "ways"))
		return ways(argv[0]);
	if (!strcmp(verb, "errors"))
		return errors();
	if (!strcmp(verb, "mixed") && argc > 2)
		return mixed(atol(argv[2]));
	if (!strcmp(verb, "signals") && argc > 2)
		return signals(atol(argv[2]));
	if (!strcmp(verb, "inherited") && argc > 2)
		return describes(atoi(argv[2])) ? 0 : 1;
	return 2;
}
