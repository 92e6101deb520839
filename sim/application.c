/* SPDX-License-Identifier: Apache-2.0 */
#include "application.h"

#include "base/check.h"

#include "node.h"
#include "transcript.h"

static void application_plan(struct world *w, unsigned candidate, unsigned election, enum application_act act,
                             uint64_t in_ns)
{
	struct world_seat *seat = &w->candidates[candidate].seats[election];

	if (w->scripted)
		return;
	seat->act = (uint8_t)act;
	seat->act_at_ns = w->now_ns + in_ns;
	world_put(w, seat->act_at_ns, EVENT_APPLICATION, candidate << 8 | election, w->candidates[candidate].instance);
}

static uint64_t application_ttl_ns(const struct world *w)
{
	return w->plan.max_ttl_ms * PLAN_MS;
}

static uint64_t application_pause_ns(struct world *w)
{
	uint64_t ttl_ns = application_ttl_ns(w);

	if (w->healed)
		return dice_below(&w->application_dice, ttl_ns / 10);
	return dice_chance(&w->application_dice, 600000) ? dice_below(&w->application_dice, ttl_ns / 20)
	                                                 : dice_wait(&w->application_dice, 2 * ttl_ns);
}

void application_enter(struct world *w, unsigned candidate, unsigned election)
{
	struct world_candidate *c = &w->candidates[candidate];
	struct world_seat *seat = &c->seats[election];
	struct candidate_entry entry = { .election = w->elections[election],
		                         .value = w->elections[election],
		                         .user = seat };

	/* One draw a statement: the order within an initializer or a call is the compiler's. */
	if (!w->scripted && dice_chance(&w->application_dice, 200000))
		entry.priority = (uint16_t)dice_below(&w->application_dice, 4);
	if (!w->scripted)
		entry.value_bytes = dice_below(&w->application_dice, 12);

	if (!w->scripted && dice_chance(&w->application_dice, 200000))
		entry.min_left_ns = application_ttl_ns(w) / 4;
	*seat = (struct world_seat) { 0 };
	CHECK(candidate_enter(c->core, &entry, &seat->core) == 0);
	CHECK(candidate_user(seat->core) == seat);
}

void application_join(struct world *w, unsigned candidate, unsigned election)
{
	struct world_seat *seat = &w->candidates[candidate].seats[election];

	seat->joined = true;
	seat->joined_ns = w->now_ns;
	if (w->transcript)
		transcript_say(w, "c%u joins %s", candidate, w->elections[election]);
	candidate_join(seat->core, node_candidate_now(w, candidate));
}

void application_release(struct world *w, unsigned candidate, unsigned election, const char *to)
{
	struct world_seat *seat = &w->candidates[candidate].seats[election];

	seat->ending = true;
	if (w->transcript)
		transcript_say(w, "c%u gives %s up%s%s", candidate, w->elections[election], *to ? " to " : "", to);
	candidate_release(seat->core, to, *to ? TENURE_BY_TRANSFER : TENURE_BY_RESIGN,
	                  node_candidate_now(w, candidate));
}

void application_start(struct world *w, unsigned candidate)
{
	for (unsigned e = 0; e < w->plan.n_elections; e++) {
		application_enter(w, candidate, e);
		if (w->healed || dice_chance(&w->application_dice, 850000))
			application_plan(w, candidate, e, APPLICATION_JOIN,
			                 dice_below(&w->application_dice, application_ttl_ns(w) / 4));
	}
	if (w->plan.chatty)
		world_put(w, w->now_ns + dice_wait(&w->application_dice, application_ttl_ns(w)), EVENT_APPLICATION,
		          candidate << 8 | APPLICATION_TALK, w->candidates[candidate].instance);
}

static void application_granted(struct world *w, unsigned candidate, unsigned election)
{
	uint64_t mean_ns = application_ttl_ns(w) * w->plan.hold_factor / 10;
	struct dice *d = &w->application_dice;
	enum application_act act;

	w->candidates[candidate].seats[election].leading = true;
	w->candidates[candidate].seats[election].joined = false;
	if (w->healed || dice_chance(d, 100000))
		return;
	act = dice_chance(d, 100000) ? APPLICATION_EXIT : APPLICATION_RELEASE;
	if (dice_chance(d, 100000))
		application_plan(w, candidate, election, APPLICATION_VALUE, dice_wait(d, mean_ns / 2));
	else if (dice_chance(d, 200000))
		application_plan(w, candidate, election, act, dice_below(d, 5 * PLAN_MS));
	else
		application_plan(w, candidate, election, act, dice_wait(d, mean_ns));
}

