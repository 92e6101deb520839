/* SPDX-License-Identifier: Apache-2.0 */
#include "quorum/voter_disk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/error.h"
#include "base/fs.h"
#include "base/text.h"
#include "quorum/voter_place.h"

#define VOTER_DISK_ALIGN     4096 /* of O_DIRECT */
#define VOTER_DISK_LOCK_ROOM 64

struct voter_disk {
	int dirfd, fd, lock;
	char *path;
	struct superblock present, next;
	enum voter_start start;
	struct tenure_error why;    /* of an unclean start after a clean stop; code 0: none */
	struct tenure_error broken; /* code 0: not */
	uint8_t *snapshot;
	size_t n_snapshot_bytes;
	uint8_t copy[SUPERBLOCK_COPY_BYTES];
};

static const char *voter_disk_advice(int os_errno)
{
	switch (os_errno) {
	case ENOSPC:
	case EDQUOT:
		return "the disk is full: make room, then start the voter again";
	case EROFS:
		return "the file system is read-only, often after an error: check the disk, then start the voter again";
	case EACCES:
	case EPERM:
		return "give it to the user that runs the voter";
	default:
		return "check the disk, then start the voter again";
	}
}

static int voter_disk_fault(const char *what, const char *path, const char *file, int os_errno,
                            struct tenure_error *error)
{
	return error_set(error, error_code_of_errno(os_errno), os_errno, "cannot %s %.100s/%s; %s", what, path, file,
	                 voter_disk_advice(os_errno));
}

/* ---- reading ---- */

static int voter_disk_lost(const char *path, const char *how, struct tenure_error *error)
{
	return error_set(error, TENURE_ENOENT, 0,
	                 "%.70s%s: a voter whose store is lost stays lost until it is replaced (never by an old copy); "
	                 "the stores of a new cluster are made by 'tenure server init'",
	                 path, how);
}

static int voter_disk_directory(const char *path, struct tenure_error *error)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0)
		return fd;
	if (errno == ENOENT)
		return voter_disk_lost(path, " is missing", error);
	if (errno == ENOTDIR)
		return error_set(error, TENURE_EFOREIGN, 0, "%.120s is no directory: a voter's store is one", path);
	return error_set(error, error_code_of_errno(errno), errno, "cannot open %.120s", path);
}

/*
 * The file's bytes from the disk itself where the file system can do that: after a failed fsync the page cache may show
 * what the disk has never got, and the next write would then fall upon the only good copy. -1 with errno set.
 */
static ssize_t voter_disk_read_file(int dirfd, uint8_t *bytes)
{
	int fd = openat(dirfd, "superblock", O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_DIRECT), saved;
	ssize_t n = -1;

	if (fd >= 0) {
		n = fs_pread(fd, bytes, SUPERBLOCK_FILE_BYTES);
		saved = errno;
		(void)close(fd);
		errno = saved;
	}
	if (n >= 0 || errno != EINVAL)
		return n;
	fd = openat(dirfd, "superblock", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -1;
	n = fs_pread(fd, bytes, SUPERBLOCK_FILE_BYTES);
	saved = errno;
	(void)close(fd);
	errno = saved;
	return n;
}

static bool voter_disk_blank(const uint8_t *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (bytes[i] != 0)
			return false;
	}
	return true;
}

static int voter_disk_choose(struct superblock *s, const char *path, const uint8_t *bytes, size_t n_bytes,
                             struct tenure_error *error)
{
	struct tenure_error why = TENURE_ERROR_INIT;
	int code;

	if (voter_disk_blank(bytes, n_bytes < SUPERBLOCK_FILE_BYTES ? n_bytes : SUPERBLOCK_FILE_BYTES))
		return voter_disk_lost(path, "/superblock is blank", error);
	code = superblock_choose(s, bytes, n_bytes, &why);
	if (code == TENURE_EVERSION)
		return error_set(error, code, 0, "%.60s/superblock: %.160s", path, why.message);
	if (code != 0)
		return error_set(
		        error, code, 0,
		        "%.60s/superblock cannot be used: %.90s. This voter is lost: replace it, never by an old "
		        "copy",
		        path, why.message);
	return 0;
}

