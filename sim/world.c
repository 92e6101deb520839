/* SPDX-License-Identifier: Apache-2.0 */
#include "world.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

#include "application.h"
#include "checker.h"
#include "nemesis.h"
#include "network.h"
#include "node.h"
#include "transcript.h"

#define WORLD_EVENTS_MOST UINT64_C(10000000) /* of one seed: more is a storm of its own making */

void world_put(struct world *w, uint64_t at_ns, enum world_event kind, uint32_t node, uint64_t instance)
{
	agenda_put(&w->agenda,
	           (struct agenda_event) { .at_ns = at_ns, .kind = kind, .node = node, .instance = instance });
}

void world_violate(struct world *w, const char *kind, const char *format, ...)
{
	va_list args;

	if (world_failed(w) || (w->safety_only && kind[0] != 'I'))
		return;
	snprintf(w->violation.kind, sizeof w->violation.kind, "%s", kind);
	w->violation.at_ns = w->now_ns;
	va_start(args, format);
	/* The analyzer loses sight of va_start(). NOLINTNEXTLINE(clang-analyzer-valist.*) */
	vsnprintf(w->violation.text, sizeof w->violation.text, format, args);
	va_end(args);
	if (w->transcript)
		transcript_say(w, "VIOLATION %s: %s", kind, w->violation.text);
}

unsigned world_n_hosts(const struct world *w)
{
	return w->plan.n_voters + w->plan.n_candidates;
}

struct world_host *world_host(struct world *w, unsigned node)
{
	return node < w->plan.n_voters ? &w->voters[node].host : &w->candidates[node - w->plan.n_voters].host;
}

uint64_t world_departure_ns(struct world *w, struct world_host *h)
{
	uint64_t for_ns = h->pause_next_call_ns;

	if (!for_ns && !w->healed && !w->scripted && dice_chance(&w->pause_dice, w->plan.pause_ppm))
		for_ns = dice_wait(&w->pause_dice, w->plan.pause_ns);
	h->pause_next_call_ns = 0;
	if (for_ns && !w->healed && h->paused_until_ns <= w->now_ns) {
		h->stale = dial_read(&h->dial, w->now_ns);
		h->paused_until_ns = w->now_ns + for_ns;
		if (!w->scripted && h->paused_until_ns > w->plan.heal_ns)
			h->paused_until_ns = w->plan.heal_ns;
	}
	return h->paused_until_ns > w->now_ns ? h->paused_until_ns : w->now_ns;
}

struct world *world_new(const struct plan *plan, const struct world_options *options)
{
	struct world *w = calloc(1, sizeof *w);

	CHECK(w);
	w->plan = *plan;
	w->scripted = options->scripted;
	w->transcript = options->transcript;
	w->ndjson = options->ndjson;
	w->safety_only = options->safety_only;
	w->now_ns = PLAN_S / 1000;
	w->mutations = options->mutations;
	agenda_init(&w->agenda);
	dice_seed(&w->network_dice, plan->seed, 2);
	dice_seed(&w->application_dice, plan->seed, 3);
	dice_seed(&w->pause_dice, plan->seed, 4);
	dice_seed(&w->disk_dice, plan->seed, 5);
	dice_seed(&w->fault_dice, plan->seed, 6);
	memset(w->cluster.bytes, 0x43, sizeof w->cluster.bytes);
	for (unsigned e = 0; e < PLAN_MAX_ELECTIONS; e++)
		snprintf(w->elections[e], sizeof w->elections[e], "e%u", e);
	nemesis_set_clocks(w);
	for (unsigned v = 0; v < plan->n_voters; v++)
		node_voter_init(w, v);
	for (unsigned i = 0; i < plan->n_candidates; i++)
		world_put(w, w->now_ns + dice_below(&w->fault_dice, 100 * PLAN_MS), EVENT_CANDIDATE_START, i, 0);
	for (size_t i = 0; i < plan->n_faults && !w->scripted; i++)
		if (plan->faults[i].on && plan->faults[i].at_ns < plan->heal_ns)
			world_put(w, plan->faults[i].at_ns, EVENT_FAULT, (uint32_t)i, 0);
	if (!w->scripted)
		world_put(w, plan->heal_ns, EVENT_LOOK, 0, 0);
	return w;
}

void world_free(struct world *w)
{
	if (!w)
		return;
	for (unsigned i = 0; i < w->plan.n_candidates; i++)
		node_candidate_crash(w, i, WORLD_NEVER);
	for (unsigned v = 0; v < w->plan.n_voters; v++)
		node_voter_deinit(w, v);
	network_forget_held(w);
	while (w->agenda.n) {
		struct agenda_event e = agenda_take(&w->agenda);

		free(e.chunk);
		if (e.pointer)
			network_unrefer(e.pointer);
	}
	agenda_deinit(&w->agenda);
	checker_deinit(w);
	free(w);
}

