// SPDX-License-Identifier: MIT
// What this process believes about each of its descriptors: one byte, so that read() and write() on
// anything that is not routed cost a load and a branch.
//
// The beliefs survive unseen closes, because they err on one side only. A descriptor becomes a
// stream through hooked calls alone (connect, the dup family, a received SCM_RIGHTS, and exec,
// after which all is UNKNOWN), so PLAIN stays true whatever is closed and opened under that number.
// OPEN and CAREFUL may be stale: they are checked by the socket's cookie before anything depends on
// them.
#ifndef AIRLOCK_PRELOAD_FDS_H
#define AIRLOCK_PRELOAD_FDS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "preload/shared/socket_table.h"
#include "wire/compiler.h"

#define FDS_COUNT                                                                                  \
	(1 << 20) // the default hard limit of systemd systems; higher ones are always UNKNOWN

enum fd_word { // a class, and bits
	FD_UNKNOWN = 0,
	FD_PLAIN = 1,
	FD_OPEN =
		2, // probably an open stream: the real call first, questions only about odd results
	FD_CAREFUL = 3, // a stream that is pending, failed or shut: looked up before each operation
	FD_CLASS = 3,   // mask
	FD_CUT = 4,     // vsock: a single send has a maximum
	FD_SHARED = 8,  // duplicated: the same socket may have other numbers
	FD_TOUCHED = 16, // an option was set while not a stream
};

extern _Atomic uint8_t fds_words[FDS_COUNT];

static inline uint8_t fds_word(int fd)
{
	if (__builtin_expect((unsigned)fd < FDS_COUNT, 1))
		return atomic_load_explicit(&fds_words[fd], memory_order_relaxed);
	return (uint8_t)(fd < 0 ? FD_PLAIN : FD_UNKNOWN);
}

static inline bool fds_is_plain(int fd)
{
	return __builtin_expect((fds_word(fd) & FD_CLASS) == FD_PLAIN, 1);
}

// The word, after finding out what an UNKNOWN descriptor is: never FD_UNKNOWN. Leaves errno alone.
uint8_t fds_classify_slowly(int fd);

static inline uint8_t fds_classify(int fd)
{
	uint8_t word = fds_word(fd);

	return __builtin_expect((word & FD_CLASS) != FD_UNKNOWN, 1) ? word
								    : fds_classify_slowly(fd);
}

// The stream behind fd, by its cookie, or NULL. Corrects the word. Leaves errno alone.
struct socket_entry *fds_find(int fd);

// As fds_find, for calls that have no fast path: a PLAIN word saves the look.
static inline struct socket_entry *fds_find_unless_plain(int fd)
{
	return fds_is_plain(fd) ? NULL : fds_find(fd);
}

// SO_COOKIE (socket(7)), 0 when fd is no socket. Leaves errno alone.
uint64_t fds_cookie(int fd);

// The socket's inode (fstat(2)), 0 when fd is no socket. Leaves errno alone.
uint64_t fds_inode(int fd);

// Sets the class that the entry's phase and flags ask for.
void fds_set_stream(int fd, const struct socket_entry *entry);
void fds_set_unknown(int fd);
void fds_set_plain(int fd);
void fds_add_bits(int fd, uint8_t bits); // FD_SHARED, FD_TOUCHED
void fds_clear_bits(int fd, uint8_t bits);

// to is now a duplicate of from. Only ever raises to's word: the caller may be the child of a
// vfork, whose parent goes on with this memory but with its own descriptors.
void fds_note_duplicate(int from, int to);

// This process has been forked: its streams are another one's too. Calls system calls for each of
// them, none for other descriptors.
void fds_note_fork(void);

// Calls visit for each other descriptor of this process that carries FD_SHARED and whose cookie is
// this one.
void fds_visit_duplicates(
	int fd, uint64_t cookie, void (*visit)(int duplicate, void *context), void *context);

// socket_table_insert's question. What another process has is read in /proc; where that cannot be
// read, it uses its entries until its end. Async-signal-safe, no cancellation point, and leaves
// errno alone.
enum socket_use fds_use_of(const struct socket_entry *entry);

#endif
