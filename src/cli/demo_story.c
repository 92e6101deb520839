/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/demo_story.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/demo_acts.h"
#include "supervisor/supervisor.h"

typedef int demo_story_act(struct demo_acts *a);

/* What is played, by what is broken: NULL ends it. */
static demo_story_act *const demo_story_acts[][8] = {
	[DEMO_STORY_WHOLE] = { demo_acts_elect, demo_acts_pause, demo_acts_late_write, demo_acts_kill, demo_acts_cut,
	                       demo_acts_voter, demo_acts_transfer, NULL },
	[DEMO_STORY_NO_GUARD] = { demo_acts_elect, demo_acts_pause, demo_acts_late_write, NULL },
	[DEMO_STORY_NO_DEADLINE] = { demo_acts_elect, demo_acts_cut, NULL },
	[DEMO_STORY_NAIVE] = { demo_acts_elect, demo_acts_kill, NULL },
};

static void demo_story_title(const struct demo_acts *a)
{
	char why[256] = "";
	enum supervisor_containment best = supervisor_best_containment(false, why, sizeof why);

	printf("Three voters, and three candidates of one election, \"" DEMO_CAST_ELECTION "\", on this\n"
	       "host. Each candidate has a network of its own, and is\n"
	       "  tenure run " DEMO_CAST_ELECTION " --ttl " DEMO_CAST_TTL " --stay -- CMD\n"
	       "where CMD writes to an account, from three processes, with its token,\n"
	       "%s. Everything is in\n"
	       "%s; containment: %s.\n",
	       a->cast.guarded ? "through a guard" : "and asks NO guard (--break=fencing)", a->cast.stage.directory,
	       supervisor_containment_name(best));
	if (a->broken == DEMO_STORY_NAIVE || a->broken == DEMO_STORY_NO_DEADLINE)
		printf("--break=%s: candidate a is no \"tenure run\". A script campaigns in one\n"
		       "process, and runs CMD in another.\n",
		       a->broken == DEMO_STORY_NAIVE ? "kill" : "deadline");
	(void)putchar('\n');
	(void)fflush(stdout);
}

static int demo_story_verdict(struct demo_acts *a, int *verdict)
{
	int code;

	demo_tell_step(&a->tell, "The verdict of a separate program, tenure-checker, on all traces and writes:");
	code = demo_cast_check(&a->cast, "      ", verdict);
	if (code == 0 && *verdict == 0 && a->broken != DEMO_STORY_WHOLE)
		code = cli_fail_code(a->cast.stage.cli, 70, "the violation that was arranged was not found");
	(void)fflush(stdout);
	return code;
}

/* ---- --stay ---- */

static void demo_story_how_to_play(const struct demo_acts *a)
{
	const struct demo_cast *d = &a->cast;
	const struct demo_stage *stage = &d->stage;

	printf("\nIt goes on until Ctrl-C. Its network is its own; from another terminal:\n"
	       "  alias there='nsenter --target %ld --net%s'\n"
	       "  export TENURE_STORE=%s\n"
	       "  there %s status " DEMO_CAST_ELECTION "\n"
	       "  there %s watch " DEMO_CAST_ELECTION "\n"
	       "  there %s transfer " DEMO_CAST_ELECTION " --to a\n"
	       "  there ip link set cable-a down     cuts a's network; up mends it\n"
	       "  tail -f %s/ledger\n"
	       "Supervisors, to be killed or stopped (the dead are started again):\n ",
	       (long)getpid(), d->net.user_namespace ? " --user --preserve-credentials" : "", d->voters.url,
	       stage->self, stage->self, stage->self, stage->directory);
	for (size_t i = 0; i < DEMO_CAST_N; i++)
		printf("%s %s is pid %ld", i ? "," : "", d->candidates[i].id, (long)d->candidates[i].run.pid);
	printf("\nVoters:\n ");
	for (size_t i = 0; i < DEMO_NET_VOTERS; i++)
		printf("%s v%zu is pid %ld", i ? "," : "", i + 1, (long)d->voters.voters[i].pid);
	(void)putchar('\n');
	(void)fflush(stdout);
}

