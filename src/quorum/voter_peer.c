/* SPDX-License-Identifier: Apache-2.0 */
/* Connections: frames in, items served one after the other, answers and pushes out. */
#include <stdlib.h>

#include "base/error.h"
#include "quorum/voter_inside.h"

/* ---- what is said ---- */

static void voter_peer_put(struct voter *v, struct voter_peer *p, const struct wire_item *item, uint32_t round)
{
	if (p->closing)
		return;
	wire_out_begin(&p->out, v->cver, round);
	wire_out_put(&p->out, item);
	if (list_empty(&p->dirty))
		list_append(&v->dirty, &p->dirty);
}

void voter_answer(struct voter *v, struct voter_peer *p, const struct wire_item *item)
{
	voter_peer_put(v, p, item, p->round);
}

void voter_push(struct voter *v, struct voter_peer *p, const struct wire_item *item)
{
	voter_peer_put(v, p, item, 0);
	if (p->out.failed || p->out.end - p->out.begin > v->limits.max_out_bytes)
		voter_peer_close(v, p); /* it does not read */
}

void voter_nak(const struct voter_call *c, enum quorum_reason reason, uint64_t voted)
{
	const struct voter_extra *x;
	struct wire_item r = { .type = WIRE_NAK, .handle = c->item->handle, .term = c->item->term };
	uint64_t hold_ns = instant_left_ns(c->v->hold_end, c->now.at), left_ns;

	c->v->stats.refused_by_limit += reason == QUORUM_BY_LIMIT;
	r.nak.of = c->item->type;
	r.nak.reason = (uint8_t)reason;
	r.nak.voted = voted;
	left_ns = voter_election_left_ns(c->v, c->e, c->now);
	if (left_ns > 0)
		r.nak.holder = voter_election_holder(c->v, c->e);
	x = voter_extra_of(c->v, c->e);
	if (c->item->type == WIRE_VOTE) {
		uint64_t kept_ns = voter_queue_reserved_ns(c->v, c->e, &c->p->inc, c->now);

		left_ns = left_ns > kept_ns ? left_ns : kept_ns;
		left_ns = left_ns > hold_ns ? left_ns : hold_ns;
	} else if (reason == QUORUM_BY_QUIET) {
		left_ns = instant_left_ns(c->v->quiet_end, c->now.at);
	}
	r.nak.free_in_ms = voter_ms(left_ns);
	r.nak.waiting_n = x ? x->n_waiters : 0;
	voter_answer(c->v, c->p, &r);
}

void voter_peer_deny(struct voter *v, struct voter_peer *p, uint32_t handle, enum quorum_reason reason)
{
	struct wire_item r = { .type = WIRE_OPEN_R, .handle = handle };

	r.open_r.reason = (uint8_t)reason;
	voter_answer(v, p, &r);
}

void voter_settle(struct voter *v, struct voter_now now)
{
	while (!list_empty(&v->changed)) {
		struct voter_extra *x = LIST_OF(v->changed.next, struct voter_extra, changed);

		list_remove(&x->changed);
		voter_view_push(v, x, now);
	}
}

/* ---- connections ---- */

uint32_t voter_peer_find(const struct voter *v, const struct quorum_id *inc)
{
	uint32_t hash = voter_hash(v->hash_seed, inc->bytes, sizeof inc->bytes);
	uint32_t index = voter_table_first(&v->peers_by_inc, hash);

	while (index && (voter_peer_at(v, index)->closing || !quorum_id_equal(&voter_peer_at(v, index)->inc, inc)))
		index = voter_peer_at(v, index)->by_inc.next;
	return index;
}

struct voter_peer *voter_accept(struct voter *v, void *user, struct voter_now now)
{
	uint32_t index = v->peers.n_used < v->limits.max_peers ? voter_pool_take(&v->peers) : 0;
	struct voter_peer *p;

	(void)now;
	if (!index)
		return NULL;
	p = voter_peer_at(v, index);
	p->index = index;
	p->user = user;
	p->used = true;
	wire_out_init(&p->out);
	list_init(&p->dirty);
	list_init(&p->closing_list);
	list_init(&p->waiting);
	return p;
}

