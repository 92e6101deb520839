/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/demo_acts.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

#define DEMO_ACTS_SCENE_NS (400 * CLOCK_NS_PER_MS) /* each tenure goes on for at least so long */
#define DEMO_ACTS_REFUSED  77

static const char *demo_acts_leader(const struct demo_acts *a)
{
	return a->cast.candidates[a->leader].id;
}

static int demo_acts_scene(struct demo_acts *a)
{
	int number = demo_stage_pause(&a->cast.stage, DEMO_ACTS_SCENE_NS);

	return number > 0 ? 128 + number : 0;
}

/* The next tenure is there. What began it was at `since_ns`. */
static int demo_acts_next(struct demo_acts *a, uint64_t since_ns, const char *since)
{
	const struct demo_view_tenure *t;
	const struct demo_cast_candidate *c;
	struct demo_view_lead lead;
	int code = demo_cast_wait_tenure(&a->cast, a->token, &t);

	if (code != 0)
		return code;
	c = demo_cast_find(&a->cast, t->holder);
	if (!c)
		return cli_fail_code(a->cast.stage.cli, 70, "an unknown candidate '%s' leads", t->holder);
	demo_cast_lead(&a->cast, t, &lead);
	demo_tell_step(&a->tell, "%s leads with token %" PRIu64 ", %.1f ms after %s; its program after %.1f ms",
	               t->holder, t->token, demo_tell_ms(since_ns, lead.at_ns), since,
	               demo_tell_ms(since_ns, t->first_ns));
	a->token = t->token;
	a->leader = (size_t)(c - a->cast.candidates);
	return 0;
}

/* Says when the program under `token` was last seen to run. */
static void demo_acts_last_sign(struct demo_acts *a, const char *who, uint64_t token, uint64_t since_ns,
                                const char *since)
{
	const struct demo_view_tenure *t;

	demo_view_look(&a->cast.view, "");
	t = demo_view_find(&a->cast.view, token);
	if (!t)
		return;
	if (t->last_ns <= since_ns)
		demo_tell_more("No sign of life of %s's program is later than %s.", who, since);
	else
		demo_tell_more("The last sign of life of %s's program was %.1f ms after %s.", who,
		               demo_tell_ms(since_ns, t->last_ns), since);
}

/* The next one leads, and the program of the one before is looked at. */
static int demo_acts_succeed(struct demo_acts *a, uint64_t since_ns, const char *since)
{
	const char *who = demo_acts_leader(a);
	uint64_t token = a->token;
	int code = demo_acts_next(a, since_ns, since);

	if (code == 0)
		code = demo_acts_scene(a);
	if (code == 0)
		demo_acts_last_sign(a, who, token, since_ns, since);
	return code;
}

int demo_acts_elect(struct demo_acts *a)
{
	struct demo_cast *d = &a->cast;
	char line[DEMO_CAST_LINE_ROOM];
	uint64_t start_ns;
	bool naive = a->broken == DEMO_STORY_NAIVE || a->broken == DEMO_STORY_NO_DEADLINE;
	int code = demo_cast_start_courier(d);

	if (code == 0) /* before the first program hands its write over */
		code = demo_cast_wait_line(d, &d->courier, &d->courier_lines, line);
	start_ns = clock_now_or_zero_ns();
	if (code == 0)
		code = naive ? demo_cast_start_naive(d, 0) : demo_cast_start(d, 0);
	if (code == 0)
		code = demo_acts_next(a, start_ns, "its start");
	for (size_t i = 1; code == 0 && i < DEMO_CAST_N; i++) {
		code = demo_cast_start(d, i);
		if (code == 0)
			code = demo_cast_wait_queue(d, i);
	}
	if (code == 0)
		code = demo_cast_wait_line(d, &d->courier, &d->courier_lines, line);
	if (code != 0)
		return code;
	a->courier_token = a->token;
	demo_tell_more("b and c wait. One more write of %s, with token %" PRIu64 ", is given to a courier",
	               demo_acts_leader(a), a->token);
	demo_tell_more("and stays on its way.");
	return demo_acts_scene(a);
}

int demo_acts_pause(struct demo_acts *a)
{
	size_t paused = a->leader;
	uint64_t paused_ns = clock_now_or_zero_ns();
	int code;

	demo_cast_pause(&a->cast, paused, true);
	demo_tell_step(&a->tell, "%s is paused: SIGSTOP to its supervisor and its warden. Nobody renews, and",
	               demo_acts_leader(a));
	demo_tell_more("nobody of them can end the program; the kernel's dead-man timer does.");
	code = demo_acts_succeed(a, paused_ns, "the pause");
	demo_cast_pause(&a->cast, paused, false);
	return code == 0 ? demo_cast_wait_queue(&a->cast, paused) : code;
}

