/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/random.h"
#include "base/text.h"

#define CGROUP_NAME      "tenure-"
#define CGROUP_MAGIC     0x63677270u /* CGROUP2_SUPER_MAGIC */
#define CGROUP_FILE_ROOM (CGROUP_PATH_ROOM + 32)

/* /proc/self/mountinfo writes spaces and the like as three octal digits. */
static void cgroup_unescape(char *text)
{
	char *to = text;
	for (const char *from = text; *from != '\0'; to++) {
		if (from[0] == '\\' && from[1] >= '0' && from[1] <= '3' && from[2] >= '0' && from[2] <= '7' &&
		    from[3] >= '0' && from[3] <= '7') {
			*to = (char)((from[1] - '0') * 64 + (from[2] - '0') * 8 + (from[3] - '0'));
			from += 4;
		} else {
			*to = *from++;
		}
	}
	*to = '\0';
}

/*
 * One line: "id parent major:minor ROOT MOUNTPOINT options [tags] - TYPE source options". Puts ROOT and MOUNTPOINT
 * where the type is cgroup2.
 */
static bool cgroup_mount_line(char *line, char **root, char **point)
{
	char *dash = strstr(line, " - ");
	if (!dash || strncmp(dash + 3, "cgroup2 ", 8) != 0)
		return false;
	char *at = line, *fields[5];
	for (int i = 0; i < 5; i++) {
		fields[i] = strsep(&at, " ");
		if (!at)
			return false;
	}
	*root = fields[3];
	*point = fields[4];
	cgroup_unescape(*root);
	cgroup_unescape(*point);
	return true;
}

/* The part of `own` below `root`, both absolute within the hierarchy, or NULL where own lies outside. */
static const char *cgroup_below(const char *own, const char *root)
{
	size_t n = strlen(root);
	if (strcmp(root, "/") == 0)
		return own;
	if (strncmp(own, root, n) != 0 || (own[n] != '\0' && own[n] != '/'))
		return NULL;
	return own + n;
}

/* The caller's own cgroup within the v2 hierarchy: the line "0::/path" of /proc/self/cgroup. */
static bool cgroup_own(char *own, size_t room)
{
	FILE *f = fopen("/proc/self/cgroup", "re");
	bool found = false;
	char *line = NULL;
	size_t line_room = 0;
	while (f && !found && getline(&line, &line_room, f) >= 0) {
		if (strncmp(line, "0::/", 4) != 0)
			continue;
		line[strcspn(line, "\n")] = '\0';
		struct buf b;
		buf_init(&b, own, room);
		buf_text(&b, line + 3);
		found = !b.overflow;
	}
	free(line);
	if (f)
		fclose(f);
	return found;
}

/* The directory of the caller's own cgroup. */
static bool cgroup_directory(char *path, size_t room)
{
	char own[CGROUP_PATH_ROOM];
	if (!cgroup_own(own, sizeof own))
		return false;
	FILE *f = fopen("/proc/self/mountinfo", "re");
	bool found = false;
	char *line = NULL;
	size_t line_room = 0;
	while (f && !found && getline(&line, &line_room, f) >= 0) {
		char *root, *point;
		const char *below;
		if (!cgroup_mount_line(line, &root, &point) || !(below = cgroup_below(own, root)))
			continue;
		struct buf b;
		buf_init(&b, path, room);
		buf_text(&b, point);
		if (strcmp(below, "/") != 0)
			buf_text(&b, below);
		found = !b.overflow;
	}
	free(line);
	if (f)
		fclose(f);
	return found;
}

static int cgroup_file(char *out, const char *path, const char *name)
{
	int n = snprintf(out, CGROUP_FILE_ROOM, "%s/%s", path, name);
	return n > 0 && n < CGROUP_FILE_ROOM ? 0 : TENURE_EIO;
}