/* What the handle meant is meant no more, waits no more, watches no more. */
static void voter_peer_shut(struct voter *v, struct voter_peer *p, struct voter_handle *h, struct voter_now now)
{
	uint32_t election = h->election;

	if (!election)
		return;
	voter_queue_unwait(v, p, h, now);
	voter_view_unwatch(v, p, h);
	h->election = 0;
	voter_election_unref(v, election);
}

/* Its waiters are dropped with it (R33). */
static void voter_peer_forget_handles(struct voter *v, struct voter_peer *p, struct voter_now now)
{
	for (uint32_t i = 0; i < p->n_handles; i++)
		voter_peer_shut(v, p, &p->handles[i], now);
	free(p->handles);
	p->handles = NULL;
	p->n_handles = p->room = 0;
}

void voter_drop(struct voter *v, struct voter_peer *p, struct voter_now now)
{
	uint32_t session;

	p->closing = true;
	voter_peer_forget_handles(v, p, now);
	session = p->session;
	if (session) {
		voter_session_at(v, session)->peer = 0; /* R14: it lives on */
		p->session = 0;
		if (MUTANT(v, connreset))
			voter_session_end(v, session, now);
	}
	if (p->greeted)
		voter_table_remove(&v->peers_by_inc, p->index);
	list_remove(&p->dirty);
	list_remove(&p->closing_list);
	list_remove(&p->waiting);
	wire_out_deinit(&p->out);
	voter_pool_give(&v->peers, p->index);
	voter_settle(v, now);
}

void *voter_peer_user(const struct voter_peer *p)
{
	return p->user;
}

void voter_peer_close(struct voter *v, struct voter_peer *p)
{
	if (!p->closing)
		list_append(&v->closing, &p->closing_list);
	wire_out_close(&p->out);
	p->closing = true;
}

struct voter_peer *voter_next_to_close(struct voter *v)
{
	struct list *first = v->closing.next;

	if (list_empty(&v->closing))
		return NULL;
	list_remove(first);
	return LIST_OF(first, struct voter_peer, closing_list);
}

struct voter_peer *voter_next_to_send(struct voter *v)
{
	while (!list_empty(&v->dirty) && (!v->frozen || MUTANT(v, snapserve))) {
		struct voter_peer *p = LIST_OF(v->dirty.next, struct voter_peer, dirty);

		list_remove(&p->dirty);
		wire_out_close(&p->out);
		if (wire_out_pending(&p->out) > 0)
			return p;
	}
	return NULL;
}

struct wire_out *voter_peer_out(struct voter_peer *p)
{
	return &p->out;
}

bool voter_peer_waits(const struct voter_peer *p)
{
	return p->waits;
}

/* ---- handles ---- */

struct voter_handle *voter_peer_handle(const struct voter_peer *p, uint32_t handle)
{
	return handle < p->n_handles && p->handles[handle].election ? &p->handles[handle] : NULL;
}

static int voter_peer_room(struct voter_peer *p, uint32_t handle, struct tenure_error *error)
{
	struct voter_handle *handles;
	uint32_t room = p->room ? p->room : 4;

	if (handle >= p->n_handles + QUORUM_HANDLE_GAP || handle >= QUORUM_MAX_ELECTIONS)
		return error_set(error, TENURE_EPROTO, 0, "OPEN of handle %u where %u are open: they are dense", handle,
		                 p->n_handles);
	while (room <= handle)
		room *= 2;
	if (room > p->room) {
		handles = reallocarray(p->handles, room, sizeof *handles);
		if (!handles)
			return error_set(error, TENURE_ENOMEM, 0, "no memory for %u handles of a connection", room);
		memset(handles + p->room, 0, (room - p->room) * sizeof *handles);
		p->handles = handles;
		p->room = room;
	}
	if (handle >= p->n_handles)
		p->n_handles = handle + 1;
	return 0;
}

static bool voter_peer_name_good(struct wire_bytes name)
{
	char text[NAMES_ELECTION_ROOM];

	if (name.n == 0 || name.n >= sizeof text || memchr(name.data, 0, name.n))
		return false;
	memcpy(text, name.data, name.n);
	text[name.n] = 0;
	return names_election_fault(text) == NULL;
}