static int voter_disk_read(struct superblock *s, int dirfd, const char *path, struct tenure_error *error)
{
	void *bytes = NULL;
	struct stat info;
	ssize_t n;
	int code;

	if (fstatat(dirfd, "superblock", &info, AT_SYMLINK_NOFOLLOW) != 0)
		return errno == ENOENT ? voter_disk_lost(path, "/superblock is missing", error)
		                       : voter_disk_fault("look at", path, "superblock", errno, error);
	if (!S_ISREG(info.st_mode))
		return error_set(error, TENURE_EFOREIGN, 0, "%.120s/superblock is no regular file: no voter made it",
		                 path);
	if (posix_memalign(&bytes, VOTER_DISK_ALIGN, SUPERBLOCK_FILE_BYTES) != 0)
		return error_set(error, TENURE_ENOMEM, 0, "no memory to read %.120s/superblock", path);
	n = voter_disk_read_file(dirfd, bytes);
	if (n < 0)
		code = voter_disk_fault("read", path, "superblock", errno, error);
	else
		code = voter_disk_choose(s, path, bytes,
		                         n == SUPERBLOCK_FILE_BYTES && info.st_size > n ? (size_t)info.st_size
		                                                                        : (size_t)n,
		                         error);
	free(bytes);
	return code;
}

int voter_disk_look(struct superblock *s, const char *directory, struct tenure_error *error)
{
	int code, dirfd = voter_disk_directory(directory, error);

	if (dirfd < 0)
		return dirfd;
	code = voter_disk_read(s, dirfd, directory, error);
	(void)close(dirfd);
	return code;
}

/* ---- writing ---- */

/* The one error that there will ever be: what the disk holds after it is not known. */
static int voter_disk_break(struct voter_disk *d, const char *what, int os_errno, struct tenure_error *error)
{
	(void)voter_disk_fault(what, d->path, "superblock", os_errno, &d->broken);
	error_copy(error, &d->broken);
	return d->broken.code;
}

int voter_disk_write(struct voter_disk *d, const struct superblock *s, struct tenure_error *error)
{
	/* What was acknowledged never shrinks, and a voter never becomes another. */
	CHECK(quorum_id_equal(&s->vid, &d->present.vid) && quorum_id_equal(&s->cluster, &d->present.cluster));
	CHECK(s->run >= d->present.run && s->ceiling >= d->present.ceiling);
	if (d->broken.code != 0) {
		error_copy(error, &d->broken);
		return d->broken.code;
	}
	d->next = *s;
	d->next.sequence = d->present.sequence;
	for (unsigned i = 0; i < 2; i++) {
		CHECK(d->next.sequence < UINT64_MAX);
		d->next.sequence++;
		superblock_encode(&d->next, d->copy);
		if (fs_pwrite(d->fd, d->copy, sizeof d->copy, d->next.sequence % 2 ? SUPERBLOCK_COPY_BYTES : 0) != 0)
			return voter_disk_break(d, "write", errno, error);
		if (fdatasync(d->fd) != 0)
			return voter_disk_break(d, "make durable", errno, error);
	}
	d->present = d->next;
	return 0;
}

/* A file that is there whole or not at all. 0, or -1 with errno set. */
static int voter_disk_replace(int dirfd, const char *temporary, const char *name, const uint8_t *bytes, size_t n_bytes)
{
	int fd = openat(dirfd, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600), saved = 0;

	if (fd < 0)
		return -1;
	if (fs_pwrite(fd, bytes, n_bytes, 0) != 0 || fsync(fd) != 0)
		saved = errno;
	(void)close(fd);
	if (!saved && renameat(dirfd, temporary, dirfd, name) != 0)
		saved = errno;
	if (saved) {
		(void)unlinkat(dirfd, temporary, 0);
		errno = saved;
		return -1;
	}
	return fsync(dirfd);
}

int voter_disk_make(const char *directory, const struct superblock *s, struct tenure_error *error)
{
	uint8_t *bytes = malloc(SUPERBLOCK_FILE_BYTES);
	struct superblock *one = malloc(sizeof *one);
	static const char never[] = "run 0 pid 0\n";
	int code = 0, dirfd = -1;

	if (!bytes || !one) {
		code = error_set(error, TENURE_ENOMEM, 0, "no memory for %.120s", directory);
		goto out;
	}
	*one = *s;
	for (one->sequence = 1; one->sequence <= 2; one->sequence++)
		superblock_encode(one, bytes + one->sequence % 2 * SUPERBLOCK_COPY_BYTES);
	dirfd = voter_disk_directory(directory, error);
	if (dirfd < 0) {
		code = dirfd;
		goto out;
	}
	code = voter_place_write(dirfd, directory, error);
	/* Now, so that a full disk keeps no voter from starting. */
	if (code == 0 && voter_disk_replace(dirfd, "lock.new", "lock", (const uint8_t *)never, sizeof never - 1) != 0)
		code = voter_disk_fault("write", directory, "lock", errno, error);
	if (code == 0 && voter_disk_replace(dirfd, "superblock.new", "superblock", bytes, SUPERBLOCK_FILE_BYTES) != 0)
		code = voter_disk_fault("write", directory, "superblock", errno, error);
out:
	if (dirfd >= 0)
		(void)close(dirfd);
	free(one);
	free(bytes);
	return code;
}

