/* SPDX-License-Identifier: Apache-2.0 */
#include "checker.h"

#include <stdlib.h>

#include "base/check.h"

#include "transcript.h"

#define CHECKER_SLACK_NS (2 * PLAN_S) /* connections are tried again with back-off */

static bool checker_believes(const struct world *w, unsigned candidate, unsigned election, uint64_t *token)
{
	const struct world_candidate *c = &w->candidates[candidate];

	return c->up && c->seats[election].core &&
	       candidate_believes(c->seats[election].core, dial_read(&c->host.dial, w->now_ns), token);
}

bool checker_led(struct world *w, unsigned election)
{
	for (unsigned i = 0; i < w->plan.n_candidates; i++)
		if (checker_believes(w, i, election, NULL))
			return true;
	return false;
}

static void checker_won(struct world *w, unsigned candidate, unsigned election, uint64_t token)
{
	struct world_truth *t = &w->truths[election];
	const struct quorum_id *inc = &w->candidates[candidate].inc;

	for (size_t i = t->n_won; i-- > 0;) {
		if (t->won[i].token != token)
			continue;
		/* The mutant that comes again with the same identity is another process all the same. */
		if (!quorum_id_equal(&t->won[i].inc, inc) || t->won[i].instance != w->candidates[candidate].instance)
			world_violate(w, "I2", "%s: token %llu of c%u was another incarnation's before",
			              w->elections[election], (unsigned long long)token, candidate);
		return;
	}
	if (t->n_won == t->won_room) {
		t->won_room = t->won_room ? 2 * t->won_room : 32;
		t->won = realloc(t->won, t->won_room * sizeof *t->won);
		CHECK(t->won);
	}
	t->won[t->n_won++] = (struct world_won) { token, *inc, w->candidates[candidate].instance };
}

static void checker_begins(struct world *w, unsigned candidate, unsigned election, uint64_t token)
{
	struct world_truth *t = &w->truths[election];
	uint64_t other;

	if (token == 0 || token >> 63)
		world_violate(w, "token", "%s: c%u leads with token %llu", w->elections[election], candidate,
		              (unsigned long long)token);
	checker_won(w, candidate, election, token);
	for (unsigned i = 0; i < w->plan.n_candidates; i++)
		if (i != candidate && !w->plan.tokens_only && checker_believes(w, i, election, &other))
			world_violate(w, "I1", "%s: c%u leads with token %llu while c%u does with %llu",
			              w->elections[election], candidate, (unsigned long long)token, i,
			              (unsigned long long)other);
	if (token < t->max_token)
		world_violate(w, "I3", "%s: c%u leads with token %llu, but %llu has led", w->elections[election],
		              candidate, (unsigned long long)token, (unsigned long long)t->max_token);
	if (token > t->max_token)
		w->counts.leaderships++;
	t->max_token = token > t->max_token ? token : t->max_token;
	world_hash(w, token);
}

void checker_candidate(struct world *w, unsigned candidate)
{
	struct world_candidate *c = &w->candidates[candidate];
	struct instant now = dial_read(&c->host.dial, w->now_ns);

	for (unsigned e = 0; e < w->plan.n_elections; e++) {
		struct world_seat *seat = &c->seats[e];
		struct instant end;
		uint64_t token = 0;

		if (!seat->core)
			continue;
		end = candidate_deadline(seat->core);
		if (end.boot_ns == seat->end.boot_ns && end.raw_ns == seat->end.raw_ns)
			continue;
		if (candidate_believes(seat->core, now, &token)) {
			/* Unbroken belief in the same token is no new leadership. */
			if (token != seat->token || instant_over_for_candidate(seat->end, now)) {
				if (w->transcript)
					transcript_belief(w, candidate, e, true, token);
				checker_begins(w, candidate, e, token);
			}
			seat->token = token;
		} else if (w->transcript && seat->end.boot_ns) {
			transcript_belief(w, candidate, e, false, seat->token);
		}
		seat->end = end;
	}
}

void checker_voter_start(struct world *w, unsigned voter, bool clean)
{
	/* Who released what is forgotten in a crash; terms are not: the ceiling is above them all. */
	for (unsigned e = 0; !clean && e < w->plan.n_elections; e++)
		w->truths[e].slot[voter] = (struct voter_slot) { 0 };
}

void checker_voter(struct world *w, unsigned voter)
{
	struct world_voter *v = &w->voters[voter];
	struct voter_now now = { dial_read(&v->host.dial, w->now_ns), 0 };

	if (!v->core)
		return;
	for (unsigned e = 0; e < w->plan.n_elections; e++) {
		struct world_truth *t = &w->truths[e];
		struct voter_slot *old = &t->slot[voter], slot;

		if (!voter_look(v->core, w->elections[e], now, &slot)) {
			*old = (struct voter_slot) { 0 };
			continue;
		}
		if (slot.term < t->term[voter])
			world_violate(w, "I4", "%s: the term of v%u fell from %llu to %llu", w->elections[e], voter,
			              (unsigned long long)t->term[voter], (unsigned long long)slot.term);
		t->term[voter] = slot.term;
		if (old->released && !slot.released && old->lt == slot.lt && quorum_id_equal(&old->lc, &slot.lc))
			world_violate(w, "I6", "%s: the slot of term %llu at v%u was released, and revives",
			              w->elections[e], (unsigned long long)slot.lt, voter);
		*old = slot;
	}
}

/* Is there somebody who wants it, and nothing in the way? */
static bool checker_wanted(const struct world *w, unsigned election)
{
	for (unsigned i = 0; i < w->plan.n_candidates; i++)
		if (w->candidates[i].up && w->candidates[i].seats[election].core)
			return true;
	return false;
}

void checker_liveness(struct world *w)
{
	uint64_t ttl_ns = w->plan.max_ttl_ms * PLAN_MS, healed_ns = w->now_ns - w->plan.heal_ns;
	/* A voter that missed some crashes of the others follows their terms at most once in 10 s (R15). */
	uint64_t leap_ns = QUORUM_LEAP_EVERY_NS + 2 * ttl_ns, bound_ns = 4 * ttl_ns > leap_ns ? 4 * ttl_ns : leap_ns;

	for (unsigned e = 0; e < w->plan.n_elections; e++) {
		struct world_truth *t = &w->truths[e];

		if (checker_led(w, e)) {
			if (!t->led_since_heal_ns) {
				t->led_since_heal_ns = healed_ns ? healed_ns : 1;
				if (healed_ns > w->counts.slowest_heal_ns)
					w->counts.slowest_heal_ns = healed_ns;
				if (healed_ns * 1000 / ttl_ns > w->counts.slowest_heal_ppm / 1000)
					w->counts.slowest_heal_ppm = healed_ns * 1000 / ttl_ns * 1000;
			}
		} else if (healed_ns > bound_ns + CHECKER_SLACK_NS && checker_wanted(w, e)) {
			world_violate(w, "liveness", "%s: nobody leads %llu ms after healing, max_ttl is %u ms",
			              w->elections[e], (unsigned long long)(healed_ns / PLAN_MS), w->plan.max_ttl_ms);
		}
	}
}

void checker_deinit(struct world *w)
{
	for (unsigned e = 0; e < PLAN_MAX_ELECTIONS; e++)
		free(w->truths[e].won);
}
