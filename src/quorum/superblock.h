/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a voter makes durable (PROTOCOL section 4): nothing about elections but a ceiling over all their terms. Two copies
 * stand in one file, each with a sequence number and a checksum; the older one is overwritten, so that a torn write
 * leaves the newer. PURE; voter_disk.c does the I/O.
 *
 *	offset 0        copy 0, SUPERBLOCK_COPY_BYTES
 *	offset 16384    copy 1
 *	copy            magic "TENUREVS" | u16 format | u16 0 | u32 length | u64 sequence | body | u32 crc32c of all that
 */
#ifndef TENURE_QUORUM_SUPERBLOCK_H
#define TENURE_QUORUM_SUPERBLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tenure/tenure.h>

#include "quorum/quorum.h"

#define SUPERBLOCK_FORMAT     1
#define SUPERBLOCK_COPY_BYTES 16384u
#define SUPERBLOCK_FILE_BYTES 32768u /* two copies */
#define SUPERBLOCK_NAME_ROOM  65     /* of the voter, as given to init: "v1" */

struct superblock {
	uint64_t sequence; /* rises with every write; the parity is the copy */
	struct quorum_id cluster, vid;
	char name[SUPERBLOCK_NAME_ROOM];
	uint16_t epoch;
	uint32_t run;       /* 0: never started (12.1); +1, durable, before it serves */
	uint32_t clean_run; /* == run: stopped cleanly, the snapshot of that run is good for one start */
	bool joined;        /* its cluster was there before it: the first start is an unclean one */
	uint64_t ceiling;
	uint32_t max_ttl_ms, max_ttl_v_ms;
	struct quorum_config config;
	uint64_t pending_ballot; /* R37; 0: none */
	uint32_t n_pending_bytes;
	uint8_t pending[QUORUM_CONFIG_MAX_BYTES / 2];
};

/* One copy; unused bytes are 0. */
void superblock_encode(const struct superblock *s, uint8_t copy[SUPERBLOCK_COPY_BYTES]);
/*
 * 0; TENURE_EFOREIGN: not a copy, or a torn one (error says which); TENURE_EVERSION: of a later format. `error` may be
 * NULL.
 */
int superblock_decode(struct superblock *s, const uint8_t *copy, size_t n_bytes, struct tenure_error *error);
/*
 * The newer good copy of a whole file's bytes. 0; TENURE_EFOREIGN: neither is good, or they belong to different voters;
 * TENURE_EVERSION. A file of another length is cut or foreign: say so.
 */
int superblock_choose(struct superblock *s, const uint8_t *file, size_t n_bytes, struct tenure_error *error);

#endif
