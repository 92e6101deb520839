/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Elections by the public API of libtenure, on any store that it knows: embedded sessions in one thread with one poll(),
 * so that what happens together is handled together.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <tenure/tenure.h>

#include "bench.h"
#include "load.h"

#define LQ_CLOSE_NS (10 * UINT64_C(1000000000))
#define LQ_TURNS_NS (25 * UINT64_C(1000000)) /* hold: how often the deadlines are looked at */

struct lq;

struct lq_bid {
	struct lq *all;
	struct tenure_candidacy *candidacy;
	uint64_t began_ns;    /* cycles: when it was elected last */
	uint64_t deadline_ns; /* hold: as seen last */
	uint64_t renewed_ns;
	bool led;
};

struct lq {
	struct load_options options;
	struct load_result result;
	struct tenure **sessions;
	struct lq_bid *bids;
	struct pollfd *polled; /* one a session, then stdin */
	unsigned n_bids, n_leading;
	struct lq_bid *leader; /* hand-over: resigns at resign_ns */
	uint64_t resign_ns;
	bool counting, closing;
};

static void lq_elected(struct lq_bid *bid, const struct tenure_event *event)
{
	struct lq *all = bid->all;
	uint64_t now_ns = bench_now_ns();

	if (!bid->led)
		all->n_leading++;
	bid->led = true;
	switch (all->options.mode) {
	case LOAD_CYCLES:
		if (!all->counting)
			break;
		load_cycle(&all->result, bid->began_ns, now_ns);
		bid->began_ns = now_ns;
		/* A store that answers at once would never let go of this turn. */
		if (now_ns < all->result.until_ns)
			(void)tenure_resign(bid->candidacy, NULL);
		break;
	case LOAD_HANDOVER:
		load_instant(&all->result.led, now_ns);
		all->leader = bid;
		all->resign_ns = now_ns + all->options.hold_us * UINT64_C(1000);
		break;
	case LOAD_HOLD:
		bid->deadline_ns = event->deadline_ns;
		bid->renewed_ns = now_ns;
		break;
	case LOAD_FAILOVER: /* the lease is known by now */
		printf("{\"event\":\"opened\",\"ttl_ms\":%llu}\n",
		       (unsigned long long)(tenure_ttl_ns(all->sessions[0]) / 1000000u));
		load_say("leading");
		break;
	}
}

static void lq_event(void *arg, const struct tenure_event *event)
{
	struct lq_bid *bid = arg;
	struct lq *all = bid->all;

	if (event->type != TENURE_EV_STATE || all->closing)
		return;
	if (event->to == TENURE_ENDED)
		bench_die("candidacy", event->error ? event->error->message : "ended");
	if (all->options.mode == LOAD_FAILOVER && event->from == TENURE_CONNECTING && event->to != TENURE_LEADING)
		load_say("waiting");
	if (event->to == TENURE_LEADING && event->from != TENURE_AT_RISK)
		lq_elected(bid, event);
	if (event->cause == TENURE_BY_EXPIRY || event->cause == TENURE_BY_STORE)
		if (event->from & (TENURE_LEADING | TENURE_AT_RISK))
			all->result.lost++;
}

static void lq_open(struct lq *all)
{
	struct tenure_options options = TENURE_OPTIONS_INIT;
	struct tenure_error error = TENURE_ERROR_INIT;

	options.embedded = true;
	options.id = all->options.id;
	/* The file store has no lease to ask for. */
	options.ttl_ns = strncmp(all->options.store, "file:", 5) == 0 ? 0 : all->options.ttl_ms * UINT64_C(1000000);
	all->sessions = calloc(all->options.sessions, sizeof(struct tenure *));
	all->polled = calloc(all->options.sessions + 1, sizeof *all->polled);
	if (!all->sessions || !all->polled)
		bench_die("calloc", "out of memory");
	for (unsigned i = 0; i < all->options.sessions; i++) {
		if (tenure_open(&all->sessions[i], all->options.store, &options, &error) != 0)
			bench_die("tenure_open", error.message);
		all->polled[i].fd = tenure_fd(all->sessions[i]);
		all->polled[i].events = POLLIN;
	}
	all->polled[all->options.sessions].fd = STDIN_FILENO;
	all->polled[all->options.sessions].events = POLLIN;
}

/* In hand-over and fail-over all candidates stand in one election, PREFIX itself. */
static void lq_campaign(struct lq *all)
{
	bool one = all->options.mode == LOAD_HANDOVER || all->options.mode == LOAD_FAILOVER;
	struct tenure_campaign_options options = TENURE_CAMPAIGN_OPTIONS_INIT;
	struct tenure_error error = TENURE_ERROR_INIT;

	options.on_event = lq_event;
	for (unsigned i = 0; i < all->n_bids; i++) {
		char name[128];

		load_election(&all->options, i, name, sizeof name);
		all->bids[i].all = all;
		options.arg = &all->bids[i];
		if (tenure_campaign(all->sessions[i % all->options.sessions], one ? all->options.prefix : name,
		                    &options, &all->bids[i].candidacy, &error) != 0)
			bench_die("tenure_campaign", error.message);
	}
}

