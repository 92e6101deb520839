/* SPDX-License-Identifier: Apache-2.0 */
/* The one clock that leases are counted on. */
#ifndef TENURE_BASE_CLOCK_H
#define TENURE_BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#define CLOCK_NS_PER_MS 1000000ULL
#define CLOCK_NS_PER_S  1000000000ULL
#define NS_NEVER        UINT64_MAX

/* CLOCK_BOOTTIME, which goes on during suspend. 0, or TENURE_ECLOCK: nothing can be believed without it. */
int clock_now_ns(uint64_t *now_ns);
/* CLOCK_BOOTTIME and CLOCK_MONOTONIC_RAW, which no daemon slews, in one look. 0, or TENURE_ECLOCK. */
int clock_pair_ns(uint64_t *boot_ns, uint64_t *raw_ns);
/*
 * For a watch over the clocks' rates: CLOCK_MONOTONIC too, and how long the reading took. `slew_ppb` is what the kernel was
 * told to add to the rate (adjtimex); false: it does not tell.
 */
struct clock_rates {
	uint64_t boot_ns, mono_ns, raw_ns, spread_ns;
	bool has_slew;
	int64_t slew_ppb;
};
int clock_read_rates(struct clock_rates *out);
/* For waiting loops and log lines, where an unusable clock has been answered already: 0 when it fails. */
uint64_t clock_now_or_zero_ns(void);
/* Wall time, for people's eyes only. */
int64_t clock_unix_ns(void);
/* now + limit, saturating: NS_NEVER stays NS_NEVER. PURE. */
uint64_t clock_add_ns(uint64_t now_ns, uint64_t limit_ns);
/* The milliseconds from now to an instant for poll(): rounded up, -1 for NS_NEVER, 0 when it is over. PURE. */
int clock_poll_ms(uint64_t now_ns, uint64_t at_ns);

#endif
