// SPDX-License-Identifier: MIT
// A simulated NSM for programs that open /dev/nsm, when the settings name one.
#ifndef AIRLOCK_PRELOAD_NSM_DEVICE_H
#define AIRLOCK_PRELOAD_NSM_DEVICE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>

// Whether opening files is none of our business: the settings have been read and name no simulated
// NSM.
extern _Atomic bool nsm_device_is_real;

// Called once the settings have been read.
void nsm_device_initialise(void);

// open(2) and openat(2) as programs see them. mode counts where flags make it count.
int airlock_open(const char *path, int flags, mode_t mode);
int airlock_openat(int directory, const char *path, int flags, mode_t mode);

// What ioctl(fd, NSM_IOCTL, argument) gives: -1 with errno as Linux's drivers/misc/nsm.c, or 0.
// Descriptors that are not of a simulated NSM go on to the kernel.
int nsm_device_ioctl(int fd, void *argument);

#endif
