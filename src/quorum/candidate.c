/* SPDX-License-Identifier: Apache-2.0 */
/* The candidate's life, its durations, and what it has to tell. */
#include "quorum/candidate_inside.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/error.h"
#include "elector/lease.h"

#define CANDIDATE_TTL_V_NS UINT64_C(200000000) /* ttl_v at least, where the lease allows it */

/* xorshift64*: jitter only. */
uint64_t candidate_random(struct candidate *c, uint64_t below)
{
	c->random ^= c->random >> 12;
	c->random ^= c->random << 25;
	c->random ^= c->random >> 27;
	return below ? (c->random * UINT64_C(2685821657736338717) >> 11) % below : 0;
}

unsigned candidate_quorum(const struct candidate *c)
{
	return c->configured ? quorum_majority(c->config.n_members) : 0;
}

/* One lease for all: what is asked for, cut to the least max_ttl of the voters that count. */
uint64_t candidate_ask_ttl_ns(const struct candidate *c)
{
	uint64_t ttl_ns = c->ttl_ns;

	for (unsigned v = 0; v < c->n_addresses; v++) {
		const struct candidate_peer *p = &c->peers[v];

		if (p->useful && p->max_ttl_ms > 0)
			ttl_ns = candidate_sooner(ttl_ns, p->max_ttl_ms * QUORUM_NS_PER_MS);
	}
	return ttl_ns;
}

/* The q-th smallest: a quorum answers within it. */
uint64_t candidate_rtt_ns(const struct candidate *c)
{
	uint64_t sorted[QUORUM_MAX_VOTERS];
	unsigned n = 0, q = candidate_quorum(c);

	for (unsigned v = 0; v < c->n_addresses; v++) {
		uint64_t rtt_ns = c->peers[v].rtt_ns;
		unsigned at = n;

		if (!rtt_ns)
			continue;
		for (; at > 0 && sorted[at - 1] > rtt_ns; at--)
			sorted[at] = sorted[at - 1];
		sorted[at] = rtt_ns;
		n++;
	}
	if (!n)
		return CANDIDATE_RTT_FIRST_NS;
	return sorted[q && q <= n ? q - 1 : n - 1];
}

uint64_t candidate_ttl_v_now_ns(const struct candidate *c)
{
	uint64_t ttl_ns = c->ttl_v_ns;

	if (!ttl_ns)
		ttl_ns = 10 * candidate_rtt_ns(c) > CANDIDATE_TTL_V_NS ? 10 * candidate_rtt_ns(c) : CANDIDATE_TTL_V_NS;
	ttl_ns = candidate_sooner(ttl_ns, candidate_ask_ttl_ns(c) / 2);
	for (unsigned v = 0; v < c->n_addresses; v++) /* a VOTE above it is refused (R8) */
		if (c->peers[v].max_ttl_v_ms > 0 && c->peers[v].useful)
			ttl_ns = candidate_sooner(ttl_ns, c->peers[v].max_ttl_v_ms * QUORUM_NS_PER_MS);
	return ttl_ns;
}

uint64_t candidate_heartbeat_ns(const struct candidate *c)
{
	return candidate_ask_ttl_ns(c) / 4;
}

uint64_t candidate_retry_ns(const struct candidate *c)
{
	uint64_t by_rtt_ns = 4 * candidate_rtt_ns(c), by_ttl_ns = candidate_ask_ttl_ns(c) / 20;

	return by_rtt_ns > by_ttl_ns ? by_rtt_ns : by_ttl_ns;
}

uint64_t candidate_nudge_ns(const struct candidate *c)
{
	return 3 * candidate_rtt_ns(c) + QUORUM_NUDGE_SLACK_NS;
}

static void candidate_init_peer(struct candidate *c, unsigned v)
{
	struct candidate_peer *p = &c->peers[v];

	p->v = v;
	p->why.struct_size = sizeof p->why;
	p->connect_at_ns = c->now.at.boot_ns;
	p->down_ns = c->now.at.boot_ns;
	p->renew_at_ns = p->unanswered_ns = CANDIDATE_NEVER_NS;
	wire_out_init(&p->out);
}

static int candidate_init_tables(struct candidate *c)
{
	size_t n = (size_t)1 << c->n_addresses;

	c->groups = calloc(n, sizeof *c->groups);
	c->n_buckets = 64;
	c->buckets = calloc(c->n_buckets, sizeof(struct candidate_election *));
	if (!c->groups || !c->buckets)
		return TENURE_ENOMEM;
	for (size_t i = 0; i < n; i++) {
		list_init(&c->groups[i].live);
		list_init(&c->groups[i].idle);
		list_init(&c->groups[i].due);
	}
	return 0;
}

