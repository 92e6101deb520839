/* SPDX-License-Identifier: Apache-2.0 */
/* Stories about the length of leases and what a candidate counts (R8, R9, R16, R17, R20, R26, R27, R29). */
#include "schedule_stories.h"
#include "steps.h"

void schedule_shape_plain(struct plan *p)
{
	p->plain[0] = true;
}

/* R8: the repeat of c0's vote comes after its RENEW, and must not make the lease shorter. */
void schedule_tell_shrink(struct world *w)
{
	steps_up(w);
	steps_hold(w, 0, 0, NETWORK_TO_VOTER, STEPS_BIT(WIRE_VOTE));
	steps_lead(w, 0, 0);
	steps_hold(w, 0, 0, NETWORK_TO_VOTER, 0);
	steps_join(w, 1, 0);
	steps_some_ms(w, 20, 60);
	steps_cut(w, 0, 2, true);
	steps_run_ms(w, 1100);
	steps_some_ms(w, 5, 250);
	steps_cut(w, 0, 0, true);
	steps_cut(w, 0, 1, true);
	network_release_held(w, 0, 0, NETWORK_TO_VOTER);
	steps_some_ms(w, 503, 530);
	steps_push(w, 1, 200);
	steps_run_ms(w, 300);
}

/* R16: c0 wins again at once; the long leases of its earlier term are over. */
void schedule_tell_cover(struct world *w)
{
	steps_up(w);
	steps_lead(w, 0, 0);
	steps_some_ms(w, 300, 600);
	steps_release(w, 0, 0, "");
	steps_run_ms(w, 2);
	for (unsigned v = 0; v < 3; v++)
		steps_hold(w, 0, v, NETWORK_TO_VOTER, STEPS_BIT(WIRE_RENEW));
	steps_join(w, 0, 0);
	steps_push(w, 0, 100);
	steps_join(w, 1, 0);
	steps_some_ms(w, 503, 530);
	steps_push(w, 1, 300);
	steps_run_ms(w, 200);
}

/* R9: v0's answer to the campaign before comes within this one. */
void schedule_tell_answer(struct world *w)
{
	steps_up(w);
	steps_hold(w, 1, 0, NETWORK_TO_CANDIDATE, STEPS_BIT(WIRE_ACK));
	for (unsigned v = 1; v < 3; v++)
		steps_hold(w, 1, v, NETWORK_TO_VOTER, STEPS_BIT(WIRE_VOTE) | STEPS_BIT(WIRE_ATTACH));
	steps_join(w, 1, 0);
	steps_run_ms(w, 10);
	steps_hold(w, 1, 0, NETWORK_TO_VOTER, STEPS_BIT(WIRE_VOTE) | STEPS_BIT(WIRE_ATTACH));
	steps_some_ms(w, 245, 255); /* given up, released, and the next one begins */
	steps_push(w, 1, 15);
	network_forget_held_of(w, 1, 1, NETWORK_TO_VOTER, 0);
	steps_hold(w, 1, 1, NETWORK_TO_VOTER, 0);
	steps_some_ms(w, 70, 90);
	steps_let_go(w, 1, 0, NETWORK_TO_CANDIDATE);
	steps_run_ms(w, 3);
	steps_join(w, 2, 0);
	steps_push(w, 2, 150);
	steps_run_ms(w, 100);
}

/* R17, R20: the answers come when their leases are over, and another one has led since. */
void schedule_tell_late(struct world *w)
{
	steps_up(w);
	for (unsigned v = 0; v < 3; v++)
		steps_hold(w, 1, v, NETWORK_TO_CANDIDATE, STEPS_BIT(WIRE_ACK));
	steps_join(w, 1, 0);
	steps_some_ms(w, 20, 60);
	steps_pause_ms(w, 1, 620);
	for (unsigned v = 0; v < 3; v++)
		steps_let_go(w, 1, v, NETWORK_TO_CANDIDATE);
	steps_some_ms(w, 490, 510);
	steps_join(w, 2, 0);
	steps_push(w, 2, 60);
	steps_some_ms(w, 5, 20);
	steps_release(w, 2, 0, "");
	steps_run_ms(w, 600);
}

/*
 * R20: c0's renewals come late, c1 leads and gives up; then they are adopted, and their answers still lie within the lease
 * that was asked for. They must not bring an old term back.
 */
void schedule_tell_lapse(struct world *w)
{
	uint64_t end_ns;

	steps_up(w);
	steps_lead(w, 0, 0);
	steps_some_ms(w, 300, 700);
	for (unsigned v = 0; v < 3; v++)
		steps_hold(w, 0, v, NETWORK_TO_VOTER, STEPS_BIT(WIRE_RENEW));
	for (unsigned v = 0; v < 3; v++) /* else R13 alone would refuse what comes late */
		steps_hold(w, 1, v, NETWORK_TO_VOTER, STEPS_BIT(WIRE_ATTACH));
	steps_join(w, 1, 0);
	end_ns = steps_end_ns(w, 0, 0);
	steps_until(w, end_ns + dice_between(&w->fault_dice, 4 * PLAN_MS, 10 * PLAN_MS));
	steps_push(w, 1, 100);
	steps_some_ms(w, 1, 10);
	steps_release(w, 1, 0, "");
	steps_run_ms(w, 3);
	for (unsigned v = 0; v < 3; v++)
		steps_let_go(w, 0, v, NETWORK_TO_VOTER);
	steps_run_ms(w, 700);
}

