/* SPDX-License-Identifier: Apache-2.0 */
/* With the lock of a file election in hand: the proof that the last holder is over, the token, the record; and the watch
 * over all that while it leads. */
#include "file/file_seat.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/error.h"
#include "file/counter.h"
#include "file/ended.h"
#include "file/lock.h"

/* ---- the last holder, and the tenure ---- */

static void file_tenure_fill(const struct file_seat *seat, struct record *r)
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
int file_tenure_write_record(const struct file_seat *seat, bool leading, enum tenure_cause cause,
                             struct tenure_error *error)
{
	char text[RECORD_MAX_BYTES], temporary[FILE_PATH_ROOM], final[FILE_PATH_ROOM];
	struct record r;
	size_t used;
	int fd, code = 0;

	file_tenure_fill(seat, &r);
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
		return error_set(error, error_code_of_errno(errno), errno, "cannot write %.200s", temporary);
	errno = 0;
	if (fchmod(fd, seat->store->mode_record) != 0 || write(fd, text, used) != (ssize_t)used ||
	    rename(temporary, final) != 0)
		code = error_set(error, TENURE_EIO, errno ? errno : ENOSPC, "cannot write %.200s", final);
	(void)close(fd);
	return code;
}

/* The token is durable before anybody hears of it; then the record; then the announcement. */
static int file_tenure_begin(struct file_seat *seat, bool led_before, bool promoted, struct tenure_error *error)
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
	return file_tenure_write_record(seat, true, seat->cause, error);
}

static bool file_tenure_promoted(const struct file_seat *seat)
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

static void file_tenure_begin_to_lead(struct file_seat *seat, bool led_before)
{
	struct tenure_error error = TENURE_ERROR_INIT;
	struct elector_input in = { .kind = ELECTOR_GRANTED, .deadline_ns = NS_NEVER };

	if (file_tenure_begin(seat, led_before, file_tenure_promoted(seat), &error) != 0) {
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

static void file_tenure_on_pid(void *arg)
{
	file_tenure_end_last(arg);
}

static void file_tenure_pending(struct file_seat *seat, int pidfd, const struct record *r)
{
	uint64_t now_ns = clock_now_or_zero_ns();

	file_seat_drop_pid(seat);
	seat->pidfd = pidfd;
	if (pidfd >= 0)
		(void)loop_watch(seat->store->loop, pidfd, file_tenure_on_pid, seat, &seat->pid_watch);
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
void file_tenure_end_last(struct file_seat *seat)
{
	struct tenure_error error = TENURE_ERROR_INIT;
	struct record r;
	int pidfd, code = file_store_record(seat->store, seat->election, &r, &error);
	bool lock_same;

	if (code == TENURE_ENOENT) {
		file_tenure_begin_to_lead(seat, false);
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
		file_tenure_begin_to_lead(seat, true);
		return;
	case ENDED_PENDING:
		file_tenure_pending(seat, pidfd, &r);
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
int file_tenure_show(struct file_seat *seat)
{
	struct tenure_error error = TENURE_ERROR_INIT;
	int code = file_tenure_write_record(seat, true, seat->cause, &error);

	seat->unwritten = seat->troubled = code != 0;
	if (code != 0)
		file_store_health(seat->store, &error);
	return code;
}

static void file_tenure_check_lock(struct file_seat *seat)
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

void file_tenure_on_directory(void *arg, uint32_t mask, const char *name)
{
	struct file_seat *seat = arg;
	char to[NAMES_IDENTITY_ROOM];

	(void)mask;
	if (seat->phase == FILE_SEAT_QUEUED) {
		if (name && strcmp(name, "lock") != 0)
			return;
		seat->burst = name ? 0 : FILE_BURST;
		file_place_try(seat);
		return;
	}
	if (seat->phase != FILE_SEAT_HELD)
		return;
	if ((!name || strcmp(name, "ask") == 0) && file_view_take_ask(seat->store, seat->election, seat->token, to))
		seat->store->sink->asked(seat->client_seat, to);
	if (seat->phase == FILE_SEAT_HELD && (!name || strcmp(name, "lock") == 0 || strcmp(name, "holder") == 0))
		file_tenure_check_lock(seat);
}

void file_tenure_tick(struct file_seat *seat, bool all)
{
	if (seat->phase != FILE_SEAT_HELD)
		return;
	if (seat->unwritten && seat->lock_fd >= 0)
		(void)file_tenure_show(seat);
	if (all || seat->troubled)
		file_tenure_on_directory(seat, 0, NULL);
}