int candidate_new(struct candidate **out, const struct candidate_settings *settings, struct candidate_now now)
{
	uint32_t rho = settings->rate_error_ppm ? settings->rate_error_ppm : LEASE_RATE_ERROR_PPM;
	struct candidate *c;

	*out = NULL;
	if (settings->n_addresses < 1 || settings->n_addresses > QUORUM_MAX_VOTERS || !settings->label ||
	    strnlen(settings->label, NAMES_ID_MAX_BYTES + 1) > NAMES_ID_MAX_BYTES || rho > LEASE_RATE_ERROR_MAX_PPM ||
	    (!settings->observer && lease_allowance_ns(settings->ttl_ns, rho) == 0))
		return TENURE_EINVAL; /* D <= 0: no lease could ever be believed in */
	c = calloc(1, sizeof *c);
	if (!c)
		return TENURE_ENOMEM;
	c->mutations = settings->mutations;
	c->inc = settings->inc;
	memcpy(c->label, settings->label, strlen(settings->label));
	c->n_addresses = settings->n_addresses;
	c->addresses = settings->addresses;
	c->ttl_ns = settings->ttl_ns ? settings->ttl_ns : QUORUM_DEFAULT_MAX_TTL_MS * QUORUM_NS_PER_MS;
	c->ttl_v_ns = settings->ttl_v_ns;
	c->rate_error_ppm = rho;
	c->random = settings->seed ? settings->seed : 1;
	c->observer = settings->observer;
	c->plain = settings->plain;
	c->now = now;
	c->told_reached = -1;
	list_init(&c->groups_live);
	list_init(&c->events);
	list_init(&c->calls);
	list_init(&c->calls_done);
	list_init(&c->watches_due);
	list_init(&c->unsettled);
	c->clock_error.struct_size = c->reach_error.struct_size = c->health_error.struct_size =
	        c->fail_error.struct_size = c->event_error.struct_size = sizeof(struct tenure_error);
	for (unsigned v = 0; v < c->n_addresses; v++)
		candidate_init_peer(c, v);
	if (candidate_init_tables(c)) {
		candidate_free(c);
		return TENURE_ENOMEM;
	}
	*out = c;
	candidate_connection_tick(c);
	return 0;
}

void candidate_free(struct candidate *c)
{
	if (!c)
		return;
	candidate_call_free_all(c);
	candidate_election_free_all(c);
	for (unsigned v = 0; v < c->n_addresses; v++)
		wire_out_deinit(&c->peers[v].out);
	free(c->waiters);
	free(c->groups);
	free(c->buckets);
	free(c);
}

/* R1. A forked child can't say or believe anything under it; nothing here allocates or frees. */
void candidate_forget(struct candidate *c)
{
	c->inc = (struct quorum_id) { { 0 } };
	c->failed = true;
}

/* Every call begins here: the present instant, and what was lent by the event taken last ends. */
void candidate_enter_call(struct candidate *c, struct candidate_now now)
{
	c->now = now;
	if (c->given) {
		candidate_call_free(c->given);
		c->given = NULL;
	}
}

void candidate_tick(struct candidate *c, struct candidate_now now)
{
	candidate_enter_call(c, now);
	candidate_group_sweep(c); /* before anything is sent: what is over renews nothing (R20) */
	candidate_election_fire(c);
	candidate_connection_tick(c);
	candidate_call_tick(c);
	candidate_voters_health(c);
}

uint64_t candidate_next_ns(const struct candidate *c)
{
	uint64_t at_ns = candidate_connection_next_ns(c);

	at_ns = candidate_sooner(at_ns, candidate_group_next_ns(c));
	at_ns = candidate_sooner(at_ns, candidate_call_next_ns(c));
	at_ns = candidate_sooner(at_ns, candidate_voters_health_ns(c));
	return candidate_sooner(at_ns, heap_first_key(&c->timers));
}

void candidate_set_clock_fault(struct candidate *c, const struct tenure_error *why, struct candidate_now now)
{
	candidate_enter_call(c, now);
	if (c->failed)
		return;
	c->clock_fault = why != NULL;
	if (why)
		error_copy(&c->clock_error, why);
	else
		CANDIDATE_EACH_PEER(c, p)
	if (p->sid)
		p->renew_at_ns = c->now.at.boot_ns;
	c->tell_health = true;
	candidate_voters_health(c);
}

static bool candidate_own_event(struct candidate *c, struct candidate_event *out)
{
	if (c->tell_failed) { /* first: what follows is the same again, in weaker words */
		c->tell_failed = false;
		out->kind = CANDIDATE_FAILED;
		out->code = c->fail_code;
		out->error = &c->fail_error;
		return true;
	}
	if (c->tell_reached) {
		c->tell_reached = false;
		if ((int)c->reached != c->told_reached) {
			c->told_reached = c->reached;
			out->kind = c->reached ? CANDIDATE_REACHED : CANDIDATE_UNREACHED;
			out->error = c->reached ? NULL : &c->reach_error;
			out->code = c->reached ? 0 : c->reach_error.code;
			return true;
		}
	}
	if (c->tell_health) {
		c->tell_health = false;
		out->kind = CANDIDATE_HEALTH;
		out->health = c->health;
		out->error = c->health == TENURE_DEGRADED ? &c->health_error : NULL;
		return true;
	}
	return false;
}

static void candidate_place_event(struct candidate_election *e, struct candidate_event *out)
{
	e->told_ahead = e->ahead;
	out->kind = e->ahead ? CANDIDATE_QUEUED : CANDIDATE_CONTENDING;
	out->ahead = (size_t)e->ahead;
}

