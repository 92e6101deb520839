/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TENURE_TESTS_TOY_STORE_H
#define TENURE_TESTS_TOY_STORE_H

#include <stdbool.h>

/* A test's hand on the store: while stalled it answers no renewal, and grants nothing. */
void toy_stall(bool stalled);

#endif
