/* SPDX-License-Identifier: Apache-2.0 */
/* What q voters say of an election, as one view (R36): a hint for people, never a permission. */
#include "quorum/candidate_inside.h"

#include <stdlib.h>

#include "base/buf.h"

static bool candidate_view_copy(uint8_t **to, size_t *room, const struct wire_bytes *from)
{
	if (from->n > *room) {
		uint8_t *more = realloc(*to, from->n);

		if (!more)
			return false;
		*to = more;
		*room = from->n;
	}
	if (from->n > 0)
		memcpy(*to, from->data, from->n);
	return true;
}

bool candidate_view_keep(struct candidate *c, struct candidate_report *r, const struct wire_read_r *from, bool pushed)
{
	r->have = false;
	if (from->label.n > NAMES_ID_MAX_BYTES || from->value.n > STORE_VALUE_MAX_BYTES ||
	    !candidate_view_copy(&r->value, &r->value_room, &from->value) ||
	    (!pushed && !candidate_view_copy(&r->waiters, &r->waiters_room, &from->waiters)))
		return false;
	r->n_value = from->value.n;
	if (!pushed) { /* who waits is said only when asked for */
		r->n_waiters_bytes = from->waiters.n;
		r->n_waiters = from->n_waiters;
	}
	memset(r->label, 0, sizeof r->label);
	if (from->label.n > 0)
		memcpy(r->label, from->label.data, from->label.n);
	r->live = from->live;
	r->cause = from->cause;
	r->term = from->term;
	r->lt = from->lt;
	r->hash = from->hash;
	r->free_at_ns = instant_sum(c->now.at.boot_ns, from->free_in_ms * QUORUM_NS_PER_MS);
	r->began_unix_ms = c->now.unix_ms > from->age_ms ? c->now.unix_ms - from->age_ms : 0;
	r->have = true;
	return true;
}

static void candidate_view_identity(char out[NAMES_IDENTITY_ROOM], const char *label, uint64_t hash)
{
	struct buf b;

	buf_init(&b, out, NAMES_IDENTITY_ROOM);
	buf_text(&b, label);
	buf_char(&b, '_');
	buf_hex64(&b, hash);
}

static bool candidate_view_add(struct candidate *c, struct store_view *view, const struct wire_waiter *w)
{
	struct store_waiter new = { .priority = w->priority };

	if (w->label.n > NAMES_ID_MAX_BYTES)
		return true;
	if (w->label.n > 0)
		memcpy(new.id, w->label.data, w->label.n);
	candidate_view_identity(new.identity, new.id, w->hash);
	for (size_t k = 0; k < view->n_waiting; k++)
		if (strcmp(c->waiters[k].identity, new.identity) == 0)
			return true;
	if (view->n_waiting == c->waiters_room) {
		size_t room = c->waiters_room ? 2 * c->waiters_room : 16;
		struct store_waiter *more = realloc(c->waiters, room * sizeof *more);

		if (!more)
			return false;
		c->waiters = more;
		c->waiters_room = room;
	}
	/* voters list them in order; one that only a later voter knows goes behind those of its priority */
	{
		size_t at = view->n_waiting++;

		for (; at > 0 && c->waiters[at - 1].priority < new.priority; at--)
			c->waiters[at] = c->waiters[at - 1];
		c->waiters[at] = new;
	}
	return true;
}

/* The union over the voters, in order. */
static void candidate_view_waiters(struct candidate_election *e, uint16_t of, struct store_view *view)
{
	struct candidate *c = e->c;

	view->n_waiting = 0;
	for (unsigned v = 0; v < c->n_addresses; v++) {
		const struct candidate_report *r = &e->reports[v];
		const struct wire_read_r from = { .n_waiters = r->n_waiters,
			                          .waiters = { r->waiters, r->n_waiters_bytes } };
		struct wire_waiter w;
		size_t at = 0;

		if (!(of >> v & 1) || !r->have)
			continue;
		while (wire_waiter_next(&from, &at, &w) == WIRE_OK)
			if (!candidate_view_add(c, view, &w))
				break;
	}
	view->waiting = c->waiters;
}