/* One turn of the sessions that have work, at the latest at `until_ns`. True: there is something on stdin. */
static bool lq_turn(struct lq *all, uint64_t until_ns, bool listen)
{
	unsigned n = all->options.sessions;
	uint64_t now_ns = bench_now_ns(), rest_ns = until_ns > now_ns ? until_ns - now_ns : 0;
	struct timespec rest = { (time_t)(rest_ns / 1000000000u), (long)(rest_ns % 1000000000u) };

	all->polled[n].revents = 0;
	if (ppoll(all->polled, listen ? n + 1 : n, until_ns == TENURE_NS_NEVER ? NULL : &rest, NULL) < 0)
		bench_die("ppoll", "failed");
	for (unsigned i = 0; i < n; i++)
		if (all->polled[i].revents != 0 && tenure_process(all->sessions[i]) != 0)
			bench_die("tenure_process", "failed");
	return all->polled[n].revents != 0;
}

/* A renewal shows as a deadline that has moved. */
static void lq_look(struct lq *all)
{
	for (unsigned i = 0; i < all->n_bids; i++) {
		struct lq_bid *bid = &all->bids[i];
		struct tenure_grant grant;

		if (!tenure_leads(bid->candidacy, &grant) || grant.deadline_ns == bid->deadline_ns)
			continue;
		if (all->counting) {
			all->result.n++;
			load_gap(&all->result, bid->renewed_ns, grant.now_ns);
		}
		bid->deadline_ns = grant.deadline_ns;
		bid->renewed_ns = grant.now_ns;
	}
}

static void lq_until(struct lq *all, uint64_t until_ns)
{
	uint64_t look_ns = 0;

	for (uint64_t now_ns; (now_ns = bench_now_ns()) < until_ns;) {
		uint64_t next_ns = until_ns;

		if (all->leader && now_ns >= all->resign_ns) {
			struct lq_bid *leader = all->leader;

			all->leader = NULL;
			load_instant(&all->result.resigned, bench_now_ns());
			(void)tenure_resign(leader->candidacy, NULL);
		}
		if (all->leader && all->resign_ns < next_ns)
			next_ns = all->resign_ns;
		if (all->options.mode == LOAD_HOLD && now_ns >= look_ns) {
			lq_look(all);
			look_ns = now_ns + LQ_TURNS_NS;
		}
		if (all->options.mode == LOAD_HOLD && look_ns < next_ns)
			next_ns = look_ns;
		(void)lq_turn(all, next_ns, false);
	}
}

/* Warms up: all lead (or, in hand-over, stand ready to campaign), and go on while the others of this run get there. */
static bool lq_prepare(struct lq *all)
{
	if (all->options.mode != LOAD_HANDOVER) {
		lq_campaign(all);
		while (all->n_leading < all->n_bids)
			(void)lq_turn(all, TENURE_NS_NEVER, false);
	}
	load_say_ready();
	while (!lq_turn(all, TENURE_NS_NEVER, true))
		;
	return load_read_go();
}

static void lq_measure(struct lq *all)
{
	load_begin(&all->result, &all->options);
	all->result.ttl_ms = tenure_ttl_ns(all->sessions[0]) / 1000000u;
	all->counting = true;
	if (all->options.mode == LOAD_HANDOVER)
		lq_campaign(all);
	for (unsigned i = 0; all->options.mode == LOAD_CYCLES && i < all->n_bids; i++) {
		all->bids[i].began_ns = bench_now_ns();
		(void)tenure_resign(all->bids[i].candidacy, NULL);
	}
	for (unsigned i = 0; all->options.mode == LOAD_HOLD && i < all->n_bids; i++)
		all->bids[i].renewed_ns = all->result.began_ns;
	lq_until(all, all->result.until_ns);
	all->counting = false;
	load_print(&all->result);
}

static void lq_wait_for_death(struct lq *all)
{
	lq_campaign(all);
	while (!lq_turn(all, TENURE_NS_NEVER, true))
		;
}

static void lq_close(struct lq *all)
{
	all->closing = true;
	for (unsigned i = 0; i < all->options.sessions; i++)
		(void)tenure_close(all->sessions[i], LQ_CLOSE_NS);
	free(all->sessions);
	free(all->bids);
	free(all->polled);
}

int main(int argc, char **argv)
{
	static struct lq all;

	load_parse(&all.options, argc, argv);
	all.n_bids = all.options.mode == LOAD_HANDOVER   ? all.options.sessions
	             : all.options.mode == LOAD_FAILOVER ? 1
	                                                 : all.options.elections;
	all.bids = calloc(all.n_bids, sizeof *all.bids);
	if (!all.bids)
		bench_die("calloc", "out of memory");
	lq_open(&all);
	if (all.options.mode == LOAD_FAILOVER)
		lq_wait_for_death(&all);
	else if (lq_prepare(&all))
		lq_measure(&all);
	lq_close(&all);
	return 0;
}
