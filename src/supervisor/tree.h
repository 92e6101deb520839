/* SPDX-License-Identifier: Apache-2.0 */
/* One tenure's processes, lease page and lock, as the supervisor holds them. */
#ifndef TENURE_SUPERVISOR_TREE_H
#define TENURE_SUPERVISOR_TREE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <tenure/tenure.h>

#include "base/process.h"
#include "client/lease_page_writer.h"
#include "supervisor/channel.h"
#include "supervisor/containment.h"
#include "supervisor/page_file.h"
#include "supervisor/report.h"
#include "supervisor/signals.h"
#include "supervisor/supervisor.h"
#include "supervisor/urgency.h"

struct tree {
	pid_t warden;   /* 0: none, or reaped */
	int channel;    /* to it; -1: none */
	int init_pidfd; /* -1: not known yet, or proven dead */
	int lock;       /* came back from the warden; -1: none */
	bool yielded;   /* warden and init alone hold the lock */
	bool proven;    /* by the warden: every process of the program is dead */
	bool contained; /* the warden has reported: `containment` is valid */
	bool own_children;
	struct containment containment;
	struct process_id warden_id;
	struct lease_page_writer page;
	int page_lock; /* -1: none */
	struct report *report;
	char path[PAGE_FILE_ROOM]; /* of the page; "": a memory file */
};

struct tree_settings { /* borrowed */
	const struct supervisor_options *options;
	const struct signals *signals;
	const struct urgency *urgency; /* the caller's; NULL: the supervisor has not changed its own */
	bool urgent;                   /* ... and could */
	int closed_standard;
	const char *identity;
	uint64_t token, deadline_ns;
	int lock; /* taken: closed here once the warden has it; -1: none */
};

void tree_init(struct tree *t);
/* Page and warden. 0, or TENURE_E... with a message: then nothing is left. */
int tree_launch(struct tree *t, const struct tree_settings *s, struct tenure_error *error);
/* Takes over what READY says; opens init's pidfd. 0, or TENURE_E... */
int tree_contained(struct tree *t, const struct channel_message *ready, struct tenure_error *error);
/* The program's wait status, where init has left one. */
bool tree_program_ended(const struct tree *t, int *status);
bool tree_init_ended(const struct tree *t);
/* Without a warden: kills, and tells whether everything is proven dead. */
bool tree_is_dead(const struct tree *t);
/* SIGKILL to the warden, for one that does not answer. */
void tree_kill_warden(const struct tree *t);
/* It has said its last word or its channel is closed: from here on its pid means nothing, and the channel is closed. */
void tree_reap_warden(struct tree *t);
/* The tree is dead: ends and removes the page, reaps, closes. */
void tree_drop(struct tree *t);

#endif
