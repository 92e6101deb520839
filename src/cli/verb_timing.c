/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "base/text.h"
#include "cli/output.h"
#include "cli/timing_quorum.h"
#include "client/registry.h"
#include "client/url.h"
#include "elector/lease.h"
#include "supervisor/urgency.h"

#define VERB_TIMING_TTL_NS (10 * CLOCK_NS_PER_S) /* CONTRACT: TTL */

struct verb_timing_options {
	uint64_t grace_ns, kill_margin_ns; /* NS_NEVER: not given */
	uint64_t rtt_ns, max_ttl_ns, max_ttl_v_ns;
};

static const struct cli_option verb_timing_options[] = {
	{ "grace", 0, CLI_DURATION, "DUR", "compute with this grace of 'tenure run' (default: as 'tenure run' does)",
	  offsetof(struct verb_timing_options, grace_ns), 0, 0 },
	{ "kill-margin", 0, CLI_DURATION, "DUR",
	  "compute with this lateness of timers (default: 20ms where this user may have SCHED_FIFO, else 100ms)",
	  offsetof(struct verb_timing_options, kill_margin_ns), 0, 0 },
	{ "rtt", 0, CLI_DURATION, "DUR", "quorum: the round trip to the voters (default: 1ms)",
	  offsetof(struct verb_timing_options, rtt_ns), 0, 0 },
	{ "max-ttl", 0, CLI_DURATION, "DUR", "quorum: the voters' longest lease (default: 10s)",
	  offsetof(struct verb_timing_options, max_ttl_ns), 0, 0 },
	{ "max-ttl-v", 0, CLI_DURATION, "DUR", "quorum: the voters' longest lease for a vote (default: 1s)",
	  offsetof(struct verb_timing_options, max_ttl_v_ns), 0, 0 },
};

static const struct verb_timing_options verb_timing_defaults = {
	.grace_ns = NS_NEVER,
	.kill_margin_ns = NS_NEVER,
	.rtt_ns = CLOCK_NS_PER_MS,
	.max_ttl_ns = 10 * CLOCK_NS_PER_S,
	.max_ttl_v_ns = CLOCK_NS_PER_S,
};

static void verb_timing_lease(struct output_findings *f, const struct lease_timing *t, uint64_t asked_ttl_ns)
{
	char text[64];

	if (asked_ttl_ns)
		output_finding(f, "ttl", timing_ms(t->ttl_ns), "ms", OUTPUT_OK,
		               "none: a file lock is held for as long as the leader lives; the %s that was asked for "
		               "changes nothing",
		               text_from_duration(asked_ttl_ns, text, sizeof text));
	else
		output_finding(f, "ttl", timing_ms(t->ttl_ns), "ms", OUTPUT_OK,
		               "none: a file lock is held for as long as the leader lives");
	output_finding(f, "D(ttl)", timing_ms(lease_allowance_ns(t->ttl_ns, t->rate_error_ppm)), "ms", OUTPUT_OK,
	               "how long a confirmation lasts: without end, since the kernel itself confirms");
	output_finding(f, "heartbeat", json_null(), "ms", OUTPUT_OK, "h: there is nothing to renew");
	output_finding(f, "retry", json_null(), "ms", OUTPUT_OK, "r: there is nothing to repeat");
	output_finding(f, "clock rate error", json_integer(t->rate_error_ppm), "ppm", OUTPUT_OK,
	               "what clocks may differ in rate by; no deadline of this store depends on it");
}

static void verb_timing_program(struct output_findings *f, const struct lease_timing *t)
{
	char message[256];
	bool safe = lease_is_safe(t, message, sizeof message);

	output_finding(f, "grace", timing_ms(t->grace_ns), "ms", OUTPUT_OK,
	               "what 'tenure run' leaves the program between SIGTERM and SIGKILL");
	output_finding(f, "kill margin", timing_ms(t->kill_margin_ns), "ms", OUTPUT_OK,
	               "there is no deadline, so no timer that could be late");
	output_finding(f, "safe", json_boolean(safe), "", safe ? OUTPUT_OK : OUTPUT_UNSAFE, "%s",
	               safe ? "D(ttl) >= h + 2 r + grace + kill margin holds: the lease has no end" : message);
}

