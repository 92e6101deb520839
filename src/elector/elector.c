/* SPDX-License-Identifier: Apache-2.0 */
#include "elector/elector.h"

#include "base/check.h"
#include "elector/lease.h"
#include "elector/state.h"

/* The one place where the state changes (E4), and where it is told. */
static void elector_move(struct elector *e, enum tenure_state to, enum tenure_cause cause, uint64_t now_ns,
                         struct elector_output *out)
{
	CHECK(state_may_change(e->state, to));
	CHECK(out->n_notices < ELECTOR_MAX_NOTICES);
	out->notices[out->n_notices++] = (struct elector_notice) {
		.from = e->state,
		.to = to,
		.cause = cause,
		.at_ns = now_ns,
		.token = e->token,
		.deadline_ns = e->deadline_ns,
	};
	e->state = to;
}

static bool elector_is_idle(const struct elector *e)
{
	return e->state == TENURE_CONNECTING || e->state == TENURE_WAITING || e->state == TENURE_CONTENDING;
}

static void elector_join(struct elector *e, struct elector_output *out)
{
	CHECK(!e->joined);
	if (!e->eligible)
		return;
	e->joined = true;
	e->maybe_joined = false;
	out->actions |= ELECTOR_DO_JOIN;
}

static void elector_leave(struct elector *e, struct elector_output *out)
{
	if (e->joined || e->maybe_joined)
		out->actions |= ELECTOR_DO_LEAVE;
	e->joined = e->maybe_joined = false;
}

static void elector_end_belief(struct elector *e, struct elector_output *out)
{
	if (state_believes(e->state))
		out->actions |= ELECTOR_DO_END_PAGE;
}

/* Belief is over before anything is released: nobody else can have it earlier. */
static void elector_step_down(struct elector *e, enum tenure_cause cause, uint64_t now_ns, struct elector_output *out)
{
	elector_end_belief(e, out);
	out->actions |= ELECTOR_DO_RELEASE;
	elector_move(e, TENURE_STEPPING_DOWN, cause, now_ns, out);
	e->deadline_ns = 0;
	e->over_by = cause;
}

/* Nothing is held any more: back in line, at its end, or the end of it all. */
static void elector_rest(struct elector *e, enum tenure_cause cause, uint64_t now_ns, struct elector_output *out)
{
	bool ends = e->withdrawn || e->end_code != 0 || (e->once && e->served);

	elector_end_belief(e, out);
	out->actions &= ~(unsigned)ELECTOR_DO_RELEASE;
	elector_move(e, ends ? TENURE_ENDED : TENURE_WAITING, cause, now_ns, out);
	e->deadline_ns = 0;
	e->token = 0;
	if (!ends)
		elector_join(e, out);
}

static void elector_end_idle(struct elector *e, enum tenure_cause cause, uint64_t now_ns, struct elector_output *out)
{
	elector_leave(e, out);
	elector_move(e, TENURE_ENDED, cause, now_ns, out);
}

/* R20: at the deadline the tenure is over for good, whatever the input says. The store may still hold it for us. */
static bool elector_lapse(struct elector *e, uint64_t now_ns, struct elector_output *out)
{
	if (!state_believes(e->state) || lease_holds(e->deadline_ns, now_ns))
		return false;
	elector_step_down(e, TENURE_BY_EXPIRY, now_ns, out);
	return true;
}

static bool elector_at_risk(const struct elector *e, uint64_t now_ns)
{
	return !lease_holds(lease_soft_stop_ns(e->deadline_ns, e->notice_ns), now_ns);
}

static bool elector_is_of_now(const struct elector *e, const struct elector_input *in)
{
	return in->token == 0 || in->token == e->token;
}

/* A further grant while something is held, or being released. */
static bool elector_granted_again(struct elector *e, const struct elector_input *in, struct elector_output *out)
{
	bool believed = state_believes(e->state);

	if (in->token == e->token || in->token <= e->last_token)
		return false; /* repeated, late */
	if (e->end_code == 0 && (believed || in->token > TENURE_TOKEN_MAX))
		e->end_code = TENURE_EPROTO;
	if (believed)
		elector_step_down(e, TENURE_BY_STORE, in->now_ns, out);
	out->actions |= ELECTOR_DO_RELEASE;
	e->token = in->token;
	if (in->token <= TENURE_TOKEN_MAX)
		e->last_token = in->token;
	return true;
}

