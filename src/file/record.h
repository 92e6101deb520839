/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The record beside an election's lock: who leads, and which processes must be proven dead before the next one may.
 * Written only by whoever holds the lock, under another name and then renamed, so that readers see a whole one. It need
 * not survive the host: after a restart the boot id differs and nothing of it lives. PURE but for nothing: text in,
 * struct out.
 *
 * Lines "name value", values percent-encoded; the first line names the version, the last one a checksum of all before
 * it.
 */
#ifndef TENURE_FILE_RECORD_H
#define TENURE_FILE_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tenure/tenure.h>

#include "base/names.h"
#include "base/process.h"
#include "elector/store.h"

#define RECORD_MAX_BYTES 20480

struct record {
	uint64_t leading; /* 1: the tenure goes on; 0: released, nothing of it lives */
	char id[NAMES_ID_MAX_BYTES + 1];
	char identity[NAMES_IDENTITY_ROOM];
	uint64_t token;
	uint64_t since_unix_ns;
	uint64_t cause;             /* enum tenure_cause: how it began, or, once released, how it ended */
	struct process_scope scope; /* where the process ids below mean something */
	struct process_id holder;   /* the candidate's own process */
	uint64_t has_tree;          /* 1: a supervised program: warden and init below */
	struct process_id warden, init;
	char containment[16];
	char cgroup[STORE_CGROUP_ROOM];
	char page[STORE_PAGE_ROOM];    /* the path of the tenure's lease page: it must not outlive the tenure */
	uint64_t lock_dev, lock_inode; /* the lock file that was locked: it may have been replaced since */
	size_t value_bytes;
	unsigned char value[STORE_VALUE_MAX_BYTES];
	/* Not in the text: whose file it is, and whether nobody else could have written it. */
	bool owned;
	uint32_t owner;
};

/* The length written (no terminator counted), or 0 where `room` is too small: RECORD_MAX_BYTES always suffices. */
size_t record_format(const struct record *r, char *out, size_t room);
/* 0; TENURE_EFOREIGN (not a record, damaged), TENURE_EVERSION (a newer one). `path` is for the message. */
int record_parse(struct record *r, const char *text, size_t n_bytes, const char *path, struct tenure_error *error);

#endif
