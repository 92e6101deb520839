/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/plan.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "base/check.h"
#include "base/clock.h"

#define PLAN_START_LIMIT_NS   (10 * CLOCK_NS_PER_S)
#define PLAN_WARDEN_LIMIT_NS  (2 * CLOCK_NS_PER_S)
#define PLAN_ALARM_EVERY_NS   (10 * CLOCK_NS_PER_S)
#define PLAN_RELEASE_LIMIT_NS (5 * CLOCK_NS_PER_S)
#define PLAN_ATTEMPT_LIMIT_NS CLOCK_NS_PER_S /* --wait 0s, and the store does not answer */
#define PLAN_AT_ONCE_NS       (10 * CLOCK_NS_PER_S)
#define PLAN_FIRST_BACKOFF_NS CLOCK_NS_PER_S
#define PLAN_MOST_BACKOFF_NS  (60 * CLOCK_NS_PER_S)
#define PLAN_FIRST_PROVE_NS   CLOCK_NS_PER_MS
#define PLAN_MOST_PROVE_NS    (50 * CLOCK_NS_PER_MS)

enum {
	PLAN_EXIT_UNREACHED = 69,
	PLAN_EXIT_DEFECT = 70,
	PLAN_EXIT_LOST = 75,
	PLAN_EXIT_SIGNAL = 128,
};

/* NS_NEVER stays NS_NEVER. */
static uint64_t plan_add_ns(uint64_t at_ns, uint64_t limit_ns)
{
	return limit_ns > NS_NEVER - at_ns ? NS_NEVER : at_ns + limit_ns;
}

static void plan_campaign(struct plan *p, struct plan_output *out)
{
	p->phase = PLAN_CAMPAIGNING;
	p->why = PLAN_WHY_NONE;
	p->leading = p->started = p->ended = p->at_risk = p->over = p->ready = false;
	p->n_stops = 0;
	p->term_ns = p->hard_ns = p->warden_ns = p->alarm_ns = p->prove_ns = p->release_ns = p->pause_ns = NS_NEVER;
	out->actions |= PLAN_DO_CAMPAIGN;
}

void plan_init(struct plan *p, const struct plan_settings *settings, uint64_t now_ns, struct plan_output *out)
{
	memset(p, 0, sizeof *p);
	memset(out, 0, sizeof *out);
	p->settings = *settings;
	p->start_ns = now_ns;
	plan_campaign(p, out);
}

static void plan_exit(struct plan *p, int code, struct plan_output *out)
{
	p->phase = PLAN_OVER;
	p->exit_code = code;
	out->actions |= PLAN_DO_DROP | PLAN_DO_EXIT;
}

static void plan_because(struct plan *p, enum plan_why why, int code)
{
	if (p->why != PLAN_WHY_NONE)
		return;
	p->why = why;
	p->why_code = code;
}

static int plan_status_code(int status)
{
	return WIFSIGNALED(status) ? PLAN_EXIT_SIGNAL + WTERMSIG(status) : WEXITSTATUS(status);
}

static int plan_exit_code(const struct plan *p)
{
	switch (p->why) {
	case PLAN_WHY_ENDED:
		return plan_status_code(p->status);
	case PLAN_WHY_SIGNAL:
		if (p->ended)
			return plan_status_code(p->status);
		/* it died with its init, which could not tell; or it never ran */
		return PLAN_EXIT_SIGNAL + (p->started ? SIGKILL : p->why_code);
	case PLAN_WHY_FAILED:
		return p->why_code;
	case PLAN_WHY_NONE:
	case PLAN_WHY_ASKED:
	case PLAN_WHY_LOST:
	case PLAN_WHY_WARDEN:
		break;
	}
	return PLAN_EXIT_LOST;
}

static bool plan_failed_at_once(const struct plan *p, uint64_t now_ns)
{
	if (p->why == PLAN_WHY_WARDEN)
		return true;
	return p->why == PLAN_WHY_ENDED && plan_status_code(p->status) != 0 && now_ns - p->began_ns < PLAN_AT_ONCE_NS;
}

