/* SPDX-License-Identifier: Apache-2.0 */
/* Connections: rounds with their send times (R3), back-off, and the items that come in. */
#include "quorum/candidate_inside.h"

#include "base/error.h"

#define CANDIDATE_BACK_OFF_NS     UINT64_C(10000000)
#define CANDIDATE_BACK_OFF_MAX_NS UINT64_C(1000000000)
#define CANDIDATE_RESOLVE_NS      UINT64_C(5000000000)
#define CANDIDATE_SILENCE_NS      UINT64_C(200000000) /* a connection is given up after it at the earliest */

/* ---- sending ---- */

struct wire_out *candidate_connection_frame(struct candidate *c, struct candidate_peer *p)
{
	struct candidate_round *r;

	if (p->frame_open)
		return &p->out;
	/* One frame is one round. Its send time is that of its first item: before its bytes leave (R3). */
	p->round = p->round == UINT32_MAX ? 1 : p->round + 1;
	r = &p->rounds[p->round % CANDIDATE_ROUNDS];
	r->round = p->round;
	r->sent = c->now.at;
	wire_out_begin(&p->out, c->configured ? c->config.cver : p->cver, p->round);
	p->frame_open = true;
	c->frames_sent++;
	return &p->out;
}

void candidate_connection_put(struct candidate *c, struct candidate_peer *p, const struct wire_item *item)
{
	wire_out_put(candidate_connection_frame(c, p), item);
}

const struct instant *candidate_connection_sent(const struct candidate *c, const struct candidate_peer *p,
                                                uint32_t round)
{
	const struct candidate_round *r = &p->rounds[round % CANDIDATE_ROUNDS];

	if (round == 0 || r->round != round || (round < p->first_round && !MUTANT(c, oldconn)))
		return NULL;
	return MUTANT(c, lastsend) ? &p->rounds[p->round % CANDIDATE_ROUNDS].sent : &r->sent;
}

struct wire_out *candidate_out(struct candidate *c, unsigned voter)
{
	struct candidate_peer *p = &c->peers[voter];

	if (p->link != CANDIDATE_GREETING && p->link != CANDIDATE_UP)
		return NULL;
	wire_out_close(&p->out);
	p->frame_open = false; /* what follows is another round, with a send time of its own */
	return wire_out_pending(&p->out) > 0 ? &p->out : NULL;
}

void candidate_connection_hello(struct candidate *c, struct candidate_peer *p)
{
	wire_out_close(&p->out);
	p->frame_open = false;
	candidate_connection_put(
	        c, p,
	        &(struct wire_item) { .type = WIRE_HELLO,
	                              .hello = { .proto = WIRE_VERSION,
	                                         .inc = c->inc,
	                                         .cluster = c->cluster,
	                                         .label = { (const uint8_t *)c->label, strlen(c->label) },
	                                         .conn_no = p->conn_no,
	                                         .session = !c->observer && !c->plain,
	                                         .want_sid = p->sid,
	                                         .ttl_v_ms = (uint32_t)(candidate_ttl_v_now_ns(c) / QUORUM_NS_PER_MS),
	                                         .cver = c->configured ? c->config.cver : 0 } });
	wire_out_close(&p->out);
	p->frame_open = false;
}

/* ---- connecting ---- */

bool candidate_next_command(struct candidate *c, struct candidate_command *out)
{
	CANDIDATE_EACH_PEER(c, p)
	{
		if (!p->wants_disconnect && !p->wants_connect)
			continue;
		out->voter = p->v;
		out->kind = p->wants_disconnect ? CANDIDATE_DISCONNECT : CANDIDATE_CONNECT;
		if (p->wants_disconnect)
			p->wants_disconnect = false;
		else
			p->wants_connect = false;
		return true;
	}
	return false;
}

void candidate_connected(struct candidate *c, unsigned voter, struct candidate_now now)
{
	struct candidate_peer *p = &c->peers[voter];

	candidate_enter_call(c, now);
	if (p->link != CANDIDATE_CONNECTING)
		return;
	p->link = CANDIDATE_GREETING;
	p->connected_ns = p->heard_ns = p->unanswered_ns = now.at.boot_ns;
	/* R28. An address of a voter that another address leads to must not take that one's place. */
	if (!p->duplicate)
		p->conn_no++;
	wire_out_reset(&p->out);
	p->frame_open = false;
	p->first_round = p->round + 1;
	p->n_opened = 0;
	candidate_connection_hello(c, p);
}

