/* SPDX-License-Identifier: Apache-2.0 */
/* The records of `watch` and `campaign` (CONTRACT: JSON), one line a change. */
#ifndef TENURE_CLI_CHANGES_H
#define TENURE_CLI_CHANGES_H

#include <stdint.h>

#include "cli/cli.h"

/*
 * The name of a change after which `leader` leads, or nobody (NULL): "elected", "transferred", "resigned", "expired",
 * "none". PURE.
 */
const char *changes_name(const char *leader, enum tenure_cause cause);
/* Prints one record and flushes. `leader` and `token` are those after the change; NULL and 0 are null. The exit code.
 */
int changes_print(const struct cli *cli, const char *election, const char *event, int64_t at_unix_ns,
                  const char *leader, uint64_t token);

#endif
