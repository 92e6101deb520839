/* SPDX-License-Identifier: Apache-2.0 */
/* Votes and leases: R6 to R15. Everything is tested before anything is changed (R10). */
#include "quorum/voter_inside.h"

static bool voter_lease_slot_is(const struct voter_call *c, uint64_t term)
{
	return c->e->lt == term && quorum_id_equal(&c->e->lc, &c->p->inc);
}

/* R8: it only grows while its holder keeps it. */
static void voter_lease_extend(const struct voter_call *c, uint32_t ttl_ms)
{
	struct instant end = instant_add(c->now.at, voter_ns(ttl_ms));

	c->e->prov_end = MUTANT(c->v, shrink) ? end : instant_max(c->e->prov_end, end);
}

/* R6, R7 but for R22: 0, or why VOTE(T,c) is refused; *limit is what the NAK tells with it. */
static unsigned voter_lease_judge(const struct voter_call *c, uint32_t ttl_ms, uint64_t *limit)
{
	struct voter *v = c->v;
	struct voter_election *e = c->e;
	uint64_t term = c->item->term;
	bool own = quorum_id_equal(&e->lc, &c->p->inc);
	bool voted = quorum_id_equal(&e->voted, &c->p->inc);
	bool exception = MUTANT(v, votevoted) ? voted : own; /* R6: the slot's holder, never `voted` */
	bool rel = e->flags & VOTER_RELEASED;

	*limit = e->term > v->floor ? e->term : v->floor;
	/* R6: the hold, for the adopted holder itself too (R12). */
	if (voter_holds(v, c->now) && !(MUTANT(v, holdvote) && own && !rel))
		return QUORUM_BY_HOLD;
	if (term <= v->floor || term < e->term)
		return QUORUM_BY_TERM;
	if (ttl_ms > voter_max_ttl_v_ms(v))
		return QUORUM_BY_TTL; /* R8 */
	if (term == e->term && !MUTANT(v, revote)) {
		/* R7: the slot decides, not `voted`; anybody else at T is refused for ever. */
		bool again = MUTANT(v, reackvoted) ? voted : voter_lease_slot_is(c, term);

		return !again ? QUORUM_BY_TERM : rel ? QUORUM_BY_RELEASED : 0;
	}
	if (own && rel && term <= e->lt)
		return QUORUM_BY_RELEASED; /* R11, last sentence */
	if (!exception && !voter_election_free(v, e, c->now) && !MUTANT(v, voteheld))
		return QUORUM_BY_HELD;
	if (voter_queue_reserved_ns(v, e, &c->p->inc, c->now) > 0)
		return QUORUM_BY_HELD; /* R35 */
	*limit = voter_leap_limit(v, e, term, c->now);
	return *limit ? QUORUM_BY_LIMIT : 0; /* R15 */
}

int voter_lease_vote(const struct voter_call *c)
{
	uint64_t term = c->item->term, limit = 0;
	uint32_t ttl_ms = c->item->lease.ttl_ms;
	bool stale = MUTANT(c->v, ceilstale) && c->p->resumed; /* R22: tested again, as if just received */
	unsigned reason = stale ? 0 : voter_lease_judge(c, ttl_ms, &limit);
	struct wire_item ack = { .type = WIRE_ACK, .handle = c->item->handle, .term = term };

	if (reason) {
		c->v->stats.votes_refused++;
		voter_nak(c, (enum quorum_reason)reason, limit);
		return VOTER_OK;
	}
	if (!voter_under_ceiling(c->v, term, c->now))
		return VOTER_WAITS; /* R22 */
	if (term == c->e->term && (voter_lease_slot_is(c, term) || MUTANT(c->v, reackvoted))) {
		if (MUTANT(c->v, reackatt))
			voter_election_detach(c->v, c->e);
		if (!MUTANT(c->v, reackshort))
			voter_lease_extend(c, ttl_ms); /* R7: a new round; att is unchanged */
	} else {
		voter_election_take(c->v, c->e, term, c->p, c->now);
		c->e->term = term;
		c->e->voted = c->p->inc;
		voter_lease_extend(c, ttl_ms);
		c->v->stats.votes_granted++;
		voter_raise_ahead(c->v, term);
	}
	c->e->lc_handle = c->item->handle;
	voter_queue_rearm(c->v, c->e, c->now);
	ack.ack.of = WIRE_VOTE;
	ack.ack.ttl_ms = ttl_ms;
	ack.ack.cause = c->e->cause;
	voter_answer(c->v, c->p, &ack); /* R9 */
	return VOTER_OK;
}