/* At once after a first break, then 10 ms, doubling to 1 s, with jitter. */
static uint64_t candidate_connection_back_off(struct candidate *c, struct candidate_peer *p)
{
	uint64_t wait_ns;

	if (p->fails == 0)
		return 0;
	wait_ns = p->fails > 7 ? CANDIDATE_BACK_OFF_MAX_NS : CANDIDATE_BACK_OFF_NS << (p->fails - 1);
	wait_ns = candidate_sooner(wait_ns, CANDIDATE_BACK_OFF_MAX_NS);
	return wait_ns / 2 + candidate_random(c, wait_ns / 2);
}

static void candidate_connection_down(struct candidate *c, struct candidate_peer *p, const struct tenure_error *why)
{
	uint64_t now_ns = c->now.at.boot_ns;
	bool was_up = p->link == CANDIDATE_UP;

	if (was_up && now_ns - p->connected_ns >= CANDIDATE_BACK_OFF_MAX_NS)
		p->fails = 0;
	if (!was_up && p->fails == 0)
		p->fails = 1; /* nothing broke: it never stood */
	if (p->useful || !p->tried)
		p->down_ns = now_ns;
	p->link = CANDIDATE_IDLE;
	p->tried = true;
	p->useful = false;
	p->wants_connect = false;
	p->connect_at_ns = c->failed ? CANDIDATE_NEVER_NS : now_ns + candidate_connection_back_off(c, p);
	p->fails++;
	p->renew_at_ns = p->unanswered_ns = CANDIDATE_NEVER_NS;
	p->listing = 0;
	wire_out_reset(&p->out);
	p->frame_open = false;
	if (why)
		error_copy(&p->why, why);
	else
		(void)error_set(&p->why, TENURE_EUNREACHABLE, 0, "the connection was closed");
	/* R14: no lease ends by that; covers and masks stay. Its waiters WAIT again on the next connection (R33). */
	candidate_call_gone(c, p);
	candidate_voters_judge(c);
}

void candidate_connection_abandon(struct candidate *c, struct candidate_peer *p, const struct tenure_error *why)
{
	if (p->link == CANDIDATE_IDLE)
		return;
	p->wants_disconnect = !p->wants_connect; /* else it was never begun */
	candidate_connection_down(c, p, why);
}

void candidate_disconnected(struct candidate *c, unsigned voter, struct candidate_now now,
                            const struct tenure_error *why)
{
	struct candidate_peer *p = &c->peers[voter];

	candidate_enter_call(c, now);
	if (p->link == CANDIDATE_IDLE || p->wants_connect)
		return;
	candidate_connection_down(c, p, why);
	candidate_connection_tick(c);
	candidate_voters_health(c);
}

/* What was asked is not answered for so long that the connection itself is in doubt. */
static uint64_t candidate_connection_silence_ns(const struct candidate *c)
{
	uint64_t most_ns = candidate_heartbeat_ns(c), retry_ns = 4 * candidate_retry_ns(c);

	if (retry_ns > most_ns)
		most_ns = retry_ns;
	return most_ns > CANDIDATE_SILENCE_NS ? most_ns : CANDIDATE_SILENCE_NS;
}

/*
 * Of a connection that does not stand yet too: the kernel repeats a lost SYN after 1, 3, 7 s, long after the network is
 * back. A name may take longer, to be resolved.
 */
static uint64_t candidate_connection_limit_ns(const struct candidate *c, const struct candidate_peer *p)
{
	const char *address = c->addresses ? c->addresses[p->v] : "";
	bool named = address[0] != '[' && strspn(address, "0123456789.:") != strlen(address);

	return candidate_connection_silence_ns(c) +
	       (named && p->link == CANDIDATE_CONNECTING ? CANDIDATE_RESOLVE_NS : 0);
}

static void candidate_connection_tick_one(struct candidate *c, struct candidate_peer *p)
{
	uint64_t now_ns = c->now.at.boot_ns;
	struct tenure_error error = { .struct_size = sizeof error };

	if (p->link == CANDIDATE_IDLE) {
		if (p->connect_at_ns > now_ns || p->wants_disconnect)
			return;
		p->link = CANDIDATE_CONNECTING;
		p->wants_connect = true;
		p->connect_at_ns = CANDIDATE_NEVER_NS;
		p->unanswered_ns = now_ns;
		return;
	}
	if (p->unanswered_ns != CANDIDATE_NEVER_NS &&
	    now_ns >= p->unanswered_ns + candidate_connection_limit_ns(c, p)) {
		(void)error_set(&error, TENURE_EUNREACHABLE, 0, "it does not answer");
		candidate_connection_abandon(c, p, &error);
	} else if (p->out.failed || wire_out_pending(&p->out) > CANDIDATE_MAX_UNSENT) {
		(void)error_set(&error, TENURE_ENOMEM, 0, "it reads more slowly than there is to send");
		candidate_connection_abandon(c, p, &error);
	} else if (p->link == CANDIDATE_UP && p->renew_at_ns <= now_ns) {
		candidate_heartbeat_session(c, p);
	}
}

