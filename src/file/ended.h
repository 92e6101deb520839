/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ends what an earlier holder of an election may have left alive, and proves that it is over. With the lock in hand
 * that is still needed: an exiting init's descriptors close before its namespace is killed (COMPATIBILITY: File).
 */
#ifndef TENURE_FILE_ENDED_H
#define TENURE_FILE_ENDED_H

#include <stdbool.h>

#include <tenure/tenure.h>

#include "file/record.h"

enum ended_result {
	ENDED_PROVEN,    /* nothing of it lives: the next holder may announce itself */
	ENDED_PENDING,   /* killed, not dead yet: ask again in a moment, or when *pidfd is readable */
	ENDED_UNPROVABLE /* it can't be told from here; the message says what to do */
};

/*
 * One step; never waits. `lock_same`: the lock file is the one that the record's holder locked. *pidfd, where it is set
 * (else -1), becomes readable when it is worth asking again; owned by the caller.
 */
enum ended_result ended_step(const struct record *r, const struct process_scope *scope, bool lock_same, int *pidfd,
                             struct tenure_error *error);

/*
 * The lease page of a tenure that is proven over says so to whoever still has it mapped: a supervisor that was killed,
 * or is stopped, could not. Only a page of just that tenure is touched, and only one of this user. Best effort.
 */
void ended_page(const struct record *r);

#endif
