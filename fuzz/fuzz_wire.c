/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes of a connection: frames are refused, waited for, or read and written again as the same bytes. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <tenure/tenure.h>

#include "base/check.h"
#include "quorum/bytes.h"
#include "quorum/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_waiters(const struct wire_item *item)
{
	struct wire_waiter w;
	unsigned n = 0;
	size_t at = 0;

	if (item->type != WIRE_READ_R)
		return;
	while (wire_waiter_next(&item->read_r, &at, &w) == WIRE_OK) {
		CHECK(w.label.n <= NAMES_ID_MAX_BYTES);
		CHECK(w.label.n == 0 || w.label.data + w.label.n <= item->read_r.waiters.data + at);
		n++;
	}
	CHECK(n == item->read_r.n_waiters && at == item->read_r.waiters.n);
}

/* One frame whose header is good. */
static void fuzz_frame(struct wire_frame f, const uint8_t *bytes, size_t n_bytes)
{
	struct wire_item item;
	struct wire_out o;
	int code;

	wire_out_init(&o);
	wire_out_begin(&o, f.cver, f.round);
	while ((code = wire_frame_item(&f, &item)) == WIRE_OK) {
		CHECK(wire_type_name(item.type)[0] != '?' && item.term <= QUORUM_TERM_MAX);
		fuzz_waiters(&item);
		wire_out_put(&o, &item);
	}
	CHECK(code == WIRE_END || code == TENURE_EPROTO);
	wire_out_close(&o);
	CHECK(!o.failed);
	if (code == WIRE_END)
		CHECK(wire_out_pending(&o) == n_bytes && memcmp(o.data + o.begin, bytes, n_bytes) == 0);
	wire_out_deinit(&o);
}

static void fuzz_stream(const uint8_t *bytes, size_t n_bytes)
{
	while (n_bytes > 0) {
		struct wire_frame f;
		size_t n = 0;
		int code = wire_frame_read(&f, bytes, n_bytes, &n);

		if (code != WIRE_OK) {
			CHECK(code == TENURE_EPROTO || code == TENURE_EVERSION || code == WIRE_MORE);
			CHECK(code != WIRE_MORE || n == 0 || (n > n_bytes && n <= WIRE_FRAME_MAX_BYTES + 4));
			return;
		}
		CHECK(n <= n_bytes && n >= WIRE_HEADER_BYTES);
		fuzz_frame(f, bytes, n);
		bytes += n;
		n_bytes -= n;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *mended;

	fuzz_stream(data, size);
	/* Then as one frame, whose header is made good: the first two bytes are its number of items. */
	if (size < 2 || size > WIRE_FRAME_MAX_BYTES - WIRE_HEADER_BYTES)
		return 0;
	mended = calloc(1, size - 2 + WIRE_HEADER_BYTES);
	CHECK(mended);
	bytes_put32(mended, (uint32_t)(size - 2 + WIRE_HEADER_BYTES - 4));
	bytes_put16(mended + 4, WIRE_MAGIC);
	mended[6] = WIRE_VERSION;
	memcpy(mended + 20, data, size);
	fuzz_stream(mended, size - 2 + WIRE_HEADER_BYTES);
	free(mended);
	return 0;
}
