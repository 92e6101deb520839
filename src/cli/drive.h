/* SPDX-License-Identifier: Apache-2.0 */
/* Drives an embedded session from the command's own thread, and lets signals interrupt it. */
#ifndef TENURE_CLI_DRIVE_H
#define TENURE_CLI_DRIVE_H

#include <signal.h>
#include <stdint.h>

#include <tenure/tenure.h>

struct drive {
	struct tenure *t; /* borrowed; may be set after drive_open() */
	int signal_fd;
	sigset_t before;
};

/*
 * From now on SIGTERM, SIGINT and SIGHUP come to drive_step(), those apart that were ignored at start (nohup). Before
 * the session is opened, so that threads of the library inherit it. 0, or TENURE_ELIMIT.
 */
int drive_open(struct drive *d);
void drive_close(struct drive *d);
/*
 * Waits until the session has work or a signal comes, at most until `until_ns` (CLOCK_BOOTTIME), and lets the session
 * work. 0 worked; a positive signal number; TENURE_E… of tenure_process().
 */
int drive_step(struct drive *d, uint64_t until_ns);

#endif
