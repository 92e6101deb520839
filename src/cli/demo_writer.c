/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tenure-demo-writer: the program that `tenure demo` supervises, and the courier of its late write.
 *
 *	tenure-demo-writer work LEDGER GUARD_DIR OUTBOX PACE_MS [--no-guard]
 *		Writes to the resource "account" with TENURE_TOKEN, from three processes: itself, a child, and a
 *		grandchild in a session of its own that ignores SIGTERM. Each notes in LEDGER that it runs. One write
 *		more is handed to the courier at OUTBOX.
 *	tenure-demo-writer courier LEDGER GUARD_DIR OUTBOX PACE_MS [--no-guard]
 *		Says "ready", takes one write from OUTBOX, says "taken", and delivers it when a line comes on stdin, whoever leads by
 *		then. Exit code 0: it landed, 77: the guard refused it.
 *
 * It is as stubborn as programs are: a refused write is noted, and the work goes on.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <tenure/guard.h>

#include "base/clock.h"
#include "base/text.h"
#include "cli/demo_ledger.h"

#define DEMO_WRITER_RESOURCE      "account"
#define DEMO_WRITER_RUNS_A_WRITE  5
#define DEMO_WRITER_GUARD_WAIT_NS (5 * CLOCK_NS_PER_S)
#define DEMO_WRITER_REFUSED       77

struct demo_writer {
	const char *guard_directory, *outbox;
	uint64_t pace_ms;
	bool guarded;
	struct demo_ledger ledger;
	struct tenure_guard *guard;
	uint64_t mark; /* when it was refused last */
};

static int demo_writer_fail(const char *what)
{
	(void)fprintf(stderr, "tenure-demo-writer: %s: %s\n", what, strerror(errno));
	return 1;
}

/* Each process has a handle of its own: one of before a fork is of no use after it. */
static int demo_writer_open_guard(struct demo_writer *w)
{
	struct tenure_error error = TENURE_ERROR_INIT;

	if (!w->guarded || tenure_guard_open(&w->guard, w->guard_directory, DEMO_WRITER_RESOURCE, &error) == 0)
		return 0;
	(void)fprintf(stderr, "tenure-demo-writer: %s\n", error.message);
	return 1;
}

/* One write to the resource. 0: it landed; 77: refused; 1: an error, told. */
static int demo_writer_write(struct demo_writer *w)
{
	struct tenure_error error = TENURE_ERROR_INIT;
	int code = 0;

	if (w->guarded)
		code = tenure_guard_enter(w->guard, w->ledger.token, DEMO_WRITER_GUARD_WAIT_NS, &w->mark, &error);
	if (code != 0 && code != TENURE_REFUSED) {
		(void)fprintf(stderr, "tenure-demo-writer: %s\n", error.message);
		return 1;
	}
	/* The resource is the ledger itself: a line in it is the write. */
	if (demo_ledger_write(&w->ledger, DEMO_WRITER_RESOURCE, code == 0) != 0)
		return demo_writer_fail("cannot write the ledger");
	if (w->guarded && code == 0)
		tenure_guard_leave(w->guard);
	return code == 0 ? 0 : DEMO_WRITER_REFUSED;
}

/* The demo is over and has taken its files away: nothing shall be left behind, whatever went wrong. */
static bool demo_writer_orphaned(const struct demo_writer *w)
{
	struct stat info;

	return fstat(w->ledger.fd, &info) != 0 || info.st_nlink == 0;
}

/* Runs and writes until `stop` (a set of signals) says so; never, where it is empty. */
static int demo_writer_loop(struct demo_writer *w, const sigset_t *stop)
{
	const struct timespec pace = { (time_t)(w->pace_ms / 1000), (long)(w->pace_ms % 1000) * 1000000L };
	unsigned long turn = 0;

	w->ledger.sequence = 0;
	if (demo_writer_open_guard(w) != 0)
		return 1;
	if (demo_ledger_sign(&w->ledger, "begin") != 0)
		return demo_writer_fail("cannot write the ledger");
	do {
		if (turn++ % DEMO_WRITER_RUNS_A_WRITE == 0) {
			if (demo_writer_write(w) == 1 || demo_writer_orphaned(w))
				return 1;
		} else if (demo_ledger_sign(&w->ledger, "run") != 0) {
			return demo_writer_fail("cannot write the ledger");
		}
	} while (sigtimedwait(stop, NULL, &pace) < 0);
	return demo_ledger_sign(&w->ledger, "end") == 0 ? 0 : demo_writer_fail("cannot write the ledger");
}

