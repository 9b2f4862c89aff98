// SPDX-License-Identifier: MIT
// The file systems that programs expect and that a bare kernel does not mount.
#ifndef AIRLOCK_LAUNCHER_ENCLAVE_MOUNTS_H
#define AIRLOCK_LAUNCHER_ENCLAVE_MOUNTS_H

// Mounts devtmpfs on /dev, if nothing is mounted there. Returns 0 or -errno, and prints nothing:
// there may be no console yet.
int enclave_mount_devices(void);

// Mounts what is missing and makes the links of /dev. Outside a machine of our own, /run and /tmp
// are left alone where they can be written. What fails is said.
void enclave_mount_all(void);

#endif
