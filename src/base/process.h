/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Processes by an identity that is not reused: pid and start time, valid within one boot, one PID namespace and one time
 * namespace. Used to end what an earlier leader left alive, and to prove it dead.
 */
#ifndef TENURE_BASE_PROCESS_H
#define TENURE_BASE_PROCESS_H

#include <stdbool.h>
#include <stdint.h>

struct process_id {
	int32_t pid;          /* 0: none */
	uint64_t start_ticks; /* field 22 of /proc/PID/stat */
};

/* Where process ids mean the same thing. */
struct process_scope {
	char boot_id[37];       /* /proc/sys/kernel/random/boot_id; empty where /proc is not there */
	uint64_t pid_ns_inode;  /* of /proc/self/ns/pid, 0 unknown */
	uint64_t time_ns_inode; /* of /proc/self/ns/time, 0 unknown (an old kernel) */
};

enum process_state {
	PROCESS_ALIVE,  /* that very process runs (or is stopped) */
	PROCESS_DEAD,   /* gone, or a zombie, or the pid now is another process */
	PROCESS_UNKNOWN /* /proc can't be read: nothing is proven */
};

/* 0, or TENURE_EIO where /proc is not to be read; what is known is filled in all the same. */
int process_scope_read(struct process_scope *scope);
/* Identity of a pid at this moment: 0, or TENURE_ENOENT (no such process), TENURE_EIO (/proc unreadable). */
int process_identify(int32_t pid, struct process_id *id);
/* Zombies count as dead: their descriptors are closed and they run nothing. */
enum process_state process_state_of(const struct process_id *id);
/*
 * A pidfd for exactly that process (checked after the descriptor was had, so a reused pid is never taken). Returns the
 * descriptor, owned; TENURE_ENOENT when it is dead; TENURE_EIO with errno set otherwise. It is readable once the process
 * is dead; for the init of a PID namespace, once everything in the namespace is.
 */
int process_open(const struct process_id *id);
/* SIGKILL through a pidfd. 0; TENURE_ENOENT dead already; TENURE_EDENIED; TENURE_EIO. */
int process_kill(int pidfd);
/* Has the process of this pidfd ended? [no waiting] */
bool process_ended(int pidfd);
/*
 * Who may end it: its real user, as the kernel has it. 0; TENURE_ENOENT: gone; TENURE_EIO: /proc can't be read. Ask while
 * a pidfd of it is held, so that the pid is not another process by now.
 */
int process_user(int32_t pid, uint32_t *uid);
/*
 * SIGKILL to every descendant of `root` (children of children included; not root itself) that /proc shows at this
 * moment. Returns how many were found alive: call again until 0. A negative code where /proc can't be read. Descendants
 * that were given to another parent (no subreaper) are not found: that is why this is the last resort ("weak").
 */
int process_kill_descendants(int32_t root);

/*
 * The same process, as this PID namespace numbers it, for one that another namespace (by the inode of its ns/pid) wrote
 * down. Only root in the host's own PID namespace sees everything, and so can tell that there is none.
 * 0, *here set; TENURE_ENOENT: no such process lives on this host; TENURE_EUNSUPPORTED: not to be told from here;
 * TENURE_EIO: /proc can't be read.
 */
int process_from_namespace(const struct process_id *id, uint64_t pid_ns_inode, struct process_id *here);

#endif
