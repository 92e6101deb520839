/* SPDX-License-Identifier: Apache-2.0 */
/* The supervisor's decisions as transcripts, in virtual time: what comes in (>), what follows (<). */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "supervisor/plan.h"

#define MS        CLOCK_NS_PER_MS
#define EXITED(n) ((n) << 8)
#define KILLED(n) (n)
#define START_NS  (1000 * CLOCK_NS_PER_S)
#define NO_CODE   0

static struct plan plan;
static uint64_t now_ns;
static char said[256];

static const char *const action_names[] = { "tell",     "continue", "go",        "hard-stop", "kill-warden",
	                                    "prove",    "alarm",    "stop-self", "release",   "drop",
	                                    "campaign", "launch",   "exit" };

static void say(const struct plan_output *out)
{
	struct buf b;
	buf_init(&b, said, sizeof said);
	for (size_t i = 0; i < sizeof action_names / sizeof *action_names; i++) {
		if (!(out->actions & 1U << i))
			continue;
		if (b.used > 0)
			buf_char(&b, ' ');
		buf_text(&b, action_names[i]);
		if (i == 0) {
			buf_char(&b, ':');
			buf_u64(&b, (uint64_t)out->signal);
		}
		if (1U << i == PLAN_DO_EXIT) {
			buf_char(&b, ':');
			buf_u64(&b, (uint64_t)plan.exit_code);
		}
	}
}

static void begin(struct plan_settings settings)
{
	struct plan_output out;
	if (settings.timeout_exit_code == 0)
		settings.timeout_exit_code = 124;
	now_ns = START_NS;
	plan_init(&plan, &settings, now_ns, &out);
	say(&out);
	assert_string_equal(said, "campaign");
}

static void step(struct plan_input in, const char *expected, int line)
{
	struct plan_output out;
	in.now_ns = now_ns;
	plan_step(&plan, &in, &out);
	say(&out);
	if (strcmp(said, expected) != 0)
		fail_msg("line %d: expected '%s', got '%s'", line, expected, said);
}

#define IN(k, c, expected)       step((struct plan_input) { .kind = (k), .code = (c) }, expected, __LINE__)
#define SIGNAL(number, expected) IN(PLAN_SIGNAL, number, expected)
#define TERMINAL(number, expected)                                                                                     \
	step((struct plan_input) { .kind = PLAN_SIGNAL, .code = (number), .from_terminal = true }, expected, __LINE__)
/* Time passes, and the loop ticks: not early, as plan_next_ns() has it. */
#define AFTER(ns, expected)                                                                                            \
	do {                                                                                                           \
		now_ns += (ns);                                                                                        \
		IN(PLAN_TICK, NO_CODE, expected);                                                                      \
	} while (0)
#define NEXT_IN(ns) assert_int_equal(plan_next_ns(&plan) - now_ns, ns)

static const struct plan_settings plain = { .wait_ns = NS_NEVER, .grace_ns = 2000 * MS };
static const struct plan_settings staying = { .wait_ns = NS_NEVER, .grace_ns = 2000 * MS, .stay = true };

static void begin_running(struct plan_settings settings)
{
	begin(settings);
	IN(PLAN_REACHED, NO_CODE, "");
	IN(PLAN_LEADING, NO_CODE, "launch");
	assert_true(plan_wants_tree(&plan));
	IN(PLAN_READY, NO_CODE, "go");
}

static void a_program_that_ends_is_proven_dead_then_released_then_its_code_returned(void **state)
{
	(void)state;
	begin_running(plain);
	assert_true(plan_next_ns(&plan) == NS_NEVER);
	AFTER(3600000 * MS, "");
	IN(PLAN_PROGRAM_ENDED, EXITED(7), "");
	IN(PLAN_WARDEN_PROVES, NO_CODE, "");
	IN(PLAN_TREE_DEAD, NO_CODE, "release");
	IN(PLAN_ENDED, NO_CODE, "drop exit:7");
	IN(PLAN_TICK, NO_CODE, "");
}

