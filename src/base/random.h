/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TENURE_BASE_RANDOM_H
#define TENURE_BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

/* 64 bits of the kernel's generator. 0, or TENURE_EINTERNAL where it refuses. */
int random_u64(uint64_t *value);
/* The same for any bytes, at most 256. */
int random_bytes(void *bytes, size_t n_bytes);

#endif
