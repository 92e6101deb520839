/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/dead_man.h"

#include <errno.h>
#include <signal.h>

#include "base/clock.h"
#include "base/error.h"
#include "elector/lease.h"

static int dead_man_arm(const struct dead_man *d)
{
	uint64_t at_ns = d->deadline_ns > 0 ? d->deadline_ns : 1; /* 0 would disarm it */
	const struct itimerspec spec = { .it_value = { .tv_sec = (time_t)(at_ns / CLOCK_NS_PER_S),
		                                       .tv_nsec = (long)(at_ns % CLOCK_NS_PER_S) } };
	return timer_settime(d->timer, TIMER_ABSTIME, &spec, NULL) == 0 ? 0 : TENURE_EINTERNAL;
}

int dead_man_set(struct dead_man *d, uint64_t deadline_ns, struct tenure_error *error)
{
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGKILL };
	d->deadline_ns = deadline_ns;
	if (deadline_ns == NS_NEVER)
		return 0;
	if (timer_create(CLOCK_BOOTTIME, &event, &d->timer) != 0)
		return error_set(error, errno == EAGAIN ? TENURE_ELIMIT : TENURE_EUNSUPPORTED, errno,
		                 "no dead-man timer can be made (limit of pending signals, ulimit -i?)");
	if (dead_man_arm(d) != 0)
		return error_set(error, TENURE_EUNSUPPORTED, errno, "the dead-man timer can't be set");
	return 0;
}

int dead_man_extend(struct dead_man *d, uint64_t deadline_ns)
{
	if (d->deadline_ns == NS_NEVER || deadline_ns <= d->deadline_ns)
		return 0;
	d->deadline_ns = deadline_ns == NS_NEVER ? NS_NEVER - 1 : deadline_ns; /* such a lease never becomes endless */
	return dead_man_arm(d);
}

bool dead_man_holds(const struct dead_man *d)
{
	uint64_t now_ns;
	return d->deadline_ns == NS_NEVER || (clock_now_ns(&now_ns) == 0 && lease_holds(d->deadline_ns, now_ns));
}
