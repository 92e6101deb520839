/* SPDX-License-Identifier: Apache-2.0 */
/* Stories in which a vote and a sitting leader's lease meet at one voter (R6, R7, R12, R24). */
#include "schedule_stories.h"
#include "steps.h"

/*
 * c0 leads by v0 and v1 and is cut from v0. c1 campaigns: v2's vote is on its way back, v0 still waits for the end of c0's
 * lease. Whatever lets c0 count v2 before that end makes two leaders: c1 has v2's old vote, and v0's once the lease is over.
 */
static uint64_t votes_set(struct world *w)
{
	steps_up(w);
	steps_hold(w, 0, 2, NETWORK_TO_VOTER, STEPS_BIT(WIRE_ATTACH) | STEPS_BIT(WIRE_VOTE) | STEPS_BIT(WIRE_WAIT));
	steps_lead(w, 0, 0);
	steps_join(w, 1, 0);
	steps_some_ms(w, 1100, 1600);
	steps_cut(w, 0, 0, true);
	steps_run_ms(w, 10);
	return steps_end_ns(w, 0, 0);
}

static void votes_win(struct world *w, uint64_t end_ns)
{
	steps_until(w, end_ns + dice_between(&w->fault_dice, 6 * PLAN_MS, 15 * PLAN_MS));
	steps_let_go(w, 1, 0, NETWORK_TO_VOTER);
	steps_run_ms(w, 2);
	steps_let_go(w, 1, 2, NETWORK_TO_VOTER);
	steps_let_go(w, 1, 2, NETWORK_TO_CANDIDATE);
	steps_some_ms(w, 300, 600);
}

static void votes_campaign(struct world *w)
{
	steps_hold(w, 1, 0, NETWORK_TO_VOTER, STEPS_BIT(WIRE_VOTE));
	steps_hold(w, 1, 2, NETWORK_TO_CANDIDATE, STEPS_BIT(WIRE_ACK));
	steps_nudge(w, 1);
}

void schedule_tell_quiet(struct world *w)
{
	uint64_t end_ns = votes_set(w);

	steps_until(w, end_ns - dice_between(&w->fault_dice, 90 * PLAN_MS, 150 * PLAN_MS));
	votes_campaign(w);
	steps_run_ms(w, 5);
	steps_hold(w, 1, 2, NETWORK_TO_VOTER, UINT64_MAX);
	network_forget_held_of(w, 0, 2, NETWORK_TO_VOTER, 0);
	steps_hold(w, 0, 2, NETWORK_TO_VOTER, 0);
	steps_restart(w, 2, 1);
	votes_win(w, end_ns);
}

void schedule_tell_live(struct world *w)
{
	uint64_t end_ns = votes_set(w);

	steps_until(w, end_ns - dice_between(&w->fault_dice, 90 * PLAN_MS, 150 * PLAN_MS));
	votes_campaign(w);
	steps_run_ms(w, 5);
	steps_hold(w, 1, 2, NETWORK_TO_VOTER, UINT64_MAX);
	steps_let_go(w, 0, 2, NETWORK_TO_VOTER);
	votes_win(w, end_ns);
}

/*
 * c1's campaign lasts because it stands still. v2's lease of its first vote runs out, c0 is adopted there, and the repeats
 * of the vote come after it (late: R7 by the slot), or came before it (R7: each makes the lease longer).
 */
static void votes_repeat(struct world *w, bool late)
{
	uint64_t end_ns = votes_set(w);

	steps_until(w, end_ns - dice_between(&w->fault_dice, 545 * PLAN_MS, 570 * PLAN_MS));
	votes_campaign(w);
	steps_run_ms(w, 5);
	if (late)
		steps_hold(w, 1, 2, NETWORK_TO_VOTER, STEPS_BIT(WIRE_VOTE));
	steps_some_ms(w, 225, 235);
	steps_pause_ms(w, 1, 375);
	steps_until(w, end_ns - dice_between(&w->fault_dice, 10 * PLAN_MS, 30 * PLAN_MS));
	steps_let_go(w, 0, 2, NETWORK_TO_VOTER);
	/* The last repeat alone: with an older answer first the campaign would be given up as too late. */
	if (late)
		network_forget_held_of(w, 1, 2, NETWORK_TO_VOTER, 1);
	network_forget_held_of(w, 1, 2, NETWORK_TO_CANDIDATE, late ? 0 : 1);
	votes_win(w, end_ns);
}

void schedule_tell_repeat(struct world *w)
{
	votes_repeat(w, true);
}

void schedule_tell_longer(struct world *w)
{
	votes_repeat(w, false);
}

/* R12, last line: c0's old RENEW is adopted by v2 within its hold; that must not get it v2's vote. */
void schedule_tell_hold(struct world *w)
{
	steps_up(w);
	steps_hold(w, 0, 2, NETWORK_TO_VOTER, STEPS_BIT(WIRE_RENEW));
	steps_lead(w, 0, 0);
	steps_some_ms(w, 300, 600);
	steps_hold(w, 0, 2, NETWORK_TO_VOTER, 0);
	steps_cut(w, 0, 2, true);
	steps_release(w, 0, 0, "");
	steps_some_ms(w, 5, 20);
	steps_cut(w, 0, 2, false);
	steps_cut(w, 1, 1, true);
	steps_lead(w, 1, 0);
	/* v1's terms must be as high as v2's will be, else c0 bids too low (R16); its own hold is over by then. */
	steps_restart(w, 1, 1);
	steps_join(w, 0, 0);
	steps_some_ms(w, 1050, 1300);
	steps_cut(w, 1, 2, true);
	steps_restart(w, 2, 1);
	steps_some_ms(w, 502, 520); /* its quiet time */
	network_release_held(w, 0, 2, NETWORK_TO_VOTER);
	steps_run_ms(w, 3);
	steps_nudge(w, 0);
	steps_run_ms(w, 100);
}

/* R29, R31: the connection outlives v0, and v0 knows nothing of the session any more. */
void schedule_tell_session(struct world *w)
{
	steps_up(w);
	steps_cut(w, 0, 2, true);
	steps_lead(w, 0, 0);
	steps_join(w, 1, 0);
	steps_some_ms(w, 500, 900);
	steps_hold(w, 0, 0, NETWORK_TO_CANDIDATE, STEPS_BIT(WIRE_HELLO_R));
	steps_hold(w, 0, 0, NETWORK_TO_VOTER, STEPS_BIT(WIRE_LIST)); /* R32 would notice */
	steps_restart(w, 0, 7);
	steps_some_ms(w, 1010, 1100); /* its hold */
	steps_push(w, 1, 300);
	steps_run_ms(w, 200);
}
