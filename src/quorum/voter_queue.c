/* SPDX-License-Identifier: Apache-2.0 */
/* Who waits, in which order they are nudged, and whose place is kept: R33 to R35. */
#include "base/buf.h"
#include "quorum/voter_inside.h"

#define VOTER_TICKET_SLACK_MS UINT64_C(10000)
#define VOTER_MAX_INTERESTS   (4 * QUORUM_MAX_ELECTIONS)
#define VOTER_NUDGE_AGAIN_NS  UINT64_C(1000000000) /* when all have been nudged in vain: from the head again */

/* ---- interests: what one handle wants of one election ---- */

struct voter_interest *voter_interest_make(struct voter *v, struct voter_peer *p, uint32_t handle)
{
	struct voter_handle *h = &p->handles[handle];
	struct voter_interest *i;

	if (!voter_extra_make(v, voter_election_at(v, h->election)))
		return NULL;
	if (!h->interest) {
		if (v->interests.n_used >= VOTER_MAX_INTERESTS)
			return NULL;
		h->interest = voter_pool_take(&v->interests);
		if (!h->interest)
			return NULL;
		i = voter_interest_at(v, h->interest);
		i->peer = p->index;
		i->election = h->election;
		i->handle = handle;
	}
	return voter_interest_at(v, h->interest);
}

void voter_interest_drop(struct voter *v, struct voter_peer *p, struct voter_handle *h)
{
	struct voter_election *e = voter_election_at(v, h->election);

	(void)p;
	if (h->interest && !voter_interest_at(v, h->interest)->waits && !voter_interest_at(v, h->interest)->watches) {
		voter_pool_give(&v->interests, h->interest);
		h->interest = 0;
	}
	voter_extra_drop(v, e);
}

/* ---- the queue ---- */

/* Higher priority, then lower ticket, then inc. */
static bool voter_queue_before(const struct voter *v, const struct voter_interest *a, const struct voter_interest *b)
{
	if (a->priority != b->priority)
		return a->priority > b->priority;
	if (a->ticket_ms != b->ticket_ms)
		return a->ticket_ms < b->ticket_ms;
	return memcmp(voter_peer_at(v, a->peer)->inc.bytes, voter_peer_at(v, b->peer)->inc.bytes,
	              sizeof(struct quorum_id)) < 0;
}

/* From the tail, since tickets rise. Returns how many are before it. */
static uint32_t voter_queue_insert(struct voter *v, struct voter_extra *x, uint32_t index)
{
	struct voter_interest *i = voter_interest_at(v, index);
	uint32_t ahead = x->n_waiters;

	i->prev = x->tail;
	i->next = 0;
	while (i->prev && voter_queue_before(v, i, voter_interest_at(v, i->prev))) {
		i->next = i->prev;
		i->prev = voter_interest_at(v, i->prev)->prev;
		ahead--;
	}
	*(i->prev ? &voter_interest_at(v, i->prev)->next : &x->head) = index;
	*(i->next ? &voter_interest_at(v, i->next)->prev : &x->tail) = index;
	i->waits = true;
	x->n_waiters++;
	v->stats.waiters++;
	return ahead;
}

static void voter_queue_remove(struct voter *v, struct voter_extra *x, uint32_t index)
{
	struct voter_interest *i = voter_interest_at(v, index);

	*(i->prev ? &voter_interest_at(v, i->prev)->next : &x->head) = i->next;
	*(i->next ? &voter_interest_at(v, i->next)->prev : &x->tail) = i->prev;
	i->waits = false;
	if (x->nudged == index)
		x->nudged = i->prev;
	if (x->first == index)
		x->first = 0;
	i->next = i->prev = 0;
	x->n_waiters--;
	v->stats.waiters--;
}

static uint32_t voter_queue_ahead(const struct voter *v, const struct voter_extra *x, uint32_t index)
{
	uint32_t ahead = 0;

	for (uint32_t at = x->head; at && at != index; at = voter_interest_at(v, at)->next)
		ahead++;
	return ahead;
}

static void voter_queue_tell(struct voter *v, const struct voter_interest *i)
{
	struct wire_item queued = { .type = WIRE_QUEUED, .handle = i->handle };

	voter_push(v, voter_peer_at(v, i->peer), &queued);
}

