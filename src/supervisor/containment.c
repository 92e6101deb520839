/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/containment.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"

#define CONTAINMENT_FIRST_PAUSE_NS CLOCK_NS_PER_MS
#define CONTAINMENT_MOST_PAUSE_NS  (50 * CLOCK_NS_PER_MS)

const char *supervisor_containment_name(enum supervisor_containment c)
{
	switch (c) {
	case SUPERVISOR_WEAK:
		return "weak";
	case SUPERVISOR_CGROUP:
		return "cgroup";
	case SUPERVISOR_KERNEL:
		return "kernel";
	}
	return "none";
}

/* As fork(), in new namespaces; the warden has one thread, so that no lock of the C library can be held by another one.
 */
static pid_t containment_fork_namespaces(struct tenure_error *error)
{
	pid_t pid = (pid_t)syscall(SYS_clone, CLONE_NEWPID | CLONE_NEWNS | SIGCHLD, 0L, 0L, 0L, 0L);
	if (pid >= 0)
		return pid;
	if (errno == EAGAIN || errno == ENOMEM)
		return error_set(error, TENURE_ELIMIT, errno, "no process can be made");
	return error_set(error, TENURE_EUNSUPPORTED, errno, "no PID namespace can be made");
}

static pid_t containment_fork_plain(struct tenure_error *error)
{
	pid_t pid = _Fork(); /* as in tree.c */
	return pid >= 0 ? pid : error_set(error, TENURE_ELIMIT, errno, "no process can be made");
}

/* Init waits for GO and does nothing until then, so that it is inside before it has a child. */
static pid_t containment_fork_cgroup(struct containment *c, struct tenure_error *error)
{
	if (cgroup_make(c->cgroup, error) != 0)
		return TENURE_EUNSUPPORTED;
	pid_t pid = containment_fork_plain(error);
	if (pid == 0)
		return 0;
	if (pid > 0 && cgroup_add(c->cgroup, pid) == 0)
		return pid;
	if (pid > 0) {
		error_set(error, TENURE_EUNSUPPORTED, errno, "no process can be moved into the cgroup %s", c->cgroup);
		(void)kill(pid, SIGKILL);
		(void)waitpid(pid, NULL, 0);
		pid = TENURE_EUNSUPPORTED;
	}
	cgroup_remove(c->cgroup);
	c->cgroup[0] = '\0';
	return pid;
}

pid_t containment_fork(struct containment *c, enum supervisor_containment level, struct tenure_error *error)
{
	memset(c, 0, sizeof *c);
	c->level = level;
	switch (level) {
	case SUPERVISOR_KERNEL:
		return containment_fork_namespaces(error);
	case SUPERVISOR_CGROUP:
		return containment_fork_cgroup(c, error);
	case SUPERVISOR_WEAK:
		break;
	}
	return containment_fork_plain(error);
}

int containment_settle(const struct containment *c, struct tenure_error *error)
{
	if (c->level != SUPERVISOR_KERNEL)
		return prctl(PR_SET_CHILD_SUBREAPER, 1) == 0
		               ? 0
		               : error_set(error, TENURE_EUNSUPPORTED, errno, "orphans can't be adopted");
	/* Set before the channel to the warden is looked at: whichever end of it comes first, one of the two tells. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0)
		return error_set(error, TENURE_EUNSUPPORTED, errno, "the warden's death can't be followed");
	/* slave: what the host mounts later still comes in, what happens in here stays in here */
	if (mount("none", "/", NULL, MS_REC | MS_SLAVE, NULL) != 0)
		return error_set(error, TENURE_EUNSUPPORTED, errno, "mounts can't be made private");
	if (mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) != 0)
		return error_set(error, TENURE_EUNSUPPORTED, errno, "no private /proc can be mounted");
	return 0;
}

/* Reaps whatever has ended. Returns true when no child is left at all. */
static bool containment_reap(pid_t init, bool *init_ended)
{
	for (;;) {
		pid_t pid = waitpid(-1, NULL, WNOHANG);
		if (pid > 0 && pid == init)
			*init_ended = true;
		if (pid < 0 && errno == EINTR)
			continue;
		if (pid <= 0)
			return pid < 0 && errno == ECHILD;
	}
}

