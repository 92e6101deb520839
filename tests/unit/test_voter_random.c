/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Candidates that say anything at any time, voters that crash, stop cleanly and wait for their disk: a term belongs
 * to one incarnation for ever, and no election's term falls.
 */
#include "voter_kit.h"

#include <stdio.h>

#define CROWD     6
#define NAMES     5
#define TERMS     4096 /* above the base of a run, remembered */
#define HANDLES   8
#define SEEDS     12
#define STEPS     20000
#define MS_A_STEP 40

struct crowd_peer {
	struct voter_peer *p;
	struct wire_out frame; /* sent, and not consumed */
	uint32_t conn_no, round;
	uint64_t sid;
	int names[HANDLES];    /* by handle, as long as the connection lasts */
	uint64_t terms[NAMES]; /* the last one that it was granted */
	struct quorum_id inc;
};

struct crowd {
	struct voter *v;
	struct superblock disk, writing;
	bool writes;
	struct voter_now now;
	uint64_t random, seen[NAMES], steps;
	struct crowd_peer peers[CROWD];
	/* Who was granted a vote of a term, by election; only terms of this run's range. */
	uint64_t term_of[NAMES][TERMS];
	unsigned char owner_of[NAMES][TERMS]; /* from 1 */
	unsigned long n_acks, n_restarts;
};

static uint32_t pick(struct crowd *c, uint32_t n)
{
	c->random ^= c->random << 13;
	c->random ^= c->random >> 7;
	c->random ^= c->random << 17;
	return (uint32_t)(c->random >> 11) % n;
}

static void name_of(int i, char text[NAMES_ELECTION_ROOM])
{
	(void)snprintf(text, NAMES_ELECTION_ROOM,
	               i % 2 ? "e%d" : "an.election.with.a.name.that.is.quite.a.bit.longer.%d", i);
}

static void acknowledged(struct crowd *c, struct crowd_peer *q, const struct wire_item *i)
{
	int name = q->names[i->handle];
	unsigned at = (unsigned)(i->term % TERMS);
	unsigned char owner = (unsigned char)(q - c->peers + 1);

	if (i->ack.of != WIRE_VOTE)
		return;
	c->n_acks++;
	if (c->term_of[name][at] == i->term)
		assert_int_equal(c->owner_of[name][at], owner);
	c->term_of[name][at] = i->term;
	c->owner_of[name][at] = owner;
	q->terms[name] = i->term;
}

static void hear(struct crowd *c, struct crowd_peer *q, struct wire_out *o)
{
	while (wire_out_pending(o) > 0) {
		struct wire_frame f;
		struct wire_item i;
		size_t n;
		int code;

		assert_int_equal(wire_frame_read(&f, o->data + o->begin, wire_out_pending(o), &n), WIRE_OK);
		while ((code = wire_frame_item(&f, &i)) == WIRE_OK) {
			if (i.type == WIRE_ACK)
				acknowledged(c, q, &i);
			else if (i.type == WIRE_HELLO_R && i.hello_r.sid)
				q->sid = i.hello_r.sid;
		}
		assert_int_equal(code, WIRE_END);
		wire_out_sent(o, n);
	}
}

static void leave(struct crowd *c, struct crowd_peer *q)
{
	if (q->p)
		voter_drop(c->v, q->p, c->now);
	q->p = NULL;
	wire_out_reset(&q->frame);
}

static void collect(struct crowd *c)
{
	struct voter_peer *p;

	if (!c->writes)
		c->writes = voter_wants_disk(c->v, &c->writing);
	while ((p = voter_next_to_send(c->v)))
		if (pick(c, 200) > 0) /* else it does not read for a while */
			hear(c, voter_peer_user(p), voter_peer_out(p));
	while ((p = voter_next_to_close(c->v))) {
		struct crowd_peer *q = voter_peer_user(p);

		voter_drop(c->v, p, c->now);
		if (q->p == p) {
			q->p = NULL;
			wire_out_reset(&q->frame);
		}
	}
}

static void deliver(struct crowd *c, struct crowd_peer *q)
{
	size_t n;
	int code;

	if (!q->p || wire_out_pending(&q->frame) == 0)
		return;
	code = voter_receive(c->v, q->p, c->now, q->frame.data + q->frame.begin, wire_out_pending(&q->frame), &n, NULL);
	wire_out_sent(&q->frame, n);
	collect(c);
	if (code < 0) {
		if (q->p)
			voter_drop(c->v, q->p, c->now);
		q->p = NULL;
		wire_out_reset(&q->frame);
		collect(c);
	}
}

static void on_disk(struct crowd *c)
{
	c->disk = c->writing;
	c->writes = false;
	voter_on_disk(c->v, c->now);
	collect(c);
	for (unsigned i = 0; i < CROWD; i++)
		deliver(c, &c->peers[i]);
}

