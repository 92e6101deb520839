/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include <tenure/tenure.h>

#include "quorum/bytes.h"
#include "quorum/wire.h"
#include "quorum/wire_inside.h"

#define CVER  0x1122334455667788u
#define ROUND 0x99aabbccu

/* ---- every field of every type, listed once: to fill an item, and to look at one ---- */

enum mode { LOWEST, HIGHEST, DISTINCT, N_MODES };

struct visitor {
	bool fill;
	enum mode mode;
	uint64_t next;
	uint8_t seen[128 * 1024]; /* of a look: all values, one after the other */
	size_t n_seen;
	uint8_t waiters[WIRE_WAITERS_MAX];
};

static const uint8_t text[16384] = "the bytes of strings are not looked at";

static void see(struct visitor *v, const void *bytes, size_t n)
{
	assert_true(v->n_seen + n <= sizeof v->seen);
	if (n > 0)
		memcpy(v->seen + v->n_seen, bytes, n);
	v->n_seen += n;
}

static void number(struct visitor *v, void *field, size_t size, uint64_t lowest, uint64_t highest)
{
	uint64_t value;

	if (!v->fill) {
		see(v, field, size);
		return;
	}
	/* Another value in each field, in each of its bytes, so that two that were mixed up show. */
	v->next += 0x0101010101010101u;
	value = v->mode == LOWEST    ? lowest
	        : v->mode == HIGHEST ? highest
	        : highest < 256      ? lowest + v->next % (highest - lowest + 1)
	                             : v->next & highest;
	memcpy(field, &value, size);
}

#define NUMBER(v, field)           number(v, &(field), sizeof(field), 0, UINT64_MAX >> (64 - 8 * sizeof(field)))
#define RANGE(v, field, low, high) number(v, &(field), sizeof(field), low, high)
#define TERM(v, field)             RANGE(v, field, 0, QUORUM_TERM_MAX)
#define FLAG(v, field)             RANGE(v, field, 0, 1)

static void string(struct visitor *v, struct wire_bytes *field, size_t highest)
{
	if (v->fill) {
		field->n = v->mode == LOWEST ? 0 : v->mode == HIGHEST ? highest : 3 + v->next++ % 7;
		field->data = text + v->next % 16;
	} else {
		see(v, &field->n, sizeof field->n);
		see(v, field->data, field->n);
	}
}

static void id(struct visitor *v, struct quorum_id *field)
{
	for (size_t i = 0; i < sizeof field->bytes; i++)
		NUMBER(v, field->bytes[i]);
}

static void visit_hello(struct visitor *v, struct wire_hello *h)
{
	NUMBER(v, h->proto);
	id(v, &h->inc);
	id(v, &h->cluster);
	string(v, &h->label, 64);
	NUMBER(v, h->conn_no);
	FLAG(v, h->session);
	NUMBER(v, h->want_sid);
	NUMBER(v, h->ttl_v_ms);
	NUMBER(v, h->cver);
}

static void visit_hello_r(struct visitor *v, struct wire_hello_r *h)
{
	NUMBER(v, h->proto);
	id(v, &h->vid);
	id(v, &h->cluster);
	RANGE(v, h->epoch, 0, 32767);
	NUMBER(v, h->run);
	NUMBER(v, h->sid);
	RANGE(v, h->state, 0, WIRE_SESSION_REFUSED);
	RANGE(v, h->refusal, 0, WIRE_REFUSED_DENIED);
	NUMBER(v, h->max_ttl_ms);
	NUMBER(v, h->max_ttl_v_ms);
	NUMBER(v, h->hold_left_ms);
	NUMBER(v, h->quiet_left_ms);
	NUMBER(v, h->cver);
	string(v, &h->config, 8192);
}

static void visit_waiters(struct visitor *v, struct wire_read_r *r)
{
	struct wire_waiter w;
	size_t at = 0;

	RANGE(v, r->n_waiters, 0, v->mode == DISTINCT ? 7 : 1024);
	for (unsigned i = 0; v->fill && i < r->n_waiters; i++) {
		string(v, &w.label, 64);
		NUMBER(v, w.hash);
		NUMBER(v, w.priority);
		r->waiters.n = wire_waiter_put(v->waiters, at, sizeof v->waiters, &w);
		assert_int_equal(r->waiters.n, at + 12 + w.label.n);
		at = r->waiters.n;
	}
	if (v->fill) {
		r->waiters = (struct wire_bytes) { v->waiters, at };
		return;
	}
	for (unsigned i = 0; i < r->n_waiters; i++) {
		assert_int_equal(wire_waiter_next(r, &at, &w), WIRE_OK);
		string(v, &w.label, 64);
		NUMBER(v, w.hash);
		NUMBER(v, w.priority);
	}
	assert_int_equal(wire_waiter_next(r, &at, &w), WIRE_END);
	assert_int_equal(at, r->waiters.n);
}

