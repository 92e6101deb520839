/* SPDX-License-Identifier: Apache-2.0 */
/* The table of verbs. */
#ifndef TENURE_CLI_VERBS_H
#define TENURE_CLI_VERBS_H

#include <stddef.h>

#include "cli/cli.h"

/* The verb number i in the order of the help, or NULL after the last one. */
const struct cli_verb *verbs_at(size_t i);
const struct cli_verb *verbs_find(const char *name); /* or NULL */

#endif