static int voter_peer_open(const struct voter_call *c, struct tenure_error *error)
{
	struct voter *v = c->v;
	struct voter_peer *p = c->p;
	struct wire_bytes name = c->item->open.name;
	struct wire_item r = { .type = WIRE_OPEN_R, .handle = c->item->handle };
	uint32_t index;
	struct voter_handle *h;
	int code = voter_peer_room(p, c->item->handle, error);

	if (code != 0)
		return code;
	h = &p->handles[c->item->handle];
	if (!voter_peer_name_good(name)) {
		voter_peer_shut(v, p, h, c->now);
		voter_peer_deny(v, p, c->item->handle, QUORUM_BY_DENIED);
		return 0;
	}
	index = voter_election_find(v, (const char *)name.data, name.n);
	if (!index)
		index = voter_election_make(v, (const char *)name.data, name.n, c->now);
	if (!index) {
		voter_peer_shut(v, p, h, c->now);
		voter_peer_deny(v, p, c->item->handle, QUORUM_BY_LIMIT);
		return 0;
	}
	if (index != h->election) {
		voter_election_ref(v, index);
		voter_peer_shut(v, p, h, c->now); /* it is opened again for another name */
		h->election = index;
	}
	r.open_r.ok = true;
	voter_answer(v, p, &r);
	if (quorum_id_equal(&voter_election_at(v, index)->lc, &p->inc)) { /* a session that was resumed */
		voter_election_at(v, index)->lc_handle = c->item->handle;
		voter_view_ask_again(v, voter_election_at(v, index));
	}
	return 0;
}

/* ---- items ---- */

/* What concerns one election. VOTER_OK, VOTER_WAITS, TENURE_EPROTO. */
static int voter_peer_serve_election(const struct voter_call *c)
{
	struct voter_handle *h = voter_peer_handle(c->p, c->item->handle);

	switch (c->item->type) {
	case WIRE_PRE:
		voter_lease_pre(c);
		break;
	case WIRE_VOTE:
		return voter_lease_vote(c);
	case WIRE_RENEW:
		return voter_lease_renew(c);
	case WIRE_ATTACH:
		return voter_lease_attach(c);
	case WIRE_RELEASE:
		voter_lease_release(c);
		break;
	case WIRE_WAIT:
		voter_queue_wait(c);
		break;
	case WIRE_UNWAIT:
		voter_queue_unwait(c->v, c->p, h, c->now);
		break;
	case WIRE_VALUE:
		voter_view_value(c);
		break;
	case WIRE_ASK:
		voter_view_ask(c);
		break;
	case WIRE_READ:
		voter_view_read(c);
		break;
	case WIRE_WATCH:
		voter_view_watch(c);
		break;
	case WIRE_UNWATCH:
		voter_view_unwatch(c->v, c->p, h);
		break;
	default:
		return TENURE_EPROTO; /* what only voters say, or nobody yet */
	}
	return VOTER_OK;
}

static bool voter_peer_is_lease(unsigned type)
{
	return type == WIRE_VOTE || type == WIRE_RENEW || type == WIRE_ATTACH;
}

static bool voter_peer_concerns_election(unsigned type)
{
	switch (type) {
	case WIRE_PRE:
	case WIRE_VOTE:
	case WIRE_RENEW:
	case WIRE_ATTACH:
	case WIRE_RELEASE:
	case WIRE_WAIT:
	case WIRE_UNWAIT:
	case WIRE_VALUE:
	case WIRE_ASK:
	case WIRE_READ:
	case WIRE_WATCH:
	case WIRE_UNWATCH:
		return true;
	default:
		return false;
	}
}

static int voter_peer_serve(struct voter_call *c, struct tenure_error *error)
{
	struct voter_handle *h;
	int code;

	if (c->item->type == WIRE_HELLO)
		return voter_session_hello(c, error);
	if (!c->p->greeted)
		return error_set(error, TENURE_EPROTO, 0, "%s before HELLO", wire_type_name(c->item->type));
	switch (c->item->type) {
	case WIRE_OPEN:
		return voter_peer_open(c, error);
	case WIRE_SESSION_RENEW:
		voter_session_renew(c);
		return VOTER_OK;
	case WIRE_LIST:
		voter_session_list(c);
		return VOTER_OK;
	case WIRE_NAMES:
		voter_view_names(c);
		return VOTER_OK;
	default:
		break;
	}
	if (!voter_peer_concerns_election(c->item->type))
		return error_set(error, TENURE_EPROTO, 0, "%s is nothing that a voter is asked",
		                 wire_type_name(c->item->type));
	h = voter_peer_handle(c->p, c->item->handle);
	if (!h) {
		voter_peer_deny(c->v, c->p, c->item->handle, QUORUM_BY_DENIED);
		return VOTER_OK;
	}
	c->e = voter_election_at(c->v, h->election);
	/* R38: a lease counts under one configuration, and only a member of it grants one. */
	if (voter_peer_is_lease(c->item->type) && (c->p->cver != c->v->cver || !c->v->member)) {
		voter_nak(c, QUORUM_BY_CVER, c->e->term);
		return VOTER_OK;
	}
	code = voter_peer_serve_election(c);
	return code < 0 ? error_set(error, code, 0, "a malformed request") : code;
}

