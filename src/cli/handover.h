/* SPDX-License-Identifier: Apache-2.0 */
/* Asks the leader of an election to hand over and waits until it has: `resign` and `transfer`. */
#ifndef TENURE_CLI_HANDOVER_H
#define TENURE_CLI_HANDOVER_H

#include <stdint.h>

#include "cli/cli.h"

#define HANDOVER_WAIT_DEFAULT_NS 30000000000ULL

/* `to`: an id or identity, NULL: the next in line. Prints the result. Returns the exit code. */
int handover_run(struct cli *cli, const char *election, const char *to, uint64_t wait_ns);

#endif
