/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/demo_cast.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#include "base/clock.h"

#define DEMO_CAST_LIMIT_NS (10 * CLOCK_NS_PER_S) /* for each step: far beyond what any of them takes */
#define DEMO_CAST_LOOK_NS  (2 * CLOCK_NS_PER_MS)

struct demo_cast_wait {
	uint64_t end_ns;
};

static struct demo_cast_wait demo_cast_begin(void)
{
	return (struct demo_cast_wait) { clock_add_ns(clock_now_or_zero_ns(), DEMO_CAST_LIMIT_NS) };
}

/* Once a turn of a waiting loop. `what` did not happen where the time is over. */
static int demo_cast_turn(struct demo_cast *d, const struct demo_cast_wait *w, const char *what)
{
	int number = demo_stage_pause(&d->stage, DEMO_CAST_LOOK_NS);

	if (number > 0)
		return 128 + number;
	if (clock_now_or_zero_ns() < w->end_ns)
		return 0;
	for (size_t i = 0; i < DEMO_CAST_N; i++) {
		char log[16];

		(void)snprintf(log, sizeof log, "log-%s", d->candidates[i].id);
		demo_stage_show_log(&d->stage, log);
	}
	for (size_t i = 0; i < DEMO_NET_VOTERS; i++) {
		char log[16];

		(void)snprintf(log, sizeof log, "log-v%zu", i + 1);
		demo_stage_show_log(&d->stage, log);
	}
	return cli_fail_code(d->stage.cli, 70, "%s: not within %d s", what, (int)(DEMO_CAST_LIMIT_NS / CLOCK_NS_PER_S));
}

int demo_cast_open(struct demo_cast *d, const struct cli *cli, bool guarded, const char *pace_ms)
{
	char outbox[DEMO_STAGE_PATH_ROOM];
	int code;

	*d = (struct demo_cast) { .guarded = guarded, .pace_ms = pace_ms };
	demo_view_init(&d->view);
	for (size_t i = 0; i < DEMO_CAST_N; i++) {
		d->candidates[i].id[0] = (char)('a' + (int)i);
		d->candidates[i].run = (struct demo_stage_child) { .pid = -1, .in = -1, .out = -1 };
		d->candidates[i].program = d->candidates[i].run;
	}
	d->courier = d->candidates[0].run;
	code = demo_stage_open(&d->stage, cli);
	if (code == 0)
		code = demo_net_open(&d->net, &d->stage, DEMO_CAST_N);
	if (code == 0)
		code = demo_voters_start(&d->voters, &d->stage);
	if (code == 0 && mkfifo(demo_stage_path(&d->stage, "outbox", outbox), 0600) != 0)
		code = cli_fail_code(cli, 70, "cannot make %s: %s", outbox, strerror(errno));
	return code;
}

int demo_cast_close(struct demo_cast *d)
{
	int code = demo_stage_close(&d->stage);

	demo_net_close(&d->net);
	demo_view_deinit(&d->view);
	return code;
}

struct demo_cast_candidate *demo_cast_find(struct demo_cast *d, const char *id)
{
	for (size_t i = 0; i < DEMO_CAST_N; i++)
		if (strcmp(d->candidates[i].id, id) == 0)
			return &d->candidates[i];
	return NULL;
}

/* ---- starting ---- */

struct demo_cast_paths {
	char ledger[DEMO_STAGE_PATH_ROOM], guard[DEMO_STAGE_PATH_ROOM], outbox[DEMO_STAGE_PATH_ROOM];
	char trace[DEMO_STAGE_PATH_ROOM];
	char log[16];
};

static void demo_cast_name_paths(const struct demo_cast *d, const char *id, struct demo_cast_paths *p)
{
	char trace[16];

	demo_stage_path(&d->stage, "ledger", p->ledger);
	demo_stage_path(&d->stage, "guard", p->guard);
	demo_stage_path(&d->stage, "outbox", p->outbox);
	(void)snprintf(trace, sizeof trace, "trace-%s", id);
	demo_stage_path(&d->stage, trace, p->trace);
	(void)snprintf(p->log, sizeof p->log, "log-%s", id);
}

