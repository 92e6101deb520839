/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Transcripts of talks with one voter, in virtual time. A candidate is a letter: incarnation, label, and connection.
 *
 *	SAY("a vote job 1", "ack job 1 1000");      what a sends, and all that it hears at once
 *	HEARS("b", "nudge job 1");                  what b was told since it was last looked at
 *	AT(1000);                                   milliseconds since the start; timers fire on the way
 */
#ifndef TENURE_TESTS_VOTER_KIT_H
#define TENURE_TESTS_VOTER_KIT_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>

#include "base/buf.h"
#include "quorum/voter.h"

#define KIT_EPOCH_MS  UINT64_C(5000000)
#define KIT_ELECTIONS 16
#define KIT_MAX_TTL   10000u
#define KIT_MAX_TTL_V 1000u

struct kit_peer {
	struct voter_peer *p; /* NULL: not connected */
	char letter;
	uint32_t conn_no, round;
	uint64_t sid;
	char names[KIT_ELECTIONS][NAMES_ELECTION_ROOM]; /* by handle */
	unsigned n_names;
	uint8_t left[4096]; /* sent, and not consumed: it waits for the disk */
	size_t n_left;
	bool quiet; /* what it hears is not written down: OPEN's answers */
	char heard[16384];
	struct buf hears;
	int code; /* of the last voter_receive() */
};

struct kit {
	struct voter *v;
	struct voter_now now;
	struct superblock disk;
	bool slow_disk; /* what is to be durable waits for kit_disk() */
	bool writes;
	struct superblock writing;
	struct voter_limits limits;
	struct kit_peer peers[26];
	char reply[16384];
};

static inline struct voter_now kit_time(uint64_t ms)
{
	uint64_t ns = (KIT_EPOCH_MS + ms) * QUORUM_NS_PER_MS;

	return (struct voter_now) { .at = { ns, ns }, .unix_ms = KIT_EPOCH_MS + ms };
}

static inline struct superblock kit_superblock(uint32_t run)
{
	struct superblock s = { .sequence = 1,
		                .cluster = { { 7 } },
		                .vid = { { 9 } },
		                .name = "v1",
		                .run = run,
		                .ceiling = QUORUM_STEP,
		                .max_ttl_ms = KIT_MAX_TTL,
		                .max_ttl_v_ms = KIT_MAX_TTL_V };

	s.config = (struct quorum_config) { .cver = 1, .n_members = 1 };
	s.config.members[0] = (struct quorum_member) { .vid = s.vid, .address = "127.0.0.1:7420" };
	return s;
}

static inline int kit_start(struct kit *k, enum voter_start start, const uint8_t *snapshot, size_t n_bytes)
{
	struct voter_settings settings = { .durable = &k->disk,
		                           .start = start,
		                           .snapshot = snapshot,
		                           .n_snapshot_bytes = n_bytes,
		                           .hash_seed = { 1, 2 },
		                           .limits = k->limits };

	for (unsigned i = 0; i < 26; i++) {
		k->peers[i] = (struct kit_peer) { .letter = (char)('a' + i), .conn_no = k->peers[i].conn_no };
		buf_init(&k->peers[i].hears, k->peers[i].heard, sizeof k->peers[i].heard);
	}
	return voter_new(&k->v, &settings, k->now);
}

static inline struct kit *kit_new(enum voter_start start)
{
	struct kit *k = calloc(1, sizeof *k);

	assert_non_null(k);
	k->now = kit_time(0);
	k->disk = kit_superblock(1);
	assert_int_equal(kit_start(k, start, NULL, 0), 0);
	return k;
}

static inline void kit_free(struct kit *k)
{
	voter_free(k->v);
	free(k);
}

/* ---- what is heard ---- */

static inline void kit_number(struct buf *b, uint64_t value)
{
	buf_char(b, ' ');
	buf_u64(b, value);
}

static inline void kit_bytes(struct buf *b, struct wire_bytes bytes)
{
	buf_char(b, ' ');
	if (bytes.n)
		buf_bytes(b, bytes.data, bytes.n);
	else
		buf_char(b, '-');
}

