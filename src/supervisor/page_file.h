/* SPDX-License-Identifier: Apache-2.0 */
/* Where the lease page of a tenure stands as a file, and who removes those that nobody could. */
#ifndef TENURE_SUPERVISOR_PAGE_FILE_H
#define TENURE_SUPERVISOR_PAGE_FILE_H

#include <stdbool.h>
#include <stdint.h>

#define PAGE_FILE_ROOM 256

/* /run/tenure for root, else $XDG_RUNTIME_DIR/tenure: made where it is missing. False: no directory can be trusted. */
bool page_file_path(char path[PAGE_FILE_ROOM], const char *identity, uint64_t token);
/*
 * A lock on the page that is held as long as supervisor or warden lives: the descriptor, owned; -1: none. The program has
 * another descriptor, without it.
 */
int page_file_hold(const char *path);
/* Removes pages in the directory of `path` whose supervisor and warden were both killed. A few at a time. */
void page_file_sweep(const char *path);

#endif