int demo_cast_start(struct demo_cast *d, size_t i)
{
	struct demo_cast_candidate *c = &d->candidates[i];
	struct demo_stage *s = &d->stage;
	struct demo_cast_paths p;

	demo_cast_name_paths(d, c->id, &p);
	return demo_stage_start_in(s, &c->run, p.log, 0, d->net.spaces[i],
	                           (const char *const[]) {
	                                   s->self,       "run",         DEMO_CAST_ELECTION,
	                                   "--store",     d->voters.url, "--id",
	                                   c->id,         "--stay",      "--ttl",
	                                   DEMO_CAST_TTL, "--grace",     DEMO_CAST_GRACE,
	                                   "--trace",     p.trace,       "--config",
	                                   "/dev/null",   "--",          s->writer,
	                                   "work",        p.ledger,      p.guard,
	                                   p.outbox,      d->pace_ms,    d->guarded ? NULL : "--no-guard",
	                                   NULL },
	                           NULL);
}

int demo_cast_start_courier(struct demo_cast *d)
{
	struct demo_stage *s = &d->stage;
	struct demo_cast_paths p;

	demo_cast_name_paths(d, "courier", &p);
	return demo_stage_start(s, &d->courier, p.log, DEMO_STAGE_IN | DEMO_STAGE_OUT,
	                        (const char *const[]) { s->writer, "courier", p.ledger, p.guard, p.outbox, d->pace_ms,
	                                                d->guarded ? NULL : "--no-guard", NULL },
	                        NULL);
}

/* The token of {"event":"elected","token":7,...}; 0: another record. */
static uint64_t demo_cast_elected(const char *line)
{
	json_t *record = json_loads(line, 0, NULL);
	const char *event = json_string_value(json_object_get(record, "event"));
	json_int_t token =
	        event && strcmp(event, "elected") == 0 ? json_integer_value(json_object_get(record, "token")) : 0;

	json_decref(record);
	return token > 0 ? (uint64_t)token : 0;
}

int demo_cast_start_naive(struct demo_cast *d, size_t i)
{
	struct demo_cast_candidate *c = &d->candidates[i];
	char line[DEMO_CAST_LINE_ROOM], token[24];
	struct demo_stage *s = &d->stage;
	struct demo_cast_paths p;
	uint64_t elected = 0;
	int code;

	demo_cast_name_paths(d, c->id, &p);
	code = demo_stage_start_in(s, &c->run, p.log, DEMO_STAGE_OUT, d->net.spaces[i],
	                           (const char *const[]) { s->self, "campaign", DEMO_CAST_ELECTION, "--store",
	                                                   d->voters.url, "--id", c->id, "--ttl", DEMO_CAST_TTL,
	                                                   "--trace", p.trace, "--config", "/dev/null", NULL },
	                           NULL);
	while (code == 0 && elected == 0) {
		code = demo_cast_wait_line(d, &c->run, &c->lines, line);
		if (code == 0)
			elected = demo_cast_elected(line);
	}
	if (code != 0)
		return code;
	(void)snprintf(token, sizeof token, "%" PRIu64, elected);
	return demo_stage_start(s, &c->program, p.log, 0,
	                        (const char *const[]) { s->writer, "work", p.ledger, p.guard, p.outbox, d->pace_ms,
	                                                d->guarded ? NULL : "--no-guard", NULL },
	                        (const char *const[]) { "TENURE_ID", c->id, "TENURE_TOKEN", token, NULL });
}

