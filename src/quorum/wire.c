/* SPDX-License-Identifier: Apache-2.0 */
/* Reading frames. Bytes come from outside: nothing is believed, and nothing is copied. wire_out.c writes them. */
#include "quorum/wire.h"

#include <tenure/tenure.h>

#include "quorum/bytes.h"
#include "quorum/wire_inside.h"

#define WIRE_KNOWN_BYTES 7                        /* len, magic, version: they stay where they are in every version */
#define WIRE_LEN_MIN     (WIRE_HEADER_BYTES - 4u) /* what `len` counts of the header */
#define WIRE_SMALLEST    5                        /* bytes of an item */

int wire_frame_read(struct wire_frame *f, const uint8_t *bytes, size_t n_bytes, size_t *n_frame_bytes)
{
	uint32_t len = n_bytes < 4 ? 0 : bytes_get32(bytes);

	*n_frame_bytes = n_bytes < 4 ? 0 : (size_t)len + 4;
	if (n_bytes >= 6 && bytes_get16(bytes + 4) != WIRE_MAGIC)
		return TENURE_EPROTO;
	if (n_bytes >= WIRE_KNOWN_BYTES && bytes[6] != WIRE_VERSION)
		return TENURE_EVERSION;
	if (n_bytes >= 4 && (len < WIRE_LEN_MIN || len > WIRE_FRAME_MAX_BYTES)) {
		/* Nonsense, unless a later version has longer ones: its number is waited for. */
		*n_frame_bytes = WIRE_KNOWN_BYTES;
		return n_bytes < WIRE_KNOWN_BYTES ? WIRE_MORE : TENURE_EPROTO;
	}
	if (n_bytes < WIRE_KNOWN_BYTES || n_bytes < *n_frame_bytes)
		return WIRE_MORE;
	f->version = bytes[6];
	f->flags = bytes[7];
	f->cver = bytes_get64(bytes + 8);
	f->round = bytes_get32(bytes + 16);
	f->count = bytes_get16(bytes + 20);
	f->items = bytes + WIRE_HEADER_BYTES;
	f->n_items_bytes = *n_frame_bytes - WIRE_HEADER_BYTES;
	f->at = 0;
	f->n_read = 0;
	if (f->flags != 0 || f->count == 0 || f->count > WIRE_FRAME_MAX_ITEMS ||
	    f->n_items_bytes < (size_t)f->count * WIRE_SMALLEST)
		return TENURE_EPROTO;
	return WIRE_OK;
}

/* ---- one item ---- */

/* Of the items without strings, whose bytes were found to be there as a whole: what follows handle and term. */
static inline bool wire_get_plain(const uint8_t *p, struct wire_item *i)
{
	switch (i->type) {
	case WIRE_VOTE:
	case WIRE_RENEW:
		i->lease.ttl_ms = bytes_get32(p);
		return true;
	case WIRE_ATTACH:
	case WIRE_ATT_ACK:
		i->attach.sid = bytes_get64(p);
		return true;
	case WIRE_ACK:
		i->ack.of = p[0];
		i->ack.ttl_ms = bytes_get32(p + 1);
		i->ack.cause = p[5];
		return true;
	case WIRE_NAK:
		i->nak.of = p[0];
		i->nak.reason = p[1];
		i->nak.voted = bytes_get64(p + 2);
		i->nak.holder = bytes_get64(p + 10);
		i->nak.free_in_ms = bytes_get32(p + 18);
		i->nak.waiting_n = bytes_get32(p + 22);
		return true;
	case WIRE_PRE_R:
		i->pre_r.would = p[0] == 1;
		i->pre_r.free_in_ms = bytes_get32(p + 1);
		i->pre_r.holder = bytes_get64(p + 5);
		i->pre_r.waiting_n = bytes_get32(p + 13);
		return p[0] <= 1;
	case WIRE_SESSION_RENEW:
		i->renew.sid = bytes_get64(p);
		i->renew.ttl_ms = bytes_get32(p + 8);
		i->renew.attached_n = bytes_get32(p + 12);
		i->renew.rtt_us = bytes_get32(p + 16);
		return true;
	case WIRE_S_ACK:
		i->s.sid = bytes_get64(p);
		i->s.ttl_ms = bytes_get32(p + 8);
		i->s.attached_n = bytes_get32(p + 12);
		i->s.ended = false;
		return true;
	case WIRE_S_NAK:
		i->s.sid = bytes_get64(p);
		i->s.ttl_ms = i->s.attached_n = 0;
		i->s.ended = p[8] == 1;
		return p[8] <= 1;
	case WIRE_REL_OK:
		i->rel_ok.waiting_n = bytes_get32(p);
		return true;
	case WIRE_WAIT:
		i->wait.priority = bytes_get16(p);
		i->wait.ticket_ms = bytes_get64(p + 2);
		return true;
	case WIRE_QUEUED:
		i->queued.ahead = bytes_get32(p);
		return true;
	case WIRE_OPEN_R:
		i->open_r.ok = p[0] == 1;
		i->open_r.reason = p[1];
		return p[0] <= 1;
	case WIRE_LIST:
		i->list.sid = bytes_get64(p);
		i->list.name = (struct wire_bytes) { 0 };
		return true;
	case WIRE_ASK_OK:
		i->ask.to = (struct wire_bytes) { 0 };
		i->ask.code = p[0];
		return true;
	default: /* PRE, NUDGE, UNWAIT, VALUE_OK, READ, WATCH, UNWATCH: nothing follows */
		return true;
	}
}

