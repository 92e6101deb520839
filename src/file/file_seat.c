/* SPDX-License-Identifier: Apache-2.0 */
/* One candidacy in a file election: what the client calls, what is let go of, and errors. */
#include "file/file_seat.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/error.h"
#include "file/lock.h"

static struct file_seat *file_seat_of(struct store_seat *seat)
{
	return (struct file_seat *)seat;
}

const char *file_seat_path(const struct file_seat *seat, const char *name, char out[FILE_PATH_ROOM])
{
	return file_store_path(seat->store, seat->election, name, out);
}

void file_seat_tell(struct file_seat *seat, enum elector_input_kind kind, int code, const struct tenure_error *error)
{
	const struct elector_input in = { .kind = kind, .now_ns = clock_now_or_zero_ns(), .code = code };

	seat->store->sink->seat(seat->client_seat, &in, error);
}

/* ---- letting go ---- */

void file_seat_drop_pid(struct file_seat *seat)
{
	loop_unwatch(seat->pid_watch);
	seat->pid_watch = NULL;
	if (seat->pidfd >= 0)
		(void)close(seat->pidfd);
	seat->pidfd = -1;
}

/*
 * Closing the descriptor tells the waiting ones (inotify reports the closing). Unlocking first frees the lock for every
 * duplicate, one in a forked child included.
 */
void file_seat_drop_lock(struct file_seat *seat)
{
	if (seat->lock_fd < 0)
		return;
	lock_drop(seat->lock_fd);
	(void)close(seat->lock_fd);
	seat->lock_fd = -1;
}

void file_seat_drop_queue(struct file_seat *seat)
{
	char waiting[FILE_PATH_ROOM], file[FILE_PATH_ROOM + QUEUE_NAME_ROOM];
	struct queue q;
	size_t at;

	notify_unsubscribe(&seat->own);
	if (seat->queue_fd < 0)
		return;
	file_seat_path(seat, "waiting", waiting);
	if (queue_read(&q, waiting, NULL) == 0) {
		at = queue_find(&q, seat->store->nonce);
		if (at < q.n) {
			(void)snprintf(file, sizeof file, "%s/%s", waiting, q.entries[at].name);
			(void)unlink(file);
		}
		queue_deinit(&q);
	}
	(void)close(seat->queue_fd);
	seat->queue_fd = -1;
}

void file_seat_idle(struct file_seat *seat)
{
	loop_timer_disarm(&seat->timer);
	loop_timer_disarm(&seat->again);
	notify_unsubscribe(&seat->ahead);
	notify_unsubscribe(&seat->lock);
	seat->behind = seat->unreached = seat->troubled = seat->unwritten = false;
	file_seat_drop_pid(seat);
	file_seat_drop_queue(seat);
	file_seat_drop_lock(seat);
	seat->phase = FILE_SEAT_IDLE;
	seat->yielded = false;
	free(seat->tree);
	seat->tree = NULL;
}

/* ---- errors ---- */

/* Does it make sense to try again without anybody changing the configuration? */
static bool file_seat_passes(const struct tenure_error *error)
{
	switch (error->os_errno) {
	case ENOENT: /* the directory was taken away: it is made again */
	case ENOSPC:
	case EDQUOT:
	case EROFS:
	case EMFILE:
	case ENFILE:
	case ENOMEM:
	case EIO:
		return true;
	default:
		return error->code == TENURE_ENOMEM;
	}
}

void file_seat_retry(struct file_seat *seat, const struct tenure_error *error)
{
	file_seat_drop_pid(seat);
	file_seat_drop_lock(seat);
	seat->phase = FILE_SEAT_QUEUED;
	loop_timer_disarm(&seat->again);
	loop_timer_arm(&seat->timer, clock_add_ns(clock_now_or_zero_ns(), FILE_RETRY_NS));
	if (seat->unreached)
		return;
	seat->unreached = true;
	log_write(&seat->store->log, 4, "file", "election %.60s: %s; trying again every second", seat->election,
	          error->message);
	file_seat_tell(seat, ELECTOR_UNREACHED, error->code, error);
}

void file_seat_fail(struct file_seat *seat, const struct tenure_error *error)
{
	if (file_seat_passes(error)) {
		seat->troubled = true;
		file_store_health(seat->store, error);
		file_seat_retry(seat, error);
		return;
	}
	file_seat_idle(seat);
	file_seat_tell(seat, ELECTOR_FAILED, error->code, error);
}

/* What failed works again: told only when it is seen, or states would go to and fro with each try. */
void file_seat_reached(struct file_seat *seat)
{
	seat->troubled = false;
	if (!seat->unreached)
		return;
	seat->unreached = false;
	file_seat_tell(seat, ELECTOR_REACHED, 0, NULL);
}

/* ---- what the client calls ---- */

int file_seat_take(struct store *store, const struct store_join *join, void *client_seat, struct store_seat **out,
                   struct tenure_error *error)
{
	struct file_store *s = (struct file_store *)store;
	struct file_seat *seat;
	int code = file_store_prepare(s, error);

	if (code != 0 && !(error && file_seat_passes(error)))
		return code;
	error_clear(error);
	seat = calloc(1, sizeof *seat);
	if (!seat)
		return error_set(error, TENURE_ENOMEM, 0, "no memory for a candidacy");
	seat->store = s;
	seat->client_seat = client_seat;
	seat->priority = join->priority;
	seat->queue_fd = seat->lock_fd = seat->pidfd = -1;
	memcpy(seat->election, join->election, strlen(join->election) + 1);
	loop_timer_init(s->loop, &seat->timer, file_place_on_timer, seat);
	loop_timer_init(s->loop, &seat->again, file_place_on_again, seat);
	list_append(&s->seats, &seat->node);
	code = file_seat_set_value((struct store_seat *)seat, join->value, join->value_bytes);
	if (code != 0) {
		list_remove(&seat->node);
		free(seat);
		return error_set(error, code, 0, "no memory for the value");
	}
	*out = (struct store_seat *)seat;
	return 0;
}

