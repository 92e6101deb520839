/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/exit_code.h"
#include "cli/changes.h"
#include "cli/cli.h"
#include "cli/drive.h"
#include "client/client.h"
#include "elector/state.h"

#define VERB_CAMPAIGN_RELEASE_NS (5 * CLOCK_NS_PER_S)

struct verb_campaign_options {
	const char *value;
	uint64_t priority;
};

#define AT(member) offsetof(struct verb_campaign_options, member)

static const struct cli_option verb_campaign_options[] = {
	{ "value", 0, CLI_TEXT, "TEXT",
	  "what 'tenure status' shows beside the leader, such as an address; at most 4096 bytes", AT(value), 0, 0 },
	{ "priority", 0, CLI_U64, "N", "a higher one waits in front, 0 to 65535 (default: 0)", AT(priority), 0, 65535 },
};

static const struct verb_campaign_options verb_campaign_defaults = { .priority = 0 };

struct verb_campaign { /* one run of the verb */
	const struct cli *cli;
	struct tenure *t;
	struct tenure_candidacy *candidacy;
	uint64_t token; /* 0: does not lead */
	bool degraded;
	int exit_code; /* of a failed print; 0: none */
};

static const char *verb_campaign_id(const struct verb_campaign *v, char id[NAMES_ID_MAX_BYTES + 1])
{
	const char *identity = client_identity(v->t), *mark = strrchr(identity, '_');

	(void)snprintf(id, NAMES_ID_MAX_BYTES + 1, "%.*s", mark ? (int)(mark - identity) : NAMES_ID_MAX_BYTES,
	               identity);
	return id;
}

static void verb_campaign_print(struct verb_campaign *v, const struct tenure_event *e, const char *event)
{
	char id[NAMES_ID_MAX_BYTES + 1];
	int code = changes_print(v->cli, e->election, event, e->at_unix_ns, v->token ? verb_campaign_id(v, id) : NULL,
	                         v->token);

	if (code != 0 && v->exit_code == 0)
		v->exit_code = code;
}

static void verb_campaign_on_event(void *arg, const struct tenure_event *e)
{
	struct verb_campaign *v = arg;

	if (e->type == TENURE_EV_HEALTH && (e->health == TENURE_DEGRADED) != v->degraded) {
		v->degraded = e->health == TENURE_DEGRADED;
		verb_campaign_print(v, e, v->degraded ? "degraded" : "recovered");
	}
	if (e->type != TENURE_EV_STATE)
		return;
	if (e->to == TENURE_LEADING && v->token == 0) {
		v->token = e->token;
		verb_campaign_print(v, e, changes_name("", e->cause));
	} else if (!state_believes(e->to) && v->token != 0) {
		v->token = 0;
		verb_campaign_print(v, e,
		                    e->cause == TENURE_BY_TRANSFER ? "transferred" : changes_name(NULL, e->cause));
	}
}

static void verb_campaign_trace(void *arg, const char *line, size_t n_bytes)
{
	const struct cli *cli = arg;
	ssize_t written = write(cli->trace_fd, line, n_bytes);

	(void)written; /* a trace that can't be written must not end a tenure */
}

static int verb_campaign_wait(struct verb_campaign *v, struct drive *d)
{
	for (;;) {
		struct tenure_error error = TENURE_ERROR_INIT;
		int code = drive_step(d, NS_NEVER);

		if (code > 0) {
			/* Told to stop: while waiting that is an interruption, while leading an orderly end. */
			return v->token ? 0 : 128 + code;
		}
		if (code < 0)
			return cli_fail_code(v->cli, exit_code_of(code), "%s", tenure_strerror(code));
		if (v->exit_code != 0)
			return v->exit_code;
		if (tenure_state_of(v->candidacy, &error) == TENURE_ENDED)
			return cli_fail(v->cli, &error);
	}
}