struct wire_reader { /* `fixed` is what is still to come of the item's fixed part: strings may take what else is there */
	const uint8_t *at, *end;
	size_t fixed;
	bool bad;
};

/* The fixed part was found to be there as a whole: no test is needed for it. */
static inline const uint8_t *wire_take(struct wire_reader *r, size_t n)
{
	const uint8_t *p = r->at;

	r->at += n;
	r->fixed -= n;
	return p;
}

static inline uint8_t wire_get8(struct wire_reader *r)
{
	return *wire_take(r, 1);
}

static inline uint16_t wire_get16(struct wire_reader *r)
{
	return bytes_get16(wire_take(r, 2));
}

static inline uint32_t wire_get32(struct wire_reader *r)
{
	return bytes_get32(wire_take(r, 4));
}

static inline uint64_t wire_get64(struct wire_reader *r)
{
	return bytes_get64(wire_take(r, 8));
}

static inline bool wire_get_bool(struct wire_reader *r)
{
	uint8_t value = wire_get8(r);

	r->bad |= value > 1;
	return value == 1;
}

static inline struct quorum_id wire_get_id(struct wire_reader *r)
{
	struct quorum_id id;

	memcpy(id.bytes, wire_take(r, sizeof id.bytes), sizeof id.bytes);
	return id;
}

static inline struct wire_bytes wire_get_bytes(struct wire_reader *r)
{
	struct wire_bytes b = { .n = wire_get16(r) };

	b.data = r->at;
	if ((size_t)(r->end - r->at) - r->fixed < b.n) {
		r->bad = true;
		b.n = 0;
	}
	r->at += b.n;
	return b;
}

static void wire_get_hello(struct wire_reader *r, struct wire_hello *h)
{
	h->proto = wire_get16(r);
	h->inc = wire_get_id(r);
	h->cluster = wire_get_id(r);
	h->label = wire_get_bytes(r);
	h->conn_no = wire_get32(r);
	h->session = wire_get_bool(r);
	h->want_sid = wire_get64(r);
	h->ttl_v_ms = wire_get32(r);
	h->cver = wire_get64(r);
}

static void wire_get_hello_r(struct wire_reader *r, struct wire_hello_r *h)
{
	h->proto = wire_get16(r);
	h->vid = wire_get_id(r);
	h->cluster = wire_get_id(r);
	h->epoch = wire_get16(r);
	h->run = wire_get32(r);
	h->sid = wire_get64(r);
	h->state = wire_get8(r);
	h->refusal = wire_get8(r);
	h->max_ttl_ms = wire_get32(r);
	h->max_ttl_v_ms = wire_get32(r);
	h->hold_left_ms = wire_get32(r);
	h->quiet_left_ms = wire_get32(r);
	h->cver = wire_get64(r);
	h->config = wire_get_bytes(r);
}

