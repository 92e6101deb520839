/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How the program ended, in memory that init writes and the supervisor reads: it arrives even where the warden, which
 * would have passed it on, was stopped or killed.
 */
#ifndef TENURE_SUPERVISOR_REPORT_H
#define TENURE_SUPERVISOR_REPORT_H

#include <stdatomic.h>
#include <stdint.h>

struct report {
	_Atomic int32_t ended; /* 1: status is valid. Stored last */
	int32_t status;        /* as waitpid() gives it */
};

#endif
