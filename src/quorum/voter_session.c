/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions: R28 to R31 as far as a voter keeps them. */
#include "base/error.h"
#include "quorum/voter_inside.h"

#define VOTER_RTT_FIRST_US 1000 /* before the first estimate */

uint32_t voter_session_find(const struct voter *v, const struct quorum_id *inc)
{
	uint32_t hash = voter_hash(v->hash_seed, inc->bytes, sizeof inc->bytes);
	uint32_t index = voter_table_first(&v->sessions_by_inc, hash);

	while (index && !quorum_id_equal(&voter_session_at(v, index)->inc, inc))
		index = voter_session_at(v, index)->by_inc.next;
	return index;
}

uint32_t voter_session_make(struct voter *v, const struct quorum_id *inc, uint64_t sid, struct instant end)
{
	struct voter_session *s;
	uint32_t index = v->sessions.n_used < v->limits.max_sessions && v->next_seq < UINT32_MAX
	                         ? voter_pool_take(&v->sessions)
	                         : 0;

	if (!index)
		return 0;
	s = voter_session_at(v, index);
	s->sid = sid ? sid : (uint64_t)v->disk.run << 32 | v->next_seq++; /* unique for ever, since `run` is durable */
	s->inc = *inc;
	s->end = end;
	s->hash = quorum_public_hash(inc);
	s->rtt_us = VOTER_RTT_FIRST_US;
	heap_node_init(&s->timer);
	heap_put(&v->session_timers, &s->timer, end.boot_ns);
	voter_table_put(&v->sessions_by_inc, index, voter_hash(v->hash_seed, inc->bytes, sizeof inc->bytes));
	return index;
}

static void voter_session_forget(struct voter *v, uint32_t index)
{
	struct voter_session *s = voter_session_at(v, index);

	heap_remove(&v->session_timers, &s->timer);
	voter_table_remove(&v->sessions_by_inc, index);
	if (s->peer)
		voter_peer_at(v, s->peer)->session = 0;
	voter_pool_give(&v->sessions, index);
}

/* R29: for good, and every slot that rides on it loses it at once. */
void voter_session_end(struct voter *v, uint32_t index, struct voter_now now)
{
	struct voter_session *s = voter_session_at(v, index);

	if (s->ended)
		return;
	s->ended = true;
	v->stats.expired_sessions++;
	while (s->att_head) {
		struct voter_election *e = voter_election_at(v, s->att_head);

		voter_election_detach(v, e);
		if (voter_election_free(v, e, now)) {
			if (!(e->flags & (VOTER_RELEASED | VOTER_ENDED)))
				voter_election_freed(v, e, TENURE_BY_EXPIRY, now);
		} else {
			voter_queue_rearm(v, e, now);
			if (e->refs == 0)
				voter_election_idle(v, voter_election_index(v, e));
		}
	}
	if (MUTANT(v, revive))
		heap_remove(&v->session_timers, &s->timer);
	else
		voter_session_forget(v, index);
}

void voter_session_expire(struct voter *v, struct voter_now now)
{
	while (heap_first_key(&v->session_timers) <= now.at.boot_ns) {
		struct voter_session *s = LIST_OF(v->session_timers.root, struct voter_session, timer);

		if (voter_over(v, s->end, now))
			voter_session_end(v, voter_session_find(v, &s->inc), now);
		else
			heap_put(&v->session_timers, &s->timer, voter_key_ns(s->end, now));
	}
}

uint64_t voter_session_rtt_ns(const struct voter *v, const struct voter_peer *p)
{
	return 1000 * (uint64_t)(p->session ? voter_session_at(v, p->session)->rtt_us : VOTER_RTT_FIRST_US);
}

/* The peer's session, if it is the one of this sid. */
static struct voter_session *voter_session_of(const struct voter_call *c, uint64_t sid)
{
	struct voter *v = c->v;
	struct voter_session *s = c->p->session ? voter_session_at(v, c->p->session) : NULL;

	if (s && s->sid == sid)
		return s;
	if (MUTANT(v, noepoch) && s && sid >> 32 != v->disk.run) {
		s->sid = sid;
		return s;
	}
	if (MUTANT(v, noepoch) && !s && sid >> 32 != v->disk.run) {
		uint32_t index = voter_session_make(v, &c->p->inc, sid, c->now.at);

		if (index) {
			c->p->session = index;
			s = voter_session_at(v, index);
			s->peer = c->p->index;
			return s;
		}
	}
	return NULL;
}

