/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All lease arithmetic (PROTOCOL sections 3 and 8, CONTRACT: Timing). Nothing else in Tenure adds a lease to an
 * instant. PURE.
 */
#ifndef TENURE_ELECTOR_LEASE_H
#define TENURE_ELECTOR_LEASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LEASE_NS_NEVER             UINT64_MAX
#define LEASE_GRANULARITY_NS       2000000ULL /* g */
#define LEASE_RATE_ERROR_PPM       1000u      /* rho, by default */
#define LEASE_RATE_ERROR_MAX_PPM   200000u
#define LEASE_KILL_MARGIN_FIFO_NS  20000000ULL  /* with SCHED_FIFO */
#define LEASE_KILL_MARGIN_OTHER_NS 100000000ULL /* without */

struct lease_timing {
	uint64_t ttl_ns;         /* NS_NEVER on file */
	uint32_t rate_error_ppm; /* rho */
	uint64_t heartbeat_ns;   /* h */
	uint64_t retry_ns;       /* r */
	uint64_t grace_ns;       /* 0 without a supervised program */
	uint64_t kill_margin_ns; /* 0 without a supervised program */
};

/* D(x) = x * (1 - rho) / (1 + rho) - g, rounded down; 0 where that is not positive. D(NEVER) = NEVER. */
uint64_t lease_allowance_ns(uint64_t ttl_ns, uint32_t rate_error_ppm);
/* E: the instant from which a renewal sent at `sent_ns` proves nothing any more. NEVER for an endless lease. */
uint64_t lease_provable_end_ns(uint64_t sent_ns, uint64_t ttl_ns, uint32_t rate_error_ppm);
/* deadline = E - kill_margin; 0 where the margin eats it all; NEVER stays NEVER. */
uint64_t lease_deadline_ns(uint64_t provable_end_ns, uint64_t kill_margin_ns);
/* The soft stop = deadline - grace; NEVER stays NEVER. */
uint64_t lease_soft_stop_ns(uint64_t deadline_ns, uint64_t grace_ns);
/* grace where none was asked for: min(2 s, ttl/5), 2 s on an endless lease. */
uint64_t lease_default_grace_ns(uint64_t ttl_ns);
/* What is left at `now_ns`; 0 when over; NEVER stays NEVER. */
uint64_t lease_left_ns(uint64_t deadline_ns, uint64_t now_ns);
/* The one test of belief: now < deadline. */
bool lease_holds(uint64_t deadline_ns, uint64_t now_ns);
/*
 * D(ttl) >= h + 2 r + grace + kill_margin. When it does not hold, false, and the inequality in numbers in `message`,
 * ready to be shown. Endless leases are always safe.
 */
bool lease_is_safe(const struct lease_timing *t, char *message, size_t room);

#endif
