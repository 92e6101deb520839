/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/signals.h"

#include <errno.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <tenure/tenure.h>

static const struct {
	int number;
	void (*action)(int);
} signals_changed[SIGNALS_N_CHANGED] = {
	{ SIGTSTP, SIG_IGN },
	{ SIGTTIN, SIG_IGN },
	{ SIGTTOU, SIG_IGN },
	{ SIGPIPE, SIG_IGN },
	/* ignored, which is inherited, it would let the kernel reap what must be waited for */
	{ SIGCHLD, SIG_DFL },
};

static const int signals_handled[] = { SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH, SIGCHLD };

static bool signals_is_ignored(int number)
{
	struct sigaction action;
	return sigaction(number, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}

int signals_take(struct signals *s)
{
	sigset_t handled;
	memset(s, 0, sizeof *s);
	sigemptyset(&handled);
	for (size_t i = 0; i < sizeof signals_handled / sizeof *signals_handled; i++)
		sigaddset(&handled, signals_handled[i]);
	int fd = signalfd(-1, &handled, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		return TENURE_EIO;
	s->ignored_int = signals_is_ignored(SIGINT);
	s->ignored_quit = signals_is_ignored(SIGQUIT);
	s->ignored_hup = signals_is_ignored(SIGHUP);
	for (size_t i = 0; i < SIGNALS_N_CHANGED; i++) {
		struct sigaction action = { .sa_handler = signals_changed[i].action };
		(void)sigaction(signals_changed[i].number, &action, &s->changed[i]);
	}
	(void)sigprocmask(SIG_BLOCK, &handled, &s->mask);
	return fd;
}

/* What was ignored when we were started stays ignored: a blocked signal is queued all the same. */
static bool signals_drops(const struct signals *s, int number)
{
	return (number == SIGINT && s->ignored_int) || (number == SIGQUIT && s->ignored_quit) ||
	       (number == SIGHUP && s->ignored_hup);
}

struct signals_one signals_next(const struct signals *s, int fd)
{
	struct signalfd_siginfo info;
	for (;;) {
		ssize_t n = read(fd, &info, sizeof info);
		if (n < 0 && errno == EINTR)
			continue;
		if (n != (ssize_t)sizeof info)
			return (struct signals_one) { 0 };
		if (signals_drops(s, (int)info.ssi_signo))
			continue;
		return (struct signals_one) { .number = (int)info.ssi_signo,
			                      .from_terminal = info.ssi_code == SI_KERNEL };
	}
}

void signals_block_all(void)
{
	sigset_t all;
	sigfillset(&all);
	(void)sigprocmask(SIG_SETMASK, &all, NULL);
}

static void signals_dispositions(const struct signals *s)
{
	for (size_t i = 0; i < SIGNALS_N_CHANGED; i++)
		(void)sigaction(signals_changed[i].number, &s->changed[i], NULL);
}

void signals_restore(const struct signals *s)
{
	signals_dispositions(s);
	(void)sigprocmask(SIG_SETMASK, &s->mask, NULL);
}

void signals_give_back(const struct signals *s, int fd)
{
	/* Drained first: what is still pending would otherwise end us by its default action. */
	while (signals_next(s, fd).number != 0)
		;
	signals_restore(s);
	close(fd);
}
