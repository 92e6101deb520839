/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One file a resource: the mark in two slots (base/slots.h) and two locks on it (guard_lock.h).
 *
 * G1  The mark is only changed under the slots' lock, and never lowered but by reset.
 * G2  Nobody is admitted below the mark, and not before the mark is durable in BOTH slots: then damage to either one,
 * and a write torn by a crash, leave a mark that is not below any token that was admitted. G3  What this handle did not
 * write itself is not taken for durable, though it is read: its writer may have been killed before fdatasync, or got an
 * error from it. It is written again. G4  The mark is raised before the wait for the lock, so a token that waits
 * already shuts older ones out, and compared again once the lock is had.
 */
#include <tenure/guard.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fs.h"
#include "base/names.h"
#include "base/slots.h"
#include "guard/guard_lock.h"

/* Who may open the file for reading may lock it for reading, and so stall it: the owner alone, unless he says
 * otherwise. */
#define GUARD_FILE_MODE      0600
#define GUARD_DIRECTORY_MODE 0755
#define GUARD_SUFFIX         ".guard"
#define GUARD_NAME_ROOM      (NAMES_ELECTION_ROOM + sizeof GUARD_SUFFIX)
/* The slots' lock is held for two writes to disk: longer means a stopped process or a disk that hangs. */
#define GUARD_SLOTS_LIMIT_NS (2 * CLOCK_NS_PER_S)
#define GUARD_READ_TRIES     3
#define GUARD_NEW_SEQUENCE   2 /* as slots_create() leaves it */

struct tenure_guard {
	pid_t owner;
	int fd;     /* for the slots; -1: the file is not there yet */
	int use_fd; /* has the lock from enter to leave; -1: outside */
	bool read_only;
	uint64_t durable_sequence; /* G3: what this handle made durable; 0 none */
	char directory[PATH_MAX], path[PATH_MAX];
	char name[GUARD_NAME_ROOM];
};

static int guard_name(struct tenure_guard *g, const char *dir, const char *resource, struct tenure_error *error)
{
	char here[PATH_MAX] = "";
	int length;

	if (dir[0] != '/' && !getcwd(here, sizeof here))
		return error_set(error, TENURE_EIO, errno, "cannot tell the working directory: give an absolute one");
	(void)snprintf(g->name, sizeof g->name, "%s" GUARD_SUFFIX, resource);
	length = snprintf(g->directory, sizeof g->directory, "%s%s%s", here, here[0] ? "/" : "", dir);
	if (length > 0 && (size_t)length < sizeof g->directory)
		length = snprintf(g->path, sizeof g->path, "%s/%s", g->directory, g->name);
	if (length <= 0 || (size_t)length >= sizeof g->path)
		return error_set(error, TENURE_EINVAL, 0, "the guard's directory has a name of more than %d bytes",
		                 PATH_MAX);
	return 0;
}

