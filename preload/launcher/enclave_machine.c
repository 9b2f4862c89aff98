// SPDX-License-Identifier: MIT
#include "preload/launcher/enclave_machine.h"

#include <sys/reboot.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "preload/launcher/message.h"

// PROC_PID_INIT_INO in the kernel's include/linux/proc_ns.h: the same since Linux 3.8.
#define INITIAL_PID_NAMESPACE 0xeffffffcu

bool enclave_is_machine(void)
{
	struct stat status;

	return getpid() == 1 &&
	       (stat("/proc/self/ns/pid", &status) != 0 || status.st_ino == INITIAL_PID_NAMESPACE);
}

int enclave_finish(int code)
{
	if (!enclave_is_machine())
		return code;
	message_print("the command ended with status %d", code);
	sync();
	(void)tcdrain(STDERR_FILENO); // a serial line must have sent it
	(void)reboot(RB_AUTOBOOT);
	message_print("cannot restart the machine: %m");
	return code;
}
