/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/drive.h"

#include <errno.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/clock.h"

int drive_open(struct drive *d)
{
	static const int signals[] = { SIGTERM, SIGINT, SIGHUP };
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
		struct sigaction old;

		if (sigaction(signals[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
			sigaddset(&set, signals[i]);
	}
	*d = (struct drive) { .signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK) };
	if (d->signal_fd < 0)
		return TENURE_ELIMIT;
	(void)sigprocmask(SIG_BLOCK, &set, &d->before);
	return 0;
}

void drive_close(struct drive *d)
{
	if (d->signal_fd < 0)
		return;
	(void)close(d->signal_fd);
	(void)sigprocmask(SIG_SETMASK, &d->before, NULL);
	d->signal_fd = -1;
}

int drive_step(struct drive *d, uint64_t until_ns)
{
	struct pollfd fds[2] = { { .fd = d->signal_fd, .events = POLLIN },
		                 { .fd = tenure_fd(d->t), .events = POLLIN } };
	uint64_t next_ns = tenure_next_ns(d->t), now_ns = clock_now_or_zero_ns();
	struct signalfd_siginfo info;

	if (poll(fds, 2, clock_poll_ms(now_ns, next_ns < until_ns ? next_ns : until_ns)) < 0 && errno != EINTR)
		return TENURE_EINTERNAL;
	if (read(d->signal_fd, &info, sizeof info) == (ssize_t)sizeof info)
		return (int)info.ssi_signo;
	return tenure_process(d->t);
}
