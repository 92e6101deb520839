/* SPDX-License-Identifier: Apache-2.0 */
/* One candidacy in a file election: into the queue, to its head, the lock, the proof that the last holder is over, the
 * token. */
#include "file/file_store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/error.h"
#include "file/counter.h"
#include "file/ended.h"
#include "file/lock.h"

static void file_seat_try(struct file_seat *seat);

static struct file_seat *file_seat_of(struct store_seat *seat)
{
	return (struct file_seat *)seat;
}

static const char *file_seat_path(const struct file_seat *seat, const char *name, char out[FILE_PATH_ROOM])
{
	return file_store_path(seat->store, seat->election, name, out);
}

static void file_seat_tell(struct file_seat *seat, enum elector_input_kind kind, int code,
                           const struct tenure_error *error)
{
	const struct elector_input in = { .kind = kind, .now_ns = clock_now_or_zero_ns(), .code = code };

	seat->store->sink->seat(seat->client_seat, &in, error);
}

/* ---- letting go ---- */

static void file_seat_drop_pid(struct file_seat *seat)
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
static void file_seat_drop_lock(struct file_seat *seat)
{
	if (seat->lock_fd < 0)
		return;
	lock_drop(seat->lock_fd);
	(void)close(seat->lock_fd);
	seat->lock_fd = -1;
}

static void file_seat_drop_queue(struct file_seat *seat)
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

static void file_seat_idle(struct file_seat *seat)
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

static void file_seat_retry(struct file_seat *seat, const struct tenure_error *error)
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

static void file_seat_fail(struct file_seat *seat, const struct tenure_error *error)
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
static void file_seat_reached(struct file_seat *seat)
{
	seat->troubled = false;
	if (!seat->unreached)
		return;
	seat->unreached = false;
	file_seat_tell(seat, ELECTOR_REACHED, 0, NULL);
}

/* ---- the queue ---- */

/*
 * By its descriptor, and never through a symbolic link: others may write in a shared directory, and must not make us
 * change the permissions of something else. The group is that of the store's directory, whoever makes it.
 */
static int file_seat_make_directory(const struct file_store *s, const char *path)
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

static int file_seat_make_directories(struct file_seat *seat, struct tenure_error *error)
{
	char path[FILE_PATH_ROOM];
	static const char *const names[] = { NULL, "waiting" };
	int code = file_store_prepare(seat->store, error);

	for (size_t i = 0; code == 0 && i < 2; i++) {
		file_seat_path(seat, names[i], path);
		if (file_seat_make_directory(seat->store, path) != 0)
			code = error_set(error, TENURE_EIO, errno, "cannot make %.200s", path);
	}
	return code;
}

