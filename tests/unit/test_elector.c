/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Transcripts in virtual time. A line is an input at an instant and what has to follow from it: each change of state as
 * "from>to by CAUSE TOKEN/DEADLINE", then what the client must do; "ignored"; or "nothing".
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/buf.h"
#include "elector/elector.h"
#include "elector/lease.h"
#include "elector/state.h"

struct line {
	struct elector_input in;
	const char *want;
};

#define AT(now, what, ...)                                                                                             \
	{                                                                                                              \
		.kind = ELECTOR_##what, .now_ns = (uint64_t)(now), __VA_ARGS__                                         \
	}
#define GRANT(now, t, until)                                                                                           \
	{                                                                                                              \
		.kind = ELECTOR_GRANTED, .now_ns = (now), .token = (uint64_t)(t), .deadline_ns = (until)               \
	}
#define RENEW(now, until)                                                                                              \
	{                                                                                                              \
		.kind = ELECTOR_RENEWED, .now_ns = (now), .deadline_ns = (until)                                       \
	}
#define FAIL(now, why)                                                                                                 \
	{                                                                                                              \
		.kind = ELECTOR_FAILED, .now_ns = (now), .code = (why)                                                 \
	}

static void render_notice(struct buf *b, const struct elector_notice *n)
{
	buf_text(b, state_name(n->from));
	buf_char(b, '>');
	buf_text(b, state_name(n->to));
	if (n->cause) {
		buf_text(b, " by ");
		buf_text(b, state_cause_name(n->cause));
	}
	if (n->token > 0) {
		buf_char(b, ' ');
		buf_u64(b, n->token);
		buf_char(b, '/');
		buf_u64(b, n->deadline_ns);
	}
	buf_char(b, ' ');
}

static void render(const struct elector_output *out, char *text, size_t room)
{
	static const char *const actions[] = {
		"END_PAGE ", "OPEN_PAGE ", "EXTEND_PAGE ", "JOIN ", "LEAVE ", "RELEASE "
	};
	struct buf b;

	buf_init(&b, text, room);
	for (unsigned i = 0; i < out->n_notices; i++)
		render_notice(&b, &out->notices[i]);
	for (size_t i = 0; i < sizeof actions / sizeof actions[0]; i++)
		if (out->actions & (1u << i))
			buf_text(&b, actions[i]);
	if (out->ignored)
		buf_text(&b, "ignored ");
	else if (b.used == 0)
		buf_text(&b, "nothing ");
	text[b.used - 1] = '\0';
}

static void play_lines(struct elector *e, const struct line *lines, size_t n_lines)
{
	for (size_t i = 0; i < n_lines; i++) {
		struct elector_output out;
		char text[512];

		elector_step(e, &lines[i].in, &out);
		render(&out, text, sizeof text);
		if (strcmp(text, lines[i].want) != 0)
			fail_msg("line %zu, at %llu: '%s' and not '%s'", i + 1, (unsigned long long)lines[i].in.now_ns,
			         text, lines[i].want);
		for (unsigned k = 0; k < out.n_notices; k++)
			assert_int_equal(out.notices[k].at_ns, lines[i].in.now_ns);
	}
}
#define PLAY(e, ...)                                                                                                   \
	play_lines(e, (const struct line[]) { __VA_ARGS__ },                                                           \
	           sizeof((const struct line[]) { __VA_ARGS__ }) / sizeof(struct line))

/* A candidacy that leads with token 7 until 100; AT_RISK from 80 on. */
static struct elector leader(bool once)
{
	struct elector e;

	elector_init(&e, once, 20);
	PLAY(&e, { AT(1, REACHED), "connecting>waiting JOIN" }, { AT(2, CONTEND), "waiting>contending" },
	     { GRANT(3, 7, 100), "contending>leading by election 7/100 OPEN_PAGE" });
	return e;
}

