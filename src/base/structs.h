/* SPDX-License-Identifier: Apache-2.0 */
/* Public structs begin with struct_size, so that an older or newer caller can be served. PURE. */
#ifndef TENURE_BASE_STRUCTS_H
#define TENURE_BASE_STRUCTS_H

#include <stddef.h>

/*
 * Copies the caller's struct `in` into `out`, the library's own of `out_bytes`: what an older, smaller one lacks is
 * zero. `in` may be NULL: all zero. TENURE_EINVAL where struct_size is smaller than itself, or where a newer, larger
 * one sets a field that this library does not know (a non-zero byte beyond out_bytes).
 */
int structs_import(void *out, size_t out_bytes, const void *in);

#endif
