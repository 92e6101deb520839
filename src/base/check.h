/* SPDX-License-Identifier: Apache-2.0 */
/* Programmer errors are asserted, always on (style rule 11). Never use it on bytes that came from outside. */
#ifndef TENURE_BASE_CHECK_H
#define TENURE_BASE_CHECK_H

#define CHECK(condition) ((condition) ? (void)0 : check_failed(#condition, __FILE__, __LINE__))

_Noreturn void check_failed(const char *condition, const char *file, int line);

#endif