/* The head, or who comes after the last one that was nudged: R34, it is no grant. */
static void voter_queue_nudge(struct voter *v, struct voter_election *e, struct voter_extra *x, struct voter_now now)
{
	uint32_t next = x->first ? x->first : x->nudged ? voter_interest_at(v, x->nudged)->next : x->head;
	struct wire_item nudge = { .type = WIRE_NUDGE, .term = e->term };
	struct voter_peer *p;

	x->nudged = next == x->first ? 0 : next;
	x->first = 0;
	if (!next || MUTANT(v, nonudge)) {
		x->nudge_ns = instant_sum(now.at.boot_ns, VOTER_NUDGE_AGAIN_NS);
		return;
	}
	p = voter_peer_at(v, voter_interest_at(v, next)->peer);
	nudge.handle = voter_interest_at(v, next)->handle;
	v->stats.nudges++;
	/* R33: it counts for 3*RTT + 20 ms, then the next one is nudged; R35: not before the successor's time. */
	x->nudge_ns = instant_sum(now.at.boot_ns, 3 * voter_session_rtt_ns(v, p) + QUORUM_NUDGE_SLACK_NS);
	if (x->nudge_ns < x->reserved_ns)
		x->nudge_ns = x->reserved_ns;
	voter_push(v, p, &nudge);
}

void voter_queue_rearm(struct voter *v, struct voter_election *e, struct voter_now now)
{
	bool is_free = voter_election_free(v, e, now); /* first: where it ends a tenure, the rest of it may go */
	struct voter_extra *x = voter_extra_of(v, e);
	uint64_t key_ns = HEAP_OUT;

	if (!x)
		return;
	if (!is_free) {
		if (!e->att) /* else the session's own timer tells */
			key_ns = voter_key_ns(e->prov_end, now);
	} else if (!quorum_id_is_none(&e->lc) && !(e->flags & (VOTER_RELEASED | VOTER_ENDED))) {
		key_ns = now.at.boot_ns; /* over, and not noticed yet */
	} else if (x->n_waiters > 0 && !voter_holds(v, now)) {
		key_ns = x->nudge_ns;
	}
	heap_put(&v->extra_timers, &x->timer, key_ns);
}

void voter_queue_open(struct voter *v, struct voter_election *e, struct voter_now now)
{
	struct voter_extra *x = voter_extra_of(v, e);

	if (!x)
		return;
	x->nudged = 0;
	x->nudge_ns = now.at.boot_ns;
	if (x->n_waiters > 0 && !voter_holds(v, now))
		voter_queue_nudge(v, e, x, now);
	voter_queue_rearm(v, e, now);
}

void voter_queue_open_all(struct voter *v, struct voter_now now)
{
	for (uint32_t index = 1; index < v->extras.n_made; index++) {
		struct voter_extra *x = voter_extra_at(v, index);
		struct voter_election *e = x->election ? voter_election_at(v, x->election) : NULL;

		if (!e)
			continue;
		voter_election_changed(v, e); /* R36: it is not unknown any more */
		if (x->n_waiters > 0 && voter_election_free(v, e, now))
			voter_queue_open(v, e, now);
	}
}

void voter_queue_fire(struct voter *v, struct voter_extra *x, struct voter_now now)
{
	struct voter_election *e = voter_election_at(v, x->election);

	voter_election_notice(v, e, now);
	x = voter_extra_of(v, e);
	if (!x)
		return;
	if (x->n_waiters > 0 && now.at.boot_ns >= x->nudge_ns && !voter_holds(v, now) && voter_election_free(v, e, now))
		voter_queue_nudge(v, e, x, now);
	voter_queue_rearm(v, e, now);
}