int voter_disk_finish(struct voter_disk *d, const uint8_t *snapshot, size_t n_bytes, struct tenure_error *error)
{
	struct superblock *s;
	int code;

	if (d->broken.code != 0) {
		error_copy(error, &d->broken);
		return d->broken.code;
	}
	if (voter_disk_replace(d->dirfd, "snapshot.new", "snapshot", snapshot, n_bytes) != 0)
		return voter_disk_fault("write", d->path, "snapshot", errno, error);
	s = malloc(sizeof *s);
	if (!s)
		return error_set(error, TENURE_ENOMEM, 0, "no memory for %.120s/superblock", d->path);
	*s = d->present;
	s->clean_run = s->run;
	code = voter_disk_write(d, s, error);
	free(s);
	return code;
}

/* ---- the lock, and what its file says ---- */

/* "run N pid N\n": of whoever has it, or had it last. false: says something else, which is no matter. */
static bool voter_disk_lock_says(int fd, uint64_t *run, uint64_t *pid)
{
	char text[VOTER_DISK_LOCK_ROOM] = "", *second;
	size_t digits;

	if (fs_pread(fd, text, sizeof text - 1) <= 0 || strncmp(text, "run ", 4) != 0)
		return false;
	digits = strspn(text + 4, "0123456789");
	second = text + 4 + digits;
	if (!text_u64_n(text + 4, digits, UINT32_MAX, run) || strncmp(second, " pid ", 5) != 0)
		return false;
	digits = strspn(second + 5, "0123456789");
	return second[5 + digits] == '\n' && text_u64_n(second + 5, digits, INT32_MAX, pid);
}

static int voter_disk_taken(int lock, const char *path, struct tenure_error *error)
{
	uint64_t run = 0, pid = 0;

	if (voter_disk_lock_says(lock, &run, &pid))
		return error_set(error, TENURE_EEXIST, 0,
		                 "%.120s is in use by another tenure server, process %d: a voter runs once", path,
		                 (int)pid);
	return error_set(error, TENURE_EEXIST, 0, "%.120s is in use by another tenure server: a voter runs once", path);
}

