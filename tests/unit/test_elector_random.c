/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random inputs against what has to hold whatever comes, kept by an observer that knows nothing of the elector's own
 * bookkeeping but what it tells: its state, its belief, its actions and its notices. A seed decides everything.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <string.h>
#include <cmocka.h>

#include "elector/elector.h"
#include "elector/lease.h"
#include "elector/state.h"

#define N_STATES 7
#define N_KINDS  ELECTOR_FAILED

struct observer {
	uint64_t seed, now_ns;
	uint64_t last_tenure; /* the token of the last tenure that was believed */
	uint64_t granted;     /* the highest token that was granted */
	bool over;            /* that tenure has ended */
	bool joined, left_in_doubt, owed;
	/* what was seen, over all candidacies of a seed */
	uint64_t inputs[N_STATES][N_KINDS + 1], changes[N_STATES][N_STATES], tenures, lapses, late_renewals, refusals;
};

static uint64_t draw(struct observer *o, uint64_t below)
{
	o->seed ^= o->seed << 13;
	o->seed ^= o->seed >> 7;
	o->seed ^= o->seed << 17;
	return (o->seed * 0x2545f4914f6cdd1dULL >> 33) % below;
}

static unsigned index_of(enum tenure_state state)
{
	for (unsigned i = 0; i < N_STATES; i++)
		if (state == (enum tenure_state)(1u << i))
			return i;
	fail_msg("no state: %u", (unsigned)state);
	return 0;
}

/* Mostly what a store would do next, so that every state is reached often; else anything. */
static enum elector_input_kind pick_kind(struct observer *o, enum tenure_state state)
{
	static const enum elector_input_kind likely[N_STATES][4] = {
		{ ELECTOR_REACHED, ELECTOR_REACHED, ELECTOR_REACHED, ELECTOR_GRANTED },
		{ ELECTOR_CONTEND, ELECTOR_CONTEND, ELECTOR_ELIGIBLE, ELECTOR_GRANTED },
		{ ELECTOR_GRANTED, ELECTOR_GRANTED, ELECTOR_QUEUED, ELECTOR_TICK },
		{ ELECTOR_RENEWED, ELECTOR_RENEWED, ELECTOR_TICK, ELECTOR_RESIGN },
		{ ELECTOR_RENEWED, ELECTOR_RENEWED, ELECTOR_TICK, ELECTOR_LOST },
		{ ELECTOR_RELEASED, ELECTOR_RELEASED, ELECTOR_TICK, ELECTOR_GRANTED },
		{ ELECTOR_RELEASED, ELECTOR_GRANTED, ELECTOR_TICK, ELECTOR_REACHED },
	};
	enum elector_input_kind kind = likely[index_of(state)][draw(o, 4)];

	if (draw(o, 4) == 0)
		kind = (enum elector_input_kind)(1 + draw(o, N_KINDS));
	if ((kind == ELECTOR_WITHDRAW || kind == ELECTOR_FAILED) && draw(o, 2) == 0)
		kind = ELECTOR_TICK; /* a candidacy should live for a while */
	return kind;
}

static struct elector_input pick(struct observer *o, const struct elector *e)
{
	struct elector_input in = { .kind = pick_kind(o, e->state), .now_ns = o->now_ns };

	if (in.kind == ELECTOR_GRANTED)
		in.token = draw(o, 32) ? o->granted + 1 + draw(o, 3) : o->granted - draw(o, o->granted < 3 ? 1 : 3);
	if (in.kind == ELECTOR_GRANTED && draw(o, 512) == 0)
		in.token = draw(o, 2) ? 0 : (uint64_t)INT64_MAX + draw(o, 3);
	if ((in.kind == ELECTOR_RENEWED || in.kind == ELECTOR_LOST || in.kind == ELECTOR_RELEASED) && draw(o, 3) == 0)
		in.token = draw(o, 4) ? e->token : o->granted - draw(o, o->granted < 2 ? 1 : 2);
	if (in.kind == ELECTOR_GRANTED || in.kind == ELECTOR_RENEWED)
		in.deadline_ns = draw(o, 64) ? o->now_ns + draw(o, 40) - draw(o, 4) : LEASE_NS_NEVER;
	in.cause = (enum tenure_cause)draw(o, 7);
	in.code = (int)draw(o, 24) - 23;
	return in;
}

