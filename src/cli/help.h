/* SPDX-License-Identifier: Apache-2.0 */
/* Help texts, made from the tables. */
#ifndef TENURE_CLI_HELP_H
#define TENURE_CLI_HELP_H

#include <stdio.h>

#include "cli/cli.h"

void help_all(FILE *to);
void help_verb(FILE *to, const struct cli_verb *verb);
void help_usage(FILE *to, const struct cli_verb *verb); /* the one line "usage: ..." */

#endif
