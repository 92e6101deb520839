/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The levels of containment: how a tree of processes is fenced in, ended, and proven dead.
 *
 *  kernel: init is pid 1 of a PID namespace of its own, with its own mounts and /proc. Its end, seen by its parent or
 * by a pidfd, is the end of every process in there; nothing gets out. cgroup: init and all below it stand in a cgroup
 * of their own: cgroup.kill, then "populated 0". weak:   init and warden are subreapers; what they can't see is never
 * left to the host's init, as long as one of them lives. Killed again and again until the warden has no child left.
 */
#ifndef TENURE_SUPERVISOR_CONTAINMENT_H
#define TENURE_SUPERVISOR_CONTAINMENT_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/cgroup.h"
#include "base/process.h"
#include "supervisor/supervisor.h"

struct containment {
	enum supervisor_containment level;
	struct process_id init;
	char cgroup[CGROUP_PATH_ROOM]; /* level cgroup only */
};

/* In the warden. fork() for init at this level: 0 in init, else its pid, or TENURE_E... with a message. */
pid_t containment_fork(struct containment *c, enum supervisor_containment level, struct tenure_error *error);
/* In init, before anything else: mounts, the parent's death. 0, or TENURE_E... : the level is not to be had here. */
int containment_settle(const struct containment *c, struct tenure_error *error);
/*
 * In the warden: kills the whole tree and returns only when every process of it is proven dead. `waiting` is called
 * about once a second meanwhile.
 */
void containment_end(const struct containment *c, void (*waiting)(void *arg), void *arg);
/* In init, at levels below kernel, when the warden is dead: the same for all but itself. */
void containment_end_below(const struct containment *c);
/*
 * In the supervisor, when the warden is dead: kills, and tells whether the tree is proven dead. Does not wait: call
 * again. `init_pidfd` -1: init was proven dead before. `own_children`: the supervisor has children that are none of the
 * tree.
 */
bool containment_is_dead(const struct containment *c, int init_pidfd, bool own_children);
/* What is left of the level's own things. The tree is dead. */
void containment_remove(const struct containment *c);

#endif
