/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The process that outlives the supervisor by just as long as it takes to end the program and to prove it dead. It has
 * one thread, since PR_SET_PDEATHSIG of init follows the thread that made it.
 */
#ifndef TENURE_SUPERVISOR_WARDEN_H
#define TENURE_SUPERVISOR_WARDEN_H

#include "client/lease_page_writer.h"
#include "supervisor/program.h"
#include "supervisor/report.h"
#include "supervisor/supervisor.h"

struct warden_settings { /* borrowed: the memory of the supervisor that was forked */
	enum supervisor_containment least;
	bool no_pid_namespace;
	struct program program;
	struct lease_page_writer *page;
	uint64_t deadline_ns;  /* at the start; NS_NEVER: the lease has no end */
	bool urgent;           /* the kill margin counts on real-time scheduling */
	const char *page_path; /* "": none */
	int page_lock;         /* held while it lives; -1: none */
	struct report *report;
	int channel; /* to the supervisor */
	int lock;    /* the store's; -1: none */
};

_Noreturn void warden_main(struct warden_settings *s);

#endif