static void visit_read_r(struct visitor *v, struct wire_read_r *r)
{
	TERM(v, r->term);
	TERM(v, r->lt);
	RANGE(v, r->live, 0, WIRE_UNKNOWN);
	RANGE(v, r->cause, 0, TENURE_BY_HEALTH);
	NUMBER(v, r->free_in_ms);
	NUMBER(v, r->age_ms);
	string(v, &r->label, 64);
	NUMBER(v, r->hash);
	string(v, &r->value, 4096);
	visit_waiters(v, r);
}

static void visit_lease(struct visitor *v, struct wire_item *i)
{
	switch (i->type) {
	case WIRE_PRE_R:
		FLAG(v, i->pre_r.would);
		NUMBER(v, i->pre_r.free_in_ms);
		NUMBER(v, i->pre_r.holder);
		NUMBER(v, i->pre_r.waiting_n);
		break;
	case WIRE_VOTE:
	case WIRE_RENEW:
		NUMBER(v, i->lease.ttl_ms);
		break;
	case WIRE_ATTACH:
	case WIRE_ATT_ACK:
		NUMBER(v, i->attach.sid);
		break;
	case WIRE_ACK:
		RANGE(v, i->ack.of, WIRE_VOTE, WIRE_RENEW);
		RANGE(v, i->ack.cause, 0, TENURE_BY_HEALTH);
		NUMBER(v, i->ack.ttl_ms);
		RANGE(v, i->ack.cause, 0, TENURE_BY_HEALTH);
		break;
	case WIRE_NAK:
		RANGE(v, i->nak.of, WIRE_VOTE, WIRE_ATTACH);
		RANGE(v, i->nak.reason, 1, QUORUM_BY_LIMIT);
		TERM(v, i->nak.voted);
		NUMBER(v, i->nak.holder);
		NUMBER(v, i->nak.free_in_ms);
		NUMBER(v, i->nak.waiting_n);
		break;
	case WIRE_SESSION_RENEW:
		NUMBER(v, i->renew.sid);
		NUMBER(v, i->renew.ttl_ms);
		NUMBER(v, i->renew.attached_n);
		NUMBER(v, i->renew.rtt_us);
		break;
	case WIRE_S_ACK:
		NUMBER(v, i->s.sid);
		NUMBER(v, i->s.ttl_ms);
		NUMBER(v, i->s.attached_n);
		break;
	case WIRE_S_NAK:
		NUMBER(v, i->s.sid);
		FLAG(v, i->s.ended);
		break;
	case WIRE_RELEASE:
		FLAG(v, i->release.led);
		RANGE(v, i->release.cause, 0, TENURE_BY_HEALTH);
		RANGE(v, i->release.cause, 0, TENURE_BY_HEALTH);
		string(v, &i->release.successor, 81);
		break;
	case WIRE_REL_OK:
		NUMBER(v, i->rel_ok.waiting_n);
		break;
	default:
		break;
	}
}

static void visit_rest(struct visitor *v, struct wire_item *i)
{
	switch (i->type) {
	case WIRE_HELLO:
		visit_hello(v, &i->hello);
		break;
	case WIRE_HELLO_R:
		visit_hello_r(v, &i->hello_r);
		break;
	case WIRE_OPEN:
		string(v, &i->open.name, 200);
		break;
	case WIRE_OPEN_R:
		FLAG(v, i->open_r.ok);
		RANGE(v, i->open_r.reason, 0, QUORUM_BY_LIMIT);
		break;
	case WIRE_LIST:
		NUMBER(v, i->list.sid);
		break;
	case WIRE_LIST_R:
		string(v, &i->list.name, 200);
		break;
	case WIRE_WAIT:
		NUMBER(v, i->wait.priority);
		NUMBER(v, i->wait.ticket_ms);
		break;
	case WIRE_QUEUED:
		NUMBER(v, i->queued.ahead);
		break;
	case WIRE_VALUE:
		string(v, &i->value.value, 4096);
		break;
	case WIRE_ASK:
	case WIRE_ASKED:
		string(v, &i->ask.to, 81);
		break;
	case WIRE_ASK_OK:
		RANGE(v, i->ask.code, 0, WIRE_ASK_NOT_LEADING);
		break;
	case WIRE_NAMES:
		string(v, &i->names.name, 200);
		NUMBER(v, i->names.cursor);
		break;
	case WIRE_NAMES_R:
		string(v, &i->names.name, 200);
		RANGE(v, i->names.live, 0, WIRE_UNKNOWN);
		NUMBER(v, i->names.hash);
		NUMBER(v, i->names.cursor);
		break;
	case WIRE_READ_R:
		visit_read_r(v, &i->read_r);
		break;
	default:
		visit_lease(v, i);
		break;
	}
}

