/* SPDX-License-Identifier: Apache-2.0 */
#include "file/file_store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fs.h"
#include "file/lock.h"

const char *file_store_path(const struct file_store *s, const char *election, const char *name,
                            char out[FILE_PATH_ROOM])
{
	if (name)
		(void)snprintf(out, FILE_PATH_ROOM, "%s/%s/%s", s->root, election, name);
	else
		(void)snprintf(out, FILE_PATH_ROOM, "%s/%s", s->root, election);
	return out;
}

/* ---- the directory ---- */

/*
 * Whoever may write in the directory may take part; whoever may only read it may look, but must not be able to open a
 * lock: a reader's lock would keep every candidate out.
 */
static void file_store_modes(struct file_store *s, mode_t dir)
{
	/* Not the sticky bit: what one candidate left behind, another one must be able to replace. */
	s->mode_dirs = (unsigned)dir & 02777;
	/* What is made in an election by one member of the group, the others must be able to use. */
	if (dir & S_IWGRP)
		s->mode_dirs |= S_ISGID;
	s->mode_files = ((unsigned)dir & 0666) | 0600;
	s->mode_locks = s->mode_files;
	if (!(dir & S_IWGRP))
		s->mode_locks &= ~060U;
	if (!(dir & S_IWOTH))
		s->mode_locks &= ~06U;
	/* Nobody writes into a record in place, and by what it says processes are killed: its owner alone answers for it. */
	s->mode_record = s->mode_files & ~022U;
}

int file_store_prepare(struct file_store *s, struct tenure_error *error)
{
	struct stat st;
	int code;

	if (s->ready && access(s->root, F_OK) == 0)
		return 0;
	code = fs_check_local(s->root, s->allow_memory, error);
	if (code == 0)
		code = fs_make_directories(s->root, 0755, error);
	if (code != 0)
		return code;
	if (stat(s->root, &st) != 0 || access(s->root, R_OK | W_OK | X_OK) != 0)
		return error_set(
		        error, TENURE_EIO, errno,
		        "candidates must be able to write in %.120s; choose another directory with --store file:DIR",
		        s->root);
	file_store_modes(s, st.st_mode);
	s->group = st.st_gid;
	s->ready = true;
	return 0;
}

static bool file_store_lost(const char *bytes, size_t n_bytes)
{
	for (size_t i = 0; i < n_bytes; i++)
		if (bytes[i] != '\0')
			return false;
	return true;
}

int file_store_record(const struct file_store *s, const char *election, struct record *r, struct tenure_error *error)
{
	char path[FILE_PATH_ROOM], text[RECORD_MAX_BYTES + 1];
	ssize_t got = 0, used = 0;
	struct stat st;
	bool owned;
	int code, fd = open(file_store_path(s, election, "holder", path), O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
		return TENURE_ENOENT;
	if (fd < 0)
		return error_set(error, error_code_of_errno(errno), errno, "cannot open %.200s", path);
	do {
		got = read(fd, text + used, sizeof text - (size_t)used);
		used += got > 0 ? got : 0;
	} while ((got > 0 && (size_t)used < sizeof text) || (got < 0 && errno == EINTR));
	owned = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & (S_IWGRP | S_IWOTH)) == 0;
	(void)close(fd);
	if (got < 0)
		return error_set(error, TENURE_EIO, errno, "cannot read %.200s", path);
	/*
	 * The record is not made durable. A file system that lost it with its power leaves an empty file or zero bytes,
	 * which nobody ever writes: then the host was restarted, and nothing that it named can live.
	 */
	if (file_store_lost(text, (size_t)used))
		return TENURE_ENOENT;
	code = record_parse(r, text, (size_t)used, path, error);
	r->owned = owned;
	r->owner = owned ? st.st_uid : 0;
	return code;
}

/* ---- health ---- */

