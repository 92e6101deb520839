/* SPDX-License-Identifier: Apache-2.0 */
/* Names, limits and units that voter, candidate and wire share (PROTOCOL sections 3 and 18). PURE. */
#ifndef TENURE_QUORUM_QUORUM_H
#define TENURE_QUORUM_QUORUM_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/names.h"

#define QUORUM_DEFAULT_PORT    7420
#define QUORUM_MAX_VOTERS      9
#define QUORUM_TERM_MAX        ((UINT64_C(1) << 48) - 1)
#define QUORUM_EPOCH_MAX       32767u
#define QUORUM_STEP            (UINT64_C(1) << 20) /* of the ceiling (R22) */
#define QUORUM_LEAP            (UINT64_C(1) << 28) /* R15 */
#define QUORUM_LEAP_EVERY_NS   UINT64_C(10000000000)
#define QUORUM_VALUE_MAX_BYTES 4096
#define QUORUM_MAX_WAITERS     1024 /* per election */
#define QUORUM_MAX_ELECTIONS   (1u << 20)
/* A handle may be so far beyond those that are open: a voter keeps a table of them. */
#define QUORUM_HANDLE_GAP           64
#define QUORUM_ADDRESS_ROOM         264 /* "[host]:port" and the terminator */
#define QUORUM_DEFAULT_MAX_TTL_MS   10000u
#define QUORUM_DEFAULT_MAX_TTL_V_MS 1000u
#define QUORUM_MIN_TTL_MS           200u
#define QUORUM_RTT_MIN_US           100u
#define QUORUM_RTT_MAX_US           1000000u
/* R33: what a nudged head has beyond 3 RTT. PROTOCOL says 2 ms, which a busy host outlasts now and then: then the order breaks */
#define QUORUM_NUDGE_SLACK_NS UINT64_C(20000000)
#define QUORUM_NS_PER_MS      UINT64_C(1000000)

struct quorum_id { /* 128 random bits: an incarnation, a voter, a cluster. All zero: none */
	uint8_t bytes[16];
};

static inline bool quorum_id_equal(const struct quorum_id *a, const struct quorum_id *b)
{
	return memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

static inline bool quorum_id_is_none(const struct quorum_id *a)
{
	static const struct quorum_id none;

	return quorum_id_equal(a, &none);
}

/* The first 8 bytes of SHA-256 of an incarnation: what others see of it, the 16 hex of its identity. PURE (libmd). */
uint64_t quorum_public_hash(const struct quorum_id *inc);

static inline uint64_t quorum_token(uint16_t epoch, uint64_t term)
{
	return (uint64_t)epoch << 48 | term;
}

static inline unsigned quorum_majority(unsigned n_voters)
{
	return n_voters / 2 + 1;
}

/* Who votes (12.1, 13). A joint configuration has both lists; until voter-set changes exist, `n_next` is 0. */
struct quorum_member {
	struct quorum_id vid;
	char address[QUORUM_ADDRESS_ROOM];
};

struct quorum_config {
	uint64_t cver; /* 1 is the first */
	uint64_t floor;
	unsigned n_members, n_next;
	struct quorum_member members[QUORUM_MAX_VOTERS], next[QUORUM_MAX_VOTERS];
};

#define QUORUM_CONFIG_MAX_BYTES 8192
/* The length written, 0 where `room` is too small. */
size_t quorum_config_encode(const struct quorum_config *c, uint8_t *out, size_t room);
/* false: malformed (counts, a zero or doubled vid, an address without its end, bytes left over). Nothing is trusted. */
bool quorum_config_decode(struct quorum_config *c, const uint8_t *bytes, size_t n_bytes);
/* The index of `vid` among the members, or -1. */
int quorum_config_find(const struct quorum_config *c, const struct quorum_id *vid);

/* NAK reasons (section 5). */
enum quorum_reason {
	QUORUM_BY_TERM = 1, /* T is not above what was voted, or another one has this term */
	QUORUM_BY_HELD,
	QUORUM_BY_HOLD,
	QUORUM_BY_QUIET,
	QUORUM_BY_RELEASED,
	QUORUM_BY_SESSION,
	QUORUM_BY_TTL,
	QUORUM_BY_DENIED,
	QUORUM_BY_CVER,
	QUORUM_BY_LIMIT, /* R15: the NAK's term is the limit */
};

#endif