static bool has_handle(unsigned type)
{
	return type != WIRE_HELLO && type != WIRE_HELLO_R && type != WIRE_SESSION_RENEW && type != WIRE_S_ACK &&
	       type != WIRE_S_NAK && type != WIRE_LIST && type != WIRE_LIST_R && type != WIRE_NAMES &&
	       type != WIRE_NAMES_R;
}

static bool has_term(unsigned type)
{
	return (type >= WIRE_PRE && type <= WIRE_NAK) || type == WIRE_RELEASE || type == WIRE_REL_OK ||
	       type == WIRE_LIST_R || (type >= WIRE_NUDGE && type <= WIRE_ASKED) || type == WIRE_NAMES_R ||
	       type == WIRE_READ_R;
}

static void visit(struct visitor *v, struct wire_item *i)
{
	NUMBER(v, i->handle);
	TERM(v, i->term);
	visit_rest(v, i);
}

static void fill(struct visitor *v, struct wire_item *item, unsigned type, enum mode mode)
{
	v->next = 0;
	v->n_seen = 0;
	memset(item, 0, sizeof *item);
	v->fill = true;
	v->mode = mode;
	item->type = (uint8_t)type;
	visit(v, item);
	if (!has_handle(type))
		item->handle = 0;
	if (!has_term(type))
		item->term = 0;
	if (type == WIRE_READ_R)
		item->term = item->read_r.term;
}

static void look(struct visitor *v, struct wire_item *item)
{
	v->fill = false;
	v->n_seen = 0;
	visit(v, item);
}

/* ---- help ---- */

struct both {
	struct visitor wrote, read;
};

static int set_up(void **state)
{
	*state = malloc(sizeof(struct both));
	return *state ? 0 : -1;
}

static int tear_down(void **state)
{
	free(*state);
	return 0;
}

/* The bytes of a frame with this one item, in memory that ends with them: a sanitizer sees the first byte beyond. */
static uint8_t *frame_of(struct wire_item *item, size_t *n_bytes)
{
	struct wire_out o;
	uint8_t *bytes;

	wire_out_init(&o);
	wire_out_begin(&o, CVER, ROUND);
	wire_out_put(&o, item);
	wire_out_close(&o);
	*n_bytes = wire_out_pending(&o);
	bytes = malloc(*n_bytes);
	assert_non_null(bytes);
	memcpy(bytes, o.data + o.begin, *n_bytes);
	wire_out_deinit(&o);
	return bytes;
}

static uint8_t *cut_to(const uint8_t *bytes, size_t n_bytes)
{
	uint8_t *part = malloc(n_bytes ? n_bytes : 1);

	assert_non_null(part);
	memcpy(part, bytes, n_bytes);
	if (n_bytes >= 4)
		bytes_put32(part, (uint32_t)(n_bytes - 4));
	return part;
}

/* What reading the one frame of these bytes gives: of the frame, of the first item that is not good, or WIRE_END. */
static int read_all(const uint8_t *bytes, size_t n_bytes, struct wire_out *again)
{
	struct wire_item item;
	struct wire_frame f;
	size_t n_frame;
	int code = wire_frame_read(&f, bytes, n_bytes, &n_frame);

	if (code != WIRE_OK)
		return code;
	assert_true(n_frame <= n_bytes);
	if (again)
		wire_out_begin(again, f.cver, f.round);
	while ((code = wire_frame_item(&f, &item)) == WIRE_OK) {
		if (again)
			wire_out_put(again, &item);
	}
	return code;
}

static bool is_type(unsigned type)
{
	return strcmp(wire_type_name(type), "?") != 0 && type < WIRE_CFG_ACCEPT;
}