static inline void kit_write_read(struct buf *b, const struct wire_read_r *r, uint64_t term)
{
	static const char *const live[] = { "free", "live", "unknown" };
	static const char *const causes[] = { "-", "election", "resign", "transfer", "expiry" };
	struct wire_waiter w;
	size_t at = 0;

	kit_number(b, term);
	buf_char(b, ' ');
	buf_text(b, live[r->live]);
	kit_bytes(b, r->label);
	kit_number(b, r->lt);
	buf_char(b, ' ');
	buf_text(b, causes[r->cause]);
	kit_number(b, r->free_in_ms);
	kit_bytes(b, r->value);
	while (wire_waiter_next(r, &at, &w) == WIRE_OK)
		kit_bytes(b, w.label);
}

static inline void kit_write_hello(struct buf *b, struct kit_peer *p, const struct wire_hello_r *r)
{
	static const char *const states[] = { "none", "new", "resumed", "ended", "refused" };
	static const char *const refusals[] = { "", " version", " cluster", " conn_no", " limit", " denied" };

	buf_text(b, states[r->state]);
	buf_text(b, refusals[r->refusal]);
	if (r->sid)
		p->sid = r->sid;
}

static inline void kit_write(struct buf *b, struct kit_peer *p, const struct wire_item *i)
{
	const char *name = i->handle < KIT_ELECTIONS ? p->names[i->handle] : "?";

	switch (i->type) {
	case WIRE_HELLO_R:
		kit_write_hello(b, p, &i->hello_r);
		return;
	case WIRE_S_ACK:
		buf_text(b, "s_ack");
		kit_number(b, i->s.ttl_ms);
		kit_number(b, i->s.attached_n);
		return;
	case WIRE_S_NAK:
		buf_text(b, i->s.ended ? "s_nak ended" : "s_nak unknown");
		return;
	case WIRE_LIST_R:
		buf_text(b, "listed");
		kit_bytes(b, i->list.name);
		kit_number(b, i->term);
		return;
	case WIRE_NAMES_R:
		buf_text(b, "name");
		kit_bytes(b, i->names.name);
		kit_number(b, i->term);
		buf_text(b, i->names.live == WIRE_LIVE ? " live" : "");
		return;
	default:
		break;
	}
	static const char *const verbs[] = {
		[WIRE_OPEN_R] = "open_r",   [WIRE_PRE_R] = "pre_r", [WIRE_ACK] = "ack",
		[WIRE_ATT_ACK] = "att_ack", [WIRE_NAK] = "nak",     [WIRE_REL_OK] = "rel_ok",
		[WIRE_QUEUED] = "queued",   [WIRE_NUDGE] = "nudge", [WIRE_VALUE_OK] = "value_ok",
		[WIRE_ASK_OK] = "ask_ok",   [WIRE_ASKED] = "asked", [WIRE_READ_R] = "read_r"
	};
	assert_true(i->type < sizeof verbs / sizeof verbs[0] && verbs[i->type]);
	buf_text(b, verbs[i->type]);
	buf_char(b, ' ');
	buf_text(b, name);
	switch (i->type) {
	case WIRE_OPEN_R:
		buf_text(b, i->open_r.ok ? " ok" : " denied ");
		buf_text(b, i->open_r.ok ? "" : wire_reason_name(i->open_r.reason));
		break;
	case WIRE_PRE_R:
		buf_text(b, i->pre_r.would ? " yes" : " no");
		kit_number(b, i->term);
		kit_number(b, i->pre_r.free_in_ms);
		kit_number(b, i->pre_r.waiting_n);
		break;
	case WIRE_ACK:
		kit_number(b, i->term);
		kit_number(b, i->ack.ttl_ms);
		break;
	case WIRE_NAK:
		buf_char(b, ' ');
		buf_text(b, wire_reason_name(i->nak.reason));
		kit_number(b, i->nak.voted);
		kit_number(b, i->nak.free_in_ms);
		break;
	case WIRE_REL_OK:
		kit_number(b, i->rel_ok.waiting_n);
		break;
	case WIRE_QUEUED:
		kit_number(b, i->queued.ahead);
		break;
	case WIRE_ASK_OK:
		buf_text(b, i->ask.code == WIRE_ASK_POSTED ? " posted" : " not_leading");
		break;
	case WIRE_ASKED:
		kit_number(b, i->term);
		kit_bytes(b, i->ask.to);
		break;
	case WIRE_READ_R:
		kit_write_read(b, &i->read_r, i->term);
		break;
	default: /* att_ack, nudge, value_ok */
		kit_number(b, i->term);
		break;
	}
}

