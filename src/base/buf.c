/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"

#include <string.h>

#include "base/check.h"

void buf_init(struct buf *b, char *data, size_t room)
{
	CHECK(data && room > 0);
	*b = (struct buf) { .data = data, .room = room };
	data[0] = '\0';
}

void buf_bytes(struct buf *b, const void *bytes, size_t n_bytes)
{
	if (b->overflow || n_bytes > b->room - b->used - 1) {
		b->overflow = true;
		return;
	}
	if (n_bytes > 0)
		memcpy(b->data + b->used, bytes, n_bytes);
	b->used += n_bytes;
	b->data[b->used] = '\0';
}

void buf_char(struct buf *b, char c)
{
	buf_bytes(b, &c, 1);
}

void buf_text(struct buf *b, const char *text)
{
	buf_bytes(b, text, strlen(text));
}

void buf_u64(struct buf *b, uint64_t value)
{
	char digits[20];
	size_t at = sizeof digits;

	do {
		digits[--at] = (char)('0' + value % 10);
		value /= 10;
	} while (value > 0);
	buf_bytes(b, digits + at, sizeof digits - at);
}

void buf_i64(struct buf *b, int64_t value)
{
	if (value < 0)
		buf_char(b, '-');
	buf_u64(b, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
}

void buf_hex64(struct buf *b, uint64_t value)
{
	char digits[16];

	for (size_t i = sizeof digits; i-- > 0; value >>= 4)
		digits[i] = "0123456789abcdef"[value & 15];
	buf_bytes(b, digits, sizeof digits);
}

size_t buf_utf8_length(const char *p, size_t n)
{
	const unsigned char *s = (const unsigned char *)p;
	size_t length;
	uint32_t code;

	if (n == 0)
		return 0;
	if (s[0] < 0x80)
		return 1;
	if (s[0] >= 0xc2 && s[0] <= 0xdf)
		length = 2, code = s[0] & 0x1fU;
	else if (s[0] >= 0xe0 && s[0] <= 0xef)
		length = 3, code = s[0] & 0x0fU;
	else if (s[0] >= 0xf0 && s[0] <= 0xf4)
		length = 4, code = s[0] & 0x07U;
	else
		return 0;
	if (length > n)
		return 0;
	for (size_t i = 1; i < length; i++) {
		if ((s[i] & 0xc0U) != 0x80)
			return 0;
		code = code << 6 | (s[i] & 0x3fU);
	}
	if ((length == 3 && (code < 0x800 || (code >= 0xd800 && code <= 0xdfff))) ||
	    (length == 4 && (code < 0x10000 || code > 0x10ffff)))
		return 0;
	return length;
}

static void buf_json_escape(struct buf *b, unsigned char c)
{
	switch (c) {
	case '"':
		buf_text(b, "\\\"");
		return;
	case '\\':
		buf_text(b, "\\\\");
		return;
	case '\n':
		buf_text(b, "\\n");
		return;
	case '\t':
		buf_text(b, "\\t");
		return;
	case '\r':
		buf_text(b, "\\r");
		return;
	default:
		buf_text(b, "\\u00");
		buf_char(b, "0123456789abcdef"[c >> 4]);
		buf_char(b, "0123456789abcdef"[c & 15]);
	}
}

void buf_json(struct buf *b, const char *text, size_t n_bytes)
{
	buf_char(b, '"');
	for (size_t i = 0; i < n_bytes;) {
		size_t length = buf_utf8_length(text + i, n_bytes - i);
		unsigned char c = (unsigned char)text[i];

		if (length == 0) {
			buf_text(b, "\xef\xbf\xbd");
			i++;
		} else if (length == 1 && (c < 0x20 || c == 0x7f || c == '"' || c == '\\')) {
			buf_json_escape(b, c);
			i++;
		} else {
			buf_bytes(b, text + i, length);
			i += length;
		}
	}
	buf_char(b, '"');
}
