/* SPDX-License-Identifier: Apache-2.0 */
/* Campaigns: R16 to R18. */
#include "quorum/candidate_inside.h"

/*
 * The q-th smallest of the last known terms of the voters that may vote now, 0 where it is not known yet. One that is not
 * reached, or in its hold, must not count as low: where q voters are left, each of them has to be outbid.
 */
static uint64_t candidate_campaign_known(const struct candidate_election *e)
{
	const struct candidate *c = e->c;
	uint64_t sorted[QUORUM_MAX_VOTERS] = { 0 }, highest = 0;
	unsigned n = 0, q = candidate_quorum(c);

	for (unsigned v = 0; v < c->n_addresses; v++) {
		const struct candidate_peer *p = &c->peers[v];
		uint64_t term = e->parts[v].known_term;
		unsigned at = n;

		if (!p->useful)
			continue;
		if (term > highest)
			highest = term;
		if (c->now.at.boot_ns < p->hold_until_ns)
			continue;
		for (; at > 0 && sorted[at - 1] > term; at--)
			sorted[at] = sorted[at - 1];
		sorted[at] = term;
		n++;
	}
	if (MUTANT(c, highest))
		return highest;
	if (n == 0)
		return 0;
	return sorted[q && q <= n ? q - 1 : n - 1];
}

/* R16. Not the highest known term: a voter in a crash loop would drag all others with it. */
uint64_t candidate_campaign_term(const struct candidate_election *e)
{
	const struct candidate *c = e->c;
	uint64_t term = candidate_campaign_known(e);

	if (MUTANT(c, sameterm) && e->used_term > 0)
		return e->used_term;
	if (e->used_term > term)
		term = e->used_term; /* R21: no term twice */
	if (c->config.floor > term)
		term = c->config.floor;
	return term + 1;
}

void candidate_campaign_vote_to(struct candidate_election *e, struct candidate_peer *p)
{
	struct candidate *c = e->c;

	if (!p->useful || (e->acks & candidate_bit(p)))
		return;
	candidate_election_open(e, p);
	candidate_connection_put(c, p,
	                         &(struct wire_item) {
	                                 .type = WIRE_VOTE,
	                                 .handle = e->handle,
	                                 .term = e->term,
	                                 .lease.ttl_ms = (uint32_t)(candidate_ttl_v_now_ns(c) / QUORUM_NS_PER_MS) });
	/* With the vote already: whoever observes the election sees its new leader with its value, not without it first. */
	if (e->value_bytes > 0)
		candidate_connection_put(c, p,
		                         &(struct wire_item) { .type = WIRE_VALUE,
		                                               .handle = e->handle,
		                                               .term = e->term,
		                                               .value.value = { e->value, e->value_bytes } });
}

static void candidate_campaign_schedule(struct candidate_election *e)
{
	struct candidate *c = e->c;
	uint64_t retry_ns = 4 * candidate_rtt_ns(c), by_ttl_ns = candidate_ttl_v_now_ns(c) / 8;

	if (by_ttl_ns > retry_ns)
		retry_ns = by_ttl_ns;
	e->campaign_at_ns = candidate_sooner(c->now.at.boot_ns + retry_ns, e->renewed_at_ns);
}

/* The campaign is won: lead, and ride on the sessions at once (R17). */
static void candidate_campaign_win(struct candidate_election *e)
{
	e->won = true;
	e->granted = false;
	e->state = CANDIDATE_LEADING;
	e->losses = 0;
	e->campaign_at_ns = CANDIDATE_NEVER_NS;
	e->told_end = INSTANT_ZERO;
	e->c->n_led++;
	candidate_group_add(e);
	candidate_heartbeat_attach_all(e);
}

void candidate_campaign_start(struct candidate_election *e)
{
	struct candidate *c = e->c;

	if (!c->reached || c->clock_fault || !e->joined || e->state == CANDIDATE_VOTING ||
	    e->state == CANDIDATE_LEADING || e->state == CANDIDATE_RELEASING)
		return;
	e->term = candidate_campaign_term(e);
	if (e->term > QUORUM_TERM_MAX) {
		e->campaign_at_ns = CANDIDATE_NEVER_NS; /* no token is left */
		return;
	}
	e->used_term = e->term > e->used_term ? e->term : e->used_term;
	/* R16: nothing of an earlier campaign counts */
	e->won = e->over = e->granted = e->transferred = false;
	e->mask = e->acks = e->naks = e->answered = e->would = e->value_wait = 0;
	e->n_acks = 0;
	e->state = CANDIDATE_VOTING;
	e->renewed_at_ns = c->now.at.boot_ns + candidate_ttl_v_now_ns(c) / 2; /* R18 */
	candidate_queue_contend(e);
	for (unsigned v = 0; v < c->n_addresses; v++) {
		if (!MUTANT(c, coverkeep))
			e->parts[v].vcover = INSTANT_ZERO;
		if (MUTANT(c, grant) && e->parts[v].nudge_until_ns > c->now.at.boot_ns) /* R34 */
			e->parts[v].vcover = instant_add(c->now.at, candidate_ttl_v_now_ns(c));
		e->parts[v].nudge_until_ns = 0;
	}
	CANDIDATE_EACH_PEER(c, p)
	candidate_campaign_vote_to(e, p);
	candidate_campaign_schedule(e);
	if (MUTANT(c, grant) && e->nudged)
		candidate_campaign_win(e);
}