static void observe_notices(struct observer *o, const struct elector *before, const struct elector *after,
                            const struct elector_output *out)
{
	enum tenure_state at = before->state;

	for (unsigned i = 0; i < out->n_notices; i++) {
		const struct elector_notice *n = &out->notices[i];

		assert_int_equal(n->from, at);
		assert_true(state_may_change(n->from, n->to));
		assert_int_equal(n->at_ns, o->now_ns);
		o->changes[index_of(n->from)][index_of(n->to)]++;
		at = n->to;
	}
	assert_int_equal(at, after->state);
}

static void observe_belief(struct observer *o, const struct elector *before, const struct elector *after,
                           const struct elector_output *out)
{
	bool believes = state_believes(after->state), believed = state_believes(before->state);
	bool began = believes && !believed, ended = believed && !believes;

	assert_int_equal(after->deadline_ns > 0, believes);
	assert_int_equal(!!(out->actions & ELECTOR_DO_OPEN_PAGE), began);
	assert_int_equal(!!(out->actions & ELECTOR_DO_END_PAGE), ended);
	if (believes) {
		assert_true(o->now_ns < after->deadline_ns); /* R20: never at or after the deadline */
		assert_true(after->eligible && !after->withdrawn && after->end_code == 0);
	}
	if (began) {
		assert_true(after->token > o->last_tenure); /* rises, so no tenure is ever resurrected */
		o->last_tenure = after->token;
		o->over = false;
		o->tenures++;
	}
	if (believes && believed) {
		assert_int_equal(after->token, o->last_tenure);
		assert_false(o->over);
		assert_true(after->deadline_ns >= before->deadline_ns);
		assert_int_equal(!!(out->actions & ELECTOR_DO_EXTEND_PAGE), after->deadline_ns > before->deadline_ns);
	} else {
		assert_false(out->actions & ELECTOR_DO_EXTEND_PAGE);
	}
	if (ended)
		o->over = true;
	o->lapses += believed && o->now_ns >= before->deadline_ns;
}

static void observe_queue(struct observer *o, const struct elector *before, const struct elector *after,
                          const struct elector_input *in, const struct elector_output *out)
{
	if (out->actions & ELECTOR_DO_JOIN) {
		assert_false(o->joined);
		assert_true(after->eligible && !after->withdrawn);
		assert_int_equal(after->state, TENURE_WAITING);
		o->joined = true;
		o->left_in_doubt = false;
	}
	if (out->actions & ELECTOR_DO_LEAVE) {
		assert_false(out->actions & ELECTOR_DO_JOIN);
		assert_true(o->joined || o->left_in_doubt);
		o->joined = o->left_in_doubt = false;
	}
	if (after->state == TENURE_CONNECTING && before->state != TENURE_CONNECTING) {
		o->left_in_doubt = o->joined;
		o->joined = false;
	}
	if (in->kind == ELECTOR_GRANTED && after->state != TENURE_ENDED && !out->ignored)
		o->joined = o->left_in_doubt = false;
	assert_int_equal(after->joined, o->joined);
	assert_int_equal(after->maybe_joined, o->left_in_doubt);
	/* who waits stands in line, who does not want to lead does not */
	if (after->state == TENURE_WAITING || after->state == TENURE_CONTENDING)
		assert_int_equal(o->joined, after->eligible);
	else
		assert_false(o->joined);
}

static void observe_release(struct observer *o, const struct elector *before, const struct elector *after,
                            const struct elector_input *in, const struct elector_output *out)
{
	if (out->actions & ELECTOR_DO_RELEASE) {
		assert_true(after->state == TENURE_STEPPING_DOWN || before->state == TENURE_ENDED);
		assert_false(out->actions & (ELECTOR_DO_JOIN | ELECTOR_DO_OPEN_PAGE));
		o->owed = after->state == TENURE_STEPPING_DOWN;
	}
	/* what is held leaves us by a release that was asked for, or because the store says that it is gone */
	if (before->state == TENURE_STEPPING_DOWN && after->state != TENURE_STEPPING_DOWN) {
		assert_true(o->owed && (in->kind == ELECTOR_RELEASED || in->kind == ELECTOR_LOST));
		o->owed = false;
	}
	if (state_believes(before->state) && (after->state == TENURE_WAITING || after->state == TENURE_ENDED)) {
		assert_int_equal(in->kind, ELECTOR_LOST);
		o->owed = false;
	}
	assert_int_equal(after->token > 0, state_believes(after->state) || (o->owed && after->token > 0));
	if (in->kind == ELECTOR_GRANTED && !state_believes(after->state) && in->token > o->granted &&
	    in->token != before->token) {
		assert_true(out->actions & ELECTOR_DO_RELEASE);
		o->refusals++;
	}
}

