/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Is the clock that leases are counted on as steady as the lease arithmetic assumes (PROTOCOL A2, R2)? CLOCK_BOOTTIME is
 * steered by whoever keeps the wall clock (chrony slews by up to 8 %), CLOCK_MONOTONIC_RAW by nobody: the two are compared
 * over windows, and what the kernel was told to add to the rate is taken at its word before it shows. Time spent in suspend
 * is known as such: BOOTTIME goes on, MONOTONIC and RAW stand still. PURE: readings in, a verdict out.
 */
#ifndef TENURE_ELECTOR_RATE_WATCH_H
#define TENURE_ELECTOR_RATE_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A window is judged from its first reading on, and makes place for the next one after this. */
#define RATE_WATCH_WINDOW_NS 1000000000ULL
/* What two readings may differ by although the clocks run alike. */
#define RATE_WATCH_NOISE_NS 50000ULL

struct rate_watch_reading {
	uint64_t boot_ns, mono_ns, raw_ns; /* CLOCK_BOOTTIME, CLOCK_MONOTONIC, CLOCK_MONOTONIC_RAW */
	uint64_t spread_ns;                /* how long reading them took: what they may be apart for that */
	bool has_slew;
	int64_t slew_ppb; /* added to the rate of BOOTTIME and MONOTONIC by order (adjtimex) */
};

enum rate_watch_fault {
	RATE_WATCH_OK = 0,
	RATE_WATCH_DRIFTS,  /* the clocks were seen to differ in rate by more than the bound */
	RATE_WATCH_SLEWED,  /* the kernel was told to steer by more than the bound */
	RATE_WATCH_STEPPED, /* a clock went backwards, or BOOTTIME stepped without the others: unusable */
};

struct rate_watch {
	uint32_t bound_ppm; /* rho */
	bool begun;
	enum rate_watch_fault fault;
	int64_t seen_ppm;      /* BOOTTIME (without suspend) against RAW, of the window that was judged last */
	int64_t slew_ppm;      /* of the last reading */
	uint64_t suspended_ns; /* in all */
	struct rate_watch_reading first, last;
};

void rate_watch_init(struct rate_watch *w, uint32_t bound_ppm);
/* The verdict, which is also in w->fault. A fault is taken back once a whole window was without one. */
enum rate_watch_fault rate_watch_step(struct rate_watch *w, const struct rate_watch_reading *reading);
/* The fault in words and numbers, and what to do: for error messages. "" where there is none. */
const char *rate_watch_explain(const struct rate_watch *w, char *text, size_t room);

#endif
