/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A candidate that uses the library itself and starts to work the instant it leads, before any process could have been
 * started: it sees whatever of an earlier tenure's program is alive still.
 *
 *	torture_candidate STORE ELECTION ID LEDGER
 *
 * It gives leadership up after some milliseconds and goes to the end of the queue.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <tenure/tenure.h>

#include "base/clock.h"
#include "cli/demo_ledger.h"

#define TORTURE_CANDIDATE_WORK_NS (20 * CLOCK_NS_PER_MS)

struct torture_candidate {
	struct demo_ledger ledger;
	_Atomic uint64_t leading; /* the token, as the library's thread has told it; 0: none */
	_Atomic bool asked;
};

/* On the library's thread: the first sign is given here. */
static void torture_candidate_on_event(void *arg, const struct tenure_event *event)
{
	struct torture_candidate *c = arg;

	if (event->type == TENURE_EV_ASKED)
		atomic_store(&c->asked, true);
	if (event->type != TENURE_EV_STATE || event->to != TENURE_LEADING)
		return;
	c->ledger.token = event->token;
	c->ledger.sequence = 0;
	(void)demo_ledger_sign(&c->ledger, "begin");
	atomic_store(&c->asked, false);
	atomic_store(&c->leading, event->token);
}

/* From the first sign to the last one the main thread alone writes, and it gives leadership up after the last one. */
static void torture_candidate_work(struct torture_candidate *c, struct tenure_candidacy *candidacy)
{
	const struct timespec pause = { .tv_nsec = CLOCK_NS_PER_MS / 2 };
	uint64_t end_ns = clock_now_or_zero_ns() + TORTURE_CANDIDATE_WORK_NS;

	while (clock_now_or_zero_ns() < end_ns && !atomic_load(&c->asked)) {
		(void)demo_ledger_sign(&c->ledger, "run");
		(void)nanosleep(&pause, NULL);
	}
	(void)demo_ledger_sign(&c->ledger, "end");
	atomic_store(&c->leading, 0);
	(void)tenure_resign(candidacy, NULL);
}

int main(int argc, char **argv)
{
	struct tenure_campaign_options campaign = TENURE_CAMPAIGN_OPTIONS_INIT;
	const struct timespec pause = { .tv_nsec = CLOCK_NS_PER_MS };
	struct tenure_options options = TENURE_OPTIONS_INIT;
	struct tenure_error error = TENURE_ERROR_INIT;
	struct tenure_candidacy *candidacy;
	struct torture_candidate c = { .ledger.holder = argc == 5 ? argv[3] : "" };
	struct tenure *session;
	sigset_t term;

	if (argc != 5)
		return 64;
	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	(void)sigprocmask(SIG_BLOCK, &term, NULL);
	c.ledger.fd = open(argv[4], O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	options.id = argv[3];
	campaign.on_event = torture_candidate_on_event;
	campaign.ask_first = true;
	campaign.arg = &c;
	if (c.ledger.fd < 0 || tenure_open(&session, argv[1], &options, &error) != 0 ||
	    tenure_campaign(session, argv[2], &campaign, &candidacy, &error) != 0) {
		(void)fprintf(stderr, "torture_candidate: %s\n", error.message);
		return 2;
	}
	while (sigtimedwait(&term, NULL, &pause) < 0)
		if (atomic_load(&c.leading))
			torture_candidate_work(&c, candidacy);
	if (atomic_load(&c.leading))
		torture_candidate_work(&c, candidacy);
	return tenure_close(session, 5 * CLOCK_NS_PER_S) == 0 ? 0 : 3;
}