/* To the next byte; in the middle of long ones it is always the same. */
static size_t step(size_t at, size_t n_bytes)
{
	return at > 600 && n_bytes - at > 600 ? 397 : 1;
}

#define FOR_EACH_TYPE(type)                                                                                            \
	for (unsigned type = 0; type < 256; type++)                                                                    \
		if (is_type(type))
#define FOR_EACH_ITEM(type, mode) FOR_EACH_TYPE(type) for (unsigned mode = 0; mode < N_MODES; mode++)

/* ---- tests ---- */

static void every_field_of_every_type_comes_back_with_its_lowest_its_highest_and_any_value(void **state)
{
	struct both *b = *state;
	unsigned n_types = 0;

	FOR_EACH_TYPE(type)
	n_types++;
	assert_int_equal(n_types, 34);
	FOR_EACH_ITEM(type, mode)
	{
		struct wire_item wrote, read;
		struct wire_frame f;
		size_t n_bytes, n_frame;
		uint8_t *bytes;

		fill(&b->wrote, &wrote, type, mode);
		bytes = frame_of(&wrote, &n_bytes);
		assert_int_equal(wire_frame_read(&f, bytes, n_bytes, &n_frame), WIRE_OK);
		assert_int_equal(n_frame, n_bytes);
		assert_true(f.cver == CVER && f.round == ROUND && f.count == 1 && f.version == 1 && f.flags == 0);
		memset(&read, 0xff, sizeof read);
		assert_int_equal(wire_frame_item(&f, &read), WIRE_OK);
		assert_int_equal(read.type, type);
		look(&b->read, &read);
		look(&b->wrote, &wrote);
		assert_int_equal(b->wrote.n_seen, b->read.n_seen);
		assert_memory_equal(b->wrote.seen, b->read.seen, b->read.n_seen);
		assert_int_equal(wire_frame_item(&f, &read), WIRE_END);
		free(bytes);
	}
}

/* Written down by hand, from the table: what any other implementation sends. */
static void a_frame_is_the_bytes_that_are_documented(void **state)
{
	static const uint8_t expected[] = { /* len, magic, version, flags */
		                            67, 0, 0, 0, 0x4e, 0x7e, 1, 0,
		                            /* cver, round, count */
		                            0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11, 0xcc, 0xbb, 0xaa, 0x99, 3,
		                            0,
		                            /* VOTE: handle, term, ttl_ms */
		                            7, 4, 3, 2, 1, 6, 5, 4, 3, 2, 1, 0, 0, 0xe8, 3, 0, 0,
		                            /* ATTACH: handle, term, sid */
		                            9, 1, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 8, 7, 6, 5, 4, 3, 2, 1,
		                            /* OPEN: handle, name */
		                            3, 9, 0, 0, 0, 4, 0, 'j', 'o', 'b', 's'
	};
	struct wire_item vote = { .type = WIRE_VOTE, .handle = 0x01020304, .term = 0x010203040506, .lease = { 1000 } };
	struct wire_item attach = { .type = WIRE_ATTACH, .handle = 1, .term = 2, .attach = { 0x0102030405060708 } };
	struct wire_item open = { .type = WIRE_OPEN, .handle = 9, .open = { { (const uint8_t *)"jobs", 4 } } };
	struct wire_out o;

	(void)state;
	wire_out_init(&o);
	wire_out_begin(&o, CVER, ROUND);
	wire_out_put(&o, &vote);
	wire_out_put(&o, &attach);
	wire_out_put(&o, &open);
	wire_out_close(&o);
	assert_int_equal(wire_out_pending(&o), sizeof expected);
	assert_memory_equal(o.data + o.begin, expected, sizeof expected);
	wire_out_deinit(&o);
}

static void an_item_that_is_cut_at_any_byte_or_followed_by_one_is_malformed(void **state)
{
	struct both *b = *state;

	FOR_EACH_ITEM(type, mode)
	{
		struct wire_item item;
		size_t n_bytes;
		uint8_t *bytes, *part;

		fill(&b->wrote, &item, type, mode);
		bytes = frame_of(&item, &n_bytes);
		for (size_t n = WIRE_HEADER_BYTES; n < n_bytes; n += step(n, n_bytes)) {
			part = cut_to(bytes, n);
			assert_int_equal(read_all(part, n, NULL), TENURE_EPROTO);
			free(part);
		}
		part = malloc(n_bytes + 1);
		assert_non_null(part);
		memcpy(part, bytes, n_bytes);
		part[n_bytes] = (uint8_t)type;
		bytes_put32(part, (uint32_t)(n_bytes + 1 - 4));
		assert_int_equal(read_all(part, n_bytes + 1, NULL), TENURE_EPROTO);
		free(part);
		free(bytes);
	}
}

