/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/clock.h"
#include "cli/cli.h"
#include "elector/store.h"
#include "supervisor/supervisor.h"

struct verb_run_options {
	uint64_t wait_ns, grace_ns; /* grace NS_NEVER: not given */
	uint64_t priority, timeout_exit_code;
	const char *value, *containment;
	bool stay, no_pid_namespace;
};

#define AT(member) offsetof(struct verb_run_options, member)

static const struct cli_option verb_run_options[] = {
	{ "grace", 0, CLI_DURATION, "DUR",
	  "time that CMD has between SIGTERM and SIGKILL (default: the lesser of 2s and a fifth of the ttl; 2s on a "
	  "file store)",
	  AT(grace_ns), 0, 0 },
	{ "wait", 'w', CLI_DURATION_OR_FOREVER, "DUR|forever",
	  "how long to wait for leadership; 0s is one attempt (default: forever)", AT(wait_ns), 0, 0 },
	{ "stay", 0, CLI_FLAG, NULL,
	  "campaign again, last in the queue, when CMD ended or leadership was lost, instead of exiting", AT(stay), 0,
	  0 },
	{ "conflict-exit-code", 'E', CLI_U64, "CODE", "exit code when --wait ran out (default: 124)",
	  AT(timeout_exit_code), 0, 255 },
	{ "priority", 0, CLI_U64, "N", "a higher one waits in front, 0 to 65535 (default: 0)", AT(priority), 0, 65535 },
	{ "value", 0, CLI_TEXT, "TEXT",
	  "what 'tenure status' shows beside the leader, such as an address; at most 4096 bytes", AT(value), 0, 0 },
	{ "containment", 0, CLI_CHOICE, "kernel|cgroup|weak",
	  "the least certainty with which CMD and all its children must end; refuses to start below it (default: weak)",
	  AT(containment), 0, 0 },
	{ "no-pid-namespace", 0, CLI_FLAG, NULL,
	  "let CMD see the host's processes and its own real pid; containment is weaker", AT(no_pid_namespace), 0, 0 },
};

static const struct verb_run_options verb_run_defaults = {
	.wait_ns = NS_NEVER,
	.grace_ns = NS_NEVER,
	.timeout_exit_code = 124,
	.containment = "weak",
};

static enum supervisor_containment verb_run_containment(const char *name)
{
	if (strcmp(name, "kernel") == 0)
		return SUPERVISOR_KERNEL;
	return strcmp(name, "cgroup") == 0 ? SUPERVISOR_CGROUP : SUPERVISOR_WEAK;
}

static int verb_run_run(struct cli *cli, void *options)
{
	struct verb_run_options *o = options;
	int code = cli_check_election(cli, cli->words[0]);

	if (code == 0 && o->value && strlen(o->value) > STORE_VALUE_MAX_BYTES)
		code = cli_fail_code(cli, 64, "--value has more than %d bytes", STORE_VALUE_MAX_BYTES);
	if (code != 0)
		return code;
	return supervisor_run(&(struct supervisor_options) {
	        .election = cli->words[0],
	        .store_url = cli->store_url,
	        .session = cli->session,
	        .value = o->value,
	        .priority = (uint16_t)o->priority,
	        .wait_ns = o->wait_ns,
	        .stay = o->stay,
	        .grace_ns = o->grace_ns,
	        .timeout_exit_code = (int)o->timeout_exit_code,
	        .least = verb_run_containment(o->containment),
	        .no_pid_namespace = o->no_pid_namespace,
	        .trace_fd = cli->trace_fd,
	        .closed_stdio = cli->closed_stdio,
	        .command = cli->command,
	});
}

const struct cli_verb verb_run = {
	.name = "run",
	.arguments = "ELECTION",
	.summary = "run a program only while this candidate leads",
	.help = "Waits until it leads ELECTION, then starts CMD, without a shell. While CMD runs, no other "
	        "candidate of the election on this store leads. When CMD ends, the next candidate takes over. "
	        "When leadership ends first, CMD and every process that it started is ended before the next "
	        "one may lead.\n"
	        "\n"
	        "  tenure run nightly-report -- ./report.sh --full\n"
	        "  tenure run scheduler --stay --value 10.0.0.7:80 -- ./scheduler  # a service\n"
	        "  tenure run backup --wait 0s -E 0 -- ./backup.sh    # cron: skip if it runs\n"
	        "\n"
	        "CMD finds TENURE_ELECTION, TENURE_ID, TENURE_STORE and TENURE_TOKEN in its environment. The "
	        "token is greater in each tenure: pass it on with every write ('tenure guard --help'), so "
	        "that a late write of a former leader is refused. TENURE_LEASE_FD and TENURE_LEASE_PATH lead "
	        "to the page that answers \"do I still lead?\" (tenure/lease_page.h).\n"
	        "\n"
	        "SIGTERM or SIGINT ends CMD in its grace period, then hands leadership on; a second one ends "
	        "it at once. HUP, QUIT, USR1, USR2 and WINCH are passed on to CMD.\n"
	        "\n"
	        "exit codes: that of CMD, or 128 + the signal that ended it; 75 leadership was lost or handed "
	        "over and CMD was stopped; 124 (-E) --wait ran out; 126, 127 CMD can't be executed, is not "
	        "found; 64 bad usage; 69 the store was not reached; 74 the disk failed; 76 another cluster "
	        "or an incompatible version; 78 unsafe settings; "
	        "128 + signal stopped while waiting.",
	.needs = CLI_STORE | CLI_TRACE | CLI_COMMAND,
	.options = verb_run_options,
	.n_options = sizeof verb_run_options / sizeof verb_run_options[0],
	.defaults = &verb_run_defaults,
	.options_bytes = sizeof verb_run_defaults,
	.run = verb_run_run,
};
