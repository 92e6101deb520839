/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions and what rides on them (section 9), and their plain form: RENEW for each election. */
#include "quorum/candidate_inside.h"

#include "elector/lease.h"

#define CANDIDATE_DIFFERING_MOST 3 /* answers in a row whose attached_n differs (R32) */

/* ---- covers ---- */

/* R4: D(ttl granted) from the send time of that same round (R3), on each clock (R2). */
struct instant candidate_heartbeat_cover(const struct candidate *c, const struct candidate_peer *p, struct instant sent,
                                         uint64_t ttl_ns)
{
	(void)p;
	if (MUTANT(c, acktime))
		sent = c->now.at;
	if (MUTANT(c, nodrift))
		return instant_add(sent, ttl_ns);
	return (struct instant) { lease_provable_end_ns(sent.boot_ns, ttl_ns, c->rate_error_ppm),
		                  lease_provable_end_ns(sent.raw_ns, ttl_ns, c->rate_error_ppm) };
}

uint64_t candidate_heartbeat_cover_ttl_ns(const struct candidate *c, uint32_t granted_ms, uint64_t asked_ns)
{
	return MUTANT(c, askedttl) ? asked_ns : granted_ms * QUORUM_NS_PER_MS;
}

/*
 * Answers that a pause or a cut held up come late in numbers, and are no round trips: believed, they made retries, nudges
 * and reconnects slow for seconds. So it falls fast and rises slowly, a sample counting twice the present value at most.
 */
static uint64_t candidate_heartbeat_smooth_ns(uint64_t known_ns, uint64_t rtt_ns)
{
	if (!known_ns)
		return rtt_ns;
	if (rtt_ns <= known_ns)
		return known_ns - (known_ns - rtt_ns) / 2;
	return known_ns + candidate_sooner(rtt_ns - known_ns, known_ns) / 8;
}

void candidate_heartbeat_rtt(struct candidate *c, struct candidate_peer *p, uint32_t round)
{
	const struct candidate_round *r = &p->rounds[round % CANDIDATE_ROUNDS];
	uint64_t rtt_ns;

	if (round == 0 || r->round != round || c->now.at.boot_ns < r->sent.boot_ns)
		return;
	rtt_ns = c->now.at.boot_ns - r->sent.boot_ns;
	p->rtt_ns = candidate_heartbeat_smooth_ns(p->rtt_ns, rtt_ns);
	if (p->rtt_ns < UINT64_C(1000) * QUORUM_RTT_MIN_US)
		p->rtt_ns = UINT64_C(1000) * QUORUM_RTT_MIN_US;
}

/* ---- the session of one voter ---- */

/* One heartbeat for all elections. Repeated after r until it is answered. */
void candidate_heartbeat_session(struct candidate *c, struct candidate_peer *p)
{
	uint64_t rtt_us = p->rtt_ns ? p->rtt_ns / 1000 : CANDIDATE_RTT_FIRST_NS / 1000;

	if (!p->sid || c->clock_fault) {
		p->renew_at_ns = CANDIDATE_NEVER_NS;
		return;
	}
	candidate_connection_put(
	        c, p,
	        &(struct wire_item) { .type = WIRE_SESSION_RENEW,
	                              .renew = { .sid = p->sid,
	                                         .ttl_ms = (uint32_t)(c->ttl_ns / QUORUM_NS_PER_MS),
	                                         .attached_n = p->n_attached,
	                                         .rtt_us = (uint32_t)candidate_sooner(rtt_us, QUORUM_RTT_MAX_US) } });
	c->renew_rounds++;
	p->renew_at_ns = c->now.at.boot_ns + candidate_retry_ns(c);
	if (p->unanswered_ns == CANDIDATE_NEVER_NS)
		p->unanswered_ns = c->now.at.boot_ns;
}

