/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "cli/cli.h"
#include "cli/demo_story.h"

struct verb_demo_options {
	const char *broken; /* NULL: nothing */
	bool stay;
};

static const struct cli_option verb_demo_options[] = {
	{ "break", 0, CLI_CHOICE, "fencing|deadline|kill",
	  "take one protection away, to see what it is for: the guard, the deadline (on stores that have one), or the "
	  "end of "
	  "the old program",
	  offsetof(struct verb_demo_options, broken), 0, 0 },
	{ "stay", 0, CLI_FLAG, NULL, "go on afterwards until Ctrl-C, to play with it",
	  offsetof(struct verb_demo_options, stay), 0, 0 },
};

static const struct verb_demo_options verb_demo_defaults = { 0 };

static int verb_demo_run(struct cli *cli, void *options)
{
	const struct verb_demo_options *o = options;
	enum demo_story_break broken = DEMO_STORY_WHOLE;

	if (o->broken && strcmp(o->broken, "deadline") == 0)
		return cli_fail_code(
		        cli, 64,
		        "--break=deadline needs a store whose tenures have a deadline, and the demo plays on a file "
		        "store, which has none: take --break=fencing or --break=kill");
	if (o->broken)
		broken = strcmp(o->broken, "fencing") == 0 ? DEMO_STORY_NO_GUARD : DEMO_STORY_NAIVE;
	return demo_story_run(cli, broken, o->stay);
}

const struct cli_verb verb_demo = {
	.name = "demo",
	.arguments = "",
	.summary = "see an election with faults and a verdict on this host, in seconds",
	.help = "Plays a short story in a fresh directory on disk, with real processes: three candidates of one "
	        "election; "
	        "the\n"
	        "leader is killed together with its program; the next one leads with a greater token; a late write of "
	        "the\n"
	        "dead one is refused; leadership is handed over. Then a separate program reads what all of them wrote "
	        "down\n"
	        "and judges it. Nothing is left behind.\n"
	        "\n"
	        "  tenure demo\n"
	        "  tenure demo --break=fencing     # the guard off: the late write lands, and the verdict names it\n"
	        "  tenure demo --break=kill        # the old program is left alive: two at once, and the verdict names "
	        "it\n"
	        "  tenure demo --stay              # play with it\n"
	        "\n"
	        "The directory is made in $TMPDIR, /var/tmp or /tmp, whichever is on a local disk.\n"
	        "\n"
	        "exit codes: 0 no violation; 1 a violation, named; 64 bad usage; 70 something did not happen, with the "
	        "logs;\n"
	        "78 no directory on a local disk; 128 + signal interrupted.",
	.options = verb_demo_options,
	.n_options = sizeof verb_demo_options / sizeof verb_demo_options[0],
	.defaults = &verb_demo_defaults,
	.options_bytes = sizeof verb_demo_defaults,
	.run = verb_demo_run,
};
