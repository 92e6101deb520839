/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Judges what happened, from what was written down while it happened: traces of candidates and ledgers of programs. It
 * shares no code with the elections that it judges (base alone, for reading numbers), and knows nothing of stores.
 *
 * Everything is on one clock: CLOCK_BOOTTIME of one host. An instant in a record proves that its writer ran at that
 * instant, so two intervals that overlap are two that were there at once; nothing is inferred from silence.
 */
#ifndef TENURE_CHECKER_CHECKER_H
#define TENURE_CHECKER_CHECKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define CHECKER_NS_NEVER UINT64_MAX

enum checker_kind {
	CHECKER_TWO_LEADERS,  /* beliefs of two candidates of one election overlap */
	CHECKER_NOT_RISING,   /* a later tenure has no greater token */
	CHECKER_SHARED_TOKEN, /* one token, two holders */
	CHECKER_TWO_PROGRAMS, /* activities under two tokens overlap */
	CHECKER_STALE_WRITE,  /* admitted after a greater token was */
	CHECKER_N_KINDS
};

struct checker_place {    /* where it was read */
	const char *file; /* borrowed; NULL: nowhere */
	size_t line;
};

struct checker_tenure { /* what a candidate believed, from its trace */
	char *election, *node;
	uint64_t token, begin_ns;
	uint64_t end_ns;      /* when `ended` */
	uint64_t deadline_ns; /* NS_NEVER: endless */
	uint64_t seen_ns;     /* the last record of this candidate while it believed: alive then, whatever came after */
	bool ended;
	struct checker_place place;
};

struct checker_activity { /* what ran under a token, from a ledger */
	size_t ledger;
	uint64_t token, first_ns, last_ns;
	uint64_t first_pid, last_pid;
	char *holder;
	bool shared; /* told already */
	struct checker_place first, last;
};

struct checker_resource { /* what was let in, in the order in which it landed */
	size_t ledger;
	char *name;
	uint64_t high; /* the greatest token admitted so far */
	struct checker_place place;
};

struct checker_writer { /* the last number of a process under a token */
	size_t ledger;
	uint64_t token, pid, sequence;
};

struct checker_line { /* one of a ledger */
	uint64_t at_ns, token, pid, sequence;
	const char *kind, *resource, *admitted, *holder; /* borrowed */
};

struct checker_record { /* one of a trace */
	uint64_t at_ns, seq, token, deadline_ns;
	const char *node, *election, *event, *to; /* borrowed; `to` may be NULL */
};

struct checker {
	struct checker_tenure *tenures;
	size_t n_tenures, room_tenures;
	struct checker_activity *activities;
	size_t n_activities, room_activities;
	struct checker_resource *resources;
	size_t n_resources, room_resources;
	struct checker_writer *writers; /* a hash table of open addresses; pid 0: empty */
	size_t n_writers, room_writers;
	size_t n_ledgers, n_records, n_lines, n_torn, n_admitted, n_refused;
	size_t n_violations[CHECKER_N_KINDS];
	size_t n_malformed;
	FILE *report; /* borrowed: violations and malformed lines, in words, as they are found */
};

void checker_init(struct checker *c, FILE *report);
void checker_deinit(struct checker *c);

/* Reads a whole stream; `name` (borrowed as long as c lives) stands in messages. False when reading failed. */
bool checker_read_trace(struct checker *c, FILE *in, const char *name);
bool checker_read_ledger(struct checker *c, FILE *in, const char *name);

/* What the readers call for each thing read. NULL, or what is wrong with it. Writes are judged here, in their order. */
const char *checker_take_record(struct checker *c, const struct checker_record *r, struct checker_place place);
const char *checker_take_line(struct checker *c, const struct checker_line *l, struct checker_place place);
void checker_malformed(struct checker *c, struct checker_place place, const char *why);

/* After everything was read: judges tenures and activities. How many violations there are, of all kinds. */
size_t checker_judge(struct checker *c);
/* Was there anything to be judged? Nothing proves nothing. */
bool checker_has_input(const struct checker *c);

struct checker_gaps { /* between the last sign of a program and the first one of the next, where they don't overlap */
	size_t n;
	uint64_t p50_ns, p99_ns, longest_ns;
};
/* After checker_judge(). Without memory all is 0. */
void checker_gaps(const struct checker *c, struct checker_gaps *g);

void checker_violation(struct checker *c, enum checker_kind kind, const char *format, ...)
        __attribute__((format(printf, 3, 4)));
/* "two leaders at once" */
const char *checker_kind_name(enum checker_kind kind);
/* realloc() by doubling; ends the program where there is no memory: half a verdict is none. */
void *checker_grow(void *array, size_t n, size_t *room, size_t each_bytes);
char *checker_copy(const char *text);

#endif