/* R32: what the voter holds for us and we do not lead is a ghost; what we think attached and it does not hold is attached anew. */
static void candidate_heartbeat_audit(struct candidate *c, struct candidate_peer *p, uint32_t attached_n)
{
	if (MUTANT(c, noaudit))
		return;
	p->n_differing = attached_n == p->n_attached ? 0 : p->n_differing + 1;
	if (p->n_differing < CANDIDATE_DIFFERING_MOST || p->listing)
		return;
	p->n_differing = 0;
	p->listing = ++c->list_stamp ? c->list_stamp : ++c->list_stamp;
	candidate_connection_put(c, p, &(struct wire_item) { .type = WIRE_LIST, .list.sid = p->sid });
}

void candidate_heartbeat_s_ack(struct candidate *c, struct candidate_peer *p, const struct wire_item *i, uint32_t round)
{
	const struct instant *sent = candidate_connection_sent(c, p, round);
	uint64_t ttl_ns = candidate_heartbeat_cover_ttl_ns(c, i->s.ttl_ms, c->ttl_ns);

	if ((i->s.sid != p->sid && !MUTANT(c, oldsid)) || !sent)
		return; /* R31; R3: without its send time nothing can be counted */
	p->unanswered_ns = CANDIDATE_NEVER_NS;
	p->renew_at_ns = sent->boot_ns + candidate_heartbeat_ns(c);
	c->granted_ttl_ns = i->s.ttl_ms * QUORUM_NS_PER_MS;
	candidate_group_raise(c, p, candidate_heartbeat_cover(c, p, *sent, ttl_ns));
	candidate_heartbeat_audit(c, p, i->s.attached_n);
}

/*
 * R31. What the voter promised before stands until its end, as for a candidate that never hears of the new session (section 12: sitting
 * leaders live on): the present cover becomes the election's own. The bit is cleared before a new sid can raise it.
 */
void candidate_heartbeat_end_session(struct candidate *c, struct candidate_peer *p)
{
	for (size_t i = 0; i < c->n_handles; i++) {
		struct candidate_election *e = c->elections[i];

		if (!e || !(e->mask & candidate_bit(p)) || candidate_election_lapse(e) || MUTANT(c, keepmask))
			continue;
		e->parts[p->v].vcover = instant_max(e->parts[p->v].vcover, p->scover);
		candidate_group_set_mask(e, e->mask & (uint16_t)~candidate_bit(p));
		candidate_election_arm(e);
	}
	p->scover = INSTANT_ZERO;
	p->sid = 0;
	p->n_differing = 0;
	p->listing = 0;
	p->renew_at_ns = CANDIDATE_NEVER_NS;
}

void candidate_heartbeat_s_nak(struct candidate *c, struct candidate_peer *p, const struct wire_item *i)
{
	if (i->s.sid != p->sid || !p->sid)
		return;
	candidate_heartbeat_end_session(c, p);
	candidate_connection_hello(c, p); /* R28: on the same connection, with the same conn_no */
	p->unanswered_ns = c->now.at.boot_ns;
}

void candidate_heartbeat_listed(struct candidate *c, struct candidate_peer *p, const struct wire_item *i)
{
	struct candidate_election *e;

	if (!p->listing || !p->useful)
		return;
	if (i->list.name.n > 0) {
		e = candidate_election_find(c, (const char *)i->list.name.data, i->list.name.n);
		if (!e && i->list.name.n <= NAMES_ELECTION_MAX_BYTES) {
			char name[NAMES_ELECTION_ROOM] = { 0 };

			memcpy(name, i->list.name.data, i->list.name.n);
			e = candidate_election_take(c, name);
		}
		if (!e)
			return;
		e->parts[p->v].listed = p->listing;
		/* what is being campaigned for rides on no session: a voter that says so errs, and its word ends nothing */
		if (e->term != i->term || e->over) {
			if (i->term > e->used_term)
				e->used_term = i->term;
			if (i->term >= e->rel_term) {
				e->rel_term = i->term;
				e->rel_led = true;
				e->rel_pending |= candidate_bit(p);
				e->release_at_ns = c->now.at.boot_ns + candidate_retry_ns(c);
			}
			candidate_release_ghost(e, p, i->term, p->round);
			candidate_election_arm(e);
		}
		return;
	}
	for (size_t k = 0; k < c->n_handles; k++) { /* the end of the list */
		e = c->elections[k];
		if (!e || !(e->mask & candidate_bit(p)) || e->parts[p->v].listed == p->listing)
			continue;
		candidate_group_set_mask(e, e->mask & (uint16_t)~candidate_bit(p));
		candidate_heartbeat_attach(e, p);
		candidate_election_arm(e);
	}
	p->listing = 0;
}

