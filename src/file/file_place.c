/* SPDX-License-Identifier: Apache-2.0 */
/* Into the queue of a file election, to its head, and the lock. */
#include "file/file_seat.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "file/lock.h"

/* ---- the queue ---- */

/*
 * By its descriptor, and never through a symbolic link: others may write in a shared directory, and must not make us
 * change the permissions of something else. The group is that of the store's directory, whoever makes it.
 */
static int file_place_make_directory(const struct file_store *s, const char *path)
{
	bool made = mkdir(path, 0700) == 0;
	int result, saved, fd;

	if (!made && errno != EEXIST)
		return -1;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return -1;
	if (made && (s->mode_dirs & S_IWGRP))
		(void)!fchown(fd, (uid_t)-1, s->group);
	result = made ? fchmod(fd, s->mode_dirs) : 0;
	saved = errno;
	(void)close(fd);
	errno = saved;
	return result;
}

static int file_place_make_directories(struct file_seat *seat, struct tenure_error *error)
{
	char path[FILE_PATH_ROOM];
	static const char *const names[] = { NULL, "waiting" };
	int code = file_store_prepare(seat->store, error);

	for (size_t i = 0; code == 0 && i < 2; i++) {
		file_seat_path(seat, names[i], path);
		if (file_place_make_directory(seat->store, path) != 0)
			code = error_set(error, TENURE_EIO, errno, "cannot make %.200s", path);
	}
	return code;
}

static int file_place_enter(struct file_seat *seat, struct tenure_error *error)
{
	char waiting[FILE_PATH_ROOM], directory[FILE_PATH_ROOM], name[QUEUE_NAME_ROOM];
	uint64_t ticket;
	int code = file_place_make_directories(seat, error);

	if (code == 0)
		code = clock_now_ns(&ticket);
	if (code == TENURE_ECLOCK)
		return error_set(error, code, 0, "CLOCK_BOOTTIME cannot be read");
	if (code != 0)
		return code;
	queue_name(name, seat->priority, ticket, seat->store->nonce, seat->store->id);
	file_seat_path(seat, "waiting", waiting);
	queue_sweep(waiting, QUEUE_NEW);
	queue_sweep(file_seat_path(seat, NULL, directory), FILE_ASK_NEW);
	seat->queue_fd = queue_enter(waiting, name, seat->store->mode_locks, seat->store->nonce, error);
	return seat->queue_fd < 0 ? seat->queue_fd : 0;
}

static void file_place_on_change(void *arg, uint32_t mask, const char *name)
{
	(void)mask;
	(void)name;
	file_place_look(arg);
}

void file_place_on_again(void *arg)
{
	struct file_seat *seat = arg;

	if (seat->phase != FILE_SEAT_QUEUED || !seat->behind)
		return;
	if (++seat->again_burst < FILE_BURST)
		loop_timer_arm(&seat->again, clock_add_ns(clock_now_or_zero_ns(), file_burst_ns(seat->again_burst)));
	file_place_look(seat);
}

/*
 * The one before us: it moved, it left, or its file was closed. As with the lock, the kernel tells of the closing a
 * moment before the file's lock is gone, so a look right now may still find it alive.
 */
static void file_place_on_ahead(void *arg, uint32_t mask, const char *name)
{
	struct file_seat *seat = arg;

	file_place_on_change(arg, mask, name);
	if (!(mask & IN_CLOSE_WRITE) || seat->phase != FILE_SEAT_QUEUED || !seat->behind)
		return;
	seat->again_burst = 0;
	loop_timer_arm(&seat->again, clock_add_ns(clock_now_or_zero_ns(), CLOCK_NS_PER_MS));
}

/*
 * The nearest living candidate before `at`, or q->n: none. What was left behind by dead ones is removed on the way: a
 * file in the queue is locked from before it had its name, so one without a lock has lost its candidate.
 */
static size_t file_place_before(const struct queue *q, size_t at, const char *waiting)
{
	char file[FILE_PATH_ROOM + QUEUE_NAME_ROOM];

	while (at-- > 0) {
		if (queue_alive(waiting, q->entries[at].name) != 0)
			return at;
		(void)snprintf(file, sizeof file, "%s/%s", waiting, q->entries[at].name);
		(void)unlink(file);
	}
	return q->n;
}

/* Watches the one before us. False where it is gone already: look again. */
static bool file_place_wait_behind(struct file_seat *seat, const char *waiting, const char *name)
{
	char file[FILE_PATH_ROOM + QUEUE_NAME_ROOM];

	(void)snprintf(file, sizeof file, "%s/%s", waiting, name);
	if (notify_subscribe(seat->store->notify, &seat->ahead, file, NOTIFY_FILE, file_place_on_ahead, seat) != 0)
		return false;
	return queue_alive(waiting, name) != 0;
}

