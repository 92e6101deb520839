/* SPDX-License-Identifier: Apache-2.0 */
/* What a file system must be so that locks exclude and what was made durable is found again. */
#ifndef TENURE_BASE_FS_H
#define TENURE_BASE_FS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include <tenure/tenure.h>

/*
 * Is `path` on a file system of this host alone? Where it does not exist yet, its nearest directory that does is
 * judged. 0; TENURE_EUNSAFE for a network, cluster or user-space file system, whose locks or durability are somebody
 * else's promise, for one of the kernel's that keeps no files, and, unless `allow_memory`, for one that forgets everything with the host: the message names it.
 * TENURE_EIO where it can't be told.
 */
int fs_check_local(const char *path, bool allow_memory, struct tenure_error *error);
/*
 * "mkdir -p", each new directory made durable in its parent. A directory that exists is left as it is. 0, TENURE_EIO,
 * TENURE_ELIMIT (no descriptors).
 */
int fs_make_directories(const char *path, unsigned mode, struct tenure_error *error);
/* From the start of a file, whole. The bytes read, which are fewer only at its end; -1 with errno set. */
ssize_t fs_pread(int fd, void *to, size_t n_bytes);
/* All of it, at `at`. 0, or -1 with errno set. */
int fs_pwrite(int fd, const void *from, size_t n_bytes, off_t at);

#endif