static void a_program_ended_by_a_signal_gives_128_and_the_signal(void **state)
{
	(void)state;
	begin_running(plain);
	IN(PLAN_PROGRAM_ENDED, KILLED(SIGSEGV), "");
	IN(PLAN_TREE_DEAD, NO_CODE, "release");
	IN(PLAN_ENDED, NO_CODE, "drop exit:139");
}

static void a_wait_that_runs_out_tells_whether_the_store_answered(void **state)
{
	(void)state;
	struct plan_settings settings = plain;
	settings.wait_ns = 500 * MS;
	begin(settings);
	NEXT_IN(500 * MS);
	AFTER(499 * MS, "");
	AFTER(MS, "drop exit:69");
	begin(settings);
	IN(PLAN_REACHED, NO_CODE, "");
	AFTER(500 * MS, "drop exit:124");
	settings.timeout_exit_code = 9;
	begin(settings);
	IN(PLAN_REACHED, NO_CODE, "");
	AFTER(500 * MS, "drop exit:9");
}

static void one_attempt_is_over_when_the_store_says_that_another_leads(void **state)
{
	(void)state;
	struct plan_settings settings = plain;
	settings.wait_ns = 0;
	begin(settings);
	IN(PLAN_REACHED, NO_CODE, "");
	IN(PLAN_ATTEMPTED, NO_CODE, "drop exit:124");
	begin(settings);
	AFTER(1000 * MS, "drop exit:69");
	begin(settings);
	IN(PLAN_LEADING, NO_CODE, "launch");
	IN(PLAN_ATTEMPTED, NO_CODE, "");
	AFTER(2000 * MS, "");
}

static void a_wait_of_any_length_ends_with_leadership(void **state)
{
	(void)state;
	struct plan_settings settings = staying;
	settings.wait_ns = 500 * MS;
	begin_running(settings);
	AFTER(5000 * MS, "");
	IN(PLAN_ASKED, NO_CODE, "tell:15 continue");
	IN(PLAN_PROGRAM_ENDED, EXITED(0), "");
	IN(PLAN_TREE_DEAD, NO_CODE, "release");
	IN(PLAN_ENDED, NO_CODE, "drop campaign");
	AFTER(5000 * MS, "");
}

static void a_signal_while_waiting_ends_the_wait(void **state)
{
	(void)state;
	static const int numbers[] = { SIGTERM, SIGINT, SIGHUP, SIGQUIT };
	for (size_t i = 0; i < 4; i++) {
		char expected[32];
		begin(staying);
		snprintf(expected, sizeof expected, "drop exit:%d", 128 + numbers[i]);
		SIGNAL(SIGUSR1, "");
		SIGNAL(SIGWINCH, "");
		SIGNAL(numbers[i], expected);
	}
}

static void sigterm_gives_grace_and_then_the_hard_stop(void **state)
{
	(void)state;
	begin_running(plain);
	SIGNAL(SIGTERM, "tell:15 continue");
	NEXT_IN(2000 * MS);
	AFTER(1999 * MS, "");
	AFTER(MS, "hard-stop");
	IN(PLAN_WARDEN_PROVES, NO_CODE, "");
	IN(PLAN_TREE_DEAD, NO_CODE, "release");
	IN(PLAN_ENDED, NO_CODE, "drop exit:137");
}

static void a_program_that_ends_in_its_grace_gives_its_own_code(void **state)
{
	(void)state;
	begin_running(staying);
	SIGNAL(SIGTERM, "tell:15 continue");
	IN(PLAN_PROGRAM_ENDED, EXITED(3), "");
	IN(PLAN_TREE_DEAD, NO_CODE, "release");
	IN(PLAN_ENDED, NO_CODE, "drop exit:3");
}

static void a_second_stop_signal_kills_at_once(void **state)
{
	(void)state;
	begin_running(plain);
	SIGNAL(SIGINT, "tell:15 continue");
	SIGNAL(SIGUSR1, "tell:10");
	SIGNAL(SIGTERM, "hard-stop");
	SIGNAL(SIGTERM, "");
	IN(PLAN_TREE_DEAD, NO_CODE, "release");
	IN(PLAN_ENDED, NO_CODE, "drop exit:137");
}