void file_store_health(struct file_store *s, const struct tenure_error *error)
{
	enum tenure_health health = error ? TENURE_DEGRADED : TENURE_HEALTHY;

	if (health == s->health)
		return;
	s->health = health;
	if (error)
		log_write(&s->log, 4, "file", "degraded: %s", error->message);
	else
		log_write(&s->log, 6, "file", "healthy: %s can be written", s->root);
	s->sink->health(s->client, health, error);
}

/*
 * What a file system holds back it gives to some and not to others: where it is nearly full, only writing tells. The
 * file has no name and is gone with its descriptor. `otherwise`: where such a file can't be made for other reasons.
 */
static bool file_store_writable(const struct file_store *s, bool otherwise)
{
	static const char block[4096];
	int fd = open(s->root, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	bool written;

	if (fd < 0)
		return errno != ENOSPC && errno != EDQUOT && otherwise;
	written = write(fd, block, sizeof block) == (ssize_t)sizeof block;
	(void)close(fd);
	return written;
}

static int file_store_examine(struct file_store *s, struct tenure_error *error)
{
	struct statvfs st;

	if (statvfs(s->root, &st) != 0) {
		if (errno == ENOENT && !s->ready)
			return 0; /* nobody has used it yet */
		return error_set(error, TENURE_EIO, errno, "the store's directory %.150s %s", s->root,
		                 errno == ENOENT ? "is gone" : "cannot be reached");
	}
	if (st.f_flag & ST_RDONLY)
		return error_set(error, TENURE_EIO, EROFS, "the store's directory %.150s cannot be written", s->root);
	if (st.f_blocks > 0 && st.f_bavail == 0 && !file_store_writable(s, geteuid() == 0 && st.f_bfree > 0))
		return error_set(error, TENURE_EIO, ENOSPC, "the store's directory %.150s is full", s->root);
	if (st.f_files > 0 && st.f_ffree == 0)
		return error_set(error, TENURE_EIO, ENOSPC, "the store's directory %.150s has no room for more files",
		                 s->root);
	return 0;
}

static void file_store_on_health(void *arg)
{
	struct file_store *s = arg;
	struct tenure_error error = TENURE_ERROR_INIT;
	int code = file_store_examine(s, &error);
	bool troubled = false;

	s->health_ticks++;
	LIST_EACH_SAFE (node, after, &s->seats) {
		struct file_seat *seat = LIST_OF(node, struct file_seat, node);

		file_seat_tick(seat);
		troubled = troubled || seat->troubled;
	}
	/* A seat that met an error of the disk says itself when it is over: until then nothing is healthy. */
	if (code != 0)
		file_store_health(s, &error);
	else if (!troubled)
		file_store_health(s, NULL);
	if (s->health_ticks % FILE_LOOK_EVERY == 0)
		LIST_EACH_SAFE (node, after, &s->watches)
			file_view_look(LIST_OF(node, struct file_watch, node));
	loop_timer_arm(&s->health_timer, clock_add_ns(clock_now_or_zero_ns(), FILE_HEALTH_NS));
}

/* ---- the session ---- */

static int file_store_settings(struct file_store *s, const struct store_settings *settings, struct tenure_error *error)
{
	const struct tenure_options *o = settings->options;
	char cwd[FILE_ROOT_ROOM] = "";
	int used;

	for (size_t i = 0; i < settings->n_query; i++) {
		const struct store_pair *pair = &settings->query[i];

		if (strcmp(pair->key, "volatile") != 0)
			return error_set(error, TENURE_EURL, 0,
			                 "the file store has no setting '%.60s'; it has volatile=yes|no", pair->key);
		if (strcmp(pair->value, "yes") != 0 && strcmp(pair->value, "no") != 0)
			return error_set(error, TENURE_EURL, 0, "volatile= is yes or no, not '%.60s'", pair->value);
		s->allow_memory = strcmp(pair->value, "yes") == 0;
	}
	if (o->ca_file || o->cert_file || o->key_file || o->user || o->password_file)
		return error_set(
		        error, TENURE_EUNSUPPORTED, 0,
		        "the file store has no TLS and no users: the directory's permissions say who may take part");
	if (settings->path[0] != '/' && !getcwd(cwd, sizeof cwd))
		return error_set(error, TENURE_EIO, errno, "cannot tell the current directory for '%.100s'",
		                 settings->path);
	used = snprintf(s->root, sizeof s->root, "%s%s%s", cwd, cwd[0] ? "/" : "", settings->path);
	if (used < 0 || (size_t)used >= sizeof s->root)
		return error_set(error, TENURE_EURL, 0, "the store's directory is longer than %zu bytes",
		                 sizeof s->root - 1);
	while (used > 1 && s->root[used - 1] == '/')
		s->root[--used] = '\0';
	return 0;
}

static int file_store_open(struct store **out, const struct store_settings *settings, const struct store_sink *sink,
                           void *client, struct tenure_error *error)
{
	struct file_store *s = calloc(1, sizeof *s);
	int code;

	if (!s)
		return error_set(error, TENURE_ENOMEM, 0, "no memory for a session");
	s->loop = settings->loop;
	s->log = settings->log;
	s->nonce = settings->nonce;
	s->sink = sink;
	s->client = client;
	memcpy(s->id, settings->id, strlen(settings->id) + 1);
	memcpy(s->identity, settings->identity, strlen(settings->identity) + 1);
	list_init(&s->seats);
	list_init(&s->watches);
	loop_timer_init(s->loop, &s->health_timer, file_store_on_health, s);
	code = file_store_settings(s, settings, error);
	if (code == 0)
		code = notify_new(&s->notify, s->loop, &s->log, error);
	if (code != 0) {
		free(s);
		return code;
	}
	*out = (struct store *)s;
	return 0;
}

static void file_store_start(struct store *store)
{
	struct file_store *s = (struct file_store *)store;

	/* Without /proc the scope is empty: then nothing about other processes can be proven, and ended_step() says so.
	 */
	(void)process_scope_read(&s->scope);
	(void)process_identify(getpid(), &s->self);
	file_store_on_health(s);
}

static void file_store_close(struct store *store)
{
	struct file_store *s = (struct file_store *)store;

	loop_timer_disarm(&s->health_timer);
	notify_free(s->notify);
	free(s);
}

static uint64_t file_store_ttl_ns(const struct store *store)
{
	(void)store;
	return NS_NEVER;
}

static void file_store_forked(struct store *store)
{
	struct file_store *s = (struct file_store *)store;

	LIST_EACH (node, &s->seats) {
		struct file_seat *seat = LIST_OF(node, struct file_seat, node);

		if (seat->lock_fd >= 0)
			(void)close(seat->lock_fd);
		if (seat->queue_fd >= 0)
			(void)close(seat->queue_fd);
		seat->lock_fd = seat->queue_fd = -1;
	}
}

const struct store_ops file_store_ops = {
	.scheme = "file",
	.capabilities = STORE_CAN_LIST | STORE_CAN_ASK | STORE_CAN_PRIORITY | STORE_CAN_VALUE | STORE_CAN_OBSERVE |
	                STORE_HAS_LOCK | STORE_ENDLESS_LEASE,
	.open = file_store_open,
	.close = file_store_close,
	.start = file_store_start,
	.ttl_ns = file_store_ttl_ns,
	.take_seat = file_seat_take,
	.begin = file_seat_begin_work,
	.join = file_seat_join,
	.leave = file_seat_leave,
	.release = file_seat_release,
	.set_value = file_seat_set_value,
	.free_seat = file_seat_free,
	.read = file_view_read,
	.list = file_view_list,
	.ask = file_view_ask,
	.observe = file_view_observe,
	.unobserve = file_view_unobserve,
	.share_lock = file_seat_share_lock,
	.yield_lock = file_seat_yield_lock,
	.return_lock = file_seat_return_lock,
	.record_tree = file_seat_record_tree,
	.forked = file_store_forked,
};
