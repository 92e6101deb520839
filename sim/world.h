/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One simulated cluster: hosts with clocks, voters with disks, candidates with applications, a network between them, and
 * true time, which only the simulator knows. Everything in it follows from the plan, and so from one seed.
 *
 * A call of a core is one instant of true time: a pause between reading the clock and the call, or between the call and
 * the sending of its bytes, can be told from outside by one thing alone, when the bytes leave. So the call is made where
 * the clock was read, and its bytes leave when the pause is over.
 */
#ifndef TENURE_SIM_WORLD_H
#define TENURE_SIM_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "quorum/candidate.h"
#include "quorum/mutation.h"
#include "quorum/superblock.h"
#include "quorum/voter.h"

#include "agenda.h"
#include "dial.h"
#include "dice.h"
#include "plan.h"

enum world_event {
	EVENT_TO_VOTER = 1, /* bytes arrive */
	EVENT_TO_CANDIDATE,
	EVENT_CONNECT, /* a connection reaches the voter */
	EVENT_CONNECTED,
	EVENT_REFUSED,
	EVENT_CLOSE_VOTER, /* the other side has closed */
	EVENT_CLOSE_CANDIDATE,
	EVENT_VOTER_TIMER,
	EVENT_CANDIDATE_TIMER,
	EVENT_VOTER_START,
	EVENT_VOTER_DISK, /* a write has ended */
	EVENT_CANDIDATE_START,
	EVENT_APPLICATION, /* node: candidate << 8 | election */
	EVENT_FAULT,       /* node: index */
	EVENT_FAULT_END,
	EVENT_LOOK,
};

#define WORLD_NEVER              UINT64_MAX
#define WORLD_DISK_SNAPSHOT_ROOM 65536

struct network_conn;

struct world_host {
	struct dial dial;
	uint64_t paused_until_ns;
	uint64_t pause_next_call_ns; /* 0: none ordered */
	struct instant stale;        /* the reading before the pause, for the mutation `stalestamp` */
	bool boot_is_wrong;          /* which clock of this host may run at any rate (R2) */
};

enum world_disk_use { DISK_IDLE, DISK_START, DISK_RUN, DISK_SNAPSHOT, DISK_CLEAN };

struct world_disk { /* of one voter; survives its crashes */
	uint8_t file[SUPERBLOCK_FILE_BYTES], next[SUPERBLOCK_COPY_BYTES];
	struct superblock state; /* the newest one that was handed to it */
	uint8_t *snapshot, *next_snapshot;
	size_t n_snapshot, n_next_snapshot;
	enum world_disk_use use;
	uint64_t write_ns; /* usual length of a write */
	uint64_t slow_until_ns, stall_until_ns;
	bool fail_next, tear_next;
};

enum world_voter_state { VOTER_DOWN, VOTER_STARTING, VOTER_UP, VOTER_STOPPING, VOTER_BROKEN };

struct world_voter {
	struct world_host host;
	struct world_disk disk;
	struct voter *core;
	enum world_voter_state state;
	uint64_t instance;
	uint64_t timer_ns;
	unsigned n_spins;
	unsigned crash_at_step;     /* of the clean stop; 0: none */
	struct network_conn *conns; /* with a peer here, in order of their arrival */
	enum voter_start start;
};

struct world_seat { /* one candidacy */
	struct candidate_election *core;
	bool joined, leading, ending;
	uint64_t token;     /* as the checker saw it last */
	struct instant end; /* likewise */
	uint64_t act_at_ns; /* when the application acts next */
	uint64_t joined_ns;
	uint8_t act;
};

struct world_candidate {
	struct world_host host;
	struct candidate *core;
	struct quorum_id inc;
	uint64_t instance, timer_ns;
	unsigned n_spins;
	bool up;
	struct network_conn *conns[PLAN_MAX_VOTERS]; /* as its core sees them */
	struct world_seat seats[PLAN_MAX_ELECTIONS];
};

