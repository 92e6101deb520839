/* SPDX-License-Identifier: Apache-2.0 */
/* The options of a verb: its own and the common ones, from the tables, for parsing, help, completion and checks. */
#ifndef TENURE_CLI_OPTIONS_H
#define TENURE_CLI_OPTIONS_H

#include <stddef.h>
#include <stdint.h>

#include "cli/cli.h"

#define OPTIONS_MAX        48
#define OPTIONS_FAULT_ROOM 256

struct options_common { /* NULL or 0: not given */
	const char *store, *id, *config, *output, *trace, *log_format, *log_level;
	uint64_t ttl_ns;
	bool help;
};

struct options_entry {
	const struct cli_option *option;
	bool common; /* offset is in struct options_common */
};

/* All options that a verb takes, its own first. Returns how many. */
size_t options_collect(const struct cli_verb *verb, struct options_entry out[OPTIONS_MAX]);

/*
 * Parses what follows the verb: argv[0] is the verb's name. Fills `common` and the verb's own struct `own`, and puts
 * the words and the command into `cli` (pointers into argv, which is reordered). 0, or 64 with what is wrong in
 * `fault`. Not for threads: getopt(3) has state of its own.
 */
int options_parse(struct cli *cli, int argc, char **argv, struct options_common *common, void *own,
                  char fault[OPTIONS_FAULT_ROOM]);

/* How many words a verb takes at least and at most, from its `arguments`. PURE. */
void options_words(const struct cli_verb *verb, int *least, int *most);

#endif
