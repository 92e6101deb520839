/* SPDX-License-Identifier: Apache-2.0 */
/* RELEASE: said to every voter, repeated until each has answered (R32); and to ghosts (R21). */
#include "quorum/candidate_inside.h"

#include "base/check.h"

static void candidate_release_put(struct candidate_election *e, struct candidate_peer *p, uint64_t term, bool led,
                                  const char *to, enum tenure_cause cause)
{
	struct candidate_part *part = &e->parts[p->v];

	candidate_election_open(e, p);
	candidate_connection_put(e->c, p,
	                         &(struct wire_item) {
	                                 .type = WIRE_RELEASE,
	                                 .handle = e->handle,
	                                 .term = term,
	                                 .release = { .led = led,
	                                              .cause = (uint8_t)cause,
	                                              .successor = { (const uint8_t *)to, strlen(to) } } });
	if (part->rel_conn != p->conn_no || term >= part->rel_term) {
		part->rel_conn = p->conn_no;
		part->rel_term = term;
		part->rel_round = p->round;
	}
}

void candidate_release_to(struct candidate_election *e, struct candidate_peer *p)
{
	struct candidate *c = e->c;

	if (!p->useful)
		return;
	/* R21: belief is over first */
	CHECK(e->rel_term != e->term || e->over || MUTANT(c, relearly) || MUTANT(c, sameterm));
	candidate_release_put(e, p, e->rel_term, e->rel_led, e->rel_to, e->rel_cause);
	if (!MUTANT(c, relonce))
		e->release_at_ns = c->now.at.boot_ns + candidate_retry_ns(c);
}

/* One a name is kept, that of the highest term: it frees what any lower one would (R11, R32). */
void candidate_release_begin(struct candidate_election *e, bool led, const char *to, enum tenure_cause cause)
{
	struct candidate *c = e->c;

	e->rel_term = e->term;
	e->rel_led = led;
	e->rel_cause = cause;
	memset(e->rel_to, 0, sizeof e->rel_to);
	memcpy(e->rel_to, to, strnlen(to, sizeof e->rel_to - 1));
	e->rel_pending = (uint16_t)((1u << c->n_addresses) - 1);
	e->rel_oks = e->rel_alone = 0;
	CANDIDATE_EACH_PEER(c, p)
	candidate_release_to(e, p);
}

/* An address that leads to no member (any more) is not waited for. */
static bool candidate_release_is_no_member(const struct candidate *c, const struct candidate_peer *p)
{
	return c->configured && !p->useful &&
	       (p->duplicate || p->foreign || (p->link == CANDIDATE_UP && quorum_config_find(&c->config, &p->vid) < 0));
}

void candidate_release_fire(struct candidate_election *e)
{
	struct candidate *c = e->c;

	e->release_at_ns = CANDIDATE_NEVER_NS;
	CANDIDATE_EACH_PEER(c, p)
	{
		if (candidate_release_is_no_member(c, p))
			e->rel_pending &= (uint16_t)~candidate_bit(p);
		if (e->rel_pending & candidate_bit(p))
			candidate_release_to(e, p); /* those that are gone hear it when they are back */
	}
}

void candidate_release_finish(struct candidate_election *e)
{
	struct candidate *c = e->c;

	if (!e->over) { /* `relearly` */
		e->over = true;
		c->n_led--;
		candidate_group_set_mask(e, 0);
		candidate_group_remove(e);
	}
	e->state = CANDIDATE_OUT;
	e->campaign_at_ns = CANDIDATE_NEVER_NS;
	if (!e->rel_silent)
		candidate_election_tell(e, CANDIDATE_TELL_RELEASED);
	if (e->joined)
		candidate_queue_begin(e);
}

void candidate_release_ok(struct candidate_election *e, struct candidate_peer *p, const struct wire_item *i)
{
	struct candidate *c = e->c;

	if (i->term >= e->rel_term) {
		e->rel_pending &= (uint16_t)~candidate_bit(p);
		e->rel_oks |= candidate_bit(p);
		if (i->rel_ok.waiting_n == 0)
			e->rel_alone |= candidate_bit(p);
		if (!e->rel_pending)
			e->release_at_ns = CANDIDATE_NEVER_NS;
		if (candidate_count(e->rel_alone) >= candidate_quorum(c))
			e->alone_until_ns = c->now.at.boot_ns + UINT64_C(1000000000);
		if (e->state == CANDIDATE_RELEASING && candidate_count(e->rel_oks) >= candidate_quorum(c))
			candidate_release_finish(e);
	}
	candidate_election_arm(e);
	candidate_election_drop_if_idle(e);
}

/*
 * R21: an answer for what is over keeps a slot that nobody uses; so does a name in LIST_R (R32). Not where a RELEASE went out on this
 * connection after the request that is answered: it finds the slot (FIFO).
 */
void candidate_release_ghost(struct candidate_election *e, struct candidate_peer *p, uint64_t term, uint32_t round)
{
	struct candidate_part *part = &e->parts[p->v];

	if (MUTANT(e->c, noghost) || !p->useful || (term == e->term && !e->over))
		return;
	if (part->rel_conn == p->conn_no && part->rel_term >= term && part->rel_round > round)
		return;
	candidate_release_put(e, p, term, true, "", 0);
}
