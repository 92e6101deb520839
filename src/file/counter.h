/* SPDX-License-Identifier: Apache-2.0 */
/* The durable counter of an election: the source of its tokens. Changed only by whoever holds the election's lock. */
#ifndef TENURE_FILE_COUNTER_H
#define TENURE_FILE_COUNTER_H

#include <stdint.h>

#include <tenure/tenure.h>

/*
 * The next token, made durable before it is returned. `directory` is the election's; `exists_already` says that the
 * election has been led before, so that a counter that is missing is an error and not a beginning. The directory's own
 * name is made durable before the counter is. 0, TENURE_EIO, TENURE_EFOREIGN, TENURE_EVERSION, TENURE_ELIMIT (2^63-1 is
 * used up, or no descriptors).
 */
int counter_next(const char *directory, unsigned mode, bool exists_already, uint64_t *token,
                 struct tenure_error *error);
/* The token that was given last; 0 where there is no counter yet. */
int counter_read(const char *directory, uint64_t *token, struct tenure_error *error);

#endif