/* Opens the file that is there. 0, with fd -1 where there is none. */
static int guard_open_existing(struct tenure_guard *g, struct tenure_error *error)
{
	struct slots s;
	int code, fd = open(g->path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	g->read_only = fd < 0 && (errno == EACCES || errno == EROFS);
	if (g->read_only)
		fd = open(g->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return errno == ENOENT ? 0
		                       : error_set(error, error_code_of_errno(errno), errno, "cannot open %s", g->path);
	code = fs_check_local(g->path, false, error);
	if (code == 0)
		code = slots_read(fd, &s, SLOTS_MAGIC_GUARD, g->path, error);
	if (code != 0) {
		(void)close(fd);
		return code;
	}
	g->fd = fd;
	return 0;
}

static int guard_create(struct tenure_guard *g, struct tenure_error *error)
{
	struct slots s;
	int fd, dirfd, code = fs_check_local(g->directory, false, error);

	if (code == 0)
		code = fs_make_directories(g->directory, GUARD_DIRECTORY_MODE, error);
	if (code != 0)
		return code;
	dirfd = open(g->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dirfd < 0)
		return error_set(error, error_code_of_errno(errno), errno, "cannot open %s", g->directory);
	fd = slots_create(dirfd, g->name, GUARD_FILE_MODE, SLOTS_MAGIC_GUARD, 0, &s, g->path, error);
	(void)close(dirfd);
	if (fd == TENURE_EEXIST)
		return guard_open_existing(g, error);
	if (fd < 0)
		return fd;
	g->fd = fd;
	return 0;
}

/* After 0 the file is open for writing. */
static int guard_ready(struct tenure_guard *g, struct tenure_error *error)
{
	int code = 0;

	if (g->fd < 0)
		code = guard_open_existing(g, error);
	if (code == 0 && g->fd < 0)
		code = guard_create(g, error);
	if (code != 0)
		return code;
	/* Made by another one and removed again in between. */
	if (g->fd < 0)
		return error_set(error, TENURE_EIO, ENOENT, "cannot open %s", g->path);
	if (g->read_only)
		return error_set(error, TENURE_EIO, EACCES, "cannot write %s", g->path);
	return 0;
}

/* Two marks for one resource guard nothing: the open file must be the one that the name means. */
static int guard_same_file(const struct tenure_guard *g, int fd, struct tenure_error *error)
{
	struct stat named, opened;
	bool there = stat(g->path, &named) == 0;

	if (!there && errno != ENOENT)
		return error_set(error, error_code_of_errno(errno), errno, "cannot look at %s", g->path);
	if (!there || fstat(fd, &opened) != 0 || named.st_ino != opened.st_ino || named.st_dev != opened.st_dev)
		return error_set(
		        error, TENURE_EFOREIGN, 0,
		        "%s was removed or replaced while in use: put the old one back, or start this program anew "
		        "after 'tenure guard show'",
		        g->path);
	return 0;
}

static int guard_lock_slots(struct tenure_guard *g, uint64_t limit_ns, struct tenure_error *error)
{
	uint64_t now_ns = clock_now_or_zero_ns();
	struct guard_wait w;
	int code;

	guard_wait_init(&w, clock_add_ns(now_ns, limit_ns > GUARD_SLOTS_LIMIT_NS ? limit_ns : GUARD_SLOTS_LIMIT_NS));
	while ((code = guard_lock_try(g->fd, GUARD_LOCK_SLOTS)) == 1 && guard_wait_next(&w, g->path) == 0)
		;
	if (code == 1)
		code = error_set(
		        error, TENURE_TIMEOUT, 0,
		        "%s: another process has been writing the mark all the time: is it stopped, or the disk hung?",
		        g->path);
	else if (code < 0)
		code = error_set(error, code, errno, "cannot lock %s", g->path);
	guard_wait_deinit(&w);
	return code;
}

/* The name of a new file is durable before its first write: whoever finds a later sequence need not see to it. */
static int guard_sync_name(struct tenure_guard *g, struct tenure_error *error)
{
	int result, saved, dirfd = open(g->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (dirfd < 0)
		return error_set(error, error_code_of_errno(errno), errno, "cannot open %s", g->directory);
	result = fsync(dirfd);
	saved = errno;
	(void)close(dirfd);
	if (result != 0)
		return error_set(error, TENURE_EIO, saved, "cannot make %s durable: check its disk", g->path);
	return 0;
}

/* G2: until both slots carry it. The slots' lock is held. */
static int guard_write(struct tenure_guard *g, struct slots *s, uint64_t mark, struct tenure_error *error)
{
	int code = s->sequence == GUARD_NEW_SEQUENCE ? guard_sync_name(g, error) : 0;

	g->durable_sequence = 0;
	do {
		if (code == 0)
			code = slots_write(g->fd, s, mark, g->path, error);
	} while (code == 0 && s->older != mark);
	if (code == 0)
		g->durable_sequence = s->sequence;
	return code;
}

static int guard_compare(struct tenure_guard *g, uint64_t token, uint64_t *high, struct tenure_error *error)
{
	struct slots s;
	int code = guard_same_file(g, g->fd, error);

	if (code == 0)
		code = slots_read(g->fd, &s, SLOTS_MAGIC_GUARD, g->path, error);
	if (code != 0)
		return code;
	*high = s.value;
	if (token < s.value)
		return error_set(error, TENURE_REFUSED, 0,
		                 "%s: token %" PRIu64 " is refused, %" PRIu64
		                 " was here already: a later leader has taken over",
		                 g->path, token, s.value);
	if (token == s.value && s.sequence == g->durable_sequence && !s.torn)
		return 0;
	code = guard_write(g, &s, token, error);
	if (code == 0)
		*high = token;
	return code;
}

/* Raises the mark to the token, or refuses it. */
static int guard_admit(struct tenure_guard *g, uint64_t token, uint64_t limit_ns, uint64_t *high,
                       struct tenure_error *error)
{
	int code = guard_lock_slots(g, limit_ns, error);

	if (code != 0)
		return code;
	code = guard_compare(g, token, high, error);
	guard_lock_drop(g->fd, GUARD_LOCK_SLOTS);
	return code;
}

/*
 * Without the slots' lock: a slot that is being written reads as torn, and the other one then is the present mark. Only
 * two writes within one read could spoil both; so it is tried again.
 */
static int guard_peek(struct tenure_guard *g, uint64_t *high, struct tenure_error *error)
{
	struct slots s = { .value = 0 };
	int code = 0;

	for (int i = 0; i < GUARD_READ_TRIES; i++) {
		code = slots_read(g->fd, &s, SLOTS_MAGIC_GUARD, g->path, error);
		if (code == 0)
			break;
	}
	if (code == 0)
		*high = s.value;
	return code;
}

/* Takes the lock of the use, looking at the mark meanwhile: who is overtaken while he waits need not wait to the end.
 */
static int guard_take(struct tenure_guard *g, int fd, uint64_t token, uint64_t until_ns, uint64_t *high,
                      struct tenure_error *error)
{
	struct guard_wait w;
	int code;

	guard_wait_init(&w, until_ns);
	while ((code = guard_lock_try(fd, GUARD_LOCK_USE)) != 0) {
		if (code < 0) {
			code = error_set(error, code, errno, "cannot lock %s", g->path);
			break;
		}
		code = guard_peek(g, high, error);
		if (code == 0 && *high > token)
			code = error_set(error, TENURE_REFUSED, 0,
			                 "%s: token %" PRIu64 " is refused, %" PRIu64 " has come while it waited",
			                 g->path, token, *high);
		else if (code == 0 && guard_wait_next(&w, g->path) == TENURE_TIMEOUT)
			code = error_set(error, TENURE_TIMEOUT, 0, "%s: another process is still inside", g->path);
		if (code != 0)
			break;
	}
	guard_wait_deinit(&w);
	return code;
}

/* A description of its own, so that its closing tells those who wait, and the slots' lock stays apart. */
static int guard_open_use(struct tenure_guard *g, struct tenure_error *error)
{
	int code, fd = open(g->path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	if (fd < 0)
		return error_set(error, error_code_of_errno(errno), errno, "cannot open %s", g->path);
	code = guard_same_file(g, g->fd, error);
	if (code == 0)
		code = guard_same_file(g, fd, error);
	if (code == 0)
		return fd;
	(void)close(fd);
	return code;
}

static int guard_check_owner(const struct tenure_guard *g, struct tenure_error *error)
{
	if (g->owner == getpid())
		return 0;
	return error_set(error, TENURE_EFORKED, 0, "%s: this handle is the parent's: open one in this process",
	                 g->path);
}

TENURE_API int tenure_guard_open(struct tenure_guard **out, const char *dir, const char *resource,
                                 struct tenure_error *error)
{
	const char *fault;
	struct tenure_guard *g;
	int code;

	error_clear(error);
	if (!out || !dir || dir[0] == '\0' || !resource)
		return error_set(error, TENURE_EINVAL, 0, "a guard needs a directory and a resource");
	fault = names_resource_fault(resource);
	if (fault)
		return error_set(error, TENURE_ENAME, 0, "bad resource name '%s': %s", resource, fault);
	g = calloc(1, sizeof *g);
	if (!g)
		return error_set(error, TENURE_ENOMEM, 0, "no memory for a guard");
	g->owner = getpid();
	g->fd = g->use_fd = -1;
	code = guard_name(g, dir, resource, error);
	if (code == 0)
		code = guard_open_existing(g, error);
	if (code == 0 && g->fd < 0)
		code = fs_check_local(g->directory, false, error);
	if (code != 0) {
		free(g);
		return code;
	}
	*out = g;
	return 0;
}

static int guard_enter_checked(struct tenure_guard *g, uint64_t token, uint64_t limit_ns, uint64_t *high,
                               struct tenure_error *error)
{
	uint64_t now_ns;
	int fd, code = clock_now_ns(&now_ns);

	if (code != 0)
		return error_set(error, code, 0, "CLOCK_BOOTTIME can't be read: a limit can't be kept without it");
	code = guard_ready(g, error);
	if (code == 0)
		code = guard_admit(g, token, limit_ns, high, error);
	if (code != 0)
		return code;
	fd = guard_open_use(g, error);
	if (fd < 0)
		return fd;
	code = guard_take(g, fd, token, clock_add_ns(now_ns, limit_ns), high, error);
	if (code == 0) {
		code = guard_admit(g, token, limit_ns, high, error); /* G4 */
		if (code == 0) {
			g->use_fd = fd;
			return 0;
		}
		guard_lock_drop(fd, GUARD_LOCK_USE);
	}
	(void)close(fd);
	return code;
}

TENURE_API int tenure_guard_enter(struct tenure_guard *g, uint64_t token, uint64_t limit_ns, uint64_t *high,
                                  struct tenure_error *error)
{
	uint64_t mark = 0;
	int code;

	error_clear(error);
	if (!g || token == 0 || token > (uint64_t)TENURE_TOKEN_MAX)
		return error_set(error, TENURE_EINVAL, 0, "a guard needs a token from 1 to 2^63-1, not %" PRIu64,
		                 token);
	code = guard_check_owner(g, error);
	if (code != 0)
		return code;
	if (g->use_fd >= 0)
		return error_set(error, TENURE_ESTATE, 0, "%s: this handle is inside already: leave first", g->path);
	code = guard_enter_checked(g, token, limit_ns, &mark, error);
	if (high && code >= 0)
		*high = mark;
	return code;
}

TENURE_API void tenure_guard_leave(struct tenure_guard *g)
{
	if (!g || g->use_fd < 0 || g->owner != getpid())
		return;
	/* Said aloud: a child that was forked inside has the description too, and closing would not free it. */
	guard_lock_drop(g->use_fd, GUARD_LOCK_USE);
	(void)close(g->use_fd);
	g->use_fd = -1;
}

TENURE_API int tenure_guard_read(struct tenure_guard *g, uint64_t *high, struct tenure_error *error)
{
	int code;

	error_clear(error);
	if (!g || !high)
		return error_set(error, TENURE_EINVAL, 0, "a guard and room for its mark are needed");
	code = guard_check_owner(g, error);
	if (code == 0 && g->fd < 0)
		code = guard_open_existing(g, error);
	if (code != 0)
		return code;
	if (g->fd < 0) {
		*high = 0;
		return 0;
	}
	code = guard_same_file(g, g->fd, error);
	return code != 0 ? code : guard_peek(g, high, error);
}

static int guard_reset_locked(struct tenure_guard *g, uint64_t present, uint64_t mark, struct tenure_error *error)
{
	struct slots s;
	int code = guard_same_file(g, g->fd, error);

	if (code == 0)
		code = slots_read(g->fd, &s, SLOTS_MAGIC_GUARD, g->path, error);
	if (code != 0)
		return code;
	if (s.value != present)
		return error_set(error, TENURE_ESTATE, 0,
		                 "%s: the mark is %" PRIu64 " and not %" PRIu64
		                 ": nothing was changed; look again and decide anew",
		                 g->path, s.value, present);
	return guard_write(g, &s, mark, error);
}

TENURE_API int tenure_guard_reset(struct tenure_guard *g, uint64_t present, uint64_t mark, struct tenure_error *error)
{
	int code;

	error_clear(error);
	if (!g || present > (uint64_t)TENURE_TOKEN_MAX || mark > (uint64_t)TENURE_TOKEN_MAX)
		return error_set(error, TENURE_EINVAL, 0, "a mark is a number from 0 to 2^63-1");
	code = guard_check_owner(g, error);
	if (code == 0)
		code = guard_ready(g, error);
	if (code == 0)
		code = guard_lock_slots(g, 0, error);
	if (code != 0)
		return code;
	code = guard_reset_locked(g, present, mark, error);
	guard_lock_drop(g->fd, GUARD_LOCK_SLOTS);
	return code;
}

TENURE_API void tenure_guard_free(struct tenure_guard *g)
{
	if (!g)
		return;
	tenure_guard_leave(g);
	/* In a forked child only the copies of the descriptors are closed: the locks are the parent's. */
	if (g->use_fd >= 0)
		(void)close(g->use_fd);
	if (g->fd >= 0)
		(void)close(g->fd);
	free(g);
}