static int file_seat_enter(struct file_seat *seat, struct tenure_error *error)
{
	char waiting[FILE_PATH_ROOM], directory[FILE_PATH_ROOM], name[QUEUE_NAME_ROOM];
	uint64_t ticket;
	int code = file_seat_make_directories(seat, error);

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

static void file_seat_on_change(void *arg, uint32_t mask, const char *name)
{
	(void)mask;
	(void)name;
	file_seat_look(arg);
}

static void file_seat_on_again(void *arg)
{
	struct file_seat *seat = arg;

	if (seat->phase != FILE_SEAT_QUEUED || !seat->behind)
		return;
	if (++seat->again_burst < FILE_BURST)
		loop_timer_arm(&seat->again,
		               clock_add_ns(clock_now_or_zero_ns(), CLOCK_NS_PER_MS << seat->again_burst));
	file_seat_look(seat);
}

/*
 * The one before us: it moved, it left, or its file was closed. As with the lock, the kernel tells of the closing a
 * moment before the file's lock is gone, so a look right now may still find it alive.
 */
static void file_seat_on_ahead(void *arg, uint32_t mask, const char *name)
{
	struct file_seat *seat = arg;

	file_seat_on_change(arg, mask, name);
	if (!(mask & IN_CLOSE_WRITE) || seat->phase != FILE_SEAT_QUEUED || !seat->behind)
		return;
	seat->again_burst = 0;
	loop_timer_arm(&seat->again, clock_add_ns(clock_now_or_zero_ns(), CLOCK_NS_PER_MS));
}

/*
 * The nearest living candidate before `at`, or q->n: none. What was left behind by dead ones is removed on the way: a
 * file in the queue is locked from before it had its name, so one without a lock has lost its candidate.
 */
static size_t file_seat_before(const struct queue *q, size_t at, const char *waiting)
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
static bool file_seat_wait_behind(struct file_seat *seat, const char *waiting, const char *name)
{
	char file[FILE_PATH_ROOM + QUEUE_NAME_ROOM];

	(void)snprintf(file, sizeof file, "%s/%s", waiting, name);
	if (notify_subscribe(seat->store->notify, &seat->ahead, file, NOTIFY_FILE, file_seat_on_ahead, seat) != 0)
		return false;
	return queue_alive(waiting, name) != 0;
}

/*
 * Second in line: the head may be stopped, and then it would keep everybody waiting for a lock that is free. So whoever
 * comes right behind it looks as well when the lock is closed, a little later; the others find out with the slow look.
 */
static void file_seat_on_head_lock(void *arg, uint32_t mask, const char *name)
{
	struct file_seat *seat = arg;

	(void)mask;
	if (seat->behind && seat->timer.at_ns == NS_NEVER && (!name || strcmp(name, "lock") == 0))
		loop_timer_arm(&seat->timer, clock_add_ns(clock_now_or_zero_ns(), FILE_OVERTAKE_NS));
}

static void file_seat_watch_head(struct file_seat *seat, bool second)
{
	char directory[FILE_PATH_ROOM];

	if (second)
		(void)notify_subscribe(seat->store->notify, &seat->lock, file_seat_path(seat, NULL, directory),
		                       NOTIFY_DIRECTORY, file_seat_on_head_lock, seat);
	else
		notify_unsubscribe(&seat->lock);
}

static void file_seat_position(struct file_seat *seat, size_t before)
{
	if (seat->position == before)
		return;
	seat->position = before;
	seat->store->sink->position(seat->client_seat, before);
}

enum file_seat_place { FILE_PLACE_HEAD, FILE_PLACE_BEHIND, FILE_PLACE_ERROR };

/* Finds our place; enters (again) where we have none; when somebody is before us, waits behind it. */
static enum file_seat_place file_seat_place(struct file_seat *seat, struct tenure_error *error)
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
			if (file_seat_enter(seat, error) != 0)
				return FILE_PLACE_ERROR;
			continue;
		}
		(void)snprintf(file, sizeof file, "%s/%s", waiting, q.entries[at].name);
		(void)notify_subscribe(seat->store->notify, &seat->own, file, NOTIFY_FILE, file_seat_on_change, seat);
		before = file_seat_before(&q, at, waiting);
		head = before == q.n;
		file_seat_position(seat, head ? 0 : at);
		settled = head || file_seat_wait_behind(seat, waiting, q.entries[before].name);
		file_seat_watch_head(seat, !head && file_seat_before(&q, before, waiting) == q.n);
		queue_deinit(&q);
		if (settled)
			return head ? FILE_PLACE_HEAD : FILE_PLACE_BEHIND;
	}
}

static void file_seat_on_directory(void *arg, uint32_t mask, const char *name);

static void file_seat_behind(struct file_seat *seat)
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

void file_seat_look(struct file_seat *seat)
{
	struct tenure_error error = TENURE_ERROR_INIT;
	char directory[FILE_PATH_ROOM];
	enum file_seat_place place;

	if (seat->phase != FILE_SEAT_QUEUED)
		return;
	place = file_seat_place(seat, &error);
	if (place == FILE_PLACE_ERROR) {
		file_seat_fail(seat, &error);
		return;
	}
	if (place == FILE_PLACE_BEHIND) {
		file_seat_behind(seat);
		return;
	}
	loop_timer_disarm(&seat->timer);
	loop_timer_disarm(&seat->again);
	seat->behind = false;
	file_seat_path(seat, NULL, directory);
	(void)notify_subscribe(seat->store->notify, &seat->ahead, directory, NOTIFY_DIRECTORY, file_seat_on_directory,
	                       seat);
	file_seat_tell(seat, ELECTOR_CONTEND, 0, NULL);
	seat->burst = 0;
	file_seat_try(seat);
}

/* ---- the lock ---- */

/* Opens the lock file as it is now. 0 or a code. */
static int file_seat_open_lock(struct file_seat *seat, struct tenure_error *error)
{
	char path[FILE_PATH_ROOM];
	struct stat st;
	int fd;

	file_seat_path(seat, "lock", path);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, seat->store->mode_locks);
	if (fd < 0)
		return error_set(error, lock_errno_code(errno), errno, "cannot open the lock %.200s", path);
	/* Not what somebody else put there under this name, a hard link say. */
	if (fstat(fd, &st) == 0 && st.st_uid == geteuid() && st.st_nlink == 1)
		(void)fchmod(fd, seat->store->mode_locks);
	seat->lock_fd = fd;
	return 0;
}

