/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/demo_story.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/demo_cast.h"
#include "supervisor/supervisor.h"

#define DEMO_STORY_SCENE_NS (400 * CLOCK_NS_PER_MS) /* each tenure goes on for at least so long */
#define DEMO_STORY_REFUSED  77

struct demo_story {
	struct demo_cast cast;
	enum demo_story_break broken;
	bool stay, colour;
	int n_steps;
	uint64_t token;     /* of the present tenure */
	const char *leader; /* id of a candidate */
	uint64_t first_token;
	const char *first; /* the one that is killed */
};

/* ---- telling ---- */

static void demo_story_step(struct demo_story *s, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void demo_story_step(struct demo_story *s, const char *format, ...)
{
	va_list arguments;

	printf("%s%2d%s  ", s->colour ? "\033[1m" : "", ++s->n_steps, s->colour ? "\033[0m" : "");
	va_start(arguments, format);
	(void)vprintf(format, arguments);
	va_end(arguments);
	(void)putchar('\n');
	(void)fflush(stdout);
}

static void demo_story_more(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void demo_story_more(const char *format, ...)
{
	va_list arguments;

	(void)fputs("    ", stdout);
	va_start(arguments, format);
	(void)vprintf(format, arguments);
	va_end(arguments);
	(void)putchar('\n');
	(void)fflush(stdout);
}

static double demo_story_ms(uint64_t from_ns, uint64_t to_ns)
{
	return to_ns > from_ns ? (double)(to_ns - from_ns) / 1e6 : 0;
}

static void demo_story_title(struct demo_story *s)
{
	char why[256] = "";
	enum supervisor_containment best = supervisor_best_containment(false, why, sizeof why);

	printf("Three candidates of one election, \"" DEMO_CAST_ELECTION "\", on this host. Each one is\n"
	       "  tenure run " DEMO_CAST_ELECTION " --stay -- CMD\n"
	       "where CMD writes to an account, from three processes, with its token,\n"
	       "%s. The store is a directory on disk,\n"
	       "%s; containment: %s.\n",
	       s->cast.guarded ? "through a guard" : "and asks NO guard (--break=fencing)", s->cast.stage.directory,
	       supervisor_containment_name(best));
	if (s->broken == DEMO_STORY_NAIVE)
		printf("--break=kill: candidate a is no \"tenure run\". A script campaigns in one\n"
		       "process, and runs CMD in another.\n");
	(void)putchar('\n');
	(void)fflush(stdout);
}

/* ---- the steps ---- */

static int demo_story_scene(struct demo_story *s)
{
	int number = demo_stage_pause(&s->cast.stage, DEMO_STORY_SCENE_NS);

	return number > 0 ? 128 + number : 0;
}

/* The next tenure is there. What began it was at `since_ns`. */
static int demo_story_next(struct demo_story *s, uint64_t since_ns, const char *since)
{
	const struct demo_view_tenure *t;
	const struct demo_cast_candidate *c;
	struct demo_view_lead lead;
	int code = demo_cast_wait_tenure(&s->cast, s->token, &t);

	if (code != 0)
		return code;
	c = demo_cast_find(&s->cast, t->holder);
	if (!c)
		return cli_fail_code(s->cast.stage.cli, 70, "an unknown candidate '%s' leads", t->holder);
	demo_cast_lead(&s->cast, t, &lead);
	demo_story_step(s, "%s leads with token %" PRIu64 ", %.1f ms after %s; its program after %.1f ms", t->holder,
	                t->token, demo_story_ms(since_ns, lead.at_ns), since, demo_story_ms(since_ns, t->first_ns));
	s->token = t->token;
	s->leader = c->id;
	return 0;
}

static int demo_story_elect(struct demo_story *s)
{
	struct demo_cast *d = &s->cast;
	char line[DEMO_CAST_LINE_ROOM];
	uint64_t start_ns;
	int code = demo_cast_start_courier(d);

	start_ns = clock_now_or_zero_ns();
	if (code == 0)
		code = s->broken == DEMO_STORY_NAIVE ? demo_cast_start_naive(d, 0) : demo_cast_start(d, 0);
	if (code == 0)
		code = demo_story_next(s, start_ns, "its start");
	for (size_t i = 1; code == 0 && i < DEMO_CAST_N; i++) {
		code = demo_cast_start(d, i);
		if (code == 0)
			code = demo_cast_wait_queue(d, i);
	}
	if (code == 0)
		code = demo_cast_wait_line(d, &d->courier, &d->courier_lines, line);
	if (code != 0)
		return code;
	s->first = s->leader;
	s->first_token = s->token;
	demo_story_more("b and c wait. One more write of %s, with token %" PRIu64 ", is given to a courier", s->first,
	                s->first_token);
	demo_story_more("and stays on its way.");
	return demo_story_scene(s);
}

static int demo_story_kill(struct demo_story *s)
{
	struct demo_cast *d = &s->cast;
	struct demo_cast_candidate *c = demo_cast_find(d, s->first);
	const struct demo_view_tenure *t = demo_view_find(&d->view, s->first_token);
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
	if (s->broken == DEMO_STORY_NAIVE)
		demo_story_step(s, "%s is killed: SIGKILL to the process that campaigns. Nobody ends its program.",
		                s->first);
	else
		demo_story_step(s, "%s is killed: SIGKILL to its supervisor, and with it goes all of its program.",
		                s->first);
	code = demo_cast_wait_end(d, &c->run, &ended);
	if (code == 0)
		code = demo_story_next(s, killed_ns, "the kill");
	if (code == 0)
		code = demo_story_scene(s);
	if (code != 0)
		return code;
	demo_view_look(&d->view, "");
	t = demo_view_find(&d->view, s->first_token);
	if (t->last_ns <= killed_ns)
		demo_story_more("No sign of life of %s's program is later than the kill.", s->first);
	else
		demo_story_more("The last sign of life of %s's program was %.1f ms after the kill.", s->first,
		                demo_story_ms(killed_ns, t->last_ns));
	return 0;
}

static int demo_story_late_write(struct demo_story *s)
{
	struct demo_cast *d = &s->cast;
	char line[DEMO_CAST_LINE_ROOM];
	int ended = 0, code;

	if (write(d->courier.in, "deliver\n", 8) != 8)
		return cli_fail_code(d->stage.cli, 70, "the courier is gone");
	code = demo_cast_wait_line(d, &d->courier, &d->courier_lines, line);
	if (code == 0)
		code = demo_cast_wait_end(d, &d->courier, &ended);
	if (code != 0)
		return code;
	demo_story_step(s, "The late write of %s arrives. %s%s (exit %d)", s->first,
	                ended == DEMO_STORY_REFUSED ? "The guard: " : "No guard: ", line, ended);
	if (ended != (d->guarded ? DEMO_STORY_REFUSED : 0))
		return cli_fail_code(d->stage.cli, 70, "the late write was to be %s",
		                     d->guarded ? "refused" : "let in");
	return 0;
}

static int demo_story_transfer(struct demo_story *s)
{
	struct demo_cast *d = &s->cast;
	uint64_t asked_ns = clock_now_or_zero_ns();
	const char *to = NULL;
	int code;

	for (size_t i = 0; i < DEMO_CAST_N; i++)
		if (d->candidates[i].run.pid > 0 && d->candidates[i].id != s->leader)
			to = d->candidates[i].id;
	if (!to)
		return cli_fail_code(d->stage.cli, 70, "nobody is left to hand over to");
	demo_story_step(s, "Hand-over: tenure transfer " DEMO_CAST_ELECTION " --to %s", to);
	code = demo_cast_transfer(d, to);
	if (code == 0)
		code = demo_story_next(s, asked_ns, "the request");
	if (code == 0 && strcmp(s->leader, to) != 0)
		return cli_fail_code(d->stage.cli, 70, "%s leads instead of %s", s->leader, to);
	return code == 0 ? demo_story_scene(s) : code;
}

static int demo_story_verdict(struct demo_story *s, int *verdict)
{
	int code;

	demo_story_step(s, "The verdict of a separate program, tenure-checker, on all traces and writes:");
	code = demo_cast_check(&s->cast, "      ", verdict);
	if (code == 0 && *verdict == 0 && s->broken != DEMO_STORY_WHOLE)
		code = cli_fail_code(s->cast.stage.cli, 70, "the violation that was arranged was not found");
	(void)fflush(stdout);
	return code;
}

/* ---- --stay ---- */

static void demo_story_how_to_play(const struct demo_story *s)
{
	const struct demo_stage *stage = &s->cast.stage;

	printf("\nIt goes on until Ctrl-C. In another terminal:\n"
	       "  export TENURE_STORE=%s\n"
	       "  %s status " DEMO_CAST_ELECTION "\n"
	       "  %s watch " DEMO_CAST_ELECTION "\n"
	       "  %s transfer " DEMO_CAST_ELECTION " --to a\n"
	       "  tail -f %s/ledger\n"
	       "Supervisors, to be killed (they are started again):",
	       stage->url, stage->self, stage->self, stage->self, stage->directory);
	for (size_t i = 0; i < DEMO_CAST_N; i++)
		printf("%s %s is pid %ld", i ? "," : "", s->cast.candidates[i].id, (long)s->cast.candidates[i].run.pid);
	(void)putchar('\n');
	(void)fflush(stdout);
}

static int demo_story_restart(struct demo_story *s, bool tell)
{
	int code = 0;

	for (size_t i = 0; code == 0 && i < DEMO_CAST_N; i++) {
		struct demo_cast_candidate *c = &s->cast.candidates[i];
		int ended = c->run.pid > 0 ? demo_stage_ended(&c->run) : 0;

		if (ended < 0)
			continue;
		code = demo_cast_start(&s->cast, i);
		if (code == 0 && tell)
			printf("%s ended (exit code %d) and was started again: pid %ld\n", c->id, ended,
			       (long)c->run.pid);
	}
	return code;
}

/* Until a signal comes; that is its end as planned. */
static int demo_story_play(struct demo_story *s)
{
	char path[DEMO_STAGE_PATH_ROOM];
	int code = demo_story_restart(s, false);

	if (code == 0)
		demo_story_how_to_play(s);
	while (code == 0) {
		const struct demo_view_tenure *t;

		demo_view_look(&s->cast.view, demo_stage_path(&s->cast.stage, "ledger", path));
		t = demo_view_after(&s->cast.view, s->token);
		if (t) {
			printf("%s leads with token %" PRIu64 "\n", t->holder, t->token);
			s->token = t->token;
		}
		(void)fflush(stdout);
		code = demo_story_restart(s, true);
		if (code == 0 && demo_stage_pause(&s->cast.stage, 20 * CLOCK_NS_PER_MS) > 0)
			break;
	}
	return code;
}

/* ---- all of it ---- */

static void demo_story_ending(const struct demo_story *s, int verdict)
{
	if (s->broken == DEMO_STORY_NO_GUARD)
		printf("\nWithout the guard the late write landed. 'tenure demo' shows the same with it.\n");
	else if (s->broken == DEMO_STORY_NAIVE)
		printf("\nElected is not contained: the old program went on.\n"
		       "'tenure demo' shows the same under 'tenure run'.\n");
	else if (verdict == 0)
		printf("\nTo try next:\n"
		       "  tenure run job -- CMD            your program, under one leader on this host\n"
		       "  tenure guard account --token $TENURE_TOKEN -- CMD      a guarded write of it\n"
		       "  tenure demo --stay               play with it\n"
		       "  tenure demo --break=fencing      the guard off: what the checker says then\n"
		       "  tenure demo --break=kill         the old program left alive\n");
	(void)fflush(stdout);
}

static int demo_story_play_all(struct demo_story *s, int *verdict)
{
	static int (*const steps[])(struct demo_story *) = { demo_story_elect, demo_story_kill, demo_story_late_write,
		                                             demo_story_transfer };
	int code = 0;

	demo_story_title(s);
	for (size_t i = 0; code == 0 && i < sizeof steps / sizeof steps[0]; i++)
		code = steps[i](s);
	if (code == 0 && s->stay)
		code = demo_story_play(s);
	if (code == 0)
		code = demo_cast_stop(&s->cast);
	if (code == 0)
		code = demo_story_verdict(s, verdict);
	if (code == 0)
		demo_story_ending(s, *verdict);
	return code;
}

static bool demo_story_wants_colour(void)
{
	const char *terminal = getenv("TERM");

	return isatty(1) && !getenv("NO_COLOR") && terminal && strcmp(terminal, "dumb") != 0;
}

int demo_story_run(const struct cli *cli, enum demo_story_break broken, bool stay)
{
	struct demo_story *s = calloc(1, sizeof *s);
	int code, closed, verdict = 0;

	if (!s)
		return cli_fail_code(cli, 70, "out of memory");
	s->broken = broken;
	s->stay = stay;
	s->colour = demo_story_wants_colour();
	code = demo_cast_open(&s->cast, cli, broken != DEMO_STORY_NO_GUARD, stay ? "20" : "2");
	if (code == 0)
		code = demo_story_play_all(s, &verdict);
	closed = demo_cast_close(&s->cast);
	free(s);
	if (code == 0)
		code = closed;
	return code ? code : verdict;
}