/*
 * Weak: init last. While it lives, what loses its parent comes to it, and it holds the store's lock: so when whoever does
 * this is killed in the middle of it, the rest is still found, and nobody else leads meanwhile.
 */
static void containment_kill_init_last(pid_t init, bool init_ended)
{
	if (init_ended || process_kill_descendants(init) == 0)
		(void)process_kill_descendants(getpid());
}

/* One blow, and what it proves. In the warden, whose children the tree's processes are or become. */
static bool containment_strike(const struct containment *c, bool *init_ended)
{
	if (!*init_ended && c->level != SUPERVISOR_WEAK)
		(void)kill(c->init.pid, SIGKILL);
	if (c->level == SUPERVISOR_CGROUP)
		(void)cgroup_kill(c->cgroup);
	if (c->level == SUPERVISOR_WEAK)
		containment_kill_init_last(c->init.pid, *init_ended);
	bool childless = containment_reap(c->init.pid, init_ended);
	/* What moved itself out of the cgroup is still a descendant, or becomes a child of the subreaper that we are. */
	if (c->level == SUPERVISOR_CGROUP && !childless && cgroup_populated(c->cgroup) == 0)
		(void)process_kill_descendants(getpid());
	switch (c->level) {
	case SUPERVISOR_KERNEL:
		/* the kernel reports init's end only after that of everything in its namespace */
		return *init_ended || childless;
	case SUPERVISOR_CGROUP:
		return childless && cgroup_populated(c->cgroup) == 0;
	case SUPERVISOR_WEAK:
		/* every descendant hangs on a child of ours: without children there are none */
		return childless;
	}
	return false;
}

/* Waits for a child's end, or until the pause is over: SIGCHLD is blocked and so kept until it is asked for. */
static void containment_pause(uint64_t pause_ns)
{
	sigset_t child;
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	struct timespec limit = { .tv_sec = 0, .tv_nsec = (long)pause_ns };
	(void)sigtimedwait(&child, NULL, &limit);
}

void containment_end(const struct containment *c, void (*waiting)(void *arg), void *arg)
{
	bool init_ended = false;
	uint64_t pause_ns = CONTAINMENT_FIRST_PAUSE_NS, told_ns = clock_now_or_zero_ns();
	while (!containment_strike(c, &init_ended)) {
		containment_pause(pause_ns);
		if (pause_ns < CONTAINMENT_MOST_PAUSE_NS)
			pause_ns *= 2;
		uint64_t now_ns = clock_now_or_zero_ns();
		if (now_ns - told_ns < CLOCK_NS_PER_S)
			continue;
		told_ns = now_ns;
		waiting(arg);
	}
}

void containment_end_below(const struct containment *c)
{
	if (c->level == SUPERVISOR_CGROUP) {
		(void)cgroup_kill(c->cgroup); /* this process too */
		return;
	}
	bool init_ended = false;
	while (!containment_reap(0, &init_ended)) {
		(void)process_kill_descendants(getpid());
		containment_pause(CONTAINMENT_FIRST_PAUSE_NS);
	}
}

bool containment_is_dead(const struct containment *c, int init_pidfd, bool own_children)
{
	bool init_dead = init_pidfd < 0 || process_ended(init_pidfd), ended = false;
	switch (c->level) {
	case SUPERVISOR_KERNEL:
		if (!init_dead)
			(void)process_kill(init_pidfd);
		return init_dead;
	case SUPERVISOR_CGROUP:
		if (!init_dead)
			(void)process_kill(init_pidfd);
		(void)cgroup_kill(c->cgroup);
		return init_dead && cgroup_populated(c->cgroup) == 0;
	case SUPERVISOR_WEAK:
		break;
	}
	/* Without the warden the orphans come to the supervisor, which is a subreaper as well at this level. */
	if (own_children) {
		if (!init_dead && process_kill_descendants(c->init.pid) == 0)
			(void)process_kill(init_pidfd);
		(void)containment_reap(0, &ended);
		return init_dead;
	}
	containment_kill_init_last(c->init.pid, init_dead);
	return containment_reap(0, &ended);
}

void containment_remove(const struct containment *c)
{
	if (c->level == SUPERVISOR_CGROUP && c->cgroup[0] != '\0')
		cgroup_remove(c->cgroup);
}
