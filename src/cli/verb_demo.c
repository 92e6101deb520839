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
	  "take one protection away, to see what it is for: the guard, the deadline, or the end of the old program",
	  offsetof(struct verb_demo_options, broken), 0, 0 },
	{ "stay", 0, CLI_FLAG, NULL, "go on afterwards until Ctrl-C, to play with it",
	  offsetof(struct verb_demo_options, stay), 0, 0 },
};

static const struct verb_demo_options verb_demo_defaults = { 0 };

static int verb_demo_run(struct cli *cli, void *options)
{
	const struct verb_demo_options *o = options;
	enum demo_story_break broken = DEMO_STORY_WHOLE;

	if (o->broken)
		broken = strcmp(o->broken, "fencing") == 0    ? DEMO_STORY_NO_GUARD
		         : strcmp(o->broken, "deadline") == 0 ? DEMO_STORY_NO_DEADLINE
		                                              : DEMO_STORY_NAIVE;
	return demo_story_run(cli, broken, o->stay);
}

const struct cli_verb verb_demo = {
	.name = "demo",
	.arguments = "",
	.summary = "see an election with faults and a verdict on this host, in seconds",
	.help = "Plays a short story in a fresh directory on disk, with real processes and a real network (namespaces "
	        "of its own): three voters, three candidates of one election. The leader is paused, and its program "
	        "dead "
	        "before the next one leads; its late write is refused; the next leader is killed together with its "
	        "program; the one after that has its network cut; a voter is killed; leadership is handed over. Then a "
	        "separate program reads what all of them wrote down and judges it. Nothing is left behind.\n"
	        "\n"
	        "  tenure demo\n"
	        "  tenure demo --break=fencing    # the guard off: the late write lands\n"
	        "  tenure demo --break=deadline   # a program without a deadline: two after a cut\n"
	        "  tenure demo --break=kill       # the old program lives on: two after a kill\n"
	        "  tenure demo --stay              # play with it\n"
	        "\n"
	        "It takes root, or user namespaces, and ip(8) of iproute2. The directory is made in $TMPDIR, /var/tmp "
	        "or "
	        "/tmp, whichever is on a local disk.\n"
	        "\n"
	        "exit codes: 0 no violation; 1 a violation, named; 64 bad usage; 70 something did not happen, with the "
	        "logs; 78 no directory on a local disk; 128 + signal interrupted.",
	.options = verb_demo_options,
	.n_options = sizeof verb_demo_options / sizeof verb_demo_options[0],
	.defaults = &verb_demo_defaults,
	.options_bytes = sizeof verb_demo_defaults,
	.run = verb_demo_run,
};
