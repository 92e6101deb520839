/* SPDX-License-Identifier: Apache-2.0 */
#include "file/queue.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/error.h"
#include "base/text.h"
#include "file/lock.h"

#define QUEUE_PATH_ROOM 4600
#define QUEUE_OLD_S     60

static void queue_digits(struct buf *b, uint64_t value, size_t width)
{
	char digits[20];

	for (size_t i = width; i-- > 0; value /= 10)
		digits[i] = (char)('0' + value % 10);
	buf_bytes(b, digits, width);
}

void queue_name(char out[QUEUE_NAME_ROOM], uint16_t priority, uint64_t ticket, uint64_t nonce, const char *id)
{
	struct buf b;

	buf_init(&b, out, QUEUE_NAME_ROOM);
	queue_digits(&b, 65535U - priority, 5);
	buf_char(&b, '-');
	queue_digits(&b, ticket, 20);
	buf_char(&b, '-');
	buf_hex64(&b, nonce);
	buf_char(&b, '-');
	buf_text(&b, id);
	CHECK(!b.overflow);
}

bool queue_parse(struct queue_entry *e, const char *name)
{
	size_t length = strnlen(name, QUEUE_NAME_ROOM);
	uint64_t rank;

	if (length >= QUEUE_NAME_ROOM || length < 5 + 1 + 20 + 1 + 16 + 1 + 1)
		return false;
	if (name[5] != '-' || name[26] != '-' || name[43] != '-' || !text_u64_n(name, 5, 65535, &rank) ||
	    !text_u64_n(name + 6, 20, UINT64_MAX, &e->ticket) || !text_hex64_n(name + 27, 16, &e->nonce) ||
	    names_id_fault(name + 44))
		return false;
	memcpy(e->name, name, length + 1);
	e->priority = (uint16_t)(65535 - rank);
	e->id = e->name + 44;
	return true;
}

static int queue_compare(const void *a, const void *b)
{
	return strcmp(((const struct queue_entry *)a)->name, ((const struct queue_entry *)b)->name);
}

static int queue_collect(struct queue *q, DIR *dir, struct tenure_error *error)
{
	size_t room = 0;
	struct dirent *d;

	while ((d = readdir(dir))) {
		if (q->n == room) {
			struct queue_entry *more;

			room = room ? room * 2 : 16;
			more = reallocarray(q->entries, room, sizeof *more);
			if (!more)
				return error_set(error, TENURE_ENOMEM, 0, "no memory for %zu waiting candidates", room);
			q->entries = more;
		}
		if (queue_parse(&q->entries[q->n], d->d_name))
			q->n++;
	}
	return 0;
}

int queue_read(struct queue *q, const char *path, struct tenure_error *error)
{
	DIR *dir = opendir(path);
	int code;

	*q = (struct queue) { 0 };
	if (!dir) {
		if (errno == ENOENT)
			return 0;
		return error_set(error, error_code_of_errno(errno), errno, "cannot read %s", path);
	}
	code = queue_collect(q, dir, error);
	(void)closedir(dir);
	if (code != 0) {
		queue_deinit(q);
		return code;
	}
	if (q->n > 0)
		qsort(q->entries, q->n, sizeof q->entries[0], queue_compare);
	for (size_t i = 0; i < q->n; i++)
		q->entries[i].id = q->entries[i].name + 44;
	return 0;
}

void queue_deinit(struct queue *q)
{
	free(q->entries);
	*q = (struct queue) { 0 };
}

size_t queue_find(const struct queue *q, uint64_t nonce)
{
	for (size_t i = 0; i < q->n; i++)
		if (q->entries[i].nonce == nonce)
			return i;
	return q->n;
}