/* What is read from damaged bytes, if anything, is what they say: it is written as those bytes again. */
static void any_damaged_byte_is_refused_or_read_as_what_it_says(void **state)
{
	struct both *b = *state;
	unsigned n_read = 0, n_refused = 0;
	struct wire_out again;

	wire_out_init(&again);
	FOR_EACH_ITEM(type, mode)
	{
		struct wire_item item;
		size_t n_bytes;
		uint8_t *bytes;

		fill(&b->wrote, &item, type, mode);
		bytes = frame_of(&item, &n_bytes);
		for (size_t n = 0; n < n_bytes; n += step(n, n_bytes)) {
			for (unsigned bit = 0; bit < 8; bit++) {
				int code;

				bytes[n] ^= (uint8_t)(1u << bit);
				wire_out_reset(&again);
				code = read_all(bytes, n_bytes, &again);
				wire_out_close(&again);
				if (code == WIRE_END) {
					n_read++;
					assert_int_equal(wire_out_pending(&again), n_bytes);
					assert_memory_equal(again.data, bytes, n_bytes);
				} else {
					n_refused++;
					assert_true(code == TENURE_EPROTO || (code == WIRE_MORE && n < 4) ||
					            (code == TENURE_EVERSION && n == 6));
				}
				bytes[n] ^= (uint8_t)(1u << bit);
			}
		}
		free(bytes);
	}
	wire_out_deinit(&again);
	assert_true(n_read > 10000 && n_refused > 10000);
}

static void a_frame_that_came_in_part_says_how_much_is_needed(void **state)
{
	struct both *b = *state;
	struct wire_item item;
	struct wire_frame f;
	size_t n_bytes, n_frame;
	uint8_t *bytes, *part;

	fill(&b->wrote, &item, WIRE_HELLO, DISTINCT);
	bytes = frame_of(&item, &n_bytes);
	for (size_t n = 0; n < n_bytes; n++) {
		part = malloc(n ? n : 1);
		assert_non_null(part);
		memcpy(part, bytes, n);
		n_frame = 4711;
		assert_int_equal(wire_frame_read(&f, part, n, &n_frame), WIRE_MORE);
		assert_int_equal(n_frame, n < 4 ? 0 : n_bytes);
		free(part);
	}
	free(bytes);
}

static void what_follows_a_frame_is_not_looked_at(void **state)
{
	struct both *b = *state;
	struct wire_item item;
	struct wire_frame f;
	size_t n_bytes, n_frame;
	uint8_t *bytes, two[200] = { 0 };

	fill(&b->wrote, &item, WIRE_VOTE, HIGHEST);
	bytes = frame_of(&item, &n_bytes);
	memcpy(two, bytes, n_bytes);
	assert_int_equal(wire_frame_read(&f, two, sizeof two, &n_frame), WIRE_OK);
	assert_int_equal(n_frame, n_bytes);
	assert_int_equal(wire_frame_item(&f, &item), WIRE_OK);
	assert_int_equal(wire_frame_item(&f, &item), WIRE_END);
	assert_int_equal(wire_frame_item(&f, &item), WIRE_END);
	free(bytes);
}

/* A frame whose header says what the arguments say: what wire_frame_read() makes of its first bytes. */
static int header(uint32_t len, uint16_t magic, uint8_t version, uint8_t flags, uint16_t count, size_t n_bytes,
                  size_t *n_frame)
{
	static uint8_t bytes[4 + WIRE_FRAME_MAX_BYTES + 1];
	struct wire_frame f;

	bytes_put32(bytes, len);
	bytes_put16(bytes + 4, magic);
	bytes[6] = version;
	bytes[7] = flags;
	bytes_put16(bytes + 20, count);
	return wire_frame_read(&f, bytes, n_bytes, n_frame);
}

