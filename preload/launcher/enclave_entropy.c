// SPDX-License-Identifier: MIT
#include "preload/launcher/enclave_entropy.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/random.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "preload/launcher/attest_program.h"
#include "preload/launcher/message.h"

#define SEED_SIZE 256 // bytes; what one GetRandom of an NSM gives at most

// struct rand_pool_info with its array (random(4)).
struct seed {
	int bits;
	int size;
	char bytes[SEED_SIZE];
};

static int add_to_kernel(const struct seed *seed)
{
	int fd = open("/dev/urandom", O_WRONLY | O_CLOEXEC);
	int error;

	if (fd < 0)
		return -errno;
	error = ioctl(fd, RNDADDENTROPY, seed) == 0 ? 0 : -errno;
	close(fd);
	return error;
}

void enclave_seed_entropy(const char *nsm)
{
	struct seed seed = {.bits = SEED_SIZE * 8, .size = SEED_SIZE};
	char problem[ATTEST_PROBLEM_SIZE];
	char count[8];
	ssize_t length;
	int error;

	if (!nsm_is_there(nsm)) {
		message_inform("no NSM at %s to draw entropy from", nsm);
		return;
	}
	snprintf(count, sizeof(count), "%d", SEED_SIZE);
	length = nsm_ask(nsm, "random", count, seed.bytes, SEED_SIZE, problem);
	error = length == SEED_SIZE ? add_to_kernel(&seed) : 0;
	explicit_bzero(&seed, sizeof(seed));
	if (length < 0)
		message_print("no entropy from %s: %s", nsm, problem);
	else if (length != SEED_SIZE)
		message_print(
			"no entropy from %s: %zd bytes instead of %d", nsm, length, SEED_SIZE);
	else if (error)
		message_print("cannot add entropy: %s", strerror(-error));
	else
		message_inform("the kernel has %d bytes of entropy from %s", SEED_SIZE, nsm);
}
