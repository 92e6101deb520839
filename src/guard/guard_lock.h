/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two locks of a guard's file, open-file-description locks on one byte each, and waiting for them with a limit. The
 * kernel's own waiting (F_OFD_SETLKW) ends only with the lock or a signal, and a library has no signal to spare: so the
 * lock is tried whenever the file is closed or written by somebody (inotify), and now and then besides.
 */
#ifndef TENURE_GUARD_GUARD_LOCK_H
#define TENURE_GUARD_GUARD_LOCK_H

#include <stdbool.h>
#include <stdint.h>

#include <sys/types.h>

enum guard_lock {
	GUARD_LOCK_SLOTS, /* short: around reading and writing the mark */
	GUARD_LOCK_USE,   /* from enter to leave */
};

/* 0; 1: somebody else has it; TENURE_EIO with errno set. */
int guard_lock_try(int fd, enum guard_lock which);
void guard_lock_drop(int fd, enum guard_lock which);

struct guard_wait {
	int inotify; /* -1: not to be had, or not wanted yet */
	uint64_t until_ns, pause_ns;
};

/* Allocates nothing. `until_ns` is an instant of CLOCK_BOOTTIME, NS_NEVER without an end. */
void guard_wait_init(struct guard_wait *w, uint64_t until_ns);
void guard_wait_deinit(struct guard_wait *w);
/*
 * Returns 0 when it is worth trying again, TENURE_TIMEOUT when the limit is over. The first call returns at once: it
 * begins to listen to `path`, and what happened before may have been missed. [blocks]
 */
int guard_wait_next(struct guard_wait *w, const char *path);

#endif
