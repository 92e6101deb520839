/* SPDX-License-Identifier: Apache-2.0 */
#include "nemesis.h"

#include "application.h"
#include "node.h"
#include "transcript.h"

/* Within the bound: real*(1-rho) <= clock <= real*(1+rho). */
static int32_t nemesis_rate_ppm(struct world *w)
{
	int32_t rho_ppm = (int32_t)w->plan.rho_ppm;

	if (w->plan.rates_at_bound)
		return dice_chance(&w->fault_dice, 500000) ? rho_ppm : -rho_ppm;
	return (int32_t)dice_below(&w->fault_dice, 2 * (uint64_t)rho_ppm + 1) - rho_ppm;
}

void nemesis_set_clocks(struct world *w)
{
	struct dice *d = &w->fault_dice;

	for (unsigned i = 0; i < world_n_hosts(w); i++) {
		struct world_host *h = world_host(w, i);
		int32_t boot_ppm = nemesis_rate_ppm(w);

		h->dial.base.boot_ns = PLAN_S + dice_below(d, 1000000 * PLAN_S);
		h->dial.base.raw_ns = PLAN_S + dice_below(d, PLAN_S);
		h->dial.boot_ppm = boot_ppm;
		h->dial.raw_ppm = nemesis_rate_ppm(w);
		h->dial.wall_offset_ms = (int64_t)dice_below(d, 4000) - 2000;
		h->boot_is_wrong = w->plan.profile == PLAN_clocks && dice_chance(d, 500000);
	}
}

static void nemesis_rearm(struct world *w, unsigned host)
{
	if (host < w->plan.n_voters)
		node_voter_rearm(w, host);
	else
		node_candidate_rearm(w, host - w->plan.n_voters);
}

static void nemesis_turn(struct world *w, unsigned host, int32_t boot_ppm, int32_t raw_ppm)
{
	dial_turn(&world_host(w, host)->dial, w->now_ns, boot_ppm, raw_ppm);
	nemesis_rearm(w, host);
}

static void nemesis_wrong_clock(struct world *w, unsigned host, uint32_t arg)
{
	static const int32_t rates_ppm[] = { -900000, -500000, -80000, 80000, 500000, 3000000, -990000, 100000 };
	struct world_host *h = world_host(w, host);
	int32_t wrong_ppm = rates_ppm[arg % 8];

	nemesis_turn(w, host, h->boot_is_wrong ? wrong_ppm : h->dial.boot_ppm,
	             h->boot_is_wrong ? h->dial.raw_ppm : wrong_ppm);
}

static void nemesis_pause(struct world *w, unsigned host, uint64_t for_ns)
{
	struct world_host *h = world_host(w, host);

	if (h->paused_until_ns <= w->now_ns)
		h->stale = dial_read(&h->dial, w->now_ns);
	if (h->paused_until_ns < w->now_ns + for_ns)
		h->paused_until_ns = w->now_ns + for_ns;
}

static void nemesis_cut(struct world *w, unsigned candidate, unsigned voter, unsigned directions, uint64_t until_ns)
{
	struct world_link *link = &w->links[candidate][voter];

	for (unsigned i = 0; i < 2; i++)
		if ((directions >> i & 1) && link->cut_until_ns[i] < until_ns)
			link->cut_until_ns[i] = until_ns;
}

static void nemesis_cut_host(struct world *w, unsigned host, uint32_t which, unsigned directions, uint64_t until_ns)
{
	unsigned n_voters = w->plan.n_voters;

	for (unsigned i = 0; i < w->plan.n_candidates; i++)
		for (unsigned v = 0; v < n_voters; v++)
			if (host == v ? which >> i & 1 : host == n_voters + i && (which >> v & 1))
				nemesis_cut(w, i, v, directions, until_ns);
}