static void one_tenure_from_joining_to_a_release_and_back_in_line(void **state)
{
	struct elector e;

	(void)state;
	elector_init(&e, false, 20);
	assert_int_equal(elector_next_ns(&e), LEASE_NS_NEVER);
	PLAY(&e, { AT(10, REACHED), "connecting>waiting JOIN" }, { AT(11, REACHED), "ignored" },
	     { AT(20, CONTEND), "waiting>contending" }, { AT(21, QUEUED), "contending>waiting" },
	     { AT(22, QUEUED), "ignored" }, { AT(30, CONTEND), "waiting>contending" },
	     { GRANT(40, 7, 140), "contending>leading by election 7/140 OPEN_PAGE" }, { RENEW(60, 160), "EXTEND_PAGE" },
	     { AT(70, RESIGN), "leading>stepping-down by resign 7/160 END_PAGE RELEASE" },
	     { AT(71, RESIGN), "ignored" }, { RENEW(72, 200), "ignored" },
	     { AT(80, RELEASED), "stepping-down>waiting by resign 7/0 JOIN" }, { AT(81, RELEASED), "ignored" },
	     { AT(90, CONTEND), "waiting>contending" },
	     { GRANT(95, 9, 190), "contending>leading by election 9/190 OPEN_PAGE" });
	assert_int_equal(e.token, 9);
	assert_int_equal(e.deadline_ns, 190);
}

static void a_hand_over_is_told_as_such_on_both_sides(void **state)
{
	struct elector e = leader(false);

	(void)state;
	PLAY(&e,
	     { AT(10, RESIGN, .cause = TENURE_BY_TRANSFER),
	       "leading>stepping-down by transfer 7/100 END_PAGE RELEASE" },
	     { AT(11, RELEASED), "stepping-down>waiting by transfer 7/0 JOIN" },
	     { AT(12, GRANTED, .token = 8, .deadline_ns = 112, .cause = TENURE_BY_TRANSFER),
	       "waiting>leading by transfer 8/112 OPEN_PAGE" });
}

static void notice_comes_before_the_deadline_and_a_renewal_takes_it_back(void **state)
{
	struct elector e = leader(false);

	(void)state;
	assert_int_equal(elector_next_ns(&e), 80);
	PLAY(&e, { AT(79, TICK), "nothing" }, { AT(80, TICK), "leading>at-risk 7/100" });
	assert_int_equal(elector_next_ns(&e), 100);
	PLAY(&e, { AT(81, TICK), "nothing" }, { RENEW(82, 100), "ignored" }, { RENEW(83, 90), "ignored" },
	     { RENEW(84, 103), "EXTEND_PAGE" }, /* the notice, at 83, is still behind us */
	     { RENEW(85, 150), "at-risk>leading 7/150 EXTEND_PAGE" }, { RENEW(86, 120), "ignored" });
	assert_int_equal(e.deadline_ns, 150);
	assert_int_equal(elector_next_ns(&e), 130);
}

static void notice_is_given_by_whatever_input_comes_first(void **state)
{
	struct elector e = leader(false);

	(void)state;
	PLAY(&e, { AT(85, UNREACHED), "leading>at-risk 7/100" }, { AT(86, UNREACHED), "ignored" });
}

static void a_grant_inside_the_notice_begins_at_risk(void **state)
{
	struct elector e;

	(void)state;
	elector_init(&e, false, 50);
	PLAY(&e, { AT(1, REACHED), "connecting>waiting JOIN" },
	     { GRANT(60, 7, 100), "waiting>leading by election 7/100 leading>at-risk 7/100 OPEN_PAGE" });
}

static void without_a_notice_the_deadline_is_the_next_instant(void **state)
{
	struct elector e;

	(void)state;
	elector_init(&e, false, 0);
	PLAY(&e, { AT(1, REACHED), "connecting>waiting JOIN" },
	     { GRANT(60, 7, 100), "waiting>leading by election 7/100 OPEN_PAGE" });
	assert_int_equal(elector_next_ns(&e), 100);
	PLAY(&e, { AT(99, TICK), "nothing" },
	     { AT(100, TICK), "leading>stepping-down by expiry 7/100 END_PAGE RELEASE" });
	assert_int_equal(elector_next_ns(&e), LEASE_NS_NEVER);
}

static void an_endless_lease_has_no_next_instant_and_no_expiry(void **state)
{
	struct elector e;

	(void)state;
	elector_init(&e, false, 20);
	PLAY(&e, { AT(1, REACHED), "connecting>waiting JOIN" }, { AT(2, CONTEND), "waiting>contending" },
	     { GRANT(3, 7, LEASE_NS_NEVER), "contending>leading by election 7/18446744073709551615 OPEN_PAGE" },
	     { AT(UINT64_MAX - 1, TICK), "nothing" });
	assert_int_equal(elector_next_ns(&e), LEASE_NS_NEVER);
}

