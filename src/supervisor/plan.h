/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the supervisor decides: one input in, what to do out. PURE; supervisor.c carries it out.
 *
 *                    +---------------- pause <----------------+   (--stay)
 *                    v                                        |
 *   campaigning -> starting -> running -> soft -> hard -> releasing -> over
 *                      |          |         |       |         ^
 *                      +----------+---------+-------+-> proving     (the warden is dead: the supervisor proves alone)
 *
 * Invariants: the lease is released in RELEASING only, which is entered only once the tree is proven dead or never was
 * (P1); the program is started only while the tenure goes on and has more than the grace ahead (P2); the first reason to
 * stop gives the exit code (P3); a soft stop, once begun, is not taken back (P4).
 *
 * A lease with an end: AT_RISK is its soft stop, LOST at the deadline the hard one. The first lease of a tenure may be
 * shorter than the grace, so that it begins at risk: then the program waits in STARTING for the first renewal.
 */
#ifndef TENURE_SUPERVISOR_PLAN_H
#define TENURE_SUPERVISOR_PLAN_H

#include <stdbool.h>
#include <stdint.h>

enum plan_phase {
	PLAN_CAMPAIGNING = 1,
	PLAN_STARTING,  /* the warden is forked; its report is awaited */
	PLAN_RUNNING,   /* the program was let go */
	PLAN_SOFT,      /* SIGTERM was given; grace runs */
	PLAN_HARD,      /* the warden kills and proves */
	PLAN_PROVING,   /* the supervisor kills and proves */
	PLAN_RELEASING, /* nothing of the program lives */
	PLAN_PAUSED,    /* --stay: the program failed at once */
	PLAN_OVER,
};

enum plan_input_kind {
	PLAN_REACHED = 1,     /* the store answered */
	PLAN_ATTEMPTED,       /* ... and somebody else leads, as far as it tells now */
	PLAN_LEADING,         /* a tenure began */
	PLAN_AT_RISK,         /* its deadline is no further away than the grace: not renewed in time */
	PLAN_SAFE,            /* it was renewed */
	PLAN_LOST,            /* it is over without our doing */
	PLAN_ENDED,           /* the candidacy is over for good. code: exit code, where it failed */
	PLAN_ASKED,           /* hand over */
	PLAN_SIGNAL,          /* code: its number */
	PLAN_READY,           /* init stands and the record names the tree */
	PLAN_FAILED,          /* there is no tree, and there will be none. code: exit code */
	PLAN_REJECTED,        /* a tree stands that may not be let go (its record failed). code: exit code */
	PLAN_NOT_STARTED,     /* the program could not be executed. code: exit code */
	PLAN_PROGRAM_ENDED,   /* code: wait status */
	PLAN_PROGRAM_STOPPED, /* by the terminal */
	PLAN_WARDEN_PROVES,   /* it is alive, and kills */
	PLAN_WARDEN_DEAD,     /* and has not proven anything */
	PLAN_INIT_DEAD,
	PLAN_TREE_DEAD, /* proven, by the warden or by the supervisor */
	PLAN_TICK,
};

struct plan_input {
	enum plan_input_kind kind;
	uint64_t now_ns;
	int code;
	bool from_terminal; /* SIGNAL: the program has it already */
};

enum plan_action {                           /* carried out in this order */
	           PLAN_DO_TELL = 1,         /* the signal of the output, to the program */
	           PLAN_DO_CONTINUE = 2,     /* SIGCONT after it: a stopped program could not obey */
	           PLAN_DO_GO = 4,           /* start the program */
	           PLAN_DO_HARD_STOP = 8,    /* tell the warden to kill */
	           PLAN_DO_KILL_WARDEN = 16, /* it does not answer; init dies with it */
	           PLAN_DO_PROVE = 32,       /* kill, look; answer TREE_DEAD when proven */
	           PLAN_DO_ALARM = 64,       /* say that the program can't be proven dead yet */
	           PLAN_DO_STOP_SELF = 128,  /* as the program was, for the shell to see */
	           PLAN_DO_RELEASE = 256,    /* give back what is held; ENDED answers */
	           PLAN_DO_DROP = 512,       /* the candidacy, and what is left of the tree */
	           PLAN_DO_CAMPAIGN = 1024,
	           PLAN_DO_LAUNCH = 2048, /* page, warden; READY or FAILED answers */
	           PLAN_DO_EXIT = 4096,
};

struct plan_output {
	unsigned actions;
	int signal;
};

struct plan_settings {
	bool stay;
	bool mirror_stops; /* the lease has no end, so that the supervisor may be stopped together with the program */
	bool leased;       /* the lease has an end: the store holds on to it, whatever happened, until we release it */
	uint64_t wait_ns, grace_ns;
	int timeout_exit_code;
};

enum plan_why {
	PLAN_WHY_NONE,
	PLAN_WHY_ENDED,  /* the program, by itself */
	PLAN_WHY_SIGNAL, /* somebody wants us to end */
	PLAN_WHY_ASKED,
	PLAN_WHY_LOST,
	PLAN_WHY_WARDEN, /* was killed */
	PLAN_WHY_FAILED,
};

struct plan {
	struct plan_settings settings;
	enum plan_phase phase;
	enum plan_why why;
	int why_code; /* FAILED: exit code; SIGNAL: its number */
	bool reached, served, leading;
	bool at_risk, over; /* over: the candidacy has ended, nothing is left to be released */
	bool ready;         /* STARTING: the tree stands, and waits for a renewal */
	bool leaving;       /* no further campaign */
	bool started, ended;
	int status;       /* ended: of the program */
	unsigned n_stops; /* SIGTERM and SIGINT so far in this tenure */
	uint64_t start_ns, began_ns;
	uint64_t term_ns;   /* SOFT: SIGTERM is still to be given then */
	uint64_t hard_ns;   /* SOFT: the end of grace */
	uint64_t warden_ns; /* until then it must have given a sign of life */
	uint64_t alarm_ns, prove_ns, prove_pause_ns;
	uint64_t release_ns;
	uint64_t pause_ns, backoff_ns;
	int exit_code;
};

/* Answers with DO_CAMPAIGN. */
void plan_init(struct plan *p, const struct plan_settings *settings, uint64_t now_ns, struct plan_output *out);
void plan_step(struct plan *p, const struct plan_input *in, struct plan_output *out);
/* When to give the next TICK; NS_NEVER where there is none. */
uint64_t plan_next_ns(const struct plan *p);
/* May the program be let go now? Asked before the tree is recorded. */
bool plan_wants_tree(const struct plan *p);

#endif
