/* SPDX-License-Identifier: Apache-2.0 */
/* `tenure run`: a program that runs only while its candidate leads. */
#ifndef TENURE_SUPERVISOR_SUPERVISOR_H
#define TENURE_SUPERVISOR_SUPERVISOR_H

#include <stdbool.h>
#include <stdint.h>

#include <tenure/tenure.h>

enum supervisor_containment { SUPERVISOR_WEAK = 1, SUPERVISOR_CGROUP, SUPERVISOR_KERNEL };

struct supervisor_options { /* borrowed */
	const char *election, *store_url;
	struct tenure_options session; /* embedded is set by the supervisor */
	const char *value;             /* or NULL */
	uint16_t priority;
	uint64_t wait_ns; /* NS_NEVER: for ever; 0: one attempt */
	bool stay;
	uint64_t grace_ns;     /* NS_NEVER: what suits the store's ttl */
	int timeout_exit_code; /* -E, 124 by default */
	enum supervisor_containment least;
	bool no_pid_namespace;
	int trace_fd;          /* NDJSON trace, -1: none */
	unsigned closed_stdio; /* bit n: descriptor n was closed at start (/dev/null stands there); close it in CMD */
	char *const *command;  /* NULL-terminated, at least one */
};

/* The whole run. Returns the exit code of CONTRACT's table; logs through session.log. */
int supervisor_run(const struct supervisor_options *o);

/* What this host allows, for `tenure doctor` and the line at start. `why` says why not more. */
enum supervisor_containment supervisor_best_containment(bool no_pid_namespace, char *why, size_t room);
const char *supervisor_containment_name(enum supervisor_containment c);

#endif
