/* SPDX-License-Identifier: Apache-2.0 */
/* The one table of exit codes (CONTRACT; man tenure(1)). PURE. */
#ifndef TENURE_BASE_EXIT_CODE_H
#define TENURE_BASE_EXIT_CODE_H

/* For any code of tenure.h, outcomes included; 0 for 0. */
int exit_code_of(int tenure_code);

#endif
