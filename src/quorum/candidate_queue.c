/* SPDX-License-Identifier: Apache-2.0 */
/* Waiting in turn: R33, R34, and holding off after losses. */
#include "quorum/candidate_inside.h"

static bool candidate_queue_holds_off(const struct candidate_election *e)
{
	return e->hold_off_until_ns > e->c->now.at.boot_ns;
}

void candidate_queue_wait_to(struct candidate_election *e, struct candidate_peer *p)
{
	if (!p->useful)
		return;
	candidate_election_open(e, p);
	candidate_connection_put(e->c, p,
	                         &(struct wire_item) { .type = WIRE_WAIT,
	                                               .handle = e->handle,
	                                               .wait = { e->priority, e->ticket_ms } });
	e->wait_sent |= candidate_bit(p);
}

static void candidate_queue_wait_all(struct candidate_election *e)
{
	CANDIDATE_EACH_PEER(e->c, p)
	candidate_queue_wait_to(e, p);
}

/* Into the queue. Who released last and saw nobody waiting votes at once; if it fails after all, it waits (R33). */
void candidate_queue_begin(struct candidate_election *e)
{
	struct candidate *c = e->c;
	uint64_t now_ns = c->now.at.boot_ns;

	if (candidate_queue_holds_off(e)) {
		e->state = CANDIDATE_HOLDING_OFF;
		e->campaign_at_ns = e->hold_off_until_ns;
		return;
	}
	e->state = CANDIDATE_WAITING;
	e->campaign_at_ns = CANDIDATE_NEVER_NS;
	e->queued = 0;
	if (!c->reached)
		return; /* candidate_voters_reach() goes on */
	if (e->alone_until_ns > now_ns && !c->clock_fault) {
		e->alone_until_ns = 0;
		candidate_campaign_start(e);
		return;
	}
	candidate_queue_wait_all(e);
	/* the nudge comes within a round trip where nobody is before us; only then ask */
	e->campaign_at_ns =
	        now_ns + candidate_nudge_ns(c) + candidate_random(c, candidate_nudge_ns(c)) + candidate_rtt_ns(c);
}

void candidate_queue_end(struct candidate_election *e)
{
	CANDIDATE_EACH_PEER(e->c, p)
	if (p->useful && (e->wait_sent & candidate_bit(p)) && e->parts[p->v].open_conn == p->conn_no)
		candidate_connection_put(e->c, p, &(struct wire_item) { .type = WIRE_UNWAIT, .handle = e->handle });
	e->wait_sent = e->queued = 0;
}

/* The q-th smallest: then q voters may be free. */
static uint64_t candidate_queue_free_at_ns(const struct candidate_election *e)
{
	const struct candidate *c = e->c;
	uint64_t sorted[QUORUM_MAX_VOTERS] = { 0 };
	unsigned n = 0, q = candidate_quorum(c);

	for (unsigned v = 0; v < c->n_addresses; v++) {
		uint64_t at_ns = e->parts[v].free_at_ns;
		unsigned at = n;

		if (!c->peers[v].useful)
			continue;
		if (c->peers[v].hold_until_ns > at_ns) /* waited out instead of asking */
			at_ns = c->peers[v].hold_until_ns;
		for (; at > 0 && sorted[at - 1] > at_ns; at--)
			sorted[at] = sorted[at - 1];
		sorted[at] = at_ns;
		n++;
	}
	return n == 0 ? 0 : sorted[q <= n ? q - 1 : n - 1];
}

/* R33: free_in + U[0, max(4, 1.5 * waiting_n) * RTT], growing 1.3 per loss, at most 4 times. */
static uint64_t candidate_queue_jitter_ns(const struct candidate_election *e)
{
	struct candidate *c = e->c;
	uint64_t waiting_n = 0, span_ns;

	for (unsigned v = 0; v < c->n_addresses; v++)
		if (c->peers[v].useful && e->parts[v].waiting_n > waiting_n)
			waiting_n = e->parts[v].waiting_n;
	if (waiting_n > QUORUM_MAX_WAITERS)
		waiting_n = QUORUM_MAX_WAITERS;
	span_ns = (3 * waiting_n / 2 > 4 ? 3 * waiting_n / 2 : 4) * candidate_rtt_ns(c);
	for (unsigned i = 0; i < e->losses && i < 4; i++)
		span_ns += 3 * span_ns / 10;
	return candidate_random(c, span_ns + 1);
}

