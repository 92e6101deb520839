/* SPDX-License-Identifier: Apache-2.0 */
/* The parent of the program: starts it, reaps, passes signals on, and ends with it. */
#ifndef TENURE_SUPERVISOR_INIT_H
#define TENURE_SUPERVISOR_INIT_H

#include <stdbool.h>

#include "supervisor/containment.h"
#include "supervisor/program.h"
#include "supervisor/report.h"

struct init_settings { /* borrowed */
	const struct containment *containment;
	const struct program *program;
	struct report *report;
	bool urgent; /* it must be */
	int channel; /* to the warden */
	int lock;    /* the store's, held and never used; -1: none */
};

_Noreturn void init_main(const struct init_settings *s);

#endif