/* Is what we have open still the file that others find under the name? */
static bool file_seat_lock_in_place(struct file_seat *seat)
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

static void file_seat_end_last(struct file_seat *seat);

static void file_seat_try_again_soon(struct file_seat *seat)
{
	if (seat->burst >= FILE_BURST)
		return;
	loop_timer_arm(&seat->timer, clock_add_ns(clock_now_or_zero_ns(), CLOCK_NS_PER_MS << seat->burst));
	seat->burst++;
}

/* The lock is ours: nobody else can begin. */
static void file_seat_locked(struct file_seat *seat)
{
	seat->phase = FILE_SEAT_ENDING;
	seat->behind = false;
	loop_timer_disarm(&seat->again);
	notify_unsubscribe(&seat->lock);
	seat->pending_since_ns = clock_now_or_zero_ns();
	file_seat_end_last(seat);
}

static bool file_seat_lock_is_free(const struct file_seat *seat)
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
static void file_seat_overtake(struct file_seat *seat)
{
	char directory[FILE_PATH_ROOM];

	if (!file_seat_lock_is_free(seat) || file_seat_open_lock(seat, NULL) != 0)
		return;
	if (lock_take(seat->lock_fd) != 0 || !file_seat_lock_in_place(seat)) {
		file_seat_drop_lock(seat);
		return;
	}
	log_write(&seat->store->log, 5, "file",
	          "election %.60s: the head of the queue does not take a free lock; going before it", seat->election);
	(void)notify_subscribe(seat->store->notify, &seat->ahead, file_seat_path(seat, NULL, directory),
	                       NOTIFY_DIRECTORY, file_seat_on_directory, seat);
	file_seat_locked(seat);
}

/* As the head of the queue. */
static void file_seat_try(struct file_seat *seat)
{
	struct tenure_error error = TENURE_ERROR_INIT;
	int taken;

	if (seat->lock_fd >= 0 && !file_seat_lock_in_place(seat))
		file_seat_drop_lock(seat);
	if (seat->lock_fd < 0 && file_seat_open_lock(seat, &error) != 0) {
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
		file_seat_try_again_soon(seat);
		return;
	}
	if (!file_seat_lock_in_place(seat)) {
		file_seat_drop_lock(seat);
		file_seat_try_again_soon(seat);
		return;
	}
	/* Somebody may have come before us since we looked: promoted, or of a higher priority. */
	switch (file_seat_place(seat, &error)) {
	case FILE_PLACE_HEAD:
		file_seat_locked(seat);
		return;
	case FILE_PLACE_BEHIND:
		file_seat_behind(seat);
		return;
	case FILE_PLACE_ERROR:
		file_seat_fail(seat, &error);
		return;
	}
}

static void file_seat_on_timer(void *arg)
{
	struct file_seat *seat = arg;

	if (seat->phase == FILE_SEAT_ENDING)
		file_seat_end_last(seat);
	else if (seat->phase == FILE_SEAT_QUEUED && seat->behind && !seat->unreached)
		file_seat_overtake(seat);
	else if (seat->phase == FILE_SEAT_QUEUED && !seat->unreached && seat->burst > 0)
		file_seat_try(seat);
	else
		file_seat_look(seat);
}

/* ---- the last holder, and the tenure ---- */

static void file_seat_fill(const struct file_seat *seat, struct record *r)
{
	const struct file_store *s = seat->store;

	memset(r, 0, sizeof *r);
	memcpy(r->id, s->id, sizeof r->id);
	memcpy(r->identity, s->identity, sizeof r->identity);
	r->token = seat->token;
	r->since_unix_ns = (uint64_t)seat->since_unix_ns;
	r->cause = seat->cause;
	r->scope = s->scope;
	r->holder = s->self;
	r->lock_dev = seat->lock_dev;
	r->lock_inode = seat->lock_inode;
	r->value_bytes = seat->value_bytes;
	if (seat->value_bytes > 0)
		memcpy(r->value, seat->value, seat->value_bytes);
	if (!seat->tree)
		return;
	r->has_tree = 1;
	r->warden = seat->tree->warden;
	r->init = seat->tree->init;
	(void)snprintf(r->containment, sizeof r->containment, "%s", seat->tree->containment);
	memcpy(r->cgroup, seat->tree->cgroup, sizeof r->cgroup);
	memcpy(r->page, seat->tree->page, sizeof r->page);
}

/* Writes the record whole or not at all. The caller has the lock. */
static int file_seat_write_record(const struct file_seat *seat, bool leading, enum tenure_cause cause,
                                  struct tenure_error *error)
{
	char text[RECORD_MAX_BYTES], temporary[FILE_PATH_ROOM], final[FILE_PATH_ROOM];
	struct record r;
	size_t used;
	int fd, code = 0;

