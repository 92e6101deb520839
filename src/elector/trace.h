/* SPDX-License-Identifier: Apache-2.0 */
/* The trace: one NDJSON record a transition (DESIGN: The trace). What checkers read and what can be replayed. PURE. */
#ifndef TENURE_ELECTOR_TRACE_H
#define TENURE_ELECTOR_TRACE_H

#include <stddef.h>
#include <stdint.h>

#include "elector/elector.h"

#define TRACE_RECORD_ROOM 1024

struct trace_record {
	uint64_t seq;
	uint64_t true_ns; /* in simulation; NS_NEVER: left out */
	const char *node; /* the candidate's identity */
	const char *election;
	const char *event; /* "state", or a name of the writer's */
	const struct elector_notice *notice;
};

/*
 * {"seq":1,"node_ns":"…","node":"a_0f…","election":"E","event":"state","from":"contending","to":"leading","token":7,
 *  "deadline_ns":"…","cause":"election"} and a newline. Instants in ns are strings (CONTRACT), an endless deadline is
 * "never". Returns the length, or 0 where `room` is too small.
 */
size_t trace_format(const struct trace_record *r, char *out, size_t room);

#endif
