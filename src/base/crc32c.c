/* SPDX-License-Identifier: Apache-2.0 */
#include "base/crc32c.h"

/* The reflected polynomial 0x1edc6f41. Bit by bit: it runs over 60 bytes before a write to disk, so a table gains
 * nothing. */
#define CRC32C_POLYNOMIAL 0x82f63b78u

uint32_t crc32c(const void *bytes, size_t n_bytes)
{
	const unsigned char *p = bytes;
	uint32_t crc = 0xffffffffu;

	for (size_t i = 0; i < n_bytes; i++) {
		crc ^= p[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? CRC32C_POLYNOMIAL : 0);
	}
	return ~crc;
}