static void a_lapse_is_final_and_a_late_renewal_revives_nothing(void **state)
{
	struct elector e = leader(false), f = leader(false);

	(void)state;
	PLAY(&e, { RENEW(100, 200), "leading>stepping-down by expiry 7/100 END_PAGE RELEASE" },
	     { RENEW(101, 300), "ignored" }, { GRANT(102, 7, 300), "ignored" },
	     { AT(110, RELEASED), "stepping-down>waiting by expiry 7/0 JOIN" }, { RENEW(111, 300), "ignored" });
	PLAY(&f, { AT(90, TICK), "leading>at-risk 7/100" }, { RENEW(99, 101), "EXTEND_PAGE" },
	     { RENEW(500, 900), "at-risk>stepping-down by expiry 7/101 END_PAGE RELEASE" });
}

static void an_input_that_comes_with_the_lapse_is_judged_after_it(void **state)
{
	struct elector lost = leader(false), once = leader(true), freed = leader(false), early = leader(false),
	               resigned = leader(false);

	(void)state;
	/* nothing is left to be released, so nothing is */
	PLAY(&lost, { AT(100, LOST),
	              "leading>stepping-down by expiry 7/100 stepping-down>waiting by expiry 7/0 END_PAGE JOIN" });
	PLAY(&once,
	     { AT(100, LOST), "leading>stepping-down by expiry 7/100 stepping-down>ended by expiry 7/0 END_PAGE" });
	PLAY(&freed, { AT(100, WITHDRAW), "leading>stepping-down by expiry 7/100 END_PAGE RELEASE" },
	     { AT(101, RELEASED), "stepping-down>ended by expiry 7/0" });
	/* it can't be the answer to a release that has not been asked for yet */
	PLAY(&early, { AT(100, RELEASED), "leading>stepping-down by expiry 7/100 END_PAGE RELEASE" },
	     { AT(101, RELEASED), "stepping-down>waiting by expiry 7/0 JOIN" });
	PLAY(&resigned, { AT(100, RESIGN), "leading>stepping-down by expiry 7/100 END_PAGE RELEASE" });
}

static void what_the_store_takes_away_ends_the_page_first_and_goes_to_the_end_of_the_queue(void **state)
{
	struct elector e = leader(false), f = leader(true);

	(void)state;
	PLAY(&e, { AT(10, LOST), "leading>waiting by store 7/100 END_PAGE JOIN" }, { AT(11, LOST), "ignored" },
	     { GRANT(12, 8, 112), "waiting>leading by election 8/112 OPEN_PAGE" },
	     { AT(92, TICK), "leading>at-risk 8/112" },
	     { AT(93, LOST, .cause = TENURE_BY_EXPIRY), "at-risk>waiting by expiry 8/112 END_PAGE JOIN" });
	PLAY(&f, { AT(10, LOST), "leading>ended by store 7/100 END_PAGE" });
	assert_int_equal(f.end_code, 0);
}

static void once_ends_after_the_first_tenure_however_it_ends(void **state)
{
	struct elector resigned = leader(true), expired = leader(true), unhealthy = leader(true);

	(void)state;
	PLAY(&resigned, { AT(10, RESIGN), "leading>stepping-down by resign 7/100 END_PAGE RELEASE" },
	     { AT(11, RELEASED), "stepping-down>ended by resign 7/0" });
	PLAY(&expired, { AT(100, TICK), "leading>stepping-down by expiry 7/100 END_PAGE RELEASE" },
	     { AT(101, RELEASED), "stepping-down>ended by expiry 7/0" });
	PLAY(&unhealthy, { AT(10, INELIGIBLE), "leading>stepping-down by health 7/100 END_PAGE RELEASE" },
	     { AT(11, RELEASED), "stepping-down>ended by health 7/0" });
	assert_int_equal(resigned.end_code, 0);
}

static void once_is_not_used_up_by_a_grant_that_was_never_believed(void **state)
{
	struct elector e;

	(void)state;
	elector_init(&e, true, 0);
	PLAY(&e, { AT(1, REACHED), "connecting>waiting JOIN" },
	     { GRANT(50, 7, 50), "waiting>stepping-down by expiry 7/0 RELEASE" }, /* it had lapsed before it arrived */
	     { AT(51, RELEASED), "stepping-down>waiting by expiry 7/0 JOIN" },
	     { GRANT(52, 8, 100), "waiting>leading by election 8/100 OPEN_PAGE" });
}