static void world_look(struct world *w)
{
	if (!w->healed)
		nemesis_heal(w);
	checker_liveness(w);
	world_put(w, w->now_ns + w->plan.max_ttl_ms * PLAN_MS / 20, EVENT_LOOK, 0, 0);
}

/* The host of the process that an event is for; NULL: it concerns no process. */
static struct world_host *world_host_of(struct world *w, const struct agenda_event *e)
{
	switch (e->kind) {
	case EVENT_TO_VOTER:
	case EVENT_CONNECT:
	case EVENT_CLOSE_VOTER:
	case EVENT_VOTER_TIMER:
	case EVENT_VOTER_DISK:
		return &w->voters[e->node].host;
	case EVENT_TO_CANDIDATE:
	case EVENT_CONNECTED:
	case EVENT_REFUSED:
	case EVENT_CLOSE_CANDIDATE:
	case EVENT_CANDIDATE_TIMER:
		return &w->candidates[e->node].host;
	case EVENT_APPLICATION:
		return &w->candidates[e->node >> 8].host;
	default:
		return NULL;
	}
}

static void world_process_event(struct world *w, const struct agenda_event *e)
{
	switch (e->kind) {
	case EVENT_VOTER_TIMER:
		if (e->instance == w->voters[e->node].instance && e->at_ns >= w->voters[e->node].timer_ns &&
		    w->voters[e->node].state == VOTER_UP)
			node_voter_timer(w, e->node);
		return;
	case EVENT_VOTER_DISK:
		if (e->instance == w->voters[e->node].instance)
			node_voter_disk(w, e->node);
		return;
	case EVENT_VOTER_START:
		node_voter_start(w, e->node);
		return;
	case EVENT_CANDIDATE_TIMER:
		if (e->instance == w->candidates[e->node].instance && e->at_ns >= w->candidates[e->node].timer_ns &&
		    w->candidates[e->node].up)
			node_candidate_timer(w, e->node);
		return;
	case EVENT_CANDIDATE_START:
		node_candidate_start(w, e->node);
		return;
	case EVENT_APPLICATION:
		application_act(w, e->node, e->instance);
		return;
	case EVENT_FAULT:
		nemesis_strike(w, e->node);
		return;
	case EVENT_FAULT_END:
		if (e->node <= UINT32_MAX - PLAN_MAX_VOTERS || e->instance == w->voters[UINT32_MAX - e->node].instance)
			nemesis_end(w, e->node);
		return;
	default:
		world_look(w);
		return;
	}
}

static void world_step(struct world *w)
{
	struct agenda_event e = agenda_take(&w->agenda);
	struct world_host *h = world_host_of(w, &e);

	w->now_ns = e.at_ns;
	if (h && h->paused_until_ns > w->now_ns) { /* it waits, in its order */
		/* Afterwards a loop may look at its sockets first, or at its timers. */
		bool later = e.kind == EVENT_VOTER_TIMER || e.kind == EVENT_CANDIDATE_TIMER;

		e.at_ns = h->paused_until_ns + (later && (w->scripted || e.order % 2) ? PLAN_MS : 0);
		agenda_put_again(&w->agenda, e);
		return;
	}
	w->counts.events++;
	if (w->counts.events > WORLD_EVENTS_MOST)
		world_violate(w, "storm", "more than %llu events", (unsigned long long)WORLD_EVENTS_MOST);
	world_hash(w, e.at_ns);
	world_hash(w, (uint64_t)e.kind << 32 | e.node);
	if (e.pointer)
		network_arrive(w, &e);
	else
		world_process_event(w, &e);
	if (h && h->stale.boot_ns && h->paused_until_ns < w->now_ns)
		h->stale = INSTANT_ZERO;
}

void world_run_until(struct world *w, uint64_t until_ns)
{
	while (w->agenda.n && w->agenda.heap[0].at_ns <= until_ns && !world_failed(w))
		world_step(w);
	if (!world_failed(w) && w->now_ns < until_ns)
		w->now_ns = until_ns;
}

bool world_run_till(struct world *w, uint64_t until_ns, bool (*done)(const struct world *w, void *arg), void *arg)
{
	bool is = done(w, arg);

	while (!is && w->agenda.n && w->agenda.heap[0].at_ns <= until_ns && !world_failed(w)) {
		world_step(w);
		is = done(w, arg);
	}
	return is;
}

void world_run(struct world *w)
{
	world_run_until(w, w->plan.end_ns);
}
