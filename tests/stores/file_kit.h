/* SPDX-License-Identifier: Apache-2.0 */
/* For the tests of the file store alone: its files, and candidates in processes of their own. */
#ifndef TENURE_TESTS_FILE_KIT_H
#define TENURE_TESTS_FILE_KIT_H

#include "fixture.h"

#include <sys/types.h>

#define KIT_LINE 512

struct kit_process {
	pid_t pid;
	int in, out; /* its standard input, closed to end it; its standard output */
};

/* DIR/job/NAME of the store at `url`. */
const char *kit_path(const char *url, const char *name, char out[FIXTURE_URL_ROOM]);
void kit_write(const char *path, const void *bytes, size_t n);
size_t kit_read(const char *path, void *bytes, size_t room);
bool kit_exists(const char *path);
size_t kit_count(const char *directory); /* entries */

/* `before` runs in the child before candidate is executed: limits, namespaces, users. It may be NULL. */
struct kit_process kit_start(void (*before)(const void *arg), const void *arg, const char *mode, const char *url,
                             const char *election);
/* One line of its output, without the newline; "" at its end. Fails the test when none comes. */
void kit_line(struct kit_process *p, char line[KIT_LINE]);
uint64_t kit_lead(struct kit_process *p); /* "lead TOKEN" */
/* Ends it by closing its input; its exit code. */
int kit_end(struct kit_process *p);
void kit_kill(struct kit_process *p);
int kit_shell(const char *command);         /* waits; the exit code, -1 for a signal */
const char *kit_tool(const char *variable); /* a program's path from the environment that the build gives */

#endif