	file_seat_fill(seat, &r);
	r.leading = leading;
	r.cause = cause;
	used = record_format(&r, text, sizeof text);
	CHECK(used > 0);
	file_seat_path(seat, ".holder.new", temporary);
	file_seat_path(seat, "holder", final);
	/* One that died left its own here, perhaps another user's: only whoever has the lock comes this way. */
	(void)unlink(temporary);
	fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, seat->store->mode_record);
	if (fd < 0)
		return error_set(error, lock_errno_code(errno), errno, "cannot write %.200s", temporary);
	errno = 0;
	if (fchmod(fd, seat->store->mode_record) != 0 || write(fd, text, used) != (ssize_t)used ||
	    rename(temporary, final) != 0)
		code = error_set(error, TENURE_EIO, errno ? errno : ENOSPC, "cannot write %.200s", final);
	(void)close(fd);
	return code;
}

/* The token is durable before anybody hears of it; then the record; then the announcement. */
static int file_seat_begin(struct file_seat *seat, bool led_before, bool promoted, struct tenure_error *error)
{
	char path[FILE_PATH_ROOM];
	int code = counter_next(file_seat_path(seat, NULL, path), seat->store->mode_files, led_before, &seat->token,
	                        error);

	if (code != 0)
		return code;
	/* A wish that stands was meant for somebody else. One for us can only come once our record is there. */
	(void)unlink(file_seat_path(seat, "ask", path));
	seat->since_unix_ns = clock_unix_ns();
	seat->cause = promoted ? TENURE_BY_TRANSFER : TENURE_BY_ELECTION;
	return file_seat_write_record(seat, true, seat->cause, error);
}

static bool file_seat_promoted(const struct file_seat *seat)
{
	char waiting[FILE_PATH_ROOM];
	struct queue q;
	size_t at;
	bool promoted = false;

	if (queue_read(&q, file_seat_path(seat, "waiting", waiting), NULL) != 0)
		return false;
	at = queue_find(&q, seat->store->nonce);
	promoted = at < q.n && q.entries[at].ticket == 0;
	queue_deinit(&q);
	return promoted;
}

static void file_seat_lead(struct file_seat *seat, bool led_before)
{
	struct tenure_error error = TENURE_ERROR_INIT;
	struct elector_input in = { .kind = ELECTOR_GRANTED, .deadline_ns = NS_NEVER };

	if (file_seat_begin(seat, led_before, file_seat_promoted(seat), &error) != 0) {
		file_seat_fail(seat, &error);
		return;
	}
	file_seat_reached(seat);
	seat->phase = FILE_SEAT_HELD;
	file_seat_drop_queue(seat);
	file_seat_drop_pid(seat);
	loop_timer_disarm(&seat->timer);
	in.now_ns = clock_now_or_zero_ns();
	in.token = seat->token;
	in.cause = seat->cause;
	seat->store->sink->seat(seat->client_seat, &in, NULL);
}

static void file_seat_on_pid(void *arg)
{
	file_seat_end_last(arg);
}

static void file_seat_pending(struct file_seat *seat, int pidfd, const struct record *r)
{
	uint64_t now_ns = clock_now_or_zero_ns();

	file_seat_drop_pid(seat);
	seat->pidfd = pidfd;
	if (pidfd >= 0)
		(void)loop_watch(seat->store->loop, pidfd, file_seat_on_pid, seat, &seat->pid_watch);
	if (now_ns - seat->pending_since_ns > CLOCK_NS_PER_S) {
		log_write(&seat->store->log, 1, "file",
		          "election %.60s: the program of the last holder %.80s (token %llu, init pid %d) was killed "
		          "and does not "
		          "die; waiting for it",
		          seat->election, r->identity, (unsigned long long)r->token, (int)r->init.pid);
		seat->pending_since_ns = now_ns + 9 * CLOCK_NS_PER_S;
	}
	loop_timer_arm(&seat->timer, clock_add_ns(now_ns, 5 * CLOCK_NS_PER_MS));
}

