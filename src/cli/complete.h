/* SPDX-License-Identifier: Apache-2.0 */
/* What bash may offer next, from the tables: `tenure __complete CURRENT WORD...`, used by
 * packaging/tenure.bash-completion. */
#ifndef TENURE_CLI_COMPLETE_H
#define TENURE_CLI_COMPLETE_H

#include "cli/cli.h"

/*
 * argv[0] is the index of the word to be completed, argv[1] the command's name, the rest the words so far. Prints one
 * candidate a line: verbs, options, choices; ":file" where a file name is expected, ":command" where a command is.
 */
int complete_print(const struct cli *cli, int argc, char **argv);

#endif