int queue_resolve(const struct queue *q, const char *who, size_t *index, struct tenure_error *error)
{
	char names[200];
	struct buf b;
	size_t matches = 0;

	buf_init(&b, names, sizeof names);
	for (size_t i = 0; i < q->n; i++) {
		char identity[NAMES_IDENTITY_ROOM];
		struct buf one;

		buf_init(&one, identity, sizeof identity);
		buf_text(&one, q->entries[i].id);
		buf_char(&one, '_');
		buf_hex64(&one, q->entries[i].nonce);
		if (strcmp(identity, who) == 0) {
			*index = i;
			return 0;
		}
		if (strcmp(q->entries[i].id, who) != 0)
			continue;
		*index = i;
		if (matches++ > 0)
			buf_text(&b, ", ");
		buf_text(&b, identity);
	}
	if (matches == 1)
		return 0;
	if (matches == 0)
		return error_set(error, TENURE_ENOENT, 0,
		                 "no candidate '%.80s' waits in this election; see who does with 'tenure status'", who);
	return error_set(error, TENURE_EAMBIGUOUS, 0, "id '%.64s' names %zu candidates, name one of %s", who, matches,
	                 names);
}

int queue_alive(const char *path, const char *name)
{
	char file[QUEUE_PATH_ROOM];
	int fd, held;

	(void)snprintf(file, sizeof file, "%s/%s", path, name);
	fd = open(file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return errno == ENOENT ? 0 : 1;
	held = lock_is_held(fd);
	(void)close(fd);
	return held != 0;
}

/* A file without a name leaves nothing behind when its maker is killed. -1: it can't be done here, so go on with one. */
static int queue_enter_unnamed(const char *path, const char *final, unsigned mode)
{
	char self[40];
	int fd = open(path, O_TMPFILE | O_RDWR | O_CLOEXEC, mode);

	if (fd < 0)
		return -1;
	(void)snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
	if (fchmod(fd, mode) == 0 && lock_take(fd) == 0 &&
	    linkat(AT_FDCWD, self, AT_FDCWD, final, AT_SYMLINK_FOLLOW) == 0)
		return fd;
	(void)close(fd);
	return -1;
}

int queue_enter(const char *path, const char *name, unsigned mode, uint64_t nonce, struct tenure_error *error)
{
	char temporary[QUEUE_PATH_ROOM], final[QUEUE_PATH_ROOM];
	int fd, code;

	(void)snprintf(temporary, sizeof temporary, "%s/" QUEUE_NEW "%016llx", path, (unsigned long long)nonce);
	(void)snprintf(final, sizeof final, "%s/%s", path, name);
	/* Locked before it has its name: a file in the queue without a lock is one that was left behind. */
	fd = queue_enter_unnamed(path, final, mode);
	if (fd >= 0)
		return fd;
	(void)unlink(temporary); /* our own session's alone, if any */
	fd = open(temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
	if (fd < 0)
		return error_set(error, error_code_of_errno(errno), errno, "cannot enter the queue: cannot make %s",
		                 temporary);
	if (fchmod(fd, mode) == 0 && lock_take(fd) == 0 && rename(temporary, final) == 0)
		return fd;
	code = error_set(error, error_code_of_errno(errno), errno, "cannot enter the queue: cannot make %s", final);
	(void)unlink(temporary);
	(void)close(fd);
	return code;
}

int queue_promote(const char *path, const struct queue_entry *e)
{
	char from[QUEUE_PATH_ROOM], to[QUEUE_PATH_ROOM], name[QUEUE_NAME_ROOM];

	queue_name(name, UINT16_MAX, 0, e->nonce, e->id);
	(void)snprintf(from, sizeof from, "%s/%s", path, e->name);
	(void)snprintf(to, sizeof to, "%s/%s", path, name);
	return rename(from, to) == 0 ? 0 : TENURE_EIO;
}

void queue_sweep(const char *path, const char *prefix)
{
	DIR *dir = opendir(path);
	struct dirent *d;

	if (!dir)
		return;
	while ((d = readdir(dir))) {
		struct stat st;

		if (strncmp(d->d_name, prefix, strlen(prefix)) == 0 &&
		    fstatat(dirfd(dir), d->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    st.st_ctim.tv_sec + QUEUE_OLD_S < time(NULL) && queue_alive(path, d->d_name) == 0)
			(void)unlinkat(dirfd(dir), d->d_name, 0);
	}
	(void)closedir(dir);
}