static int verb_campaign_start(struct verb_campaign *v, const struct verb_campaign_options *o, struct drive *d)
{
	struct tenure_campaign_options options = TENURE_CAMPAIGN_OPTIONS_INIT;
	struct tenure_error error = TENURE_ERROR_INIT;
	int code;

	options.value = o->value;
	options.value_bytes = o->value ? strlen(o->value) : 0;
	options.priority = (uint16_t)o->priority;
	options.on_event = verb_campaign_on_event;
	options.arg = v;
	if (v->cli->trace_fd >= 0)
		client_trace_to(v->t, verb_campaign_trace, (void *)(uintptr_t)v->cli);
	if (tenure_campaign(v->t, v->cli->words[0], &options, &v->candidacy, &error) != 0)
		return cli_fail(v->cli, &error);
	d->t = v->t;
	code = verb_campaign_wait(v, d);
	/*
	 * Belief ends here, and the "resigned" record is told before the session closes. Not eligible any more, or it
	 * would campaign again and lead for one more instant.
	 */
	if (v->token != 0 && tenure_resign(v->candidacy, NULL) == 0 && tenure_set_eligible(v->candidacy, false) == 0)
		(void)tenure_process(v->t);
	return code;
}

static int verb_campaign_run(struct cli *cli, void *options)
{
	const struct verb_campaign_options *o = options;
	struct verb_campaign v = { .cli = cli };
	struct drive d;
	int code = cli_check_election(cli, cli->words[0]);

	if (code == 0 && o->value && strlen(o->value) > STORE_VALUE_MAX_BYTES)
		code = cli_fail_code(cli, 64, "--value has more than %d bytes", STORE_VALUE_MAX_BYTES);
	if (code != 0)
		return code;
	if (drive_open(&d) != 0)
		return cli_fail_code(cli, 69, "no descriptor is left for signals: %s", strerror(errno));
	code = cli_open(cli, true, &v.t);
	if (code == 0) {
		code = verb_campaign_start(&v, o, &d);
		if (tenure_close(v.t, VERB_CAMPAIGN_RELEASE_NS) != 0)
			(void)cli_fail_code(
			        cli, code,
			        "the store did not confirm the release in time; the lease runs out by itself");
	}
	drive_close(&d);
	return code;
}

const struct cli_verb verb_campaign = {
	.name = "campaign",
	.arguments = "ELECTION",
	.summary = "hold leadership in the foreground, one JSON record a change",
	.help = "Campaigns in ELECTION until it is interrupted. Each change of its own leadership is one line "
	        "of JSON on stdout: \"elected\" when it begins to lead, with its token; \"resigned\", "
	        "\"transferred\" or \"expired\" when it no longer does. Then it campaigns again, last in the "
	        "queue. \"degraded\" and \"recovered\" tell of the store. To run a program while leading, take "
	        "'tenure run': it also makes sure that the program has ended.\n"
	        "\n"
	        "  tenure campaign scheduler --id a --value 10.0.0.7:8080\n"
	        "  "
	        "{\"at\":\"2026-01-02T03:04:05.678Z\",\"election\":\"scheduler\",\"event\":\"elected\",\"leader\":"
	        "\"a\",\"token\":7}\n"
	        "\n"
	        "SIGTERM, SIGINT and SIGHUP hand leadership on and end it.\n"
	        "\n"
	        "exit codes: 0 it led and was told to stop; 128 + signal it was told to stop while it waited; "
	        "64 bad usage; 69 the store was not reached; 74 the disk failed; 76 another cluster or "
	        "an incompatible version; 78 unsafe settings.",
	.needs = CLI_STORE | CLI_TRACE,
	.options = verb_campaign_options,
	.n_options = sizeof verb_campaign_options / sizeof verb_campaign_options[0],
	.defaults = &verb_campaign_defaults,
	.options_bytes = sizeof verb_campaign_defaults,
	.run = verb_campaign_run,
};
