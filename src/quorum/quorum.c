/* SPDX-License-Identifier: Apache-2.0 */
#include "quorum/quorum.h"

#include "base/check.h"
#include "base/identity.h"
#include "quorum/bytes.h"

uint64_t quorum_public_hash(const struct quorum_id *inc)
{
	return identity_public_hash(inc->bytes);
}

/*
 * A configuration as bytes, in HELLO_R and in the superblock:
 *
 *	u64 cver | u64 floor | u8 n_members | u8 n_next | members | next
 *	member  16 bytes vid | u16 length | address without its terminator
 */
#define QUORUM_CONFIG_FIXED 18
#define QUORUM_MEMBER_FIXED 18

_Static_assert(QUORUM_CONFIG_FIXED + 2 * QUORUM_MAX_VOTERS * (QUORUM_MEMBER_FIXED + QUORUM_ADDRESS_ROOM) <=
                       QUORUM_CONFIG_MAX_BYTES,
               "any configuration fits");

static size_t quorum_members_encode(const struct quorum_member *members, unsigned n, uint8_t *out, size_t used,
                                    size_t room)
{
	for (unsigned i = 0; i < n; i++) {
		size_t length = strnlen(members[i].address, QUORUM_ADDRESS_ROOM - 1);

		if (room - used < QUORUM_MEMBER_FIXED + length)
			return 0;
		memcpy(out + used, members[i].vid.bytes, sizeof members[i].vid.bytes);
		bytes_put16(out + used + 16, (uint16_t)length);
		memcpy(out + used + QUORUM_MEMBER_FIXED, members[i].address, length);
		used += QUORUM_MEMBER_FIXED + length;
	}
	return used;
}

size_t quorum_config_encode(const struct quorum_config *c, uint8_t *out, size_t room)
{
	size_t used = QUORUM_CONFIG_FIXED;

	CHECK(c->n_members <= QUORUM_MAX_VOTERS && c->n_next <= QUORUM_MAX_VOTERS);
	if (room < used)
		return 0;
	bytes_put64(out, c->cver);
	bytes_put64(out + 8, c->floor);
	out[16] = (uint8_t)c->n_members;
	out[17] = (uint8_t)c->n_next;
	used = quorum_members_encode(c->members, c->n_members, out, used, room);
	return used == 0 ? 0 : quorum_members_encode(c->next, c->n_next, out, used, room);
}

/* SIZE_MAX: malformed. An address has no zero byte, no control characters and no spaces: it is put into messages. */
static size_t quorum_members_decode(struct quorum_member *members, unsigned n, const uint8_t *bytes, size_t at,
                                    size_t n_bytes)
{
	for (unsigned i = 0; i < n; i++) {
		size_t length;

		if (n_bytes - at < QUORUM_MEMBER_FIXED)
			return SIZE_MAX;
		memcpy(members[i].vid.bytes, bytes + at, sizeof members[i].vid.bytes);
		length = bytes_get16(bytes + at + 16);
		at += QUORUM_MEMBER_FIXED;
		if (length == 0 || length >= QUORUM_ADDRESS_ROOM || n_bytes - at < length ||
		    quorum_id_is_none(&members[i].vid))
			return SIZE_MAX;
		for (size_t b = 0; b < length; b++) {
			if (bytes[at + b] <= ' ' || bytes[at + b] >= 0x7f)
				return SIZE_MAX;
		}
		for (unsigned other = 0; other < i; other++) {
			if (quorum_id_equal(&members[other].vid, &members[i].vid))
				return SIZE_MAX;
		}
		memcpy(members[i].address, bytes + at, length);
		at += length;
	}
	return at;
}

bool quorum_config_decode(struct quorum_config *c, const uint8_t *bytes, size_t n_bytes)
{
	size_t at = QUORUM_CONFIG_FIXED;

	memset(c, 0, sizeof *c);
	if (n_bytes < QUORUM_CONFIG_FIXED)
		return false;
	c->cver = bytes_get64(bytes);
	c->floor = bytes_get64(bytes + 8);
	if (c->cver == 0 || c->floor > QUORUM_TERM_MAX || bytes[16] == 0 || bytes[16] > QUORUM_MAX_VOTERS ||
	    bytes[17] > QUORUM_MAX_VOTERS)
		return false;
	c->n_members = bytes[16];
	c->n_next = bytes[17];
	at = quorum_members_decode(c->members, c->n_members, bytes, at, n_bytes);
	if (at != SIZE_MAX)
		at = quorum_members_decode(c->next, c->n_next, bytes, at, n_bytes);
	return at == n_bytes;
}

int quorum_config_find(const struct quorum_config *c, const struct quorum_id *vid)
{
	for (unsigned i = 0; i < c->n_members; i++) {
		if (quorum_id_equal(&c->members[i].vid, vid))
			return (int)i;
	}
	return -1;
}
