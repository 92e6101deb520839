/* SPDX-License-Identifier: Apache-2.0 */
#include "plan.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"

const char *plan_profile_name(unsigned profile)
{
	static const char *const names[] = {
#define PLAN_X(name, what) #name,
		PLAN_PROFILES(PLAN_X)
#undef PLAN_X
	};
	return profile < PLAN_N_PROFILES ? names[profile] : "?";
}

const char *plan_fault_name(unsigned kind)
{
	static const char *const names[] = {
#define PLAN_X(name, what) #name,
		PLAN_FAULTS(PLAN_X)
#undef PLAN_X
	};
	return kind < FAULT_N_KINDS ? names[kind] : "?";
}

enum plan_profile plan_profile_find(const char *name)
{
	unsigned i = 0;

	while (i < PLAN_N_PROFILES && strcmp(name, plan_profile_name(i)) != 0)
		i++;
	return i;
}

/* Of 100 seeds. Most are steady: they are cheap for the hours that they cover. */
static enum plan_profile plan_draw_profile(struct dice *d)
{
	static const uint8_t shares[][2] = { { 52, PLAN_steady }, { 12, PLAN_storm },  { 10, PLAN_proxy },
		                             { 6, PLAN_duel },    { 12, PLAN_clocks }, { 4, PLAN_beyond },
		                             { 4, PLAN_crowd } };
	uint64_t x = dice_below(d, 100);

	for (unsigned i = 0;; i++) {
		if (x < shares[i][0])
			return shares[i][1];
		x -= shares[i][0];
	}
}

static void plan_people(struct plan *p, struct dice *d)
{
	bool many = p->profile == PLAN_crowd;

	bool duel = p->profile == PLAN_duel;

	p->n_voters = dice_chance(d, 150000) ? 5 : dice_chance(d, 50000) ? 1 : 3;
	p->n_candidates = (unsigned)(many ? dice_between(d, 5, 8) : dice_between(d, 2, 4));
	if (duel)
		p->n_candidates = (unsigned)dice_between(d, 2, 3);
	if (duel)
		p->n_elections = 1;
	else if (many)
		p->n_elections = (unsigned)dice_between(d, 5, PLAN_MAX_ELECTIONS);
	else
		p->n_elections = dice_chance(d, 500000) ? 1 : (unsigned)dice_between(d, 2, 4);
}

static void plan_leases(struct plan *p, struct dice *d)
{
	static const uint32_t short_ms[] = { 400, 500, 800, 1000, 2000 };

	if (p->profile == PLAN_steady || p->profile == PLAN_crowd) {
		p->max_ttl_ms = 10000;
		p->max_ttl_v_ms = 1000;
		p->rho_ppm = 1000;
	} else {
		p->max_ttl_ms = short_ms[dice_below(d, 5)];
		/* Up to half of it (section 3); a longer vote lease makes adoption's dangers more likely. */
		p->max_ttl_v_ms = p->max_ttl_ms / (uint32_t)dice_between(d, 2, 4);
		p->rho_ppm = dice_chance(d, 500000) ? 1000 : (uint32_t)dice_between(d, 1000, 200000);
	}
	if (p->profile == PLAN_duel)
		p->max_ttl_v_ms = p->max_ttl_ms / 2;
	for (unsigned i = 0; i < PLAN_MAX_CANDIDATES; i++) {
		uint64_t max_ns = p->max_ttl_ms * PLAN_MS;

		/* Some ask for more than is granted, some for less. */
		p->plain[i] = dice_chance(d, p->profile == PLAN_duel ? 400000 : 100000);
		p->ttl_ns[i] = dice_chance(d, 700000) ? max_ns : dice_between(d, max_ns / 2, 2 * max_ns);
	}
}

static void plan_weather(struct plan *p, struct dice *d)
{
	uint64_t ttl_ns = p->max_ttl_ms * PLAN_MS;
	bool storm = p->profile != PLAN_steady && p->profile != PLAN_crowd;

	p->delay_ns = dice_between(d, 50000, 1000000);
	p->jitter_ns = dice_between(d, 10000, 2000000);
	p->tail_ppm = storm ? (uint32_t)dice_between(d, 0, 30000) : (uint32_t)dice_between(d, 0, 500);
	p->loss_ppm = storm ? (uint32_t)dice_between(d, 0, 20000) : (uint32_t)dice_between(d, 0, 1000);
	p->pause_ppm = storm ? (uint32_t)dice_between(d, 0, 3000) : 20;
	p->pause_ns = dice_between(d, ttl_ns / 50, ttl_ns);
	p->proxied = p->profile == PLAN_proxy || (storm && dice_chance(d, 200000));
	p->tokens_only = p->profile == PLAN_beyond;
	p->rates_at_bound = p->profile == PLAN_clocks || dice_chance(d, 300000);
	p->chatty = dice_chance(d, 300000);
	p->hold_factor = storm ? (uint32_t)dice_between(d, 2, 60) : (uint32_t)dice_between(d, 20, 200);
	if (p->profile == PLAN_duel) {
		p->delay_ns = dice_between(d, 100000, ttl_ns / 40);
		p->tail_ppm = (uint32_t)dice_between(d, 10000, 250000);
		p->pause_ppm = (uint32_t)dice_between(d, 0, 20000);
		p->hold_factor = (uint32_t)dice_between(d, 1, 12);
		p->proxied = dice_chance(d, 800000);
	}
	p->heal_ns = storm ? dice_between(d, 40, 100) * ttl_ns : dice_between(d, 60, 200) * ttl_ns;
	if (p->profile == PLAN_crowd)
		p->heal_ns /= 4;
}

