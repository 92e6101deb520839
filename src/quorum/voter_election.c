/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "base/check.h"
#include "quorum/voter_inside.h"

#define VOTER_DROPS_TRIED 8 /* idle elections looked at to make room for a new one */

/* ---- records ---- */

const char *voter_election_name(const struct voter_election *e)
{
	return e->name_bytes > VOTER_NAME_INLINE ? e->name.far : e->name.near;
}

uint32_t voter_election_find(const struct voter *v, const char *name, size_t n_bytes)
{
	uint32_t hash = voter_hash(v->hash_seed, name, n_bytes);
	uint32_t index = voter_table_first(&v->by_name, hash);

	while (index) {
		const struct voter_election *e = voter_election_at(v, index);

		if (e->by_name.hash == hash && e->name_bytes == n_bytes &&
		    memcmp(voter_election_name(e), name, n_bytes) == 0)
			break;
		index = e->by_name.next;
	}
	return index;
}

/* The record's own index: its chain names it. */
uint32_t voter_election_index(const struct voter *v, const struct voter_election *e)
{
	uint32_t index = voter_table_first(&v->by_name, e->by_name.hash);

	while (voter_election_at(v, index) != e)
		index = voter_election_at(v, index)->by_name.next;
	return index;
}

static void voter_idle_unlink(struct voter *v, struct voter_election *e)
{
	*(e->att_prev ? &voter_election_at(v, e->att_prev)->att_next : &v->idle_head) = e->att_next;
	*(e->att_next ? &voter_election_at(v, e->att_next)->att_prev : &v->idle_tail) = e->att_prev;
	e->att_next = e->att_prev = 0;
	e->flags &= (uint8_t)~VOTER_IDLE;
}

static void voter_idle_append(struct voter *v, uint32_t index)
{
	struct voter_election *e = voter_election_at(v, index);

	e->att_prev = v->idle_tail;
	*(e->att_prev ? &voter_election_at(v, e->att_prev)->att_next : &v->idle_head) = index;
	v->idle_tail = index;
	e->flags |= VOTER_IDLE;
}

void voter_election_deinit(struct voter *v, struct voter_election *e)
{
	if (e->name_bytes > VOTER_NAME_INLINE)
		free(e->name.far);
	if (e->extra)
		free(voter_extra_of(v, e)->value);
}

/* R27: what is forgotten counts as an unknown election, whose terms begin above the ones that were used. */
static void voter_election_drop(struct voter *v, uint32_t index)
{
	struct voter_election *e = voter_election_at(v, index);

	if (e->term > v->base_term && !MUTANT(v, dropbase))
		v->base_term = e->term;
	if (e->flags & VOTER_IDLE)
		voter_idle_unlink(v, e);
	voter_extra_forget(v, e);
	voter_extra_drop(v, e);
	CHECK(!e->extra && !e->att);
	voter_table_remove(&v->by_name, index);
	voter_election_deinit(v, e);
	voter_pool_give(&v->elections, index);
}

void voter_election_idle(struct voter *v, uint32_t index)
{
	struct voter_election *e = voter_election_at(v, index);

	if (e->refs > 0 || e->att || (e->flags & VOTER_IDLE))
		return;
	if (e->flags & VOTER_TOUCHED)
		voter_idle_append(v, index);
	else
		voter_election_drop(v, index); /* asked for, never granted: an observer must not fill the memory */
}

static void voter_election_make_room(struct voter *v, struct voter_now now)
{
	for (unsigned i = 0; i < VOTER_DROPS_TRIED && v->idle_head; i++) {
		uint32_t index = v->idle_head;
		struct voter_election *e = voter_election_at(v, index);

		if (voter_election_free(v, e, now)) { /* R27: nobody waits, for no handle means it */
			voter_election_drop(v, index);
			return;
		}
		voter_idle_unlink(v, e);
		voter_idle_append(v, index);
	}
}

uint32_t voter_election_make(struct voter *v, const char *name, size_t n_bytes, struct voter_now now)
{
	struct voter_election *e;
	uint32_t index;
	char *far = NULL;

	if (v->elections.n_used >= v->limits.max_elections)
		voter_election_make_room(v, now);
	if (v->elections.n_used >= v->limits.max_elections)
		return 0;
	if (n_bytes > VOTER_NAME_INLINE) {
		far = malloc(n_bytes);
		if (!far)
			return 0;
	}
	index = voter_pool_take(&v->elections);
	if (!index) {
		free(far);
		return 0;
	}
	e = voter_election_at(v, index);
	e->flags = VOTER_USED;
	e->name_bytes = (uint8_t)n_bytes;
	if (far)
		e->name.far = far;
	memcpy(far ? far : e->name.near, name, n_bytes);
	e->term = v->base_term; /* R24: unknown */
	e->since_ns = now.at.boot_ns;
	voter_table_put(&v->by_name, index, voter_hash(v->hash_seed, name, n_bytes));
	return index;
}

void voter_election_ref(struct voter *v, uint32_t index)
{
	struct voter_election *e = voter_election_at(v, index);

	if (e->flags & VOTER_IDLE)
		voter_idle_unlink(v, e);
	e->refs++;
}

void voter_election_unref(struct voter *v, uint32_t index)
{
	struct voter_election *e = voter_election_at(v, index);

	if (--e->refs == 0)
		voter_election_idle(v, index);
}

/* ---- the slot ---- */

/*
 * Section 4: no holder, or rel, or (now >= prov_end and (att == 0 or that session is ended)). A session that is
 * seen to be over here is ended for good (R29).
 */
