/* SPDX-License-Identifier: Apache-2.0 */
/* Log lines on stderr, each in one write: for people, for journald (<N> first) or as JSON. */
#ifndef TENURE_CLI_LOGS_H
#define TENURE_CLI_LOGS_H

#include <stdbool.h>

#include <tenure/tenure.h>

struct logs {
	const char *verb; /* or NULL */
	bool json;
	bool journal;               /* stderr goes to journald, which reads priorities */
	int level;                  /* syslog's; what is less urgent is dropped */
	bool has_format, has_level; /* by a flag or the environment: the configuration file has no say */
};

#define LOGS_LEVELS        "error|warning|notice|info|debug"
#define LOGS_LEVEL_DEFAULT 5

void logs_init(struct logs *l, const char *verb);
/* The number of a name of LOGS_LEVELS, or -1. */
int logs_level(const char *name);
/* A tenure_log_fn; `arg` is a struct logs. [any thread] */
void logs_write(void *arg, int level, const char *component, const char *text);

#endif
