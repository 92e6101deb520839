/* SPDX-License-Identifier: Apache-2.0 */
/* Where `tenure demo` plays: a directory on a disk, processes, and the promise that neither is left behind. */
#ifndef TENURE_CLI_DEMO_STAGE_H
#define TENURE_CLI_DEMO_STAGE_H

#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "cli/cli.h"

#define DEMO_STAGE_DIRECTORY_ROOM 512
#define DEMO_STAGE_PATH_ROOM      (DEMO_STAGE_DIRECTORY_ROOM + 64)
#define DEMO_STAGE_ARGUMENTS      32

struct demo_stage {
	const struct cli *cli;
	char self[PATH_MAX], writer[PATH_MAX], checker[PATH_MAX]; /* programs */
	char directory[DEMO_STAGE_DIRECTORY_ROOM];                /* "": none */
	sigset_t signals, before;                                 /* what interrupts; the mask at start */
};

/*
 * Finds the programs, makes the directory, takes SIGINT, SIGTERM and SIGHUP, and adopts orphans. 0, or the exit code
 * after a message. demo_stage_close() in any case.
 */
int demo_stage_open(struct demo_stage *s, const struct cli *cli);
/* Ends every descendant, children of dead ones included, and removes the directory. 0, or 70 after a message. */
int demo_stage_close(struct demo_stage *s);

/* A file's path in the directory; returns `out`. */
const char *demo_stage_path(const struct demo_stage *s, const char *name, char out[DEMO_STAGE_PATH_ROOM]);

/* Waits `ns`, or less: the number of the signal that came, or 0. */
int demo_stage_pause(const struct demo_stage *s, uint64_t ns);

struct demo_stage_child {
	pid_t pid;
	int in, out; /* pipes to its stdin and from its stdout, owned; -1: none */
};

enum demo_stage_pipes { DEMO_STAGE_IN = 1, DEMO_STAGE_OUT = 2 };

/*
 * Starts a program in the directory, and in a session of its own, so that the terminal's Ctrl-C comes here alone; stderr, and stdout where there
 * is no pipe, go to the file `log` in the directory. `environment`: NAME, value, ... NULL to be added, or NULL. 0, or the
 * exit code after a message.
 */
int demo_stage_start(struct demo_stage *s, struct demo_stage_child *child, const char *log, unsigned pipes,
                     const char *const *arguments, const char *const *environment);
/* The same in another network namespace, by its descriptor; -1: ours. */
int demo_stage_start_in(struct demo_stage *s, struct demo_stage_child *child, const char *log, unsigned pipes,
                        int space, const char *const *arguments, const char *const *environment);
/* Its exit code, 128+signal; -1: still running. Closes its pipes once it has ended. */
int demo_stage_ended(struct demo_stage_child *child);
/* Prints the last lines of a log on stderr: why something did not happen. */
void demo_stage_show_log(const struct demo_stage *s, const char *log);

#endif
