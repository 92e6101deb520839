/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/handover.h"

struct verb_resign_options {
	uint64_t wait_ns;
};

static const struct cli_option verb_resign_options[] = {
	{ "wait", 'w', CLI_DURATION_OR_FOREVER, "DUR|forever",
	  "how long to wait for the change (default: 30s); the wish stands when it runs out",
	  offsetof(struct verb_resign_options, wait_ns), 0, 0 },
};

static const struct verb_resign_options verb_resign_defaults = { .wait_ns = HANDOVER_WAIT_DEFAULT_NS };

static int verb_resign_run(struct cli *cli, void *options)
{
	const struct verb_resign_options *o = options;

	return handover_run(cli, cli->words[0], NULL, o->wait_ns);
}

const struct cli_verb verb_resign = {
	.name = "resign",
	.arguments = "ELECTION",
	.summary = "ask the leader to hand over to the next in line",
	.help = "Asks the present leader to give up leadership in an orderly way, and waits until it has and "
	        "the next candidate leads. Under 'tenure run' the program is ended first, within its grace "
	        "period. Where nobody waits, the election is then without a leader.\n"
	        "\n"
	        "  tenure resign nightly-report\n"
	        "\n"
	        "exit codes: 0 done; 64 bad usage, or nobody leads; 69 the store was not reached; 74 the disk "
	        "failed; 77 this user may not ask; 124 --wait ran out; 128 + signal stopped while waiting.",
	.needs = CLI_STORE,
	.options = verb_resign_options,
	.n_options = 1,
	.defaults = &verb_resign_defaults,
	.options_bytes = sizeof verb_resign_defaults,
	.run = verb_resign_run,
};
