/* SPDX-License-Identifier: Apache-2.0 */
#include "file/ended.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/cgroup.h"
#include "base/error.h"

/* Kills one process of the record. 1: it lives still, *pidfd tells when not; 0: it is dead; TENURE_E...: can't be told.
 */
static int ended_kill(const struct process_id *id, int *pidfd)
{
	int fd, code;

	if (id->pid == 0)
		return 0;
	fd = process_open(id);
	if (fd == TENURE_ENOENT)
		return 0;
	if (fd < 0)
		return fd;
	code = process_ended(fd) ? TENURE_ENOENT : process_kill(fd);
	if (code == TENURE_ENOENT) {
		(void)close(fd);
		return 0;
	}
	/* Not ours to kill: it may still end by itself, so wait for it all the same. */
	if (*pidfd >= 0)
		(void)close(*pidfd);
	*pidfd = fd;
	return 1;
}

/* How many of the tree may live: 0 none; -1 it can't be told. */
static int ended_tree_left(const struct record *r, int *pidfd)
{
	int left = 0, warden, init;

	/* The warden first: it would report, and it holds the lock if the file was replaced underneath. */
	warden = ended_kill(&r->warden, pidfd);
	if (strcmp(r->containment, "weak") == 0 && r->init.pid != 0 && process_state_of(&r->init) == PROCESS_ALIVE)
		(void)process_kill_descendants(r->init.pid);
	init = ended_kill(&r->init, pidfd);
	if (warden < 0 || init < 0)
		return -1;
	if (r->cgroup[0] != '\0') {
		left = cgroup_kill(r->cgroup) == 0 ? cgroup_populated(r->cgroup) : -1;
		if (left < 0)
			return -1;
		if (left == 0)
			cgroup_remove(r->cgroup);
	}
	return warden + init + left;
}

static enum ended_result ended_tree(const struct record *r, int *pidfd, struct tenure_error *error)
{
	int left = ended_tree_left(r, pidfd);

	if (left >= 0)
		return left > 0 ? ENDED_PENDING : ENDED_PROVEN;
	(void)error_set(
	        error, TENURE_EIO, errno,
	        "cannot tell whether the program of the last holder %.80s (token %llu) is dead; is /proc mounted here?",
	        r->identity, (unsigned long long)r->token);
	return ENDED_UNPROVABLE;
}

enum ended_result ended_step(const struct record *r, const struct process_scope *scope, bool lock_same, int *pidfd,
                             struct tenure_error *error)
{
	*pidfd = -1;
	if (!r->leading)
		return ENDED_PROVEN;
	if (r->scope.boot_id[0] != '\0' && scope->boot_id[0] != '\0' && strcmp(r->scope.boot_id, scope->boot_id) != 0)
		return ENDED_PROVEN; /* the host was restarted since */
	/* A lone process that held this very lock is over once the lock is free: its descriptors close after its last
	 * step. */
	if (!r->has_tree && lock_same)
		return ENDED_PROVEN;
	if (scope->boot_id[0] == '\0' || r->scope.pid_ns_inode != scope->pid_ns_inode ||
	    r->scope.time_ns_inode != scope->time_ns_inode) {
		(void)error_set(error, TENURE_EIO, 0,
		                "the last holder %.40s (token %llu) ran in another PID or time namespace: its end "
		                "cannot be proven "
		                "from here; start a candidate there or, once you know that it is over, remove the "
		                "election's file 'holder'",
		                r->identity, (unsigned long long)r->token);
		return ENDED_UNPROVABLE;
	}
	if (r->has_tree && lock_same)
		return ended_tree(r, pidfd, error);
	/* The lock file was replaced under a living holder: whoever did that must undo it, we do not kill for it. */
	if ((r->holder.pid != 0 && process_state_of(&r->holder) != PROCESS_DEAD) ||
	    (r->has_tree && (process_state_of(&r->warden) != PROCESS_DEAD))) {
		(void)error_set(error, TENURE_EIO, 0,
		                "the lock file was replaced while %.80s (pid %d, token %llu) holds the old one; stop "
		                "that process first",
		                r->identity, (int)r->holder.pid, (unsigned long long)r->token);
		return ENDED_UNPROVABLE;
	}
	return r->has_tree ? ended_tree(r, pidfd, error) : ENDED_PROVEN;
}
