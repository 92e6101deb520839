/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Elections beside a program that has no event loop: the library runs a thread of its own, and the program asks.
 *
 *	own_thread STORE ELECTION ID		e.g. own_thread file:/var/lib/tenure job a
 *
 * Works while it leads, waits while another one does, and hands over on SIGTERM or SIGINT. Start it twice.
 * Build: cc own_thread.c $(pkg-config --cflags --libs tenure)
 */
#include <signal.h>
#include <stdio.h>
#include <time.h>

#include <tenure/tenure.h>

#define PIECE_NS 50000000L /* a piece of work takes this long; how long a signal waits at most */

/* True once SIGTERM or SIGINT has come; waits for it for the length of a piece of work. */
static bool stop_asked(const sigset_t *signals)
{
	const struct timespec piece = { .tv_nsec = PIECE_NS };

	return sigtimedwait(signals, NULL, &piece) > 0;
}

static int fail(const char *id, const struct tenure_error *error)
{
	fprintf(stderr, "%s: %s\n", id, error->message);
	return 1;
}

int main(int argc, char **argv)
{
	struct tenure_options options = TENURE_OPTIONS_INIT;
	struct tenure_error error = TENURE_ERROR_INIT;
	struct tenure_candidacy *candidacy;
	struct tenure_grant grant;
	struct tenure *session;
	sigset_t signals;
	uint64_t token = 0; /* of the tenure that was announced; 0: none. It is NOT what decides whether to work */

	if (argc != 4) {
		fprintf(stderr, "usage: own_thread STORE ELECTION ID\n");
		return 64;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigprocmask(SIG_BLOCK, &signals, NULL); /* before the library's thread is started: it inherits the mask */

	options.id = argv[3];
	if (tenure_open(&session, argv[1], &options, &error) != 0)
		return fail(argv[3], &error);
	if (tenure_campaign(session, argv[2], NULL, &candidacy, &error) != 0) {
		tenure_close(session, 0);
		return fail(argv[3], &error);
	}
	while (!stop_asked(&signals)) {
		if (tenure_state_of(candidacy, &error) == TENURE_ENDED) /* for good: the store can't be used */
			break;
		/* Asked anew before each piece of work: leadership may have passed on in the meantime. */
		if (!tenure_leads(candidacy, &grant)) {
			if (token)
				printf("%s: leads no more\n", argv[3]);
			token = 0;
			continue;
		}
		if (token != grant.token)
			printf("%s: leads with token %llu\n", argv[3], (unsigned long long)grant.token);
		token = grant.token;
		/* A piece of work goes here. Hand grant.token to whatever it writes to (see guard.c). */
	}
	/* The work has stopped, so leadership may go: closing resigns, and the next in line takes over at once. */
	tenure_close(session, TENURE_NS_NEVER);
	if (error.code != 0)
		return fail(argv[3], &error);
	printf("%s: stopped\n", argv[3]);
	return 0;
}