static void candidate_asked_event(struct candidate_election *e, struct candidate_event *out)
{
	struct candidate *c = e->c;

	memcpy(c->event_text, e->asked_to, sizeof c->event_text);
	out->kind = CANDIDATE_ASKED;
	out->to = c->event_text;
	out->token = quorum_token(c->epoch, e->asked_term);
}

static bool candidate_election_event(struct candidate_election *e, struct candidate_event *out)
{
	out->user = e->user;
	out->token = quorum_token(e->c->epoch, e->term);
	if (e->pending & CANDIDATE_TELL_LOST) {
		e->pending &= ~(unsigned)CANDIDATE_TELL_LOST;
		out->kind = CANDIDATE_LOST;
		out->cause = TENURE_BY_EXPIRY;
	} else if (e->pending & CANDIDATE_TELL_RELEASED) {
		e->pending &= ~(unsigned)CANDIDATE_TELL_RELEASED;
		out->kind = CANDIDATE_RELEASED;
	} else if (e->pending & CANDIDATE_TELL_PLACE) {
		e->pending &= ~(unsigned)CANDIDATE_TELL_PLACE;
		if (e->ahead == e->told_ahead || !e->joined)
			return false;
		candidate_place_event(e, out);
	} else if (e->pending & CANDIDATE_TELL_ASKED) {
		e->pending &= ~(unsigned)CANDIDATE_TELL_ASKED;
		if (!e->granted || e->over || e->asked_term != e->term)
			return false;
		candidate_asked_event(e, out);
	} else {
		return false;
	}
	return true;
}

static bool candidate_listed_event(struct candidate *c, struct candidate_event *out)
{
	while (!list_empty(&c->events)) {
		struct candidate_election *e = LIST_OF(c->events.next, struct candidate_election, events);
		bool told = candidate_election_event(e, out);

		if (!e->pending)
			list_remove(&e->events);
		if (told)
			return true;
	}
	return false;
}

/* Grants, and ends that rose: read now, so that one event a heartbeat tells the newest one. */
static bool candidate_due_event(struct candidate_election *e, struct candidate_event *out)
{
	struct candidate *c = e->c;
	struct instant end = candidate_election_end(e);
	bool first = !e->granted;

	if (!candidate_election_holds(e, c->now.at))
		return false; /* the sweep says LOST */
	if (first && (instant_over_for_candidate(end, instant_add(c->now.at, e->min_left_ns)) && e->min_left_ns > 0))
		return false;
	if (!first && end.boot_ns <= e->told_end.boot_ns && end.raw_ns <= e->told_end.raw_ns)
		return false;
	e->granted = true;
	e->told_end = end;
	out->kind = first ? CANDIDATE_GRANTED : CANDIDATE_RENEWED;
	out->user = e->user;
	out->token = quorum_token(c->epoch, e->term);
	out->end = end;
	if (first)
		out->cause = e->transferred ? TENURE_BY_TRANSFER : TENURE_BY_ELECTION;
	return true;
}

static bool candidate_group_event(struct candidate *c, struct candidate_event *out)
{
	LIST_EACH (node, &c->groups_live) {
		struct candidate_group *g = LIST_OF(node, struct candidate_group, live);

		while (!list_empty(&g->due)) {
			struct candidate_election *e = LIST_OF(g->due.next, struct candidate_election, in_group);

			list_remove(&e->in_group);
			list_append(&g->idle, &e->in_group);
			if (candidate_due_event(e, out))
				return true;
		}
	}
	return false;
}

bool candidate_next_event(struct candidate *c, struct candidate_event *out)
{
	candidate_enter_call(c, c->now);
	*out = (struct candidate_event) { 0 };
	return candidate_own_event(c, out) || candidate_listed_event(c, out) || candidate_group_event(c, out) ||
	       candidate_call_event(c, out);
}

void candidate_read_facts(const struct candidate *c, struct candidate_facts *out)
{
	*out = (struct candidate_facts) {
		.reached = c->reached,
		.n_voters = c->configured ? c->config.n_members : 0,
		.ttl_ns = c->granted_ttl_ns,
		.ttl_v_ns = candidate_ttl_v_now_ns(c),
		.heartbeat_ns = candidate_heartbeat_ns(c),
		.retry_ns = candidate_retry_ns(c),
		.rtt_ns = candidate_rtt_ns(c),
		.cluster = c->cluster,
		.epoch = c->epoch,
		.n_elections = c->n_entered,
		.n_led = c->n_led,
		.frames_sent = c->frames_sent,
		.frames_received = c->frames_received,
		.renew_rounds = c->renew_rounds,
	};
	for (unsigned v = 0; v < c->n_addresses; v++) {
		const struct candidate_peer *p = &c->peers[v];

		out->n_up += p->useful;
		out->n_untried += !p->tried && p->link != CANDIDATE_UP;
		if (p->useful && p->max_ttl_ms && (!out->max_ttl_ms || p->max_ttl_ms < out->max_ttl_ms))
			out->max_ttl_ms = p->max_ttl_ms;
	}
}