static void ctrl_c_has_reached_the_program_so_that_sigterm_comes_in_mid_grace(void **state)
{
	(void)state;
	begin_running(plain);
	TERMINAL(SIGINT, "");
	NEXT_IN(1000 * MS);
	AFTER(1000 * MS, "tell:15 continue");
	AFTER(1000 * MS, "hard-stop");
	begin_running(plain);
	TERMINAL(SIGINT, "");
	TERMINAL(SIGINT, "hard-stop");
}

static void other_signals_are_passed_on_unless_the_terminal_did(void **state)
{
	(void)state;
	begin_running(plain);
	SIGNAL(SIGHUP, "tell:1");
	SIGNAL(SIGQUIT, "tell:3");
	SIGNAL(SIGUSR2, "tell:12");
	TERMINAL(SIGQUIT, "");
	TERMINAL(SIGWINCH, "");
	SIGNAL(SIGTERM, "tell:15 continue");
	SIGNAL(SIGHUP, "tell:1");
}

static void without_grace_the_stop_is_hard(void **state)
{
	(void)state;
	struct plan_settings settings = plain;
	settings.grace_ns = 0;
	begin_running(settings);
	SIGNAL(SIGTERM, "hard-stop");
}

static void a_signal_before_the_program_ran_ends_without_running_it(void **state)
{
	(void)state;
	begin(plain);
	IN(PLAN_LEADING, NO_CODE, "launch");
	SIGNAL(SIGTERM, "hard-stop");
	assert_false(plan_wants_tree(&plan));
	IN(PLAN_READY, NO_CODE, "");
	IN(PLAN_TREE_DEAD, NO_CODE, "release");
	IN(PLAN_ENDED, NO_CODE, "drop exit:143");
}

static void leadership_that_is_lost_ends_the_program_at_once_and_releases_nothing(void **state)
{
	(void)state;
	begin_running(plain);
	IN(PLAN_LOST, NO_CODE, "hard-stop");
	IN(PLAN_ENDED, NO_CODE, "");
	IN(PLAN_WARDEN_PROVES, NO_CODE, "");
	IN(PLAN_TREE_DEAD, NO_CODE, "drop exit:75");
}

static void leadership_that_is_lost_before_the_start_starts_nothing(void **state)
{
	(void)state;
	begin(plain);
	IN(PLAN_LEADING, NO_CODE, "launch");
	IN(PLAN_LOST, NO_CODE, "hard-stop");
	assert_false(plan_wants_tree(&plan));
	IN(PLAN_READY, NO_CODE, "");
	IN(PLAN_TREE_DEAD, NO_CODE, "drop exit:75");
}

static void leadership_that_is_lost_in_the_grace_cuts_it_short(void **state)
{
	(void)state;
	begin_running(plain);
	IN(PLAN_ASKED, NO_CODE, "tell:15 continue");
	AFTER(500 * MS, "");
	IN(PLAN_LOST, NO_CODE, "hard-stop");
	IN(PLAN_TREE_DEAD, NO_CODE, "drop exit:75");
}

static void asked_to_hand_over_it_stops_softly_and_gives_75(void **state)
{
	(void)state;
	begin_running(plain);
	IN(PLAN_ASKED, NO_CODE, "tell:15 continue");
	IN(PLAN_ASKED, NO_CODE, "");
	SIGNAL(SIGTERM, "");
	IN(PLAN_PROGRAM_ENDED, EXITED(0), "");
	IN(PLAN_TREE_DEAD, NO_CODE, "release");
	IN(PLAN_ENDED, NO_CODE, "drop exit:75");
}

static void a_stop_signal_during_a_hand_over_ends_the_stay(void **state)
{
	(void)state;
	begin_running(staying);
	IN(PLAN_ASKED, NO_CODE, "tell:15 continue");
	SIGNAL(SIGTERM, "");
	SIGNAL(SIGTERM, "hard-stop");
	IN(PLAN_TREE_DEAD, NO_CODE, "release");
	IN(PLAN_ENDED, NO_CODE, "drop exit:75");
}

