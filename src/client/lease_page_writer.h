/* SPDX-License-Identifier: Apache-2.0 */
/* The writing side of a lease page (tenure/lease_page.h): one for each tenure, never used again. */
#ifndef TENURE_CLIENT_LEASE_PAGE_WRITER_H
#define TENURE_CLIENT_LEASE_PAGE_WRITER_H

#include <stdint.h>

#include <tenure/lease_page.h>
#include <tenure/tenure.h>

struct lease_page_writer {
	int fd; /* sealed against every other writer (a memory file), or the file at `path` opened for reading */
	struct tenure_lease_page *page; /* mapped for writing; NULL: none */
};

/*
 * Makes a page of a tenure that begins now. `path` NULL: an anonymous memory file, sealed so that descriptors of it can
 * only read; else a new file there (mode 0444, O_EXCL), for children that close descriptors: the caller unlinks it when
 * the tenure ends. 0, TENURE_EIO, TENURE_ELIMIT (no descriptors).
 */
int lease_page_writer_open(struct lease_page_writer *w, const char *path, uint64_t token, uint64_t deadline_ns,
                           struct tenure_error *error);
void lease_page_writer_extend(struct lease_page_writer *w, uint64_t deadline_ns); /* only ever rises */
void lease_page_writer_state(struct lease_page_writer *w, enum tenure_state state);
void lease_page_writer_end(struct lease_page_writer *w); /* deadline 0, for ever. Async-signal-safe */
/* Ends, unmaps, closes. Pages that others mapped stay ended. */
void lease_page_writer_close(struct lease_page_writer *w);

#endif