static bool plan_kind_fits(const struct plan *p, unsigned kind)
{
	switch (kind) {
	case FAULT_reorder:
	case FAULT_duplicate:
	case FAULT_nudge:
		return p->proxied;
	case FAULT_wrong_clock:
		return p->profile == PLAN_clocks;
	case FAULT_beyond_rate:
		return p->profile == PLAN_beyond;
	default:
		return true;
	}
}

/* Each seed leans to some kinds: faults of few kinds in a row reach further than an even mixture. */
static void plan_weights(const struct plan *p, struct dice *d, uint32_t weights[FAULT_N_KINDS])
{
	for (unsigned i = 0; i < FAULT_N_KINDS; i++) {
		weights[i] = dice_chance(d, 300000) ? 8 : dice_chance(d, 500000) ? 2 : 1;
		if (i == FAULT_quorum_crash || i == FAULT_disk_error)
			weights[i] = 1;
		if (!plan_kind_fits(p, i))
			weights[i] = 0;
		if (i == FAULT_nudge && p->profile == PLAN_duel)
			weights[i] *= 16;
		if (i == FAULT_wrong_clock || i == FAULT_beyond_rate)
			weights[i] *= 4;
	}
}

static uint64_t plan_length_ns(const struct plan *p, struct dice *d)
{
	uint64_t ttl_ns = p->max_ttl_ms * PLAN_MS;

	switch (dice_below(d, 4)) {
	case 0:
		return dice_between(d, ttl_ns / 100, ttl_ns / 8);
	case 1:
		return dice_between(d, ttl_ns / 8, ttl_ns);
	default:
		return dice_between(d, ttl_ns / 2, ttl_ns * 5 / 2);
	}
}

static void plan_faults(struct plan *p, struct dice *d, const struct plan_limits *limits)
{
	uint64_t ttl_ns = p->max_ttl_ms * PLAN_MS;
	uint64_t mean_ns = p->profile == PLAN_steady || p->profile == PLAN_crowd
	                           ? dice_between(d, ttl_ns, 6 * ttl_ns)
	                           : dice_between(d, ttl_ns / 4, 2 * ttl_ns);
	uint32_t weights[FAULT_N_KINDS], total = 0;
	size_t room = (size_t)(p->heal_ns / (mean_ns / 2)) + 16;

	plan_weights(p, d, weights);
	for (unsigned i = 0; i < FAULT_N_KINDS; i++)
		total += weights[i];
	p->faults = calloc(room, sizeof *p->faults);
	CHECK(p->faults);
	for (uint64_t at_ns = dice_wait(d, mean_ns); at_ns < p->heal_ns && p->n_faults < room;
	     at_ns += 1 + dice_wait(d, mean_ns)) {
		struct plan_fault *f = &p->faults[p->n_faults];
		uint32_t x = (uint32_t)dice_below(d, total);

		while (x >= weights[f->kind])
			x -= weights[f->kind++];
		f->at_ns = at_ns;
		f->for_ns = plan_length_ns(p, d);
		f->node = (uint32_t)dice_next(d);
		f->arg = (uint32_t)dice_next(d);
		f->on = !(limits && limits->faults_on && p->n_faults < limits->n_faults_on) ||
		        limits->faults_on[p->n_faults];
		if (limits && (limits->without_kinds >> f->kind & 1))
			f->on = false;
		p->n_faults++;
	}
}

void plan_make(struct plan *p, uint64_t seed, enum plan_profile profile, const struct plan_limits *limits)
{
	struct dice d;

	dice_seed(&d, seed, 1);
	*p = (struct plan) { .seed = seed, .profile = profile };
	if (profile == PLAN_mix)
		p->profile = plan_draw_profile(&d);
	plan_people(p, &d);
	plan_leases(p, &d);
	plan_weather(p, &d);
	plan_faults(p, &d, limits);
	if (limits && limits->max_candidates && limits->max_candidates < p->n_candidates)
		p->n_candidates = limits->max_candidates;
	if (limits && limits->max_elections && limits->max_elections < p->n_elections)
		p->n_elections = limits->max_elections;
	if (limits && limits->no_pauses)
		p->pause_ppm = 0;
	if (limits && limits->no_tails)
		p->tail_ppm = p->loss_ppm = 0;
	if (limits && limits->heal_ns && limits->heal_ns < p->heal_ns)
		p->heal_ns = limits->heal_ns;
	p->end_ns = p->heal_ns + UINT64_C(6) * p->max_ttl_ms * PLAN_MS + 20 * PLAN_S;
}

void plan_deinit(struct plan *p)
{
	free(p->faults);
	p->faults = NULL;
	p->n_faults = 0;
}