struct world_link { /* candidate <-> voter, per direction: 0 to the voter, 1 to the candidate */
	uint64_t cut_until_ns[2], slow_until_ns, loss_until_ns, reorder_until_ns, double_until_ns;
	uint64_t hold_types[2]; /* a schedule keeps frames with such items back: bits of enum wire_type */
	bool drop[2];           /* a schedule lets nothing through */
};

struct world_won { /* checker: who won which token */
	uint64_t token;
	struct quorum_id inc;
	uint64_t instance; /* of its process */
};

struct world_truth { /* checker: one election */
	uint64_t max_token;
	struct world_won *won;
	size_t n_won, won_room;
	uint64_t term[PLAN_MAX_VOTERS];
	struct voter_slot slot[PLAN_MAX_VOTERS];
	uint64_t led_since_heal_ns, last_led_ns;
};

struct world_counts {
	uint64_t events, frames, bytes, leaderships, restarts, adoptions, resumed, requests_waited;
	uint64_t faults[FAULT_N_KINDS];
	uint64_t slowest_heal_ns, slowest_heal_ppm; /* against max_ttl, in ppm */
	uint64_t dead_heads, transfers;
};

struct world_violation {
	char kind[16]; /* "I1"…; "": none */
	uint64_t at_ns;
	char text[400];
};

struct world {
	struct plan plan;
	uint64_t now_ns, instances, conn_numbers;
	struct agenda agenda;
	struct dice network_dice, application_dice, pause_dice, disk_dice, fault_dice;
	struct quorum_id cluster;
	char elections[PLAN_MAX_ELECTIONS][16];
	struct world_voter voters[PLAN_MAX_VOTERS];
	struct world_candidate candidates[PLAN_MAX_CANDIDATES];
	struct world_link links[PLAN_MAX_CANDIDATES][PLAN_MAX_VOTERS];
	struct world_truth truths[PLAN_MAX_ELECTIONS];
	struct quorum_mutations mutations;
	struct network_held *held; /* what a schedule keeps back */
	struct world_counts counts;
	struct world_violation violation;
	uint64_t hash; /* of everything that happened */
	bool healed, scripted;
	bool safety_only;    /* of a mutant: what is no violation of safety does not end the run */
	uint32_t max_ttl_ms; /* present and largest one */
	FILE *transcript;
	bool ndjson;
	uint64_t trace_seq;
};

struct world_options {
	struct quorum_mutations mutations;
	bool scripted, safety_only;
	FILE *transcript; /* or NULL */
	bool ndjson;
};

/* On the heap: it is large. `scripted`: no faults and no applications but a schedule's. */
struct world *world_new(const struct plan *plan, const struct world_options *options);
void world_free(struct world *w);
/* To the end of its plan, or the first violation. */
void world_run(struct world *w);
/* For schedules: until true time `until_ns`, or the first violation. */
void world_run_until(struct world *w, uint64_t until_ns);
/* Until done(w, arg), at most until `until_ns`; what done() said last. */
bool world_run_till(struct world *w, uint64_t until_ns, bool (*done)(const struct world *w, void *arg), void *arg);

void world_put(struct world *w, uint64_t at_ns, enum world_event kind, uint32_t node, uint64_t instance);
/* Only the first one counts. */
void world_violate(struct world *w, const char *kind, const char *format, ...) __attribute__((format(printf, 3, 4)));
static inline bool world_failed(const struct world *w)
{
	return w->violation.kind[0] != 0;
}
static inline bool world_mutant(const struct world *w, enum quorum_mutation m)
{
	return w->mutations.dropped[m];
}
static inline void world_hash(struct world *w, uint64_t x)
{
	w->hash = (w->hash ^ x) * UINT64_C(0x9e3779b97f4a7c15);
	w->hash ^= w->hash >> 29;
}
/* A pause of this call, ordered or by chance: when its bytes leave. */
uint64_t world_departure_ns(struct world *w, struct world_host *h);
struct world_host *world_host(struct world *w, unsigned node); /* voters first, then candidates */
unsigned world_n_hosts(const struct world *w);

#endif
