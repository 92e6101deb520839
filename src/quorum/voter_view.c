/* SPDX-License-Identifier: Apache-2.0 */
/* What observers see, and what is kept for them: READ, WATCH, NAMES, VALUE, ASK (R36). */
#include <stdlib.h>

#include "quorum/voter_inside.h"

#define VOTER_NAMES_A_PAGE   512
#define VOTER_NAMES_A_SEARCH 16384                 /* records looked at for one frame */
#define VOTER_VALUES_BYTES   (UINT64_C(256) << 20) /* kept in all */

static struct wire_bytes voter_view_label(const struct voter *v, const struct quorum_id *inc)
{
	uint32_t index = voter_session_find(v, inc);

	if (index) {
		const struct voter_session *s = voter_session_at(v, index);

		return (struct wire_bytes) { (const uint8_t *)s->label, s->label_bytes };
	}
	index = voter_peer_find(v, inc);
	if (index) {
		const struct voter_peer *p = voter_peer_at(v, index);

		return (struct wire_bytes) { (const uint8_t *)p->label, p->label_bytes };
	}
	return (struct wire_bytes) { NULL, 0 };
}

static void voter_view_waiters(struct voter *v, const struct voter_extra *x, struct wire_read_r *r)
{
	size_t used = 0;

	for (uint32_t at = x->head; at; at = voter_interest_at(v, at)->next) {
		const struct voter_interest *i = voter_interest_at(v, at);
		const struct voter_peer *p = voter_peer_at(v, i->peer);
		struct wire_waiter w = { .label = { (const uint8_t *)p->label, p->label_bytes },
			                 .hash = p->hash,
			                 .priority = i->priority };
		size_t more = wire_waiter_put(v->scratch, used, VOTER_SCRATCH_BYTES, &w);

		if (more == used)
			break;
		used = more;
		r->n_waiters++;
	}
	r->waiters = (struct wire_bytes) { v->scratch, used };
}

static uint8_t voter_view_live(struct voter *v, struct voter_election *e, struct voter_now now)
{
	if (!voter_election_free(v, e, now))
		return WIRE_LIVE;
	return voter_holds(v, now) ? WIRE_UNKNOWN : WIRE_FREE; /* R36 */
}

static struct wire_item voter_view_of(struct voter *v, struct voter_election *e, uint32_t handle, bool waiters,
                                      struct voter_now now)
{
	struct wire_item item = { .type = WIRE_READ_R, .handle = handle, .term = e->term };
	struct wire_read_r *r = &item.read_r;
	const struct voter_extra *x;
	uint64_t left_ns;

	voter_election_notice(v, e, now);
	x = voter_extra_of(v, e);
	left_ns = voter_election_left_ns(v, e, now);
	r->term = e->term;
	r->lt = e->lt;
	r->live = voter_view_live(v, e, now);
	if (r->live == WIRE_LIVE) {
		r->label = voter_view_label(v, &e->lc);
		r->hash = voter_election_holder(v, e);
		if (x)
			r->value = (struct wire_bytes) { x->value, x->value_bytes };
	} else if (r->live == WIRE_UNKNOWN) {
		left_ns = instant_left_ns(v->hold_end, now.at);
	}
	r->cause = e->cause;
	r->free_in_ms = voter_ms(left_ns);
	r->age_ms = now.at.boot_ns > e->since_ns ? (now.at.boot_ns - e->since_ns) / QUORUM_NS_PER_MS : 0;
	if (x && waiters)
		voter_view_waiters(v, x, r);
	return item;
}

void voter_view_read(const struct voter_call *c)
{
	struct wire_item r = voter_view_of(c->v, c->e, c->item->handle, true, c->now);

	voter_answer(c->v, c->p, &r);
}

void voter_view_watch(const struct voter_call *c)
{
	struct voter_interest *i = voter_interest_make(c->v, c->p, c->item->handle);
	struct voter_extra *x = voter_extra_of(c->v, c->e);
	struct voter_handle *h = &c->p->handles[c->item->handle];

	if (!i) {
		voter_extra_drop(c->v, c->e);
		voter_peer_deny(c->v, c->p, c->item->handle, QUORUM_BY_LIMIT);
		return;
	}
	if (!i->watches) {
		i->watches = true;
		i->watch_next = x->watchers;
		if (x->watchers)
			voter_interest_at(c->v, x->watchers)->watch_prev = h->interest;
		x->watchers = h->interest;
	}
	voter_view_read(c);
	voter_queue_rearm(c->v, c->e, c->now); /* the end of a lease is told, too */
}

void voter_view_unwatch(struct voter *v, struct voter_peer *p, struct voter_handle *h)
{
	struct voter_interest *i;
	struct voter_extra *x;

	if (!h->interest || !voter_interest_at(v, h->interest)->watches)
		return;
	i = voter_interest_at(v, h->interest);
	x = voter_extra_of(v, voter_election_at(v, h->election));
	*(i->watch_prev ? &voter_interest_at(v, i->watch_prev)->watch_next : &x->watchers) = i->watch_next;
	if (i->watch_next)
		voter_interest_at(v, i->watch_next)->watch_prev = i->watch_prev;
	i->watches = false;
	i->watch_next = i->watch_prev = 0;
	voter_interest_drop(v, p, h);
}

