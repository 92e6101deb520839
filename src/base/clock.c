/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"

#include <limits.h>
#include <time.h>

#include <tenure/tenure.h>

int clock_now_ns(uint64_t *now_ns)
{
	struct timespec now;

	if (clock_gettime(CLOCK_BOOTTIME, &now) != 0)
		return TENURE_ECLOCK;
	*now_ns = (uint64_t)now.tv_sec * CLOCK_NS_PER_S + (uint64_t)now.tv_nsec;
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