bool voter_election_free(struct voter *v, struct voter_election *e, struct voter_now now)
{
	if (quorum_id_is_none(&e->lc) || (e->flags & VOTER_RELEASED))
		return true;
	if (!voter_over(v, e->prov_end, now))
		return false;
	if (e->att == 0)
		return true;
	if (!voter_over(v, voter_session_at(v, e->att)->end, now))
		return false;
	voter_session_end(v, e->att, now);
	return true;
}

uint64_t voter_election_left_ns(struct voter *v, struct voter_election *e, struct voter_now now)
{
	uint64_t left_ns, att_ns;

	if (voter_election_free(v, e, now))
		return 0;
	left_ns = instant_left_ns(e->prov_end, now.at);
	att_ns = e->att ? instant_left_ns(voter_session_at(v, e->att)->end, now.at) : 0;
	return left_ns > att_ns ? left_ns : att_ns;
}

uint64_t voter_election_holder(const struct voter *v, const struct voter_election *e)
{
	uint32_t index = e->att ? e->att : voter_session_find(v, &e->lc);

	if (index)
		return voter_session_at(v, index)->hash;
	index = voter_peer_find(v, &e->lc);
	if (index)
		return voter_peer_at(v, index)->hash;
	return quorum_id_is_none(&e->lc) ? 0 : quorum_public_hash(&e->lc);
}

void voter_election_detach(struct voter *v, struct voter_election *e)
{
	struct voter_session *s;

	if (!e->att)
		return;
	s = voter_session_at(v, e->att);
	*(e->att_prev ? &voter_election_at(v, e->att_prev)->att_next : &s->att_head) = e->att_next;
	if (e->att_next)
		voter_election_at(v, e->att_next)->att_prev = e->att_prev;
	e->att = e->att_next = e->att_prev = 0;
	s->n_attached--;
	v->n_attached--;
}

void voter_election_attach(struct voter *v, struct voter_election *e, uint32_t session)
{
	struct voter_session *s = voter_session_at(v, session);
	uint32_t index;

	if (e->att == session)
		return;
	voter_election_detach(v, e);
	index = voter_election_index(v, e);
	e->att = session;
	e->att_next = s->att_head;
	if (s->att_head)
		voter_election_at(v, s->att_head)->att_prev = index;
	s->att_head = index;
	s->n_attached++;
	v->n_attached++;
}

void voter_election_take(struct voter *v, struct voter_election *e, uint64_t term, const struct voter_peer *p,
                         struct voter_now now)
{
	struct voter_extra *x = voter_extra_of(v, e);
	bool own = quorum_id_equal(&e->lc, &p->inc);

	voter_election_detach(v, e); /* R6, R12c: att=0 */
	/* R8: a lease only grows while its holder keeps it. */
	if (!own || (e->flags & VOTER_RELEASED))
		e->prov_end = INSTANT_ZERO;
	if (!own || e->lt != term)
		voter_extra_forget(v, e);
	/* released for this one, and nobody else had it since: also when it comes later than its place was kept */
	e->cause = x && e->cause == TENURE_BY_TRANSFER && (e->flags & VOTER_RELEASED) &&
	                           quorum_id_equal(&x->reserved, &p->inc)
	                   ? TENURE_BY_TRANSFER
	                   : TENURE_BY_ELECTION;
	if (x) {
		x->reserved_ns = 0;
		x->nudged = 0;
	}
	e->lt = term;
	e->lc = p->inc;
	e->flags &= (uint8_t) ~(VOTER_RELEASED | VOTER_ENDED);
	e->flags |= VOTER_TOUCHED;
	e->since_ns = now.at.boot_ns;
	voter_election_changed(v, e);
}

void voter_election_freed(struct voter *v, struct voter_election *e, uint8_t cause, struct voter_now now)
{
	voter_extra_forget(v, e);
	e->flags |= VOTER_ENDED;
	e->cause = cause;
	e->since_ns = now.at.boot_ns;
	voter_election_changed(v, e);
	voter_queue_open(v, e, now);
	voter_extra_drop(v, e);
	if (e->refs == 0)
		voter_election_idle(v, voter_election_index(v, e));
}

void voter_election_notice(struct voter *v, struct voter_election *e, struct voter_now now)
{
	if (voter_election_free(v, e, now) && !quorum_id_is_none(&e->lc) &&
	    !(e->flags & (VOTER_RELEASED | VOTER_ENDED)))
		voter_election_freed(v, e, TENURE_BY_EXPIRY, now);
}

void voter_election_changed(struct voter *v, struct voter_election *e)
{
	struct voter_extra *x = voter_extra_of(v, e);

	if (x && x->watchers && list_empty(&x->changed))
		list_append(&v->changed, &x->changed);
}

/* ---- what few elections have ---- */

struct voter_extra *voter_extra_make(struct voter *v, struct voter_election *e)
{
	struct voter_extra *x;

	if (!e->extra) {
		e->extra = voter_pool_take(&v->extras);
		if (!e->extra)
			return NULL;
		x = voter_extra_of(v, e);
		x->election = voter_election_index(v, e);
		heap_node_init(&x->timer);
		list_init(&x->changed);
	}
	return voter_extra_of(v, e);
}

void voter_extra_drop(struct voter *v, struct voter_election *e)
{
	struct voter_extra *x = voter_extra_of(v, e);

	if (!x || x->n_waiters || x->watchers || x->value || x->asked)
		return;
	heap_remove(&v->extra_timers, &x->timer);
	list_remove(&x->changed);
	voter_pool_give(&v->extras, e->extra);
	e->extra = 0;
}

void voter_extra_forget(struct voter *v, struct voter_election *e)
{
	struct voter_extra *x = voter_extra_of(v, e);

	if (!x)
		return;
	v->n_value_bytes -= x->value_bytes;
	free(x->value);
	x->value = NULL;
	x->value_bytes = 0;
	x->asked = false;
}
