// SPDX-License-Identifier: MIT
// A bounded first-in first-out byte ring for one direction of a relay. It never grows: a relay that
// finds no space stops reading, and that is the back-pressure.
#ifndef AIRLOCK_WIRE_BUFFER_H
#define AIRLOCK_WIRE_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "wire/compiler.h"

struct buffer {
	uint8_t *data;   // owned by the caller; NULL with capacity 0 while nothing is attached
	size_t capacity; // bytes
	size_t start;    // of the oldest byte
	size_t length;   // bytes held
};

void buffer_attach(struct buffer *buffer, uint8_t *data, size_t capacity);

// Takes the memory back; the buffer must be empty or about to be thrown away.
uint8_t *buffer_detach(struct buffer *buffer);

size_t buffer_space(const struct buffer *buffer);

// The free space, oldest first, as at most two pieces for readv. Returns how many (0: full).
int buffer_space_pieces(const struct buffer *buffer, struct iovec pieces[static 2]);

// The bytes held, oldest first, as at most two pieces for writev, of at most limit bytes in all.
int buffer_data_pieces(const struct buffer *buffer, size_t limit, struct iovec pieces[static 2]);

// length bytes were read into the space / written from the data. Going past either is a bug and
// traps.
void buffer_produce(struct buffer *buffer, size_t length);
void buffer_consume(struct buffer *buffer, size_t length);

#endif
