/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages between supervisor, warden and init: whole structs over a SOCK_SEQPACKET pair, whose end of file is how each
 * of them learns that the other one is dead. Nothing here ever waits: a stopped peer must not stop the supervisor.
 */
#ifndef TENURE_SUPERVISOR_CHANNEL_H
#define TENURE_SUPERVISOR_CHANNEL_H

#include <stdint.h>

#include "base/cgroup.h"
#include "base/process.h"

enum channel_type {
	/* down: supervisor to warden, warden to init */
	CHANNEL_GO = 1,    /* the record names the tree: start the program */
	CHANNEL_SIGNAL,    /* value: give this signal to the program */
	CHANNEL_DEADLINE,  /* deadline_ns: the lease was renewed, the dead-man timer moves on */
	CHANNEL_HARD_STOP, /* kill the whole tree now */
	CHANNEL_GIVE_LOCK, /* answers PROVEN: the supervisor is awake and will take the lock back */
	/* up */
	CHANNEL_READY,   /* init stands, nothing runs yet: level, warden, init, cgroup; text: why not a higher level */
	CHANNEL_REFUSED, /* it can't: os_errno, text */
	CHANNEL_STARTED, /* the program was executed: value is its pid as init sees it */
	CHANNEL_NOT_STARTED, /* it could not be: os_errno, text */
	CHANNEL_STOPPED,     /* the program was stopped by the signal `value` */
	CHANNEL_ENDED,       /* the program ended: value is its wait status. Descendants may be left */
	CHANNEL_PROVING,     /* the tree is being killed and is not proven dead yet; sent again every second */
	/*
	 * Proven. The lock waits for GIVE_LOCK: sent at once it would lie in the channel of a stopped supervisor, and
	 * keep everybody else from leading.
	 */
	CHANNEL_PROVEN,
	CHANNEL_DEAD, /* the last word; the lock comes with it, where there is one */
};

struct channel_message {
	uint32_t type; /* enum channel_type */
	int32_t value;
	int32_t level; /* enum supervisor_containment */
	int32_t os_errno;
	uint64_t deadline_ns;
	struct process_id warden, init;
	char cgroup[CGROUP_PATH_ROOM];
	char text[256]; /* as in struct tenure_error */
};

enum channel_result { CHANNEL_CLOSED = 0, CHANNEL_MESSAGE = 1, CHANNEL_NOTHING = 2 };

/* Two connected ends, close-on-exec. 0, or TENURE_EIO with errno set. */
int channel_pair(int ends[2]);
/* `pass_fd` -1: none. 0, or TENURE_EIO: the peer is gone, or so far behind that its buffer is full. */
int channel_send(int end, const struct channel_message *message, int pass_fd);
int channel_send_type(int end, enum channel_type type, int32_t value);
/*
 * One of enum channel_result. A message of any other length than ours, or unterminated, counts as CHANNEL_CLOSED: such
 * a peer can't be trusted. `passed_fd`, owned by the caller, is -1 where there is none; NULL refuses descriptors.
 */
int channel_receive(int end, struct channel_message *message, int *passed_fd);

#endif