static void plan_pause(struct plan *p, uint64_t now_ns)
{
	p->backoff_ns = p->backoff_ns == 0 ? PLAN_FIRST_BACKOFF_NS : 2 * p->backoff_ns;
	if (p->backoff_ns > PLAN_MOST_BACKOFF_NS)
		p->backoff_ns = PLAN_MOST_BACKOFF_NS;
	p->phase = PLAN_PAUSED;
	p->pause_ns = now_ns + p->backoff_ns;
}

/* The tree is dead and the lease released. */
static void plan_finish(struct plan *p, uint64_t now_ns, struct plan_output *out)
{
	if (!p->settings.stay || p->leaving || p->why == PLAN_WHY_FAILED) {
		plan_exit(p, plan_exit_code(p), out);
		return;
	}
	out->actions |= PLAN_DO_DROP;
	if (!plan_failed_at_once(p, now_ns)) {
		p->backoff_ns = 0;
		plan_campaign(p, out);
		return;
	}
	plan_pause(p, now_ns);
}

/* P1: the only way in is a proof, or a tree that never was. */
static void plan_release(struct plan *p, uint64_t now_ns, struct plan_output *out)
{
	p->phase = PLAN_RELEASING;
	p->release_ns = now_ns + PLAN_RELEASE_LIMIT_NS;
	if (p->leading || (p->settings.leased && !p->over))
		out->actions |= PLAN_DO_RELEASE;
	else
		plan_finish(p, now_ns, out);
}

static void plan_hard(struct plan *p, uint64_t now_ns, bool tell, struct plan_output *out)
{
	p->phase = PLAN_HARD;
	p->warden_ns = now_ns + PLAN_WARDEN_LIMIT_NS;
	p->alarm_ns = now_ns + PLAN_ALARM_EVERY_NS;
	if (tell)
		out->actions |= PLAN_DO_HARD_STOP;
}

static void plan_terminate(struct plan *p, struct plan_output *out)
{
	p->term_ns = NS_NEVER;
	out->signal = SIGTERM;
	out->actions |= PLAN_DO_TELL | PLAN_DO_CONTINUE;
}

/*
 * Ctrl-C has reached the program already, and it may be busy with ending in good order: SIGTERM would cut into that, so
 * it follows in the middle of the grace.
 */
static void plan_soft(struct plan *p, uint64_t now_ns, bool has_been_told, struct plan_output *out)
{
	if (p->settings.grace_ns == 0) {
		plan_hard(p, now_ns, true, out);
		return;
	}
	p->phase = PLAN_SOFT;
	p->hard_ns = plan_add_ns(now_ns, p->settings.grace_ns);
	if (has_been_told)
		p->term_ns = plan_add_ns(now_ns, p->settings.grace_ns / 2);
	else
		plan_terminate(p, out);
}

static bool plan_has_tree(const struct plan *p)
{
	return p->phase == PLAN_STARTING || p->phase == PLAN_RUNNING || p->phase == PLAN_SOFT || p->phase == PLAN_HARD;
}

static void plan_go(struct plan *p, uint64_t now_ns, struct plan_output *out)
{
	CHECK(p->leading && !p->at_risk); /* P2 */
	p->phase = PLAN_RUNNING;
	p->started = true;
	p->began_ns = now_ns;
	out->actions |= PLAN_DO_GO;
}

static void plan_risk(struct plan *p, bool at_risk, uint64_t now_ns, struct plan_output *out)
{
	p->at_risk = at_risk;
	if (at_risk && p->phase == PLAN_RUNNING) {
		plan_because(p, PLAN_WHY_LOST, 0);
		plan_soft(p, now_ns, false, out);
	} else if (!at_risk && p->ready && plan_wants_tree(p)) {
		plan_go(p, now_ns, out);
	}
}