static void candidate_queue_schedule(struct candidate_election *e)
{
	uint64_t now_ns = e->c->now.at.boot_ns, free_ns = candidate_queue_free_at_ns(e);

	if (free_ns < now_ns)
		free_ns = now_ns;
	/* a free slot nudges its head first: asking is for when that fails */
	e->campaign_at_ns = instant_sum(free_ns, candidate_nudge_ns(e->c) + candidate_queue_jitter_ns(e));
}

void candidate_queue_back_off(struct candidate_election *e)
{
	e->state = CANDIDATE_WAITING;
	candidate_queue_wait_all(e); /* same ticket: the place is the same where it was kept */
	candidate_queue_schedule(e);
	/* a campaign that failed within a split vote tries again by its jitter alone */
	if (candidate_queue_free_at_ns(e) <= e->c->now.at.boot_ns)
		e->campaign_at_ns = e->c->now.at.boot_ns + candidate_queue_jitter_ns(e);
}

/* WAITING or ASKING without a nudge: ask whether a vote would be granted (PRE), and vote when q say yes. */
void candidate_queue_fire(struct candidate_election *e)
{
	struct candidate *c = e->c;
	uint64_t now_ns = c->now.at.boot_ns;

	e->campaign_at_ns = CANDIDATE_NEVER_NS;
	if (e->state == CANDIDATE_HOLDING_OFF) {
		candidate_queue_begin(e);
		return;
	}
	if (e->state == CANDIDATE_RELEASING) { /* the lease has surely run out: nobody needs to say so */
		candidate_release_finish(e);
		return;
	}
	if (e->state != CANDIDATE_WAITING && e->state != CANDIDATE_ASKING)
		return;
	if (!c->reached || c->clock_fault) {
		e->state = CANDIDATE_WAITING;
		e->campaign_at_ns = now_ns + candidate_heartbeat_ns(c);
		return;
	}
	e->state = CANDIDATE_ASKING;
	e->answered = e->would = 0;
	CANDIDATE_EACH_PEER(c, p)
	{
		if (!p->useful)
			continue;
		candidate_election_open(e, p);
		candidate_connection_put(c, p,
		                         &(struct wire_item) { .type = WIRE_PRE,
		                                               .handle = e->handle,
		                                               .term = candidate_campaign_term(e) });
	}
	e->campaign_at_ns = now_ns + candidate_retry_ns(c) + candidate_queue_jitter_ns(e);
}

void candidate_queue_pre_r(struct candidate_election *e, struct candidate_peer *p, const struct wire_item *i)
{
	struct candidate *c = e->c;
	struct candidate_part *part = &e->parts[p->v];
	uint64_t now_ns = c->now.at.boot_ns;

	if (i->term > part->known_term)
		part->known_term = i->term;
	part->free_at_ns = i->pre_r.free_in_ms ? instant_sum(now_ns, i->pre_r.free_in_ms * QUORUM_NS_PER_MS) : 0;
	part->waiting_n = i->pre_r.waiting_n;
	if (e->state != CANDIDATE_ASKING)
		return;
	e->answered |= candidate_bit(p);
	if (i->pre_r.would)
		e->would |= candidate_bit(p);
	else
		e->would &= (uint16_t)~candidate_bit(p);
	if (candidate_count(e->would) >= candidate_quorum(c)) {
		e->nudged = false;
		candidate_campaign_start(e);
	} else if (candidate_count(e->answered & (uint16_t)~e->would) > c->config.n_members - candidate_quorum(c)) {
		e->state = CANDIDATE_WAITING;
		candidate_queue_schedule(e);
	}
}