static void a_closed_health_gate_resigns_and_stays_out_until_it_opens(void **state)
{
	struct elector e = leader(false);

	(void)state;
	PLAY(&e, { AT(10, INELIGIBLE), "leading>stepping-down by health 7/100 END_PAGE RELEASE" },
	     { AT(11, INELIGIBLE), "ignored" }, { AT(12, RELEASED), "stepping-down>waiting by health 7/0" },
	     { AT(13, CONTEND), "ignored" }, { AT(20, ELIGIBLE), "JOIN" }, { AT(21, ELIGIBLE), "ignored" },
	     { AT(22, CONTEND), "waiting>contending" }, { AT(23, INELIGIBLE), "contending>waiting by health LEAVE" },
	     { AT(24, ELIGIBLE), "JOIN" }, { AT(25, INELIGIBLE), "LEAVE" });
}

static void a_gate_that_opens_while_stepping_down_joins_after_the_release(void **state)
{
	struct elector e = leader(false);

	(void)state;
	PLAY(&e, { AT(10, INELIGIBLE), "leading>stepping-down by health 7/100 END_PAGE RELEASE" },
	     { AT(11, ELIGIBLE), "nothing" }, { AT(12, RELEASED), "stepping-down>waiting by health 7/0 JOIN" });
}

static void a_grant_to_one_who_is_not_eligible_is_released_unbelieved(void **state)
{
	struct elector e;

	(void)state;
	elector_init(&e, false, 0);
	PLAY(&e, { AT(1, INELIGIBLE), "nothing" }, { AT(2, REACHED), "connecting>waiting" },
	     { GRANT(3, 7, 100), "waiting>stepping-down by health 7/0 RELEASE" },
	     { AT(4, RELEASED), "stepping-down>waiting by health 7/0" }, { AT(5, ELIGIBLE), "JOIN" },
	     { AT(6, CONTEND), "waiting>contending" }, { AT(7, INELIGIBLE), "contending>waiting by health LEAVE" },
	     { GRANT(8, 8, 100), "waiting>stepping-down by health 8/0 RELEASE" });
}

static void a_place_in_the_queue_is_asked_for_again_after_the_store_was_out_of_reach(void **state)
{
	struct elector e, f;

	(void)state;
	elector_init(&e, false, 0);
	PLAY(&e, { AT(1, UNREACHED), "ignored" }, { AT(2, REACHED), "connecting>waiting JOIN" },
	     { AT(3, UNREACHED), "waiting>connecting" }, { AT(4, CONTEND), "ignored" },
	     { AT(5, REACHED), "connecting>waiting JOIN" }, { AT(6, CONTEND), "waiting>contending" },
	     { AT(7, UNREACHED), "contending>connecting" });
	f = e;
	/* the store may have kept the place, and may even grant from there */
	PLAY(&e, { AT(8, INELIGIBLE), "LEAVE" }, { AT(9, REACHED), "connecting>waiting" });
	PLAY(&f, { GRANT(8, 7, 100), "connecting>leading by election 7/100 OPEN_PAGE" });
}

static void a_store_out_of_reach_changes_nothing_while_leading(void **state)
{
	struct elector e = leader(false);

	(void)state;
	PLAY(&e, { AT(10, UNREACHED), "ignored" }, { AT(11, REACHED), "ignored" },
	     { AT(100, TICK), "leading>stepping-down by expiry 7/100 END_PAGE RELEASE" },
	     { AT(101, UNREACHED), "ignored" }, { AT(102, RELEASED), "stepping-down>waiting by expiry 7/0 JOIN" },
	     { AT(103, UNREACHED), "waiting>connecting" });
}

static void withdrawing_while_leading_releases_first_and_then_ends(void **state)
{
	struct elector e = leader(false);

	(void)state;
	PLAY(&e, { AT(10, WITHDRAW), "leading>stepping-down by resign 7/100 END_PAGE RELEASE" },
	     { AT(11, WITHDRAW), "ignored" }, { AT(12, RELEASED), "stepping-down>ended by resign 7/0" });
	assert_int_equal(e.end_code, 0);
}