/* 0, or TENURE_EIO with errno set. */
static int cgroup_write(const char *path, const char *name, const char *text)
{
	char file[CGROUP_FILE_ROOM];
	if (cgroup_file(file, path, name) != 0) {
		errno = ENAMETOOLONG;
		return TENURE_EIO;
	}
	int fd = open(file, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return TENURE_EIO;
	ssize_t n = write(fd, text, strlen(text));
	int saved = errno;
	close(fd);
	errno = saved;
	return n == (ssize_t)strlen(text) ? 0 : TENURE_EIO;
}

/* May the caller move processes from its own cgroup into `path`, and end them there? */
static int cgroup_usable(const char *own, const char *path, struct tenure_error *error)
{
	char file[CGROUP_FILE_ROOM];
	if (cgroup_file(file, path, "cgroup.kill") != 0 || access(file, W_OK) != 0)
		return error_set(error, TENURE_EUNSUPPORTED, errno, "no usable cgroup.kill in %s (it needs Linux 5.14)",
		                 path);
	if (cgroup_file(file, own, "cgroup.procs") != 0 || access(file, W_OK) != 0)
		return error_set(error, TENURE_EUNSUPPORTED, errno, "processes may not be moved out of the cgroup %s",
		                 own);
	return 0;
}

/* The last component as cgroup_make() names it. */
static bool cgroup_named_by_us(const char *path)
{
	const char *name = strrchr(path, '/');
	uint64_t number;
	return name && strncmp(name + 1, CGROUP_NAME, strlen(CGROUP_NAME)) == 0 &&
	       strlen(name + 1 + strlen(CGROUP_NAME)) == 16 &&
	       text_hex64_n(name + 1 + strlen(CGROUP_NAME), 16, &number);
}

int cgroup_is_of(const char *path, uint32_t uid)
{
	char real[PATH_MAX];
	struct statfs fs;
	struct stat st;
	/* Without symbolic links, so that nobody can make the name mean something else afterwards. */
	if (!realpath(path, real))
		return errno == ENOENT ? 0 : TENURE_EIO;
	if (strcmp(real, path) != 0 || !cgroup_named_by_us(path))
		return TENURE_EFOREIGN;
	if (statfs(path, &fs) != 0 || lstat(path, &st) != 0)
		return errno == ENOENT ? 0 : TENURE_EIO;
	return (uint32_t)fs.f_type == CGROUP_MAGIC && S_ISDIR(st.st_mode) && st.st_uid == uid ? 1 : TENURE_EFOREIGN;
}

int cgroup_make(char *path, struct tenure_error *error)
{
	char own[CGROUP_PATH_ROOM];
	uint64_t number;
	if (!cgroup_directory(own, sizeof own))
		return error_set(error, TENURE_EUNSUPPORTED, 0, "no cgroup v2 is mounted that shows this process");
	int result = random_u64(&number);
	if (result != 0)
		return error_set(error, TENURE_EUNSUPPORTED, errno, "no random name for a cgroup");
	struct buf b;
	buf_init(&b, path, CGROUP_PATH_ROOM);
	buf_text(&b, own);
	buf_text(&b, "/" CGROUP_NAME);
	buf_hex64(&b, number);
	if (b.overflow)
		return error_set(error, TENURE_EUNSUPPORTED, 0, "the path of the cgroup %s is too long", own);
	if (mkdir(path, 0755) != 0)
		return error_set(error, TENURE_EUNSUPPORTED, errno, "no cgroup can be made below %s", own);
	result = cgroup_usable(own, path, error);
	if (result != 0)
		(void)rmdir(path);
	return result;
}

int cgroup_add(const char *path, int32_t pid)
{
	char text[16];
	snprintf(text, sizeof text, "%d", pid);
	return cgroup_write(path, "cgroup.procs", text);
}

static bool cgroup_gone(void)
{
	return errno == ENOENT || errno == ENODEV;
}

int cgroup_kill(const char *path)
{
	if (cgroup_write(path, "cgroup.kill", "1") == 0)
		return 0;
	/* A removed cgroup was empty. That its kill file alone is missing proves nothing. */
	if (cgroup_gone() && access(path, F_OK) != 0 && errno == ENOENT)
		return 0;
	return TENURE_EIO;
}

int cgroup_populated(const char *path)
{
	char file[CGROUP_FILE_ROOM], text[256];
	if (cgroup_file(file, path, "cgroup.events") != 0)
		return TENURE_EIO;
	int fd = open(file, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT && access(path, F_OK) != 0 && errno == ENOENT ? 0 : TENURE_EIO;
	ssize_t n = read(fd, text, sizeof text - 1);
	bool gone = n < 0 && errno == ENODEV;
	close(fd);
	if (gone)
		return 0;
	if (n <= 0)
		return TENURE_EIO;
	text[n] = '\0';
	const char *word = strstr(text, "populated ");
	if (!word || (word[10] != '0' && word[10] != '1'))
		return TENURE_EIO;
	return word[10] == '1';
}

/* Programs may have made cgroups below; they are empty now. The depth is bounded by the path's room. */
void cgroup_remove(const char *path)
{
	if (rmdir(path) == 0 || errno == ENOENT)
		return;
	DIR *d = opendir(path);
	if (!d)
		return;
	for (struct dirent *entry; (entry = readdir(d));) {
		char below[CGROUP_PATH_ROOM];
		if (entry->d_type != DT_DIR || strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		int n = snprintf(below, sizeof below, "%s/%s", path, entry->d_name);
		if (n > 0 && n < (int)sizeof below)
			cgroup_remove(below);
	}
	closedir(d);
	(void)rmdir(path);
}
