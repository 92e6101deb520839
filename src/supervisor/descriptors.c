/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/descriptors.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <tenure/tenure.h>

#define DESCRIPTORS_MOST    65536U
#define DESCRIPTORS_CLOEXEC 4U /* CLOSE_RANGE_CLOEXEC of linux/close_range.h */

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

static void descriptors_close_range(unsigned first, unsigned last)
{
	if (first > last || syscall(SYS_close_range, first, last, 0U) == 0)
		return;
	for (unsigned fd = first; fd <= last && fd < DESCRIPTORS_MOST; fd++)
		close((int)fd);
}

void descriptors_keep(int *keep, size_t n)
{
	for (size_t i = 1; i < n; i++)
		for (size_t k = i; k > 0 && keep[k - 1] > keep[k]; k--) {
			int swapped = keep[k];
			keep[k] = keep[k - 1];
			keep[k - 1] = swapped;
		}
	unsigned next = 3;
	for (size_t i = 0; i < n; i++) {
		if (keep[i] < (int)next)
			continue;
		descriptors_close_range(next, (unsigned)keep[i] - 1);
		next = (unsigned)keep[i] + 1;
	}
	descriptors_close_range(next, ~0U);
}

void descriptors_of_program(int closed_standard, int lease_fd)
{
	/* Where the call is missing nothing of ours leaks: all of it is close-on-exec from birth. */
	(void)syscall(SYS_close_range, 3U, ~0U, DESCRIPTORS_CLOEXEC);
	if (lease_fd >= 0)
		(void)fcntl(lease_fd, F_SETFD, 0);
	for (int fd = 0; fd < 3; fd++)
		if (closed_standard & (1 << fd))
			close(fd);
}