int demo_cast_note_kill(struct demo_cast *d, const char *node, uint64_t at_ns)
{
	char path[DEMO_STAGE_PATH_ROOM];
	int fd = open(demo_stage_path(&d->stage, "trace-kills", path), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	int n = fd < 0 ? -1
	               : dprintf(fd,
	                         "{\"node_ns\":\"%" PRIu64 "\",\"node\":\"%s\",\"election\":\"" DEMO_CAST_ELECTION
	                         "\",\"event\":\"killed\"}\n",
	                         at_ns, node);

	if (fd >= 0)
		(void)close(fd);
	return n > 0 ? 0 : cli_fail_code(d->stage.cli, 70, "cannot write %s: %s", path, strerror(errno));
}

/* ---- waiting ---- */

static bool demo_cast_waits(const struct tenure_status *status, const char *id)
{
	const char *ids[DEMO_CAST_N];
	size_t n = tenure_status_waiting(status, ids, DEMO_CAST_N);

	for (size_t i = 0; i < n && i < DEMO_CAST_N; i++)
		if (strcmp(ids[i], id) == 0)
			return true;
	return false;
}

int demo_cast_wait_queue(struct demo_cast *d, size_t i)
{
	struct tenure_options options = TENURE_OPTIONS_INIT;
	struct demo_cast_wait w = demo_cast_begin();
	struct tenure_error error = TENURE_ERROR_INIT;
	struct tenure *t;
	bool waits = false;
	int code = 0;

	options.embedded = true;
	if (tenure_open(&t, d->voters.url, &options, &error) != 0)
		return cli_fail(d->stage.cli, &error);
	while (code == 0 && !waits) {
		struct tenure_status *status;

		if (tenure_read(t, DEMO_CAST_ELECTION, CLOCK_NS_PER_S, &status, &error) == 0) {
			waits = demo_cast_waits(status, d->candidates[i].id);
			tenure_status_free(status);
		}
		code = waits ? 0 : demo_cast_turn(d, &w, "the others wait in the queue");
	}
	(void)tenure_close(t, 0);
	return code;
}

static const struct demo_view_tenure *demo_cast_look(struct demo_cast *d, uint64_t after)
{
	char path[DEMO_STAGE_PATH_ROOM];

	demo_view_look(&d->view, demo_stage_path(&d->stage, "ledger", path));
	return demo_view_after(&d->view, after);
}

int demo_cast_wait_tenure(struct demo_cast *d, uint64_t after, const struct demo_view_tenure **tenure)
{
	struct demo_cast_wait w = demo_cast_begin();
	int code = 0;

	while (code == 0 && (!(*tenure = demo_cast_look(d, after)) || (*tenure)->n_landed == 0))
		code = demo_cast_turn(d, &w, "the next program writes");
	return code;
}

void demo_cast_lead(struct demo_cast *d, const struct demo_view_tenure *t, struct demo_view_lead *lead)
{
	struct demo_cast_paths p;

	demo_cast_name_paths(d, t->holder, &p);
	if (!demo_view_last_lead(p.trace, lead) || lead->token != t->token)
		*lead = (struct demo_view_lead) { .at_ns = t->first_ns, .token = t->token };
}

/* Cuts the first whole line from what has come. */
static bool demo_cast_cut(struct demo_cast_lines *lines, char line[DEMO_CAST_LINE_ROOM])
{
	char *end = memchr(lines->text, '\n', lines->used);
	size_t n;

	if (!end && lines->used < sizeof lines->text)
		return false;
	n = end ? (size_t)(end - lines->text) : lines->used - 1; /* an endless line is cut where there is no room */
	memcpy(line, lines->text, n);
	line[n] = '\0';
	lines->used -= n + 1;
	memmove(lines->text, lines->text + n + 1, lines->used);
	return true;
}

/* 0: a line; 1: the end of the output; else an exit code. */
static int demo_cast_next_line(struct demo_cast *d, struct demo_stage_child *child, struct demo_cast_lines *lines,
                               char line[DEMO_CAST_LINE_ROOM])
{
	struct demo_cast_wait w = demo_cast_begin();
	int code = 0;

	(void)fcntl(child->out, F_SETFL, O_NONBLOCK);
	while (!demo_cast_cut(lines, line)) {
		ssize_t n = read(child->out, lines->text + lines->used, sizeof lines->text - lines->used);

		if (n == 0)
			return 1;
		if (n > 0)
			lines->used += (size_t)n;
		else
			code = demo_cast_turn(d, &w, "a line of output comes");
		if (code != 0)
			return code;
	}
	return 0;
}

int demo_cast_wait_line(struct demo_cast *d, struct demo_stage_child *child, struct demo_cast_lines *lines,
                        char line[DEMO_CAST_LINE_ROOM])
{
	int code = demo_cast_next_line(d, child, lines, line);

	if (code != 1)
		return code;
	demo_stage_show_log(&d->stage, "log-courier");
	demo_stage_show_log(&d->stage, "log-a");
	return cli_fail_code(d->stage.cli, 70, "a process of the demo ended too early");
}

int demo_cast_wait_end(struct demo_cast *d, struct demo_stage_child *child, int *ended)
{
	struct demo_cast_wait w = demo_cast_begin();
	int code = 0;

	while (code == 0 && (*ended = demo_stage_ended(child)) < 0)
		code = demo_cast_turn(d, &w, "a process ends");
	return code;
}

/* ---- acting ---- */

int demo_cast_transfer(struct demo_cast *d, const char *to)
{
	struct demo_stage_child transfer;
	struct demo_stage *s = &d->stage;
	int ended = 0, code;

	code = demo_stage_start(s, &transfer, "log-transfer", 0,
	                        (const char *const[]) { s->self, "transfer", DEMO_CAST_ELECTION, "--to", to, "--store",
	                                                d->voters.url, "--config", "/dev/null", NULL },
	                        NULL);
	if (code == 0)
		code = demo_cast_wait_end(d, &transfer, &ended);
	if (code == 0 && ended != 0) {
		demo_stage_show_log(s, "log-transfer");
		code = cli_fail_code(s->cli, 70, "'tenure transfer' failed with exit code %d", ended);
	}
	return code;
}

void demo_cast_pause(struct demo_cast *d, size_t i, bool pause)
{
	pid_t supervisor = d->candidates[i].run.pid;
	char path[64], text[128];
	ssize_t n = 0;
	int fd;

	(void)snprintf(path, sizeof path, "/proc/%ld/task/%ld/children", (long)supervisor, (long)supervisor);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		n = read(fd, text, sizeof text - 1);
		(void)close(fd);
	}
	text[n > 0 ? n : 0] = '\0';
	(void)kill(supervisor, pause ? SIGSTOP : SIGCONT);
	for (char *at = text, *end; *at; at = end) {
		long warden = strtol(at, &end, 10);

		if (end == at)
			break;
		if (warden > 0)
			(void)kill((pid_t)warden, pause ? SIGSTOP : SIGCONT);
	}
}

