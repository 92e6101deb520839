/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A writer whose late writes do no harm: each write goes through a guard, which knows the greatest token that was ever
 * let in and refuses a smaller one.
 *
 *	guard STORE ELECTION ID DIR		appends "token id" to DIR/journal while it leads
 *	guard - TOKEN ID DIR			tries one such write with a token of one's own: what a late writer does
 *
 * Elections alone can't do that: a process may be stopped between "do I lead?" and its write, for any time.
 * Build: cc guard.c $(pkg-config --cflags --libs tenure)
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <tenure/guard.h>
#include <tenure/tenure.h>

#define EXIT_REFUSED 77

struct writer {
	const char *id, *directory;
	struct tenure_guard *guard;
};

static int append(const struct writer *w, uint64_t token)
{
	char path[4096], line[128];
	int n = snprintf(line, sizeof line, "%llu %s\n", (unsigned long long)token, w->id), fd, code = -1;

	snprintf(path, sizeof path, "%s/journal", w->directory);
	fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return -1;
	if (write(fd, line, (size_t)n) == n && fdatasync(fd) == 0)
		code = 0; /* finished: what is still on its way at tenure_guard_leave() is not protected */
	close(fd);
	return code;
}

/* 0: written; EXIT_REFUSED: a later leader was here, the tenure is over; 1: an error, told. */
static int write_guarded(struct writer *w, uint64_t token)
{
	struct tenure_error error = TENURE_ERROR_INIT;
	uint64_t high = 0;
	int code = tenure_guard_enter(w->guard, token, TENURE_NS_NEVER, &high, &error);

	if (code == TENURE_REFUSED) {
		printf("%s: token %llu refused: %llu was here\n", w->id, (unsigned long long)token,
		       (unsigned long long)high);
		return EXIT_REFUSED;
	}
	if (code != 0) {
		fprintf(stderr, "%s: %s\n", w->id, error.message);
		return 1;
	}
	code = append(w, token); /* between enter and leave nobody else is inside */
	if (code != 0)
		fprintf(stderr, "%s: cannot write the journal: %s\n", w->id, strerror(errno));
	tenure_guard_leave(w->guard);
	return code == 0 ? 0 : 1;
}

static bool stop_asked(const sigset_t *signals)
{
	const struct timespec pause = { .tv_nsec = 20000000L };

	return sigtimedwait(signals, NULL, &pause) > 0;
}

/* Writes while it leads, until a signal comes. */
static int lead_and_write(struct writer *w, struct tenure_candidacy *candidacy, const sigset_t *signals)
{
	struct tenure_error why = TENURE_ERROR_INIT;
	struct tenure_grant grant;
	uint64_t token = 0;
	int code = 0;

	while (code == 0 && !stop_asked(signals)) {
		if (tenure_state_of(candidacy, &why) == TENURE_ENDED) {
			fprintf(stderr, "%s: %s\n", w->id, why.message);
			return 1;
		}
		if (!tenure_leads(candidacy, &grant))
			continue;
		if (token != grant.token)
			printf("%s: leads with token %llu\n", w->id, (unsigned long long)grant.token);
		token = grant.token;
		code = write_guarded(w, token); /* carries the token of the answer, not of some earlier one */
		if (code == EXIT_REFUSED)
			code = 0; /* we led no more; what we know now, the library learns as well */
	}
	return code;
}

static int campaign_and_write(struct writer *w, const char *url, const char *election)
{
	struct tenure_options options = TENURE_OPTIONS_INIT;
	struct tenure_error error = TENURE_ERROR_INIT;
	struct tenure_candidacy *candidacy;
	struct tenure *session;
	sigset_t signals;
	int code;

	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	options.id = w->id;
	if (tenure_open(&session, url, &options, &error) != 0 ||
	    tenure_campaign(session, election, NULL, &candidacy, &error) != 0) {
		fprintf(stderr, "%s: %s\n", w->id, error.message);
		tenure_close(session, 0);
		return 1;
	}
	code = lead_and_write(w, candidacy, &signals);
	tenure_close(session, TENURE_NS_NEVER); /* outside of the guard, the work is done: the next one may lead */
	if (code == 0)
		printf("%s: stopped\n", w->id);
	return code;
}

int main(int argc, char **argv)
{
	struct tenure_error error = TENURE_ERROR_INIT;
	struct writer w;
	int code;

	if (argc != 5) {
		fprintf(stderr, "usage: guard STORE ELECTION ID DIR\n       guard - TOKEN ID DIR\n");
		return 64;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	w.id = argv[3];
	w.directory = argv[4];
	if (tenure_guard_open(&w.guard, w.directory, "journal", &error) != 0) {
		fprintf(stderr, "%s: %s\n", w.id, error.message);
		return 1;
	}
	if (strcmp(argv[1], "-") == 0)
		code = write_guarded(&w, strtoull(argv[2], NULL, 10));
	else
		code = campaign_and_write(&w, argv[1], argv[2]);
	tenure_guard_free(w.guard);
	return code;
}