/*
 * Second in line: the head may be stopped, and then it would keep everybody waiting for a lock that is free. So whoever
 * comes right behind it looks as well when the lock is closed, a little later; the others find out with the slow look.
 */
static void file_place_on_head_lock(void *arg, uint32_t mask, const char *name)
{
	struct file_seat *seat = arg;

	(void)mask;
	if (seat->behind && seat->timer.at_ns == NS_NEVER && (!name || strcmp(name, "lock") == 0))
		loop_timer_arm(&seat->timer, clock_add_ns(clock_now_or_zero_ns(), FILE_OVERTAKE_NS));
}

static void file_place_watch_head(struct file_seat *seat, bool second)
{
	char directory[FILE_PATH_ROOM];

	if (second)
		(void)notify_subscribe(seat->store->notify, &seat->lock, file_seat_path(seat, NULL, directory),
		                       NOTIFY_DIRECTORY, file_place_on_head_lock, seat);
	else
		notify_unsubscribe(&seat->lock);
}

static void file_place_position(struct file_seat *seat, size_t before)
{
	if (seat->position == before)
		return;
	seat->position = before;
	seat->store->sink->position(seat->client_seat, before);
}

enum file_place { FILE_PLACE_HEAD, FILE_PLACE_BEHIND, FILE_PLACE_ERROR };

/* Finds our place; enters (again) where we have none; when somebody is before us, waits behind it. */
static enum file_place file_place_find(struct file_seat *seat, struct tenure_error *error)
{
	char waiting[FILE_PATH_ROOM], file[FILE_PATH_ROOM + QUEUE_NAME_ROOM];

	file_seat_path(seat, "waiting", waiting);
	for (;;) {
		struct queue q;
		size_t at, before;
		bool head, settled;

		if (queue_read(&q, waiting, error) != 0)
			return FILE_PLACE_ERROR;
		at = seat->queue_fd < 0 ? q.n : queue_find(&q, seat->store->nonce);
		if (at == q.n) {
			queue_deinit(&q);
			file_seat_drop_queue(seat);
			if (file_place_enter(seat, error) != 0)
				return FILE_PLACE_ERROR;
			continue;
		}
		(void)snprintf(file, sizeof file, "%s/%s", waiting, q.entries[at].name);
		(void)notify_subscribe(seat->store->notify, &seat->own, file, NOTIFY_FILE, file_place_on_change, seat);
		before = file_place_before(&q, at, waiting);
		head = before == q.n;
		file_place_position(seat, head ? 0 : at);
		settled = head || file_place_wait_behind(seat, waiting, q.entries[before].name);
		file_place_watch_head(seat, !head && file_place_before(&q, before, waiting) == q.n);
		queue_deinit(&q);
		if (settled)
			return head ? FILE_PLACE_HEAD : FILE_PLACE_BEHIND;
	}
}

static void file_place_behind(struct file_seat *seat)
{
	if (!seat->behind || seat->unreached) {
		loop_timer_disarm(&seat->timer);
		seat->free_ticks = 0;
	}
	seat->behind = true;
	file_seat_drop_lock(seat);
	file_seat_reached(seat);
	file_seat_tell(seat, ELECTOR_QUEUED, 0, NULL);
}

void file_place_look(struct file_seat *seat)
{
	struct tenure_error error = TENURE_ERROR_INIT;
	char directory[FILE_PATH_ROOM];
	enum file_place place;

	if (seat->phase != FILE_SEAT_QUEUED)
		return;
	place = file_place_find(seat, &error);
	if (place == FILE_PLACE_ERROR) {
		file_seat_fail(seat, &error);
		return;
	}
	if (place == FILE_PLACE_BEHIND) {
		file_place_behind(seat);
		return;
	}
	loop_timer_disarm(&seat->timer);
	loop_timer_disarm(&seat->again);
	seat->behind = false;
	file_seat_path(seat, NULL, directory);
	(void)notify_subscribe(seat->store->notify, &seat->ahead, directory, NOTIFY_DIRECTORY, file_tenure_on_directory,
	                       seat);
	file_seat_tell(seat, ELECTOR_CONTEND, 0, NULL);
	seat->burst = 0;
	file_place_try(seat);
}

/* ---- the lock ---- */

/* Opens the lock file as it is now. 0 or a code. */
static int file_place_open_lock(struct file_seat *seat, struct tenure_error *error)
{
	char path[FILE_PATH_ROOM];
	struct stat st;
	int fd;

	file_seat_path(seat, "lock", path);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, seat->store->mode_locks);
	if (fd < 0)
		return error_set(error, error_code_of_errno(errno), errno, "cannot open the lock %.200s", path);
	/* Not what somebody else put there under this name, a hard link say. */
	if (fstat(fd, &st) == 0 && st.st_uid == geteuid() && st.st_nlink == 1)
		(void)fchmod(fd, seat->store->mode_locks);
	seat->lock_fd = fd;
	return 0;
}