static int demo_story_restart(struct demo_acts *a, bool tell)
{
	struct demo_cast *d = &a->cast;
	int code = 0;

	for (size_t i = 0; code == 0 && i < DEMO_CAST_N; i++) {
		struct demo_cast_candidate *c = &d->candidates[i];
		int ended = c->run.pid > 0 ? demo_stage_ended(&c->run) : 0;

		if (ended < 0)
			continue;
		code = demo_cast_start(d, i);
		if (code == 0 && tell)
			printf("%s ended (exit code %d) and was started again: pid %ld\n", c->id, ended,
			       (long)c->run.pid);
	}
	for (size_t i = 0; code == 0 && i < DEMO_NET_VOTERS; i++) {
		struct demo_stage_child *v = &d->voters.voters[i];
		int ended = v->pid > 0 ? demo_stage_ended(v) : 0;

		if (ended < 0)
			continue;
		code = demo_voters_restart(&d->voters, i);
		if (code == 0 && tell)
			printf("v%zu ended (exit code %d) and was started again: pid %ld\n", i + 1, ended,
			       (long)v->pid);
	}
	return code;
}

/* Until a signal comes; that is its end as planned. */
static int demo_story_play(struct demo_acts *a)
{
	char path[DEMO_STAGE_PATH_ROOM];
	int code = demo_story_restart(a, false);

	if (code == 0)
		demo_story_how_to_play(a);
	while (code == 0) {
		const struct demo_view_tenure *t;

		demo_view_look(&a->cast.view, demo_stage_path(&a->cast.stage, "ledger", path));
		t = demo_view_after(&a->cast.view, a->token);
		if (t) {
			printf("%s leads with token %" PRIu64 "\n", t->holder, t->token);
			a->token = t->token;
		}
		(void)fflush(stdout);
		code = demo_story_restart(a, true);
		if (code == 0 && demo_stage_pause(&a->cast.stage, 20 * CLOCK_NS_PER_MS) > 0)
			break;
	}
	return code;
}

/* ---- all of it ---- */

static void demo_story_ending(const struct demo_acts *a, int verdict)
{
	if (a->broken == DEMO_STORY_NO_GUARD)
		printf("\nWithout the guard the late write landed. 'tenure demo' shows the same with it.\n");
	else if (a->broken != DEMO_STORY_WHOLE)
		printf("\nElected is not contained: the old program went on.\n"
		       "'tenure demo' shows the same under 'tenure run'.\n");
	else if (verdict == 0)
		printf("\nTo try next:\n"
		       "  tenure run job -- CMD            your program, under one leader on this host\n"
		       "  tenure server init --dir D v1=H:7420 v2=H:7420 v3=H:7420     voters of your own\n"
		       "  tenure guard account --token $TENURE_TOKEN -- CMD      a guarded write of it\n"
		       "  tenure demo --stay               play with it\n"
		       "  tenure demo --break=fencing      the guard off: what the checker says then\n"
		       "  tenure demo --break=deadline     a program that looks at no deadline\n"
		       "  tenure demo --break=kill         the old program left alive\n");
	(void)fflush(stdout);
}

static int demo_story_play_all(struct demo_acts *a, bool stay, int *verdict)
{
	int code = 0;

	demo_story_title(a);
	for (demo_story_act *const *act = demo_story_acts[a->broken]; code == 0 && *act; act++)
		code = (*act)(a);
	if (code == 0 && stay)
		code = demo_story_play(a);
	if (code == 0)
		code = demo_cast_stop(&a->cast);
	if (code == 0)
		code = demo_story_verdict(a, verdict);
	if (code == 0)
		demo_story_ending(a, *verdict);
	return code;
}

int demo_story_run(const struct cli *cli, enum demo_story_break broken, bool stay)
{
	struct demo_acts *a = calloc(1, sizeof *a);
	int code, closed, verdict = 0;

	if (!a)
		return cli_fail_code(cli, 70, "out of memory");
	a->broken = broken;
	demo_tell_init(&a->tell);
	code = demo_cast_open(&a->cast, cli, broken != DEMO_STORY_NO_GUARD, stay ? "20" : "2");
	if (code == 0)
		code = demo_story_play_all(a, stay, &verdict);
	closed = demo_cast_close(&a->cast);
	free(a);
	if (code == 0)
		code = closed;
	return code ? code : verdict;
}