static int voter_disk_lock(struct voter_disk *d, struct tenure_error *error)
{
	d->lock = openat(d->dirfd, "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (d->lock < 0)
		return voter_disk_fault("open", d->path, "lock", errno, error);
	while (flock(d->lock, LOCK_EX | LOCK_NB) != 0) {
		if (errno == EINTR)
			continue;
		if (errno != EWOULDBLOCK)
			return voter_disk_fault("lock", d->path, "lock", errno, error);
		return voter_disk_taken(d->lock, d->path, error);
	}
	return 0;
}

int voter_disk_in_use(const char *directory, struct tenure_error *error)
{
	int code = 0, dirfd = voter_disk_directory(directory, error);
	int lock = dirfd < 0 ? -1 : openat(dirfd, "lock", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

	if (lock >= 0 && flock(lock, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK)
		code = voter_disk_taken(lock, directory, error);
	if (lock >= 0)
		(void)close(lock);
	if (dirfd >= 0)
		(void)close(dirfd);
	return code;
}

/*
 * The run that began last stands beside the superblock too, so that a superblock that was put back from a backup is
 * found. A witness only: where it says nothing, nothing follows.
 */
static int voter_disk_check_run(struct voter_disk *d, struct tenure_error *error)
{
	uint64_t run, pid;

	if (!voter_disk_lock_says(d->lock, &run, &pid) || run <= d->present.run)
		return 0;
	return error_set(
	        error, TENURE_EUNSAFE, 0,
	        "%.80s/superblock is older than its last run (%u, not %u): it was rolled back. What it granted "
	        "since is forgotten: replace this voter, never by an old copy",
	        d->path, (unsigned)d->present.run, (unsigned)run);
}

static void voter_disk_note_run(struct voter_disk *d)
{
	char text[VOTER_DISK_LOCK_ROOM];
	int n = snprintf(text, sizeof text, "run %u pid %d\n", (unsigned)d->present.run, (int)getpid());

	/* A failure costs a check, no more. */
	if (fs_pwrite(d->lock, text, (size_t)n, 0) == 0 && ftruncate(d->lock, n) == 0)
		(void)fdatasync(d->lock);
}

/* ---- a run ---- */

static int voter_disk_read_snapshot(struct voter_disk *d, struct tenure_error *error)
{
	int fd = openat(d->dirfd, "snapshot", O_RDONLY | O_NOFOLLOW | O_CLOEXEC), code = 0;
	struct stat info;

	if (fd < 0)
		return voter_disk_fault("open", d->path, "snapshot", errno, error);
	if (fstat(fd, &info) != 0) {
		code = voter_disk_fault("look at", d->path, "snapshot", errno, error);
	} else if (!S_ISREG(info.st_mode) || info.st_size <= 0) {
		code = error_set(error, TENURE_EFOREIGN, 0, "%.120s/snapshot is empty or no file", d->path);
	} else {
		d->n_snapshot_bytes = (size_t)info.st_size;
		d->snapshot = malloc(d->n_snapshot_bytes);
		if (!d->snapshot)
			code = error_set(error, TENURE_ENOMEM, 0, "no memory for %.120s/snapshot", d->path);
		else if (fs_pread(fd, d->snapshot, d->n_snapshot_bytes) != (ssize_t)d->n_snapshot_bytes)
			code = voter_disk_fault("read", d->path, "snapshot", errno, error);
	}
	(void)close(fd);
	if (code != 0)
		voter_disk_forget_snapshot(d);
	return code;
}

static int voter_disk_begin(struct voter_disk *d, struct tenure_error *error)
{
	struct superblock *s;
	int code;

	if (d->present.run == UINT32_MAX || d->present.sequence > UINT64_MAX - 4)
		return error_set(error, TENURE_ELIMIT, 0, "%.120s has had all its runs: replace this voter", d->path);
	if (d->present.run == 0)
		d->start = d->present.joined ? VOTER_UNCLEAN : VOTER_FIRST;
	else if (d->present.clean_run != d->present.run || voter_disk_read_snapshot(d, &d->why) != 0)
		d->start = VOTER_UNCLEAN;
	else
		d->start = VOTER_CLEAN;
	s = malloc(sizeof *s);
	if (!s)
		return error_set(error, TENURE_ENOMEM, 0, "no memory for %.120s/superblock", d->path);
	*s = d->present;
	s->run++;
	code = voter_disk_write(d, s, error);
	free(s);
	if (code != 0)
		return code;
	voter_disk_note_run(d);
	/* It was good for this start only, and its run is over now. */
	(void)unlinkat(d->dirfd, "snapshot", 0);
	return 0;
}

static int voter_disk_enter(struct voter_disk *d, const char *directory, bool allow_memory, struct tenure_error *error)
{
	int code = fs_check_local(directory, allow_memory, error);

	if (code != 0)
		return code;
	d->dirfd = voter_disk_directory(directory, error);
	if (d->dirfd < 0)
		return d->dirfd;
	/* Once before the lock: nothing is put into a directory that is no store. */
	code = voter_disk_read(&d->present, d->dirfd, d->path, error);
	if (code != 0)
		return code;
	code = voter_disk_lock(d, error);
	if (code == 0)
		code = voter_disk_read(&d->present, d->dirfd, d->path, error);
	if (code == 0)
		code = voter_disk_check_run(d, error);
	if (code == 0)
		code = voter_place_check(d->dirfd, d->path, error);
	/* Before its first start it has granted nothing, and was on its way to its host. */
	if (code == TENURE_EUNSAFE && d->present.run == 0)
		code = voter_place_write(d->dirfd, d->path, error);
	if (code != 0)
		return code;
	d->fd = openat(d->dirfd, "superblock", O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	if (d->fd < 0)
		return voter_disk_fault("open", d->path, "superblock", errno, error);
	return voter_disk_begin(d, error);
}

int voter_disk_open(struct voter_disk **out, const char *directory, bool allow_memory, struct tenure_error *error)
{
	struct voter_disk *d = calloc(1, sizeof *d);
	int code;

	if (!d)
		return error_set(error, TENURE_ENOMEM, 0, "no memory for a voter's store");
	d->dirfd = d->fd = d->lock = -1;
	d->why = d->broken = (struct tenure_error)TENURE_ERROR_INIT;
	d->path = strdup(directory);
	code = d->path ? voter_disk_enter(d, directory, allow_memory, error)
	               : error_set(error, TENURE_ENOMEM, 0, "no memory for a voter's store");
	if (code != 0) {
		voter_disk_close(d);
		return code;
	}
	*out = d;
	return 0;
}

void voter_disk_close(struct voter_disk *d)
{
	if (!d)
		return;
	if (d->fd >= 0)
		(void)close(d->fd);
	if (d->lock >= 0)
		(void)close(d->lock);
	if (d->dirfd >= 0)
		(void)close(d->dirfd);
	voter_disk_forget_snapshot(d);
	free(d->path);
	free(d);
}

const struct superblock *voter_disk_superblock(const struct voter_disk *d)
{
	return &d->present;
}

enum voter_start voter_disk_start(const struct voter_disk *d, const char **why)
{
	*why = d->why.code != 0 ? d->why.message : NULL;
	return d->start;
}

const uint8_t *voter_disk_snapshot(const struct voter_disk *d, size_t *n_bytes)
{
	*n_bytes = d->n_snapshot_bytes;
	return d->snapshot;
}

void voter_disk_forget_snapshot(struct voter_disk *d)
{
	free(d->snapshot);
	d->snapshot = NULL;
	d->n_snapshot_bytes = 0;
}
