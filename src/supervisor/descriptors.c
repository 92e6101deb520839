/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/descriptors.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <unistd.h>

#include <tenure/tenure.h>

#include "base/text.h"

#define DESCRIPTORS_MOST 4096 /* looked at where there is no /proc */

int descriptors_fill_standard(void)
{
	int closed = 0;
	for (int fd = 0; fd < 3; fd++) {
		if (fcntl(fd, F_GETFD) >= 0 || errno != EBADF)
			continue;
		/* the lowest free number, which is this one; kept over exec by nobody: the program's child closes it */
		int got = open("/dev/null", O_RDWR | O_CLOEXEC);
		if (got != fd) {
			if (got >= 0)
				close(got);
			return TENURE_EIO;
		}
		closed |= 1 << fd;
	}
	return closed;
}

static bool descriptors_are_kept(int fd, const int *keep, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (keep[i] == fd)
			return true;
	return false;
}

static void descriptors_consider(int fd, const int *keep, size_t n)
{
	int flags = fd > 2 ? fcntl(fd, F_GETFD) : -1;
	if (flags >= 0 && (flags & FD_CLOEXEC) && !descriptors_are_kept(fd, keep, n))
		close(fd);
}

void descriptors_close_own(const int *keep, size_t n)
{
	DIR *directory = opendir("/proc/self/fd");
	if (!directory) {
		for (int fd = 3; fd < DESCRIPTORS_MOST; fd++)
			descriptors_consider(fd, keep, n);
		return;
	}
	for (struct dirent *entry; (entry = readdir(directory));) {
		uint64_t fd;
		if (text_u64(entry->d_name, INT_MAX, &fd) && (int)fd != dirfd(directory))
			descriptors_consider((int)fd, keep, n);
	}
	closedir(directory);
}

void descriptors_of_program(int closed_standard, int lease_fd)
{
	if (lease_fd >= 0)
		(void)fcntl(lease_fd, F_SETFD, 0);
	for (int fd = 0; fd < 3; fd++)
		if (closed_standard & (1 << fd))
			close(fd);
}