static void observe_end(const struct elector *before, const struct elector *after, const struct elector_input *in,
                        const struct elector_output *out)
{
	if (before->state == TENURE_ENDED) {
		assert_int_equal(after->state, TENURE_ENDED);
		assert_int_equal(out->actions, in->kind == ELECTOR_GRANTED ? ELECTOR_DO_RELEASE : 0);
		assert_int_equal(after->end_code, before->end_code);
	}
	if (after->state == TENURE_ENDED)
		assert_true(after->withdrawn || after->end_code < 0 || (after->once && after->served));
	if (out->ignored) {
		assert_int_equal(out->actions, 0);
		assert_int_equal(out->n_notices, 0);
		assert_true(after->token == before->token && after->deadline_ns == before->deadline_ns &&
		            after->last_token == before->last_token && after->end_code == before->end_code &&
		            after->eligible == before->eligible && after->withdrawn == before->withdrawn);
	}
}

static void observe_next(const struct observer *o, const struct elector *e)
{
	uint64_t next_ns = elector_next_ns(e);

	if (!state_believes(e->state)) {
		assert_int_equal(next_ns, LEASE_NS_NEVER);
		return;
	}
	assert_true(next_ns > o->now_ns && next_ns <= e->deadline_ns);
	if (e->state == TENURE_AT_RISK)
		assert_int_equal(next_ns, e->deadline_ns);
}

static void step_and_observe(struct observer *o, struct elector *e)
{
	struct elector before = *e;
	struct elector_input in = pick(o, e);
	struct elector_output out;

	o->inputs[index_of(e->state)][in.kind]++;
	o->late_renewals += in.kind == ELECTOR_RENEWED && state_believes(e->state) && o->now_ns >= e->deadline_ns &&
	                    in.deadline_ns > o->now_ns;
	elector_step(e, &in, &out);
	observe_notices(o, &before, e, &out);
	observe_belief(o, &before, e, &out);
	observe_queue(o, &before, e, &in, &out);
	observe_release(o, &before, e, &in, &out);
	observe_end(&before, e, &in, &out);
	observe_next(o, e);
	if (in.kind == ELECTOR_GRANTED && in.token > o->granted && in.token <= TENURE_TOKEN_MAX)
		o->granted = in.token;
}

static void begin(struct observer *o, struct elector *e)
{
	elector_init(e, draw(o, 4) == 0, draw(o, 3) * 10);
	o->last_tenure = o->granted = 0;
	o->over = o->joined = o->left_in_doubt = o->owed = false;
}

static void run_seed(struct observer *o, unsigned n_inputs)
{
	struct elector e;
	unsigned after_end = 0;

	o->now_ns = 1000;
	begin(o, &e);
	for (unsigned i = 0; i < n_inputs; i++) {
		o->now_ns += draw(o, 16) ? draw(o, 4) : draw(o, 60);
		step_and_observe(o, &e);
		after_end += e.state == TENURE_ENDED;
		if (after_end > 30) {
			after_end = 0;
			begin(o, &e);
		}
	}
}

static void require_coverage(const struct observer *o)
{
	for (unsigned s = 0; s < N_STATES; s++) {
		for (unsigned k = 1; k <= N_KINDS; k++)
			if (o->inputs[s][k] < 10)
				fail_msg("input %u in %s: only %u times", k, state_name((enum tenure_state)(1u << s)),
				         (unsigned)o->inputs[s][k]);
		/* the table allows nothing that never happens */
		for (unsigned to = 0; to < N_STATES; to++)
			if (state_may_change((enum tenure_state)(1u << s), (enum tenure_state)(1u << to)) &&
			    o->changes[s][to] == 0)
				fail_msg("never %s -> %s", state_name((enum tenure_state)(1u << s)),
				         state_name((enum tenure_state)(1u << to)));
	}
	assert_true(o->tenures > 1000);
	assert_true(o->lapses > 100);
	assert_true(o->late_renewals > 50);
	assert_true(o->refusals > 100);
}

static void two_hundred_thousand_random_inputs_break_no_invariant_on_any_seed(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 6; seed++) {
		struct observer o = { .seed = seed * 0x9e3779b97f4a7c15ULL };

		run_seed(&o, 200000);
		require_coverage(&o);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_hundred_thousand_random_inputs_break_no_invariant_on_any_seed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
