/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Instants and ends on two clocks (R2): CLOCK_BOOTTIME and CLOCK_MONOTONIC_RAW. One of them may be slewed or, in suspend,
 * stand still; the pair is judged by the stricter one. PURE.
 */
#ifndef TENURE_QUORUM_INSTANT_H
#define TENURE_QUORUM_INSTANT_H

#include <stdbool.h>
#include <stdint.h>

struct instant {
	uint64_t boot_ns, raw_ns;
};

#define INSTANT_NEVER ((struct instant) { UINT64_MAX, UINT64_MAX })
#define INSTANT_ZERO  ((struct instant) { 0, 0 })

static inline uint64_t instant_sum(uint64_t at_ns, uint64_t more_ns)
{
	return at_ns + more_ns < at_ns ? UINT64_MAX : at_ns + more_ns;
}

static inline struct instant instant_add(struct instant at, uint64_t more_ns)
{
	return (struct instant) { instant_sum(at.boot_ns, more_ns), instant_sum(at.raw_ns, more_ns) };
}

/* The later one, per clock. */
static inline struct instant instant_max(struct instant a, struct instant b)
{
	return (struct instant) { a.boot_ns > b.boot_ns ? a.boot_ns : b.boot_ns,
		                  a.raw_ns > b.raw_ns ? a.raw_ns : b.raw_ns };
}

/* A voter's end is over when both clocks have passed it. */
static inline bool instant_over_for_voter(struct instant end, struct instant now)
{
	return now.boot_ns >= end.boot_ns && now.raw_ns >= end.raw_ns;
}

/* A candidate's when either has. */
static inline bool instant_over_for_candidate(struct instant end, struct instant now)
{
	return now.boot_ns >= end.boot_ns || now.raw_ns >= end.raw_ns;
}

/* What a voter has to wait until `end` is over for it; 0 when it is. */
static inline uint64_t instant_left_ns(struct instant end, struct instant now)
{
	uint64_t boot_ns = end.boot_ns > now.boot_ns ? end.boot_ns - now.boot_ns : 0;
	uint64_t raw_ns = end.raw_ns > now.raw_ns ? end.raw_ns - now.raw_ns : 0;

	return boot_ns > raw_ns ? boot_ns : raw_ns;
}

#endif
