/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The snapshot of a clean stop (R25): times as what is left of them, since downtime is not subtracted.
 *
 *	"TENURESN" | u16 format | u16 0 | u32 run | id vid | u64 n_bytes | u64 base_term | u64 hold_left_ns |
 *	u64 quiet_left_ns | u32 n_sessions | u32 n_elections | sessions | elections | u32 crc32c of all before it
 *	session   u64 sid | id inc | u64 left_ns | u32 conn_no | u32 rtt_us | u8 n | label
 *	election  u8 n | name | u8 flags | u8 cause | u64 term | u64 lt | u64 led | id voted | id lc |
 *	          u64 prov_left_ns | u64 age_ns | u32 session, from 1, or 0 | u16 n | value | u8 asked | u8 n | to
 */
#include <stdlib.h>

#include "base/crc32c.h"
#include "quorum/bytes.h"
#include "quorum/voter_inside.h"

#define SNAPSHOT_MAGIC          "TENURESN"
#define SNAPSHOT_FORMAT         1
#define SNAPSHOT_HEAD_BYTES     72
#define SNAPSHOT_SESSION_BYTES  41 /* and its label */
#define SNAPSHOT_ELECTION_BYTES 83 /* and its name, value, to */
#define SNAPSHOT_FLAGS          (VOTER_RELEASED | VOTER_TOUCHED | VOTER_ENDED)

_Static_assert(NAMES_IDENTITY_ROOM < 256, "a byte counts it");

/* ---- writing ---- */

static uint8_t *snapshot_put32(uint8_t *at, uint32_t value)
{
	bytes_put32(at, value);
	return at + 4;
}

static uint8_t *snapshot_put64(uint8_t *at, uint64_t value)
{
	bytes_put64(at, value);
	return at + 8;
}

static uint8_t *snapshot_put(uint8_t *at, const void *bytes, size_t n_bytes)
{
	if (n_bytes)
		memcpy(at, bytes, n_bytes);
	return at + n_bytes;
}

static bool snapshot_has(const struct voter_election *e)
{
	return e->flags & VOTER_TOUCHED; /* what was never granted is unknown, and its term is the base */
}

static size_t snapshot_bytes(const struct voter *v)
{
	size_t n_bytes = SNAPSHOT_HEAD_BYTES + 4;

	for (uint32_t i = 1; i < v->sessions.n_made; i++)
		if (voter_session_at(v, i)->sid)
			n_bytes += SNAPSHOT_SESSION_BYTES + voter_session_at(v, i)->label_bytes;
	for (uint32_t i = 1; i < v->elections.n_made; i++) {
		const struct voter_election *e = voter_election_at(v, i);
		const struct voter_extra *x = voter_extra_of(v, e);

		if (snapshot_has(e))
			n_bytes += SNAPSHOT_ELECTION_BYTES + (size_t)e->name_bytes +
			           (x ? (size_t)x->value_bytes + (x->asked ? x->to_bytes : 0) : 0);
	}
	return n_bytes;
}

static uint8_t *snapshot_put_session(uint8_t *at, const struct voter_session *s, struct voter_now now)
{
	at = snapshot_put64(at, s->sid);
	at = snapshot_put(at, s->inc.bytes, sizeof s->inc.bytes);
	at = snapshot_put64(at, instant_left_ns(s->end, now.at));
	at = snapshot_put32(at, s->conn_no);
	at = snapshot_put32(at, s->rtt_us);
	*at++ = s->label_bytes;
	return snapshot_put(at, s->label, s->label_bytes);
}

static uint8_t *snapshot_put_election(uint8_t *at, const struct voter *v, const struct voter_election *e,
                                      const uint32_t *ordinals, struct voter_now now)
{
	const struct voter_extra *x = voter_extra_of(v, e);
	uint16_t n_value = x ? x->value_bytes : 0;
	uint8_t n_to = x && x->asked ? (uint8_t)x->to_bytes : 0;

	*at++ = e->name_bytes;
	at = snapshot_put(at, voter_election_name(e), e->name_bytes);
	*at++ = e->flags & SNAPSHOT_FLAGS;
	*at++ = e->cause;
	at = snapshot_put64(at, e->term);
	at = snapshot_put64(at, e->lt);
	at = snapshot_put64(at, e->led);
	at = snapshot_put(at, e->voted.bytes, sizeof e->voted.bytes);
	at = snapshot_put(at, e->lc.bytes, sizeof e->lc.bytes);
	at = snapshot_put64(at, instant_left_ns(e->prov_end, now.at));
	at = snapshot_put64(at, now.at.boot_ns > e->since_ns ? now.at.boot_ns - e->since_ns : 0);
	at = snapshot_put32(at, e->att ? ordinals[e->att] : 0);
	bytes_put16(at, n_value);
	at = snapshot_put(at + 2, x ? x->value : NULL, n_value);
	*at++ = x && x->asked;
	*at++ = n_to;
	return snapshot_put(at, x ? x->to : NULL, n_to);
}

