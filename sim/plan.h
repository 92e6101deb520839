/* SPDX-License-Identifier: Apache-2.0 */
/* What a seed decides before time begins: who takes part, which limits hold, and which faults strike when. */
#ifndef TENURE_SIM_PLAN_H
#define TENURE_SIM_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dice.h"

#define PLAN_MAX_VOTERS     5
#define PLAN_MAX_CANDIDATES 8
#define PLAN_MAX_ELECTIONS  20
#define PLAN_MS             UINT64_C(1000000)
#define PLAN_S              UINT64_C(1000000000)

/* X(name, what) */
#define PLAN_PROFILES(X)                                                                                               \
	X(mix, "one of the others, by the seed")                                                                       \
	X(steady, "leases of 10 s, hours of work with faults now and then")                                            \
	X(storm, "short leases, faults all the time")                                                                  \
	X(proxy, "storm, through a proxy that delays, doubles, reorders and keeps frames over restarts")               \
	X(clocks, "storm, rates at the bound, and one clock of each host wrong without bound")                         \
	X(beyond, "storm, and clocks beyond the bound: tokens alone are checked")                                      \
	X(duel, "two or three, one election, short holds, messages as late as the lease is long")                      \
	X(crowd, "many candidates and elections on every session")

enum plan_profile {
#define PLAN_X(name, what) PLAN_##name,
	PLAN_PROFILES(PLAN_X)
#undef PLAN_X
	        PLAN_N_PROFILES
};

/* X(name, what). `node` and `other` are drawn by the nemesis where the fault is listed. */
#define PLAN_FAULTS(X)                                                                                                 \
	X(cut, "a link is cut both ways")                                                                              \
	X(cut_one_way, "a link is cut one way")                                                                        \
	X(isolate, "one node is cut from all others")                                                                  \
	X(partial, "one node is cut from some others")                                                                 \
	X(reset, "a connection breaks")                                                                                \
	X(loss, "much is lost for a while")                                                                            \
	X(delay, "a link is slow for a while")                                                                         \
	X(reorder, "frames overtake each other")                                                                       \
	X(duplicate, "frames come twice")                                                                              \
	X(nudge, "old nudges come again: a candidate campaigns out of turn")                                           \
	X(pause, "a process stands still")                                                                             \
	X(pause_call, "a process stands still between reading the clock and sending")                                  \
	X(suspend, "a host is suspended: RAW stands still, BOOTTIME does not")                                         \
	X(rate, "clock rates change within the bound")                                                                 \
	X(wrong_clock, "the wrong clock of a host runs at any rate")                                                   \
	X(beyond_rate, "both clocks of a host run beyond the bound")                                                   \
	X(wall, "the wall clock jumps")                                                                                \
	X(voter_crash, "a voter is killed")                                                                            \
	X(voter_stop, "a voter is stopped cleanly, and starts again")                                                  \
	X(stop_crash, "a voter is killed within a clean stop")                                                         \
	X(candidate_crash, "a candidate is killed")                                                                    \
	X(disk_slow, "a disk is slow")                                                                                 \
	X(disk_stall, "a disk stands still")                                                                           \
	X(disk_error, "a write fails: the voter stops")                                                                \
	X(torn, "a voter is killed in the next write, which is torn")                                                  \
	X(max_ttl, "the longest lease is changed")                                                                     \
	X(quorum_crash, "most voters are killed at once")

enum plan_fault_kind {
#define PLAN_X(name, what) FAULT_##name,
	PLAN_FAULTS(PLAN_X)
#undef PLAN_X
	        FAULT_N_KINDS
};

struct plan_fault {
	uint64_t at_ns, for_ns;
	uint8_t kind;       /* enum plan_fault_kind */
	bool on;            /* shrinking turns them off one by one */
	uint32_t node, arg; /* random; taken modulo what there is */
};

struct plan {
	uint64_t seed;
	enum plan_profile profile;
	unsigned n_voters, n_candidates, n_elections;
	uint32_t max_ttl_ms, max_ttl_v_ms, rho_ppm;
	uint64_t ttl_ns[PLAN_MAX_CANDIDATES];
	uint64_t heal_ns, end_ns; /* faults stop; the end */
	uint64_t delay_ns, jitter_ns;
	uint32_t tail_ppm, loss_ppm, pause_ppm; /* of messages; of calls */
	uint64_t pause_ns;
	uint32_t max_records;            /* elections that a voter remembers; 0: its default */
	bool plain[PLAN_MAX_CANDIDATES]; /* RENEW for each election instead of sessions */
	bool proxied, tokens_only, chatty, rates_at_bound;
	uint32_t hold_factor; /* how long a holder keeps an election, in tenths of max_ttl */
	struct plan_fault *faults;
	size_t n_faults;
};

/* What may be left out of a seed's plan, to see whether it still fails. Zero: nothing. */
struct plan_limits {
	uint32_t without_kinds; /* bits of enum plan_fault_kind */
	unsigned max_candidates, max_elections;
	const uint8_t *faults_on; /* one byte a fault; NULL: all */
	size_t n_faults_on;
	uint64_t heal_ns; /* not later than this */
	bool no_pauses, no_tails;
};

void plan_make(struct plan *p, uint64_t seed, enum plan_profile profile, const struct plan_limits *limits);
void plan_deinit(struct plan *p);
const char *plan_profile_name(unsigned profile);
const char *plan_fault_name(unsigned kind);
/* PLAN_N_PROFILES: none of this name. */
enum plan_profile plan_profile_find(const char *name);

#endif
