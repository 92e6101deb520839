/* SPDX-License-Identifier: Apache-2.0 */
/* Writing frames: straight into the bytes that are sent. In the steady state nothing is allocated and nothing moved. */
#include "quorum/wire.h"

#include <stdlib.h>

#include "base/check.h"
#include "quorum/bytes.h"
#include "quorum/wire_inside.h"

#define WIRE_OUT_FIRST_ROOM 4096

void wire_out_init(struct wire_out *o)
{
	*o = (struct wire_out) { .frame = SIZE_MAX };
}

void wire_out_deinit(struct wire_out *o)
{
	free(o->data);
	wire_out_init(o);
}

void wire_out_reset(struct wire_out *o)
{
	o->begin = o->end = 0;
	o->frame = SIZE_MAX;
	o->count = 0;
	o->failed = false;
}

void wire_out_begin(struct wire_out *o, uint64_t cver, uint32_t round)
{
	if (o->frame != SIZE_MAX && (o->cver != cver || o->round != round))
		wire_out_close(o);
	o->cver = cver;
	o->round = round;
}

void wire_out_close(struct wire_out *o)
{
	if (o->frame == SIZE_MAX)
		return;
	bytes_put32(o->data + o->frame, (uint32_t)(o->end - o->frame - 4));
	bytes_put16(o->data + o->frame + 20, (uint16_t)o->count);
	o->frame = SIZE_MAX;
	o->count = 0;
}

void wire_out_sent(struct wire_out *o, size_t n_bytes)
{
	/* A frame that is open has no length yet: it must not have been sent. */
	CHECK(n_bytes <= (o->frame == SIZE_MAX ? o->end : o->frame) - o->begin);
	o->begin += n_bytes;
	if (o->begin == o->end)
		o->begin = o->end = 0;
}

/*
 * Room for `n` more bytes. What was sent already is reclaimed only when at least as much as is left is, so that each
 * byte is moved at most once on the average. false: no memory, for good.
 */
static bool wire_out_grow(struct wire_out *o, size_t n)
{
	size_t used = o->end - o->begin, room = o->room ? o->room : WIRE_OUT_FIRST_ROOM;
	uint8_t *data;

	if (o->begin > 0 && o->begin >= used) {
		memmove(o->data, o->data + o->begin, used);
		if (o->frame != SIZE_MAX)
			o->frame -= o->begin;
		o->begin = 0;
		o->end = used;
	}
	if (o->room - o->end >= n)
		return true;
	while (room - o->end < n) {
		if (room > SIZE_MAX / 2) {
			o->failed = true;
			return false;
		}
		room *= 2;
	}
	data = realloc(o->data, room);
	if (!data) {
		o->failed = true;
		return false;
	}
	o->data = data;
	o->room = room;
	return true;
}

static void wire_out_open(struct wire_out *o)
{
	uint8_t *p = o->data + o->end;

	o->frame = o->end;
	o->count = 0;
	o->end += WIRE_HEADER_BYTES;
	bytes_put16(p + 4, WIRE_MAGIC);
	p[6] = WIRE_VERSION;
	p[7] = 0;
	bytes_put64(p + 8, o->cver);
	bytes_put32(p + 16, o->round);
}

/* ---- one item ---- */

static inline void wire_put8(uint8_t **p, uint8_t value)
{
	*(*p)++ = value;
}

static inline void wire_put16(uint8_t **p, uint16_t value)
{
	bytes_put16(*p, value);
	*p += 2;
}

static inline void wire_put32(uint8_t **p, uint32_t value)
{
	bytes_put32(*p, value);
	*p += 4;
}

static inline void wire_put64(uint8_t **p, uint64_t value)
{
	bytes_put64(*p, value);
	*p += 8;
}

static inline void wire_put_id(uint8_t **p, const struct quorum_id *id)
{
	memcpy(*p, id->bytes, sizeof id->bytes);
	*p += sizeof id->bytes;
}

static void wire_put_raw(uint8_t **p, struct wire_bytes b)
{
	if (b.n > 0)
		memcpy(*p, b.data, b.n);
	*p += b.n;
}

static void wire_put_bytes(uint8_t **p, struct wire_bytes b)
{
	wire_put16(p, (uint16_t)b.n);
	wire_put_raw(p, b);
}

