/* SPDX-License-Identifier: Apache-2.0 */
#include "guard/guard_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <tenure/tenure.h>

#include "base/clock.h"

/* A dying holder's file is reported closed a moment before its lock is free, hence the short pause after an event. */
#define GUARD_WAIT_FIRST_NS  CLOCK_NS_PER_MS
#define GUARD_WAIT_TOLD_NS   (100 * CLOCK_NS_PER_MS) /* the longest pause where inotify tells */
#define GUARD_WAIT_UNTOLD_NS (20 * CLOCK_NS_PER_MS)  /* and where it doesn't */
#define GUARD_WAIT_UNSTARTED 0

static int guard_lock_call(int fd, enum guard_lock which, short type)
{
	struct flock lock = { .l_type = type, .l_whence = SEEK_SET, .l_start = (off_t)which, .l_len = 1 };
	int result;

	do {
		result = fcntl(fd, F_OFD_SETLK, &lock);
	} while (result != 0 && errno == EINTR);
	return result;
}

int guard_lock_try(int fd, enum guard_lock which)
{
	if (guard_lock_call(fd, which, F_WRLCK) == 0)
		return 0;
	return errno == EAGAIN || errno == EACCES ? 1 : TENURE_EIO;
}

void guard_lock_drop(int fd, enum guard_lock which)
{
	(void)guard_lock_call(fd, which, F_UNLCK);
}

void guard_wait_init(struct guard_wait *w, uint64_t until_ns)
{
	*w = (struct guard_wait) { .inotify = -1, .until_ns = until_ns, .pause_ns = GUARD_WAIT_UNSTARTED };
}

void guard_wait_deinit(struct guard_wait *w)
{
	if (w->inotify >= 0)
		(void)close(w->inotify);
	w->inotify = -1;
}

static void guard_wait_listen(struct guard_wait *w, const char *path)
{
	w->pause_ns = GUARD_WAIT_FIRST_NS;
	w->inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (w->inotify >= 0 && inotify_add_watch(w->inotify, path, IN_CLOSE_WRITE | IN_MODIFY | IN_DELETE_SELF) < 0)
		guard_wait_deinit(w);
}

static void guard_wait_drain(int fd)
{
	char events[4096] __attribute__((aligned(8)));

	while (read(fd, events, sizeof events) > 0)
		;
}

int guard_wait_next(struct guard_wait *w, const char *path)
{
	uint64_t now_ns = clock_now_or_zero_ns(), longest_ns, at_ns;
	struct pollfd p;

	if (now_ns >= w->until_ns)
		return TENURE_TIMEOUT;
	if (w->pause_ns == GUARD_WAIT_UNSTARTED) {
		guard_wait_listen(w, path);
		return 0;
	}
	longest_ns = w->inotify >= 0 ? GUARD_WAIT_TOLD_NS : GUARD_WAIT_UNTOLD_NS;
	at_ns = clock_add_ns(now_ns, w->pause_ns);
	at_ns = at_ns < w->until_ns ? at_ns : w->until_ns;
	p = (struct pollfd) { .fd = w->inotify, .events = POLLIN };
	/* A signal's handler has run: trying early does no harm, and the limit is looked at again. */
	if (poll(&p, 1, clock_poll_ms(now_ns, at_ns)) > 0) {
		guard_wait_drain(w->inotify);
		w->pause_ns = GUARD_WAIT_FIRST_NS;
	} else {
		w->pause_ns = w->pause_ns * 2 < longest_ns ? w->pause_ns * 2 : longest_ns;
	}
	return 0;
}