/* ---- elections on sessions ---- */

void candidate_heartbeat_value(struct candidate_election *e, struct candidate_peer *p)
{
	candidate_election_open(e, p);
	candidate_connection_put(e->c, p,
	                         &(struct wire_item) { .type = WIRE_VALUE,
	                                               .handle = e->handle,
	                                               .term = e->term,
	                                               .value.value = { e->value, e->value_bytes } });
	e->value_wait |= candidate_bit(p);
	e->attach_at_ns = candidate_sooner(e->attach_at_ns, e->c->now.at.boot_ns + candidate_retry_ns(e->c));
}

/* R12, R20: only while belief holds, tested just before it is sent. */
void candidate_heartbeat_attach(struct candidate_election *e, struct candidate_peer *p)
{
	struct candidate *c = e->c;
	struct wire_item item = { .handle = e->handle, .term = e->term };

	if (!p->useful || c->clock_fault || (!candidate_election_holds(e, c->now.at) && !MUTANT(c, renewany)))
		return;
	e->attach_at_ns = candidate_sooner(e->attach_at_ns, c->now.at.boot_ns + candidate_retry_ns(c));
	if (p->quiet_until_ns > c->now.at.boot_ns) { /* its answer is known */
		e->attach_at_ns = candidate_sooner(e->attach_at_ns, p->quiet_until_ns);
		return;
	}
	if (c->plain) {
		item.type = WIRE_RENEW;
		item.lease.ttl_ms = (uint32_t)(c->ttl_ns / QUORUM_NS_PER_MS);
	} else if (p->sid) {
		item.type = WIRE_ATTACH;
		item.attach.sid = p->sid;
	} else {
		return;
	}
	candidate_election_open(e, p);
	candidate_connection_put(c, p, &item);
	if (e->value_bytes > 0 && (!c->plain || !(e->mask & candidate_bit(p))) && !e->over)
		candidate_heartbeat_value(e, p);
}

void candidate_heartbeat_attach_all(struct candidate_election *e)
{
	e->renew_acks = 0;
	e->renewed_at_ns = e->c->now.at.boot_ns;
	e->attach_at_ns = e->c->now.at.boot_ns + candidate_retry_ns(e->c);
	CANDIDATE_EACH_PEER(e->c, p)
	candidate_heartbeat_attach(e, p);
}

static uint16_t candidate_heartbeat_useful(const struct candidate *c)
{
	uint16_t set = 0;

	for (unsigned v = 0; v < c->n_addresses; v++)
		if (c->peers[v].useful)
			set |= (uint16_t)(1u << v);
	return set;
}

/* Repeats what is not answered; in the plain form, RENEW every h. */
void candidate_heartbeat_fire(struct candidate_election *e)
{
	struct candidate *c = e->c;
	uint64_t now_ns = c->now.at.boot_ns, next_ns = e->renewed_at_ns + candidate_heartbeat_ns(c);
	uint16_t missing = candidate_heartbeat_useful(c) & (uint16_t) ~(c->plain ? e->renew_acks : e->mask);

	e->attach_at_ns = CANDIDATE_NEVER_NS;
	if (e->state != CANDIDATE_LEADING)
		return;
	if (c->plain && now_ns >= next_ns) {
		candidate_heartbeat_attach_all(e);
		return;
	}
	CANDIDATE_EACH_PEER(c, p)
	{
		if (missing & candidate_bit(p))
			candidate_heartbeat_attach(e, p);
		else if (p->useful && (e->value_wait & candidate_bit(p)))
			candidate_heartbeat_value(e, p);
	}
	if (c->plain)
		e->attach_at_ns = candidate_sooner(e->attach_at_ns, next_ns);
}

