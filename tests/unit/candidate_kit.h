/* SPDX-License-Identifier: Apache-2.0 */
/* One candidate and three scripted voters, in virtual time: what it says is read item by item, what it hears is put there. */
#ifndef TENURE_TESTS_CANDIDATE_KIT_H
#define TENURE_TESTS_CANDIDATE_KIT_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>

#include "elector/lease.h"
#include "quorum/candidate.h"

#define KIT_VOTERS 3
#define KIT_MS     QUORUM_NS_PER_MS
#define KIT_TTL_MS 10000u
#define KIT_TTL_V  200u
#define KIT_SAID   64

struct kit_said { /* an item that the candidate sent */
	uint8_t type;
	uint32_t handle, round;
	uint64_t term, sid;
	uint32_t ttl_ms, conn_no;
	bool led;
};

struct kit {
	struct candidate *c;
	struct candidate_now now;
	struct quorum_config config;
	struct kit_said said[KIT_VOTERS][KIT_SAID];
	unsigned n_said[KIT_VOTERS];
	struct wire_out out; /* of the voter that speaks */
	unsigned granted, lost, released, failed, contending;
	uint64_t token;
	int code;
};

static inline void kit_events(struct kit *k)
{
	struct candidate_event e;

	while (candidate_next_event(k->c, &e)) {
		k->granted += e.kind == CANDIDATE_GRANTED;
		k->lost += e.kind == CANDIDATE_LOST;
		k->released += e.kind == CANDIDATE_RELEASED;
		k->failed += e.kind == CANDIDATE_FAILED;
		k->contending += e.kind == CANDIDATE_CONTENDING;
		if (e.kind == CANDIDATE_GRANTED)
			k->token = e.token;
		if (e.kind == CANDIDATE_FAILED || e.kind == CANDIDATE_UNREACHED)
			k->code = e.code;
	}
}

/* Reads what it sends to a voter; older items are forgotten. */
static inline void kit_listen(struct kit *k)
{
	kit_events(k);
	for (unsigned v = 0; v < KIT_VOTERS; v++) {
		struct wire_out *o = candidate_out(k->c, v);
		size_t at = 0, n;

		while (o && at < wire_out_pending(o)) {
			struct wire_frame f;
			struct wire_item i;

			assert_int_equal(wire_frame_read(&f, o->data + o->begin + at, wire_out_pending(o) - at, &n),
			                 WIRE_OK);
			while (wire_frame_item(&f, &i) == WIRE_OK) {
				struct kit_said *s = &k->said[v][k->n_said[v]++ % KIT_SAID];

				*s = (struct kit_said) {
					.type = i.type, .handle = i.handle, .round = f.round, .term = i.term
				};
				if (i.type == WIRE_VOTE || i.type == WIRE_RENEW)
					s->ttl_ms = i.lease.ttl_ms;
				if (i.type == WIRE_ATTACH)
					s->sid = i.attach.sid;
				if (i.type == WIRE_SESSION_RENEW)
					s->sid = i.renew.sid;
				if (i.type == WIRE_RELEASE)
					s->led = i.release.led;
				if (i.type == WIRE_HELLO)
					s->conn_no = i.hello.conn_no;
			}
			at += n;
		}
		if (o)
			wire_out_sent(o, wire_out_pending(o));
	}
}

/* The newest item of that type to that voter; NULL: none (since kit_forget()). */
static inline const struct kit_said *kit_said(struct kit *k, unsigned v, uint8_t type)
{
	kit_listen(k);
	for (unsigned n = k->n_said[v]; n > 0 && n + KIT_SAID > k->n_said[v]; n--)
		if (k->said[v][(n - 1) % KIT_SAID].type == type)
			return &k->said[v][(n - 1) % KIT_SAID];
	return NULL;
}

static inline void kit_forget(struct kit *k)
{
	kit_listen(k);
	memset(k->n_said, 0, sizeof k->n_said);
}

static inline void kit_after(struct kit *k, uint64_t ms)
{
	uint64_t until_ns = k->now.at.boot_ns + ms * KIT_MS;

	for (kit_listen(k); candidate_next_ns(k->c) <= until_ns; kit_listen(k)) {
		uint64_t at_ns = candidate_next_ns(k->c);

		if (at_ns > k->now.at.boot_ns)
			k->now.at.boot_ns = k->now.at.raw_ns = at_ns;
		candidate_tick(k->c, k->now);
	}
	k->now.at.boot_ns = k->now.at.raw_ns = until_ns;
	k->now.unix_ms = until_ns / KIT_MS;
}

/* A voter says one item, as the answer to `round` (0: unasked). */
static inline void kit_says(struct kit *k, unsigned v, uint32_t round, struct wire_item item)
{
	struct tenure_error error = { .struct_size = sizeof error };
	size_t n;

	wire_out_begin(&k->out, k->config.cver, round);
	wire_out_put(&k->out, &item);
	wire_out_close(&k->out);
	k->code = candidate_receive(k->c, v, k->now, k->out.data + k->out.begin, wire_out_pending(&k->out), &n, &error);
	wire_out_sent(&k->out, wire_out_pending(&k->out));
	kit_listen(k);
}