static void a_header_that_is_not_ours_is_refused_at_the_first_byte_that_tells(void **state)
{
	size_t n;

	(void)state;
	assert_int_equal(header(35, WIRE_MAGIC, 1, 0, 1, 39, &n), WIRE_OK);
	assert_int_equal(header(35, 0x4e7e, 1, 0, 1, 39, &n), TENURE_EPROTO);
	assert_int_equal(header(35, 0x4e7e, 1, 0, 1, 6, &n), TENURE_EPROTO);
	assert_int_equal(header(35, 0x4e7e, 1, 0, 1, 5, &n), WIRE_MORE);
	assert_int_equal(header(35, WIRE_MAGIC, 2, 0, 1, 39, &n), TENURE_EVERSION);
	assert_int_equal(header(35, WIRE_MAGIC, 0, 0, 1, 7, &n), TENURE_EVERSION);
	assert_int_equal(header(35, WIRE_MAGIC, 1, 1, 1, 39, &n), TENURE_EPROTO);
	assert_int_equal(header(35, WIRE_MAGIC, 1, 0x80, 1, 39, &n), TENURE_EPROTO);
	/* Lengths: a later version may have longer frames, so its number is asked for first. */
	assert_int_equal(header(WIRE_FRAME_MAX_BYTES, WIRE_MAGIC, 1, 0, 1, 4, &n), WIRE_MORE);
	assert_int_equal(n, WIRE_FRAME_MAX_BYTES + 4);
	assert_int_equal(header(WIRE_FRAME_MAX_BYTES, WIRE_MAGIC, 1, 0, 1, WIRE_FRAME_MAX_BYTES + 4, &n), WIRE_OK);
	assert_int_equal(header(WIRE_FRAME_MAX_BYTES + 1, WIRE_MAGIC, 1, 0, 1, 6, &n), WIRE_MORE);
	assert_int_equal(n, 7);
	assert_int_equal(header(WIRE_FRAME_MAX_BYTES + 1, WIRE_MAGIC, 1, 0, 1, 7, &n), TENURE_EPROTO);
	assert_int_equal(header(UINT32_MAX, WIRE_MAGIC, 1, 0, 1, 7, &n), TENURE_EPROTO);
	assert_int_equal(header(UINT32_MAX, WIRE_MAGIC, 9, 0, 1, 7, &n), TENURE_EVERSION);
	for (uint32_t len = 0; len < 18; len++)
		assert_int_equal(header(len, WIRE_MAGIC, 1, 0, 1, 39, &n), TENURE_EPROTO);
	/* Items: none, too many, more than bytes. */
	assert_int_equal(header(18, WIRE_MAGIC, 1, 0, 0, 22, &n), TENURE_EPROTO);
	assert_int_equal(header(WIRE_FRAME_MAX_BYTES, WIRE_MAGIC, 1, 0, 2048, WIRE_FRAME_MAX_BYTES + 4, &n), WIRE_OK);
	assert_int_equal(header(WIRE_FRAME_MAX_BYTES, WIRE_MAGIC, 1, 0, 2049, WIRE_FRAME_MAX_BYTES + 4, &n),
	                 TENURE_EPROTO);
	assert_int_equal(header(35, WIRE_MAGIC, 1, 0, 4, 39, &n), TENURE_EPROTO);
}

/* Sets one byte of an item, or two, and reads it. */
static void refuses(unsigned type, size_t at, uint8_t value, bool refused)
{
	static struct visitor v;
	struct wire_item item;
	size_t n_bytes;
	uint8_t *bytes;

	fill(&v, &item, type, LOWEST);
	bytes = frame_of(&item, &n_bytes);
	bytes[WIRE_HEADER_BYTES + at] = value;
	if (read_all(bytes, n_bytes, NULL) != (refused ? TENURE_EPROTO : WIRE_END))
		fail_msg("%s: %u at %zu was %s", wire_type_name(type), value, at, refused ? "taken" : "refused");
	free(bytes);
}

static void limit(unsigned type, size_t at, unsigned lowest, unsigned highest)
{
	for (unsigned value = 0; value < 256; value++)
		refuses(type, at, (uint8_t)value, value < lowest || value > highest);
}

