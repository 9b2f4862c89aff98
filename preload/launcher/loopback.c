// SPDX-License-Identifier: MIT
#include "preload/launcher/loopback.h"

#include <errno.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

// netdevice(7): any socket will do for the interface ioctls.
static int ask_interface(unsigned long request, struct ifreq *interface)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int error;

	if (fd < 0)
		return -errno;
	strcpy(interface->ifr_name, "lo");
	error = ioctl(fd, request, interface) == 0 ? 0 : -errno;
	close(fd);
	return error;
}

int loopback_is_up(void)
{
	struct ifreq interface = {0};
	int error = ask_interface(SIOCGIFFLAGS, &interface);

	return error ? error : (interface.ifr_flags & IFF_UP) != 0;
}

int loopback_raise(void)
{
	struct ifreq interface = {0};
	int error = ask_interface(SIOCGIFFLAGS, &interface);

	if (error)
		return error;
	interface.ifr_flags |= IFF_UP;
	return ask_interface(SIOCSIFFLAGS, &interface);
}
