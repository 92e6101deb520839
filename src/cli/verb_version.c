/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>

#include "cli/output.h"

static int verb_version_run(struct cli *cli, void *options)
{
	uint32_t version = tenure_version();
	char text[48];

	(void)options;
	(void)snprintf(text, sizeof text, "%" PRIu32 ".%" PRIu32 ".%" PRIu32, version >> 16, version >> 8 & 255,
	               version & 255);
	if (cli->format == CLI_JSON)
		return output_json(cli, json_pack("{s:s}", "version", text));
	(void)printf("tenure %s\n", text);
	return output_flush(cli);
}

const struct cli_verb verb_version = {
	.name = "version",
	.arguments = "",
	.summary = "say which version this is",
	.help = "Prints the version of the command and of the library in it.\n"
	        "\n"
	        "  tenure version -o json",
	.needs = CLI_OUTPUT,
	.run = verb_version_run,
};
