/* SPDX-License-Identifier: Apache-2.0 */
/* What others see of a file election, and what they may ask of its leader, knowing nothing but the directory. */
#include "file/file_store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "base/error.h"
#include "base/text.h"
#include "file/counter.h"
#include "file/lock.h"

#define FILE_ASK_HEAD "tenure-ask 1\n"

static struct file_store *file_view_store(struct store *s)
{
	return (struct file_store *)s;
}

/* ---- reading ---- */

/* Does the process (or the program's tree) that the record names live? True also where it can't be told from here. */
static bool file_view_lives(const struct file_store *s, const struct record *r)
{
	struct process_scope here = s->scope;

	if (here.boot_id[0] == '\0' && process_scope_read(&here) != 0)
		return true;
	if (strcmp(r->scope.boot_id, here.boot_id) != 0)
		return false;
	if (r->scope.pid_ns_inode != here.pid_ns_inode || r->scope.time_ns_inode != here.time_ns_inode)
		return true;
	if (r->has_tree)
		return process_state_of(&r->warden) != PROCESS_DEAD || process_state_of(&r->init) != PROCESS_DEAD;
	return process_state_of(&r->holder) != PROCESS_DEAD;
}

/*
 * The record alone proves nothing: it may be the last one of a holder that died, seen while the next one has the lock
 * but no record yet. So: the lock is held, the record is that of the newest token, and its process lives.
 */
static bool file_view_led(const struct file_store *s, const char *election, const struct record *r)
{
	char path[FILE_PATH_ROOM];
	uint64_t token = 0;
	int fd, held = -1;

	if (!r->leading)
		return false;
	fd = open(file_store_path(s, election, "lock", path), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 && errno == ENOENT)
		return false;
	if (fd >= 0) {
		held = lock_is_held(fd);
		(void)close(fd);
	}
	if (held == 0)
		return false;
	if (counter_read(file_store_path(s, election, NULL, path), &token, NULL) == 0 && token != r->token)
		return false;
	return file_view_lives(s, r);
}

static int file_view_waiting(const struct file_store *s, const char *election, struct store_view *view,
                             struct tenure_error *error)
{
	char path[FILE_PATH_ROOM];
	struct queue q;
	int code = queue_read(&q, file_store_path(s, election, "waiting", path), error);

	if (code != 0)
		return code;
	view->waiting = q.n > 0 ? calloc(q.n, sizeof *view->waiting) : NULL;
	if (q.n > 0 && !view->waiting) {
		queue_deinit(&q);
		return error_set(error, TENURE_ENOMEM, 0, "no memory for %zu waiting candidates", q.n);
	}
	for (size_t i = 0; i < q.n; i++) {
		struct store_waiter *w = &view->waiting[view->n_waiting];

		if (queue_alive(path, q.entries[i].name) == 0)
			continue;
		(void)snprintf(w->id, sizeof w->id, "%s", q.entries[i].id);
		(void)snprintf(w->identity, sizeof w->identity, "%s_%016llx", q.entries[i].id,
		               (unsigned long long)q.entries[i].nonce);
		w->priority = q.entries[i].ticket == 0 ? 0 : q.entries[i].priority;
		view->n_waiting++;
	}
	queue_deinit(&q);
	return 0;
}

/* Everything but who waits. */
static int file_view_leader(const struct file_store *s, const char *election, struct store_view *view,
                            struct tenure_error *error)
{
	struct tenure_error counter = TENURE_ERROR_INIT;
	char path[FILE_PATH_ROOM];
	uint64_t token;
	struct record r;
	int code = file_store_record(s, election, &r, error);

	memset(view, 0, sizeof *view);
	view->expires_in_ns = view->ttl_ns = NS_NEVER;
	view->healthy = s->health != TENURE_DEGRADED;
	if (code == TENURE_ENOENT)
		return 0;
	if (code != 0)
		return code;
	/* Nobody can lead by a counter that is damaged. One that this user may not read tells nothing. */
	code = counter_read(file_store_path(s, election, NULL, path), &token, &counter);
	if (code != 0 && counter.os_errno != EACCES)
		view->healthy = false;
	view->cause = (enum tenure_cause)r.cause;
	if (!file_view_led(s, election, &r)) {
		if (r.leading)
			view->cause = TENURE_BY_EXPIRY; /* it ended without saying so */
		return 0;
	}
	view->led = true;
	memcpy(view->id, r.id, sizeof view->id);
	memcpy(view->identity, r.identity, sizeof view->identity);
	view->token = r.token;
	view->since_unix_ns = (int64_t)r.since_unix_ns;
	view->value_bytes = r.value_bytes;
	memcpy(view->value, r.value, r.value_bytes);
	return 0;
}