static uint8_t *snapshot_put_head(uint8_t *at, const struct voter *v, uint64_t n_bytes, uint32_t n_elections,
                                  struct voter_now now)
{
	at = snapshot_put(at, SNAPSHOT_MAGIC, 8);
	at = snapshot_put32(at, SNAPSHOT_FORMAT);
	at = snapshot_put32(at, v->disk.run); /* the tag */
	at = snapshot_put(at, v->disk.vid.bytes, sizeof v->disk.vid.bytes);
	at = snapshot_put64(at, n_bytes);
	at = snapshot_put64(at, v->base_term);
	at = snapshot_put64(at, instant_left_ns(v->hold_end, now.at));
	at = snapshot_put64(at, instant_left_ns(v->quiet_end, now.at));
	at = snapshot_put32(at, v->sessions.n_used);
	return snapshot_put32(at, n_elections);
}

uint8_t *voter_snapshot_make(struct voter *v, struct voter_now now, size_t *n_bytes)
{
	uint32_t n_elections = 0, n_sessions = 0;
	uint32_t *ordinals = calloc(v->sessions.n_made, sizeof *ordinals);
	uint8_t *bytes, *at;

	for (uint32_t i = 1; i < v->elections.n_made; i++)
		n_elections += snapshot_has(voter_election_at(v, i));
	*n_bytes = snapshot_bytes(v);
	bytes = ordinals ? malloc(*n_bytes) : NULL;
	if (!bytes) {
		free(ordinals);
		return NULL;
	}
	at = snapshot_put_head(bytes, v, *n_bytes, n_elections, now);
	for (uint32_t i = 1; i < v->sessions.n_made; i++) {
		if (!voter_session_at(v, i)->sid)
			continue;
		ordinals[i] = ++n_sessions;
		at = snapshot_put_session(at, voter_session_at(v, i), now);
	}
	for (uint32_t i = 1; i < v->elections.n_made; i++)
		if (snapshot_has(voter_election_at(v, i)))
			at = snapshot_put_election(at, v, voter_election_at(v, i), ordinals, now);
	(void)snapshot_put32(at, crc32c(bytes, (size_t)(at - bytes)));
	free(ordinals);
	return bytes;
}

/* ---- reading ---- */

struct snapshot_reader {
	const uint8_t *at, *end;
	bool bad;
};

static const uint8_t *snapshot_get(struct snapshot_reader *r, size_t n_bytes)
{
	const uint8_t *at = r->at;

	if (r->bad || (size_t)(r->end - at) < n_bytes) {
		r->bad = true;
		return NULL;
	}
	r->at += n_bytes;
	return at;
}

static uint8_t snapshot_get8(struct snapshot_reader *r)
{
	const uint8_t *p = snapshot_get(r, 1);

	return p ? *p : 0;
}

static uint32_t snapshot_get32(struct snapshot_reader *r)
{
	const uint8_t *p = snapshot_get(r, 4);

	return p ? bytes_get32(p) : 0;
}

static uint64_t snapshot_get64(struct snapshot_reader *r)
{
	const uint8_t *p = snapshot_get(r, 8);

	return p ? bytes_get64(p) : 0;
}

static struct quorum_id snapshot_get_id(struct snapshot_reader *r)
{
	struct quorum_id id = { { 0 } };
	const uint8_t *p = snapshot_get(r, sizeof id.bytes);

	if (p)
		memcpy(id.bytes, p, sizeof id.bytes);
	return id;
}

static int snapshot_load_session(struct voter *v, struct snapshot_reader *r, struct voter_now now)
{
	uint64_t sid = snapshot_get64(r);
	struct quorum_id inc = snapshot_get_id(r);
	struct instant end = instant_add(now.at, snapshot_get64(r)); /* what is left begins anew, now */
	uint32_t conn_no = snapshot_get32(r), rtt_us = snapshot_get32(r), index;
	uint8_t n_label = snapshot_get8(r);
	const uint8_t *label = snapshot_get(r, n_label);
	struct voter_session *s;

	if (r->bad || sid == 0 || n_label > NAMES_ID_MAX_BYTES || rtt_us > QUORUM_RTT_MAX_US ||
	    voter_session_find(v, &inc))
		return TENURE_EFOREIGN;
	index = voter_session_make(v, &inc, sid, end);
	if (!index)
		return TENURE_ENOMEM;
	s = voter_session_at(v, index);
	s->conn_no = conn_no;
	s->rtt_us = rtt_us;
	s->label_bytes = n_label;
	memcpy(s->label, label, n_label);
	return 0;
}