/* One frame, from where it was left. VOTER_OK, VOTER_WAITS, or an error. */
static int voter_peer_frame(struct voter *v, struct voter_peer *p, struct voter_now now, struct wire_frame *f,
                            struct tenure_error *error)
{
	struct wire_item item;
	struct voter_call call = { .v = v, .p = p, .item = &item, .now = now };

	p->round = f->round;
	p->cver = f->cver;
	p->n_searched = 0;
	if (p->resume_read > 0 || p->resumed) {
		f->at = p->resume_at;
		f->n_read = p->resume_read;
	}
	for (;;) {
		size_t at = f->at;
		unsigned n_read = f->n_read;
		int code = wire_frame_item(f, &item);

		if (code == WIRE_END)
			break;
		if (code < 0)
			return error_set(error, code, 0, "item %u of a frame is malformed", n_read);
		call.e = NULL;
		v->stats.items++;
		code = voter_peer_serve(&call, error);
		if (code == VOTER_WAITS) { /* R22: this item, and all that comes behind it */
			v->stats.items--;
			p->resume_at = at;
			p->resume_read = n_read;
			p->resumed = p->waits = true;
			list_append(&v->waiting, &p->waiting);
			return VOTER_WAITS;
		}
		p->resumed = false;
		if (code != VOTER_OK)
			return code;
		if (p->closing)
			return VOTER_OK;
		if (p->out.failed)
			return error_set(error, TENURE_ENOMEM, 0, "no memory for the answers to a connection");
		if (p->out.end - p->out.begin > v->limits.max_out_bytes)
			return error_set(error, TENURE_ELIMIT, 0,
			                 "a connection asks faster than it reads: %zu bytes wait for it",
			                 p->out.end - p->out.begin);
	}
	p->resume_at = 0;
	p->resume_read = 0;
	v->stats.frames++;
	return VOTER_OK;
}

static int voter_peer_frames(struct voter *v, struct voter_peer *p, struct voter_now now, const uint8_t *bytes,
                             size_t n_bytes, size_t *n_consumed, struct tenure_error *error)
{
	while (!p->closing) {
		struct wire_frame f;
		size_t n_frame;
		int code = wire_frame_read(&f, bytes + *n_consumed, n_bytes - *n_consumed, &n_frame);

		if (code == WIRE_MORE)
			return VOTER_OK;
		if (code == TENURE_EVERSION)
			return voter_session_refuse(v, p, WIRE_REFUSED_VERSION, code, error,
			                            "a frame of another version");
		if (code != WIRE_OK)
			return error_set(error, code, 0, "bytes that are no frame");
		code = voter_peer_frame(v, p, now, &f, error);
		if (code != VOTER_OK)
			return code;
		*n_consumed += n_frame;
	}
	*n_consumed = n_bytes; /* R28: an older connection's frames are not processed any more */
	return VOTER_OK;
}

int voter_receive(struct voter *v, struct voter_peer *p, struct voter_now now, const uint8_t *bytes, size_t n_bytes,
                  size_t *n_consumed, struct tenure_error *error)
{
	int code;

	*n_consumed = 0;
	if (v->frozen && !MUTANT(v, snapserve))
		return VOTER_WAITS; /* R25 */
	if (p->waits)
		return VOTER_WAITS;
	voter_session_expire(v, now);
	code = voter_peer_frames(v, p, now, bytes, n_bytes, n_consumed, error);
	if (code < 0) {
		v->stats.bad_frames++;
		p->closing = true; /* what is in its buffer is sent by the caller, and it is closed */
		wire_out_close(&p->out);
	}
	voter_settle(v, now);
	return code;
}