static void a_field_out_of_its_range_is_malformed(void **state)
{
	(void)state;
	FOR_EACH_TYPE(type)
	{
		/* Above the 48 bits of a term; below them is fine. */
		size_t at = has_handle(type) ? 5 : 1;

		if (!has_term(type))
			continue;
		refuses(type, at + 5, 0xff, false);
		refuses(type, at + 6, 1, true);
		refuses(type, at + 7, 0x80, true);
	}
	refuses(WIRE_NAK, 15 + 5, 0xff, false);
	refuses(WIRE_NAK, 15 + 6, 1, true);
	refuses(WIRE_READ_R, 13 + 6, 1, true);
	limit(WIRE_HELLO, 41, 0, 1);     /* session */
	limit(WIRE_HELLO_R, 36, 0, 127); /* epoch, its upper half */
	limit(WIRE_HELLO_R, 49, 0, 4);   /* state */
	limit(WIRE_HELLO_R, 50, 0, 5);   /* refusal */
	limit(WIRE_OPEN_R, 5, 0, 1);     /* ok */
	limit(WIRE_OPEN_R, 6, 0, 10);    /* reason */
	limit(WIRE_PRE_R, 13, 0, 1);     /* would */
	limit(WIRE_ACK, 13, WIRE_VOTE, WIRE_RENEW);
	limit(WIRE_ACK, 18, 0, 6); /* cause */
	limit(WIRE_ACK, 18, 0, 6); /* cause */
	limit(WIRE_NAK, 13, WIRE_VOTE, WIRE_ATTACH);
	limit(WIRE_NAK, 14, 1, 10);    /* reason */
	limit(WIRE_S_NAK, 9, 0, 1);    /* ended */
	limit(WIRE_RELEASE, 13, 0, 1); /* led */
	limit(WIRE_RELEASE, 14, 0, 6); /* cause */
	limit(WIRE_RELEASE, 14, 0, 6); /* cause */
	limit(WIRE_ASK_OK, 13, 0, 1);  /* code */
	limit(WIRE_NAMES_R, 11, 0, 2); /* live */
	limit(WIRE_READ_R, 21, 0, 2);  /* live */
	limit(WIRE_READ_R, 22, 0, 6);  /* cause */
}

static void a_type_that_does_not_exist_is_malformed(void **state)
{
	uint8_t bytes[WIRE_HEADER_BYTES + 200] = { 0 };
	struct both *b = *state;
	struct wire_item item;
	size_t n_bytes;
	uint8_t *whole;

	fill(&b->wrote, &item, WIRE_PRE, LOWEST);
	whole = frame_of(&item, &n_bytes);
	memcpy(bytes, whole, n_bytes);
	free(whole);
	bytes_put32(bytes, sizeof bytes - 4);
	for (unsigned type = 0; type < 256; type++) {
		bytes[WIRE_HEADER_BYTES] = (uint8_t)type;
		/* The others leave bytes over, or lack some. */
		assert_int_equal(read_all(bytes, sizeof bytes, NULL), TENURE_EPROTO);
		if (!is_type(type)) {
			struct wire_frame f;
			size_t n;

			assert_int_equal(wire_frame_read(&f, bytes, sizeof bytes, &n), WIRE_OK);
			assert_int_equal(wire_frame_item(&f, &item), TENURE_EPROTO);
		}
	}
}

/* The string whose length stands at `at` in an empty item, with `n` bytes. */
static int with_string(unsigned type, size_t at, size_t n)
{
	static struct visitor v;
	struct wire_item item;
	size_t n_bytes;
	uint8_t *bytes, *longer;
	int code;

	fill(&v, &item, type, LOWEST);
	bytes = frame_of(&item, &n_bytes);
	at += WIRE_HEADER_BYTES;
	longer = calloc(1, n_bytes + n);
	assert_non_null(longer);
	memcpy(longer, bytes, at);
	bytes_put16(longer + at, (uint16_t)n);
	memset(longer + at + 2, 'x', n);
	memcpy(longer + at + 2 + n, bytes + at + 2, n_bytes - at - 2);
	bytes_put32(longer, (uint32_t)(n_bytes + n - 4));
	code = read_all(longer, n_bytes + n, NULL);
	free(longer);
	free(bytes);
	return code;
}

