/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"

#include <limits.h>
#include <sys/timex.h>
#include <time.h>

#include <tenure/tenure.h>

#define CLOCK_NOMINAL_TICK_US 10000 /* the kernel's tick where nobody changed it (USER_HZ is 100) */

static int clock_read_ns(clockid_t clock, uint64_t *now_ns)
{
	struct timespec now;

	if (clock_gettime(clock, &now) != 0)
		return TENURE_ECLOCK;
	*now_ns = (uint64_t)now.tv_sec * CLOCK_NS_PER_S + (uint64_t)now.tv_nsec;
	return 0;
}

int clock_now_ns(uint64_t *now_ns)
{
	return clock_read_ns(CLOCK_BOOTTIME, now_ns);
}

int clock_pair_ns(uint64_t *boot_ns, uint64_t *raw_ns)
{
	int code = clock_read_ns(CLOCK_BOOTTIME, boot_ns);

	return code != 0 ? code : clock_read_ns(CLOCK_MONOTONIC_RAW, raw_ns);
}

static void clock_read_slew(struct clock_rates *out)
{
	struct timex t = { .modes = 0 };

	out->has_slew = adjtimex(&t) >= 0;
	if (!out->has_slew)
		return;
	/* freq is in ppm with 16 bits of fraction; one us of tick is 100 ppm */
	out->slew_ppb = (int64_t)t.freq * 1000 / 65536 + ((int64_t)t.tick - CLOCK_NOMINAL_TICK_US) * 100000;
}

int clock_read_rates(struct clock_rates *out)
{
	struct clock_rates best = { .spread_ns = NS_NEVER };
	uint64_t raw_ns;

	/* A reading in whose middle the process was put aside would look like a clock that runs wrong. */
	for (int i = 0; i < 5 && best.spread_ns > 2000; i++) {
		struct clock_rates r = { 0 };

		if (clock_read_ns(CLOCK_MONOTONIC_RAW, &r.raw_ns) != 0 ||
		    clock_read_ns(CLOCK_MONOTONIC, &r.mono_ns) != 0 || clock_read_ns(CLOCK_BOOTTIME, &r.boot_ns) != 0 ||
		    clock_read_ns(CLOCK_MONOTONIC_RAW, &raw_ns) != 0)
			return TENURE_ECLOCK;
		r.spread_ns = raw_ns - r.raw_ns;
		if (r.spread_ns < best.spread_ns)
			best = r;
	}
	clock_read_slew(&best);
	*out = best;
	return 0;
}

uint64_t clock_now_or_zero_ns(void)
{
	uint64_t now_ns = 0;

	return clock_now_ns(&now_ns) == 0 ? now_ns : 0;
}

int64_t clock_unix_ns(void)
{
	struct timespec now;

	if (clock_gettime(CLOCK_REALTIME, &now) != 0)
		return 0;
	return (int64_t)now.tv_sec * (int64_t)CLOCK_NS_PER_S + now.tv_nsec;
}

uint64_t clock_add_ns(uint64_t now_ns, uint64_t limit_ns)
{
	return limit_ns > NS_NEVER - now_ns ? NS_NEVER : now_ns + limit_ns;
}

int clock_poll_ms(uint64_t now_ns, uint64_t at_ns)
{
	uint64_t ms;

	if (at_ns == NS_NEVER)
		return -1;
	if (at_ns <= now_ns)
		return 0;
	ms = (at_ns - now_ns) / CLOCK_NS_PER_MS + ((at_ns - now_ns) % CLOCK_NS_PER_MS != 0);
	return ms > INT_MAX ? INT_MAX : (int)ms;
}