static inline struct wire_item kit_hello_r(struct kit *k, unsigned v, uint64_t sid, uint32_t run, uint8_t state)
{
	static uint8_t bytes[QUORUM_CONFIG_MAX_BYTES]; /* of the test alone */
	size_t n = quorum_config_encode(&k->config, bytes, sizeof bytes);

	return (struct wire_item) { .type = WIRE_HELLO_R,
		                    .hello_r = { .proto = WIRE_VERSION,
		                                 .vid = k->config.members[v].vid,
		                                 .cluster = { { 7 } },
		                                 .run = run,
		                                 .sid = sid,
		                                 .state = state,
		                                 .max_ttl_ms = KIT_TTL_MS,
		                                 .max_ttl_v_ms = 1000,
		                                 .cver = k->config.cver,
		                                 .config = { bytes, n } } };
}

static inline void kit_connect(struct kit *k, unsigned v, uint64_t sid, uint32_t run, uint8_t state)
{
	struct candidate_command command;

	while (candidate_next_command(k->c, &command))
		;
	candidate_connected(k->c, v, k->now);
	kit_says(k, v, kit_said(k, v, WIRE_HELLO)->round, kit_hello_r(k, v, sid, run, state));
}

static inline void kit_s_ack(struct kit *k, unsigned v, uint32_t attached_n)
{
	const struct kit_said *s = kit_said(k, v, WIRE_SESSION_RENEW);

	assert_non_null(s);
	kit_says(k, v, s->round,
	         (struct wire_item) { .type = WIRE_S_ACK,
	                              .s = { .sid = s->sid, .ttl_ms = KIT_TTL_MS, .attached_n = attached_n } });
}

static inline void kit_ack(struct kit *k, unsigned v)
{
	const struct kit_said *s = kit_said(k, v, WIRE_VOTE);

	assert_non_null(s);
	kit_says(k, v, s->round,
	         (struct wire_item) { .type = WIRE_ACK,
	                              .handle = s->handle,
	                              .term = s->term,
	                              .ack = { .of = WIRE_VOTE, .ttl_ms = KIT_TTL_V } });
}

static inline void kit_att_ack(struct kit *k, unsigned v)
{
	const struct kit_said *s = kit_said(k, v, WIRE_ATTACH);

	assert_non_null(s);
	kit_says(k, v, s->round,
	         (struct wire_item) {
	                 .type = WIRE_ATT_ACK, .handle = s->handle, .term = s->term, .attach.sid = s->sid });
}

static inline void kit_nudge(struct kit *k, unsigned v, uint64_t term)
{
	const struct kit_said *s = kit_said(k, v, WIRE_OPEN);

	assert_non_null(s);
	kit_says(k, v, s->round, (struct wire_item) { .type = WIRE_OPEN_R, .handle = s->handle, .open_r.ok = true });
	kit_says(k, v, 0, (struct wire_item) { .type = WIRE_NUDGE, .handle = s->handle, .term = term });
}

/* Connected to all three, each with a session: sid 100 + v, acknowledged. */
static inline struct kit *kit_new(void)
{
	struct candidate_settings s = { .inc = { { 1 } },
		                        .label = "a",
		                        .n_addresses = KIT_VOTERS,
		                        .ttl_ns = KIT_TTL_MS * KIT_MS,
		                        .ttl_v_ns = KIT_TTL_V * KIT_MS,
		                        .seed = 1 };
	struct kit *k = calloc(1, sizeof *k);

	assert_non_null(k);
	k->now = (struct candidate_now) { { UINT64_C(1000000) * KIT_MS, UINT64_C(1000000) * KIT_MS }, 1000000 };
	k->config.cver = 1;
	k->config.n_members = KIT_VOTERS;
	for (unsigned v = 0; v < KIT_VOTERS; v++) {
		k->config.members[v].vid.bytes[0] = (uint8_t)(v + 1);
		memcpy(k->config.members[v].address, "v:1", 4);
	}
	wire_out_init(&k->out);
	assert_int_equal(candidate_new(&k->c, &s, k->now), 0);
	for (unsigned v = 0; v < KIT_VOTERS; v++) {
		kit_connect(k, v, 100 + v, 1, WIRE_SESSION_NEW);
		kit_s_ack(k, v, 0);
	}
	return k;
}

static inline struct candidate_election *kit_join(struct kit *k, const char *name)
{
	struct candidate_election *e;

	assert_int_equal(candidate_enter(k->c, &(struct candidate_entry) { .election = name }, &e), 0);
	candidate_join(e, k->now);
	kit_listen(k);
	return e;
}

static inline bool kit_believes(struct kit *k, struct candidate_election *e)
{
	return candidate_believes(e, k->now.at, NULL);
}

/* Joins, is nudged, is voted for by 0 and 1, and attached there. */
static inline struct candidate_election *kit_lead(struct kit *k, const char *name)
{
	struct candidate_election *e = kit_join(k, name);

	kit_nudge(k, 0, 0);
	kit_nudge(k, 1, 0);
	kit_ack(k, 0);
	kit_ack(k, 1);
	kit_att_ack(k, 0);
	kit_att_ack(k, 1);
	assert_true(kit_believes(k, e));
	return e;
}

static inline void kit_free(struct kit *k)
{
	candidate_free(k->c);
	wire_out_deinit(&k->out);
	free(k);
}

#endif