static void withdrawing_where_nothing_is_held_ends_at_once(void **state)
{
	struct elector connecting, waiting, contending, unseen, stepping = leader(false);

	(void)state;
	elector_init(&connecting, false, 0);
	waiting = connecting;
	PLAY(&waiting, { AT(1, REACHED), "connecting>waiting JOIN" });
	contending = unseen = waiting;
	PLAY(&contending, { AT(2, CONTEND), "waiting>contending" });
	PLAY(&unseen, { AT(2, UNREACHED), "waiting>connecting" });
	PLAY(&connecting, { AT(3, WITHDRAW), "connecting>ended by resign" });
	PLAY(&waiting, { AT(3, WITHDRAW), "waiting>ended by resign LEAVE" });
	PLAY(&contending, { AT(3, WITHDRAW), "contending>ended by resign LEAVE" });
	PLAY(&unseen, { AT(3, WITHDRAW), "connecting>ended by resign LEAVE" });
	PLAY(&stepping, { AT(10, RESIGN), "leading>stepping-down by resign 7/100 END_PAGE RELEASE" },
	     { AT(11, WITHDRAW), "nothing" }, { AT(12, RELEASED), "stepping-down>ended by resign 7/0" });
}

static void a_grant_that_crosses_the_end_is_released_and_the_end_stays(void **state)
{
	struct elector e;

	(void)state;
	elector_init(&e, false, 0);
	PLAY(&e, { AT(1, REACHED), "connecting>waiting JOIN" }, { AT(2, CONTEND), "waiting>contending" },
	     { AT(3, WITHDRAW), "contending>ended by resign LEAVE" }, { GRANT(4, 7, 100), "RELEASE" },
	     { AT(5, RELEASED), "ignored" }, { AT(6, REACHED), "ignored" }, { AT(7, ELIGIBLE), "ignored" },
	     { FAIL(8, TENURE_EIO), "ignored" });
	assert_int_equal(e.state, TENURE_ENDED);
	assert_int_equal(e.end_code, 0);
	assert_int_equal(e.token, 0);
}

static void a_grant_while_stepping_down_is_released_too(void **state)
{
	struct elector e = leader(false);

	(void)state;
	PLAY(&e, { AT(10, RESIGN), "leading>stepping-down by resign 7/100 END_PAGE RELEASE" },
	     { GRANT(11, 7, 200), "ignored" }, { GRANT(12, 8, 200), "RELEASE" },
	     { AT(13, RELEASED, .token = 7), "ignored" }, /* there is still 8 */
	     { AT(14, RELEASED, .token = 8), "stepping-down>waiting by resign 8/0 JOIN" },
	     { GRANT(15, 8, 200), "waiting>stepping-down by store 8/0 RELEASE" }); /* 8 was had, if not believed */
}

static void a_token_that_does_not_rise_is_never_believed_and_ends_it(void **state)
{
	static const uint64_t bad[] = { 0, 6, 7, (uint64_t)INT64_MAX + 1, UINT64_MAX };

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct elector e = leader(false);
		struct elector_output out;

		PLAY(&e, { AT(10, LOST), "leading>waiting by store 7/100 END_PAGE JOIN" },
		     { AT(11, CONTEND), "waiting>contending" });
		elector_step(&e, &(struct elector_input)GRANT(12, bad[i], 200), &out);
		assert_int_equal(out.actions, ELECTOR_DO_RELEASE);
		assert_int_equal(e.state, TENURE_STEPPING_DOWN);
		assert_int_equal(e.end_code, TENURE_EPROTO);
		assert_int_equal(e.last_token, 7);
		elector_step(&e, &(struct elector_input)AT(13, RELEASED), &out);
		assert_int_equal(e.state, TENURE_ENDED);
		assert_int_equal(e.end_code, TENURE_EPROTO);
	}
}

static void a_second_grant_while_leading_ends_belief_unless_it_is_late_or_repeated(void **state)
{
	struct elector e = leader(false);

	(void)state;
	PLAY(&e, { GRANT(10, 7, 200), "ignored" }, { GRANT(11, 6, 200), "ignored" },
	     { GRANT(12, 8, 200), "leading>stepping-down by store 7/100 END_PAGE RELEASE" },
	     { AT(13, RELEASED), "stepping-down>ended by store 8/0" });
	assert_int_equal(e.end_code, TENURE_EPROTO);
}

