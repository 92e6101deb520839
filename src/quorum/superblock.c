/* SPDX-License-Identifier: Apache-2.0 */
#include "quorum/superblock.h"

#include <string.h>

#include "base/check.h"
#include "base/crc32c.h"
#include "base/error.h"
#include "quorum/bytes.h"

/*
 *	header  8 bytes magic | u16 format | u16 0 | u32 length | u64 sequence
 *	body    16 bytes cluster | 16 bytes vid | u16 epoch | u8 joined | u8 name length | name | u32 run |
 *	        u32 clean_run | u64 ceiling | u32 max_ttl_ms | u32 max_ttl_v_ms | u16 length | configuration |
 *	        u64 pending ballot | u16 length | pending body
 *	then    u32 crc32c, and zeros
 *
 * `length` is the header's and the body's. Every later format keeps the header and the checksum where they are, so that
 * a later one is told from a damaged one.
 */
#define SUPERBLOCK_MAGIC        "TENUREVS"
#define SUPERBLOCK_HEADER_BYTES 24u
#define SUPERBLOCK_CRC_BYTES    4u
/* Everything of the body but name, configuration and pending. */
#define SUPERBLOCK_FIXED_BYTES 72u

_Static_assert(SUPERBLOCK_HEADER_BYTES + SUPERBLOCK_FIXED_BYTES + SUPERBLOCK_NAME_ROOM + QUORUM_CONFIG_MAX_BYTES +
                               sizeof((struct superblock *)0)->pending + SUPERBLOCK_CRC_BYTES <=
                       SUPERBLOCK_COPY_BYTES,
               "whatever it says fits into a copy");

/* ---- writing ---- */

struct superblock_pen {
	uint8_t *at;
};

static void superblock_put16(struct superblock_pen *p, uint16_t value)
{
	bytes_put16(p->at, value);
	p->at += 2;
}

static void superblock_put32(struct superblock_pen *p, uint32_t value)
{
	bytes_put32(p->at, value);
	p->at += 4;
}

static void superblock_put64(struct superblock_pen *p, uint64_t value)
{
	bytes_put64(p->at, value);
	p->at += 8;
}

static void superblock_put_bytes(struct superblock_pen *p, const void *bytes, size_t n)
{
	memcpy(p->at, bytes, n);
	p->at += n;
}

static void superblock_put_body(struct superblock_pen *p, const struct superblock *s)
{
	size_t name = strnlen(s->name, sizeof s->name - 1), config;

	superblock_put_bytes(p, s->cluster.bytes, sizeof s->cluster.bytes);
	superblock_put_bytes(p, s->vid.bytes, sizeof s->vid.bytes);
	superblock_put16(p, s->epoch);
	*p->at++ = s->joined;
	*p->at++ = (uint8_t)name;
	superblock_put_bytes(p, s->name, name);
	superblock_put32(p, s->run);
	superblock_put32(p, s->clean_run);
	superblock_put64(p, s->ceiling);
	superblock_put32(p, s->max_ttl_ms);
	superblock_put32(p, s->max_ttl_v_ms);
	config = quorum_config_encode(&s->config, p->at + 2, QUORUM_CONFIG_MAX_BYTES);
	CHECK(config > 0);
	superblock_put16(p, (uint16_t)config);
	p->at += config;
	superblock_put64(p, s->pending_ballot);
	superblock_put16(p, (uint16_t)s->n_pending_bytes);
	superblock_put_bytes(p, s->pending, s->n_pending_bytes);
}

void superblock_encode(const struct superblock *s, uint8_t copy[SUPERBLOCK_COPY_BYTES])
{
	struct superblock_pen p = { copy };
	size_t length;

	CHECK(s->n_pending_bytes <= sizeof s->pending);
	memset(copy, 0, SUPERBLOCK_COPY_BYTES);
	superblock_put_bytes(&p, SUPERBLOCK_MAGIC, 8);
	superblock_put16(&p, SUPERBLOCK_FORMAT);
	superblock_put16(&p, 0);
	superblock_put32(&p, 0);
	superblock_put64(&p, s->sequence);
	superblock_put_body(&p, s);
	length = (size_t)(p.at - copy);
	bytes_put32(copy + 12, (uint32_t)length);
	bytes_put32(copy + length, crc32c(copy, length));
}

/* ---- reading ---- */

struct superblock_reader {
	const uint8_t *at, *end;
	bool bad;
};

/* NULL, and bad, where the body does not have as much. */
static const uint8_t *superblock_take(struct superblock_reader *r, size_t n)
{
	const uint8_t *p = r->at;

	if (r->bad || (size_t)(r->end - r->at) < n) {
		r->bad = true;
		return NULL;
	}
	r->at += n;
	return p;
}

static uint16_t superblock_get16(struct superblock_reader *r)
{
	const uint8_t *p = superblock_take(r, 2);

	return p ? bytes_get16(p) : 0;
}

static uint32_t superblock_get32(struct superblock_reader *r)
{
	const uint8_t *p = superblock_take(r, 4);

	return p ? bytes_get32(p) : 0;
}

static uint64_t superblock_get64(struct superblock_reader *r)
{
	const uint8_t *p = superblock_take(r, 8);

	return p ? bytes_get64(p) : 0;
}

static void superblock_get_bytes(struct superblock_reader *r, void *out, size_t n)
{
	const uint8_t *p = superblock_take(r, n);

	if (p)
		memcpy(out, p, n);
}