static void plan_lost(struct plan *p, uint64_t now_ns, struct plan_output *out)
{
	p->leading = false;
	if (p->phase != PLAN_STARTING && p->phase != PLAN_RUNNING && p->phase != PLAN_SOFT)
		return;
	plan_because(p, PLAN_WHY_LOST, 0);
	plan_hard(p, now_ns, true, out);
}

static void plan_candidacy_ended(struct plan *p, const struct plan_input *in, struct plan_output *out)
{
	p->over = true;
	if (p->phase == PLAN_CAMPAIGNING && in->code == 0 && p->settings.leased && p->settings.stay) {
		/* granted, and over before we knew */
		out->actions |= PLAN_DO_DROP;
		plan_pause(p, in->now_ns);
		return;
	}
	if (p->phase == PLAN_CAMPAIGNING) {
		plan_exit(p, in->code != 0 ? in->code : PLAN_EXIT_LOST, out);
		return;
	}
	plan_lost(p, in->now_ns, out);
	/* the reason of the loss, told after it: not to be tried again */
	if (in->code != 0 && p->settings.leased && p->why == PLAN_WHY_LOST) {
		p->why = PLAN_WHY_FAILED;
		p->why_code = in->code;
	}
	if (p->phase == PLAN_RELEASING)
		plan_finish(p, in->now_ns, out);
}

static void plan_stop_signal(struct plan *p, const struct plan_input *in, struct plan_output *out)
{
	p->leaving = true;
	p->n_stops++;
	if (p->phase == PLAN_CAMPAIGNING || p->phase == PLAN_PAUSED) {
		plan_exit(p, PLAN_EXIT_SIGNAL + in->code, out);
	} else if (p->phase == PLAN_STARTING) {
		plan_because(p, PLAN_WHY_SIGNAL, in->code);
		plan_hard(p, in->now_ns, true, out);
	} else if (p->phase == PLAN_RUNNING) {
		plan_because(p, PLAN_WHY_SIGNAL, in->code);
		plan_soft(p, in->now_ns, in->code == SIGINT && in->from_terminal, out);
	} else if (p->phase == PLAN_SOFT && p->n_stops > 1) {
		plan_hard(p, in->now_ns, true, out);
	}
}

static void plan_other_signal(struct plan *p, const struct plan_input *in, struct plan_output *out)
{
	bool ends = in->code == SIGHUP || in->code == SIGQUIT;
	bool waits = p->phase == PLAN_CAMPAIGNING || p->phase == PLAN_STARTING || p->phase == PLAN_PAUSED;
	if (p->phase == PLAN_RUNNING || p->phase == PLAN_SOFT) {
		if (in->from_terminal)
			return;
		out->signal = in->code;
		out->actions |= PLAN_DO_TELL;
	} else if (ends && waits) {
		plan_stop_signal(p, in, out);
	}
}

static void plan_ready(struct plan *p, uint64_t now_ns, struct plan_output *out)
{
	if (!plan_wants_tree(p))
		return;
	p->warden_ns = NS_NEVER;
	p->ready = true;
	if (!p->at_risk)
		plan_go(p, now_ns, out);
}

static void plan_failed(struct plan *p, const struct plan_input *in, struct plan_output *out)
{
	bool tree = in->kind != PLAN_FAILED;
	if (!plan_has_tree(p))
		return;
	plan_because(p, PLAN_WHY_FAILED, in->code);
	if (tree)
		plan_hard(p, in->now_ns, in->kind == PLAN_REJECTED, out);
	else
		plan_release(p, in->now_ns, out);
}

static void plan_program_ended(struct plan *p, const struct plan_input *in, struct plan_output *out)
{
	if (!plan_has_tree(p) || p->ended)
		return;
	p->ended = true;
	p->status = in->code;
	plan_because(p, PLAN_WHY_ENDED, 0);
	if (p->phase != PLAN_HARD)
		plan_hard(p, in->now_ns, false, out); /* the warden saw it first and kills the rest */
}