void file_view_read(struct store *store, const char *election, store_read_done *done, void *arg)
{
	struct file_store *s = file_view_store(store);
	struct tenure_error error = TENURE_ERROR_INIT;
	struct store_view view;
	int code = file_view_leader(s, election, &view, &error);

	if (code == 0)
		code = file_view_waiting(s, election, &view, &error);
	done(arg, code, &view, &error);
	free(view.waiting);
}

void file_view_list(struct store *store, store_list_each *each, store_done *done, void *arg)
{
	struct file_store *s = file_view_store(store);
	struct tenure_error error = TENURE_ERROR_INIT;
	DIR *dir = opendir(s->root);
	struct dirent *d;

	if (!dir && errno != ENOENT) {
		done(arg, error_set(&error, error_code_of_errno(errno), errno, "cannot read %.200s", s->root), &error);
		return;
	}
	while (dir && (d = readdir(dir))) {
		char path[FILE_PATH_ROOM];
		struct stat st;

		if (!names_election_fault(d->d_name) && stat(file_store_path(s, d->d_name, "lock", path), &st) == 0)
			each(arg, d->d_name);
	}
	if (dir)
		(void)closedir(dir);
	done(arg, 0, &error);
}

/* ---- asking the leader ---- */

/* Who may not write in the election's directory may not ask: that is a matter of identity, not of the disk. */
static int file_view_ask_code(int os_errno)
{
	return os_errno == EACCES || os_errno == EPERM ? TENURE_EDENIED : error_code_of_errno(os_errno);
}

static int file_view_write_ask(const struct file_store *s, const char *election, uint64_t token, const char *to,
                               struct tenure_error *error)
{
	char text[256], temporary[FILE_PATH_ROOM], final[FILE_PATH_ROOM], name[64];
	int fd, used, code = 0;

	(void)snprintf(name, sizeof name, FILE_ASK_NEW "%016llx", (unsigned long long)s->nonce);
	file_store_path(s, election, name, temporary);
	file_store_path(s, election, "ask", final);
	used = snprintf(text, sizeof text, FILE_ASK_HEAD "token %llu\nto %s\n", (unsigned long long)token, to);
	/* Never what somebody else put there: its name can be told from the queue. */
	(void)unlink(temporary);
	fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return error_set(error, file_view_ask_code(errno), errno, "cannot ask the leader: cannot write %.180s",
		                 temporary);
	errno = 0;
	/* Whoever may take part may read it, like everything in the directory. */
	if (write(fd, text, (size_t)used) != used || fchmod(fd, s->mode_files ? s->mode_files : 0644) != 0 ||
	    rename(temporary, final) != 0) {
		code = error_set(error, file_view_ask_code(errno), errno ? errno : ENOSPC,
		                 "cannot ask the leader: cannot write %.180s", final);
		(void)unlink(temporary);
	}
	(void)close(fd);
	return code;
}

static int file_view_try_ask(struct file_store *s, const char *election, const char *to, struct tenure_error *error)
{
	char path[FILE_PATH_ROOM], identity[NAMES_IDENTITY_ROOM] = "";
	struct store_view view;
	int code = file_view_leader(s, election, &view, error);

	if (code != 0)
		return code;
	if (!view.led)
		return error_set(error, TENURE_NOT_LEADING, 0, "nobody leads election '%.80s'", election);
	if (to[0] != '\0') {
		struct queue q;
		size_t at;

		code = queue_read(&q, file_store_path(s, election, "waiting", path), error);
		if (code != 0)
			return code;
		code = queue_resolve(&q, to, &at, error);
		if (code == 0)
			(void)snprintf(identity, sizeof identity, "%s_%016llx", q.entries[at].id,
			               (unsigned long long)q.entries[at].nonce);
		queue_deinit(&q);
		if (code != 0)
			return code;
	}
	return file_view_write_ask(s, election, view.token, identity, error);
}

void file_view_ask(struct store *store, const char *election, const char *to, store_done *done, void *arg)
{
	struct tenure_error error = TENURE_ERROR_INIT;
	int code = file_view_try_ask(file_view_store(store), election, to, &error);

	done(arg, code, &error);
}

