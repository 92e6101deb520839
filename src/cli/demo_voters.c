/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/demo_voters.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"

#define DEMO_VOTERS_PORT    7420
#define DEMO_VOTERS_MAX_TTL "2s" /* a crashed voter is back among the votes after it: the demo is short */
#define DEMO_VOTERS_END_NS  (5 * CLOCK_NS_PER_S)

static int demo_voters_await(struct demo_voters *v, struct demo_stage_child *child, int *ended)
{
	uint64_t end_ns = clock_add_ns(clock_now_or_zero_ns(), DEMO_VOTERS_END_NS);

	while ((*ended = demo_stage_ended(child)) < 0) {
		int number = demo_stage_pause(v->stage, CLOCK_NS_PER_MS);

		if (number > 0)
			return 128 + number;
		if (clock_now_or_zero_ns() >= end_ns)
			return cli_fail_code(v->stage->cli, 70, "a voter of the demo does not end");
	}
	return 0;
}

static int demo_voters_init(struct demo_voters *v)
{
	char directory[DEMO_STAGE_PATH_ROOM], members[DEMO_NET_VOTERS][64];
	struct demo_stage *s = v->stage;
	struct demo_stage_child child;
	int code, ended = 0, used = snprintf(v->url, sizeof v->url, "quorum://");

	for (int i = 0; i < DEMO_NET_VOTERS; i++) {
		(void)snprintf(members[i], sizeof members[i], "v%d=" DEMO_NET_ADDRESS ":%d", i + 1, i + 1,
		               DEMO_VOTERS_PORT);
		used += snprintf(v->url + used, sizeof v->url - (size_t)used, "%s" DEMO_NET_ADDRESS ":%d", i ? "," : "",
		                 i + 1, DEMO_VOTERS_PORT);
	}
	code = demo_stage_start(s, &child, "log-init", 0,
	                        (const char *const[]) { s->self, "server", "init", "--dir",
	                                                demo_stage_path(s, "voters", directory), "--max-ttl",
	                                                DEMO_VOTERS_MAX_TTL, members[0], members[1], members[2], NULL },
	                        NULL);
	if (code == 0)
		code = demo_voters_await(v, &child, &ended);
	if (code == 0 && ended != 0) {
		demo_stage_show_log(s, "log-init");
		code = cli_fail_code(s->cli, 70, "'tenure server init' failed with exit code %d", ended);
	}
	return code;
}

int demo_voters_restart(struct demo_voters *v, size_t i)
{
	char name[32], directory[DEMO_STAGE_PATH_ROOM], log[16];
	struct demo_stage *s = v->stage;

	(void)snprintf(name, sizeof name, "voters/v%zu", i + 1);
	(void)snprintf(log, sizeof log, "log-v%zu", i + 1);
	/* Off loopback as far as the voter can tell, but in namespaces that nobody else is in. */
	return demo_stage_start(s, &v->voters[i], log, 0,
	                        (const char *const[]) { s->self, "server", "--data",
	                                                demo_stage_path(s, name, directory), "--insecure", "--config",
	                                                "/dev/null", NULL },
	                        NULL);
}

int demo_voters_start(struct demo_voters *v, struct demo_stage *stage)
{
	int code;

	*v = (struct demo_voters) { .stage = stage };
	for (size_t i = 0; i < DEMO_NET_VOTERS; i++)
		v->voters[i] = (struct demo_stage_child) { .pid = -1, .in = -1, .out = -1 };
	code = demo_voters_init(v);
	for (size_t i = 0; code == 0 && i < DEMO_NET_VOTERS; i++)
		code = demo_voters_restart(v, i);
	return code;
}

int demo_voters_kill(struct demo_voters *v, size_t i)
{
	int ended;

	(void)kill(v->voters[i].pid, SIGKILL);
	return demo_voters_await(v, &v->voters[i], &ended);
}

int demo_voters_stop(struct demo_voters *v)
{
	int code = 0;

	for (size_t i = 0; i < DEMO_NET_VOTERS; i++)
		if (v->voters[i].pid > 0)
			(void)kill(v->voters[i].pid, SIGTERM);
	for (size_t i = 0; code == 0 && i < DEMO_NET_VOTERS; i++) {
		int ended = 0;

		if (v->voters[i].pid > 0)
			code = demo_voters_await(v, &v->voters[i], &ended);
		if (code == 0 && ended != 0)
			code = cli_fail_code(v->stage->cli, 70, "voter v%zu did not stop cleanly (exit code %d)", i + 1,
			                     ended);
	}
	return code;
}