static bool elector_granted(struct elector *e, const struct elector_input *in, struct elector_output *out)
{
	bool rises = in->token > e->last_token && in->token <= TENURE_TOKEN_MAX;

	if (e->state == TENURE_ENDED) {
		out->actions |= ELECTOR_DO_RELEASE;
		return true;
	}
	if (!elector_is_idle(e))
		return elector_granted_again(e, in, out);
	e->joined = e->maybe_joined = false; /* a grant takes us out of the queue */
	e->token = in->token;
	if (!rises) {
		e->end_code = TENURE_EPROTO;
		elector_step_down(e, TENURE_BY_STORE, in->now_ns, out);
		return true;
	}
	e->last_token = in->token;
	if (!e->eligible) {
		elector_step_down(e, TENURE_BY_HEALTH, in->now_ns, out);
		return true;
	}
	if (!lease_holds(in->deadline_ns, in->now_ns)) {
		elector_step_down(e, TENURE_BY_EXPIRY, in->now_ns, out);
		return true;
	}
	e->served = true;
	e->deadline_ns = in->deadline_ns;
	out->actions |= ELECTOR_DO_OPEN_PAGE;
	elector_move(e, TENURE_LEADING, (int)in->cause == 0 ? TENURE_BY_ELECTION : in->cause, in->now_ns, out);
	return true;
}

static bool elector_renewed(struct elector *e, const struct elector_input *in, struct elector_output *out)
{
	if (!state_believes(e->state) || !elector_is_of_now(e, in) || in->deadline_ns <= e->deadline_ns)
		return false;
	e->deadline_ns = in->deadline_ns;
	out->actions |= ELECTOR_DO_EXTEND_PAGE;
	if (e->state == TENURE_AT_RISK && !elector_at_risk(e, in->now_ns))
		elector_move(e, TENURE_LEADING, (enum tenure_cause)0, in->now_ns, out);
	return true;
}

static bool elector_lost(struct elector *e, const struct elector_input *in, struct elector_output *out)
{
	enum tenure_cause cause = (int)in->cause == 0 ? TENURE_BY_STORE : in->cause;

	if (elector_is_idle(e) || e->state == TENURE_ENDED || !elector_is_of_now(e, in))
		return false;
	elector_rest(e, e->state == TENURE_STEPPING_DOWN ? e->over_by : cause, in->now_ns, out);
	return true;
}

static bool elector_released(struct elector *e, const struct elector_input *in, struct elector_output *out)
{
	if (e->state != TENURE_STEPPING_DOWN || !elector_is_of_now(e, in))
		return false;
	elector_rest(e, e->over_by, in->now_ns, out);
	return true;
}

static bool elector_resign(struct elector *e, const struct elector_input *in, struct elector_output *out)
{
	if (!state_believes(e->state))
		return false;
	elector_step_down(e, (int)in->cause == 0 ? TENURE_BY_RESIGN : in->cause, in->now_ns, out);
	return true;
}

static bool elector_reach(struct elector *e, const struct elector_input *in, struct elector_output *out)
{
	bool reached = in->kind == ELECTOR_REACHED;

	if (reached ? e->state != TENURE_CONNECTING : e->state != TENURE_WAITING && e->state != TENURE_CONTENDING)
		return false;
	elector_move(e, reached ? TENURE_WAITING : TENURE_CONNECTING, (enum tenure_cause)0, in->now_ns, out);
	if (reached) {
		elector_join(e, out);
	} else {
		e->maybe_joined = e->joined;
		e->joined = false;
	}
	return true;
}

static bool elector_queue(struct elector *e, const struct elector_input *in, struct elector_output *out)
{
	bool next = in->kind == ELECTOR_CONTEND;

	if (!e->joined || e->state != (next ? TENURE_WAITING : TENURE_CONTENDING))
		return false;
	elector_move(e, next ? TENURE_CONTENDING : TENURE_WAITING, (enum tenure_cause)0, in->now_ns, out);
	return true;
}

static bool elector_gate(struct elector *e, const struct elector_input *in, struct elector_output *out)
{
	bool open = in->kind == ELECTOR_ELIGIBLE;

	if (e->state == TENURE_ENDED || e->eligible == open)
		return false;
	e->eligible = open;
	if (open) {
		if (e->state == TENURE_WAITING)
			elector_join(e, out);
		return true;
	}
	elector_leave(e, out);
	if (state_believes(e->state))
		elector_step_down(e, TENURE_BY_HEALTH, in->now_ns, out);
	else if (e->state == TENURE_CONTENDING)
		elector_move(e, TENURE_WAITING, TENURE_BY_HEALTH, in->now_ns, out);
	return true;
}

