/* SPDX-License-Identifier: Apache-2.0 */
#include "file/counter.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/slots.h"

#define COUNTER_NAME      "counter"
#define COUNTER_PATH_ROOM 4400

static int counter_make(const char *directory, unsigned mode, const char *path, struct slots *s,
                        struct tenure_error *error)
{
	int fd, parent, dirfd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (dirfd < 0)
		return error_set(error, error_code_of_errno(errno), errno, "cannot open %s", directory);
	/*
	 * First the directory's own name: once a counter is there, nobody looks again whether the way to it would be
	 * found after a loss of power.
	 */
	parent = openat(dirfd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (parent < 0 || fsync(parent) != 0) {
		fd = error_set(error, parent < 0 ? error_code_of_errno(errno) : TENURE_EIO, errno,
		               "cannot make %s durable", directory);
		(void)close(dirfd);
		if (parent >= 0)
			(void)close(parent);
		return fd;
	}
	(void)close(parent);
	fd = slots_create(dirfd, COUNTER_NAME, mode, SLOTS_MAGIC_COUNTER, 0, s, path, error);
	(void)close(dirfd);
	/* Whatever the umask: those who may write in the directory may take part. */
	if (fd >= 0)
		(void)fchmod(fd, (mode_t)mode);
	return fd;
}

static int counter_raise(int fd, struct slots *s, uint64_t *token, const char *path, struct tenure_error *error)
{
	uint64_t next = s->value + (s->torn ? 2 : 1);
	int code = 0;

	if (next > SLOTS_VALUE_MAX)
		return error_set(error, TENURE_ELIMIT, 0, "%s is at its end (2^63-1): this election has no tokens left",
		                 path);
	/*
	 * A slot that does not check was being written when its writer died, or was damaged later. Its number may have been
	 * announced, and numbers go up by one: it is burned, in that very slot, so that the two slots are neighbours again
	 * and damage to the next one is as harmless.
	 */
	if (s->torn)
		code = slots_write(fd, s, s->value + 1, path, error);
	if (code == 0)
		code = slots_write(fd, s, next, path, error);
	if (code == 0)
		*token = next;
	return code;
}

int counter_next(const char *directory, unsigned mode, bool exists_already, uint64_t *token, struct tenure_error *error)
{
	char path[COUNTER_PATH_ROOM];
	struct slots s;
	int fd, code;

	(void)snprintf(path, sizeof path, "%s/" COUNTER_NAME, directory);
	fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 && errno == ENOENT) {
		if (exists_already)
			return error_set(error, TENURE_EIO, 0,
			                 "%s is missing although this election was led before: tokens would restart; "
			                 "put it back, "
			                 "or remove %s wholly to begin anew",
			                 path, directory);
		fd = counter_make(directory, mode, path, &s, error);
		if (fd < 0)
			return fd;
	} else if (fd < 0) {
		return error_set(error, error_code_of_errno(errno), errno, "cannot open %s", path);
	}
	code = slots_read(fd, &s, SLOTS_MAGIC_COUNTER, path, error);
	if (code == 0)
		code = counter_raise(fd, &s, token, path, error);
	(void)close(fd);
	return code;
}

int counter_read(const char *directory, uint64_t *token, struct tenure_error *error)
{
	char path[COUNTER_PATH_ROOM];
	struct slots s;
	int fd, code;

	(void)snprintf(path, sizeof path, "%s/" COUNTER_NAME, directory);
	*token = 0;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return errno == ENOENT ? 0
		                       : error_set(error, error_code_of_errno(errno), errno, "cannot open %s", path);
	code = slots_read(fd, &s, SLOTS_MAGIC_COUNTER, path, error);
	(void)close(fd);
	if (code == 0)
		*token = s.value;
	return code;
}
