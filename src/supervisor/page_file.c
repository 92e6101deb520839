/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/page_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PAGE_FILE_SUFFIX     ".lease"
#define PAGE_FILE_SWEPT_MOST 256
#define PAGE_FILE_YOUNG_S    10 /* a page is locked right after it was made; until then its age protects it */

static bool page_file_directory(char directory[PAGE_FILE_ROOM])
{
	bool root = geteuid() == 0;
	const char *base = root ? "/run" : getenv("XDG_RUNTIME_DIR");
	struct stat st;
	if (!base || base[0] != '/')
		return false;
	int n = snprintf(directory, PAGE_FILE_ROOM, "%s/tenure", base);
	if (n < 0 || n >= PAGE_FILE_ROOM)
		return false;
	if (mkdir(directory, root ? 0755 : 0700) != 0 ? errno != EEXIST : root && chmod(directory, 0755) != 0)
		return false;
	/* whoever could write there could put another page in place of ours */
	return lstat(directory, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == geteuid() && (st.st_mode & 022) == 0;
}

bool page_file_path(char path[PAGE_FILE_ROOM], const char *identity, uint64_t token)
{
	char directory[PAGE_FILE_ROOM];
	if (page_file_directory(directory)) {
		int n = snprintf(path, PAGE_FILE_ROOM, "%s/%s-%llu" PAGE_FILE_SUFFIX, directory, identity,
		                 (unsigned long long)token);
		if (n > 0 && n < PAGE_FILE_ROOM)
			return true;
	}
	path[0] = '\0';
	return false;
}

int page_file_hold(const char *path)
{
	int fd = path[0] != '\0' ? open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW) : -1;
	if (fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) != 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static bool page_file_is_left_behind(int fd)
{
	struct stat st;
	return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && time(NULL) - st.st_mtim.tv_sec > PAGE_FILE_YOUNG_S &&
	       flock(fd, LOCK_EX | LOCK_NB) == 0;
}

static void page_file_sweep_one(int directory_fd, const char *name)
{
	size_t n_bytes = strlen(name), n_suffix = strlen(PAGE_FILE_SUFFIX);
	if (n_bytes <= n_suffix || strcmp(name + n_bytes - n_suffix, PAGE_FILE_SUFFIX) != 0)
		return;
	int fd = openat(directory_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return;
	if (page_file_is_left_behind(fd))
		(void)unlinkat(directory_fd, name, 0);
	close(fd);
}

void page_file_sweep(const char *path)
{
	char directory[PAGE_FILE_ROOM];
	if (path[0] == '\0' || !page_file_directory(directory))
		return;
	DIR *d = opendir(directory);
	if (!d)
		return;
	struct dirent *entry;
	for (int n = 0; n < PAGE_FILE_SWEPT_MOST && (entry = readdir(d)); n++)
		page_file_sweep_one(dirfd(d), entry->d_name);
	closedir(d);
}
