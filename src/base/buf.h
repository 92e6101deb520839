/* SPDX-License-Identifier: Apache-2.0 */
/* Text into a caller's buffer: bounded, always terminated, never allocating. PURE. */
#ifndef TENURE_BASE_BUF_H
#define TENURE_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf {
	char *data;    /* borrowed */
	size_t room;   /* bytes, the terminator included; at least 1 */
	size_t used;   /* bytes without the terminator */
	bool overflow; /* something did not fit; what is there is a prefix */
};

void buf_init(struct buf *b, char *data, size_t room);
void buf_char(struct buf *b, char c);
void buf_bytes(struct buf *b, const void *bytes, size_t n_bytes);
void buf_text(struct buf *b, const char *text);
void buf_u64(struct buf *b, uint64_t value);
void buf_i64(struct buf *b, int64_t value);
void buf_hex64(struct buf *b, uint64_t value); /* 16 digits, lower case */
/* A JSON string with its quotes. Bytes that are not UTF-8 become U+FFFD, so that the result is always valid JSON. */
void buf_json(struct buf *b, const char *text, size_t n_bytes);

/* The length of the UTF-8 sequence at p, 1..4, or 0 where there is none within n bytes (overlong, surrogate, cut). */
size_t buf_utf8_length(const char *p, size_t n);

#endif
