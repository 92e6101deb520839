/* SPDX-License-Identifier: Apache-2.0 */
/* The record beside a lock with any content: refused with a message, or read and written again as the same bytes. */
#include <stdint.h>
#include <string.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/crc32c.h"
#include "file/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_accepted(const struct record *r)
{
	char once[RECORD_MAX_BYTES], twice[RECORD_MAX_BYTES];
	struct record again;
	size_t n;

	CHECK(r->token >= 1 && r->token <= (uint64_t)TENURE_TOKEN_MAX && r->leading <= 1 && r->has_tree <= 1);
	CHECK(r->value_bytes <= sizeof r->value);
	CHECK(memchr(r->id, '\0', sizeof r->id) && memchr(r->identity, '\0', sizeof r->identity));
	CHECK(memchr(r->cgroup, '\0', sizeof r->cgroup) && memchr(r->page, '\0', sizeof r->page) &&
	      memchr(r->containment, '\0', sizeof r->containment));
	CHECK(r->holder.pid >= 0 && r->warden.pid >= 0 && r->init.pid >= 0);
	n = record_format(r, once, sizeof once);
	CHECK(n > 0);
	CHECK(record_parse(&again, once, n, "FILE", NULL) == 0);
	CHECK(record_format(&again, twice, sizeof twice) == n && memcmp(once, twice, n) == 0);
}

static void fuzz_one(const char *text, size_t n)
{
	struct tenure_error error = TENURE_ERROR_INIT;
	struct record r;
	int code = record_parse(&r, text, n, "FILE", &error);

	if (code == 0) {
		fuzz_accepted(&r);
	} else {
		CHECK(code == TENURE_EFOREIGN || code == TENURE_EVERSION);
		CHECK(error.code == code && strncmp(error.message, "FILE ", 5) == 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char mended[RECORD_MAX_BYTES + 32];
	struct buf b;

	fuzz_one(size > 0 ? (const char *)data : "", size);
	/* Random bytes never have the right checksum: give it to them, so that what lies behind it is reached. */
	buf_init(&b, mended, sizeof mended);
	buf_bytes(&b, data, size < RECORD_MAX_BYTES ? size : RECORD_MAX_BYTES);
	buf_text(&b, "end ");
	buf_hex64(&b, crc32c(mended, b.used - 4));
	buf_char(&b, '\n');
	fuzz_one(mended, b.used);
	return 0;
}