/* The application's wish or the store's failure: the end, as soon as nothing is held. */
static bool elector_finish(struct elector *e, const struct elector_input *in, struct elector_output *out)
{
	bool failed = in->kind == ELECTOR_FAILED;
	enum tenure_cause cause = failed ? TENURE_BY_STORE : TENURE_BY_RESIGN;

	if (e->state == TENURE_ENDED || (failed ? e->end_code != 0 : e->withdrawn))
		return false;
	if (failed)
		e->end_code = in->code < 0 ? in->code : TENURE_EINTERNAL;
	else
		e->withdrawn = true;
	if (state_believes(e->state))
		elector_step_down(e, cause, in->now_ns, out);
	else if (elector_is_idle(e))
		elector_end_idle(e, cause, in->now_ns, out);
	return true;
}

static bool elector_apply(struct elector *e, const struct elector_input *in, struct elector_output *out)
{
	switch (in->kind) {
	case ELECTOR_REACHED:
	case ELECTOR_UNREACHED:
		return elector_reach(e, in, out);
	case ELECTOR_QUEUED:
	case ELECTOR_CONTEND:
		return elector_queue(e, in, out);
	case ELECTOR_GRANTED:
		return elector_granted(e, in, out);
	case ELECTOR_RENEWED:
		return elector_renewed(e, in, out);
	case ELECTOR_LOST:
		return elector_lost(e, in, out);
	case ELECTOR_RESIGN:
		return elector_resign(e, in, out);
	case ELECTOR_RELEASED:
		return elector_released(e, in, out);
	case ELECTOR_ELIGIBLE:
	case ELECTOR_INELIGIBLE:
		return elector_gate(e, in, out);
	case ELECTOR_WITHDRAW:
	case ELECTOR_FAILED:
		return elector_finish(e, in, out);
	case ELECTOR_TICK:
		return true; /* what time does is done around it */
	}
	return false;
}

static void elector_check(const struct elector *e, const struct elector *before)
{
	bool believes = state_believes(e->state), believed = state_believes(before->state);

	CHECK(believes == (e->deadline_ns > 0));                                    /* E1 */
	CHECK(!(believes && believed) || e->deadline_ns >= before->deadline_ns);    /* E2 */
	CHECK(!believes || e->token == (believed ? before->token : e->last_token)); /* E2, E3 */
	CHECK(!believes || believed || e->token > before->last_token);              /* E3 */
	CHECK(e->last_token >= before->last_token);                                 /* E3 */
	CHECK(before->state != TENURE_ENDED || e->state == TENURE_ENDED);           /* E4 */
	CHECK(!e->joined || e->state == TENURE_WAITING || e->state == TENURE_CONTENDING);
	CHECK(!e->maybe_joined || e->state == TENURE_CONNECTING);
}

void elector_init(struct elector *e, bool once, uint64_t notice_ns)
{
	*e = (struct elector) {
		.state = TENURE_CONNECTING,
		.once = once,
		.eligible = true,
		.notice_ns = notice_ns,
	};
}

void elector_step(struct elector *e, const struct elector_input *in, struct elector_output *out)
{
	struct elector before = *e;
	bool lapsed, fits;

	*out = (struct elector_output) { 0 };
	lapsed = elector_lapse(e, in->now_ns, out);
	/* a RELEASED that comes with the lapse is about an earlier release than the one that the lapse asks for */
	fits = !(lapsed && in->kind == ELECTOR_RELEASED) && elector_apply(e, in, out);
	if (e->state == TENURE_LEADING && elector_at_risk(e, in->now_ns))
		elector_move(e, TENURE_AT_RISK, (enum tenure_cause)0, in->now_ns, out);
	out->ignored = !fits && out->n_notices == 0;
	elector_check(e, &before);
}

uint64_t elector_next_ns(const struct elector *e)
{
	if (e->state == TENURE_LEADING)
		return lease_soft_stop_ns(e->deadline_ns, e->notice_ns);
	return e->state == TENURE_AT_RISK ? e->deadline_ns : LEASE_NS_NEVER;
}