static void what_names_another_tenure_is_ignored(void **state)
{
	struct elector e = leader(false);

	(void)state;
	PLAY(&e, { AT(10, RENEWED, .token = 6, .deadline_ns = 200), "ignored" },
	     { AT(11, LOST, .token = 6), "ignored" },
	     { AT(12, RENEWED, .token = 7, .deadline_ns = 200), "EXTEND_PAGE" },
	     { AT(13, LOST, .token = 7), "leading>waiting by store 7/200 END_PAGE JOIN" });
}

static void a_failure_of_the_store_ends_after_a_release_or_at_once(void **state)
{
	struct elector leading = leader(false), waiting, defect;

	(void)state;
	PLAY(&leading, { FAIL(10, TENURE_EFOREIGN), "leading>stepping-down by store 7/100 END_PAGE RELEASE" },
	     { FAIL(11, TENURE_EIO), "ignored" }, { AT(12, WITHDRAW), "nothing" },
	     { AT(13, RELEASED), "stepping-down>ended by store 7/0" });
	assert_int_equal(leading.end_code, TENURE_EFOREIGN);
	elector_init(&waiting, false, 0);
	defect = waiting;
	PLAY(&waiting, { AT(1, REACHED), "connecting>waiting JOIN" },
	     { FAIL(2, TENURE_EDENIED), "waiting>ended by store LEAVE" });
	assert_int_equal(waiting.end_code, TENURE_EDENIED);
	PLAY(&defect, { FAIL(2, 0), "connecting>ended by store" }); /* a failure has a code */
	assert_int_equal(defect.end_code, TENURE_EINTERNAL);
}

static void a_failure_while_stepping_down_ends_instead_of_going_back_in_line(void **state)
{
	struct elector e = leader(false);

	(void)state;
	PLAY(&e, { AT(10, RESIGN), "leading>stepping-down by resign 7/100 END_PAGE RELEASE" },
	     { FAIL(11, TENURE_EIO), "nothing" }, { AT(12, RELEASED), "stepping-down>ended by resign 7/0" });
	assert_int_equal(e.end_code, TENURE_EIO);
}

static void an_input_of_no_known_kind_is_ignored(void **state)
{
	struct elector e = leader(false);
	struct elector_output out;

	(void)state;
	for (int kind = -1; kind < 40; kind = kind == 0 ? ELECTOR_FAILED + 1 : kind + 1) {
		elector_step(&e, &(struct elector_input) { .kind = (enum elector_input_kind)kind, .now_ns = 9 }, &out);
		assert_true(out.ignored);
		assert_int_equal(out.actions, 0);
	}
}

/*
 * Every input in every state: the state that follows, '.' where the input is ignored, and '=' where it changes the
 * candidacy but not its state. Time stands well before the notice; the grant rises.
 */
static void every_input_in_every_state_leads_where_this_table_says(void **state)
{
	static const char rows[7][ELECTOR_FAILED + 1] = {
		/* RE UN QU CO GR RN LO RS RL EL IN TI WI FA */
		"W...L.....==EE", /* connecting */
		".C.TL.....==EE", /* waiting */
		".CW.L.....W=EE", /* contending */
		".....=WS..S=SS", /* leading */
		".....LWS..S=SS", /* at risk */
		"....=.W.W.====", /* stepping down */
		"....=......=..", /* ended */
	};
	static const char letters[] = "CWTLRSE";

	(void)state;
	for (unsigned row = 0; row < 7; row++) {
		for (int kind = ELECTOR_REACHED; kind <= ELECTOR_FAILED; kind++) {
			struct elector e = { .state = (enum tenure_state)(1u << row), .eligible = true };
			struct elector_output out;
			enum tenure_state before = e.state;
			struct elector_input in = { .kind = (enum elector_input_kind)kind,
				                    .now_ns = 10,
				                    .deadline_ns = 500,
				                    .token = kind == ELECTOR_GRANTED ? 8 : 0,
				                    .code = TENURE_EIO };
			char want = rows[row][kind - 1], got;

			e.joined = e.state == TENURE_WAITING || e.state == TENURE_CONTENDING;
			e.deadline_ns = state_believes(e.state) ? 100 : 0;
			e.token = state_believes(e.state) || e.state == TENURE_STEPPING_DOWN ? 7 : 0;
			e.last_token = 7;
			if (e.state == TENURE_AT_RISK)
				e.notice_ns = 95;
			if (kind == ELECTOR_GRANTED && state_believes(e.state))
				in.token = 7; /* the greater one has its own transcript */
			elector_step(&e, &in, &out);
			got = '?';
			for (unsigned i = 0; i < 7; i++)
				if (e.state == (enum tenure_state)(1u << i))
					got = letters[i];
			if (e.state == before)
				got = out.ignored ? '.' : '=';
			if (got != want)
				fail_msg("%s, input %d: '%c' and not '%c'", state_name(before), kind, got, want);
		}
	}
}