/* R3: v0 reads its clock, stands still, and only then gets the renewal that it is to answer. */
void schedule_tell_stale(struct world *w)
{
	struct world_host *h = &w->voters[0].host;

	steps_up(w);
	steps_cut(w, 0, 2, true);
	steps_lead(w, 0, 0);
	steps_join(w, 1, 0);
	steps_some_ms(w, 1100, 1300);
	h->stale = dial_read(&h->dial, w->now_ns);
	h->paused_until_ns = w->now_ns + 230 * PLAN_MS;
	steps_run_ms(w, 240);
	steps_cut(w, 0, 0, true);
	steps_cut(w, 0, 1, true);
	steps_until(w, h->paused_until_ns + 770 * PLAN_MS + dice_below(&w->fault_dice, 30 * PLAN_MS));
	steps_push(w, 1, 300);
	steps_run_ms(w, 100);
}

/* R2: the boot clocks of the voters run at twice their rate; RAW is right, so no lease may end early. */
void schedule_tell_clock(struct world *w)
{
	steps_up(w);
	steps_cut(w, 0, 2, true);
	steps_lead(w, 0, 0);
	steps_join(w, 1, 0);
	steps_some_ms(w, 1100, 1500);
	for (unsigned v = 0; v < 3; v++) {
		dial_turn(&w->voters[v].host.dial, w->now_ns, 1000000, w->voters[v].host.dial.raw_ppm);
		node_voter_rearm(w, v);
	}
	steps_run_ms(w, 1);
	steps_cut(w, 0, 0, true);
	steps_cut(w, 0, 1, true);
	steps_some_ms(w, 505, 530);
	steps_push(w, 1, 300);
	steps_run_ms(w, 800);
}

/* R1: c0's host starts it again, and two voters know too little to tell it that its term was used. */
void schedule_tell_again_born(struct world *w)
{
	steps_up(w);
	steps_cut(w, 0, 2, true);
	steps_lead(w, 0, 0);
	steps_some_ms(w, 10, 300);
	node_candidate_crash(w, 0, WORLD_NEVER);
	steps_some_ms(w, 1200, 1500); /* its sessions end */
	steps_hold(w, 0, 1, NETWORK_TO_CANDIDATE,
	           STEPS_BIT(WIRE_NUDGE) | STEPS_BIT(WIRE_QUEUED) | STEPS_BIT(WIRE_PRE_R));
	steps_cut(w, 0, 2, false);
	node_candidate_start(w, 0);
	steps_run_ms(w, 200);
	application_enter(w, 0, 0);
	steps_lead(w, 0, 0);
}

/* R26: max_ttl is raised, and the voters that granted by it die before it is durable. */
void schedule_tell_max_ttl(struct world *w)
{
	steps_up(w);
	for (unsigned v = 0; v < 3; v++)
		node_voter_set_max_ttl(w, v, 500);
	steps_run_ms(w, 2500);
	steps_cut(w, 0, 2, true);
	steps_lead(w, 0, 0);
	steps_join(w, 1, 0);
	steps_some_ms(w, 400, 700);
	for (unsigned v = 0; v < 3; v++) {
		w->voters[v].disk.write_ns = 600 * PLAN_MS;
		node_voter_set_max_ttl(w, v, 1000);
	}
	steps_some_ms(w, 270, 290);
	steps_cut(w, 0, 0, true);
	steps_cut(w, 0, 1, true);
	for (unsigned v = 0; v < 2; v++) {
		w->voters[v].disk.write_ns = PLAN_MS;
		steps_restart(w, v, 7);
	}
	steps_some_ms(w, 503, 520);
	steps_push(w, 1, 300);
	steps_run_ms(w, 300);
}

void schedule_shape_records(struct plan *p)
{
	p->n_elections = 3;
	p->max_records = 2;
}

/* R27: there is room for two elections; the record of the first gives way, its terms must not come again. */
void schedule_tell_records(struct world *w)
{
	steps_up(w);
	steps_lead(w, 0, 0);
	steps_some_ms(w, 5, 100);
	steps_release(w, 0, 0, "");
	steps_run_ms(w, 20);
	node_candidate_crash(w, 0, WORLD_NEVER);
	steps_run_ms(w, 100);
	steps_lead(w, 1, 1);
	steps_lead(w, 1, 2);
	steps_some_ms(w, 5, 100);
	node_candidate_crash(w, 1, WORLD_NEVER);
	steps_run_ms(w, 2500);
	steps_lead(w, 2, 0);
	steps_run_ms(w, 100);
}
