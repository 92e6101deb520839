/* SPDX-License-Identifier: Apache-2.0 */
/* Writes a voter's durable state on a thread of its own, so that a disk that stalls stalls no vote (R23). */
#ifndef TENURE_QUORUM_VOTER_WRITER_H
#define TENURE_QUORUM_VOTER_WRITER_H

#include <stdbool.h>
#include <stdint.h>

#include "loop/loop.h"
#include "quorum/voter_disk.h"

struct voter_writer;

/* A write has ended: 0, or the disk's error. On the loop thread, between its `before` and `after`. */
typedef void voter_writer_fn(void *arg, int code, const struct tenure_error *error);

/* Borrows the disk. 0; TENURE_ENOMEM; TENURE_ELIMIT: no descriptor or thread. */
int voter_writer_new(struct voter_writer **out, struct loop *l, struct voter_disk *disk, voter_writer_fn *fn, void *arg,
                     struct tenure_error *error);
/* One at a time. */
void voter_writer_write(struct voter_writer *w, const struct superblock *s);
/*
 * Ends the thread once the write in progress has ended; fn is not called any more. [blocks] 0: the disk is the caller's
 * again; the error of that write; TENURE_TIMEOUT: the disk does not answer, thread and disk must be left alone until the
 * process ends.
 */
int voter_writer_end(struct voter_writer *w, uint64_t limit_ns, struct tenure_error *error);
void voter_writer_free(struct voter_writer *w); /* NULL is allowed; after an end that was no TENURE_TIMEOUT */

struct voter_writer_stats {
	uint64_t n_writes, last_ns, longest_ns, total_ns;
	uint64_t busy_since_ns; /* 0: idle */
};
void voter_writer_read_stats(const struct voter_writer *w, struct voter_writer_stats *out);

#endif
