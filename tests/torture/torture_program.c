/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the torture test supervises: a program that does all that makes a program hard to end, and notes in a ledger, about
 * every millisecond (or PACE_MS, and then it burns less) and from each of its processes, that it runs.
 *
 *	torture_program LEDGER GUARD_DIR [PACE_MS]
 *
 * Kinds of processes: itself, whose answer to SIGTERM depends on its token; a child that writes through the guard; an
 * orphan in a session of its own, with every signal blocked and every descriptor closed but the ledger; and one that forks
 * orphans all the time; and, in some tenures, some that keep the processors busy.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <tenure/guard.h>

#include "base/clock.h"
#include "base/text.h"
#include "cli/demo_ledger.h"

#define TORTURE_PACE_MOST_MS 100
#define TORTURE_MAX_REFUSALS 20 /* in weak containment it escapes, and shall not stay for ever */

struct torture {
	const char *guard_directory;
	struct demo_ledger ledger;
	long pace_ns;
	uint64_t burners; /* of this tenure */
};

static void torture_sleep(long ns)
{
	const struct timespec t = { ns / 1000000000L, ns % 1000000000L };

	(void)nanosleep(&t, NULL);
}

static void torture_sign(struct torture *t, const char *kind)
{
	if (demo_ledger_sign(&t->ledger, kind) != 0)
		_exit(2);
}

/* Each process counts its own lines. */
static pid_t torture_fork(struct torture *t)
{
	pid_t pid = fork();

	if (pid == 0)
		t->ledger.sequence = 0;
	return pid;
}

static _Noreturn void torture_write(struct torture *t)
{
	struct tenure_error error = TENURE_ERROR_INIT;
	struct tenure_guard *guard;
	unsigned refusals = 0;
	uint64_t mark;

	if (tenure_guard_open(&guard, t->guard_directory, "account", &error) != 0) {
		(void)fprintf(stderr, "torture_program: %s\n", error.message);
		_exit(2);
	}
	for (unsigned turn = 0;; turn++) {
		int code;

		torture_sign(t, "run");
		torture_sleep(t->pace_ns);
		if (turn % 8 != 0)
			continue;
		code = tenure_guard_enter(guard, t->ledger.token, 20 * CLOCK_NS_PER_MS, &mark, &error);
		if (code == 0 || code == TENURE_REFUSED)
			(void)demo_ledger_write(&t->ledger, "account", code == 0);
		else if (code != TENURE_TIMEOUT)
			(void)fprintf(stderr, "torture_program: %s\n", error.message);
		if (code == 0)
			tenure_guard_leave(guard);
		if (code == TENURE_REFUSED && ++refusals > TORTURE_MAX_REFUSALS)
			_exit(77);
	}
}

/* Signs until a greater token has been at the guard for long enough (weak containment), or for ever. */
static _Noreturn void torture_run(struct torture *t)
{
	struct tenure_error error = TENURE_ERROR_INIT;
	struct tenure_guard *guard = NULL;
	unsigned turn = 0, refusals = 0;
	uint64_t mark = 0;

	for (;;) {
		torture_sign(t, "run");
		torture_sleep(t->pace_ns);
		if (++turn % 64 != 0)
			continue;
		if (!guard && tenure_guard_open(&guard, t->guard_directory, "account", &error) != 0)
			_exit(2);
		if (tenure_guard_read(guard, &mark, &error) == 0 && mark > t->ledger.token &&
		    ++refusals > TORTURE_MAX_REFUSALS)
			_exit(77);
	}
}

static _Noreturn void torture_hide(struct torture *t)
{
	sigset_t all;

	if (torture_fork(t) != 0)
		_exit(0);
	(void)setsid();
	sigfillset(&all);
	(void)sigprocmask(SIG_BLOCK, &all, NULL);
	for (int fd = 0; fd < 256; fd++)
		if (fd != t->ledger.fd)
			(void)close(fd);
	torture_run(t);
}

/* Short-lived orphans, so that whoever lists processes to kill them always comes late. */
static _Noreturn void torture_breed(struct torture *t)
{
	(void)signal(SIGTERM, SIG_IGN);
	for (unsigned turn = 0;; turn++) {
		pid_t pid = torture_fork(t);

		if (pid == 0) {
			if (torture_fork(t) != 0)
				_exit(0);
			for (int i = 0; i < 4; i++) {
				torture_sign(t, "run");
				torture_sleep(t->pace_ns);
			}
			_exit(0);
		}
		if (pid > 0)
			(void)waitpid(pid, NULL, 0);
		torture_sign(t, "run");
		torture_sleep(3 * t->pace_ns);
		if (turn > 20000)
			_exit(0); /* a minute: in weak containment */
	}
}

/*
 * Several of these keep every processor busy in some tenures: then whoever ends the tree is preempted between the steps of
 * doing so, and what is left running in between is seen.
 */
static _Noreturn void torture_burn(struct torture *t)
{
	uint64_t next_ns = 0;

	for (unsigned turn = 0; turn < 1000 * 10;) { /* ten seconds: in weak containment */
		if (clock_now_or_zero_ns() < next_ns)
			continue;
		torture_sign(t, "run");
		next_ns = clock_now_or_zero_ns() + (uint64_t)t->pace_ns / 4;
		turn++;
	}
	_exit(0);
}

/* What it does on SIGTERM: ends at once; takes its time; fails; or nothing. */
static void torture_main(struct torture *t)
{
	const struct timespec pace = { .tv_nsec = t->pace_ns };
	sigset_t term;

	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	for (unsigned turn = 0;; turn++) {
		bool asked = sigtimedwait(&term, NULL, &pace) == SIGTERM;

		torture_sign(t, "run");
		if (t->ledger.token % 16 == 7 && turn == 150)
			break; /* ends by itself, and leaves the others behind */
		if (!asked || t->ledger.token % 4 == 1)
			continue;
		if (t->ledger.token % 4 == 2)
			torture_sleep(10 * t->pace_ns);
		if (t->ledger.token % 4 == 3)
			_exit(3);
		break;
	}
	torture_sign(t, "end");
}

int main(int argc, char **argv)
{
	static void (*const kinds[])(struct torture *) = { torture_write, torture_hide, torture_breed };
	const char *token = getenv("TENURE_TOKEN");
	struct torture t = { .ledger.holder = getenv("TENURE_ID") };
	uint64_t pace_ms = 1;
	sigset_t term;

	if ((argc != 3 && argc != 4) || !token || !t.ledger.holder ||
	    !text_u64(token, TENURE_TOKEN_MAX, &t.ledger.token) ||
	    (argc == 4 && (!text_u64(argv[3], TORTURE_PACE_MOST_MS, &pace_ms) || pace_ms == 0)))
		return 64;
	t.guard_directory = argv[2];
	t.pace_ns = (long)pace_ms * 1000000L;
	t.burners = argc == 3 ? t.ledger.token % 3 * 4 : t.ledger.token % 8 == 5 ? 2 : 0;
	t.ledger.fd = open(argv[1], O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	if (t.ledger.fd < 0)
		return 2;
	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	(void)sigprocmask(SIG_BLOCK, &term, NULL);
	torture_sign(&t, "begin");
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
		if (torture_fork(&t) == 0)
			kinds[i](&t);
	for (uint64_t i = 0; i < t.burners; i++)
		if (torture_fork(&t) == 0)
			torture_burn(&t);
	torture_main(&t);
	return 0;
}
