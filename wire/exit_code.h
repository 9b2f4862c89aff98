// SPDX-License-Identifier: MIT
// What every program of Airlock ends with; the man pages say when.
#ifndef AIRLOCK_WIRE_EXIT_CODE_H
#define AIRLOCK_WIRE_EXIT_CODE_H

enum exit_code {
	EXIT_OK = 0,
	EXIT_NO = 1,        // the answer is no
	EXIT_USAGE = 2,     // usage or configuration
	EXIT_TRANSPORT = 3, // device or transport
	EXIT_MALFORMED = 4, // malformed input
};

#endif