size_t wire_waiters_bytes(const uint8_t *bytes, size_t n_bytes, unsigned n_waiters)
{
	size_t at = 0;

	for (unsigned i = 0; i < n_waiters; i++) {
		size_t n;

		if (n_bytes - at < WIRE_WAITER_BYTES)
			return SIZE_MAX;
		n = bytes_get16(bytes + at);
		if (n > WIRE_LABEL_MAX || n_bytes - at - WIRE_WAITER_BYTES < n)
			return SIZE_MAX;
		at += WIRE_WAITER_BYTES + n;
	}
	return at;
}

static void wire_get_waiters(struct wire_reader *r, struct wire_read_r *v)
{
	size_t n = r->bad ? SIZE_MAX : wire_waiters_bytes(r->at, (size_t)(r->end - r->at), v->n_waiters);

	r->bad |= n == SIZE_MAX;
	v->waiters = (struct wire_bytes) { r->at, r->bad ? 0 : n };
	r->at += v->waiters.n;
}

static void wire_get_read_r(struct wire_reader *r, struct wire_read_r *v, uint64_t term)
{
	v->term = term;
	v->lt = wire_get64(r);
	v->live = wire_get8(r);
	v->cause = wire_get8(r);
	v->free_in_ms = wire_get32(r);
	v->age_ms = wire_get64(r);
	v->label = wire_get_bytes(r);
	v->hash = wire_get64(r);
	v->value = wire_get_bytes(r);
	v->n_waiters = wire_get16(r);
	wire_get_waiters(r, v);
}

/* What follows handle and term, of the items with strings. */
static void wire_get_long(struct wire_reader *r, struct wire_item *i)
{
	switch (i->type) {
	case WIRE_HELLO:
		wire_get_hello(r, &i->hello);
		break;
	case WIRE_HELLO_R:
		wire_get_hello_r(r, &i->hello_r);
		break;
	case WIRE_OPEN:
		i->open.name = wire_get_bytes(r);
		break;
	case WIRE_RELEASE:
		i->release.led = wire_get_bool(r);
		i->release.cause = wire_get8(r);
		i->release.successor = wire_get_bytes(r);
		break;
	case WIRE_LIST_R:
		i->list.sid = 0;
		i->list.name = wire_get_bytes(r);
		break;
	case WIRE_VALUE:
		i->value.value = wire_get_bytes(r);
		break;
	case WIRE_ASK:
	case WIRE_ASKED:
		i->ask.to = wire_get_bytes(r);
		i->ask.code = 0;
		break;
	case WIRE_NAMES:
		i->names.name = wire_get_bytes(r);
		i->names.cursor = wire_get64(r);
		i->names.live = 0;
		i->names.hash = 0;
		break;
	case WIRE_NAMES_R:
		i->names.name = wire_get_bytes(r);
		i->names.live = wire_get8(r);
		i->names.hash = wire_get64(r);
		i->names.cursor = wire_get64(r);
		break;
	default:
		wire_get_read_r(r, &i->read_r, i->term);
		break;
	}
}

int wire_frame_item(struct wire_frame *f, struct wire_item *item)
{
	const uint8_t *at = f->items + f->at, *p = at + 1;
	size_t left = f->n_items_bytes - f->at;
	struct wire_form form;

	if (f->n_read == f->count)
		return left == 0 ? WIRE_END : TENURE_EPROTO;
	if (left == 0)
		return TENURE_EPROTO;
	form = wire_form_of(*at);
	if (form.bytes == 0 || left < form.bytes)
		return TENURE_EPROTO;
	item->type = *at;
	item->handle = 0;
	item->term = 0;
	if (form.handle) {
		item->handle = bytes_get32(p);
		p += 4;
	}
	if (form.term) {
		item->term = bytes_get64(p);
		p += 8;
	}
	if (form.strings) {
		struct wire_reader r = { .at = p, .end = at + left, .fixed = (size_t)(at + form.bytes - p) };

		wire_get_long(&r, item);
		if (r.bad)
			return TENURE_EPROTO;
		f->at += (size_t)(r.at - at);
	} else {
		if (!wire_get_plain(p, item))
			return TENURE_EPROTO;
		f->at += form.bytes;
	}
	f->n_read++;
	return wire_item_good(item, form) ? WIRE_OK : TENURE_EPROTO;
}