void voter_session_renew(const struct voter_call *c)
{
	struct voter *v = c->v;
	uint64_t sid = c->item->renew.sid;
	struct voter_session *s = voter_session_of(c, sid);
	uint32_t max_ms = voter_max_ttl_ms(v), asked_ms = c->item->renew.ttl_ms, rtt_us = c->item->renew.rtt_us;
	uint32_t ttl_ms = asked_ms > max_ms ? max_ms : asked_ms; /* R8 */
	struct wire_item r = { .type = WIRE_S_NAK };
	struct instant end;

	r.s.sid = sid;
	if (s && !s->ended && voter_over(v, s->end, c->now) && !MUTANT(v, noepoch)) {
		voter_session_end(v, c->p->session, c->now);
		s = MUTANT(v, revive) ? s : NULL;
	}
	if (!s) { /* R29: never revived. Those of another run are unknown, as are those of others */
		r.s.ended = sid >> 32 == v->disk.run && (uint32_t)sid < v->next_seq;
		voter_answer(v, c->p, &r);
		return;
	}
	end = instant_add(c->now.at, voter_ns(ttl_ms));
	s->end = MUTANT(v, shrink) ? end : instant_max(s->end, end); /* R8; its timer notices when it fires */
	if (s->ended || s->end.boot_ns < s->timer.key) {             /* dropped rules only */
		s->ended = false;
		heap_put(&v->session_timers, &s->timer, s->end.boot_ns);
	}
	s->rtt_us = rtt_us < QUORUM_RTT_MIN_US   ? QUORUM_RTT_MIN_US
	            : rtt_us > QUORUM_RTT_MAX_US ? QUORUM_RTT_MAX_US
	                                         : rtt_us;
	v->stats.renewals++;
	r.type = WIRE_S_ACK;
	r.s.ttl_ms = MUTANT(v, overttl) ? asked_ms : ttl_ms;
	r.s.attached_n = s->n_attached; /* R32: the audit; it is the candidate's to compare */
	voter_answer(v, c->p, &r);
}

/* What rides on the session; its own owner's only. An empty name ends the list. */
void voter_session_list(const struct voter_call *c)
{
	struct voter *v = c->v;
	const struct voter_session *s = c->p->session ? voter_session_at(v, c->p->session) : NULL;
	struct wire_item r = { .type = WIRE_LIST_R };
	uint32_t at = s && s->sid == c->item->list.sid ? s->att_head : 0;

	for (; at; at = voter_election_at(v, at)->att_next) {
		const struct voter_election *e = voter_election_at(v, at);

		r.term = e->lt;
		r.list.name = (struct wire_bytes) { (const uint8_t *)voter_election_name(e), e->name_bytes };
		voter_answer(v, c->p, &r);
	}
	r = (struct wire_item) { .type = WIRE_LIST_R };
	voter_answer(v, c->p, &r);
}

/* ---- HELLO ---- */

static struct wire_item voter_session_greeting(const struct voter *v, struct voter_now now)
{
	struct wire_item r = { .type = WIRE_HELLO_R };
	struct wire_hello_r *h = &r.hello_r;

	h->proto = WIRE_VERSION;
	h->vid = v->disk.vid;
	h->cluster = v->disk.cluster;
	h->epoch = v->disk.epoch;
	h->run = v->disk.run;
	h->max_ttl_ms = voter_max_ttl_ms(v);
	h->max_ttl_v_ms = voter_max_ttl_v_ms(v);
	h->hold_left_ms = voter_ms(instant_left_ns(v->hold_end, now.at));
	h->quiet_left_ms = voter_ms(instant_left_ns(v->quiet_end, now.at));
	h->cver = v->cver;
	return r;
}

int voter_session_refuse(struct voter *v, struct voter_peer *p, enum wire_refusal why, int code,
                         struct tenure_error *error, const char *message)
{
	struct wire_item r = voter_session_greeting(v, (struct voter_now) { 0 });

	r.hello_r.hold_left_ms = r.hello_r.quiet_left_ms = 0;
	r.hello_r.state = WIRE_SESSION_REFUSED;
	r.hello_r.refusal = (uint8_t)why;
	voter_answer(v, p, &r);
	return error_set(error, code, 0, "%s", message);
}

/* R28: a higher conn_no closes the older connection, a lower or equal one on another connection is refused. */
static int voter_session_newest(const struct voter_call *c, struct tenure_error *error)
{
	const struct wire_hello *h = &c->item->hello;
	struct voter *v = c->v;
	uint32_t other = voter_peer_find(v, &h->inc), session = voter_session_find(v, &h->inc);
	struct voter_peer *q = other ? voter_peer_at(v, other) : NULL;
	bool late = (q && q != c->p && h->conn_no <= q->conn_no) || (q == c->p && h->conn_no < q->conn_no) ||
	            (session && q != c->p && h->conn_no <= voter_session_at(v, session)->conn_no);

	if (late && !MUTANT(v, connno))
		return voter_session_refuse(
		        v, c->p, WIRE_REFUSED_CONN_NO, TENURE_EPROTO, error,
		        "a newer connection of the same candidate is known: this one came too late");
	if (q && q != c->p)
		voter_peer_close(v, q);
	return 0;
}

