/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A candidate that uses the library itself and starts to work the instant it leads, before any process could have been
 * started: it sees whatever of an earlier tenure's program is alive still. It asks tenure_leads() before each sign.
 *
 *	torture_candidate STORE ELECTION ID LEDGER [TTL_MS WORK_MS TRACE]
 *
 * It gives leadership up after some milliseconds and goes to the end of the queue.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <tenure/tenure.h>

#include "base/clock.h"
#include "base/names.h"
#include "base/text.h"
#include "cli/demo_ledger.h"

#define TORTURE_CANDIDATE_WORK_MS  20
#define TORTURE_CANDIDATE_LIMIT_MS 3600000

struct torture_candidate {
	const char *holder;
	int ledger;
	uint64_t work_ns;
	int trace;                /* -1: none */
	uint64_t begun;           /* the library's thread alone: the last token that it has told */
	_Atomic uint64_t leading; /* the token, as the library's thread has told it; 0: none */
	_Atomic bool asked;
	char to[NAMES_IDENTITY_ROOM]; /* whom it was asked to hand over to; written before `asked` */
};

/* What the checker needs of it (src/elector/trace.h). */
static void torture_candidate_trace(const struct torture_candidate *c, const struct tenure_event *e)
{
	if (c->trace >= 0)
		(void)dprintf(c->trace,
		              "{\"node_ns\":\"%" PRIu64
		              "\",\"node\":\"%s_%ld\",\"election\":\"%s\",\"event\":\"state\","
		              "\"to\":\"%s\",\"token\":%" PRIu64 ",\"deadline_ns\":\"%" PRIu64 "\"}\n",
		              e->at_ns, c->holder, (long)getpid(), e->election,
		              e->to & (TENURE_LEADING | TENURE_AT_RISK) ? "leading" : "waiting", e->token,
		              e->deadline_ns);
}

/* On the library's thread: the first sign is given here, of the instant at which leadership began. */
static void torture_candidate_on_event(void *arg, const struct tenure_event *event)
{
	struct torture_candidate *c = arg;
	struct demo_ledger l;

	if (event->type == TENURE_EV_ASKED) {
		(void)snprintf(c->to, sizeof c->to, "%s", event->leader_id ? event->leader_id : "");
		atomic_store(&c->asked, true);
	}
	if (event->type != TENURE_EV_STATE)
		return;
	torture_candidate_trace(c, event);
	if (event->to != TENURE_LEADING || event->token == c->begun)
		return;
	l = (struct demo_ledger) { .fd = c->ledger, .token = event->token, .holder = c->holder };
	(void)demo_ledger_sign_at(&l, "begin", event->at_ns);
	c->begun = event->token;
	atomic_store(&c->asked, false);
	atomic_store(&c->leading, event->token);
}

/* The sign is of an instant before the question: it led then, however late the line is written. */
static bool torture_candidate_sign(struct demo_ledger *l, const struct tenure_candidacy *candidacy, const char *kind)
{
	uint64_t at_ns = clock_now_or_zero_ns();
	struct tenure_grant grant;

	if (!tenure_leads(candidacy, &grant) || grant.token != l->token)
		return false;
	(void)demo_ledger_sign_at(l, kind, at_ns);
	return true;
}

/* From the first sign to the last one the main thread alone writes, and it gives leadership up after the last one. */
static void torture_candidate_work(struct torture_candidate *c, struct tenure_candidacy *candidacy)
{
	const struct timespec pause = { .tv_nsec = CLOCK_NS_PER_MS / 2 };
	uint64_t end_ns = clock_now_or_zero_ns() + c->work_ns, token = atomic_load(&c->leading);
	struct demo_ledger l = { .fd = c->ledger, .token = token, .holder = c->holder, .sequence = 1 };
	bool leads = true;

	while (leads && clock_now_or_zero_ns() < end_ns && !atomic_load(&c->asked)) {
		leads = torture_candidate_sign(&l, candidacy, "run");
		(void)nanosleep(&pause, NULL);
	}
	leads = leads && torture_candidate_sign(&l, candidacy, "end");
	if (atomic_compare_exchange_strong(&c->leading, &token, 0) && leads)
		(void)tenure_resign(candidacy, atomic_load(&c->asked) && c->to[0] ? c->to : NULL);
}

static bool torture_candidate_arguments(struct torture_candidate *c, struct tenure_options *o, int argc, char **argv)
{
	uint64_t ttl_ms = 0, work_ms = TORTURE_CANDIDATE_WORK_MS;

	if (argc != 5 && argc != 8)
		return false;
	if (argc == 8 && (!text_u64(argv[5], TORTURE_CANDIDATE_LIMIT_MS, &ttl_ms) ||
	                  !text_u64(argv[6], TORTURE_CANDIDATE_LIMIT_MS, &work_ms)))
		return false;
	o->id = c->holder = argv[3];
	o->ttl_ns = ttl_ms * CLOCK_NS_PER_MS;
	c->work_ns = work_ms * CLOCK_NS_PER_MS;
	c->ledger = open(argv[4], O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	c->trace = argc == 8 ? open(argv[7], O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600) : -1;
	return c->ledger >= 0;
}

int main(int argc, char **argv)
{
	struct tenure_campaign_options campaign = TENURE_CAMPAIGN_OPTIONS_INIT;
	const struct timespec pause = { .tv_nsec = CLOCK_NS_PER_MS };
	struct tenure_options options = TENURE_OPTIONS_INIT;
	struct tenure_error error = TENURE_ERROR_INIT;
	struct tenure_candidacy *candidacy;
	struct torture_candidate c = { .holder = "" };
	struct tenure *session;
	sigset_t term;

	if (!torture_candidate_arguments(&c, &options, argc, argv))
		return 64;
	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	(void)sigprocmask(SIG_BLOCK, &term, NULL);
	campaign.on_event = torture_candidate_on_event;
	campaign.ask_first = true;
	campaign.arg = &c;
	if (tenure_open(&session, argv[1], &options, &error) != 0 ||
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