static void verb_timing_changes(struct output_findings *f, const struct lease_timing *t)
{
	output_finding(f, "hand-over, worst", timing_ms(t->grace_ns), "ms", OUTPUT_OK,
	               "resign or transfer: the program's grace, then the time the kernel takes to end it");
	output_finding(f, "hand-over, no program", json_integer(0), "ms", OUTPUT_OK,
	               "between library or 'campaign' candidates: no waiting is part of it, only the work itself");
	output_finding(f, "fail-over, process dies", json_integer(0), "ms", OUTPUT_OK,
	               "no waiting is part of it: the next one leads once the old program's processes are proven dead");
	output_finding(
	        f, "fail-over, process hangs", json_null(), "ms", OUTPUT_WEAK,
	        "no bound: a stopped leader keeps leading, and one that can't be killed (disk sleep) blocks the next");
	output_finding(f, "fail-over, host dies", json_null(), "ms", OUTPUT_WEAK,
	               "no bound: all candidates are on this host; for several hosts another store is needed");
}

static void verb_timing_endless(struct output_findings *f, const struct verb_timing_options *o, uint64_t asked_ttl_ns)
{
	struct lease_timing t = { .ttl_ns = LEASE_NS_NEVER, .rate_error_ppm = LEASE_RATE_ERROR_PPM };

	t.grace_ns = o->grace_ns == NS_NEVER ? lease_default_grace_ns(t.ttl_ns) : o->grace_ns;
	verb_timing_lease(f, &t, asked_ttl_ns);
	verb_timing_program(f, &t);
	verb_timing_changes(f, &t);
}

static uint64_t verb_timing_kill_margin_ns(void)
{
	return urgency_probe() == 0 ? LEASE_KILL_MARGIN_FIFO_NS : LEASE_KILL_MARGIN_OTHER_NS;
}

static void verb_timing_quorum(struct output_findings *f, const struct verb_timing_options *o,
                               const struct tenure_options *session)
{
	struct timing_quorum t = { .rtt_ns = o->rtt_ns, .max_ttl_ns = o->max_ttl_ns, .max_ttl_v_ns = o->max_ttl_v_ns };
	struct lease_timing *l = &t.lease;

	l->ttl_ns = session->ttl_ns ? session->ttl_ns : VERB_TIMING_TTL_NS;
	l->rate_error_ppm = session->rate_error_ppm ? session->rate_error_ppm : LEASE_RATE_ERROR_PPM;
	l->grace_ns = o->grace_ns == NS_NEVER ? lease_default_grace_ns(l->ttl_ns) : o->grace_ns;
	l->kill_margin_ns = o->kill_margin_ns == NS_NEVER ? verb_timing_kill_margin_ns() : o->kill_margin_ns;
	timing_quorum_derive(&t);
	timing_quorum_rows(f, &t);
}

static int verb_timing_run(struct cli *cli, void *options)
{
	const struct verb_timing_options *o = options;
	struct tenure_error error = TENURE_ERROR_INIT;
	struct output_findings f;
	const struct store_ops *ops;
	struct url url;

	if (url_parse(&url, cli->store_url, &error) != 0)
		return cli_fail(cli, &error);
	ops = registry_find(url.scheme, &error);
	if (!ops)
		return cli_fail(cli, &error);
	output_findings_init(&f);
	if (ops->capabilities & STORE_ENDLESS_LEASE)
		verb_timing_endless(&f, o, cli->session.ttl_ns);
	else
		verb_timing_quorum(&f, o, &cli->session);
	return output_findings_print(cli, &f);
}

const struct cli_verb verb_timing = {
	.name = "timing",
	.arguments = "",
	.summary = "every bound of this store, computed from the settings",
	.help = "Prints how long things may take at worst with this store and these settings: leases, the "
	        "program's grace, planned hand-over, fail-over. '-' is without a bound. It looks at settings "
	        "alone and contacts nothing.\n"
	        "\n"
	        "  tenure timing\n"
	        "  tenure timing --store quorum://v1,v2,v3 --ttl 2s --rtt 5ms\n"
	        "  tenure timing --grace 10s -o json\n"
	        "\n"
	        "exit codes: 0 shown; 64 bad usage; 78 malformed configuration.",
	.needs = CLI_STORE | CLI_OUTPUT,
	.options = verb_timing_options,
	.n_options = sizeof verb_timing_options / sizeof verb_timing_options[0],
	.defaults = &verb_timing_defaults,
	.options_bytes = sizeof verb_timing_defaults,
	.run = verb_timing_run,
};