/* The bytes of the strings of an item: what the table's size lacks. */
static size_t wire_strings(const struct wire_item *i)
{
	switch (i->type) {
	case WIRE_HELLO:
		return i->hello.label.n;
	case WIRE_HELLO_R:
		return i->hello_r.config.n;
	case WIRE_OPEN:
		return i->open.name.n;
	case WIRE_RELEASE:
		return i->release.successor.n;
	case WIRE_LIST_R:
		return i->list.name.n;
	case WIRE_VALUE:
		return i->value.value.n;
	case WIRE_ASK:
	case WIRE_ASKED:
		return i->ask.to.n;
	case WIRE_NAMES:
	case WIRE_NAMES_R:
		return i->names.name.n;
	case WIRE_READ_R:
		return i->read_r.label.n + i->read_r.value.n + i->read_r.waiters.n;
	default:
		return 0;
	}
}

static void wire_put_hello(uint8_t **p, const struct wire_hello *h)
{
	wire_put16(p, h->proto);
	wire_put_id(p, &h->inc);
	wire_put_id(p, &h->cluster);
	wire_put_bytes(p, h->label);
	wire_put32(p, h->conn_no);
	wire_put8(p, h->session);
	wire_put64(p, h->want_sid);
	wire_put32(p, h->ttl_v_ms);
	wire_put64(p, h->cver);
}

static void wire_put_hello_r(uint8_t **p, const struct wire_hello_r *h)
{
	wire_put16(p, h->proto);
	wire_put_id(p, &h->vid);
	wire_put_id(p, &h->cluster);
	wire_put16(p, h->epoch);
	wire_put32(p, h->run);
	wire_put64(p, h->sid);
	wire_put8(p, h->state);
	wire_put8(p, h->refusal);
	wire_put32(p, h->max_ttl_ms);
	wire_put32(p, h->max_ttl_v_ms);
	wire_put32(p, h->hold_left_ms);
	wire_put32(p, h->quiet_left_ms);
	wire_put64(p, h->cver);
	wire_put_bytes(p, h->config);
}

static void wire_put_read_r(uint8_t **p, const struct wire_read_r *r)
{
	wire_put64(p, r->lt);
	wire_put8(p, r->live);
	wire_put8(p, r->cause);
	wire_put32(p, r->free_in_ms);
	wire_put64(p, r->age_ms);
	wire_put_bytes(p, r->label);
	wire_put64(p, r->hash);
	wire_put_bytes(p, r->value);
	CHECK(wire_waiters_bytes(r->waiters.data, r->waiters.n, r->n_waiters) == r->waiters.n);
	wire_put16(p, r->n_waiters);
	wire_put_raw(p, r->waiters);
}

/* The items with strings: what follows handle and term. Returns where it ends. */
static uint8_t *wire_put_long(uint8_t *at, const struct wire_item *i)
{
	uint8_t **p = &at;

	switch (i->type) {
	case WIRE_HELLO:
		wire_put_hello(p, &i->hello);
		break;
	case WIRE_HELLO_R:
		wire_put_hello_r(p, &i->hello_r);
		break;
	case WIRE_OPEN:
		wire_put_bytes(p, i->open.name);
		break;
	case WIRE_RELEASE:
		wire_put8(p, i->release.led);
		wire_put8(p, i->release.cause);
		wire_put_bytes(p, i->release.successor);
		break;
	case WIRE_LIST_R:
		wire_put_bytes(p, i->list.name);
		break;
	case WIRE_VALUE:
		wire_put_bytes(p, i->value.value);
		break;
	case WIRE_ASK:
	case WIRE_ASKED:
		wire_put_bytes(p, i->ask.to);
		break;
	case WIRE_NAMES:
		wire_put_bytes(p, i->names.name);
		wire_put64(p, i->names.cursor);
		break;
	case WIRE_NAMES_R:
		wire_put_bytes(p, i->names.name);
		wire_put8(p, i->names.live);
		wire_put64(p, i->names.hash);
		wire_put64(p, i->names.cursor);
		break;
	default:
		wire_put_read_r(p, &i->read_r);
		break;
	}
	return at;
}