static void a_warden_that_was_killed_is_replaced_by_the_supervisors_own_proof(void **state)
{
	(void)state;
	begin_running(plain);
	IN(PLAN_WARDEN_DEAD, NO_CODE, "prove");
	NEXT_IN(MS);
	AFTER(MS, "prove");
	NEXT_IN(2 * MS);
	AFTER(2 * MS, "prove");
	IN(PLAN_TREE_DEAD, NO_CODE, "release");
	IN(PLAN_ENDED, NO_CODE, "drop exit:75");
}

static void a_warden_that_does_not_answer_is_killed(void **state)
{
	(void)state;
	begin_running(plain);
	SIGNAL(SIGTERM, "tell:15 continue");
	AFTER(2000 * MS, "hard-stop");
	NEXT_IN(2000 * MS);
	AFTER(2000 * MS, "kill-warden");
	AFTER(1000 * MS, "");
	IN(PLAN_WARDEN_DEAD, NO_CODE, "prove");
	IN(PLAN_TREE_DEAD, NO_CODE, "release");
	IN(PLAN_ENDED, NO_CODE, "drop exit:137");
}

static void a_warden_that_does_not_report_inits_end_is_killed(void **state)
{
	(void)state;
	begin_running(plain);
	IN(PLAN_INIT_DEAD, NO_CODE, "");
	AFTER(1999 * MS, "");
	AFTER(MS, "kill-warden");
	IN(PLAN_PROGRAM_ENDED, EXITED(4), "");
	IN(PLAN_WARDEN_DEAD, NO_CODE, "prove");
	IN(PLAN_TREE_DEAD, NO_CODE, "release");
	IN(PLAN_ENDED, NO_CODE, "drop exit:4");
}

static void a_warden_that_says_that_it_proves_is_left_alone_and_an_alarm_is_raised(void **state)
{
	(void)state;
	begin_running(plain);
	IN(PLAN_LOST, NO_CODE, "hard-stop");
	for (int i = 1; i <= 25; i++) {
		AFTER(1000 * MS, i % 10 == 0 ? "alarm" : "");
		IN(PLAN_WARDEN_PROVES, NO_CODE, "");
	}
	IN(PLAN_TREE_DEAD, NO_CODE, "drop exit:75");
}

static void nothing_is_released_while_the_supervisor_cannot_prove_the_death(void **state)
{
	(void)state;
	begin_running(plain);
	IN(PLAN_WARDEN_DEAD, NO_CODE, "prove");
	for (uint64_t passed_ns = 0; passed_ns < 60000 * MS;) {
		uint64_t next_ns = plan_next_ns(&plan) - now_ns;
		struct plan_output out;
		now_ns += next_ns;
		passed_ns += next_ns;
		plan_step(&plan, &(struct plan_input) { .kind = PLAN_TICK, .now_ns = now_ns }, &out);
		assert_true((out.actions & ~(unsigned)(PLAN_DO_PROVE | PLAN_DO_ALARM)) == 0);
		assert_true(next_ns > 0 && next_ns <= 50 * MS);
	}
	SIGNAL(SIGTERM, "");
}

static void an_init_that_was_killed_counts_as_a_program_that_was(void **state)
{
	(void)state;
	begin_running(plain);
	IN(PLAN_TREE_DEAD, NO_CODE, "release");
	IN(PLAN_ENDED, NO_CODE, "drop exit:137");
}

static void a_program_that_cannot_be_executed_gives_its_code_even_with_stay(void **state)
{
	(void)state;
	begin_running(staying);
	IN(PLAN_NOT_STARTED, 127, "");
	IN(PLAN_TREE_DEAD, NO_CODE, "release");
	IN(PLAN_ENDED, NO_CODE, "drop exit:127");
}

static void a_tree_that_cannot_be_made_releases_at_once(void **state)
{
	(void)state;
	begin(staying);
	IN(PLAN_LEADING, NO_CODE, "launch");
	IN(PLAN_FAILED, 126, "release");
	IN(PLAN_ENDED, NO_CODE, "drop exit:126");
}