int wire_waiter_next(const struct wire_read_r *r, size_t *at, struct wire_waiter *w)
{
	const uint8_t *p = r->waiters.data + *at;

	if (*at >= r->waiters.n)
		return WIRE_END;
	w->label = (struct wire_bytes) { p + 2, bytes_get16(p) };
	p += 2 + w->label.n;
	w->hash = bytes_get64(p);
	w->priority = bytes_get16(p + 8);
	*at += WIRE_WAITER_BYTES + w->label.n;
	return WIRE_OK;
}

/* ---- what an item may say ---- */

bool wire_long_good(const struct wire_item *i)
{
	switch (i->type) {
	case WIRE_HELLO:
		return i->hello.label.n <= WIRE_LABEL_MAX;
	case WIRE_HELLO_R:
		return i->hello_r.epoch <= QUORUM_EPOCH_MAX && i->hello_r.state <= WIRE_SESSION_REFUSED &&
		       i->hello_r.refusal <= WIRE_REFUSED_DENIED && i->hello_r.config.n <= WIRE_CONFIG_MAX;
	case WIRE_OPEN:
		return i->open.name.n <= WIRE_NAME_MAX;
	case WIRE_RELEASE:
		return i->release.cause <= TENURE_BY_HEALTH && i->release.successor.n <= WIRE_TO_MAX;
	case WIRE_LIST_R:
		return i->list.name.n <= WIRE_NAME_MAX;
	case WIRE_VALUE:
		return i->value.value.n <= WIRE_VALUE_MAX;
	case WIRE_ASK:
	case WIRE_ASKED:
		return i->ask.to.n <= WIRE_TO_MAX;
	case WIRE_NAMES:
		return i->names.name.n <= WIRE_NAME_MAX;
	case WIRE_NAMES_R:
		return i->names.name.n <= WIRE_NAME_MAX && i->names.live <= WIRE_UNKNOWN;
	case WIRE_READ_R:
		return i->read_r.term <= QUORUM_TERM_MAX && i->read_r.lt <= QUORUM_TERM_MAX &&
		       i->read_r.live <= WIRE_UNKNOWN && i->read_r.cause <= TENURE_BY_HEALTH &&
		       i->read_r.label.n <= WIRE_LABEL_MAX && i->read_r.value.n <= WIRE_VALUE_MAX &&
		       i->read_r.n_waiters <= QUORUM_MAX_WAITERS;
	default:
		return false;
	}
}

/* ---- names, for messages: no tables, whose pointers a shared library would have to write at its start ---- */

const char *wire_type_name(unsigned type)
{
	switch (type) {
#define WIRE_X(name, n_bytes, has_handle, has_term, has_strings, rest)                                                 \
	case WIRE_##name:                                                                                              \
		return #name;
		WIRE_TABLE(WIRE_X)
#undef WIRE_X
	case WIRE_CFG_ACCEPT:
		return "CFG_ACCEPT";
	case WIRE_CFG_ADOPT:
		return "CFG_ADOPT";
	case WIRE_CFG_R:
		return "CFG_R";
	default:
		return "?";
	}
}

const char *wire_reason_name(unsigned reason)
{
	switch (reason) {
	case QUORUM_BY_TERM:
		return "term";
	case QUORUM_BY_HELD:
		return "held";
	case QUORUM_BY_HOLD:
		return "hold";
	case QUORUM_BY_QUIET:
		return "quiet";
	case QUORUM_BY_RELEASED:
		return "released";
	case QUORUM_BY_SESSION:
		return "session";
	case QUORUM_BY_TTL:
		return "ttl";
	case QUORUM_BY_DENIED:
		return "denied";
	case QUORUM_BY_CVER:
		return "cver";
	case QUORUM_BY_LIMIT:
		return "limit";
	default:
		return "?";
	}
}