static int snapshot_load_extra(struct voter *v, struct voter_election *e, struct snapshot_reader *r)
{
	const uint8_t *p = snapshot_get(r, 2);
	uint16_t n_value = p ? bytes_get16(p) : 0;
	const uint8_t *value = snapshot_get(r, n_value);
	bool asked = snapshot_get8(r);
	uint8_t n_to = snapshot_get8(r);
	const uint8_t *to = snapshot_get(r, n_to);
	struct voter_extra *x;

	if (r->bad || n_value > QUORUM_VALUE_MAX_BYTES || n_to >= NAMES_IDENTITY_ROOM)
		return TENURE_EFOREIGN;
	if (!n_value && !asked)
		return 0;
	x = voter_extra_make(v, e);
	if (!x)
		return TENURE_ENOMEM;
	x->asked = asked;
	x->to_bytes = n_to;
	memcpy(x->to, to, n_to);
	if (n_value) {
		x->value = malloc(n_value);
		if (!x->value)
			return TENURE_ENOMEM;
		memcpy(x->value, value, n_value);
		x->value_bytes = n_value;
		v->n_value_bytes += n_value;
	}
	return 0;
}

static int snapshot_load_election(struct voter *v, struct snapshot_reader *r, uint32_t n_sessions, struct voter_now now)
{
	uint8_t n_name = snapshot_get8(r);
	const char *name = (const char *)snapshot_get(r, n_name);
	struct voter_election *e;
	uint32_t index, session;
	uint64_t age_ns;

	if (r->bad || n_name == 0 || n_name > NAMES_ELECTION_MAX_BYTES || voter_election_find(v, name, n_name))
		return TENURE_EFOREIGN;
	index = voter_election_make(v, name, n_name, now);
	if (!index)
		return TENURE_ENOMEM;
	e = voter_election_at(v, index);
	e->flags = VOTER_USED | (snapshot_get8(r) & SNAPSHOT_FLAGS);
	e->cause = snapshot_get8(r);
	e->term = snapshot_get64(r);
	e->lt = snapshot_get64(r);
	e->led = snapshot_get64(r);
	e->voted = snapshot_get_id(r);
	e->lc = snapshot_get_id(r);
	e->prov_end = instant_add(now.at, snapshot_get64(r));
	age_ns = snapshot_get64(r);
	e->since_ns = now.at.boot_ns > age_ns ? now.at.boot_ns - age_ns : 0;
	session = snapshot_get32(r);
	if (r->bad || session > n_sessions || e->term > QUORUM_TERM_MAX || e->lt > QUORUM_TERM_MAX ||
	    e->led > QUORUM_TERM_MAX || e->cause > TENURE_BY_HEALTH || !(e->flags & VOTER_TOUCHED))
		return TENURE_EFOREIGN;
	if (session) /* they were made in this order, into an empty pool */
		voter_election_attach(v, e, session);
	else
		voter_election_idle(v, index);
	return snapshot_load_extra(v, e, r);
}

/* The head, as far as it tells whether the snapshot is the one of the run before. */
static bool snapshot_is_ours(const struct voter *v, struct snapshot_reader *r, size_t n_bytes)
{
	const uint8_t *magic = snapshot_get(r, 8);
	uint32_t format = snapshot_get32(r), run = snapshot_get32(r);
	struct quorum_id vid = snapshot_get_id(r);
	uint64_t length = snapshot_get64(r);

	/* R25: run+1 was made durable before this, so it serves once. */
	return !r->bad && memcmp(magic, SNAPSHOT_MAGIC, 8) == 0 && format == SNAPSHOT_FORMAT &&
	       (run == v->disk.run - 1 || MUTANT(v, snaptwice)) && quorum_id_equal(&vid, &v->disk.vid) &&
	       length == n_bytes;
}

int voter_snapshot_load(struct voter *v, const uint8_t *bytes, size_t n_bytes, struct voter_now now)
{
	struct snapshot_reader r = { 0 };
	struct voter_limits limits = v->limits;
	uint32_t n_sessions, n_elections;
	int code = 0;

	if (!bytes || n_bytes < SNAPSHOT_HEAD_BYTES + 4 ||
	    crc32c(bytes, n_bytes - 4) != bytes_get32(bytes + n_bytes - 4))
		return TENURE_EFOREIGN;
	r.at = bytes;
	r.end = bytes + n_bytes - 4;
	if (!snapshot_is_ours(v, &r, n_bytes))
		return TENURE_EFOREIGN;
	v->base_term = snapshot_get64(&r);
	v->hold_end = instant_add(now.at, snapshot_get64(&r));
	v->quiet_end = instant_add(now.at, snapshot_get64(&r));
	n_sessions = snapshot_get32(&r);
	n_elections = snapshot_get32(&r);
	/* what was promised is kept, though the limits may be lower by now */
	v->limits.max_elections = v->limits.max_sessions = UINT32_MAX;
	for (uint32_t i = 0; i < n_sessions && code == 0; i++)
		code = snapshot_load_session(v, &r, now);
	for (uint32_t i = 0; i < n_elections && code == 0; i++)
		code = snapshot_load_election(v, &r, n_sessions, now);
	v->limits = limits;
	/* only now: a session that ends at once takes its elections with it, so all must be there */
	for (uint32_t i = 1; i <= n_elections && code == 0; i++)
		if (voter_election_at(v, i)->flags & VOTER_USED)
			voter_queue_rearm(v, voter_election_at(v, i), now);
	return code == 0 && (r.bad || r.at != r.end) ? TENURE_EFOREIGN : code;
}