int demo_acts_late_write(struct demo_acts *a)
{
	struct demo_cast *d = &a->cast;
	char line[DEMO_CAST_LINE_ROOM];
	int ended = 0, code;

	if (write(d->courier.in, "deliver\n", 8) != 8)
		return cli_fail_code(d->stage.cli, 70, "the courier is gone");
	code = demo_cast_wait_line(d, &d->courier, &d->courier_lines, line);
	if (code == 0)
		code = demo_cast_wait_end(d, &d->courier, &ended);
	if (code != 0)
		return code;
	demo_tell_step(&a->tell, "The late write with token %" PRIu64 " arrives. %s%s (exit %d)", a->courier_token,
	               ended == DEMO_ACTS_REFUSED ? "The guard: " : "No guard: ", line, ended);
	if (ended != (d->guarded ? DEMO_ACTS_REFUSED : 0))
		return cli_fail_code(d->stage.cli, 70, "the late write was to be %s",
		                     d->guarded ? "refused" : "let in");
	return 0;
}

int demo_acts_kill(struct demo_acts *a)
{
	struct demo_cast *d = &a->cast;
	size_t killed = a->leader;
	struct demo_cast_candidate *c = &d->candidates[killed];
	const struct demo_view_tenure *t = demo_view_find(&d->view, a->token);
	struct demo_view_lead lead;
	uint64_t killed_ns;
	int code = 0, ended;

	demo_cast_lead(d, t, &lead);
	killed_ns = clock_now_or_zero_ns();
	if (lead.node[0])
		code = demo_cast_note_kill(d, lead.node, killed_ns);
	if (code != 0)
		return code;
	(void)kill(c->run.pid, SIGKILL);
	if (a->broken == DEMO_STORY_NAIVE)
		demo_tell_step(&a->tell,
		               "%s is killed: SIGKILL to the process that campaigns. Nobody ends its program.", c->id);
	else
		demo_tell_step(&a->tell,
		               "%s is killed: SIGKILL to its supervisor, and with it goes all of its program.", c->id);
	code = demo_cast_wait_end(d, &c->run, &ended);
	if (code == 0)
		code = demo_acts_succeed(a, killed_ns, "the kill");
	if (code == 0 && a->broken == DEMO_STORY_WHOLE) {
		code = demo_cast_start(d, killed);
		if (code == 0)
			code = demo_cast_wait_queue(d, killed);
	}
	return code;
}

int demo_acts_cut(struct demo_acts *a)
{
	size_t cut = a->leader;
	uint64_t cut_ns;
	int code = demo_net_cut(&a->cast.net, cut, true);

	cut_ns = clock_now_or_zero_ns();
	if (code != 0)
		return code;
	demo_tell_step(&a->tell, "%s's network is cut. It can't know who leads, so it must stop first.",
	               demo_acts_leader(a));
	if (a->broken == DEMO_STORY_NO_DEADLINE)
		demo_tell_more("But its program was started by a script, which looks at no deadline.");
	code = demo_acts_succeed(a, cut_ns, "the cut");
	if (code == 0)
		code = demo_net_cut(&a->cast.net, cut, false);
	if (code == 0 && a->broken == DEMO_STORY_WHOLE)
		code = demo_cast_wait_queue(&a->cast, cut);
	return code;
}

int demo_acts_voter(struct demo_acts *a)
{
	uint64_t token = a->token;
	int code = demo_voters_kill(&a->cast.voters, 0);

	if (code != 0)
		return code;
	demo_tell_step(&a->tell, "One of the three voters is killed (SIGKILL).");
	code = demo_acts_scene(a);
	if (code == 0)
		code = demo_acts_scene(a);
	demo_view_look(&a->cast.view, "");
	if (code == 0 && demo_view_after(&a->cast.view, token))
		return cli_fail_code(a->cast.stage.cli, 70, "leadership changed when a voter was killed");
	if (code == 0)
		demo_tell_more("Nothing happens: the other two are a majority, and %s leads on.", demo_acts_leader(a));
	return code == 0 ? demo_voters_restart(&a->cast.voters, 0) : code;
}

int demo_acts_transfer(struct demo_acts *a)
{
	struct demo_cast *d = &a->cast;
	uint64_t asked_ns = clock_now_or_zero_ns();
	const char *to = NULL;
	int code;

	for (size_t i = 0; i < DEMO_CAST_N; i++)
		if (d->candidates[i].run.pid > 0 && i != a->leader)
			to = d->candidates[i].id;
	if (!to)
		return cli_fail_code(d->stage.cli, 70, "nobody is left to hand over to");
	demo_tell_step(&a->tell, "Hand-over: tenure transfer " DEMO_CAST_ELECTION " --to %s", to);
	code = demo_cast_transfer(d, to);
	if (code == 0)
		code = demo_acts_next(a, asked_ns, "the request");
	if (code == 0 && strcmp(demo_acts_leader(a), to) != 0)
		return cli_fail_code(d->stage.cli, 70, "%s leads instead of %s", demo_acts_leader(a), to);
	return code == 0 ? demo_acts_scene(a) : code;
}