static inline void kit_hear(struct kit_peer *p, struct wire_out *o)
{
	while (wire_out_pending(o) > 0) {
		struct wire_frame f;
		struct wire_item item;
		size_t n_frame;

		assert_int_equal(wire_frame_read(&f, o->data + o->begin, o->end - o->begin, &n_frame), WIRE_OK);
		assert_int_equal(f.cver, 1);
		while (wire_frame_item(&f, &item) == WIRE_OK) {
			bool push = item.type == WIRE_NUDGE || item.type == WIRE_ASKED;

			/* Answers bear their round, pushes none. */
			if (push)
				assert_int_equal(f.round, 0);
			else if (item.type != WIRE_QUEUED && item.type != WIRE_READ_R)
				assert_in_range(f.round, 1, p->round);
			if (p->quiet)
				continue;
			if (p->hears.used > 0)
				buf_text(&p->hears, "; ");
			kit_write(&p->hears, p, &item);
		}
		wire_out_sent(o, n_frame);
	}
}

static inline void kit_disk(struct kit *k);

static inline void kit_after(struct kit *k)
{
	struct voter_peer *p;

	if (!k->writes)
		k->writes = voter_wants_disk(k->v, &k->writing);
	if (k->writes && !k->slow_disk)
		kit_disk(k);
	while ((p = voter_next_to_send(k->v))) {
		if (voter_peer_user(p))
			kit_hear(voter_peer_user(p), voter_peer_out(p));
		else /* nobody listens */
			wire_out_sent(voter_peer_out(p), wire_out_pending(voter_peer_out(p)));
	}
	while ((p = voter_next_to_close(k->v))) {
		struct kit_peer *q = voter_peer_user(p);

		voter_drop(k->v, p, k->now);
		if (q->p == p)
			q->p = NULL;
	}
}

static inline void kit_receive(struct kit *k, struct kit_peer *p)
{
	size_t n_consumed;

	p->code = voter_receive(k->v, p->p, k->now, p->left, p->n_left, &n_consumed, NULL);
	memmove(p->left, p->left + n_consumed, p->n_left - n_consumed);
	p->n_left -= n_consumed;
	kit_after(k);
	if (p->code < 0) {
		kit_hear(p, (wire_out_close(voter_peer_out(p->p)), voter_peer_out(p->p)));
		voter_drop(k->v, p->p, k->now);
		p->p = NULL;
		p->n_left = 0;
		kit_after(k);
	}
}

/* What is being written is durable now; who waited for it is taken up again. */
static inline void kit_disk(struct kit *k)
{
	assert_true(k->writes);
	k->disk = k->writing;
	k->writes = false;
	voter_on_disk(k->v, k->now);
	for (unsigned i = 0; i < 26; i++)
		if (k->peers[i].p && k->peers[i].n_left > 0 && !voter_peer_waits(k->peers[i].p))
			kit_receive(k, &k->peers[i]);
	kit_after(k);
}

static inline void kit_at(struct kit *k, uint64_t ms)
{
	uint64_t end_ns = kit_time(ms).at.boot_ns;

	while (voter_next_ns(k->v) <= end_ns) {
		uint64_t ns = voter_next_ns(k->v);

		if (ns > k->now.at.boot_ns)
			k->now.at = (struct instant) { ns, ns };
		k->now.unix_ms = ns / QUORUM_NS_PER_MS;
		voter_tick(k->v, k->now);
		kit_after(k);
	}
	k->now = kit_time(ms);
	voter_tick(k->v, k->now);
	kit_after(k);
}

/* ---- what is said ---- */

static inline struct kit_peer *kit_peer(struct kit *k, char letter)
{
	return &k->peers[letter - 'a'];
}

/* Sends items as one round. */
static inline void kit_send(struct kit *k, struct kit_peer *p, const struct wire_item *items, unsigned n_items)
{
	struct wire_out o;

	wire_out_init(&o);
	wire_out_begin(&o, 1, ++p->round);
	for (unsigned i = 0; i < n_items; i++)
		wire_out_put(&o, &items[i]);
	wire_out_close(&o);
	assert_true(p->n_left + wire_out_pending(&o) <= sizeof p->left);
	memcpy(p->left + p->n_left, o.data + o.begin, wire_out_pending(&o));
	p->n_left += wire_out_pending(&o);
	wire_out_deinit(&o);
	kit_receive(k, p);
}

