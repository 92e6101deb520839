/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A durable number that only its owner changes: two 64-byte slots in one file, the older one overwritten and made
 * durable before the new value counts. A write that is torn at any byte leaves the other slot. Used for the token
 * counter of a file election and for the mark of a guarded resource. The caller holds the lock that makes it the only
 * writer.
 *
 * On disk, little endian: u32 magic, u32 version (1), u64 sequence, u64 value, 36 zero bytes, u32 crc32c of the 60
 * bytes before it. The slot with the higher sequence is the present one; sequences begin at 1, slot i holds those with
 * sequence % 2 == 1 - i, and those of two whole slots are neighbours. A slot whose checksum fails is torn: then the
 * other one is present. Every later version keeps magic, version and checksum where they are.
 */
#ifndef TENURE_BASE_SLOTS_H
#define TENURE_BASE_SLOTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tenure/tenure.h>

#define SLOTS_BYTES         128
#define SLOTS_VALUE_MAX     ((uint64_t)INT64_MAX)
#define SLOTS_MAGIC_COUNTER 0x31434e54u /* "TNC1" */
#define SLOTS_MAGIC_GUARD   0x31474e54u /* "TNG1" */

struct slots {
	uint32_t magic;
	uint64_t sequence; /* of the present slot */
	uint64_t value;
	uint64_t older;   /* what the other slot holds; `value` where it is torn */
	unsigned present; /* 0 or 1 */
	bool torn;        /* the other slot does not check: an interrupted write, or damage */
};

/*
 * PURE. Reads the SLOTS_BYTES bytes of a file. `n_bytes` is what the file really has; only as many bytes are looked at.
 * 0, or TENURE_EIO (shorter than SLOTS_BYTES, or no slot checks), TENURE_EFOREIGN (longer; neither slot has the magic;
 * a slot that checks holds what is never written), TENURE_EVERSION (a newer version). `s` is set only on 0. The message
 * says what and what to do; the caller's `path` is put into it.
 */
int slots_decode(struct slots *s, uint32_t magic, const unsigned char *bytes, size_t n_bytes, const char *path,
                 struct tenure_error *error);
/* PURE. The 64 bytes of a slot. */
void slots_encode(unsigned char out[64], uint32_t magic, uint64_t sequence, uint64_t value);

/* Reads and checks an open file. `path` is for messages only. */
int slots_read(int fd, struct slots *s, uint32_t magic, const char *path, struct tenure_error *error);
/*
 * Overwrites the slot that is not present and makes it durable (fdatasync). After 0 the value counts and `s` has it;
 * after an error `s` is unchanged and either value may be found later. TENURE_EIO; TENURE_ELIMIT above SLOTS_VALUE_MAX.
 */
int slots_write(int fd, struct slots *s, uint64_t value, const char *path, struct tenure_error *error);
/*
 * Makes `name` in `dirfd` with `value` in both slots: written under another name, made durable, then linked into place
 * and the directory made durable, so that the file is whole or absent. Returns the open descriptor, owned by the caller
 * (O_RDWR, close-on-exec), or a negative code; an existing file is TENURE_EEXIST.
 */
int slots_create(int dirfd, const char *name, unsigned mode, uint32_t magic, uint64_t value, struct slots *s,
                 const char *path, struct tenure_error *error);

#endif
