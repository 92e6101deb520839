/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/exit_code.h"
#include "base/names.h"
#include "cli/changes.h"
#include "cli/drive.h"

struct verb_watch { /* one run of the verb */
	const struct cli *cli;
	const char *election;
	bool degraded, led;
	char leader[NAMES_ID_MAX_BYTES + 1]; /* while led */
	uint64_t token;
	int exit_code; /* of a failed print, or of a store that never will do */
};

static void verb_watch_print(struct verb_watch *w, const char *event, int64_t at_unix_ns)
{
	int code = changes_print(w->cli, w->election, event, at_unix_ns, w->led ? w->leader : NULL, w->token);

	if (code != 0 && w->exit_code == 0)
		w->exit_code = code;
}

static void verb_watch_on_event(void *arg, const struct tenure_event *e)
{
	struct verb_watch *w = arg;

	if (e->type == TENURE_EV_LEADER) {
		w->led = e->leader_id != NULL;
		w->token = w->led ? e->token : 0;
		(void)snprintf(w->leader, sizeof w->leader, "%s", w->led ? e->leader_id : "");
		verb_watch_print(w, changes_name(e->leader_id, e->cause), e->at_unix_ns);
	}
	/* No waiting helps against these. */
	if (e->type == TENURE_EV_HEALTH && e->health == TENURE_DEGRADED && e->error && w->exit_code == 0 &&
	    (e->error->code == TENURE_ECLUSTER || e->error->code == TENURE_EVERSION)) {
		w->exit_code = cli_fail(w->cli, e->error);
		return;
	}
	if (e->type == TENURE_EV_HEALTH && (e->health == TENURE_DEGRADED) != w->degraded) {
		w->degraded = e->health == TENURE_DEGRADED;
		verb_watch_print(w, w->degraded ? "degraded" : "recovered", e->at_unix_ns);
	}
}

static int verb_watch_follow(struct verb_watch *w, struct tenure *t, struct drive *d)
{
	struct tenure_error error = TENURE_ERROR_INIT;
	struct tenure_observer *observer;
	int code = tenure_observe(t, w->election, verb_watch_on_event, w, &observer, &error);

	if (code != 0)
		return cli_fail(w->cli, &error);
	d->t = t;
	while (w->exit_code == 0 && code == 0)
		code = drive_step(d, NS_NEVER);
	tenure_observer_free(observer);
	if (w->exit_code != 0)
		return w->exit_code;
	return code > 0 ? 128 + code : cli_fail_code(w->cli, exit_code_of(code), "%s", tenure_strerror(code));
}

static int verb_watch_run(struct cli *cli, void *options)
{
	struct verb_watch w = { .cli = cli, .election = cli->words[0] };
	struct tenure *t;
	struct drive d;
	int code = cli_check_election(cli, w.election);

	(void)options;
	if (code != 0)
		return code;
	if (drive_open(&d) != 0)
		return cli_fail_code(cli, 69, "no descriptor is left for signals: %s", strerror(errno));
	code = cli_open(cli, true, &t);
	if (code == 0) {
		code = verb_watch_follow(&w, t, &d);
		(void)tenure_close(t, 0);
	}
	drive_close(&d);
	return code;
}

const struct cli_verb verb_watch = {
	.name = "watch",
	.arguments = "ELECTION",
	.summary = "follow an election: one JSON record a change, its state first",
	.help = "Prints one line of JSON for each change of the election, beginning with its present state, "
	        "until it is interrupted. leader and token are those after the change, null while nobody "
	        "leads. Events:\n"
	        "\n"
	        "  elected      leader began to lead\n"
	        "  transferred  leader began to lead: the one before handed over to it by name\n"
	        "  resigned     the leader gave up; nobody leads\n"
	        "  expired      the leader died or its lease ran out; nobody leads\n"
	        "  none         nobody leads, and it is not known why\n"
	        "  degraded     the store works no longer, or only in part (leadership goes on)\n"
	        "  recovered    the store works again\n"
	        "\n"
	        "Where changes come faster than they can be seen, the latest state is shown.\n"
	        "\n"
	        "  tenure watch nightly-report\n"
	        "  "
	        "{\"at\":\"2026-01-02T03:04:05.678Z\",\"election\":\"nightly-report\",\"event\":\"elected\",\"leader\":"
	        "\"a\",\"token\":7}\n"
	        "\n"
	        "exit codes: 128 + signal it was told to stop; 64 bad usage; 69 the store was not reached; 74 "
	        "the disk failed; 76 another cluster, or an incompatible version.",
	.needs = CLI_STORE,
	.run = verb_watch_run,
};
