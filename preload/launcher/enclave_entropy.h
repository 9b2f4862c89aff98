// SPDX-License-Identifier: MIT
// The kernel's random numbers at an enclave's start: there is no disk, no network and hardly an
// interrupt to draw on, but there is an NSM.
#ifndef AIRLOCK_LAUNCHER_ENCLAVE_ENTROPY_H
#define AIRLOCK_LAUNCHER_ENCLAVE_ENTROPY_H

// Adds 256 bytes of the NSM (a device's path or unix:PATH) to the kernel's pool, and credits them.
// Takes five seconds at most. What fails is said; that there is no such NSM, at info.
void enclave_seed_entropy(const char *nsm);

#endif