/* ATT_ACK brings no cover of its own: it says that the session's counts for this election (R19, R30). */
void candidate_heartbeat_att_ack(struct candidate_election *e, struct candidate_peer *p, const struct wire_item *i,
                                 uint32_t round)
{
	struct candidate *c = e->c;

	if (i->term > e->parts[p->v].known_term)
		e->parts[p->v].known_term = i->term;
	if ((i->term != e->term && !MUTANT(c, termmix)) || !e->won || candidate_election_lapse(e)) {
		candidate_release_ghost(e, p, i->term, round);
		return;
	}
	if ((i->attach.sid != p->sid && !MUTANT(c, oldsid)) || !candidate_connection_sent(c, p, round))
		return;                              /* R31 */
	e->wait_sent &= (uint16_t)~candidate_bit(p); /* R33: winning took our WAIT away */
	if (!(e->mask & candidate_bit(p)))
		candidate_group_set_mask(e, e->mask | candidate_bit(p));
	if (!(candidate_heartbeat_useful(c) & (uint16_t)~e->mask) && !e->value_wait)
		e->attach_at_ns = CANDIDATE_NEVER_NS;
}

/* The session-less form: each answer is a cover of this election alone. */
void candidate_heartbeat_renew_ack(struct candidate_election *e, struct candidate_peer *p, const struct wire_item *i,
                                   uint32_t round)
{
	struct candidate *c = e->c;
	const struct instant *sent = candidate_connection_sent(c, p, round);
	uint64_t ttl_ns = candidate_heartbeat_cover_ttl_ns(c, i->ack.ttl_ms, c->ttl_ns);

	if (i->term > e->parts[p->v].known_term)
		e->parts[p->v].known_term = i->term;
	if ((i->term != e->term && !MUTANT(c, termmix)) || !e->won || candidate_election_lapse(e)) {
		candidate_release_ghost(e, p, i->term, round);
		return;
	}
	if (!sent) /* R9: it counts for its own round only */
		return;
	c->granted_ttl_ns = i->ack.ttl_ms * QUORUM_NS_PER_MS;
	e->wait_sent &= (uint16_t)~candidate_bit(p);
	e->parts[p->v].vcover = instant_max(e->parts[p->v].vcover, candidate_heartbeat_cover(c, p, *sent, ttl_ns));
	e->renew_acks |= candidate_bit(p);
	if (!(candidate_heartbeat_useful(c) & (uint16_t)~e->renew_acks))
		e->attach_at_ns = e->renewed_at_ns + candidate_heartbeat_ns(c);
	candidate_group_due(e);
}

/* Refused: asked again at the next heartbeat, or when the quiet time is over; a session that is gone is made anew. */
void candidate_heartbeat_nak(struct candidate_election *e, struct candidate_peer *p, const struct wire_item *i)
{
	struct candidate *c = e->c;
	uint64_t now_ns = c->now.at.boot_ns;

	if (i->nak.reason != QUORUM_BY_LIMIT && i->nak.voted > e->parts[p->v].known_term)
		e->parts[p->v].known_term = i->nak.voted;
	if (i->term != e->term || e->state != CANDIDATE_LEADING || candidate_election_lapse(e))
		return;
	if (i->nak.reason == QUORUM_BY_QUIET)
		p->quiet_until_ns = instant_sum(now_ns, i->nak.free_in_ms * QUORUM_NS_PER_MS);
	e->attach_at_ns = candidate_sooner(e->attach_at_ns, now_ns + candidate_heartbeat_ns(c));
	if (i->nak.reason == QUORUM_BY_QUIET)
		e->attach_at_ns = candidate_sooner(e->attach_at_ns, p->quiet_until_ns + QUORUM_NS_PER_MS);
}