static void a_tree_that_cannot_be_recorded_is_ended_before_the_release(void **state)
{
	(void)state;
	begin(plain);
	IN(PLAN_LEADING, NO_CODE, "launch");
	IN(PLAN_REJECTED, 74, "hard-stop");
	IN(PLAN_TREE_DEAD, NO_CODE, "release");
	IN(PLAN_ENDED, NO_CODE, "drop exit:74");
}

static void a_warden_that_never_reports_is_killed(void **state)
{
	(void)state;
	begin(plain);
	IN(PLAN_LEADING, NO_CODE, "launch");
	NEXT_IN(10000 * MS);
	AFTER(10000 * MS, "kill-warden");
	IN(PLAN_WARDEN_DEAD, NO_CODE, "prove");
	IN(PLAN_TREE_DEAD, NO_CODE, "release");
	IN(PLAN_ENDED, NO_CODE, "drop exit:70");
}

static void a_candidacy_that_fails_gives_its_code(void **state)
{
	(void)state;
	begin(staying);
	IN(PLAN_ENDED, 74, "drop exit:74");
}

static void a_release_that_is_not_answered_does_not_keep_us(void **state)
{
	(void)state;
	begin_running(plain);
	IN(PLAN_PROGRAM_ENDED, EXITED(0), "");
	IN(PLAN_TREE_DEAD, NO_CODE, "release");
	NEXT_IN(5000 * MS);
	AFTER(5000 * MS, "drop exit:0");
}

static void run_once(int status, uint64_t for_ns, const char *then)
{
	IN(PLAN_LEADING, NO_CODE, "launch");
	IN(PLAN_READY, NO_CODE, "go");
	now_ns += for_ns;
	IN(PLAN_PROGRAM_ENDED, status, "");
	IN(PLAN_TREE_DEAD, NO_CODE, "release");
	IN(PLAN_ENDED, NO_CODE, then);
}

static void staying_it_backs_off_from_1_to_60_seconds_while_the_program_fails_at_once(void **state)
{
	(void)state;
	static const uint64_t seconds[] = { 1, 2, 4, 8, 16, 32, 60, 60 };
	begin(staying);
	for (size_t i = 0; i < sizeof seconds / sizeof *seconds; i++) {
		run_once(EXITED(1), 100 * MS, "drop");
		NEXT_IN(seconds[i] * 1000 * MS);
		AFTER(seconds[i] * 1000 * MS - MS, "");
		AFTER(MS, "campaign");
	}
	run_once(EXITED(1), 11000 * MS, "drop campaign");
	run_once(EXITED(1), 0, "drop");
	NEXT_IN(1000 * MS);
	AFTER(1000 * MS, "campaign");
	run_once(EXITED(0), 0, "drop campaign");
	run_once(EXITED(1), 0, "drop");
	NEXT_IN(1000 * MS);
	SIGNAL(SIGTERM, "drop exit:143");
}

static void a_program_that_the_terminal_stopped_stops_the_supervisor_where_the_lease_has_no_end(void **state)
{
	(void)state;
	begin_running(plain);
	IN(PLAN_PROGRAM_STOPPED, SIGTSTP, "");
	struct plan_settings settings = plain;
	settings.mirror_stops = true;
	begin_running(settings);
	IN(PLAN_PROGRAM_STOPPED, SIGTSTP, "stop-self");
	SIGNAL(SIGTERM, "tell:15 continue");
	IN(PLAN_PROGRAM_STOPPED, SIGTSTP, "");
}

