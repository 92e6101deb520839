/* SPDX-License-Identifier: Apache-2.0 */
#include "steps.h"

void steps_until(struct world *w, uint64_t true_ns)
{
	if (true_ns > w->now_ns)
		world_run_until(w, true_ns);
}

void steps_run_ms(struct world *w, uint64_t ms)
{
	steps_until(w, w->now_ns + ms * PLAN_MS);
}

void steps_some_ms(struct world *w, uint64_t low_ms, uint64_t high_ms)
{
	steps_until(w, w->now_ns + dice_between(&w->fault_dice, low_ms * PLAN_MS, high_ms * PLAN_MS));
}

void steps_up(struct world *w)
{
	steps_run_ms(w, 400);
	for (unsigned i = 0; i < w->plan.n_candidates; i++)
		for (unsigned e = 0; e < w->plan.n_elections; e++)
			application_enter(w, i, e);
	steps_some_ms(w, 1, 300);
}

bool steps_leads(const struct world *w, unsigned candidate, unsigned election)
{
	const struct world_candidate *c = &w->candidates[candidate];

	return c->up && c->seats[election].core &&
	       candidate_believes(c->seats[election].core, dial_read(&c->host.dial, w->now_ns), NULL);
}

static bool steps_done_leading(const struct world *w, void *arg)
{
	const unsigned *who = arg;

	return steps_leads(w, who[0], who[1]);
}

void steps_join(struct world *w, unsigned candidate, unsigned election)
{
	if (world_failed(w))
		return;
	application_join(w, candidate, election);
	node_candidate_pump(w, candidate);
}

void steps_lead(struct world *w, unsigned candidate, unsigned election)
{
	unsigned who[2] = { candidate, election };

	steps_join(w, candidate, election);
	world_run_till(w, w->now_ns + 5 * PLAN_S, steps_done_leading, who);
}

void steps_release(struct world *w, unsigned candidate, unsigned election, const char *to)
{
	if (world_failed(w) || !steps_leads(w, candidate, election))
		return;
	application_release(w, candidate, election, to);
	node_candidate_pump(w, candidate);
}

void steps_nudge(struct world *w, unsigned candidate)
{
	if (world_failed(w))
		return;
	/* Backwards: what the later voters know counts already when two have spoken. */
	for (unsigned v = w->plan.n_voters; v-- > 0;)
		if (w->candidates[candidate].conns[v])
			proxy_nudge(w, w->candidates[candidate].conns[v]);
	steps_until(w, w->now_ns + w->plan.delay_ns + 1);
}

void steps_push(struct world *w, unsigned candidate, uint64_t ms)
{
	uint64_t until_ns = w->now_ns + ms * PLAN_MS;

	while (w->now_ns < until_ns && !world_failed(w) && !steps_leads(w, candidate, 0)) {
		steps_nudge(w, candidate);
		steps_some_ms(w, 3, 6);
	}
}

void steps_cut(struct world *w, unsigned candidate, unsigned voter, bool cut)
{
	w->links[candidate][voter].drop[0] = w->links[candidate][voter].drop[1] = cut;
}

void steps_hold(struct world *w, unsigned candidate, unsigned voter, enum network_direction direction, uint64_t types)
{
	w->links[candidate][voter].hold_types[direction] = types;
}

void steps_let_go(struct world *w, unsigned candidate, unsigned voter, enum network_direction direction)
{
	w->links[candidate][voter].hold_types[direction] = 0;
	if (!world_failed(w))
		network_release_held(w, candidate, voter, direction);
}

static bool steps_done_up(const struct world *w, void *arg)
{
	return w->voters[*(unsigned *)arg].state == VOTER_UP;
}

void steps_restart(struct world *w, unsigned voter, unsigned again)
{
	if (world_failed(w))
		return;
	node_voter_crash(w, voter, false);
	world_put(w, w->now_ns + PLAN_MS, EVENT_VOTER_START, voter, 0);
	world_run_till(w, w->now_ns + PLAN_S, steps_done_up, &voter);
	for (unsigned i = 0; i < w->plan.n_candidates && !world_failed(w); i++)
		if ((again >> i & 1) && w->candidates[i].conns[voter] && !w->links[i][voter].drop[0])
			proxy_peer(w, w->candidates[i].conns[voter]);
}

void steps_pause_ms(struct world *w, unsigned candidate, uint64_t ms)
{
	w->candidates[candidate].host.paused_until_ns = w->now_ns + ms * PLAN_MS;
}

uint64_t steps_end_ns(const struct world *w, unsigned candidate, unsigned election)
{
	const struct world_candidate *c = &w->candidates[candidate];

	if (!c->seats[election].core)
		return w->now_ns;
	return dial_true_ns(&c->host.dial, candidate_deadline(c->seats[election].core).boot_ns);
}
