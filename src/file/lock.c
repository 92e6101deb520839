/* SPDX-License-Identifier: Apache-2.0 */
#include "file/lock.h"

#include <errno.h>
#include <fcntl.h>

#include <tenure/tenure.h>

static int lock_call(int fd, int command, short type, struct flock *found)
{
	struct flock lock = { .l_type = type, .l_whence = SEEK_SET };
	int result;

	do {
		result = fcntl(fd, command, &lock);
	} while (result != 0 && errno == EINTR);
	if (found)
		*found = lock;
	return result;
}

int lock_take(int fd)
{
	if (lock_call(fd, F_OFD_SETLK, F_WRLCK, NULL) == 0)
		return 0;
	return errno == EAGAIN || errno == EACCES ? 1 : TENURE_EIO;
}

void lock_drop(int fd)
{
	(void)lock_call(fd, F_OFD_SETLK, F_UNLCK, NULL);
}

int lock_is_held(int fd)
{
	struct flock found;

	if (lock_call(fd, F_OFD_GETLK, F_WRLCK, &found) != 0)
		return -1;
	return found.l_type != F_UNLCK;
}
