/* SPDX-License-Identifier: Apache-2.0 */
/* What the supervisor does with signals, and how the program gets them as they were. */
#ifndef TENURE_SUPERVISOR_SIGNALS_H
#define TENURE_SUPERVISOR_SIGNALS_H

#include <signal.h>
#include <stdbool.h>

#define SIGNALS_N_CHANGED 5

struct signals { /* as they were at start */
	sigset_t mask;
	struct sigaction changed[SIGNALS_N_CHANGED];
	bool ignored_int, ignored_quit, ignored_hup; /* nohup, or a job in the background of a plain shell */
};

struct signals_one {
	int number;         /* 0: none is left */
	bool from_terminal; /* the kernel sent it to the whole group: the program has it already */
};

/*
 * Ignores the terminal's stops (the program alone is stopped by them) and SIGPIPE, blocks what is handled, and returns
 * the signalfd, owned, or TENURE_EIO with errno set.
 */
int signals_take(struct signals *s);
/* The next one that has arrived. SIGCHLD comes as well: for reaping. */
struct signals_one signals_next(const struct signals *s, int fd);
/* In warden and init: nothing but SIGKILL and SIGSTOP ends or stops them. */
void signals_block_all(void);
/* In the child that becomes the program: everything as it was; the mask last. */
void signals_restore(const struct signals *s);
/* Undoes signals_take() in the supervisor itself. */
void signals_give_back(const struct signals *s, int fd);

#endif