static inline struct wire_bytes kit_text(const char *text)
{
	return (struct wire_bytes) { (const uint8_t *)text, strlen(text) };
}

static inline struct quorum_id kit_inc(char letter)
{
	struct quorum_id id;

	memset(id.bytes, letter, sizeof id.bytes);
	return id;
}

static inline uint32_t kit_handle(struct kit *k, struct kit_peer *p, const char *name)
{
	struct wire_item open = { .type = WIRE_OPEN };

	for (uint32_t i = 0; i < p->n_names; i++)
		if (strcmp(p->names[i], name) == 0)
			return i;
	assert_true(p->n_names < KIT_ELECTIONS);
	open.handle = p->n_names;
	(void)snprintf(p->names[p->n_names++], NAMES_ELECTION_ROOM, "%s", name);
	open.open.name = kit_text(name);
	p->quiet = true;
	kit_send(k, p, &open, 1);
	p->quiet = false;
	return open.handle;
}

static inline void kit_hello(struct kit *k, struct kit_peer *p, bool session, uint32_t conn_no)
{
	struct wire_item item = { .type = WIRE_HELLO };
	char label[2] = { p->letter, 0 };

	if (!p->p) {
		p->p = voter_accept(k->v, p, k->now);
		assert_non_null(p->p);
		p->n_names = 0;
		p->n_left = 0;
	}
	p->conn_no = conn_no;
	item.hello = (struct wire_hello) { .proto = WIRE_VERSION,
		                           .inc = kit_inc(p->letter),
		                           .label = kit_text(label),
		                           .conn_no = conn_no,
		                           .session = session,
		                           .ttl_v_ms = KIT_MAX_TTL_V };
	kit_send(k, p, &item, 1);
}

struct kit_words {
	char verb[16], name[NAMES_ELECTION_ROOM], text[128];
	uint64_t a, b;
	int n_numbers;
};

static inline struct wire_item kit_item(struct kit_peer *p, const struct kit_words *w)
{
	struct wire_item i = { .term = w->a };
	const char *verb = w->verb;
	uint32_t ttl_ms = w->n_numbers > 1 ? (uint32_t)w->b : KIT_MAX_TTL_V;

	if (strcmp(verb, "vote") == 0 || strcmp(verb, "pre") == 0 || strcmp(verb, "renew") == 0) {
		i.type = verb[0] == 'v' ? WIRE_VOTE : verb[0] == 'p' ? WIRE_PRE : WIRE_RENEW;
		i.lease.ttl_ms = ttl_ms;
	} else if (strcmp(verb, "attach") == 0) {
		i.type = WIRE_ATTACH;
		i.attach.sid = w->n_numbers > 1 ? w->b : p->sid;
	} else if (strcmp(verb, "release") == 0 || strcmp(verb, "give-up") == 0) {
		i.type = WIRE_RELEASE;
		i.release.led = verb[0] == 'r';
		i.release.successor = kit_text(w->text);
	} else if (strcmp(verb, "wait") == 0) {
		i.type = WIRE_WAIT;
		i.term = 0;
		i.wait.priority = (uint16_t)w->a;
		i.wait.ticket_ms = KIT_EPOCH_MS + w->b;
	} else if (strcmp(verb, "value") == 0) {
		i.type = WIRE_VALUE;
		i.value.value = kit_text(w->text);
	} else if (strcmp(verb, "ask") == 0) {
		i.type = WIRE_ASK;
		i.ask.to = kit_text(w->text);
	} else {
		i.term = 0;
		i.type = strcmp(verb, "unwait") == 0    ? WIRE_UNWAIT
		         : strcmp(verb, "read") == 0    ? WIRE_READ
		         : strcmp(verb, "watch") == 0   ? WIRE_WATCH
		         : strcmp(verb, "unwatch") == 0 ? WIRE_UNWATCH
		                                        : 0;
		assert_int_not_equal(i.type, 0);
	}
	return i;
}

