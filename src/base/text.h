/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers and durations from text, strictly: the whole text or nothing. PURE. */
#ifndef TENURE_BASE_TEXT_H
#define TENURE_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Decimal digits only; false on anything else, and above `max`. */
bool text_u64(const char *text, uint64_t max, uint64_t *value);
bool text_u64_n(const char *text, size_t n_bytes, uint64_t max, uint64_t *value);
/* 1 to 16 hexadecimal digits of lower case. */
bool text_hex64_n(const char *text, size_t n_bytes, uint64_t *value);
/*
 * "10s", "1m30s", "1.5s", "250ms", "0s": one or more numbers, each with its unit (ms, s, m, h). False on anything else, a
 * bare number included, and above 10 years.
 */
bool text_duration_ns(const char *text, uint64_t *ns);
/* The shortest of the same forms, for people: "10s", "1m30s", "250ms", "1.5ms"; "never" for UINT64_MAX. */
const char *text_from_duration(uint64_t ns, char *out, size_t room);

#endif