static bool candidate_view_same(const struct candidate_report *a, const struct candidate_report *b)
{
	return a->have && b->have && a->live == WIRE_LIVE && b->live == WIRE_LIVE && a->lt == b->lt &&
	       a->hash == b->hash;
}

static void candidate_view_leader(struct candidate_election *e, uint16_t of, const struct candidate_report *leader,
                                  struct store_view *view)
{
	struct candidate *c = e->c;
	uint64_t free_ns[QUORUM_MAX_VOTERS] = { 0 }, began_unix_ms = leader->began_unix_ms;
	unsigned n = 0, q = candidate_quorum(c);

	for (unsigned v = 0; v < c->n_addresses; v++) {
		const struct candidate_report *r = &e->reports[v];
		unsigned at = n;

		if (!(of >> v & 1) || !candidate_view_same(r, leader))
			continue;
		began_unix_ms = candidate_sooner(began_unix_ms, r->began_unix_ms);
		/* one that adopted it does not know that it was handed over */
		if (!view->cause || r->cause == TENURE_BY_TRANSFER)
			view->cause = r->cause;
		if (!view->value_bytes && r->n_value > 0) {
			view->value_bytes = r->n_value;
			memcpy(view->value, r->value, r->n_value);
		}
		for (; at > 0 && free_ns[at - 1] > r->free_at_ns; at--)
			free_ns[at] = free_ns[at - 1];
		free_ns[at] = r->free_at_ns;
		n++;
	}
	view->led = true;
	memcpy(view->id, leader->label, sizeof view->id);
	candidate_view_identity(view->identity, leader->label, leader->hash);
	view->token = quorum_token(c->epoch, leader->lt);
	view->since_unix_ns = (int64_t)(began_unix_ms * QUORUM_NS_PER_MS);
	view->expires_in_ns = free_ns[q - 1] > c->now.at.boot_ns ? free_ns[q - 1] - c->now.at.boot_ns : 0;
}

bool candidate_view_merge(struct candidate_election *e, uint16_t of, struct store_view *view)
{
	struct candidate *c = e->c;
	unsigned q = candidate_quorum(c), n_free = 0;
	uint64_t newest = 0;

	memset(view, 0, offsetof(struct store_view, value));
	view->waiting = NULL;
	view->n_waiting = 0;
	view->ttl_ns = candidate_ask_ttl_ns(c);
	view->voters_of = c->configured ? c->config.n_members : 0;
	view->healthy = c->health == TENURE_HEALTHY;
	for (unsigned v = 0; v < c->n_addresses; v++)
		view->voters_up += c->peers[v].useful;
	if (!e->reports || !q)
		return false;
	candidate_view_waiters(e, of, view);
	for (unsigned v = 0; v < c->n_addresses; v++) {
		const struct candidate_report *r = &e->reports[v];
		unsigned n_same = 0;

		if (!(of >> v & 1) || !r->have)
			continue;
		if (r->live == WIRE_FREE) {
			n_free++;
			/* a voter that is behind still tells how an earlier tenure ended */
			if (r->lt > newest || !view->cause) {
				view->cause = r->cause;
				newest = r->lt;
			}
		}
		for (unsigned o = 0; o < c->n_addresses; o++)
			n_same += (of >> o & 1) && candidate_view_same(r, &e->reports[o]);
		if (n_same >= q) { /* R36 */
			view->cause = 0;
			candidate_view_leader(e, of, r, view);
			return true;
		}
	}
	return n_free >= q;
}

static uint64_t candidate_view_mix(uint64_t mark, const void *bytes, size_t n_bytes)
{
	for (size_t i = 0; i < n_bytes; i++)
		mark = (mark ^ ((const uint8_t *)bytes)[i]) * UINT64_C(1099511628211);
	return mark;
}

/* Of who leads, with which value: not of what runs down by itself, nor of who waits, which voters don't push. */
uint64_t candidate_view_mark(const struct store_view *view)
{
	uint64_t mark = candidate_view_mix(UINT64_C(14695981039346656037), &view->led, sizeof view->led);

	mark = candidate_view_mix(mark, view->identity, strlen(view->identity));
	mark = candidate_view_mix(mark, &view->token, sizeof view->token);
	mark = candidate_view_mix(mark, view->value, view->value_bytes);
	return mark;
}
