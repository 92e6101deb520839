/* SPDX-License-Identifier: Apache-2.0 */
/* A voter's superblock and a configuration with any content: refused with a message, or written again as the same bytes. */
#include <stdint.h>
#include <string.h>

#include "base/check.h"
#include "base/crc32c.h"
#include "quorum/bytes.h"
#include "quorum/superblock.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_config(const uint8_t *data, size_t size)
{
	static uint8_t again[QUORUM_CONFIG_MAX_BYTES];
	static struct quorum_config c;

	if (!quorum_config_decode(&c, data, size))
		return;
	CHECK(quorum_config_encode(&c, again, sizeof again) == size && memcmp(again, data, size) == 0);
	for (unsigned i = 0; i < c.n_members; i++) {
		CHECK(quorum_config_find(&c, &c.members[i].vid) == (int)i);
		CHECK(memchr(c.members[i].address, '\0', sizeof c.members[i].address) && c.members[i].address[0]);
	}
}

static void fuzz_copy(const uint8_t *copy, size_t size)
{
	static uint8_t again[SUPERBLOCK_COPY_BYTES];
	struct tenure_error error = TENURE_ERROR_INIT;
	static struct superblock s;
	int code = superblock_decode(&s, copy, size, &error);
	size_t length;

	if (code != 0) {
		CHECK((code == TENURE_EFOREIGN || code == TENURE_EVERSION) && error.code == code && error.message[0]);
		return;
	}
	CHECK(memchr(s.name, '\0', sizeof s.name) && s.ceiling <= QUORUM_TERM_MAX && s.clean_run <= s.run);
	length = bytes_get32(copy + 12) + 4;
	superblock_encode(&s, again);
	CHECK(length <= sizeof again && memcmp(again, copy, length) == 0);
}

static void fuzz_mend(uint8_t *copy)
{
	uint32_t length = bytes_get32(copy + 12);

	if (length >= 24 && length <= SUPERBLOCK_COPY_BYTES - 4)
		bytes_put32(copy + length, crc32c(copy, length));
}

/* Whatever the file says: one of its copies, or a refusal. */
static void fuzz_file(const uint8_t *file, size_t size)
{
	static struct superblock s, one;
	int code = superblock_choose(&s, file, size, NULL);

	CHECK(code == 0 || code == TENURE_EFOREIGN || code == TENURE_EVERSION);
	if (code != 0)
		return;
	CHECK(size == SUPERBLOCK_FILE_BYTES);
	CHECK(superblock_decode(&one, file + s.sequence % 2 * SUPERBLOCK_COPY_BYTES, SUPERBLOCK_COPY_BYTES, NULL) == 0);
	CHECK(one.sequence == s.sequence);
	if (superblock_decode(&one, file + (size_t) !(s.sequence % 2) * SUPERBLOCK_COPY_BYTES, SUPERBLOCK_COPY_BYTES,
	                      NULL) == 0)
		CHECK(one.sequence < s.sequence && quorum_id_equal(&one.vid, &s.vid));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t file[SUPERBLOCK_FILE_BYTES];

	fuzz_config(data, size);
	fuzz_copy(data, size);
	fuzz_file(data, size);
	if (size > SUPERBLOCK_FILE_BYTES)
		return 0;
	/* Random bytes never have the right checksum: give it to them. The two halves of the input are the two copies. */
	memset(file, 0, sizeof file);
	memcpy(file, data, size / 2);
	memcpy(file + SUPERBLOCK_COPY_BYTES, data + size / 2, size - size / 2);
	fuzz_mend(file);
	fuzz_mend(file + SUPERBLOCK_COPY_BYTES);
	fuzz_copy(file, SUPERBLOCK_COPY_BYTES);
	fuzz_copy(file + SUPERBLOCK_COPY_BYTES, SUPERBLOCK_COPY_BYTES);
	fuzz_file(file, sizeof file);
	return 0;
}