/* Is what we have open still the file that others find under the name? */
static bool file_place_lock_in_place(struct file_seat *seat)
{
	char path[FILE_PATH_ROOM];
	struct stat named, open_file;

	if (fstat(seat->lock_fd, &open_file) != 0 || stat(file_seat_path(seat, "lock", path), &named) != 0 ||
	    named.st_dev != open_file.st_dev || named.st_ino != open_file.st_ino)
		return false;
	seat->lock_dev = open_file.st_dev;
	seat->lock_inode = open_file.st_ino;
	return true;
}

static void file_place_try_again_soon(struct file_seat *seat)
{
	if (seat->burst >= FILE_BURST)
		return;
	loop_timer_arm(&seat->timer, clock_add_ns(clock_now_or_zero_ns(), file_burst_ns(seat->burst)));
	seat->burst++;
}

/* The lock is ours: nobody else can begin. */
static void file_place_locked(struct file_seat *seat)
{
	seat->phase = FILE_SEAT_ENDING;
	seat->behind = false;
	loop_timer_disarm(&seat->again);
	notify_unsubscribe(&seat->lock);
	seat->pending_since_ns = clock_now_or_zero_ns();
	file_tenure_end_last(seat);
}

static bool file_place_lock_is_free(const struct file_seat *seat)
{
	char path[FILE_PATH_ROOM];
	int held = 1, fd = open(file_seat_path(seat, "lock", path), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	if (fd >= 0) {
		held = lock_is_held(fd);
		(void)close(fd);
	}
	return held == 0;
}

/* From behind: takes a lock that those before us leave alone. */
static void file_place_overtake(struct file_seat *seat)
{
	char directory[FILE_PATH_ROOM];

	if (!file_place_lock_is_free(seat) || file_place_open_lock(seat, NULL) != 0)
		return;
	if (lock_take(seat->lock_fd) != 0 || !file_place_lock_in_place(seat)) {
		file_seat_drop_lock(seat);
		return;
	}
	log_write(&seat->store->log, 5, "file",
	          "election %.60s: the head of the queue does not take a free lock; going before it", seat->election);
	(void)notify_subscribe(seat->store->notify, &seat->ahead, file_seat_path(seat, NULL, directory),
	                       NOTIFY_DIRECTORY, file_tenure_on_directory, seat);
	file_place_locked(seat);
}

/* As the head of the queue. */
void file_place_try(struct file_seat *seat)
{
	struct tenure_error error = TENURE_ERROR_INIT;
	int taken;

	if (seat->lock_fd >= 0 && !file_place_lock_in_place(seat))
		file_seat_drop_lock(seat);
	if (seat->lock_fd < 0 && file_place_open_lock(seat, &error) != 0) {
		file_seat_fail(seat, &error);
		return;
	}
	taken = lock_take(seat->lock_fd);
	if (taken < 0) {
		(void)error_set(&error, TENURE_EIO, errno, "cannot lock election %.60s", seat->election);
		file_seat_fail(seat, &error);
		return;
	}
	if (taken > 0) {
		file_seat_reached(seat);
		file_seat_tell(seat, ELECTOR_CONTEND, 0, NULL);
		file_place_try_again_soon(seat);
		return;
	}
	if (!file_place_lock_in_place(seat)) {
		file_seat_drop_lock(seat);
		file_place_try_again_soon(seat);
		return;
	}
	/* Somebody may have come before us since we looked: promoted, or of a higher priority. */
	switch (file_place_find(seat, &error)) {
	case FILE_PLACE_HEAD:
		file_place_locked(seat);
		return;
	case FILE_PLACE_BEHIND:
		file_place_behind(seat);
		return;
	case FILE_PLACE_ERROR:
		file_seat_fail(seat, &error);
		return;
	}
}

void file_place_on_timer(void *arg)
{
	struct file_seat *seat = arg;

	if (seat->phase == FILE_SEAT_ENDING)
		file_tenure_end_last(seat);
	else if (seat->phase == FILE_SEAT_QUEUED && seat->behind && !seat->unreached)
		file_place_overtake(seat);
	else if (seat->phase == FILE_SEAT_QUEUED && !seat->unreached && seat->burst > 0)
		file_place_try(seat);
	else
		file_place_look(seat);
}

void file_place_tick(struct file_seat *seat, bool all)
{
	if (seat->phase != FILE_SEAT_QUEUED || seat->timer.at_ns != NS_NEVER)
		return;
	if (seat->behind) {
		seat->free_ticks = file_place_lock_is_free(seat) ? seat->free_ticks + 1 : 0;
		if (seat->free_ticks >= 2)
			file_place_overtake(seat);
	}
	if (seat->phase == FILE_SEAT_QUEUED && all)
		file_place_look(seat);
}