static void voter_session_join(const struct voter_call *c, struct wire_hello_r *r)
{
	const struct wire_hello *h = &c->item->hello;
	struct voter *v = c->v;
	uint32_t max_ms = voter_max_ttl_v_ms(v);
	uint32_t ttl_ms = h->ttl_v_ms == 0 || h->ttl_v_ms > max_ms ? max_ms : h->ttl_v_ms;
	uint32_t index = voter_session_find(v, &h->inc);
	struct voter_session *s;

	if (index && (voter_session_at(v, index)->ended || voter_over(v, voter_session_at(v, index)->end, c->now))) {
		voter_session_end(v, index, c->now);
		index = voter_session_find(v, &h->inc);
		if (index) /* kept by a dropped rule only */
			voter_session_forget(v, index);
		index = 0;
	}
	r->state = index ? WIRE_SESSION_RESUMED : WIRE_SESSION_NEW;
	if (!index)
		index = voter_session_make(v, &h->inc, 0, instant_add(c->now.at, voter_ns(ttl_ms)));
	if (!index) {
		r->state = WIRE_SESSION_REFUSED;
		r->refusal = WIRE_REFUSED_LIMIT;
		return;
	}
	s = voter_session_at(v, index);
	if (s->peer)
		voter_peer_at(v, s->peer)->session = 0;
	s->peer = c->p->index;
	s->conn_no = h->conn_no;
	s->label_bytes = (uint8_t)h->label.n;
	if (h->label.n)
		memcpy(s->label, h->label.data, h->label.n);
	c->p->session = index;
	r->sid = s->sid;
}

/* Others see it: what is no id is no label. It may be empty. */
static bool voter_session_label_good(struct wire_bytes label)
{
	char text[NAMES_ID_MAX_BYTES + 1];

	if (label.n == 0)
		return true;
	if (label.n >= sizeof text || memchr(label.data, 0, label.n))
		return false;
	memcpy(text, label.data, label.n);
	text[label.n] = 0;
	return names_id_fault(text) == NULL;
}

static void voter_session_greet(const struct voter_call *c)
{
	const struct wire_hello *h = &c->item->hello;
	struct voter_peer *p = c->p;

	if (!p->greeted) {
		p->greeted = true;
		p->inc = h->inc;
		p->hash = quorum_public_hash(&h->inc);
		voter_table_put(&c->v->peers_by_inc, p->index,
		                voter_hash(c->v->hash_seed, h->inc.bytes, sizeof h->inc.bytes));
	}
	p->conn_no = h->conn_no;
	p->label_bytes = (uint8_t)h->label.n;
	if (h->label.n)
		memcpy(p->label, h->label.data, h->label.n);
}

int voter_session_hello(const struct voter_call *c, struct tenure_error *error)
{
	const struct wire_hello *h = &c->item->hello;
	struct voter *v = c->v;
	struct wire_item r;
	int code;

	if (h->proto != WIRE_VERSION)
		return voter_session_refuse(v, c->p, WIRE_REFUSED_VERSION, TENURE_EVERSION, error,
		                            "HELLO of another protocol version");
	if (!quorum_id_is_none(&h->cluster) && !quorum_id_equal(&h->cluster, &v->disk.cluster))
		return voter_session_refuse(v, c->p, WIRE_REFUSED_CLUSTER, TENURE_ECLUSTER, error,
		                            "HELLO of a candidate of another cluster");
	if (quorum_id_is_none(&h->inc) || !voter_session_label_good(h->label) ||
	    (c->p->greeted && !quorum_id_equal(&h->inc, &c->p->inc)))
		return error_set(
		        error, TENURE_EPROTO, 0,
		        "HELLO without an incarnation or a proper label, or of another incarnation than before");
	code = voter_session_newest(c, error);
	if (code != 0)
		return code;
	voter_session_greet(c);
	r = voter_session_greeting(v, c->now);
	if (h->session)
		voter_session_join(c, &r.hello_r);
	if (h->cver < v->cver)
		r.hello_r.config = (struct wire_bytes) { v->config, v->n_config_bytes };
	voter_answer(v, c->p, &r);
	if (r.hello_r.state == WIRE_SESSION_REFUSED)
		return error_set(error, TENURE_ELIMIT, 0, "no more than %u sessions are kept", v->limits.max_sessions);
	return 0;
}
