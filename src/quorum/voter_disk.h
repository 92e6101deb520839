/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A voter's store on disk: one directory, one process. Blocks: for a server's start and stop, and for the few writes
 * between (R22, R24, R26). All of it is durable when a call has returned 0.
 *
 *	superblock     the durable state, twice (superblock.h)
 *	snapshot       what was in memory at the last clean stop (R25); gone once a run has begun
 *	lock           held (flock) by the process that has the store open; its run and pid
 *	place          which file this is: see below
 *	*.new          of a write that was interrupted: overwritten by the next one
 *
 * Every state is written to one copy and made durable, then to the other: a write that is torn leaves the state before
 * it, and damage to any one copy loses nothing at all that was acknowledged.
 *
 * A COPY of a store must never vote: what one copy grants the other does not know (R42). `place` holds its own
 * file's birth time and inode number, which the kernel gives and no tool sets. `mv` within a file system, a remount, a
 * restart keep them; `cp -a`, rsync, a restored backup don't, so they are found, but for a store that never ran: it may
 * be carried to its host. A superblock that was put back alone is
 * older than the run in `lock`. A disk that is rolled back as a whole (a block device's or virtual machine's snapshot)
 * can't be found from here: candidates see the run number fall.
 */
#ifndef TENURE_QUORUM_VOTER_DISK_H
#define TENURE_QUORUM_VOTER_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tenure/tenure.h>

#include "quorum/superblock.h"
#include "quorum/voter.h"

struct voter_disk;

/*
 * Locks the store, reads it, and begins its next run: `run` has risen, durably, before this returns (R25), so that
 * whatever voter_new() is given below is given once. `allow_memory`: a memory file system is taken too (tests,
 * demonstrations).
 *
 * 0; TENURE_EEXIST: another process has it open. TENURE_ENOENT: missing or blank, it is lost or was never made (R42).
 * TENURE_EFOREIGN: damaged beyond use, parts of two voters, or no store at all. TENURE_EUNSAFE: a copy, rolled back, or
 * on a file system that is no local disk. TENURE_EVERSION: a later version wrote it. TENURE_EIO: cannot be read or
 * written (full, read-only, no permission). TENURE_ELIMIT, TENURE_ENOMEM. The message names the file and says what to do; nothing is left open.
 */
int voter_disk_open(struct voter_disk **out, const char *directory, bool allow_memory, struct tenure_error *error);
void voter_disk_close(
        struct voter_disk *d); /* NULL is allowed. Writes nothing: without voter_disk_finish() the stop is unclean */

/* What is durable now; its run is this run. Borrowed. */
const struct superblock *voter_disk_superblock(const struct voter_disk *d);
/*
 * How the voter starts (section 12). UNCLEAN too where the snapshot of a clean stop can't be read: then *why says so,
 * else it is NULL.
 */
enum voter_start voter_disk_start(const struct voter_disk *d, const char **why);
/* CLEAN: the snapshot's bytes, else NULL. Borrowed until voter_disk_forget_snapshot() or voter_disk_close(). */
const uint8_t *voter_disk_snapshot(const struct voter_disk *d, size_t *n_bytes);
void voter_disk_forget_snapshot(struct voter_disk *d);

/*
 * Makes `s` durable, after voter_wants_disk(). Its sequence is this module's business and is not looked at. From any
 * one thread at a time. 0; TENURE_EIO: the disk is full, read-only or broken. An error is final: it is not known any
 * more what the disk holds, so every later write fails with the same error, and the voter stops (R27) without
 * voter_disk_finish().
 */
int voter_disk_write(struct voter_disk *d, const struct superblock *s, struct tenure_error *error);
/*
 * The clean stop (R25), after voter_freeze(): the snapshot, then the superblock that makes it good for one start. 0;
 * TENURE_EIO, TENURE_ENOMEM: the next start is an unclean one, nothing worse.
 */
int voter_disk_finish(struct voter_disk *d, const uint8_t *snapshot, size_t n_bytes, struct tenure_error *error);

/* Reads a store's superblock without opening it: for tools that show it, a running voter's too. Codes as above. */
int voter_disk_look(struct superblock *s, const char *directory, struct tenure_error *error);
/* TENURE_EEXIST: another process has it open at this moment, and `error` names it. 0: none has, as far as can be told. */
int voter_disk_in_use(const char *directory, struct tenure_error *error);

/* ---- making one: voter_init() ---- */

/* Writes a new store into the empty directory `directory`. Everything durable but the directory's own name. */
int voter_disk_make(const char *directory, const struct superblock *s, struct tenure_error *error);

#endif