/* P1, for every order of inputs: a release or a new campaign only ever follows a proof, or a tree that never was. */
static void no_order_of_inputs_releases_before_the_proof(void **state)
{
	(void)state;
	uint64_t random = 88172645463325252U;
	for (int round = 0; round < 20000; round++) {
		bool tree = false;
		begin(round % 2 ? staying : plain);
		for (int i = 0; i < 40 && plan.phase != PLAN_OVER; i++) {
			struct plan_output out;
			random ^= random << 13;
			random ^= random >> 7;
			random ^= random << 17;
			struct plan_input in = { .kind = (enum plan_input_kind)(1 + random % PLAN_TICK) };
			static const int numbers[] = { SIGTERM, SIGINT, SIGHUP, SIGUSR1 };
			in.code = in.kind == PLAN_SIGNAL ? numbers[random >> 8 & 3] : 0;
			/* what the world can't say: a proof or a refusal of a tree that is not there, READY unasked */
			if ((in.kind == PLAN_TREE_DEAD || in.kind == PLAN_FAILED) && !tree)
				continue;
			if (in.kind == PLAN_FAILED && plan.phase != PLAN_STARTING)
				continue;
			in.now_ns = now_ns += random >> 20 & 1 ? 0 : 700 * MS;
			if (in.kind == PLAN_TREE_DEAD || in.kind == PLAN_FAILED)
				tree = false;
			plan_step(&plan, &in, &out);
			if (out.actions & PLAN_DO_LAUNCH)
				tree = true;
			if (out.actions & (PLAN_DO_RELEASE | PLAN_DO_CAMPAIGN | PLAN_DO_EXIT))
				assert_false(tree && !(out.actions & PLAN_DO_LAUNCH));
			if (out.actions & PLAN_DO_GO)
				assert_true(tree);
		}
	}
}

/* ---- leases that end ---- */

static const struct plan_settings leased = { .wait_ns = NS_NEVER, .grace_ns = 2000 * MS, .leased = true };
static const struct plan_settings leased_staying = {
	.wait_ns = NS_NEVER, .grace_ns = 2000 * MS, .leased = true, .stay = true
};

static void a_lease_at_risk_is_a_soft_stop_and_its_end_the_hard_one(void **state)
{
	(void)state;
	begin_running(leased);
	IN(PLAN_AT_RISK, NO_CODE, "tell:15 continue");
	NEXT_IN(2000 * MS);
	AFTER(1999 * MS, "");
	IN(PLAN_LOST, NO_CODE, "hard-stop");
	IN(PLAN_WARDEN_DEAD, NO_CODE, "prove"); /* its dead-man timer was as quick */
	IN(PLAN_TREE_DEAD, NO_CODE, "release");
	IN(PLAN_ENDED, NO_CODE, "drop exit:75");
}

static void a_soft_stop_that_has_begun_is_not_taken_back_by_a_renewal(void **state)
{
	(void)state;
	begin_running(leased);
	IN(PLAN_AT_RISK, NO_CODE, "tell:15 continue");
	AFTER(500 * MS, "");
	IN(PLAN_SAFE, NO_CODE, "");
	IN(PLAN_AT_RISK, NO_CODE, "");
	IN(PLAN_SAFE, NO_CODE, "");
	AFTER(1499 * MS, "");
	AFTER(MS, "hard-stop"); /* the grace is over, the lease is not */
	IN(PLAN_TREE_DEAD, NO_CODE, "release");
	IN(PLAN_ENDED, NO_CODE, "drop exit:75");
}

static void a_program_that_obeys_the_soft_stop_gives_75_all_the_same(void **state)
{
	(void)state;
	begin_running(leased);
	IN(PLAN_AT_RISK, NO_CODE, "tell:15 continue");
	IN(PLAN_PROGRAM_ENDED, EXITED(0), "");
	IN(PLAN_TREE_DEAD, NO_CODE, "release");
	IN(PLAN_ENDED, NO_CODE, "drop exit:75");
}

static void without_a_grace_a_lease_at_risk_is_a_hard_stop(void **state)
{
	struct plan_settings settings = leased;
	(void)state;
	settings.grace_ns = 0;
	begin_running(settings);
	IN(PLAN_AT_RISK, NO_CODE, "hard-stop");
}