static void nemesis_network(struct world *w, const struct plan_fault *f, uint64_t until_ns)
{
	unsigned candidate = f->node % w->plan.n_candidates, voter = f->arg % w->plan.n_voters;
	struct network_conn *c = w->candidates[candidate].conns[voter];
	unsigned host = f->node % world_n_hosts(w);
	bool all = f->arg >> 30 == 0;

	switch (f->kind) {
	case FAULT_cut:
		nemesis_cut(w, candidate, voter, 3, until_ns);
		return;
	case FAULT_cut_one_way:
		nemesis_cut(w, candidate, voter, 1 + (f->arg >> 16 & 1), until_ns);
		return;
	case FAULT_isolate:
		nemesis_cut_host(w, host, UINT32_MAX, 3, until_ns);
		return;
	case FAULT_partial:
		nemesis_cut_host(w, host, f->arg, 1 + (f->arg >> 16) % 3, until_ns);
		return;
	case FAULT_nudge:
		for (unsigned v = 0; v < w->plan.n_voters; v++)
			if (w->candidates[candidate].conns[v])
				proxy_nudge(w, w->candidates[candidate].conns[v]);
		return;
	case FAULT_reset:
		if (c && c->connected) {
			network_close(w, c, NETWORK_TO_VOTER, w->now_ns);
			network_close(w, c, NETWORK_TO_CANDIDATE, w->now_ns);
		}
		return;
	default:
		break;
	}
	for (unsigned i = 0; i < w->plan.n_candidates; i++) {
		for (unsigned v = 0; v < w->plan.n_voters; v++) {
			struct world_link *link = &w->links[i][v];

			if (!all && (i != candidate || (f->arg >> 20 & 1 && v != voter)))
				continue;
			if (f->kind == FAULT_loss)
				link->loss_until_ns = until_ns;
			else if (f->kind == FAULT_delay)
				link->slow_until_ns = until_ns;
			else if (f->kind == FAULT_reorder)
				link->reorder_until_ns = until_ns;
			else
				link->double_until_ns = until_ns;
		}
	}
}

static uint64_t nemesis_down_ns(const struct world *w, const struct plan_fault *f)
{
	/* Half of them come again at once, as under a supervisor. */
	return f->arg >> 8 & 1 ? f->for_ns : f->for_ns / 20 + w->plan.max_ttl_ms * PLAN_MS / 500;
}

static void nemesis_voter(struct world *w, const struct plan_fault *f, uint64_t until_ns)
{
	unsigned voter = f->node % w->plan.n_voters, n = 1;
	struct world_disk *d = &w->voters[voter].disk;

	switch (f->kind) {
	case FAULT_quorum_crash:
		n = quorum_majority(w->plan.n_voters);
		__attribute__((fallthrough));
	case FAULT_voter_crash:
		for (unsigned i = 0; i < n; i++, voter = (voter + 1) % w->plan.n_voters) {
			node_voter_crash(w, voter, false);
			world_put(w, w->now_ns + nemesis_down_ns(w, f), EVENT_VOTER_START, voter, 0);
		}
		return;
	case FAULT_voter_stop:
	case FAULT_stop_crash:
		node_voter_stop(w, voter, f->kind == FAULT_stop_crash ? 1 + (f->arg >> 12) % 3 : 0);
		world_put(w, w->now_ns + 40 * PLAN_MS + nemesis_down_ns(w, f), EVENT_VOTER_START, voter, 0);
		return;
	case FAULT_disk_slow:
		d->slow_until_ns = until_ns;
		return;
	case FAULT_disk_stall:
		d->stall_until_ns = until_ns;
		return;
	case FAULT_disk_error:
		d->fail_next = true;
		return;
	default:
		d->tear_next = true;
		/* Writes are rare: one is provoked, by a restart. */
		node_voter_crash(w, voter, false);
		world_put(w, w->now_ns + PLAN_MS, EVENT_VOTER_START, voter, 0);
		return;
	}
}

static void nemesis_host(struct world *w, const struct plan_fault *f, uint64_t for_ns)
{
	unsigned host = f->node % world_n_hosts(w);
	struct world_host *h = world_host(w, host);
	int32_t rate_ppm;

	switch (f->kind) {
	case FAULT_pause:
		nemesis_pause(w, host, for_ns);
		return;
	case FAULT_pause_call:
		h->pause_next_call_ns = for_ns;
		return;
	case FAULT_suspend:
		nemesis_pause(w, host, for_ns);
		if (!h->boot_is_wrong)
			nemesis_turn(w, host, h->dial.boot_ppm, DIAL_FROZEN_PPM);
		return;
	case FAULT_rate:
		rate_ppm = nemesis_rate_ppm(w);
		nemesis_turn(w, host, rate_ppm, nemesis_rate_ppm(w));
		return;
	case FAULT_wrong_clock:
		nemesis_wrong_clock(w, host, f->arg);
		return;
	case FAULT_beyond_rate:
		rate_ppm = (int32_t)dice_below(&w->fault_dice, 1600000) - 800000;
		nemesis_turn(w, host, rate_ppm, rate_ppm / 2);
		return;
	default:
		h->dial.wall_offset_ms += (int64_t)(f->arg % 60000) - 30000;
		return;
	}
}