static struct wire_item hello_of(struct crowd *c, struct crowd_peer *q)
{
	struct wire_item i = { .type = WIRE_HELLO };
	static const char *const labels[] = { "one", "two", "two" };

	i.hello = (struct wire_hello) { .proto = WIRE_VERSION,
		                        .inc = q->inc,
		                        .label = kit_text(labels[pick(c, 3)]),
		                        .conn_no = q->conn_no,
		                        .session = pick(c, 5) > 0,
		                        .ttl_v_ms = pick(c, 1200) };
	return i;
}

static void connect_peer(struct crowd *c, struct crowd_peer *q)
{
	struct wire_item hello;
	uint32_t first = pick(c, NAMES);

	wire_out_reset(&q->frame);
	q->p = voter_accept(c->v, q, c->now);
	assert_non_null(q->p);
	q->conn_no += pick(c, 10) > 0 ? 1 : 0;
	for (unsigned h = 0; h < HANDLES; h++)
		q->names[h] = (int)((h + first) % NAMES);
	hello = hello_of(c, q);
	wire_out_begin(&q->frame, 1, ++q->round);
	wire_out_put(&q->frame, &hello);
	for (uint32_t h = 0; h + 2 < HANDLES; h++) { /* some stay shut */
		struct wire_item open = { .type = WIRE_OPEN, .handle = h };
		char text[NAMES_ELECTION_ROOM];

		name_of(q->names[h], text);
		open.open.name = kit_text(text);
		wire_out_put(&q->frame, &open);
	}
}

static uint64_t any_term(struct crowd *c, int name)
{
	uint64_t base = c->seen[name];

	switch (pick(c, 400)) {
	case 0:
		return pick(c, 4000000000u);
	case 1:
		return QUORUM_TERM_MAX - pick(c, 2);
	case 2:
		return c->disk.ceiling + pick(c, 3);
	case 3:
		return base + QUORUM_STEP / 2 + pick(c, QUORUM_STEP);
	default:
		return base > 0 ? base + pick(c, 4) - 1 : 1;
	}
}

static const char *any_name(struct crowd *c)
{
	static const char *const names[] = { "one", "two", "", "nobody", "two_0000000000000000" };

	return names[pick(c, 5)];
}

static struct wire_item any_item(struct crowd *c, struct crowd_peer *q, char text[NAMES_ELECTION_ROOM])
{
	static const uint8_t types[] = { WIRE_VOTE,    WIRE_VOTE,    WIRE_VOTE,   WIRE_RENEW, WIRE_ATTACH,
		                         WIRE_ATTACH,  WIRE_WAIT,    WIRE_WAIT,   WIRE_PRE,   WIRE_SESSION_RENEW,
		                         WIRE_RELEASE, WIRE_RELEASE, WIRE_UNWAIT, WIRE_READ,  WIRE_WATCH,
		                         WIRE_UNWATCH, WIRE_VALUE,   WIRE_ASK,    WIRE_NAMES, WIRE_LIST,
		                         WIRE_OPEN,    WIRE_OPEN,    WIRE_HELLO };
	struct wire_item i = { .type = types[pick(c, sizeof types)], .handle = pick(c, HANDLES) };
	int name = q->names[i.handle];

	switch (i.type) {
	case WIRE_HELLO:
		return hello_of(c, q);
	case WIRE_OPEN:
		name_of(name, text);
		i.open.name = kit_text(text);
		return i;
	case WIRE_WAIT:
		i.wait.priority = (uint16_t)pick(c, 3);
		i.wait.ticket_ms = c->now.unix_ms + pick(c, 100);
		return i;
	case WIRE_SESSION_RENEW:
		i.renew.sid = q->sid;
		i.renew.ttl_ms = pick(c, 400);
		i.renew.rtt_us = pick(c, 3000);
		return i;
	case WIRE_LIST:
		i.list.sid = q->sid;
		return i;
	case WIRE_NAMES:
		i.names.cursor = pick(c, 8);
		return i;
	default:
		break;
	}
	if (i.type == WIRE_READ || i.type == WIRE_WATCH || i.type == WIRE_UNWATCH || i.type == WIRE_UNWAIT)
		return i;
	i.term = any_term(c, name);
	if (i.type == WIRE_RENEW || i.type == WIRE_ATTACH)
		i.term = q->terms[name]; /* only who was elected renews */
	if (i.type == WIRE_VOTE || i.type == WIRE_RENEW)
		i.lease.ttl_ms = pick(c, 300);
	else if (i.type == WIRE_ATTACH)
		i.attach.sid = q->sid;
	else if (i.type == WIRE_RELEASE)
		i.release.led = pick(c, 2), i.release.successor = kit_text(any_name(c));
	else if (i.type == WIRE_VALUE)
		i.value.value = kit_text(any_name(c));
	else if (i.type == WIRE_ASK)
		i.ask.to = kit_text(any_name(c));
	return i;
}

