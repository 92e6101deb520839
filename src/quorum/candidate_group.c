/* SPDX-License-Identifier: Apache-2.0 */
/*
 * R19 for many elections at once: those with equal mask share the deadline that their sessions make, so a heartbeat costs
 * O(voters). The two clocks of a deadline are computed apart (R2).
 */
#include "quorum/candidate_inside.h"

static uint64_t candidate_group_qth(const uint64_t *values, unsigned n, unsigned q)
{
	uint64_t sorted[QUORUM_MAX_VOTERS];

	if (q == 0 || q > n)
		return 0;
	for (unsigned i = 0; i < n; i++) {
		unsigned at = i;

		for (; at > 0 && sorted[at - 1] < values[i]; at--)
			sorted[at] = sorted[at - 1];
		sorted[at] = values[i];
	}
	return sorted[q - 1];
}

/* R19: the q-th largest, per clock (R2). */
struct instant candidate_group_quorum_end(const struct candidate *c, const struct instant *covers)
{
	uint64_t boot[QUORUM_MAX_VOTERS], raw[QUORUM_MAX_VOTERS];
	unsigned q = candidate_quorum(c);

	for (unsigned v = 0; v < c->n_addresses; v++) {
		boot[v] = covers[v].boot_ns;
		raw[v] = covers[v].raw_ns;
	}
	if (MUTANT(c, ackcount) && q > 0)
		q = 1;
	return (struct instant) { candidate_group_qth(boot, c->n_addresses, q),
		                  candidate_group_qth(raw, c->n_addresses, q) };
}

uint64_t candidate_group_due_ns(const struct candidate *c, struct instant end)
{
	struct instant now = c->now.at;

	if (instant_over_for_candidate(end, now))
		return now.boot_ns;
	return instant_sum(now.boot_ns, candidate_sooner(end.boot_ns - now.boot_ns, end.raw_ns - now.raw_ns));
}

static struct instant candidate_group_end(const struct candidate *c, uint16_t mask)
{
	struct instant covers[QUORUM_MAX_VOTERS];

	for (unsigned v = 0; v < c->n_addresses; v++)
		covers[v] = mask >> v & 1 || MUTANT(c, nomask) ? c->peers[v].scover : INSTANT_ZERO;
	return candidate_group_quorum_end(c, covers);
}

static struct candidate_group *candidate_group_of(const struct candidate_election *e)
{
	return &e->c->groups[e->mask];
}

void candidate_group_add(struct candidate_election *e)
{
	struct candidate_group *g = candidate_group_of(e);

	if (g->n++ == 0) {
		list_append(&e->c->groups_live, &g->live);
		g->deadline = candidate_group_end(e->c, e->mask);
		g->armed = true;
	}
	list_append(&g->due, &e->in_group);
}

void candidate_group_remove(struct candidate_election *e)
{
	struct candidate_group *g = candidate_group_of(e);

	list_remove(&e->in_group);
	if (--g->n == 0)
		list_remove(&g->live);
}

void candidate_group_due(struct candidate_election *e)
{
	list_remove(&e->in_group);
	list_append(&candidate_group_of(e)->due, &e->in_group);
}

void candidate_group_set_mask(struct candidate_election *e, uint16_t mask)
{
	uint16_t changed = e->mask ^ mask;

	candidate_group_remove(e);
	for (unsigned v = 0; v < e->c->n_addresses; v++)
		if (changed >> v & 1)
			e->c->peers[v].n_attached += mask >> v & 1 ? 1 : UINT32_MAX;
	e->mask = mask;
	candidate_group_add(e);
}

static void candidate_group_move(struct list *from, struct list *to)
{
	if (list_empty(from))
		return;
	from->next->prev = to->prev;
	to->prev->next = from->next;
	from->prev->next = to;
	to->prev = from->prev;
	list_init(from);
}

/* Everybody in it whose end has passed is over (R20); the others have covers of their own: each gets a timer. */
static void candidate_group_check(struct candidate_group *g)
{
	struct list *lists[] = { &g->due, &g->idle };

	for (unsigned i = 0; i < 2; i++)
		LIST_EACH_SAFE (node, after, lists[i]) {
			struct candidate_election *e = LIST_OF(node, struct candidate_election, in_group);

			if (!candidate_election_lapse(e))
				candidate_election_arm(e);
		}
}

void candidate_group_raise(struct candidate *c, struct candidate_peer *p, struct instant cover)
{
	struct instant raised = instant_max(p->scover, cover);

	/* R20: what has lapsed is over before the answer counts for it. */
	LIST_EACH_SAFE (node, after, &c->groups_live) {
		struct candidate_group *g = LIST_OF(node, struct candidate_group, live);
		uint16_t mask = (uint16_t)(g - c->groups);

		if ((mask & candidate_bit(p) || MUTANT(c, nomask)) &&
		    instant_over_for_candidate(g->deadline, c->now.at))
			candidate_group_check(g);
	}
	p->scover = raised;
	LIST_EACH (node, &c->groups_live) {
		struct candidate_group *g = LIST_OF(node, struct candidate_group, live);
		uint16_t mask = (uint16_t)(g - c->groups);
		struct instant end;

		if (!(mask & candidate_bit(p) || MUTANT(c, nomask)))
			continue;
		end = candidate_group_end(c, mask);
		/* with fewer than q bits the members' own covers decide: each may have risen */
		if (end.boot_ns > g->deadline.boot_ns || end.raw_ns > g->deadline.raw_ns ||
		    candidate_count(mask) < candidate_quorum(c))
			candidate_group_move(&g->idle, &g->due);
		g->deadline = end;
		g->armed = true;
	}
}

void candidate_group_sweep(struct candidate *c)
{
	LIST_EACH_SAFE (node, after, &c->groups_live) {
		struct candidate_group *g = LIST_OF(node, struct candidate_group, live);

		if (g->armed && instant_over_for_candidate(g->deadline, c->now.at)) {
			g->armed = false;
			candidate_group_check(g);
		}
	}
}

uint64_t candidate_group_next_ns(const struct candidate *c)
{
	uint64_t at_ns = CANDIDATE_NEVER_NS;

	LIST_EACH (node, &c->groups_live) {
		struct candidate_group *g = LIST_OF(node, struct candidate_group, live);

		if (g->armed)
			at_ns = candidate_sooner(at_ns, candidate_group_due_ns(c, g->deadline));
	}
	return at_ns;
}
