/* SPDX-License-Identifier: Apache-2.0 */
/* The one clock that leases are counted on. */
#ifndef TENURE_BASE_CLOCK_H
#define TENURE_BASE_CLOCK_H

#include <stdint.h>

#define CLOCK_NS_PER_MS 1000000ULL
#define CLOCK_NS_PER_S  1000000000ULL
#define NS_NEVER        UINT64_MAX

/* CLOCK_BOOTTIME, which goes on during suspend. 0, or TENURE_ECLOCK: nothing can be believed without it. */
int clock_now_ns(uint64_t *now_ns);
/* For waiting loops and log lines, where an unusable clock has been answered already: 0 when it fails. */
uint64_t clock_now_or_zero_ns(void);
/* Wall time, for people's eyes only. */
int64_t clock_unix_ns(void);
/* now + limit, saturating: NS_NEVER stays NS_NEVER. PURE. */
uint64_t clock_add_ns(uint64_t now_ns, uint64_t limit_ns);
/* The milliseconds from now to an instant for poll(): rounded up, -1 for NS_NEVER, 0 when it is over. PURE. */
int clock_poll_ms(uint64_t now_ns, uint64_t at_ns);

#endif
