// SPDX-License-Identifier: MIT
#include "wire/buffer.h"

void buffer_attach(struct buffer *buffer, uint8_t *data, size_t capacity)
{
	*buffer = (struct buffer){.data = data, .capacity = capacity};
}

uint8_t *buffer_detach(struct buffer *buffer)
{
	uint8_t *data = buffer->data;

	*buffer = (struct buffer){.data = NULL};
	return data;
}

size_t buffer_space(const struct buffer *buffer)
{
	return buffer->capacity - buffer->length;
}

// The length bytes of the ring from offset on, which may run past its end.
static int ring_pieces(
	const struct buffer *buffer, size_t offset, size_t length, struct iovec pieces[static 2])
{
	if (length == 0)
		return 0;

	size_t before_end = buffer->capacity - offset;
	if (length <= before_end) {
		pieces[0] = (struct iovec){buffer->data + offset, length};
		return 1;
	}
	pieces[0] = (struct iovec){buffer->data + offset, before_end};
	pieces[1] = (struct iovec){buffer->data, length - before_end};
	return 2;
}

// offset is less than twice the capacity: a subtraction, because a division costs more than the
// rest.
static size_t wrap(const struct buffer *buffer, size_t offset)
{
	return offset < buffer->capacity ? offset : offset - buffer->capacity;
}

int buffer_space_pieces(const struct buffer *buffer, struct iovec pieces[static 2])
{
	size_t end = wrap(buffer, buffer->start + buffer->length);

	return ring_pieces(buffer, end, buffer_space(buffer), pieces);
}

int buffer_data_pieces(const struct buffer *buffer, size_t limit, struct iovec pieces[static 2])
{
	size_t length = buffer->length < limit ? buffer->length : limit;

	return ring_pieces(buffer, buffer->start, length, pieces);
}

void buffer_produce(struct buffer *buffer, size_t length)
{
	if (length > buffer_space(buffer))
		__builtin_trap();
	buffer->length += length;
}

void buffer_consume(struct buffer *buffer, size_t length)
{
	if (length > buffer->length)
		__builtin_trap();
	buffer->length -= length;
	// An emptied ring starts over, so that the next read and write are one piece each.
	buffer->start = buffer->length == 0 ? 0 : wrap(buffer, buffer->start + length);
}