static void nemesis_max_ttl(struct world *w, const struct plan_fault *f)
{
	uint32_t max_ttl_ms = (uint32_t)(w->plan.max_ttl_ms - f->arg % (w->plan.max_ttl_ms / 2));

	if (f->arg >> 29 & 1)
		max_ttl_ms = w->plan.max_ttl_ms;
	for (unsigned v = 0; v < w->plan.n_voters; v++)
		node_voter_set_max_ttl(w, v, max_ttl_ms);
}

void nemesis_strike(struct world *w, uint32_t index)
{
	const struct plan_fault *f = &w->plan.faults[index];
	uint64_t until_ns = w->now_ns + f->for_ns;

	if (until_ns > w->plan.heal_ns)
		until_ns = w->plan.heal_ns;
	w->counts.faults[f->kind]++;
	if (w->transcript)
		transcript_say(w, "fault %u: %s, node %u, %u ms", index, plan_fault_name(f->kind), f->node,
		               (unsigned)(f->for_ns / PLAN_MS));
	switch (f->kind) {
	case FAULT_cut:
	case FAULT_cut_one_way:
	case FAULT_isolate:
	case FAULT_partial:
	case FAULT_reset:
	case FAULT_nudge:
	case FAULT_loss:
	case FAULT_delay:
	case FAULT_reorder:
	case FAULT_duplicate:
		nemesis_network(w, f, until_ns);
		return;
	case FAULT_candidate_crash:
		node_candidate_crash(w, f->node % w->plan.n_candidates, nemesis_down_ns(w, f));
		return;
	case FAULT_max_ttl:
		nemesis_max_ttl(w, f);
		return;
	case FAULT_pause:
	case FAULT_pause_call:
	case FAULT_suspend:
	case FAULT_rate:
	case FAULT_wrong_clock:
	case FAULT_beyond_rate:
	case FAULT_wall:
		nemesis_host(w, f, until_ns - w->now_ns);
		world_put(w, until_ns, EVENT_FAULT_END, index, 0);
		return;
	default:
		nemesis_voter(w, f, until_ns);
		return;
	}
}

void nemesis_end(struct world *w, uint32_t index)
{
	unsigned host, voter = UINT32_MAX - index;
	int32_t boot_ppm;

	if (voter < w->plan.n_voters) { /* killed within a clean stop */
		node_voter_crash(w, voter, false);
		return;
	}
	host = w->plan.faults[index].node % world_n_hosts(w);
	switch (w->plan.faults[index].kind) {
	case FAULT_suspend:
		nemesis_turn(w, host, world_host(w, host)->dial.boot_ppm, nemesis_rate_ppm(w));
		return;
	case FAULT_wrong_clock:
	case FAULT_beyond_rate:
		boot_ppm = nemesis_rate_ppm(w);
		nemesis_turn(w, host, boot_ppm, nemesis_rate_ppm(w));
		return;
	default:
		return;
	}
}

void nemesis_heal(struct world *w)
{
	w->healed = true;
	if (w->transcript)
		transcript_say(w, "all faults are over");
	for (unsigned i = 0; i < world_n_hosts(w); i++) {
		struct world_host *h = world_host(w, i);
		int32_t boot_ppm = nemesis_rate_ppm(w);

		h->paused_until_ns = h->pause_next_call_ns = 0;
		nemesis_turn(w, i, boot_ppm, nemesis_rate_ppm(w));
	}
	for (unsigned v = 0; v < w->plan.n_voters; v++) {
		w->voters[v].disk.fail_next = w->voters[v].disk.tear_next = false;
		world_put(w, w->now_ns + 50 * PLAN_MS, EVENT_VOTER_START, v, 0);
		node_voter_set_max_ttl(w, v, w->plan.max_ttl_ms);
	}
	for (unsigned i = 0; i < w->plan.n_candidates; i++)
		world_put(w, w->now_ns + 50 * PLAN_MS, EVENT_CANDIDATE_START, i, 0);
	application_heal(w);
}
