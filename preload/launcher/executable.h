// SPDX-License-Identifier: MIT
// What a program file says about itself, as far as it decides whether LD_PRELOAD can work: pure
// reading of bytes that came from anywhere.
#ifndef AIRLOCK_LAUNCHER_EXECUTABLE_H
#define AIRLOCK_LAUNCHER_EXECUTABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/compiler.h"
#include "wire/parse.h"

#define EXECUTABLE_PATH_SIZE 256 // the kernel's own limit for a #! line is 256 bytes (execve(2))

enum executable_kind {
	EXECUTABLE_OTHER,  // neither: execvp(3) gives such a file to the shell
	EXECUTABLE_SCRIPT, // begins with #!
	EXECUTABLE_ELF,
};

struct executable {
	enum executable_kind kind;
	char interpreter[EXECUTABLE_PATH_SIZE]; // the script's, or PT_INTERP; empty: a static ELF
	char argument[EXECUTABLE_PATH_SIZE];    // script: the rest of the #! line, may be empty
	bool is_native; // ELF: this build's class, byte order and machine. When false nothing below
			// is known
	bool is_go;     // made by the Go toolchain, which makes system calls without libc
	bool uses_io_uring; // needs liburing
};

// Reads a whole file of length bytes. Returns false with *error filled when it begins as one of the
// kinds but cannot be followed: an offset past the end, a line without an end.
bool executable_parse(const uint8_t *bytes, size_t length, struct executable *executable,
	struct parse_error *error) MUST_CHECK;

#endif