/* R33, R34: a nudge is a hint that counts for 3*RTT + 20 ms; with q of them VOTE at once. */
void candidate_queue_nudge(struct candidate_election *e, struct candidate_peer *p, const struct wire_item *i)
{
	struct candidate *c = e->c;
	struct candidate_part *part = &e->parts[p->v];
	uint64_t now_ns = c->now.at.boot_ns;
	unsigned n = 0;

	if (i->term > part->known_term)
		part->known_term = i->term;
	if (!e->joined) { /* our UNWAIT was lost, or crossed it */
		if (e->state == CANDIDATE_OUT)
			candidate_connection_put(c, p,
			                         &(struct wire_item) { .type = WIRE_UNWAIT, .handle = e->handle });
		return;
	}
	part->nudge_until_ns = now_ns + candidate_nudge_ns(c);
	part->free_at_ns = 0;
	if (e->state != CANDIDATE_WAITING && e->state != CANDIDATE_ASKING)
		return;
	CANDIDATE_EACH_PEER(c, o)
	n += o->useful && e->parts[o->v].nudge_until_ns > now_ns;
	/* Nudged and beaten again and again: two who are nudged at once would split the votes for ever in step. */
	if (n >= candidate_quorum(c) && e->losses <= 1) {
		e->nudged = true;
		candidate_campaign_start(e);
	} else if (e->state == CANDIDATE_WAITING) { /* too few: their queues disagree, or some are gone */
		e->campaign_at_ns =
		        candidate_sooner(e->campaign_at_ns, (n >= candidate_quorum(c) ? now_ns : part->nudge_until_ns) +
		                                                    candidate_queue_jitter_ns(e));
	}
}

/* The q-th smallest place that voters named. */
void candidate_queue_queued(struct candidate_election *e, struct candidate_peer *p, const struct wire_item *i)
{
	struct candidate *c = e->c;
	uint64_t sorted[QUORUM_MAX_VOTERS] = { 0 };
	unsigned n = 0, q = candidate_quorum(c);

	e->parts[p->v].ahead = i->queued.ahead;
	e->queued |= candidate_bit(p);
	if (e->state != CANDIDATE_WAITING && e->state != CANDIDATE_ASKING)
		return;
	for (unsigned v = 0; v < c->n_addresses; v++) {
		uint64_t ahead = e->parts[v].ahead;
		unsigned at = n;

		if (!(e->queued >> v & 1))
			continue;
		for (; at > 0 && sorted[at - 1] > ahead; at--)
			sorted[at] = sorted[at - 1];
		sorted[at] = ahead;
		n++;
	}
	if (n < q)
		return;
	e->ahead = sorted[q - 1];
	if (e->ahead != e->told_ahead)
		candidate_election_tell(e, CANDIDATE_TELL_PLACE);
}

void candidate_queue_contend(struct candidate_election *e)
{
	e->ahead = 0;
	if (e->told_ahead != 0)
		candidate_election_tell(e, CANDIDATE_TELL_PLACE);
}

/* Three losses (not resignations) within ten leases: out for one lease, doubling up to ten. */
void candidate_queue_lost(struct candidate_election *e)
{
	uint64_t now_ns = e->c->now.at.boot_ns, ttl_ns = candidate_ask_ttl_ns(e->c);

	memmove(e->lost_ns + 1, e->lost_ns, sizeof e->lost_ns - sizeof e->lost_ns[0]);
	e->lost_ns[0] = now_ns ? now_ns : 1;
	if (!e->lost_ns[CANDIDATE_MAX_LOSSES - 1] || now_ns - e->lost_ns[CANDIDATE_MAX_LOSSES - 1] > 10 * ttl_ns) {
		e->hold_off_ns = 0;
		return;
	}
	e->hold_off_ns = e->hold_off_ns ? candidate_sooner(2 * e->hold_off_ns, 10 * ttl_ns) : ttl_ns;
	e->hold_off_until_ns = now_ns + e->hold_off_ns;
}
