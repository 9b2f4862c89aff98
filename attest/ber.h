// SPDX-License-Identifier: MIT
// Reads the basic encoding rules (X.690 8.1) as CMS messages in streaming form use them: lengths
// may be definite or, of constructed items, indefinite. Everything else is as strict as DER: tags
// of one byte, lengths in their shortest form. Pure, no allocation, no recursion.
#ifndef AIRLOCK_ATTEST_BER_H
#define AIRLOCK_ATTEST_BER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "attest/bytes.h"
#include "attest/error.h"
#include "wire/compiler.h"

enum ber_tag {
	BER_INTEGER = 0x02,
	BER_OCTET_STRING = 0x04,
	BER_NULL = 0x05,
	BER_OID = 0x06,
	BER_SEQUENCE = 0x30,
	BER_SET = 0x31,
	BER_CONTEXT_0 = 0x80,
	BER_CONTEXT_0_CONSTRUCTED = 0xa0,
	BER_CONTEXT_1_CONSTRUCTED = 0xa1,
};

// The content of one constructed item, or the whole input.
struct ber_reader {
	const uint8_t *data; // of the whole input: offsets are relative to it
	size_t offset;       // of the next item
	size_t end;          // nothing of this item lies at or behind it
	bool is_indefinite;  // ends with two zero bytes, before end
};

void ber_begin(struct ber_reader *reader, const void *data, size_t length);

// Whether nothing follows in this item.
bool ber_is_end(const struct ber_reader *reader);

// The next item's tag without taking it; 0 at the end.
uint8_t ber_peek(const struct ber_reader *reader);

// Takes a primitive item of this tag. field names it in the error (MALFORMED).
bool ber_read(struct ber_reader *reader, uint8_t tag, const char *field, struct bytes *content,
	struct attest_error *error) MUST_CHECK;

// Enters a constructed item of this tag; *inner reads its content. ber_leave, when everything in it
// has been taken, sets the outer reader behind it.
bool ber_enter(struct ber_reader *outer, uint8_t tag, const char *field, struct ber_reader *inner,
	struct attest_error *error) MUST_CHECK;
bool ber_leave(struct ber_reader *outer, const struct ber_reader *inner, const char *field,
	struct attest_error *error) MUST_CHECK;

#endif
