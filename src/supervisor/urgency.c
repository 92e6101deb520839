/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/urgency.h"

#include <errno.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* Above everything that is not real-time is enough; below what the kernel's own threads have. */
#define URGENCY_PRIORITY 10

void urgency_of_caller(struct urgency *u)
{
	int policy = sched_getscheduler(0);
	u->policy = policy < 0 ? SCHED_OTHER : policy & ~SCHED_RESET_ON_FORK;
	errno = 0;
	u->nice = getpriority(PRIO_PROCESS, 0);
	if (errno != 0)
		u->nice = 0;
}

static bool urgency_schedule(void)
{
	struct sched_param own = { 0 }, wanted = { .sched_priority = URGENCY_PRIORITY };
	int policy = sched_getscheduler(0);
	bool real_time = policy >= 0 &&
	                 ((policy & ~SCHED_RESET_ON_FORK) == SCHED_FIFO || (policy & ~SCHED_RESET_ON_FORK) == SCHED_RR);
	if (real_time && sched_getparam(0, &own) == 0 && own.sched_priority > wanted.sched_priority)
		wanted.sched_priority = own.sched_priority;
	return sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &wanted) == 0;
}

bool urgency_take(void)
{
	/* What is mapped now. MCL_FUTURE would make later allocations fail at a limit, which is worse than a page fault. */
	(void)mlockall(MCL_CURRENT);
	return urgency_schedule();
}

int urgency_probe(void)
{
	int status;
	pid_t child = fork();

	if (child < 0)
		return errno;
	if (child == 0)
		_exit(urgency_schedule() ? 0 : errno & 127);
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return errno;
	return WIFEXITED(status) ? WEXITSTATUS(status) : EPERM;
}

void urgency_give_back(const struct urgency *u)
{
	const struct sched_param none = { 0 };
	if (u->policy == SCHED_BATCH || u->policy == SCHED_IDLE)
		(void)sched_setscheduler(0, u->policy, &none);
	/* the reset made it 0 */
	if (u->nice != 0)
		(void)setpriority(PRIO_PROCESS, 0, u->nice);
}
