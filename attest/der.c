// SPDX-License-Identifier: MIT
#include "attest/der.h"

#include <string.h>

#define DER_DEPTH_MAX 16

// X.690 8.1.3: up to three bytes of length are enough for all that is read here. Returns the size
// of the head, 0 when it is not well formed.
static size_t read_head(struct bytes in, size_t *length)
{
	if (in.length < 2 || (in.data[0] & 0x1f) == 0x1f)
		return 0;
	*length = in.data[1];
	if (in.data[1] < 0x80)
		return 2;
	size_t count = in.data[1] & 0x7f;
	if (count == 0 || count > 3 || in.length < 2 + count)
		return 0;
	*length = 0;
	for (size_t i = 0; i < count; i++)
		*length = *length << 8 | in.data[2 + i];
	bool is_shortest = count == 1 ? *length >= 0x80 : in.data[2] != 0;
	return is_shortest ? 2 + count : 0;
}

bool der_next(struct bytes *rest, struct der_item *item)
{
	size_t length = 0, head = read_head(*rest, &length);

	if (head == 0 || length > rest->length - head)
		return false;
	item->tag = rest->data[0];
	item->content = (struct bytes){rest->data + head, length};
	item->whole = (struct bytes){rest->data, head + length};
	*rest = (struct bytes){rest->data + head + length, rest->length - head - length};
	return true;
}

bool der_expect(struct bytes *rest, enum der_tag tag, struct der_item *item)
{
	return der_next(rest, item) && item->tag == tag;
}

static bool is_integer(struct bytes content)
{
	if (content.length == 0)
		return false;
	if (content.length == 1)
		return true;
	bool is_first_bit_set = content.data[1] & 0x80;
	return content.data[0] != (is_first_bit_set ? 0xff : 0x00);
}

static bool is_bit_string(struct bytes content)
{
	if (content.length == 0 || content.data[0] > 7)
		return false;
	unsigned spare = content.data[0];
	if (content.length == 1)
		return spare == 0;
	return (content.data[content.length - 1] & ((1U << spare) - 1)) == 0;
}

static bool is_oid(struct bytes content)
{
	bool is_first = true; // of the bytes of one arc

	for (size_t i = 0; i < content.length; i++) {
		if (is_first && content.data[i] == 0x80)
			return false;
		is_first = !(content.data[i] & 0x80);
	}
	return content.length > 0 && is_first;
}

static unsigned two_digits(const uint8_t *text)
{
	return (unsigned)(text[0] - '0') * 10 + (unsigned)(text[1] - '0');
}

// Of two digits year 0 to 99 stands for a year of 1950 to 2049, which year + 2000 is as long as.
static bool is_date(unsigned year, unsigned month, unsigned day)
{
	static const uint8_t days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

	return month >= 1 && month <= 12 && day >= 1 && day <= days[month - 1] &&
	       (is_leap || month != 2 || day <= 28);
}

// RFC 5280 4.1.2.5: seconds are there, no fractions, Z.
static bool is_time(struct bytes content, size_t year_digits)
{
	const uint8_t *text = content.data + year_digits;

	if (content.length != year_digits + 11 || content.data[content.length - 1] != 'Z')
		return false;
	for (size_t i = 0; i + 1 < content.length; i++) {
		if (content.data[i] < '0' || content.data[i] > '9')
			return false;
	}
	unsigned century = year_digits == 4 ? two_digits(content.data) : 20;
	return is_date(100 * century + two_digits(text - 2), two_digits(text),
		       two_digits(text + 2)) &&
	       two_digits(text + 4) <= 23 && two_digits(text + 6) <= 59 &&
	       two_digits(text + 8) <= 59;
}

static bool is_primitive(const struct der_item *item)
{
	switch (item->tag) {
	case DER_BOOLEAN:
		return item->content.length == 1 && item->content.data[0] == 0xff;
	case DER_INTEGER:
	case 0x0a: // ENUMERATED, in CRLs
		return is_integer(item->content);
	case DER_BIT_STRING:
		return is_bit_string(item->content);
	case 0x05: // NULL
		return item->content.length == 0;
	case DER_OID:
		return is_oid(item->content);
	case DER_UTC_TIME:
		return is_time(item->content, 2);
	case DER_GENERALIZED_TIME:
		return is_time(item->content, 4);
	case DER_OCTET_STRING:
	case 0x0c: // UTF8String
	case 0x13: // PrintableString
	case 0x14: // TeletexString
	case 0x16: // IA5String
	case 0x1c: // UniversalString
	case 0x1e: // BMPString
		return true;
	default:
		return item->tag >= 0x80 && item->tag < DER_CONTEXT; // context specific, implicit
	}
}

static bool are_items_strict(struct bytes rest, unsigned depth)
{
	struct der_item item;

	while (rest.length > 0) {
		if (!der_next(&rest, &item))
			return false;
		bool is_constructed = item.tag == DER_SEQUENCE || item.tag == DER_SET ||
				      (item.tag >= DER_CONTEXT && item.tag < 0xc0);
		if (is_constructed ? depth == 0 || !are_items_strict(item.content, depth - 1)
				   : !is_primitive(&item))
			return false;
	}
	return true;
}

bool der_is_strict(struct bytes data)
{
	struct bytes rest = data;
	struct der_item item;

	return der_next(&rest, &item) && rest.length == 0 && are_items_strict(data, DER_DEPTH_MAX);
}
