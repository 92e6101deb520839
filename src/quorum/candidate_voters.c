/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who counts as a voter (12.1): members of the configuration that q of them report, each once. Whether q answer, and what is
 * to be said when they don't.
 */
#include "quorum/candidate_inside.h"

#include "base/buf.h"
#include "base/error.h"
#include "base/text.h"

static bool candidate_voters_agree(const struct candidate_peer *a, const struct candidate_peer *b)
{
	return quorum_id_equal(&a->cluster, &b->cluster) && a->epoch == b->epoch && a->cver == b->cver;
}

/* How many members of its configuration report it. */
static unsigned candidate_voters_support(const struct candidate *c, const struct candidate_peer *of)
{
	unsigned n = 0;

	for (unsigned v = 0; v < c->n_addresses; v++) {
		const struct candidate_peer *p = &c->peers[v];

		n += p->link == CANDIDATE_UP && candidate_voters_agree(p, of) &&
		     quorum_config_find(&of->config, &p->vid) >= 0;
	}
	return n;
}

static void candidate_voters_adopt(struct candidate *c)
{
	const struct candidate_peer *best = NULL;

	if (c->configured && c->n_led > 0)
		return; /* R40: what leads carries nothing over by itself */
	CANDIDATE_EACH_PEER(c, p)
	if (p->link == CANDIDATE_UP && p->has_config &&
	    candidate_voters_support(c, p) >= quorum_majority(p->config.n_members) &&
	    (!best || p->epoch > best->epoch || p->cver > best->cver))
		best = p;
	if (!best || (c->configured && quorum_id_equal(&c->cluster, &best->cluster) && c->epoch == best->epoch &&
	              c->config.cver >= best->cver))
		return;
	if (c->configured && !quorum_id_equal(&c->cluster, &best->cluster))
		return; /* the one known stays */
	c->configured = true;
	c->config = best->config;
	c->cluster = best->cluster;
	c->epoch = best->epoch;
}

/* Its answers count from now on: all that it does not know yet goes to it, in one frame. */
static void candidate_voters_ready(struct candidate *c, struct candidate_peer *p)
{
	for (size_t i = 0; i < c->n_handles; i++) {
		struct candidate_election *e = c->elections[i];

		if (!e)
			continue;
		if ((e->rel_pending & candidate_bit(p)) && !MUTANT(c, relonce)) /* R32 */
			candidate_release_to(e, p);
		if (e->state == CANDIDATE_LEADING && !(e->mask & candidate_bit(p)))
			candidate_heartbeat_attach(e, p);
		else if (e->state == CANDIDATE_VOTING)
			candidate_campaign_vote_to(e, p);
		else if ((e->state == CANDIDATE_WAITING || e->state == CANDIDATE_ASKING) && c->reached &&
		         !MUTANT(c, nowait))
			candidate_queue_wait_to(e, p); /* R33: a broken connection dropped the waiter */
		candidate_election_arm(e);
	}
	candidate_call_ready(c, p);
}

static void candidate_voters_reach(struct candidate *c)
{
	for (size_t i = 0; i < c->n_handles; i++) {
		struct candidate_election *e = c->elections[i];

		if (e && e->state == CANDIDATE_WAITING && e->joined) {
			candidate_queue_begin(e);
			candidate_election_arm(e);
		}
	}
}

static void candidate_voters_fail(struct candidate *c, int code)
{
	c->failed = true;
	c->fail_code = code;
	candidate_voters_explain(c, code, &c->fail_error);
	c->tell_failed = true;
	CANDIDATE_EACH_PEER(c, p)
	{
		candidate_connection_abandon(c, p, NULL);
		p->connect_at_ns = CANDIDATE_NEVER_NS;
	}
}

/* All addresses answered, and no quorum can come of them: only the configuration can help. */
static void candidate_voters_hopeless(struct candidate *c)
{
	unsigned n_foreign = 0, n_old = 0, n_up = 0;
	bool mixed = false;

	CANDIDATE_EACH_PEER(c, p)
	{
		n_foreign += p->foreign;
		n_old += p->old;
		n_up += p->link == CANDIDATE_UP;
		mixed = mixed || (p->link == CANDIDATE_UP && c->peers[0].link == CANDIDATE_UP &&
		                  !quorum_id_equal(&p->cluster, &c->peers[0].cluster));
	}
	if (n_old == c->n_addresses)
		candidate_voters_fail(c, TENURE_EVERSION);
	else if (n_foreign == c->n_addresses || (!c->configured && n_up == c->n_addresses && mixed))
		candidate_voters_fail(c, TENURE_ECLUSTER);
}

static void candidate_voters_cluster(const struct candidate_peer *p, struct buf *b)
{
	uint64_t prefix = 0;

	for (unsigned i = 0; i < 8; i++)
		prefix = prefix << 8 | p->cluster.bytes[i];
	buf_text(b, "it belongs to cluster ");
	buf_hex64(b, prefix);
}

