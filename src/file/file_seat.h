/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One candidacy in a file election, in three parts: file_seat.c (what the client calls, letting go, errors), file_place.c
 * (the queue and the lock), file_tenure.c (from the lock to the tenure, and while it lasts).
 */
#ifndef TENURE_FILE_FILE_SEAT_H
#define TENURE_FILE_FILE_SEAT_H

#include "file/file_store.h"

/* ---- file_seat.c ---- */

const char *file_seat_path(const struct file_seat *seat, const char *name, char out[FILE_PATH_ROOM]);
/* One input to the elector. `error` may be NULL. */
void file_seat_tell(struct file_seat *seat, enum elector_input_kind kind, int code, const struct tenure_error *error);
void file_seat_drop_pid(struct file_seat *seat);
void file_seat_drop_lock(struct file_seat *seat);
void file_seat_drop_queue(struct file_seat *seat);
/* Lets go of everything and does nothing any more. */
void file_seat_idle(struct file_seat *seat);
/* Back into the queue, and again in a while. */
void file_seat_retry(struct file_seat *seat, const struct tenure_error *error);
/* The same where the error may pass; else the candidacy has failed. */
void file_seat_fail(struct file_seat *seat, const struct tenure_error *error);
/* What failed works again. */
void file_seat_reached(struct file_seat *seat);

/* ---- file_place.c ---- */

/* Finds our place in the queue and acts on it: waits behind somebody, or tries the lock. */
void file_place_look(struct file_seat *seat);
/* As the head of the queue: takes the lock if it is free. */
void file_place_try(struct file_seat *seat);
void file_place_tick(struct file_seat *seat, bool all);
loop_fn file_place_on_timer, file_place_on_again;

/* ---- file_tenure.c ---- */

/* With the lock in hand: ends what the record names, waits for its end, then begins the tenure. */
void file_tenure_end_last(struct file_seat *seat);
/* Writes the record whole or not at all. The caller has the lock. */
int file_tenure_write_record(const struct file_seat *seat, bool leading, enum tenure_cause cause,
                             struct tenure_error *error);
/* Writes the record of a tenure that goes on; where that fails, again with every look. */
int file_tenure_show(struct file_seat *seat);
void file_tenure_tick(struct file_seat *seat, bool all);
notify_fn file_tenure_on_directory;

#endif