/* Out of reach of everything that follows parents, groups and sessions. */
static void demo_writer_grandchild(struct demo_writer *w)
{
	sigset_t none;
	pid_t pid = fork();

	if (pid != 0)
		_exit(pid < 0);
	(void)setsid();
	(void)signal(SIGTERM, SIG_IGN);
	sigemptyset(&none);
	_exit(demo_writer_loop(w, &none));
}

/* A write on its way: whoever carries it is no part of the program, and delivers it even when the program is dead. */
static void demo_writer_hand_over(const struct demo_writer *w)
{
	char line[128];
	int n = snprintf(line, sizeof line, "%" PRIu64 " %s\n", w->ledger.token, w->ledger.holder);
	int fd = open(w->outbox, O_WRONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return; /* the courier has gone: it takes the first one only */
	if (write(fd, line, (size_t)n) != n)
		(void)demo_writer_fail("cannot hand a write over");
	(void)close(fd);
}

static int demo_writer_work(struct demo_writer *w)
{
	const char *token = getenv("TENURE_TOKEN");
	sigset_t stop;
	pid_t child;

	w->ledger.holder = getenv("TENURE_ID");
	if (!w->ledger.holder || !token || !text_u64(token, TENURE_TOKEN_MAX, &w->ledger.token)) {
		(void)fputs("tenure-demo-writer: TENURE_ID or TENURE_TOKEN is missing\n", stderr);
		return 1;
	}
	sigemptyset(&stop);
	sigaddset(&stop, SIGTERM);
	sigaddset(&stop, SIGINT);
	(void)sigprocmask(SIG_BLOCK, &stop, NULL);
	demo_writer_hand_over(w);
	child = fork();
	if (child == 0)
		_exit(demo_writer_loop(w, &stop));
	if (child > 0)
		child = fork();
	if (child == 0)
		demo_writer_grandchild(w);
	return child < 0 ? demo_writer_fail("cannot fork") : demo_writer_loop(w, &stop);
}

/* Takes "TOKEN HOLDER" from the outbox. */
static int demo_writer_take(struct demo_writer *w, char *line, size_t room)
{
	/* Open for writing as well: there is no end of file before the first program has come. */
	int fd = open(w->outbox, O_RDWR | O_CLOEXEC);
	char *space, *end;
	ssize_t n;

	printf("ready\n");
	(void)fflush(stdout);
	n = fd < 0 ? -1 : read(fd, line, room - 1);
	if (fd >= 0)
		(void)close(fd);
	if (n < 0)
		return demo_writer_fail("cannot read the outbox");
	line[n] = '\0';
	space = strchr(line, ' ');
	end = strchr(line, '\n');
	if (!space || !end || !text_u64_n(line, (size_t)(space - line), TENURE_TOKEN_MAX, &w->ledger.token)) {
		errno = EPROTO;
		return demo_writer_fail("cannot read the outbox");
	}
	*end = '\0';
	w->ledger.holder = space + 1;
	return 0;
}

static int demo_writer_courier(struct demo_writer *w)
{
	char line[256], order[16];
	int code;

	if (demo_writer_take(w, line, sizeof line) != 0 || demo_writer_open_guard(w) != 0)
		return 1;
	printf("taken\n");
	(void)fflush(stdout);
	if (!fgets(order, sizeof order, stdin))
		return 1;                            /* called off */
	w->ledger.sequence = clock_now_or_zero_ns(); /* no process of the program has got so far */
	code = demo_writer_write(w);
	if (code == DEMO_WRITER_REFUSED)
		printf("refused: token %" PRIu64 ", the mark is %" PRIu64 "\n", w->ledger.token, w->mark);
	else if (code == 0)
		printf("landed: token %" PRIu64 "\n", w->ledger.token);
	tenure_guard_free(w->guard);
	return code;
}

int main(int argc, char **argv)
{
	struct demo_writer w = { .guarded = true };
	bool courier = argc > 1 && strcmp(argv[1], "courier") == 0;

	if (argc == 7 && strcmp(argv[6], "--no-guard") == 0)
		w.guarded = false;
	if ((argc != 6 && w.guarded) || (!courier && strcmp(argv[1], "work") != 0) ||
	    !text_u64(argv[5], 60000, &w.pace_ms)) {
		(void)fputs("usage: tenure-demo-writer work|courier LEDGER GUARD_DIR OUTBOX PACE_MS [--no-guard]\n"
		            "Part of 'tenure demo'.\n",
		            stderr);
		return 64;
	}
	w.guard_directory = argv[3];
	w.outbox = argv[4];
	w.ledger.fd = open(argv[2], O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0600);
	if (w.ledger.fd < 0)
		return demo_writer_fail("cannot open the ledger");
	return courier ? demo_writer_courier(&w) : demo_writer_work(&w);
}
