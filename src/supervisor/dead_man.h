/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel ends this process at the deadline, whether it runs, is stopped, or waits for the processor: a POSIX timer on
 * CLOCK_BOOTTIME whose signal is SIGKILL. It stands in the warden: an init of a PID namespace would ignore it.
 */
#ifndef TENURE_SUPERVISOR_DEAD_MAN_H
#define TENURE_SUPERVISOR_DEAD_MAN_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include <tenure/tenure.h>

struct dead_man {
	timer_t timer;
	uint64_t deadline_ns; /* NS_NEVER: there is none, for a lease without an end */
};

/* Of this process alone: a child made by fork has none. 0, or TENURE_ELIMIT, TENURE_EUNSUPPORTED with a message. */
int dead_man_set(struct dead_man *d, uint64_t deadline_ns, struct tenure_error *error);
/* The lease was renewed. The deadline only rises: what is not later changes nothing. 0, or TENURE_EINTERNAL. */
int dead_man_extend(struct dead_man *d, uint64_t deadline_ns);
/* Is the deadline still ahead? The signal may be on its way. */
bool dead_man_holds(const struct dead_man *d);

#endif