static bool candidate_voters_mixed(const struct candidate *c, const struct candidate_peer *p)
{
	for (unsigned v = 0; v < c->n_addresses; v++)
		if (c->peers[v].link == CANDIDATE_UP && !quorum_id_equal(&c->peers[v].cluster, &p->cluster))
			return true;
	return false;
}

static void candidate_voters_why(const struct candidate *c, const struct candidate_peer *p, struct buf *b)
{
	if (p->link != CANDIDATE_UP)
		buf_text(b, p->tried ? p->why.message : "no answer yet");
	else if (p->foreign || (!c->configured && candidate_voters_mixed(c, p)))
		candidate_voters_cluster(p, b);
	else if (c->configured && quorum_config_find(&c->config, &p->vid) < 0)
		buf_text(b, "it is no member of the cluster's configuration");
	else
		buf_text(b, "it answers late");
}

/* Of the configuration; before a quorum has confirmed one, what is said to be one counts for messages. */
static unsigned candidate_voters_count(const struct candidate *c)
{
	unsigned n = c->n_addresses;

	if (c->configured)
		return c->config.n_members;
	for (unsigned v = 0; v < c->n_addresses; v++) {
		const struct candidate_peer *p = &c->peers[v];

		if (p->link == CANDIDATE_UP && p->has_config && p->config.n_members > n)
			n = p->config.n_members;
	}
	return n;
}

static void candidate_voters_name(const struct candidate *c, const struct candidate_peer *p, struct buf *b)
{
	int member = c->configured ? quorum_config_find(&c->config, &p->vid) : -1;

	if (c->addresses) {
		buf_text(b, c->addresses[p->v]);
	} else if (member >= 0) {
		buf_text(b, c->config.members[member].address);
	} else {
		buf_text(b, "address ");
		buf_u64(b, p->v + 1u);
	}
}

static bool candidate_voters_answers(const struct candidate *c, const struct candidate_peer *p)
{
	uint64_t late_ns = candidate_heartbeat_ns(c) + 2 * candidate_retry_ns(c);

	return p->useful && (c->observer || c->plain || c->now.at.boot_ns < p->heard_ns + late_ns);
}

/* In messages: before a quorum has confirmed a configuration, whoever was reached has answered. */
static bool candidate_voters_spoke(const struct candidate *c, const struct candidate_peer *p)
{
	return candidate_voters_answers(c, p) ||
	       (!c->configured && p->link == CANDIDATE_UP && !candidate_voters_mixed(c, p));
}

/* "1 of 3 voters answer, 2 needed: 10.0.0.2:7420: connection refused (for 3s); ..." */
void candidate_voters_explain(const struct candidate *c, int code, struct tenure_error *error)
{
	unsigned n_answer = 0, n = candidate_voters_count(c);
	char text[256], duration[48];
	const char *between = ": ";
	struct buf b;

	for (unsigned v = 0; v < c->n_addresses; v++)
		n_answer += candidate_voters_spoke(c, &c->peers[v]);
	buf_init(&b, text, sizeof text);
	buf_u64(&b, n_answer);
	buf_text(&b, " of ");
	buf_u64(&b, n);
	buf_text(&b, " voters answer, ");
	buf_u64(&b, quorum_majority(n));
	buf_text(&b, " needed");
	if (c->n_addresses < quorum_majority(n)) {
		buf_text(&b, ", and only ");
		buf_u64(&b, c->n_addresses);
		buf_text(&b, " named: give the addresses of all");
	}
	for (unsigned v = 0; v < c->n_addresses; v++) {
		const struct candidate_peer *p = &c->peers[v];
		uint64_t since_ns = p->link == CANDIDATE_UP ? p->heard_ns : p->down_ns;

		if (candidate_voters_spoke(c, p))
			continue;
		buf_text(&b, between);
		candidate_voters_name(c, p, &b);
		buf_text(&b, ": ");
		candidate_voters_why(c, p, &b);
		if (c->now.at.boot_ns - since_ns >= UINT64_C(1000000000)) {
			buf_text(&b, " (for ");
			buf_text(&b, text_from_duration((c->now.at.boot_ns - since_ns) / UINT64_C(1000000000) *
			                                        UINT64_C(1000000000),
			                                duration, sizeof duration));
			buf_char(&b, ')');
		}
		between = "; ";
	}
	(void)error_set(error, code, 0, "%s", text);
}

void candidate_explain(const struct candidate *c, struct tenure_error *error)
{
	candidate_voters_explain(c, TENURE_EUNREACHABLE, error);
}

/* The address leads to another voter now: nothing of the former one counts there any more (R9). */
void candidate_voters_forget(struct candidate *c, struct candidate_peer *p)
{
	candidate_heartbeat_end_session(c, p);
	for (size_t i = 0; i < c->n_handles; i++) {
		struct candidate_election *e = c->elections[i];
		struct candidate_part *part = e ? &e->parts[p->v] : NULL;

		if (!e)
			continue;
		part->vcover = INSTANT_ZERO;
		part->known_term = part->nudge_until_ns = part->free_at_ns = 0;
		e->acks &= (uint16_t)~candidate_bit(p);
		e->naks &= (uint16_t)~candidate_bit(p);
		if (e->won && !e->over)
			candidate_group_due(e);
		(void)candidate_election_lapse(e);
		candidate_election_arm(e);
	}
	p->vid = (struct quorum_id) { { 0 } };
}