int demo_cast_stop(struct demo_cast *d)
{
	int code = 0, ended;

	for (size_t i = 0; i < DEMO_CAST_N; i++) {
		if (d->candidates[i].run.pid > 0)
			(void)kill(d->candidates[i].run.pid, SIGTERM);
		if (d->candidates[i].program.pid > 0)
			(void)kill(d->candidates[i].program.pid, SIGTERM);
	}
	for (size_t i = 0; code == 0 && i < DEMO_CAST_N; i++)
		if (d->candidates[i].run.pid > 0)
			code = demo_cast_wait_end(d, &d->candidates[i].run, &ended);
	return code == 0 ? demo_voters_stop(&d->voters) : code;
}

int demo_cast_check(struct demo_cast *d, const char *indent, int *verdict)
{
	static const char *const traces[] = { "trace-a", "trace-b", "trace-c", "trace-kills" }; /* kills: the last */
	const char *arguments[DEMO_STAGE_ARGUMENTS] = { d->stage.checker, "--ledger", "ledger" };
	char path[DEMO_STAGE_PATH_ROOM], line[DEMO_CAST_LINE_ROOM];
	struct demo_cast_lines lines = { .used = 0 };
	struct demo_stage_child checker;
	size_t n = 3;
	int code;

	for (size_t i = 0; i < sizeof traces / sizeof traces[0]; i++) {
		if (access(demo_stage_path(&d->stage, traces[i], path), R_OK) != 0)
			continue;
		arguments[n++] = "--trace";
		arguments[n++] = traces[i];
	}
	code = demo_stage_start(&d->stage, &checker, "log-checker", DEMO_STAGE_OUT, arguments, NULL);
	if (code != 0)
		return code;
	while ((code = demo_cast_next_line(d, &checker, &lines, line)) == 0)
		printf("%s%s\n", indent, line);
	if (code == 1)
		code = demo_cast_wait_end(d, &checker, verdict);
	if (code == 0 && *verdict > 1) {
		demo_stage_show_log(&d->stage, "log-checker");
		code = cli_fail_code(d->stage.cli, 70, "the checker gave no verdict (exit code %d)", *verdict);
	}
	return code;
}
