/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A cgroup v2 of one tenure: everything in it ends by one write to cgroup.kill, and "populated 0" proves it (kernel 5.14).
 * The mount is found through /proc/self/mountinfo, since on hybrid hosts it stands at /sys/fs/cgroup/unified.
 */
#ifndef TENURE_BASE_CGROUP_H
#define TENURE_BASE_CGROUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tenure/tenure.h>

#define CGROUP_PATH_ROOM 512

/*
 * Makes a new cgroup "tenure-<16 hex>" below the caller's own and puts its absolute path into `path` (CGROUP_PATH_ROOM).
 * 0, or TENURE_EUNSUPPORTED with a message that says why this host does not allow it.
 */
int cgroup_make(char *path, struct tenure_error *error);
/* Moves a process (0: the caller) into it. 0 or TENURE_EIO with errno set. */
int cgroup_add(const char *path, int32_t pid);
/*
 * Is this path, which somebody else wrote down, a cgroup v2 that cgroup_make() made for the user `uid`? 1: yes; 0: there is
 * nothing under that name; TENURE_EFOREIGN: it is something else, and must not be touched; TENURE_EIO with errno set.
 */
int cgroup_is_of(const char *path, uint32_t uid);
/* Kills all in it. 0, also when the cgroup is gone; TENURE_EIO with errno set. */
int cgroup_kill(const char *path);
/* 1: processes are left; 0: none, or the cgroup is gone (proven dead); TENURE_EIO: can't be told. */
int cgroup_populated(const char *path);
/* Removes it and empty cgroups below. Best effort. */
void cgroup_remove(const char *path);

#endif
