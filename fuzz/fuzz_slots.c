/* SPDX-License-Identifier: Apache-2.0 */
/* A counter's or guard's file with any content: it is refused with a message, or means what it says. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/crc32c.h"
#include "base/slots.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_refused(const struct tenure_error *error, int code)
{
	CHECK(code == TENURE_EIO || code == TENURE_EFOREIGN || code == TENURE_EVERSION);
	CHECK(error->code == code);
	CHECK(strncmp(error->message, "FILE ", 5) == 0);
}

static void fuzz_accepted(const struct slots *s, uint32_t magic, const uint8_t *data)
{
	unsigned char again[64];
	struct slots other;
	unsigned char next[SLOTS_BYTES];

	CHECK(s->magic == magic && s->present <= 1 && s->sequence > 0);
	CHECK(s->value <= SLOTS_VALUE_MAX && s->older <= SLOTS_VALUE_MAX);
	/* What was read is what would be written. */
	slots_encode(again, magic, s->sequence, s->value);
	CHECK(memcmp(again, data + (size_t)64 * s->present, sizeof again) == 0);
	if (!s->torn) {
		slots_encode(again, magic, s->sequence - 1, s->older);
		CHECK(memcmp(again, data + (size_t)64 * !s->present, sizeof again) == 0);
	}
	if (s->sequence == UINT64_MAX)
		return;
	/* And the next write leaves a file that is read as that write. */
	memcpy(next, data, sizeof next);
	slots_encode(next + (size_t)64 * !s->present, magic, s->sequence + 1, SLOTS_VALUE_MAX);
	CHECK(slots_decode(&other, magic, next, sizeof next, "FILE", NULL) == 0);
	CHECK(other.value == SLOTS_VALUE_MAX && other.older == s->value && other.present != s->present && !other.torn);
}

static void fuzz_one(uint32_t magic, const uint8_t *data, size_t size)
{
	struct tenure_error error = TENURE_ERROR_INIT;
	struct slots s;
	int code = slots_decode(&s, magic, data, size, "FILE", &error);

	if (code == 0)
		fuzz_accepted(&s, magic, data);
	else
		fuzz_refused(&error, code);
}

/* Random bytes never have the right checksum: give it to them, so that what lies behind it is reached. */
static void fuzz_mend(uint8_t *bytes)
{
	for (size_t i = 0; i < 2; i++) {
		uint32_t crc = crc32c(bytes + (size_t)64 * i, 60);

		for (size_t b = 0; b < 4; b++)
			bytes[(size_t)64 * i + 60 + b] = (uint8_t)(crc >> (8 * b));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint32_t magics[] = { SLOTS_MAGIC_COUNTER, SLOTS_MAGIC_GUARD };
	uint8_t mended[SLOTS_BYTES];

	for (size_t i = 0; i < 2; i++) {
		fuzz_one(magics[i], data, size);
		if (size < 2 || size > SLOTS_BYTES)
			continue;
		memset(mended, 0, sizeof mended);
		memcpy(mended, data, size);
		fuzz_mend(mended);
		fuzz_one(magics[i], mended, sizeof mended);
	}
	return 0;
}