static void a_grace_that_began_for_another_reason_ends_with_the_lease(void **state)
{
	(void)state;
	begin_running(leased);
	SIGNAL(SIGTERM, "tell:15 continue");
	AFTER(1000 * MS, "");
	IN(PLAN_AT_RISK, NO_CODE, "");
	AFTER(500 * MS, "");
	IN(PLAN_LOST, NO_CODE, "hard-stop");
	IN(PLAN_PROGRAM_ENDED, EXITED(3), "");
	IN(PLAN_TREE_DEAD, NO_CODE, "release");
	IN(PLAN_ENDED, NO_CODE, "drop exit:3"); /* the first reason */
}

static void a_tenure_that_begins_at_risk_waits_for_its_first_renewal(void **state)
{
	(void)state;
	begin(leased);
	IN(PLAN_LEADING, NO_CODE, "launch");
	IN(PLAN_AT_RISK, NO_CODE, "");
	IN(PLAN_READY, NO_CODE, "");
	assert_true(plan_next_ns(&plan) == NS_NEVER);
	AFTER(11000 * MS, "");
	IN(PLAN_SAFE, NO_CODE, "go");
	IN(PLAN_AT_RISK, NO_CODE, "tell:15 continue");
}

static void a_renewal_before_the_tree_stands_starts_nothing(void **state)
{
	(void)state;
	begin(leased);
	IN(PLAN_LEADING, NO_CODE, "launch");
	IN(PLAN_AT_RISK, NO_CODE, "");
	IN(PLAN_SAFE, NO_CODE, "");
	IN(PLAN_READY, NO_CODE, "go");
}

static void a_tenure_that_ends_before_its_first_renewal_never_starts_the_program(void **state)
{
	(void)state;
	begin(leased);
	IN(PLAN_LEADING, NO_CODE, "launch");
	IN(PLAN_AT_RISK, NO_CODE, "");
	IN(PLAN_READY, NO_CODE, "");
	IN(PLAN_LOST, NO_CODE, "hard-stop");
	IN(PLAN_SAFE, NO_CODE, "");
	IN(PLAN_TREE_DEAD, NO_CODE, "release");
	IN(PLAN_ENDED, NO_CODE, "drop exit:75");
}

static void a_lost_lease_is_released_only_after_the_proof_and_then_stay_campaigns_again(void **state)
{
	(void)state;
	begin_running(leased_staying);
	IN(PLAN_AT_RISK, NO_CODE, "tell:15 continue");
	IN(PLAN_LOST, NO_CODE, "hard-stop");
	IN(PLAN_WARDEN_DEAD, NO_CODE, "prove");
	AFTER(MS, "prove");
	IN(PLAN_TREE_DEAD, NO_CODE, "release");
	NEXT_IN(5000 * MS);
	IN(PLAN_ENDED, NO_CODE, "drop campaign");
	IN(PLAN_LEADING, NO_CODE, "launch");
	IN(PLAN_READY, NO_CODE, "go");
}

static void a_lease_that_the_store_ended_itself_needs_no_release(void **state)
{
	(void)state;
	begin_running(leased);
	IN(PLAN_ENDED, NO_CODE, "hard-stop");
	IN(PLAN_TREE_DEAD, NO_CODE, "drop exit:75");
}

static void a_store_that_can_not_go_on_ends_even_a_stay_and_gives_its_reason(void **state)
{
	(void)state;
	begin_running(leased_staying);
	IN(PLAN_LOST, NO_CODE, "hard-stop");
	IN(PLAN_TREE_DEAD, NO_CODE, "release");
	IN(PLAN_ENDED, 78, "drop exit:78");
}