/* Those that concern no election. false: not one of them. */
static inline bool kit_say_plain(struct kit *k, struct kit_peer *p, const char *verb, const char *rest)
{
	struct wire_item i = { 0 };
	unsigned a = 0, b = 1000;
	/* the tests' own text */ /* NOLINTNEXTLINE(cert-err34-c) */
	int n = sscanf(rest, "%u %u", &a, &b);

	if (strcmp(verb, "hello") == 0 || strcmp(verb, "observe") == 0) {
		kit_hello(k, p, verb[0] == 'h', n >= 1 ? a : p->conn_no + 1);
	} else if (strcmp(verb, "drop") == 0) {
		voter_drop(k->v, p->p, k->now);
		p->p = NULL;
		kit_after(k);
	} else if (strcmp(verb, "beat") == 0) { /* ttl, rtt_us */
		i.type = WIRE_SESSION_RENEW;
		i.renew.sid = p->sid;
		i.renew.ttl_ms = n >= 1 ? a : KIT_MAX_TTL;
		i.renew.rtt_us = b;
		kit_send(k, p, &i, 1);
	} else if (strcmp(verb, "list") == 0) {
		i.type = WIRE_LIST;
		i.list.sid = p->sid;
		kit_send(k, p, &i, 1);
	} else if (strcmp(verb, "names") == 0) {
		i.type = WIRE_NAMES;
		i.names.name = kit_text(rest[0] == ' ' ? rest + 1 : rest);
		kit_send(k, p, &i, 1);
	} else {
		return false;
	}
	return true;
}

static inline const char *kit_heard(struct kit *k, char letter)
{
	struct kit_peer *p = kit_peer(k, letter);

	(void)snprintf(k->reply, sizeof k->reply, "%s", p->hears.used ? p->heard : "");
	buf_init(&p->hears, p->heard, sizeof p->heard);
	return k->reply;
}

/* "LETTER VERB [ELECTION [T [NUMBER]] [TEXT]]" */
static inline const char *kit_say(struct kit *k, const char *line)
{
	struct kit_peer *p = kit_peer(k, line[0]);
	struct kit_words w = { .text = "" };
	int at = 0, more = 0;

	assert_int_equal(sscanf(line + 2, "%15s%n", w.verb, &at), 1);
	buf_init(&p->hears, p->heard, sizeof p->heard);
	if (!kit_say_plain(k, p, w.verb, line + 2 + at)) {
		const char *rest = line + 2 + at;
		struct wire_item item;
		uint32_t handle;

		assert_int_equal(sscanf(rest, "%200s%n", w.name, &more), 1);
		rest += more;
		more = 0;
		/* the tests' own text */ /* NOLINTNEXTLINE(cert-err34-c) */
		if (sscanf(rest, " %lu%n", &w.a, &more) == 1) {
			w.n_numbers++;
			rest += more;
			more = 0;
			/* the tests' own text */ /* NOLINTNEXTLINE(cert-err34-c) */
			if (sscanf(rest, " %lu%n", &w.b, &more) == 1) {
				w.n_numbers++;
				rest += more;
			}
		}
		(void)sscanf(rest, " %127s", w.text);
		handle = kit_handle(k, p, w.name);
		buf_init(&p->hears, p->heard, sizeof p->heard);
		item = kit_item(p, &w);
		item.handle = handle;
		kit_send(k, p, &item, 1);
	}
	return kit_heard(k, line[0]);
}

#define SAY(line, expected)  assert_string_equal(kit_say(k, line), expected)
#define HEARS(who, expected) assert_string_equal(kit_heard(k, (who)[0]), expected)
#define AT(ms)               kit_at(k, ms)

/* The letter leads: by a vote, an attached session and a heartbeat. */
static inline void kit_lead(struct kit *k, char letter, const char *election, unsigned term)
{
	char line[64];

	if (!kit_peer(k, letter)->p) {
		(void)snprintf(line, sizeof line, "%c hello", letter);
		assert_string_equal(kit_say(k, line), "new");
	}
	(void)snprintf(line, sizeof line, "%c vote %s %u", letter, election, term);
	assert_memory_equal(kit_say(k, line), "ack", 3);
	(void)snprintf(line, sizeof line, "%c attach %s %u", letter, election, term);
	assert_memory_equal(kit_say(k, line), "att_ack", 7);
	(void)snprintf(line, sizeof line, "%c beat", letter);
	assert_memory_equal(kit_say(k, line), "s_ack", 5);
}

#endif