void candidate_connection_tick(struct candidate *c)
{
	if (c->failed)
		return;
	CANDIDATE_EACH_PEER(c, p)
	candidate_connection_tick_one(c, p);
}

uint64_t candidate_connection_next_ns(const struct candidate *c)
{
	uint64_t at_ns = CANDIDATE_NEVER_NS;

	for (unsigned v = 0; v < c->n_addresses; v++) {
		const struct candidate_peer *p = &c->peers[v];

		if (p->link == CANDIDATE_IDLE) {
			at_ns = candidate_sooner(at_ns, p->connect_at_ns);
			continue;
		}
		at_ns = candidate_sooner(at_ns, p->renew_at_ns);
		if (p->unanswered_ns != CANDIDATE_NEVER_NS)
			at_ns = candidate_sooner(at_ns, p->unanswered_ns + candidate_connection_limit_ns(c, p));
	}
	return at_ns;
}

/* ---- receiving ---- */

static void candidate_connection_refused(struct candidate *c, struct candidate_peer *p, uint8_t refusal)
{
	struct tenure_error error = { .struct_size = sizeof error };

	p->foreign = refusal == WIRE_REFUSED_CLUSTER;
	p->old = refusal == WIRE_REFUSED_VERSION;
	switch (refusal) {
	case WIRE_REFUSED_CLUSTER:
		(void)error_set(&error, TENURE_ECLUSTER, 0, "it belongs to another cluster");
		break;
	case WIRE_REFUSED_VERSION:
		(void)error_set(&error, TENURE_EVERSION, 0, "it speaks another version of the protocol");
		break;
	case WIRE_REFUSED_LIMIT:
		(void)error_set(&error, TENURE_ELIMIT, 0, "it has no room for another session");
		break;
	case WIRE_REFUSED_DENIED:
		(void)error_set(&error, TENURE_EDENIED, 0, "it denies this identity");
		break;
	default:
		(void)error_set(&error, TENURE_EUNREACHABLE, 0, "%s",
		                p->duplicate ? "it is the voter of another address, too"
		                             : "it still serves a newer connection of this process");
		break;
	}
	candidate_connection_abandon(c, p, &error);
}

static int candidate_connection_hello_r(struct candidate *c, struct candidate_peer *p, const struct wire_item *i)
{
	const struct wire_hello_r *r = &i->hello_r;

	p->duplicate = false;
	CANDIDATE_EACH_PEER(c, o)
	if (o != p && o->link == CANDIDATE_UP && quorum_id_equal(&o->vid, &r->vid) && !quorum_id_is_none(&r->vid))
		p->duplicate = true;
	p->tried = true;
	if (r->state == WIRE_SESSION_REFUSED) {
		candidate_connection_refused(c, p, r->refusal);
		return 0;
	}
	if (p->duplicate) {
		candidate_connection_refused(c, p, WIRE_REFUSED_CONN_NO);
		return 0;
	}
	p->link = CANDIDATE_UP;
	p->foreign = p->old = false;
	p->unanswered_ns = CANDIDATE_NEVER_NS;
	candidate_voters_greeted(c, p, r);
	return 0;
}

static void candidate_connection_of_election(struct candidate *c, struct candidate_peer *p, const struct wire_item *i,
                                             uint32_t round)
{
	struct candidate_election *e = candidate_election_of(c, p, i->handle, round);

	if (!e)
		return;
	switch (i->type) {
	case WIRE_OPEN_R:
		e->parts[p->v].open_heard = true;
		break;
	case WIRE_PRE_R:
		candidate_queue_pre_r(e, p, i);
		break;
	case WIRE_ACK:
		if (i->ack.of == WIRE_VOTE)
			candidate_campaign_ack(e, p, i, round);
		else
			candidate_heartbeat_renew_ack(e, p, i, round);
		break;
	case WIRE_ATT_ACK:
		candidate_heartbeat_att_ack(e, p, i, round);
		break;
	case WIRE_NAK:
		if (i->nak.of == WIRE_VOTE)
			candidate_campaign_nak(e, p, i);
		else
			candidate_heartbeat_nak(e, p, i);
		break;
	case WIRE_REL_OK:
		candidate_release_ok(e, p, i);
		return; /* it may be gone */
	case WIRE_QUEUED:
		candidate_queue_queued(e, p, i);
		break;
	case WIRE_NUDGE:
		candidate_queue_nudge(e, p, i);
		break;
	case WIRE_VALUE_OK:
		if (i->term == e->term)
			e->value_wait &= (uint16_t)~candidate_bit(p);
		break;
	case WIRE_ASK_OK:
		candidate_call_ask_ok(e, p, i);
		break;
	case WIRE_ASKED:
		if (i->term != e->term || !e->granted || e->over || i->ask.to.n >= sizeof e->asked_to ||
		    (e->asked_term == i->term && strlen(e->asked_to) == i->ask.to.n &&
		     memcmp(e->asked_to, i->ask.to.data, i->ask.to.n) == 0))
			break; /* of another tenure, or told already */
		e->asked_term = i->term;
		memset(e->asked_to, 0, sizeof e->asked_to);
		if (i->ask.to.n > 0)
			memcpy(e->asked_to, i->ask.to.data, i->ask.to.n);
		candidate_election_tell(e, CANDIDATE_TELL_ASKED);
		break;
	case WIRE_READ_R:
		candidate_call_read_r(e, p, i, round);
		break;
	default:
		break;
	}
	candidate_election_arm(e);
}