void application_event(struct world *w, unsigned candidate, const struct candidate_event *event)
{
	struct world_candidate *c = &w->candidates[candidate];
	struct world_seat *seat = event->user;
	unsigned election;

	switch (event->kind) {
	case CANDIDATE_GRANTED:
	case CANDIDATE_LOST:
	case CANDIDATE_RELEASED:
	case CANDIDATE_ASKED:
		break;
	default:
		return;
	}
	election = (unsigned)(seat - c->seats);
	if (event->kind == CANDIDATE_GRANTED) {
		if (event->token == 0 || event->token >> 63)
			world_violate(w, "token", "c%u was granted token %llu", candidate,
			              (unsigned long long)event->token);
		application_granted(w, candidate, election);
		return;
	}
	if (event->kind == CANDIDATE_ASKED) {
		if (seat->leading && !seat->ending && !w->healed && dice_chance(&w->application_dice, 700000))
			application_plan(w, candidate, election, APPLICATION_RELEASE, PLAN_MS);
		return;
	}
	seat->leading = seat->joined = seat->ending = false;
	application_plan(w, candidate, election, APPLICATION_JOIN, application_pause_ns(w));
}

static void application_successor(struct world *w, unsigned candidate, char to[16])
{
	unsigned rival = (unsigned)dice_below(&w->application_dice, w->plan.n_candidates);

	to[0] = 0;
	if (rival != candidate && dice_chance(&w->application_dice, 400000)) {
		snprintf(to, 16, "c%u", rival);
		w->counts.transfers++;
	}
}

static void application_talk(struct world *w, unsigned candidate)
{
	struct candidate *core = w->candidates[candidate].core;
	struct candidate_now now = node_candidate_now(w, candidate);
	struct dice *d = &w->application_dice;
	const char *election = w->elections[dice_below(d, w->plan.n_elections)];
	char to[16];

	switch (dice_below(d, 3)) {
	case 0:
		(void)candidate_read(core, election, w, now);
		break;
	case 1:
		application_successor(w, candidate, to);
		(void)candidate_ask(core, election, to, w, now);
		break;
	default:
		(void)candidate_list(core, w, now);
		break;
	}
	if (!w->healed)
		world_put(w, w->now_ns + dice_wait(d, 4 * application_ttl_ns(w)), EVENT_APPLICATION,
		          candidate << 8 | APPLICATION_TALK, w->candidates[candidate].instance);
}

static void application_seat(struct world *w, unsigned candidate, unsigned election)
{
	struct world_seat *seat = &w->candidates[candidate].seats[election];
	struct candidate_now now = node_candidate_now(w, candidate);
	enum application_act act = seat->act;
	char to[16];

	seat->act = APPLICATION_NOTHING;
	switch (act) {
	case APPLICATION_ENTER:
		application_enter(w, candidate, election);
		application_join(w, candidate, election);
		return;
	case APPLICATION_JOIN:
		if (seat->core && !seat->joined && !seat->leading)
			application_join(w, candidate, election);
		if (!w->healed && dice_chance(&w->application_dice, 30000))
			application_plan(w, candidate, election, APPLICATION_GIVE_UP, application_pause_ns(w));
		return;
	case APPLICATION_GIVE_UP:
		if (!seat->core || !seat->joined || w->healed)
			return;
		seat->joined = false;
		candidate_leave(seat->core, now);
		application_plan(w, candidate, election, APPLICATION_JOIN, application_pause_ns(w));
		return;
	case APPLICATION_VALUE:
		if (seat->leading && !seat->ending)
			(void)candidate_set_value(seat->core, "value", 5, now);
		application_plan(w, candidate, election, APPLICATION_RELEASE, application_pause_ns(w));
		return;
	case APPLICATION_RELEASE:
		if (!seat->leading || seat->ending || w->healed)
			return;
		application_successor(w, candidate, to);
		application_release(w, candidate, election, to);
		return;
	case APPLICATION_EXIT:
		if (w->healed)
			return;
		candidate_exit(seat->core, now);
		*seat = (struct world_seat) { .token = seat->token };
		application_plan(w, candidate, election, APPLICATION_ENTER, application_pause_ns(w));
		return;
	default:
		return;
	}
}

void application_act(struct world *w, uint32_t node, uint64_t instance)
{
	unsigned candidate = node >> 8, election = node & 255;
	struct world_candidate *c = &w->candidates[candidate];

	if (!c->up || c->instance != instance)
		return;
	if (election == APPLICATION_TALK)
		application_talk(w, candidate);
	else if (c->seats[election].act == APPLICATION_NOTHING)
		return;
	else
		application_seat(w, candidate, election);
	node_candidate_pump(w, candidate);
}

void application_heal(struct world *w)
{
	for (unsigned i = 0; i < w->plan.n_candidates; i++) {
		for (unsigned e = 0; w->candidates[i].up && e < w->plan.n_elections; e++) {
			struct world_seat *seat = &w->candidates[i].seats[e];

			if (!seat->core)
				application_plan(w, i, e, APPLICATION_ENTER, 0);
			else if (!seat->joined && !seat->leading)
				application_plan(w, i, e, APPLICATION_JOIN, dice_below(&w->application_dice, PLAN_MS));
		}
	}
}