static void plan_warden_dead(struct plan *p, uint64_t now_ns, struct plan_output *out)
{
	if (!plan_has_tree(p))
		return;
	plan_because(p, PLAN_WHY_WARDEN, 0);
	if (p->phase != PLAN_HARD)
		p->alarm_ns = now_ns + PLAN_ALARM_EVERY_NS;
	p->phase = PLAN_PROVING;
	p->prove_pause_ns = PLAN_FIRST_PROVE_NS;
	p->prove_ns = now_ns + p->prove_pause_ns;
	out->actions |= PLAN_DO_PROVE;
}

static void plan_tick_proof(struct plan *p, uint64_t now_ns, struct plan_output *out)
{
	if (now_ns >= p->alarm_ns) {
		p->alarm_ns = now_ns + PLAN_ALARM_EVERY_NS;
		out->actions |= PLAN_DO_ALARM;
	}
	if (p->phase != PLAN_PROVING || now_ns < p->prove_ns)
		return;
	p->prove_pause_ns *= 2;
	if (p->prove_pause_ns > PLAN_MOST_PROVE_NS)
		p->prove_pause_ns = PLAN_MOST_PROVE_NS;
	p->prove_ns = now_ns + p->prove_pause_ns;
	out->actions |= PLAN_DO_PROVE;
}

static uint64_t plan_wait_end_ns(const struct plan *p)
{
	if (p->served)
		return NS_NEVER;
	return plan_add_ns(p->start_ns, p->settings.wait_ns == 0 ? PLAN_ATTEMPT_LIMIT_NS : p->settings.wait_ns);
}

static void plan_wait_over(struct plan *p, struct plan_output *out)
{
	plan_exit(p, p->reached ? p->settings.timeout_exit_code : PLAN_EXIT_UNREACHED, out);
}

static void plan_tick_warden(struct plan *p, uint64_t now_ns, struct plan_output *out)
{
	if (now_ns < p->warden_ns)
		return;
	if (p->phase == PLAN_STARTING)
		plan_because(p, PLAN_WHY_FAILED, PLAN_EXIT_DEFECT);
	p->warden_ns = NS_NEVER;
	out->actions |= PLAN_DO_KILL_WARDEN;
}

static void plan_tick(struct plan *p, uint64_t now_ns, struct plan_output *out)
{
	if (p->phase == PLAN_CAMPAIGNING && now_ns >= plan_wait_end_ns(p)) {
		plan_wait_over(p, out);
		return;
	}
	if (plan_has_tree(p))
		plan_tick_warden(p, now_ns, out);
	if (p->phase == PLAN_SOFT && now_ns >= p->hard_ns)
		plan_hard(p, now_ns, true, out);
	else if (p->phase == PLAN_SOFT && now_ns >= p->term_ns)
		plan_terminate(p, out);
	if (p->phase == PLAN_HARD || p->phase == PLAN_PROVING)
		plan_tick_proof(p, now_ns, out);
	if (p->phase == PLAN_RELEASING && now_ns >= p->release_ns)
		plan_finish(p, now_ns, out);
	if (p->phase == PLAN_PAUSED && now_ns >= p->pause_ns)
		plan_campaign(p, out);
}

static void plan_from_store(struct plan *p, const struct plan_input *in, struct plan_output *out)
{
	switch (in->kind) {
	case PLAN_REACHED:
		p->reached = true;
		break;
	case PLAN_ATTEMPTED:
		if (p->phase == PLAN_CAMPAIGNING && !p->served && p->settings.wait_ns == 0)
			plan_wait_over(p, out);
		break;
	case PLAN_LEADING:
		if (p->phase != PLAN_CAMPAIGNING)
			break;
		p->phase = PLAN_STARTING;
		p->served = p->leading = true;
		p->warden_ns = in->now_ns + PLAN_START_LIMIT_NS;
		out->actions |= PLAN_DO_LAUNCH;
		break;
	case PLAN_AT_RISK:
	case PLAN_SAFE:
		plan_risk(p, in->kind == PLAN_AT_RISK, in->now_ns, out);
		break;
	case PLAN_LOST:
		plan_lost(p, in->now_ns, out);
		break;
	case PLAN_ENDED:
		plan_candidacy_ended(p, in, out);
		break;
	default: /* PLAN_ASKED */
		if (p->phase == PLAN_RUNNING) {
			plan_because(p, PLAN_WHY_ASKED, 0);
			plan_soft(p, in->now_ns, false, out);
		} else if (p->phase == PLAN_STARTING) {
			plan_because(p, PLAN_WHY_ASKED, 0);
			plan_hard(p, in->now_ns, true, out);
		}
		break;
	}
}

