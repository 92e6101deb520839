/* SPDX-License-Identifier: Apache-2.0 */
/* Writes the ledger that tenure-checker reads (its format: src/checker/ledger_reader.c). */
#ifndef TENURE_CLI_DEMO_LEDGER_H
#define TENURE_CLI_DEMO_LEDGER_H

#include <stdint.h>

/*
 * Every line has this length: the kernel takes a short write apart only where a page ends, and then, in a writer that is
 * killed, no line is torn.
 */
#define DEMO_LEDGER_LINE_BYTES 128

struct demo_ledger { /* one process under one token; borrowed */
	int fd;      /* opened with O_APPEND */
	uint64_t token;
	const char *holder;
	uint64_t sequence; /* of the last line. Each process begins its own */
};

/* `kind`: begin, run, end. 0, or -1 with errno. */
int demo_ledger_sign(struct demo_ledger *l, const char *kind);
/* The same of an instant that has passed, at which the writer is known to have led. */
int demo_ledger_sign_at(struct demo_ledger *l, const char *kind, uint64_t at_ns);
/* A write to `resource` that landed, or was refused. */
int demo_ledger_write(struct demo_ledger *l, const char *resource, int admitted);

#endif
