// SPDX-License-Identifier: MIT
// The distinguished encoding (X.690) of what certificates and CRLs are made of. Pure, no
// allocation. GnuTLS decodes some of them leniently; here each value has exactly one encoding.
#ifndef AIRLOCK_ATTEST_DER_H
#define AIRLOCK_ATTEST_DER_H

#include <stdbool.h>
#include <stdint.h>

#include "attest/bytes.h"
#include "wire/compiler.h"

enum der_tag {
	DER_BOOLEAN = 0x01,
	DER_INTEGER = 0x02,
	DER_BIT_STRING = 0x03,
	DER_OCTET_STRING = 0x04,
	DER_OID = 0x06,
	DER_UTC_TIME = 0x17,
	DER_GENERALIZED_TIME = 0x18,
	DER_SEQUENCE = 0x30,
	DER_SET = 0x31,
	DER_CONTEXT = 0xa0, // [0], constructed; [1] is one more
};

struct der_item {
	uint8_t tag;
	struct bytes content;
	struct bytes whole; // head and content
};

// Takes the first item off *rest. False: the input ends, a tag number above 30, a length that is
// indefinite, not in its shortest form or longer than what is left.
bool der_next(struct bytes *rest, struct der_item *item) MUST_CHECK;

// The same when that item must have this tag.
bool der_expect(struct bytes *rest, enum der_tag tag, struct der_item *item) MUST_CHECK;

// Whether data is exactly one item and this and everything inside it (octet strings are leaves) is
// in distinguished encoding: no constructed strings, shortest integers and OIDs, no spare bits set,
// times as YYMMDDHHMMSSZ or YYYYMMDDHHMMSSZ that exist. A BOOLEAN may only be TRUE: all of those
// in a certificate default to FALSE, and defaults are not written (X.690 11.5). Universal types
// that no certificate has are refused, and nesting of more than 16.
bool der_is_strict(struct bytes data) MUST_CHECK;

#endif
