// SPDX-License-Identifier: MIT
// Theory. The end of an item of indefinite length is known only once everything in it has been
// read. So nothing is measured ahead: a reader stands for one open item, knows the byte that its
// content cannot go beyond (its own end, or the outer item's), and leaving it hands over where it
// stopped. How deep items nest is decided by the caller's code, never by the input.
#include "attest/ber.h"

#define CONSTRUCTED 0x20
#define INDEFINITE  0x80

struct head {
	uint8_t tag;
	bool is_indefinite;
	size_t content; // offset
	size_t length;  // when it is definite
};

static bool malformed(
	struct attest_error *error, const char *field, size_t offset, const char *reason)
{
	return attest_fail(error, ATTEST_FAULT_MALFORMED, field, offset, "%s", reason);
}

void ber_begin(struct ber_reader *reader, const void *data, size_t length)
{
	*reader = (struct ber_reader){.data = data, .end = length};
}

bool ber_is_end(const struct ber_reader *reader)
{
	const uint8_t *next = reader->data + reader->offset;

	if (!reader->is_indefinite)
		return reader->offset == reader->end;
	return reader->end - reader->offset >= 2 && next[0] == 0 && next[1] == 0;
}

uint8_t ber_peek(const struct ber_reader *reader)
{
	if (ber_is_end(reader) || reader->offset == reader->end)
		return 0;
	return reader->data[reader->offset];
}

// One to four bytes of length behind the first, which says how many; the shortest form only.
static bool read_long_length(const struct ber_reader *reader, uint8_t first, size_t *length)
{
	size_t count = first & 0x7f, left = reader->end - reader->offset - 2;
	const uint8_t *at = reader->data + reader->offset + 2;

	if (count == 0 || count > 4 || count > left || at[0] == 0)
		return false;
	*length = 0;
	for (size_t i = 0; i < count; i++)
		*length = *length << 8 | at[i];
	return *length >= 0x80;
}

static bool read_head(const struct ber_reader *reader, uint8_t tag, const char *field,
	struct head *head, struct attest_error *error)
{
	uint8_t first;

	if (ber_is_end(reader) || reader->end - reader->offset < 2)
		return malformed(error, field, reader->offset, "is missing");
	*head = (struct head){.tag = reader->data[reader->offset]};
	if (head->tag != tag)
		return attest_fail(error, ATTEST_FAULT_MALFORMED, field, reader->offset,
			"has tag 0x%02x, not 0x%02x", head->tag, tag);
	first = reader->data[reader->offset + 1];
	head->content = reader->offset + 2;
	if (first < 0x80) {
		head->length = first;
	} else if (first == INDEFINITE && (tag & CONSTRUCTED)) {
		head->is_indefinite = true;
		return true;
	} else if (read_long_length(reader, first, &head->length)) {
		head->content += first & 0x7f;
	} else {
		return malformed(error, field, reader->offset + 1, "has a length of no known form");
	}
	if (head->length > reader->end - head->content)
		return malformed(error, field, reader->offset, "is longer than what it is in");
	return true;
}

bool ber_read(struct ber_reader *reader, uint8_t tag, const char *field, struct bytes *content,
	struct attest_error *error)
{
	struct head head;

	if (!read_head(reader, tag, field, &head, error))
		return false;
	*content = (struct bytes){reader->data + head.content, head.length};
	reader->offset = head.content + head.length;
	return true;
}

bool ber_enter(struct ber_reader *outer, uint8_t tag, const char *field, struct ber_reader *inner,
	struct attest_error *error)
{
	struct head head;

	if (!read_head(outer, tag, field, &head, error))
		return false;
	*inner = (struct ber_reader){
		.data = outer->data,
		.offset = head.content,
		.end = head.is_indefinite ? outer->end : head.content + head.length,
		.is_indefinite = head.is_indefinite,
	};
	return true;
}

bool ber_leave(struct ber_reader *outer, const struct ber_reader *inner, const char *field,
	struct attest_error *error)
{
	if (!ber_is_end(inner))
		return malformed(error, field, inner->offset,
			inner->offset == inner->end ? "does not end" : "holds more than it may");
	outer->offset = inner->offset + (inner->is_indefinite ? 2 : 0);
	return true;
}