/* The items without: the offsets are wire_get_plain()'s. */
static inline void wire_put_plain(uint8_t *p, const struct wire_item *i)
{
	switch (i->type) {
	case WIRE_VOTE:
	case WIRE_RENEW:
		bytes_put32(p, i->lease.ttl_ms);
		break;
	case WIRE_ATTACH:
	case WIRE_ATT_ACK:
		bytes_put64(p, i->attach.sid);
		break;
	case WIRE_ACK:
		p[0] = i->ack.of;
		bytes_put32(p + 1, i->ack.ttl_ms);
		p[5] = i->ack.cause;
		break;
	case WIRE_NAK:
		p[0] = i->nak.of;
		p[1] = i->nak.reason;
		bytes_put64(p + 2, i->nak.voted);
		bytes_put64(p + 10, i->nak.holder);
		bytes_put32(p + 18, i->nak.free_in_ms);
		bytes_put32(p + 22, i->nak.waiting_n);
		break;
	case WIRE_PRE_R:
		p[0] = i->pre_r.would;
		bytes_put32(p + 1, i->pre_r.free_in_ms);
		bytes_put64(p + 5, i->pre_r.holder);
		bytes_put32(p + 13, i->pre_r.waiting_n);
		break;
	case WIRE_SESSION_RENEW:
		bytes_put64(p, i->renew.sid);
		bytes_put32(p + 8, i->renew.ttl_ms);
		bytes_put32(p + 12, i->renew.attached_n);
		bytes_put32(p + 16, i->renew.rtt_us);
		break;
	case WIRE_S_ACK:
		bytes_put64(p, i->s.sid);
		bytes_put32(p + 8, i->s.ttl_ms);
		bytes_put32(p + 12, i->s.attached_n);
		break;
	case WIRE_S_NAK:
		bytes_put64(p, i->s.sid);
		p[8] = i->s.ended;
		break;
	case WIRE_REL_OK:
		bytes_put32(p, i->rel_ok.waiting_n);
		break;
	case WIRE_WAIT:
		bytes_put16(p, i->wait.priority);
		bytes_put64(p + 2, i->wait.ticket_ms);
		break;
	case WIRE_QUEUED:
		bytes_put32(p, i->queued.ahead);
		break;
	case WIRE_OPEN_R:
		p[0] = i->open_r.ok;
		p[1] = i->open_r.reason;
		break;
	case WIRE_LIST:
		bytes_put64(p, i->list.sid);
		break;
	case WIRE_ASK_OK:
		p[0] = i->ask.code;
		break;
	default:
		break;
	}
}

void wire_out_put(struct wire_out *o, const struct wire_item *item)
{
	struct wire_form form = wire_form_of(item->type);
	size_t size = form.bytes + (form.strings ? wire_strings(item) : 0);
	uint8_t *p;

	CHECK(form.bytes != 0 && wire_item_good(item, form));
	if (o->failed)
		return;
	if (o->frame != SIZE_MAX &&
	    (o->count == WIRE_FRAME_MAX_ITEMS || o->end - o->frame - 4 + size > WIRE_FRAME_MAX_BYTES))
		wire_out_close(o);
	if (o->room - o->end < size + WIRE_HEADER_BYTES && !wire_out_grow(o, size + WIRE_HEADER_BYTES))
		return;
	if (o->frame == SIZE_MAX)
		wire_out_open(o);
	p = o->data + o->end;
	o->end += size;
	o->count++;
	*p++ = item->type;
	if (form.handle) {
		bytes_put32(p, item->handle);
		p += 4;
	}
	if (form.term) {
		bytes_put64(p, item->type == WIRE_READ_R ? item->read_r.term : item->term);
		p += 8;
	}
	if (form.strings)
		CHECK(wire_put_long(p, item) == o->data + o->end);
	else
		wire_put_plain(p, item);
}

size_t wire_waiter_put(uint8_t *buffer, size_t used, size_t room, const struct wire_waiter *w)
{
	uint8_t *p = buffer + used;

	CHECK(w->label.n <= WIRE_LABEL_MAX);
	if (room - used < WIRE_WAITER_BYTES + w->label.n)
		return used;
	wire_put_bytes(&p, w->label);
	wire_put64(&p, w->hash);
	wire_put16(&p, w->priority);
	return (size_t)(p - buffer);
}
