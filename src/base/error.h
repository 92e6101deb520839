/* SPDX-License-Identifier: Apache-2.0 */
/* What went wrong, where, and what to do about it, into the caller's struct tenure_error. */
#ifndef TENURE_BASE_ERROR_H
#define TENURE_BASE_ERROR_H

#include <tenure/tenure.h>

/*
 * Fills `error` (which may be NULL; only as many bytes as its struct_size allows, none where that is 0) and returns
 * `code`, so that a failing function ends with "return error_set(...)". `os_errno` other than 0 is appended in words.
 * A message that is too long is cut at a whole character.
 */
int error_set(struct tenure_error *error, int code, int os_errno, const char *format, ...)
        __attribute__((format(printf, 4, 5)));
#ifdef __clang_analyzer__
/* The analyzer does not look into variadic functions: tell it what is returned. */
#define error_set(error, code, ...) (error_set((error), (code), __VA_ARGS__), (code))
#endif
void error_clear(struct tenure_error *error);
/* Copies as much as the destination's struct_size allows. */
void error_copy(struct tenure_error *to, const struct tenure_error *from);
/* What a failed call on a file means: TENURE_ELIMIT where descriptors are used up, else TENURE_EIO. PURE. */
int error_code_of_errno(int os_errno);
/* May the same call succeed later, without anybody changing the configuration? */
bool error_retryable(int code);

#endif