void voter_queue_wait(const struct voter_call *c)
{
	struct voter *v = c->v;
	struct voter_interest *i;
	struct voter_extra *x;
	uint64_t ticket_ms = c->item->wait.ticket_ms, now_ms = c->now.unix_ms;
	uint64_t least_ms = now_ms > VOTER_TICKET_SLACK_MS ? now_ms - VOTER_TICKET_SLACK_MS : 0;
	uint32_t index;
	struct wire_item queued = { .type = WIRE_QUEUED, .handle = c->item->handle };

	voter_election_notice(v, c->e, c->now);
	i = voter_interest_make(v, c->p, c->item->handle);
	x = voter_extra_of(v, c->e);
	if (!i || (!i->waits && x->n_waiters >= v->limits.max_waiters_per_election)) {
		/* The queue is full: as the last of it, and never nudged. */
		queued.queued.ahead = x ? x->n_waiters : v->limits.max_waiters_per_election;
		voter_interest_drop(v, c->p, &c->p->handles[c->item->handle]);
		voter_answer(v, c->p, &queued);
		return;
	}
	index = c->p->handles[c->item->handle].interest;
	/* R33: fairness hangs on the ticket, safety nothing. */
	ticket_ms = ticket_ms < least_ms ? least_ms : ticket_ms;
	ticket_ms = ticket_ms > now_ms + VOTER_TICKET_SLACK_MS ? now_ms + VOTER_TICKET_SLACK_MS : ticket_ms;
	if (i->waits && i->priority == c->item->wait.priority && i->ticket_ms == ticket_ms) {
		queued.queued.ahead = voter_queue_ahead(v, x, index);
	} else {
		if (i->waits)
			voter_queue_remove(v, x, index);
		i->priority = c->item->wait.priority;
		i->ticket_ms = ticket_ms;
		queued.queued.ahead = voter_queue_insert(v, x, index);
	}
	voter_answer(v, c->p, &queued);
	/* Nobody else's nudge counts at the moment: the head's turn. */
	if (c->now.at.boot_ns >= x->nudge_ns || (!x->nudged && c->now.at.boot_ns >= x->reserved_ns)) {
		if (voter_election_free(v, c->e, c->now)) {
			voter_queue_open(v, c->e, c->now);
			return;
		}
	}
	voter_queue_rearm(v, c->e, c->now);
}

void voter_queue_unwait(struct voter *v, struct voter_peer *p, struct voter_handle *h, struct voter_now now)
{
	struct voter_election *e = voter_election_at(v, h->election);
	struct voter_extra *x = voter_extra_of(v, e);
	uint32_t index = h->interest;
	bool was_head, was_nudged, free;

	if (!index || !voter_interest_at(v, index)->waits)
		return;
	was_head = x->head == index;
	was_nudged = x->nudged == index;
	voter_queue_remove(v, x, index);
	free = voter_election_free(v, e, now);
	x = voter_extra_of(v, e);
	if (!free && x && was_head && x->head)
		voter_queue_tell(v, voter_interest_at(v, x->head)); /* it is next in line now */
	if (free && x && was_nudged && x->n_waiters > 0 && now.at.boot_ns >= x->reserved_ns && !voter_holds(v, now))
		voter_queue_nudge(v, e, x, now);
	voter_queue_rearm(v, e, now);
	voter_interest_drop(v, p, h);
}

/* ---- the successor (R35) ---- */

static bool voter_queue_is_identity(const struct voter_peer *p, struct wire_bytes who)
{
	char text[NAMES_IDENTITY_ROOM];
	struct buf b;

	buf_init(&b, text, sizeof text);
	buf_bytes(&b, p->label, p->label_bytes);
	buf_char(&b, '_');
	buf_hex64(&b, p->hash);
	return b.used == who.n && memcmp(text, who.data, who.n) == 0;
}

/* By identity, else by a label that only one bears. 0: unknown or ambiguous, so the next in line. */
uint32_t voter_queue_successor(const struct voter *v, const struct voter_election *e, struct wire_bytes who)
{
	const struct voter_extra *x = voter_extra_of(v, e);
	uint32_t found = 0;
	unsigned n = 0;

	for (uint32_t at = x ? x->head : 0; at; at = voter_interest_at(v, at)->next) {
		const struct voter_peer *p = voter_peer_at(v, voter_interest_at(v, at)->peer);

		if (voter_queue_is_identity(p, who))
			return at;
		if (p->label_bytes == who.n && memcmp(p->label, who.data, who.n) == 0) {
			found = at;
			n++;
		}
	}
	return n == 1 ? found : 0;
}

void voter_queue_reserve(struct voter *v, struct voter_election *e, uint32_t successor, uint64_t for_ns,
                         struct voter_now now)
{
	struct voter_extra *x = voter_extra_of(v, e);

	x->first = successor;
	x->reserved = voter_peer_at(v, voter_interest_at(v, successor)->peer)->inc;
	x->reserved_ns = instant_sum(now.at.boot_ns, for_ns);
}

uint64_t voter_queue_reserved_ns(const struct voter *v, const struct voter_election *e, const struct quorum_id *inc,
                                 struct voter_now now)
{
	const struct voter_extra *x = voter_extra_of(v, e);

	if (!x || x->reserved_ns <= now.at.boot_ns || quorum_id_equal(&x->reserved, inc) || MUTANT(v, noreserve))
		return 0;
	return x->reserved_ns - now.at.boot_ns;
}