/* R12 but for R22: 0, or why RENEW/ATTACH(T,c) is refused. *adopts: by R12c. */
static unsigned voter_lease_adopt_judge(const struct voter_call *c, bool *adopts, uint64_t *limit)
{
	struct voter *v = c->v;
	struct voter_election *e = c->e;
	uint64_t term = c->item->term;
	bool own = quorum_id_equal(&e->lc, &c->p->inc);
	bool rel = e->flags & VOTER_RELEASED;

	*adopts = false;
	*limit = e->term;
	if (voter_lease_slot_is(c, term))
		return rel && !MUTANT(v, adoptrel) ? QUORUM_BY_RELEASED : 0; /* R12a, R12b */
	*adopts = true;
	/* R11: while the slot is c's, nothing of c with a lower term is accepted in it. */
	if (own && term < e->lt && !MUTANT(v, adoptrel))
		return QUORUM_BY_RELEASED;
	if (!voter_is_quiet(v, c->now))
		return QUORUM_BY_QUIET; /* R12c, R24 */
	/* R12d: a live foreign slot is never taken, not even a provisional one. */
	if (!voter_election_free(v, e, c->now) && !own && !MUTANT(v, adoptlive))
		return QUORUM_BY_HELD;
	if (term < e->led && !MUTANT(v, leddrop))
		return QUORUM_BY_TERM; /* R13 */
	*limit = voter_leap_limit(v, e, term, c->now);
	return *limit ? QUORUM_BY_LIMIT : 0; /* R15 */
}

/* RENEW and ATTACH, as far as they are alike: VOTER_WAITS, or whether the slot is c's now. */
static int voter_lease_keep(const struct voter_call *c, bool *kept)
{
	struct voter_election *e = c->e;
	uint64_t term = c->item->term, limit = 0;
	struct voter_handle *h = voter_peer_handle(c->p, c->item->handle);
	bool adopts, stale = MUTANT(c->v, ceilstale) && c->p->resumed;
	unsigned reason = voter_lease_adopt_judge(c, &adopts, &limit);

	*kept = reason == 0 || stale;
	if (!*kept) {
		voter_nak(c, (enum quorum_reason)reason, limit);
		return VOTER_OK;
	}
	if (adopts) {
		if (!voter_under_ceiling(c->v, term, c->now))
			return VOTER_WAITS; /* R22 */
		voter_election_take(c->v, e, term, c->p, c->now);
		e->prov_end = INSTANT_ZERO; /* R12c: the old one is dropped */
		if (term > e->term) {
			e->term = term;
			e->voted = c->p->inc;
		}
		c->v->stats.adopted++;
		voter_raise_ahead(c->v, term);
	}
	if (e->flags & (VOTER_RELEASED | VOTER_ENDED)) { /* R12a: an expired lease is no obstacle */
		e->flags &= (uint8_t) ~(VOTER_RELEASED | VOTER_ENDED);
		e->cause = TENURE_BY_ELECTION;
		e->since_ns = c->now.at.boot_ns;
		voter_election_changed(c->v, e);
	}
	if (term > e->led)
		e->led = term; /* R13 */
	e->lc_handle = c->item->handle;
	if (h->interest)
		voter_queue_unwait(c->v, c->p, h, c->now); /* R33: a won election */
	return VOTER_OK;
}

int voter_lease_renew(const struct voter_call *c)
{
	uint32_t max_ms = voter_max_ttl_ms(c->v), asked_ms = c->item->lease.ttl_ms;
	uint32_t ttl_ms = asked_ms > max_ms ? max_ms : asked_ms; /* R8 */
	struct wire_item ack = { .type = WIRE_ACK, .handle = c->item->handle, .term = c->item->term };
	bool kept;
	int code = voter_lease_keep(c, &kept);

	if (code != VOTER_OK || !kept)
		return code;
	voter_lease_extend(c, ttl_ms);
	voter_queue_rearm(c->v, c->e, c->now);
	c->v->stats.renewals++;
	ack.ack.of = WIRE_RENEW;
	ack.ack.ttl_ms = MUTANT(c->v, overttl) ? asked_ms : ttl_ms;
	voter_answer(c->v, c->p, &ack);
	voter_view_ask_again(c->v, c->e);
	return VOTER_OK;
}

