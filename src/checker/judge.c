/* SPDX-License-Identifier: Apache-2.0 */
/* The verdict on tenures and activities, once everything was read. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "checker/checker.h"

static int judge_compare(uint64_t a, uint64_t b)
{
	return a < b ? -1 : a > b;
}

static int judge_tenure_order(const void *left, const void *right)
{
	const struct checker_tenure *a = left, *b = right;
	int order = strcmp(a->election, b->election);

	if (order == 0)
		order = judge_compare(a->begin_ns, b->begin_ns);
	return order ? order : judge_compare(a->token, b->token);
}

static int judge_activity_order(const void *left, const void *right)
{
	const struct checker_activity *a = left, *b = right;
	int order = judge_compare(a->ledger, b->ledger);

	if (order == 0)
		order = judge_compare(a->first_ns, b->first_ns);
	return order ? order : judge_compare(a->token, b->token);
}

/*
 * Until when it surely believed. A lease with a deadline holds until then even if its holder died: nobody else may have
 * been given one. An endless one without a recorded end (its holder was killed) is proven only as far as it was seen.
 */
static uint64_t judge_end_ns(const struct checker_tenure *t)
{
	if (t->ended)
		return t->end_ns < t->deadline_ns ? t->end_ns : t->deadline_ns;
	return t->deadline_ns == CHECKER_NS_NEVER ? t->seen_ns : t->deadline_ns;
}

static double judge_ms(uint64_t from_ns, uint64_t to_ns)
{
	return (double)(to_ns - from_ns) / 1e6;
}

static void judge_belief(struct checker *c, const struct checker_tenure *before, const struct checker_tenure *t)
{
	uint64_t end_ns = judge_end_ns(before), own_end_ns = judge_end_ns(t);

	if (t->begin_ns >= end_ns || strcmp(before->node, t->node) == 0)
		return;
	checker_violation(c, CHECKER_TWO_LEADERS,
	                  "election %s: %s (token %" PRIu64 ", %s:%zu) believed until %" PRIu64
	                  " ns, %s (token %" PRIu64 ", %s:%zu) from %" PRIu64 " ns on: %.3f ms together",
	                  t->election, before->node, before->token, before->place.file, before->place.line, end_ns,
	                  t->node, t->token, t->place.file, t->place.line, t->begin_ns,
	                  judge_ms(t->begin_ns, end_ns < own_end_ns ? end_ns : own_end_ns));
}

/* `top` is the tenure with the greatest token of all that began before t. */
static void judge_token(struct checker *c, const struct checker_tenure *top, const struct checker_tenure *t)
{
	bool shared = t->token == top->token && strcmp(t->node, top->node) != 0;

	if (t->token > top->token)
		return;
	checker_violation(c, shared ? CHECKER_SHARED_TOKEN : CHECKER_NOT_RISING,
	                  "election %s: %s got token %" PRIu64 " (%s:%zu) after %s had token %" PRIu64 " (%s:%zu)",
	                  t->election, t->node, t->token, t->place.file, t->place.line, top->node, top->token,
	                  top->place.file, top->place.line);
}

static void judge_tenures(struct checker *c)
{
	const struct checker_tenure *latest = NULL, *top = NULL;

	if (c->n_tenures)
		qsort(c->tenures, c->n_tenures, sizeof *c->tenures, judge_tenure_order);
	for (size_t i = 0; i < c->n_tenures; i++) {
		const struct checker_tenure *t = &c->tenures[i];

		if (!top || strcmp(top->election, t->election) != 0) {
			latest = top = t;
			continue;
		}
		judge_belief(c, latest, t);
		judge_token(c, top, t);
		if (judge_end_ns(t) > judge_end_ns(latest))
			latest = t;
		if (t->token > top->token)
			top = t;
	}
}

static void judge_activity(struct checker *c, const struct checker_activity *before, const struct checker_activity *top,
                           const struct checker_activity *a)
{
	if (a->first_ns <= before->last_ns)
		checker_violation(c, CHECKER_TWO_PROGRAMS,
		                  "that of %s (token %" PRIu64 ") still ran at %" PRIu64 " ns (pid %" PRIu64
		                  ", %s:%zu), that of %s (token %" PRIu64 ") ran from %" PRIu64 " ns on (pid %" PRIu64
		                  ", %s:%zu): %.3f ms together",
		                  before->holder, before->token, before->last_ns, before->last_pid, before->last.file,
		                  before->last.line, a->holder, a->token, a->first_ns, a->first_pid, a->first.file,
		                  a->first.line,
		                  judge_ms(a->first_ns, a->last_ns < before->last_ns ? a->last_ns : before->last_ns));
	if (a->token < top->token)
		checker_violation(c, CHECKER_NOT_RISING,
		                  "the program of %s began with token %" PRIu64 " (%s:%zu) after that of %s had token "
		                  "%" PRIu64 " (%s:%zu)",
		                  a->holder, a->token, a->first.file, a->first.line, top->holder, top->token,
		                  top->first.file, top->first.line);
}

static void judge_activities(struct checker *c)
{
	const struct checker_activity *latest = NULL, *top = NULL;

	if (c->n_activities)
		qsort(c->activities, c->n_activities, sizeof *c->activities, judge_activity_order);
	for (size_t i = 0; i < c->n_activities; i++) {
		const struct checker_activity *a = &c->activities[i];

		if (!top || top->ledger != a->ledger) {
			latest = top = a;
			continue;
		}
		judge_activity(c, latest, top, a);
		if (a->last_ns > latest->last_ns)
			latest = a;
		if (a->token > top->token)
			top = a;
	}
}

size_t checker_judge(struct checker *c)
{
	size_t n = 0;

	judge_tenures(c);
	judge_activities(c);
	for (size_t i = 0; i < CHECKER_N_KINDS; i++)
		n += c->n_violations[i];
	return n;
}

static int judge_gap_order(const void *left, const void *right)
{
	return judge_compare(*(const uint64_t *)left, *(const uint64_t *)right);
}

void checker_gaps(const struct checker *c, struct checker_gaps *g)
{
	uint64_t *gaps = calloc(c->n_activities + 1, sizeof *gaps), last_ns = 0;

	*g = (struct checker_gaps) { 0 };
	if (!gaps)
		return;
	for (size_t i = 0; i < c->n_activities; i++) {
		const struct checker_activity *a = &c->activities[i];

		if (i == 0 || a->ledger != c->activities[i - 1].ledger)
			last_ns = a->last_ns;
		else if (a->first_ns > last_ns)
			gaps[g->n++] = a->first_ns - last_ns;
		if (a->last_ns > last_ns)
			last_ns = a->last_ns;
	}
	qsort(gaps, g->n, sizeof *gaps, judge_gap_order);
	if (g->n) {
		g->p50_ns = gaps[g->n / 2];
		g->p99_ns = gaps[g->n - 1 - g->n / 100];
		g->longest_ns = gaps[g->n - 1];
	}
	free(gaps);
}
