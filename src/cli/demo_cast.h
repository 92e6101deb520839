/* SPDX-License-Identifier: Apache-2.0 */
/* Who plays in `tenure demo`: candidates, their programs, the courier, the checker. */
#ifndef TENURE_CLI_DEMO_CAST_H
#define TENURE_CLI_DEMO_CAST_H

#include "cli/demo_net.h"
#include "cli/demo_stage.h"
#include "cli/demo_view.h"
#include "cli/demo_voters.h"

#define DEMO_CAST_ELECTION  "job"
#define DEMO_CAST_N         3
#define DEMO_CAST_TTL       "1s"
#define DEMO_CAST_GRACE     "200ms"
#define DEMO_CAST_LINE_ROOM 1024

struct demo_cast_lines { /* what comes out of a pipe */
	char text[DEMO_CAST_LINE_ROOM];
	size_t used;
};

struct demo_cast_candidate {
	char id[2];                      /* "a" */
	struct demo_stage_child run;     /* `tenure run`; the naive one: `tenure campaign` */
	struct demo_stage_child program; /* of the naive one; pid 0: none */
	struct demo_cast_lines lines;
};

struct demo_cast {
	struct demo_stage stage;
	struct demo_net net;
	struct demo_voters voters;
	struct demo_view view;
	struct demo_cast_candidate candidates[DEMO_CAST_N];
	struct demo_stage_child courier;
	struct demo_cast_lines courier_lines;
	bool guarded;
	const char *pace_ms;
};

/* All of these return 0, or the exit code after a message. */
int demo_cast_open(struct demo_cast *d, const struct cli *cli, bool guarded, const char *pace_ms);
int demo_cast_close(struct demo_cast *d);
/* A candidate under `tenure run --stay`. */
int demo_cast_start(struct demo_cast *d, size_t i);
/* A candidate that campaigns in one process, and runs its program beside it once it leads. Waits for that. */
int demo_cast_start_naive(struct demo_cast *d, size_t i);
int demo_cast_start_courier(struct demo_cast *d);
/* Notes in a trace that the candidate `node` lived at this instant, right before it is killed. */
int demo_cast_note_kill(struct demo_cast *d, const char *node, uint64_t at_ns);
/* Until this candidate is in the queue behind the leader. */
int demo_cast_wait_queue(struct demo_cast *d, size_t i);
/* Until a program with a token above `after` has landed a write. `*tenure` is valid until the next look. */
int demo_cast_wait_tenure(struct demo_cast *d, uint64_t after, const struct demo_view_tenure **tenure);
/* When its candidate began to lead with this token, by its trace; the program's beginning where it has none. */
void demo_cast_lead(struct demo_cast *d, const struct demo_view_tenure *t, struct demo_view_lead *lead);
/* The next line of a child's output. `room` bytes, without the newline. */
int demo_cast_wait_line(struct demo_cast *d, struct demo_stage_child *child, struct demo_cast_lines *lines,
                        char line[DEMO_CAST_LINE_ROOM]);
/* Until it has ended; its exit code into *ended. */
int demo_cast_wait_end(struct demo_cast *d, struct demo_stage_child *child, int *ended);
int demo_cast_transfer(struct demo_cast *d, const char *to);
/* Stops (SIGSTOP) or continues a candidate's supervisor and warden. */
void demo_cast_pause(struct demo_cast *d, size_t i, bool pause);
/* SIGTERM to all candidates, and waits until they have ended. */
int demo_cast_stop(struct demo_cast *d);
/* Runs the checker over all traces and the ledger; prints what it says, `indent` before each line. */
int demo_cast_check(struct demo_cast *d, const char *indent, int *verdict);
struct demo_cast_candidate *demo_cast_find(struct demo_cast *d, const char *id);

#endif