static void superblock_get_name(struct superblock_reader *r, struct superblock *s)
{
	const uint8_t *n = superblock_take(r, 1);

	if (!n || *n == 0 || *n >= sizeof s->name) {
		r->bad = true;
		return;
	}
	superblock_get_bytes(r, s->name, *n);
	r->bad |= strnlen(s->name, sizeof s->name) != *n;
}

static void superblock_get_body(struct superblock_reader *r, struct superblock *s)
{
	const uint8_t *joined, *config;
	size_t n;

	superblock_get_bytes(r, s->cluster.bytes, sizeof s->cluster.bytes);
	superblock_get_bytes(r, s->vid.bytes, sizeof s->vid.bytes);
	s->epoch = superblock_get16(r);
	joined = superblock_take(r, 1);
	r->bad |= !joined || *joined > 1;
	s->joined = joined && *joined == 1;
	superblock_get_name(r, s);
	s->run = superblock_get32(r);
	s->clean_run = superblock_get32(r);
	s->ceiling = superblock_get64(r);
	s->max_ttl_ms = superblock_get32(r);
	s->max_ttl_v_ms = superblock_get32(r);
	n = superblock_get16(r);
	config = superblock_take(r, n);
	r->bad |= !config || !quorum_config_decode(&s->config, config, n);
	s->pending_ballot = superblock_get64(r);
	s->n_pending_bytes = superblock_get16(r);
	if (s->n_pending_bytes <= sizeof s->pending)
		superblock_get_bytes(r, s->pending, s->n_pending_bytes);
	else
		r->bad = true;
	r->bad |= r->at != r->end;
}

/* What no voter ever writes. */
static bool superblock_good(const struct superblock *s)
{
	return !quorum_id_is_none(&s->cluster) && !quorum_id_is_none(&s->vid) && s->epoch <= QUORUM_EPOCH_MAX &&
	       s->ceiling <= QUORUM_TERM_MAX && s->clean_run <= s->run && s->max_ttl_ms > 0 && s->max_ttl_v_ms > 0 &&
	       s->pending_ballot <= QUORUM_TERM_MAX && (s->pending_ballot > 0 || s->n_pending_bytes == 0);
}

int superblock_decode(struct superblock *s, const uint8_t *copy, size_t n_bytes, struct tenure_error *error)
{
	struct superblock_reader r;
	uint32_t length;

	memset(s, 0, sizeof *s);
	if (n_bytes < SUPERBLOCK_HEADER_BYTES || memcmp(copy, SUPERBLOCK_MAGIC, 8) != 0)
		return error_set(error, TENURE_EFOREIGN, 0, "not a voter's superblock: its first bytes are others");
	length = bytes_get32(copy + 12);
	if (length < SUPERBLOCK_HEADER_BYTES || length > n_bytes || n_bytes - length < SUPERBLOCK_CRC_BYTES ||
	    crc32c(copy, length) != bytes_get32(copy + length))
		return error_set(error, TENURE_EFOREIGN, 0, "torn or damaged: its checksum does not fit");
	if (bytes_get16(copy + 8) > SUPERBLOCK_FORMAT)
		return error_set(error, TENURE_EVERSION, 0,
		                 "of format %u, and this version of tenure knows %d: use the later one that wrote it",
		                 (unsigned)bytes_get16(copy + 8), SUPERBLOCK_FORMAT);
	s->sequence = bytes_get64(copy + 16);
	r = (struct superblock_reader) { .at = copy + SUPERBLOCK_HEADER_BYTES, .end = copy + length };
	superblock_get_body(&r, s);
	if (bytes_get16(copy + 8) != SUPERBLOCK_FORMAT || bytes_get16(copy + 10) != 0 || r.bad || !superblock_good(s))
		return error_set(error, TENURE_EFOREIGN, 0, "its checksum fits, but it says what no voter writes");
	return 0;
}

/* Two copies, both whole: of one voter, each in its place. */
static int superblock_fit(const struct superblock one[2], struct tenure_error *error)
{
	if (!quorum_id_equal(&one[0].vid, &one[1].vid) || !quorum_id_equal(&one[0].cluster, &one[1].cluster))
		return error_set(error, TENURE_EFOREIGN, 0,
		                 "its two copies belong to different voters: parts of two stores were mixed");
	return 0;
}

int superblock_choose(struct superblock *s, const uint8_t *file, size_t n_bytes, struct tenure_error *error)
{
	struct superblock one[2];
	int code[2];

	if (n_bytes != SUPERBLOCK_FILE_BYTES)
		return error_set(error, TENURE_EFOREIGN, 0, "it has %zu bytes, a whole one %u: %s", n_bytes,
		                 SUPERBLOCK_FILE_BYTES,
		                 n_bytes < SUPERBLOCK_FILE_BYTES ? "it was cut" : "something else wrote it");
	for (unsigned i = 0; i < 2; i++) {
		code[i] = superblock_decode(&one[i], file + (size_t)i * SUPERBLOCK_COPY_BYTES, SUPERBLOCK_COPY_BYTES,
		                            error);
		/* A later version was here: what our own copy says is older than what that one granted by. */
		if (code[i] == TENURE_EVERSION)
			return code[i];
		if (code[i] == 0 && one[i].sequence % 2 != i)
			return error_set(
			        error, TENURE_EFOREIGN, 0,
			        "copy %u stands where the other one belongs: it was edited, or a write went astray", i);
	}
	if (code[0] && code[1])
		return error_set(error, TENURE_EFOREIGN, 0, "neither of its two copies is whole");
	if (!code[0] && !code[1] && superblock_fit(one, error))
		return TENURE_EFOREIGN;
	*s = one[code[0] || (!code[1] && one[1].sequence > one[0].sequence)];
	error_clear(error);
	return 0;
}