/* With the lock in hand: ends what the record names, waits for its end, then begins the tenure. */
static void file_seat_end_last(struct file_seat *seat)
{
	struct tenure_error error = TENURE_ERROR_INIT;
	struct record r;
	int pidfd, code = file_store_record(seat->store, seat->election, &r, &error);
	bool lock_same;

	if (code == TENURE_ENOENT) {
		file_seat_lead(seat, false);
		return;
	}
	if (code != 0) {
		file_seat_fail(seat, &error);
		return;
	}
	lock_same = r.lock_dev == (uint64_t)seat->lock_dev && r.lock_inode == (uint64_t)seat->lock_inode;
	switch (ended_step(&r, &seat->store->scope, lock_same, &pidfd, &error)) {
	case ENDED_PROVEN:
		ended_page(&r);
		file_seat_lead(seat, true);
		return;
	case ENDED_PENDING:
		file_seat_pending(seat, pidfd, &r);
		return;
	case ENDED_UNPROVABLE:
		if (pidfd >= 0)
			(void)close(pidfd);
		file_seat_retry(seat, &error);
		return;
	}
}

/* ---- while it leads ---- */

/* Writes the record of a tenure that goes on; where that fails, again with every look. */
static int file_seat_show(struct file_seat *seat)
{
	struct tenure_error error = TENURE_ERROR_INIT;
	int code = file_seat_write_record(seat, true, seat->cause, &error);

	seat->unwritten = seat->troubled = code != 0;
	if (code != 0)
		file_store_health(seat->store, &error);
	return code;
}

static void file_seat_check_lock(struct file_seat *seat)
{
	struct tenure_error error = TENURE_ERROR_INIT;
	char path[FILE_PATH_ROOM];
	struct record r;
	struct stat st;

	if (stat(file_seat_path(seat, "lock", path), &st) == 0 && st.st_dev == seat->lock_dev &&
	    st.st_ino == seat->lock_inode) {
		seat->troubled = seat->unwritten;
		return;
	}
	(void)error_set(&error, TENURE_EIO, 0, "the lock file %.120s was removed or replaced while it is held", path);
	if (!seat->troubled)
		log_write(&seat->store->log, 1, "file", "%s", error.message);
	/* As long as our record stands, nobody else begins: it names us, and we live. Without it nothing protects us.
	 */
	if (file_store_record(seat->store, seat->election, &r, NULL) == 0 && r.leading && r.token == seat->token &&
	    strcmp(r.identity, seat->store->identity) == 0) {
		seat->troubled = true;
		file_store_health(seat->store, &error);
		return;
	}
	file_seat_idle(seat);
	seat->store->sink->seat(seat->client_seat,
	                        &(struct elector_input) { .kind = ELECTOR_LOST,
	                                                  .now_ns = clock_now_or_zero_ns(),
	                                                  .cause = TENURE_BY_STORE },
	                        &error);
}

static void file_seat_on_directory(void *arg, uint32_t mask, const char *name)
{
	struct file_seat *seat = arg;
	char to[NAMES_IDENTITY_ROOM];

	(void)mask;
	if (seat->phase == FILE_SEAT_QUEUED) {
		if (name && strcmp(name, "lock") != 0)
			return;
		seat->burst = name ? 0 : FILE_BURST;
		file_seat_try(seat);
		return;
	}
	if (seat->phase != FILE_SEAT_HELD)
		return;
	if ((!name || strcmp(name, "ask") == 0) && file_view_take_ask(seat->store, seat->election, seat->token, to))
		seat->store->sink->asked(seat->client_seat, to);
	if (seat->phase == FILE_SEAT_HELD && (!name || strcmp(name, "lock") == 0 || strcmp(name, "holder") == 0))
		file_seat_check_lock(seat);
}

void file_seat_tick(struct file_seat *seat)
{
	bool all = seat->store->health_ticks % FILE_LOOK_EVERY == 0;

	if (seat->phase == FILE_SEAT_HELD) {
		if (seat->unwritten && seat->lock_fd >= 0)
			(void)file_seat_show(seat);
		if (all || seat->troubled)
			file_seat_on_directory(seat, 0, NULL);
		return;
	}
	if (seat->phase != FILE_SEAT_QUEUED || seat->timer.at_ns != NS_NEVER)
		return;
	if (seat->behind) {
		seat->free_ticks = file_seat_lock_is_free(seat) ? seat->free_ticks + 1 : 0;
		if (seat->free_ticks >= 2)
			file_seat_overtake(seat);
	}
	if (seat->phase == FILE_SEAT_QUEUED && all)
		file_seat_look(seat);
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
	loop_timer_init(s->loop, &seat->timer, file_seat_on_timer, seat);
	loop_timer_init(s->loop, &seat->again, file_seat_on_again, seat);
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
	file_seat_look(seat);
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
		if (file_seat_write_record(seat, false, cause, &error) != 0)
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
	return file_seat_show(seat);
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
	return *fd < 0 ? lock_errno_code(errno) : 0;
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
	return file_seat_write_record(seat, true, seat->cause, error);
}