bool file_view_take_ask(const struct file_store *s, const char *election, uint64_t token, char to[NAMES_IDENTITY_ROOM])
{
	char path[FILE_PATH_ROOM], text[256], expected[64];
	size_t head;
	ssize_t got;
	char *newline;
	int fd = open(file_store_path(s, election, "ask", path), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	if (fd < 0)
		return false;
	got = read(fd, text, sizeof text - 1);
	(void)close(fd);
	if (got <= 0)
		return false;
	text[got] = '\0';
	head = (size_t)snprintf(expected, sizeof expected, FILE_ASK_HEAD "token %llu\nto ", (unsigned long long)token);
	newline = strchr((size_t)got > head ? text + head : text, '\n');
	/*
	 * For another tenure, or not written by Tenure: it asks nothing of this one. It is left alone, since by now another
	 * wish may stand under its name; and a later leader, whom we may have missed, may still have to read it.
	 */
	if (strncmp(text, expected, head) != 0 || !newline ||
	    (size_t)(newline - text - (ptrdiff_t)head) >= NAMES_IDENTITY_ROOM)
		return false;
	(void)unlink(path);
	*newline = '\0';
	memcpy(to, text + head, strlen(text + head) + 1);
	return true;
}

/* ---- observing ---- */

static void file_view_on_change(void *arg, uint32_t mask, const char *name)
{
	struct file_watch *w = arg;

	if (name && strcmp(name, "holder") != 0 && strcmp(name, "lock") != 0 && strcmp(name, w->election) != 0)
		return;
	w->burst = !name || (mask & IN_CLOSE_WRITE) ? 0 : FILE_BURST;
	file_view_look(w);
}

static void file_view_subscribe(struct file_watch *w)
{
	char path[FILE_PATH_ROOM];
	struct file_store *s = w->store;

	if (notify_subscribe(s->notify, &w->changes, file_store_path(s, w->election, NULL, path), NOTIFY_DIRECTORY,
	                     file_view_on_change, w) == 0)
		return;
	/* Nobody has campaigned yet: wait for the directory to be made. Where even the store is missing there is nothing
	 * that would tell, so look again soon. */
	if (notify_subscribe(s->notify, &w->changes, s->root, NOTIFY_DIRECTORY, file_view_on_change, w) != 0)
		loop_timer_arm(&w->timer, clock_add_ns(clock_now_or_zero_ns(), NOTIFY_POLL_NS));
}

void file_view_look(struct file_watch *w)
{
	struct file_store *s = w->store;
	struct store_view view;
	uint32_t value_crc;

	file_view_subscribe(w);
	if (file_view_leader(s, w->election, &view, NULL) != 0)
		return; /* read again with the next change; health tells of a disk that fails */
	value_crc = crc32c(view.value, view.value_bytes);
	if (view.led && w->burst < FILE_BURST)
		loop_timer_arm(&w->timer, clock_add_ns(clock_now_or_zero_ns(), file_burst_ns(w->burst++)));
	if (w->told && w->led == view.led && w->token == view.token && w->value_crc == value_crc)
		return;
	w->told = true;
	w->led = view.led;
	w->token = view.token;
	w->value_crc = value_crc;
	s->sink->leader(w->client_watch, &view);
}

static void file_view_on_timer(void *arg)
{
	file_view_look(arg);
}

int file_view_observe(struct store *store, const char *election, void *client_watch, struct store_watch **out,
                      struct tenure_error *error)
{
	struct file_store *s = file_view_store(store);
	struct file_watch *w = calloc(1, sizeof *w);

	if (!w)
		return error_set(error, TENURE_ENOMEM, 0, "no memory for an observer");
	w->store = s;
	w->client_watch = client_watch;
	memcpy(w->election, election, strlen(election) + 1);
	loop_timer_init(s->loop, &w->timer, file_view_on_timer, w);
	list_append(&s->watches, &w->node);
	w->burst = FILE_BURST;
	file_view_look(w);
	*out = (struct store_watch *)w;
	return 0;
}

void file_view_unobserve(struct store_watch *watch)
{
	struct file_watch *w = (struct file_watch *)watch;

	loop_timer_disarm(&w->timer);
	notify_unsubscribe(&w->changes);
	list_remove(&w->node);
	free(w);
}