void candidate_voters_greeted(struct candidate *c, struct candidate_peer *p, const struct wire_hello_r *r)
{
	uint64_t now_ns = c->now.at.boot_ns;
	bool known = !quorum_id_is_none(&p->vid);

	CANDIDATE_EACH_PEER(c, o)
	if (o != p && quorum_id_equal(&o->vid, &r->vid) && !quorum_id_is_none(&r->vid))
		candidate_voters_forget(c, o);
	if (known && !quorum_id_equal(&p->vid, &r->vid))
		candidate_voters_forget(c, p);
	/* R31: another session, or another run that did not resume it */
	else if (r->sid != p->sid || (r->run != p->run && r->state != WIRE_SESSION_RESUMED))
		candidate_heartbeat_end_session(c, p);
	p->vid = r->vid;
	p->cluster = r->cluster;
	p->epoch = r->epoch;
	p->run = r->run;
	p->sid = r->sid;
	p->max_ttl_ms = r->max_ttl_ms;
	p->max_ttl_v_ms = r->max_ttl_v_ms;
	p->hold_until_ns = instant_sum(now_ns, r->hold_left_ms * QUORUM_NS_PER_MS);
	p->quiet_until_ns = instant_sum(now_ns, r->quiet_left_ms * QUORUM_NS_PER_MS);
	p->cver = r->cver;
	if (r->config.n > 0)
		p->has_config = quorum_config_decode(&p->config, r->config.data, r->config.n);
	p->useful = false; /* judged anew: what it has to know goes out again */
	if (p->sid)
		candidate_heartbeat_session(c, p); /* R28: at once */
	candidate_voters_judge(c);
}

static bool candidate_voters_counts(const struct candidate *c, const struct candidate_peer *p)
{
	return c->configured && p->link == CANDIDATE_UP && quorum_id_equal(&p->cluster, &c->cluster) &&
	       p->epoch == c->epoch && p->cver == c->config.cver && quorum_config_find(&c->config, &p->vid) >= 0;
}

void candidate_voters_judge(struct candidate *c)
{
	unsigned n_useful = 0;
	bool all_tried = true, was_reached = c->reached;
	uint16_t fresh = 0;

	if (c->failed)
		return;
	candidate_voters_adopt(c);
	CANDIDATE_EACH_PEER(c, p)
	{
		bool useful = candidate_voters_counts(c, p);

		if (p->link == CANDIDATE_UP && c->configured)
			p->foreign = !quorum_id_equal(&p->cluster, &c->cluster);
		if (useful && !p->useful)
			fresh |= candidate_bit(p);
		p->useful = useful;
		n_useful += useful;
		all_tried = all_tried && p->tried;
	}
	c->reached = c->configured && n_useful >= candidate_quorum(c);
	CANDIDATE_EACH_PEER(c, p)
	if (fresh & candidate_bit(p))
		candidate_voters_ready(c, p);
	if (c->reached && !was_reached)
		candidate_voters_reach(c);
	if (!c->reached && all_tried) {
		candidate_voters_explain(c, TENURE_EUNREACHABLE, &c->reach_error);
		candidate_voters_hopeless(c);
	}
	c->tell_reached = c->reached || all_tried;
}

/* ---- health ---- */

void candidate_voters_health(struct candidate *c)
{
	enum tenure_health health;
	unsigned n = 0;

	if (c->told_reached < 0 && !c->tell_reached && !c->clock_fault)
		return; /* nothing is known yet */
	CANDIDATE_EACH_PEER(c, p)
	n += candidate_voters_answers(c, p);
	health = c->configured && n >= candidate_quorum(c) && !c->clock_fault ? TENURE_HEALTHY : TENURE_DEGRADED;
	if (health == TENURE_DEGRADED) {
		if (c->clock_fault)
			error_copy(&c->health_error, &c->clock_error);
		else if (c->health != TENURE_DEGRADED)
			candidate_voters_explain(c, TENURE_EUNREACHABLE, &c->health_error);
	}
	if (health != c->health)
		c->tell_health = true;
	c->health = health;
}

/* When the next one that answers now would be late. */
uint64_t candidate_voters_health_ns(const struct candidate *c)
{
	uint64_t at_ns = CANDIDATE_NEVER_NS, late_ns = candidate_heartbeat_ns(c) + 2 * candidate_retry_ns(c);

	if (c->observer || c->plain)
		return at_ns;
	for (unsigned v = 0; v < c->n_addresses; v++)
		if (candidate_voters_answers(c, &c->peers[v]))
			at_ns = candidate_sooner(at_ns, c->peers[v].heard_ns + late_ns);
	return at_ns;
}
