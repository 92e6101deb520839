/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/handover.h"

struct verb_transfer_options {
	const char *to;
	uint64_t wait_ns;
};

static const struct cli_option verb_transfer_options[] = {
	{ "to", 0, CLI_TEXT, "ID", "the candidate that is to lead: its id, or its identity where several have that id",
	  offsetof(struct verb_transfer_options, to), 0, 0 },
	{ "wait", 'w', CLI_DURATION_OR_FOREVER, "DUR|forever",
	  "how long to wait for the change (default: 30s); the wish stands when it runs out",
	  offsetof(struct verb_transfer_options, wait_ns), 0, 0 },
};

static const struct verb_transfer_options verb_transfer_defaults = { .wait_ns = HANDOVER_WAIT_DEFAULT_NS };

static int verb_transfer_run(struct cli *cli, void *options)
{
	const struct verb_transfer_options *o = options;

	if (!o->to || !*o->to)
		return cli_fail_code(cli, 64, "--to is missing: 'tenure status %s' shows who waits", cli->words[0]);
	return handover_run(cli, cli->words[0], o->to, o->wait_ns);
}

const struct cli_verb verb_transfer = {
	.name = "transfer",
	.arguments = "ELECTION",
	.summary = "ask the leader to hand over to a named candidate",
	.help = "Asks the present leader to hand over to a candidate that waits, and waits until that one "
	        "leads. The candidate is named by its id, or by its identity as 'tenure status' shows it; an "
	        "id that several have is refused with the list of their identities.\n"
	        "\n"
	        "  tenure transfer nightly-report --to host-b\n"
	        "  tenure transfer nightly-report --to host-b_1c99f02b7d6e4a31\n"
	        "\n"
	        "exit codes: 0 done; 64 bad usage, no such candidate, an ambiguous one, or nobody leads; 69 "
	        "the store was not reached; 74 the disk failed; 77 this user may not ask; 124 --wait ran out; "
	        "128 + signal stopped while waiting.",
	.needs = CLI_STORE,
	.options = verb_transfer_options,
	.n_options = sizeof verb_transfer_options / sizeof verb_transfer_options[0],
	.defaults = &verb_transfer_defaults,
	.options_bytes = sizeof verb_transfer_defaults,
	.run = verb_transfer_run,
};