/* Steps a broken candidacy in a child, whose message about it is not shown: how did it end? */
static int signal_of_step(struct elector e, struct elector_input in)
{
	struct elector_output out;
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		(void)close(STDERR_FILENO);
		elector_step(&e, &in, &out);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void a_broken_invariant_stops_the_process_at_once(void **state)
{
	struct elector_input tick = AT(10, TICK);
	struct elector sound = leader(false), waiting_believes = { .state = TENURE_WAITING, .deadline_ns = 100 },
	               over_believes = { .state = TENURE_STEPPING_DOWN, .deadline_ns = 100 },
	               over_queues = { .state = TENURE_STEPPING_DOWN, .joined = true };

	(void)state;
	assert_int_equal(signal_of_step(sound, tick), 0);
	assert_int_equal(signal_of_step(waiting_believes, tick), SIGABRT);
	assert_int_equal(signal_of_step(over_believes, tick), SIGABRT);
	assert_int_equal(signal_of_step(over_queues, tick), SIGABRT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_tenure_from_joining_to_a_release_and_back_in_line),
		cmocka_unit_test(a_hand_over_is_told_as_such_on_both_sides),
		cmocka_unit_test(notice_comes_before_the_deadline_and_a_renewal_takes_it_back),
		cmocka_unit_test(notice_is_given_by_whatever_input_comes_first),
		cmocka_unit_test(a_grant_inside_the_notice_begins_at_risk),
		cmocka_unit_test(without_a_notice_the_deadline_is_the_next_instant),
		cmocka_unit_test(an_endless_lease_has_no_next_instant_and_no_expiry),
		cmocka_unit_test(a_lapse_is_final_and_a_late_renewal_revives_nothing),
		cmocka_unit_test(an_input_that_comes_with_the_lapse_is_judged_after_it),
		cmocka_unit_test(what_the_store_takes_away_ends_the_page_first_and_goes_to_the_end_of_the_queue),
		cmocka_unit_test(once_ends_after_the_first_tenure_however_it_ends),
		cmocka_unit_test(once_is_not_used_up_by_a_grant_that_was_never_believed),
		cmocka_unit_test(a_closed_health_gate_resigns_and_stays_out_until_it_opens),
		cmocka_unit_test(a_gate_that_opens_while_stepping_down_joins_after_the_release),
		cmocka_unit_test(a_grant_to_one_who_is_not_eligible_is_released_unbelieved),
		cmocka_unit_test(a_place_in_the_queue_is_asked_for_again_after_the_store_was_out_of_reach),
		cmocka_unit_test(a_store_out_of_reach_changes_nothing_while_leading),
		cmocka_unit_test(withdrawing_while_leading_releases_first_and_then_ends),
		cmocka_unit_test(withdrawing_where_nothing_is_held_ends_at_once),
		cmocka_unit_test(a_grant_that_crosses_the_end_is_released_and_the_end_stays),
		cmocka_unit_test(a_grant_while_stepping_down_is_released_too),
		cmocka_unit_test(a_token_that_does_not_rise_is_never_believed_and_ends_it),
		cmocka_unit_test(a_second_grant_while_leading_ends_belief_unless_it_is_late_or_repeated),
		cmocka_unit_test(what_names_another_tenure_is_ignored),
		cmocka_unit_test(a_failure_of_the_store_ends_after_a_release_or_at_once),
		cmocka_unit_test(a_failure_while_stepping_down_ends_instead_of_going_back_in_line),
		cmocka_unit_test(an_input_of_no_known_kind_is_ignored),
		cmocka_unit_test(every_input_in_every_state_leads_where_this_table_says),
		cmocka_unit_test(a_broken_invariant_stops_the_process_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
