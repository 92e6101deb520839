/* SPDX-License-Identifier: Apache-2.0 */
/* Stories about who is next (R33, R35): what a schedule expects and does not see is a violation of the kind "queue". */
#include "schedule_stories.h"
#include "steps.h"

void schedule_shape_queue(struct plan *p)
{
	p->n_candidates = 6;
	p->max_ttl_ms = 10000;
	p->max_ttl_v_ms = 1000;
	for (unsigned i = 0; i < PLAN_MAX_CANDIDATES; i++)
		p->ttl_ns[i] = 10 * PLAN_S;
}

static void queue_fill(struct world *w)
{
	steps_up(w);
	for (unsigned i = 0; i < world_n_hosts(w); i++) /* tickets are wall clocks */
		world_host(w, i)->dial.wall_offset_ms = 0;
	steps_lead(w, 0, 0);
	for (unsigned i = 1; i < 6; i++) {
		steps_join(w, i, 0);
		steps_some_ms(w, 10, 300);
	}
}

static void queue_expect(struct world *w, unsigned candidate, uint64_t within_ms)
{
	uint64_t until_ns = w->now_ns + within_ms * PLAN_MS;

	while (w->now_ns < until_ns && !world_failed(w) && !steps_leads(w, candidate, 0))
		steps_run_ms(w, 1);
	if (!steps_leads(w, candidate, 0))
		world_violate(w, "queue", "c%u should lead within %u ms and does not", candidate, (unsigned)within_ms);
}

/* Undisturbed: in the order in which they came, each at once. */
void schedule_tell_order(struct world *w)
{
	queue_fill(w);
	for (unsigned i = 0; i < 5; i++) {
		steps_release(w, i, 0, "");
		queue_expect(w, i + 1, 10);
		steps_some_ms(w, 10, 200);
	}
}

/* The first in the queue are dead, or can't be reached. */
void schedule_tell_dead_head(struct world *w)
{
	queue_fill(w);
	steps_cut(w, 1, 0, true);
	steps_cut(w, 1, 1, true);
	steps_cut(w, 1, 2, true);
	node_candidate_crash(w, 2, WORLD_NEVER);
	steps_some_ms(w, 1, 50);
	steps_release(w, 0, 0, "");
	queue_expect(w, 3, 100);
	node_candidate_crash(w, 3, WORLD_NEVER);
	queue_expect(w, 4, 10500);
}

/* R35: the named one leads next, before those who are ahead of it. */
void schedule_tell_transfer(struct world *w)
{
	queue_fill(w);
	steps_release(w, 0, 0, "c4");
	queue_expect(w, 4, 10);
	steps_some_ms(w, 10, 100);
	steps_release(w, 4, 0, "");
	queue_expect(w, 1, 10);
}

/* R33: a broken connection's waiters come again, in their old places. */
void schedule_tell_again(struct world *w)
{
	queue_fill(w);
	for (unsigned v = 0; v < 3; v++) {
		network_close(w, w->candidates[1].conns[v], NETWORK_TO_VOTER, w->now_ns);
		network_close(w, w->candidates[1].conns[v], NETWORK_TO_CANDIDATE, w->now_ns);
	}
	steps_some_ms(w, 900, 1500);
	steps_release(w, 0, 0, "");
	queue_expect(w, 1, 10);
}
