/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The candidates that wait, one file each in ELECTION/waiting: its name says all (so that nothing has to be read), and
 *an open-file-description lock on it says that its candidate lives. Names sort in the order of the queue: higher
 *priority first, then first come.
 *
 *	PPPPP-TTTTTTTTTTTTTTTTTTTT-NNNNNNNNNNNNNNNN-ID
 *
 * P = 65535 - priority; T = CLOCK_BOOTTIME ns at arrival, 0 for one that was named to be next; N = nonce of the
 *session.
 */
#ifndef TENURE_FILE_QUEUE_H
#define TENURE_FILE_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tenure/tenure.h>

#include "base/names.h"

#define QUEUE_NAME_ROOM (5 + 1 + 20 + 1 + 16 + 1 + NAMES_ID_MAX_BYTES + 1)

struct queue_entry {
	char name[QUEUE_NAME_ROOM];
	uint16_t priority;
	uint64_t ticket; /* 0: promoted */
	uint64_t nonce;
	const char *id; /* in name */
};

struct queue {
	struct queue_entry *entries; /* in order; owned */
	size_t n;
};

/* PURE. */
void queue_name(char out[QUEUE_NAME_ROOM], uint16_t priority, uint64_t ticket, uint64_t nonce, const char *id);
bool queue_parse(struct queue_entry *e, const char *name);

/* Reads the directory `path`; one that is not there is an empty queue. 0, TENURE_EIO, TENURE_ELIMIT, TENURE_ENOMEM. */
int queue_read(struct queue *q, const char *path, struct tenure_error *error);
void queue_deinit(struct queue *q);
/* Where this nonce stands, or q->n. PURE. */
size_t queue_find(const struct queue *q, uint64_t nonce);
/*
 * Which entries `who` means, an id or an identity: the index; or TENURE_ENOENT, TENURE_EAMBIGUOUS with the identities
 * in the message. PURE.
 */
int queue_resolve(const struct queue *q, const char *who, size_t *index, struct tenure_error *error);

/* Does the candidate of the file live? 1 yes (or it can't be told from here); 0 no: the file was left behind. */
int queue_alive(const char *path, const char *name);

/*
 * Enters: makes the file, locked, under its final name. Returns the descriptor, owned; a negative code.
 * `mode` is that of the new file.
 */
int queue_enter(const char *path, const char *name, unsigned mode, uint64_t nonce, struct tenure_error *error);
/* Makes an entry sort before all others. 0, or TENURE_EIO. */
int queue_promote(const char *path, const struct queue_entry *e);
/*
 * Removes files that begin with `prefix` and belong to nobody who lives: what died half-way through queue_enter()
 * (QUEUE_NEW), or through another file that is written first and named then. Best effort.
 */
#define QUEUE_NEW ".new-"
void queue_sweep(const char *path, const char *prefix);

#endif