static void a_string_longer_than_it_may_be_is_malformed(void **state)
{
	static const struct {
		unsigned type;
		size_t at, longest;
	} strings[] = {
		{ WIRE_HELLO, 35, 64 },  { WIRE_HELLO_R, 75, 8192 }, { WIRE_OPEN, 5, 200 },   { WIRE_RELEASE, 15, 81 },
		{ WIRE_LIST_R, 9, 200 }, { WIRE_VALUE, 13, 4096 },   { WIRE_ASK, 13, 81 },    { WIRE_ASKED, 13, 81 },
		{ WIRE_NAMES, 1, 200 },  { WIRE_NAMES_R, 9, 200 },   { WIRE_READ_R, 35, 64 }, { WIRE_READ_R, 45, 4096 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof strings / sizeof strings[0]; i++) {
		assert_int_equal(with_string(strings[i].type, strings[i].at, strings[i].longest), WIRE_END);
		assert_int_equal(with_string(strings[i].type, strings[i].at, strings[i].longest + 1), TENURE_EPROTO);
		assert_int_equal(with_string(strings[i].type, strings[i].at, 65535), TENURE_EPROTO);
	}
}

static void waiters_are_walked_to_the_last(void **state)
{
	struct wire_waiter w = { .label = { text, 64 }, .hash = 1, .priority = 2 };
	struct both *b = *state;
	struct wire_item item;
	size_t n_bytes, used;
	uint8_t *bytes;

	fill(&b->wrote, &item, WIRE_READ_R, LOWEST);
	item.read_r.n_waiters = 2;
	used = wire_waiter_put(b->wrote.waiters, 0, sizeof b->wrote.waiters, &w);
	used = wire_waiter_put(b->wrote.waiters, used, sizeof b->wrote.waiters, &w);
	item.read_r.waiters = (struct wire_bytes) { b->wrote.waiters, used };
	bytes = frame_of(&item, &n_bytes);
	assert_int_equal(read_all(bytes, n_bytes, NULL), WIRE_END);
	/* A waiter more, one less; a label that is too long; one that reaches beyond the end. */
	for (unsigned n = 0; n < 5; n++) {
		bytes_put16(bytes + WIRE_HEADER_BYTES + 47, (uint16_t)n);
		assert_int_equal(read_all(bytes, n_bytes, NULL), n == 2 ? WIRE_END : TENURE_EPROTO);
	}
	bytes_put16(bytes + WIRE_HEADER_BYTES + 47, 1025);
	assert_int_equal(read_all(bytes, n_bytes, NULL), TENURE_EPROTO);
	bytes_put16(bytes + WIRE_HEADER_BYTES + 47, 2);
	bytes_put16(bytes + WIRE_HEADER_BYTES + 49, 65);
	assert_int_equal(read_all(bytes, n_bytes, NULL), TENURE_EPROTO);
	bytes_put16(bytes + WIRE_HEADER_BYTES + 49, 64);
	bytes_put16(bytes + WIRE_HEADER_BYTES + 49 + 76, 63);
	assert_int_equal(read_all(bytes, n_bytes, NULL), TENURE_EPROTO);
	free(bytes);
	/* A buffer that is too small for one more stays as it is. */
	assert_int_equal(wire_waiter_put(b->wrote.waiters, 76, 76 + 75, &w), 76);
	assert_int_equal(wire_waiter_put(b->wrote.waiters, 76, 76 + 76, &w), 152);
}

static void types_and_reasons_have_names_for_messages(void **state)
{
	(void)state;
	assert_string_equal(wire_type_name(WIRE_VOTE), "VOTE");
	assert_string_equal(wire_type_name(WIRE_READ_R), "READ_R");
	assert_string_equal(wire_type_name(WIRE_CFG_R), "CFG_R");
	assert_string_equal(wire_type_name(0), "?");
	assert_string_equal(wire_type_name(63), "?");
	assert_string_equal(wire_type_name(UINT32_MAX), "?");
	assert_string_equal(wire_reason_name(QUORUM_BY_TERM), "term");
	assert_string_equal(wire_reason_name(QUORUM_BY_LIMIT), "limit");
	assert_string_equal(wire_reason_name(0), "?");
	assert_string_equal(wire_reason_name(11), "?");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_field_of_every_type_comes_back_with_its_lowest_its_highest_and_any_value),
		cmocka_unit_test(a_frame_is_the_bytes_that_are_documented),
		cmocka_unit_test(an_item_that_is_cut_at_any_byte_or_followed_by_one_is_malformed),
		cmocka_unit_test(any_damaged_byte_is_refused_or_read_as_what_it_says),
		cmocka_unit_test(a_frame_that_came_in_part_says_how_much_is_needed),
		cmocka_unit_test(what_follows_a_frame_is_not_looked_at),
		cmocka_unit_test(a_header_that_is_not_ours_is_refused_at_the_first_byte_that_tells),
		cmocka_unit_test(a_field_out_of_its_range_is_malformed),
		cmocka_unit_test(a_type_that_does_not_exist_is_malformed),
		cmocka_unit_test(a_string_longer_than_it_may_be_is_malformed),
		cmocka_unit_test(waiters_are_walked_to_the_last),
		cmocka_unit_test(types_and_reasons_have_names_for_messages),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