void file_seat_begin_work(struct store_seat *store_seat)
{
	file_seat_tell(file_seat_of(store_seat), ELECTOR_REACHED, 0, NULL);
}

void file_seat_join(struct store_seat *store_seat)
{
	struct file_seat *seat = file_seat_of(store_seat);

	if (seat->phase != FILE_SEAT_IDLE)
		return;
	seat->phase = FILE_SEAT_QUEUED;
	seat->position = SIZE_MAX;
	file_place_look(seat);
}

void file_seat_leave(struct store_seat *store_seat)
{
	struct file_seat *seat = file_seat_of(store_seat);
	bool unreached = seat->unreached;

	if (seat->phase == FILE_SEAT_HELD)
		return;
	file_seat_idle(seat);
	/* Nobody tries any more, so nobody would tell later: out of the queue there is nothing that can't be reached. */
	if (unreached)
		file_seat_tell(seat, ELECTOR_REACHED, 0, NULL);
}

static void file_seat_name_next(struct file_seat *seat, const char *to_identity)
{
	char waiting[FILE_PATH_ROOM];
	struct queue q;
	size_t at;

	if (to_identity[0] == '\0' || queue_read(&q, file_seat_path(seat, "waiting", waiting), NULL) != 0)
		return;
	if (queue_resolve(&q, to_identity, &at, NULL) != 0 || queue_promote(waiting, &q.entries[at]) != 0)
		log_write(&seat->store->log, 4, "file", "election %.60s: %.80s does not wait: the next in line leads",
		          seat->election, to_identity);
	queue_deinit(&q);
}

void file_seat_release(struct store_seat *store_seat, const char *to_identity, enum tenure_cause cause)
{
	struct file_seat *seat = file_seat_of(store_seat);
	struct tenure_error error = TENURE_ERROR_INIT;

	if (seat->phase == FILE_SEAT_HELD && seat->lock_fd >= 0) {
		char path[FILE_PATH_ROOM];

		file_seat_name_next(seat, to_identity);
		(void)unlink(file_seat_path(seat, "ask", path));
		/* Where it can't be written the lock alone is given back: the next holder sees that its holder let go.
		 */
		if (file_tenure_write_record(seat, false, cause, &error) != 0)
			file_store_health(seat->store, &error);
	}
	file_seat_idle(seat);
	file_seat_tell(seat, ELECTOR_RELEASED, 0, NULL);
}

int file_seat_set_value(struct store_seat *store_seat, const void *value, size_t value_bytes)
{
	struct file_seat *seat = file_seat_of(store_seat);
	void *copy = NULL;

	CHECK(value_bytes <= STORE_VALUE_MAX_BYTES);
	if (value_bytes > 0) {
		copy = malloc(value_bytes);
		if (!copy)
			return TENURE_ENOMEM;
		memcpy(copy, value, value_bytes);
	}
	free(seat->value);
	seat->value = copy;
	seat->value_bytes = value_bytes;
	if (seat->phase != FILE_SEAT_HELD)
		return 0;
	if (seat->lock_fd < 0)
		return TENURE_ESTATE; /* the record is written under the lock only: the next tenure shows it */
	return file_tenure_show(seat);
}

void file_seat_free(struct store_seat *store_seat)
{
	struct file_seat *seat = file_seat_of(store_seat);

	file_seat_idle(seat);
	list_remove(&seat->node);
	free(seat->value);
	free(seat);
}

int file_seat_share_lock(struct store_seat *store_seat, int *fd)
{
	struct file_seat *seat = file_seat_of(store_seat);

	if (seat->phase != FILE_SEAT_HELD || seat->lock_fd < 0)
		return TENURE_NOT_LEADING;
	*fd = fcntl(seat->lock_fd, F_DUPFD_CLOEXEC, 3);
	return *fd < 0 ? error_code_of_errno(errno) : 0;
}

void file_seat_yield_lock(struct store_seat *store_seat)
{
	struct file_seat *seat = file_seat_of(store_seat);

	if (seat->phase != FILE_SEAT_HELD || seat->lock_fd < 0)
		return;
	(void)close(seat->lock_fd); /* closed, not unlocked: the duplicates keep it */
	seat->lock_fd = -1;
	seat->yielded = true;
}

void file_seat_return_lock(struct store_seat *store_seat, int fd)
{
	struct file_seat *seat = file_seat_of(store_seat);

	if (seat->phase != FILE_SEAT_HELD || !seat->yielded) {
		(void)close(fd);
		return;
	}
	seat->lock_fd = fd;
	seat->yielded = false;
}

int file_seat_record_tree(struct store_seat *store_seat, const struct store_tree *tree, struct tenure_error *error)
{
	struct file_seat *seat = file_seat_of(store_seat);

	if (seat->phase != FILE_SEAT_HELD || seat->lock_fd < 0)
		return error_set(error, TENURE_NOT_LEADING, 0, "this candidate does not hold the lock");
	if (!seat->tree)
		seat->tree = malloc(sizeof *seat->tree);
	if (!seat->tree)
		return error_set(error, TENURE_ENOMEM, 0, "no memory to record the program's processes");
	*seat->tree = *tree;
	return file_tenure_write_record(seat, true, seat->cause, error);
}

void file_seat_tick(struct file_seat *seat)
{
	bool all = seat->store->health_ticks % FILE_LOOK_EVERY == 0, held = seat->phase == FILE_SEAT_HELD;

	if (held)
		file_tenure_tick(seat, all);
	else
		file_place_tick(seat, all);
}
