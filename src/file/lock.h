/* SPDX-License-Identifier: Apache-2.0 */
/* Open-file-description locks: they belong to the description, so every duplicate of it keeps them (fcntl(2)). */
#ifndef TENURE_FILE_LOCK_H
#define TENURE_FILE_LOCK_H

#include <stdint.h>

/* 0; 1: somebody else has it; TENURE_EIO with errno set. */
int lock_take(int fd);
/* For every duplicate at once. */
void lock_drop(int fd);
/* 1: another description has it; 0: nobody; -1: can't be told. A descriptor opened for reading will do. */
int lock_is_held(int fd);

#endif