/* R30: the sid is a live session's, and the sender's. */
static bool voter_lease_session_good(const struct voter_call *c)
{
	struct voter_session *s = c->p->session ? voter_session_at(c->v, c->p->session) : NULL;

	if (s && !s->ended && voter_over(c->v, s->end, c->now)) {
		voter_session_end(c->v, c->p->session, c->now);
		s = c->p->session ? s : NULL;
	}
	if (MUTANT(c->v, attepoch) && s)
		return true;
	return s && s->sid == c->item->attach.sid && (!s->ended || MUTANT(c->v, revive));
}

int voter_lease_attach(const struct voter_call *c)
{
	struct wire_item ack = { .type = WIRE_ATT_ACK, .handle = c->item->handle, .term = c->item->term };
	bool kept;
	int code;

	if (!voter_lease_session_good(c)) {
		voter_nak(c, QUORUM_BY_SESSION, c->e->term);
		return VOTER_OK;
	}
	code = voter_lease_keep(c, &kept);
	if (code != VOTER_OK || !kept)
		return code;
	voter_election_attach(c->v, c->e, c->p->session);
	voter_queue_rearm(c->v, c->e, c->now);
	c->v->stats.attached++;
	ack.attach.sid = c->item->attach.sid;
	voter_answer(c->v, c->p, &ack);
	voter_view_ask_again(c->v, c->e);
	return VOTER_OK;
}

/* R11: lc == c and lt <= T. */
static bool voter_lease_release_acts(const struct voter_call *c)
{
	if (MUTANT(c->v, relvoted))
		return quorum_id_equal(&c->e->voted, &c->p->inc) && c->e->term <= c->item->term;
	return quorum_id_equal(&c->e->lc, &c->p->inc) && (c->e->lt <= c->item->term || MUTANT(c->v, relterm));
}

void voter_lease_release(const struct voter_call *c)
{
	struct voter_election *e = c->e;
	struct wire_bytes to = c->item->release.successor;
	struct wire_item ok = { .type = WIRE_REL_OK, .handle = c->item->handle, .term = c->item->term };
	struct voter_extra *x;

	if (MUTANT(c->v, relhold))
		c->v->hold_end = INSTANT_ZERO;
	if (voter_lease_release_acts(c) && !(e->flags & VOTER_RELEASED)) {
		bool held = !voter_election_free(c->v, e, c->now);
		uint32_t next = held && to.n ? voter_queue_successor(c->v, e, to) : 0;
		uint8_t cause = !c->item->release.led         ? 0
		                : c->item->release.cause != 0 ? c->item->release.cause
		                                              : TENURE_BY_RESIGN;

		voter_election_detach(c->v, e);
		e->flags |= VOTER_RELEASED;
		e->prov_end = INSTANT_ZERO;
		if (c->item->term > e->lt)
			e->lt = c->item->term; /* nothing of c up to T comes into this slot again, while it is c's */
		c->v->stats.released++;
		if (next) /* R35; once, since a repeated RELEASE does not come here */
			voter_queue_reserve(c->v, e, next, 3 * voter_session_rtt_ns(c->v, c->p), c->now);
		voter_election_freed(c->v, e, next ? TENURE_BY_TRANSFER : cause, c->now);
	}
	x = voter_extra_of(c->v, e);
	ok.rel_ok.waiting_n = x ? x->n_waiters : 0;
	voter_answer(c->v, c->p, &ok); /* R32: always answered */
}

void voter_lease_pre(const struct voter_call *c)
{
	struct voter *v = c->v;
	struct voter_extra *x = voter_extra_of(v, c->e);
	struct wire_item r = { .type = WIRE_PRE_R, .handle = c->item->handle };
	uint64_t limit, left_ns = voter_election_left_ns(v, c->e, c->now);
	uint64_t kept_ns = voter_queue_reserved_ns(v, c->e, &c->p->inc, c->now);
	uint64_t hold_ns = voter_holds(v, c->now) ? instant_left_ns(v->hold_end, c->now.at) : 0;

	r.term = c->e->term;
	r.pre_r.would = voter_lease_judge(c, 0, &limit) == 0; /* yes iff R6 would grant */
	r.pre_r.holder = left_ns > 0 ? voter_election_holder(v, c->e) : 0;
	if (left_ns < kept_ns)
		left_ns = kept_ns;
	r.pre_r.free_in_ms = voter_ms(left_ns > hold_ns ? left_ns : hold_ns);
	r.pre_r.waiting_n = x ? x->n_waiters : 0;
	voter_answer(v, c->p, &r);
}