/* R18, and whoever leaves while it campaigns: over first, then RELEASE. */
void candidate_campaign_lose(struct candidate_election *e)
{
	struct candidate *c = e->c;

	if (MUTANT(c, renewany) && !e->won) { /* as if it believed */
		candidate_campaign_win(e);
		candidate_election_arm(e);
		return;
	}
	if (e->won && !e->over) {
		c->n_led--;
		candidate_group_set_mask(e, 0);
		candidate_group_remove(e);
	}
	e->over = true;
	e->state = CANDIDATE_OUT;
	e->campaign_at_ns = e->attach_at_ns = CANDIDATE_NEVER_NS;
	e->losses++;
	candidate_release_begin(e, false, "", 0);
	if (e->joined)
		candidate_queue_back_off(e);
	candidate_election_arm(e);
}

/* VOTING, and time passed: repeat, or lose. */
void candidate_campaign_fire(struct candidate_election *e)
{
	if (e->c->now.at.boot_ns >= e->renewed_at_ns) {
		candidate_campaign_lose(e);
		return;
	}
	CANDIDATE_EACH_PEER(e->c, p)
	if (!(e->naks & candidate_bit(p)))
		candidate_campaign_vote_to(e, p);
	candidate_campaign_schedule(e);
}

void candidate_campaign_ack(struct candidate_election *e, struct candidate_peer *p, const struct wire_item *i,
                            uint32_t round)
{
	struct candidate *c = e->c;
	const struct instant *sent = candidate_connection_sent(c, p, round);
	struct candidate_part *part = &e->parts[p->v];
	uint64_t ttl_ns = candidate_heartbeat_cover_ttl_ns(c, i->ack.ttl_ms, candidate_ttl_v_now_ns(c));

	if (i->term > part->known_term)
		part->known_term = i->term;
	/* R9, R20, R21 */
	if ((i->term != e->term && !MUTANT(c, termmix)) ||
	    (e->state != CANDIDATE_VOTING && e->state != CANDIDATE_LEADING) || candidate_election_lapse(e)) {
		candidate_release_ghost(e, p, i->term, round);
		return;
	}
	if (!sent)
		return;
	e->n_acks++;
	e->transferred = e->transferred || i->ack.cause == TENURE_BY_TRANSFER;
	e->acks |= candidate_bit(p); /* R9: once per voter */
	e->naks &= (uint16_t)~candidate_bit(p);
	part->vcover = instant_max(part->vcover, candidate_heartbeat_cover(c, p, *sent, ttl_ns));
	if (e->won) {
		candidate_group_due(e);
		return;
	}
	if ((MUTANT(c, ackcount) ? e->n_acks : candidate_count(e->acks)) < candidate_quorum(c))
		return;
	/* R17: q answers, and time left */
	if (instant_over_for_candidate(candidate_election_end(e), c->now.at) && !MUTANT(c, winlate))
		candidate_campaign_lose(e);
	else
		candidate_campaign_win(e);
}

void candidate_campaign_nak(struct candidate_election *e, struct candidate_peer *p, const struct wire_item *i)
{
	struct candidate *c = e->c;
	struct candidate_part *part = &e->parts[p->v];
	uint64_t now_ns = c->now.at.boot_ns;

	if (i->nak.reason != QUORUM_BY_LIMIT && i->nak.voted > part->known_term)
		part->known_term = i->nak.voted;
	part->free_at_ns = i->nak.free_in_ms ? instant_sum(now_ns, i->nak.free_in_ms * QUORUM_NS_PER_MS) : 0;
	part->waiting_n = i->nak.waiting_n;
	if (i->nak.reason == QUORUM_BY_HOLD)
		p->hold_until_ns = part->free_at_ns;
	if (i->nak.reason == QUORUM_BY_DENIED || i->nak.reason == QUORUM_BY_LIMIT || i->nak.reason == QUORUM_BY_CVER)
		part->free_at_ns = now_ns + UINT64_C(1000000000); /* not sooner for asking again */
	if (i->term != e->term || e->state != CANDIDATE_VOTING || (e->acks & candidate_bit(p)))
		return;
	e->naks |= candidate_bit(p);
	/* R18: q can't come together any more */
	if (candidate_count(e->naks) > c->config.n_members - candidate_quorum(c))
		candidate_campaign_lose(e);
}
