/* SPDX-License-Identifier: Apache-2.0 */
/* CRC-32C (Castagnoli, RFC 3720 appendix B.4): crc32c("123456789") == 0xe3069283. PURE. */
#ifndef TENURE_BASE_CRC32C_H
#define TENURE_BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

uint32_t crc32c(const void *bytes, size_t n_bytes);

#endif