/* Asked for by us, or pushed; anything else is for a voter only. */
static bool candidate_connection_is_answer(uint8_t type)
{
	switch (type) {
	case WIRE_OPEN_R:
	case WIRE_PRE_R:
	case WIRE_ACK:
	case WIRE_ATT_ACK:
	case WIRE_NAK:
	case WIRE_REL_OK:
	case WIRE_QUEUED:
	case WIRE_NUDGE:
	case WIRE_VALUE_OK:
	case WIRE_ASK_OK:
	case WIRE_ASKED:
	case WIRE_READ_R:
		return true;
	default:
		return false;
	}
}

static int candidate_connection_item(struct candidate *c, struct candidate_peer *p, const struct wire_item *i,
                                     uint32_t round)
{
	if (i->type == WIRE_HELLO_R)
		return candidate_connection_hello_r(c, p, i);
	if (p->link != CANDIDATE_UP)
		return TENURE_EPROTO; /* its HELLO_R comes first */
	switch (i->type) {
	case WIRE_S_ACK:
		candidate_heartbeat_s_ack(c, p, i, round);
		return 0;
	case WIRE_S_NAK:
		candidate_heartbeat_s_nak(c, p, i);
		return 0;
	case WIRE_LIST_R:
		candidate_heartbeat_listed(c, p, i);
		return 0;
	case WIRE_NAMES_R:
		candidate_call_names_r(c, p, i, round);
		return 0;
	case WIRE_CFG_R:
		return 0;
	default:
		break;
	}
	if (!candidate_connection_is_answer(i->type))
		return TENURE_EPROTO;
	if (p->useful) /* 12.1: members only */
		candidate_connection_of_election(c, p, i, round);
	return 0;
}

static int candidate_connection_frame_in(struct candidate *c, struct candidate_peer *p, struct wire_frame *f)
{
	struct wire_item item;
	int code;

	c->frames_received++;
	p->heard_ns = c->now.at.boot_ns;
	if (f->round != 0 && f->round < p->first_round && !MUTANT(c, oldconn))
		return 0; /* R28: an answer to an older connection */
	if (p->link == CANDIDATE_UP)
		candidate_heartbeat_rtt(c, p, f->round);
	for (;;) {
		code = wire_frame_item(f, &item);
		if (code != WIRE_OK)
			return code == WIRE_END ? 0 : code;
		code = candidate_connection_item(c, p, &item, f->round);
		if (code || p->link == CANDIDATE_IDLE)
			return code;
	}
}

int candidate_receive(struct candidate *c, unsigned voter, struct candidate_now now, const uint8_t *bytes,
                      size_t n_bytes, size_t *n_consumed, struct tenure_error *error)
{
	struct candidate_peer *p = &c->peers[voter];
	struct tenure_error why = { .struct_size = sizeof why };
	int code = 0;

	candidate_enter_call(c, now);
	candidate_group_sweep(c); /* R20: what the clock says comes before what the bytes say */
	*n_consumed = 0;
	while (code == 0 && (p->link == CANDIDATE_GREETING || p->link == CANDIDATE_UP)) {
		struct wire_frame f;
		size_t n_frame_bytes = 0;

		code = wire_frame_read(&f, bytes + *n_consumed, n_bytes - *n_consumed, &n_frame_bytes);
		if (code == WIRE_MORE)
			break;
		if (code == WIRE_OK)
			code = candidate_connection_frame_in(c, p, &f);
		if (code == 0)
			*n_consumed += n_frame_bytes;
	}
	if (code < 0) {
		p->old = code == TENURE_EVERSION;
		(void)error_set(&why, code, 0, "%s",
		                p->old ? "it speaks another version of the protocol"
		                       : "it does not speak Tenure's protocol: is this the address of a voter?");
		error_copy(error, &why);
		candidate_connection_abandon(c, p, &why);
	}
	if (p->link == CANDIDATE_IDLE)
		*n_consumed = n_bytes;
	candidate_connection_tick(c);
	candidate_voters_health(c);
	return code < 0 ? code : 0;
}