static void talk(struct crowd *c, struct crowd_peer *q)
{
	char text[NAMES_ELECTION_ROOM];
	unsigned n = 1 + pick(c, 12);

	if (!q->p)
		connect_peer(c, q);
	wire_out_begin(&q->frame, 1, ++q->round);
	while (n--) {
		struct wire_item i = any_item(c, q, text);

		wire_out_put(&q->frame, &i);
	}
	wire_out_close(&q->frame);
	deliver(c, q);
}

static void start(struct crowd *c, enum voter_start how, const uint8_t *snapshot, size_t n_bytes)
{
	struct voter_settings settings = { .durable = &c->disk,
		                           .start = how,
		                           .snapshot = snapshot,
		                           .n_snapshot_bytes = n_bytes,
		                           .hash_seed = { 3, 4 },
		                           .limits = { .max_elections = NAMES - 1,
		                                       .max_sessions = CROWD,
		                                       .max_waiters_per_election = 4,
		                                       .max_out_bytes = 20000 } };

	assert_int_equal(voter_new(&c->v, &settings, c->now), 0);
	collect(c);
}

static void stop(struct crowd *c, bool clean)
{
	uint8_t *snapshot = NULL;
	size_t n_bytes = 0;

	if (clean)
		snapshot = voter_freeze(c->v, c->now, &n_bytes);
	for (unsigned i = 0; i < CROWD; i++)
		leave(c, &c->peers[i]);
	voter_free(c->v);
	c->writes = false;
	c->disk.run++;
	c->n_restarts++;
	start(c, snapshot ? VOTER_CLEAN : VOTER_UNCLEAN, snapshot, n_bytes);
	free(snapshot);
}

/* I4: no election's term falls, as far as this voter knows the election at all. */
static void look_at_terms(struct crowd *c)
{
	for (int i = 0; i < NAMES; i++) {
		char text[NAMES_ELECTION_ROOM];
		struct voter_slot slot;

		name_of(i, text);
		if (!voter_look(c->v, text, c->now, &slot))
			continue;
		assert_true(slot.term >= c->seen[i]);
		assert_true(slot.term <= c->disk.ceiling); /* R22; and nobody burns the terms of all elections */
		c->seen[i] = slot.term;
	}
}

static void step(struct crowd *c)
{
	struct crowd_peer *q = &c->peers[pick(c, CROWD)];
	uint32_t what = pick(c, 1000);
	uint64_t boot_ns = pick(c, MS_A_STEP) * QUORUM_NS_PER_MS;

	if (what < 5)
		leave(c, q);
	else if (what < 7)
		stop(c, what == 5);
	else if (what < 10)
		voter_set_max_ttl(c->v, 100 + pick(c, 400), 50 + pick(c, 200), c->now);
	else if (what < 200 && c->writes)
		on_disk(c);
	else
		talk(c, q);
	c->now.at.boot_ns += boot_ns;
	c->now.at.raw_ns += boot_ns + boot_ns / 100;
	c->now.unix_ms += boot_ns / QUORUM_NS_PER_MS;
	if (voter_next_ns(c->v) <= c->now.at.boot_ns) {
		voter_tick(c->v, c->now);
		assert_true(voter_next_ns(c->v) > c->now.at.boot_ns); /* nothing spins */
		collect(c);
	}
	look_at_terms(c);
}

static void a_term_belongs_to_one_incarnation_whatever_is_said(void **state)
{
	struct crowd *c = calloc(1, sizeof *c);

	(void)state;
	assert_non_null(c);
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		*c = (struct crowd) { .random = seed * UINT64_C(0x9e3779b97f4a7c15), .now = kit_time(0) };
		c->disk = kit_superblock(1);
		c->disk.max_ttl_ms = 500;
		c->disk.max_ttl_v_ms = 200;
		for (unsigned i = 0; i < CROWD; i++) {
			wire_out_init(&c->peers[i].frame);
			c->peers[i].inc = kit_inc((char)('a' + i));
		}
		start(c, VOTER_FIRST, NULL, 0);
		for (unsigned i = 0; i < STEPS; i++)
			step(c);
		assert_true(c->n_acks > STEPS / 50); /* something happens */
		assert_true(c->n_restarts > 10);
		for (unsigned i = 0; i < CROWD; i++)
			wire_out_deinit(&c->peers[i].frame);
		voter_free(c->v);
	}
	free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_term_belongs_to_one_incarnation_whatever_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
