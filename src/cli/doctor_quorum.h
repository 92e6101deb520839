/* SPDX-License-Identifier: Apache-2.0 */
/* What 'tenure doctor' says of a quorum store: each voter, and all of them together. */
#ifndef TENURE_CLI_DOCTOR_QUORUM_H
#define TENURE_CLI_DOCTOR_QUORUM_H

#include "cli/cli.h"
#include "cli/output.h"

/* `addresses`: what follows quorum:// in the URL. 0, or the exit code of settings that can't be used, told. */
int doctor_quorum_rows(struct cli *cli, struct output_findings *f, const char *addresses);

#endif