static void a_tenure_that_was_over_before_it_was_seen_is_75_or_tried_again_after_a_pause(void **state)
{
	(void)state;
	begin(leased);
	IN(PLAN_ENDED, NO_CODE, "drop exit:75");
	begin(leased_staying);
	IN(PLAN_ENDED, NO_CODE, "drop");
	NEXT_IN(1000 * MS);
	AFTER(1000 * MS, "campaign");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_program_that_ends_is_proven_dead_then_released_then_its_code_returned),
		cmocka_unit_test(a_program_ended_by_a_signal_gives_128_and_the_signal),
		cmocka_unit_test(a_wait_that_runs_out_tells_whether_the_store_answered),
		cmocka_unit_test(one_attempt_is_over_when_the_store_says_that_another_leads),
		cmocka_unit_test(a_wait_of_any_length_ends_with_leadership),
		cmocka_unit_test(a_signal_while_waiting_ends_the_wait),
		cmocka_unit_test(sigterm_gives_grace_and_then_the_hard_stop),
		cmocka_unit_test(a_program_that_ends_in_its_grace_gives_its_own_code),
		cmocka_unit_test(a_second_stop_signal_kills_at_once),
		cmocka_unit_test(ctrl_c_has_reached_the_program_so_that_sigterm_comes_in_mid_grace),
		cmocka_unit_test(other_signals_are_passed_on_unless_the_terminal_did),
		cmocka_unit_test(without_grace_the_stop_is_hard),
		cmocka_unit_test(a_signal_before_the_program_ran_ends_without_running_it),
		cmocka_unit_test(leadership_that_is_lost_ends_the_program_at_once_and_releases_nothing),
		cmocka_unit_test(leadership_that_is_lost_before_the_start_starts_nothing),
		cmocka_unit_test(leadership_that_is_lost_in_the_grace_cuts_it_short),
		cmocka_unit_test(asked_to_hand_over_it_stops_softly_and_gives_75),
		cmocka_unit_test(a_stop_signal_during_a_hand_over_ends_the_stay),
		cmocka_unit_test(a_warden_that_was_killed_is_replaced_by_the_supervisors_own_proof),
		cmocka_unit_test(a_warden_that_does_not_answer_is_killed),
		cmocka_unit_test(a_warden_that_does_not_report_inits_end_is_killed),
		cmocka_unit_test(a_warden_that_says_that_it_proves_is_left_alone_and_an_alarm_is_raised),
		cmocka_unit_test(nothing_is_released_while_the_supervisor_cannot_prove_the_death),
		cmocka_unit_test(an_init_that_was_killed_counts_as_a_program_that_was),
		cmocka_unit_test(a_program_that_cannot_be_executed_gives_its_code_even_with_stay),
		cmocka_unit_test(a_tree_that_cannot_be_made_releases_at_once),
		cmocka_unit_test(a_tree_that_cannot_be_recorded_is_ended_before_the_release),
		cmocka_unit_test(a_warden_that_never_reports_is_killed),
		cmocka_unit_test(a_candidacy_that_fails_gives_its_code),
		cmocka_unit_test(a_release_that_is_not_answered_does_not_keep_us),
		cmocka_unit_test(staying_it_backs_off_from_1_to_60_seconds_while_the_program_fails_at_once),
		cmocka_unit_test(a_program_that_the_terminal_stopped_stops_the_supervisor_where_the_lease_has_no_end),
		cmocka_unit_test(no_order_of_inputs_releases_before_the_proof),
		cmocka_unit_test(a_lease_at_risk_is_a_soft_stop_and_its_end_the_hard_one),
		cmocka_unit_test(a_soft_stop_that_has_begun_is_not_taken_back_by_a_renewal),
		cmocka_unit_test(a_program_that_obeys_the_soft_stop_gives_75_all_the_same),
		cmocka_unit_test(without_a_grace_a_lease_at_risk_is_a_hard_stop),
		cmocka_unit_test(a_grace_that_began_for_another_reason_ends_with_the_lease),
		cmocka_unit_test(a_tenure_that_begins_at_risk_waits_for_its_first_renewal),
		cmocka_unit_test(a_renewal_before_the_tree_stands_starts_nothing),
		cmocka_unit_test(a_tenure_that_ends_before_its_first_renewal_never_starts_the_program),
		cmocka_unit_test(a_lost_lease_is_released_only_after_the_proof_and_then_stay_campaigns_again),
		cmocka_unit_test(a_lease_that_the_store_ended_itself_needs_no_release),
		cmocka_unit_test(a_store_that_can_not_go_on_ends_even_a_stay_and_gives_its_reason),
		cmocka_unit_test(a_tenure_that_was_over_before_it_was_seen_is_75_or_tried_again_after_a_pause),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
