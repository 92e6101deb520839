/* SPDX-License-Identifier: Apache-2.0 */
/* The last steps of the child that becomes the supervised program. */
#ifndef TENURE_SUPERVISOR_PROGRAM_H
#define TENURE_SUPERVISOR_PROGRAM_H

#include <tenure/lease_page.h>

#include "supervisor/signals.h"
#include "supervisor/urgency.h"

struct program { /* borrowed */
	char *const *command;
	const struct signals *signals;
	int closed_standard; /* descriptors_fill_standard() */
	int lease_fd;
	const char *oom_score_adj;            /* what it was before the warden lowered its own; NULL: it did not */
	const struct urgency *urgency;        /* the caller's, where it was changed; NULL: it was not */
	const struct tenure_lease_page *page; /* its deadline must be ahead; NULL: the lease has no end */
	const char *const *environment;       /* NAME, value, NAME, value, ... NULL; a value NULL removes the name */
};

/*
 * Executes the command, looked up in PATH where it has no slash, and never through a shell. Where that fails, writes
 * errno as an int to failure_fd, which closes on exec, and exits. ETIME: the lease is over.
 */
_Noreturn void program_exec(const struct program *p, int failure_fd);
/* 127 where it was not found, 126 where it could not be executed. */
int program_exit_code(int os_errno);

#endif