/* Who waits is not told unasked: 200 waiting must not mean 200 messages a handover. */
void voter_view_push(struct voter *v, struct voter_extra *x, struct voter_now now)
{
	struct voter_election *e = voter_election_at(v, x->election);
	struct wire_item r = voter_view_of(v, e, 0, false, now);

	for (uint32_t at = x->watchers; at; at = voter_interest_at(v, at)->watch_next) {
		r.handle = voter_interest_at(v, at)->handle;
		voter_push(v, voter_peer_at(v, voter_interest_at(v, at)->peer), &r);
	}
}

/* A page in the order of the records, so that any number of names needs no order and no copy. */
void voter_view_names(const struct voter_call *c)
{
	struct voter *v = c->v;
	struct wire_bytes prefix = c->item->names.name;
	uint64_t at = c->item->names.cursor ? c->item->names.cursor : 1;
	unsigned n = 0;
	struct wire_item r = { .type = WIRE_NAMES_R };

	for (; at < v->elections.n_made && n < VOTER_NAMES_A_PAGE && c->p->n_searched < VOTER_NAMES_A_SEARCH; at++) {
		struct voter_election *e = voter_election_at(v, (uint32_t)at);
		const char *name = voter_election_name(e);

		c->p->n_searched++;
		if (!(e->flags & VOTER_TOUCHED) || e->name_bytes < prefix.n ||
		    (prefix.n && memcmp(name, prefix.data, prefix.n) != 0))
			continue;
		n++;
		r.term = e->lt;
		r.names.name = (struct wire_bytes) { (const uint8_t *)name, e->name_bytes };
		r.names.live = voter_view_live(v, e, c->now);
		r.names.hash = r.names.live == WIRE_LIVE ? voter_election_holder(v, e) : 0;
		r.names.cursor = 0;
		voter_answer(v, c->p, &r);
	}
	r = (struct wire_item) { .type = WIRE_NAMES_R };
	r.names.cursor = at < v->elections.n_made ? at : 0;
	voter_answer(v, c->p, &r);
}

static bool voter_view_keep_value(struct voter *v, struct voter_election *e, struct wire_bytes value)
{
	struct voter_extra *x = value.n ? voter_extra_make(v, e) : voter_extra_of(v, e);
	uint8_t *copy;

	if (!x)
		return value.n == 0;
	if (x->value_bytes == value.n && (!value.n || memcmp(x->value, value.data, value.n) == 0))
		return true;
	if (v->n_value_bytes - x->value_bytes + value.n > VOTER_VALUES_BYTES)
		return false;
	copy = value.n ? realloc(x->value, value.n) : NULL;
	if (value.n && !copy) {
		voter_extra_drop(v, e);
		return false;
	}
	if (value.n)
		memcpy(copy, value.data, value.n);
	else
		free(x->value);
	v->n_value_bytes += value.n - x->value_bytes;
	x->value = copy;
	x->value_bytes = (uint16_t)value.n;
	voter_election_changed(v, e);
	voter_extra_drop(v, e);
	return true;
}

/* Kept in the slot of (T, inc), and gone with it. */
void voter_view_value(const struct voter_call *c)
{
	struct wire_item ok = { .type = WIRE_VALUE_OK, .handle = c->item->handle, .term = c->item->term };

	if (voter_election_free(c->v, c->e, c->now) || c->e->lt != c->item->term ||
	    !quorum_id_equal(&c->e->lc, &c->p->inc) || !voter_view_keep_value(c->v, c->e, c->item->value.value))
		return; /* not its slot (any more): it sends the value again after its next ATTACH */
	voter_queue_rearm(c->v, c->e, c->now);
	voter_answer(c->v, c->p, &ok);
}

void voter_view_ask_again(struct voter *v, struct voter_election *e)
{
	struct voter_extra *x = voter_extra_of(v, e);
	struct voter_handle *h;
	struct voter_peer *p;
	uint32_t index;
	struct wire_item asked = { .type = WIRE_ASKED, .handle = e->lc_handle, .term = e->lt };

	if (!x || !x->asked)
		return;
	index = voter_peer_find(v, &e->lc);
	if (!index)
		return; /* told when it comes back and opens the election */
	p = voter_peer_at(v, index);
	h = voter_peer_handle(p, e->lc_handle);
	if (!h || voter_election_at(v, h->election) != e)
		return;
	asked.ask.to = (struct wire_bytes) { (const uint8_t *)x->to, x->to_bytes };
	voter_push(v, p, &asked);
}

/* Kept until T changes: the holder hears it at once, and again with each new session or ATTACH. */
void voter_view_ask(const struct voter_call *c)
{
	struct wire_item ok = { .type = WIRE_ASK_OK, .handle = c->item->handle, .term = c->item->term };
	struct wire_bytes to = c->item->ask.to;
	struct voter_extra *x = NULL;

	ok.ask.code = WIRE_ASK_NOT_LEADING;
	if (!voter_election_free(c->v, c->e, c->now) && (c->item->term == 0 || c->item->term == c->e->lt) &&
	    to.n < sizeof x->to)
		x = voter_extra_make(c->v, c->e);
	if (x) {
		ok.ask.code = WIRE_ASK_POSTED;
		x->asked = true;
		x->to_bytes = (uint16_t)to.n;
		if (to.n)
			memcpy(x->to, to.data, to.n);
		voter_queue_rearm(c->v, c->e, c->now);
		voter_view_ask_again(c->v, c->e);
	}
	voter_answer(c->v, c->p, &ok);
}