static void plan_from_tree(struct plan *p, const struct plan_input *in, struct plan_output *out)
{
	switch (in->kind) {
	case PLAN_READY:
		plan_ready(p, in->now_ns, out);
		break;
	case PLAN_FAILED:
	case PLAN_REJECTED:
	case PLAN_NOT_STARTED:
		plan_failed(p, in, out);
		break;
	case PLAN_PROGRAM_ENDED:
		plan_program_ended(p, in, out);
		break;
	case PLAN_PROGRAM_STOPPED:
		if (p->phase == PLAN_RUNNING && p->settings.mirror_stops)
			out->actions |= PLAN_DO_STOP_SELF;
		break;
	case PLAN_WARDEN_PROVES:
		if (p->phase == PLAN_HARD)
			p->warden_ns = in->now_ns + PLAN_WARDEN_LIMIT_NS;
		break;
	case PLAN_WARDEN_DEAD:
		plan_warden_dead(p, in->now_ns, out);
		break;
	case PLAN_INIT_DEAD:
		if (plan_has_tree(p) && p->warden_ns == NS_NEVER)
			p->warden_ns = in->now_ns + PLAN_WARDEN_LIMIT_NS;
		break;
	default: /* PLAN_TREE_DEAD */
		if (plan_has_tree(p) || p->phase == PLAN_PROVING) {
			plan_because(p, PLAN_WHY_ENDED, 0);
			/* init was killed, and the program with it */
			if (p->why == PLAN_WHY_ENDED && !p->ended)
				p->status = SIGKILL;
			plan_release(p, in->now_ns, out);
		}
		break;
	}
}

void plan_step(struct plan *p, const struct plan_input *in, struct plan_output *out)
{
	memset(out, 0, sizeof *out);
	if (p->phase == PLAN_OVER)
		return;
	if (in->kind == PLAN_TICK)
		plan_tick(p, in->now_ns, out);
	else if (in->kind == PLAN_SIGNAL && (in->code == SIGTERM || in->code == SIGINT))
		plan_stop_signal(p, in, out);
	else if (in->kind == PLAN_SIGNAL)
		plan_other_signal(p, in, out);
	else if (in->kind <= PLAN_ASKED)
		plan_from_store(p, in, out);
	else
		plan_from_tree(p, in, out);
}

static uint64_t plan_earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

uint64_t plan_next_ns(const struct plan *p)
{
	switch (p->phase) {
	case PLAN_CAMPAIGNING:
		return plan_wait_end_ns(p);
	case PLAN_STARTING:
	case PLAN_RUNNING:
		return p->warden_ns;
	case PLAN_SOFT:
		return plan_earlier(p->warden_ns, plan_earlier(p->hard_ns, p->term_ns));
	case PLAN_HARD:
		return plan_earlier(p->warden_ns, p->alarm_ns);
	case PLAN_PROVING:
		return plan_earlier(p->prove_ns, p->alarm_ns);
	case PLAN_RELEASING:
		return p->release_ns;
	case PLAN_PAUSED:
		return p->pause_ns;
	case PLAN_OVER:
		break;
	}
	return NS_NEVER;
}

bool plan_wants_tree(const struct plan *p)
{
	return p->phase == PLAN_STARTING && p->leading;
}
