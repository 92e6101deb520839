/* SPDX-License-Identifier: Apache-2.0 */
/* The elections of a candidate: names, handles, timers, and what may be believed of each (R19, R20). */
#include "quorum/candidate_inside.h"

#include <stdlib.h>

#include "base/check.h"

static uint64_t candidate_election_hash(const char *name, size_t n_bytes)
{
	uint64_t hash = UINT64_C(14695981039346656037); /* FNV-1a: the names are the application's own */

	for (size_t i = 0; i < n_bytes; i++)
		hash = (hash ^ (uint8_t)name[i]) * UINT64_C(1099511628211);
	return hash;
}

struct candidate_election *candidate_election_find(struct candidate *c, const char *name, size_t n_bytes)
{
	uint64_t hash = candidate_election_hash(name, n_bytes);
	struct candidate_election *e = c->buckets[hash & (c->n_buckets - 1)];

	while (e && (e->name_hash != hash || strlen(e->name) != n_bytes || memcmp(e->name, name, n_bytes) != 0))
		e = e->next_of_hash;
	return e;
}

static void candidate_election_rehash(struct candidate *c)
{
	size_t n = 2 * c->n_buckets;
	struct candidate_election **buckets = calloc(n, sizeof(struct candidate_election *));

	if (!buckets)
		return; /* slower, not wrong */
	for (size_t i = 0; i < c->n_handles; i++) {
		struct candidate_election *e = c->elections[i];

		if (e) {
			e->next_of_hash = buckets[e->name_hash & (n - 1)];
			buckets[e->name_hash & (n - 1)] = e;
		}
	}
	free(c->buckets);
	c->buckets = buckets;
	c->n_buckets = n;
}

/* Tables for one more: then nothing allocates in the steady state. */
static bool candidate_election_room(struct candidate *c)
{
	size_t room = c->handles_room ? 2 * c->handles_room : 64;
	struct candidate_election **elections;
	uint32_t *ring;

	if (c->n_free > 0 || c->n_handles < c->handles_room)
		return true;
	elections = realloc(c->elections, room * sizeof(struct candidate_election *));
	if (elections)
		c->elections = elections;
	ring = realloc(c->free_handles, room * sizeof *ring);
	if (ring)
		c->free_handles = ring;
	if (!elections || !ring)
		return false;
	c->free_first = 0; /* it is empty */
	c->handles_room = room;
	return true;
}

static uint32_t candidate_election_handle(struct candidate *c)
{
	uint32_t handle;

	if (c->n_free == 0)
		return (uint32_t)c->n_handles++;
	handle = c->free_handles[c->free_first];
	c->free_first = (c->free_first + 1) % c->handles_room;
	c->n_free--;
	return handle;
}

struct candidate_election *candidate_election_take(struct candidate *c, const char *name)
{
	size_t n_bytes = strlen(name), parts = c->n_addresses * sizeof(struct candidate_part);
	struct candidate_election *e = candidate_election_find(c, name, n_bytes);

	if (e)
		return e;
	if (!candidate_election_room(c))
		return NULL;
	e = calloc(1, sizeof *e + parts + n_bytes + 1);
	if (!e)
		return NULL;
	e->c = c;
	e->name = (char *)e + sizeof *e + parts;
	memcpy(e->name, name, n_bytes + 1);
	e->name_hash = candidate_election_hash(name, n_bytes);
	e->handle = candidate_election_handle(c);
	e->used_term = c->retired_term;
	e->told_ahead = UINT64_MAX;
	e->campaign_at_ns = e->end_at_ns = e->attach_at_ns = e->release_at_ns = CANDIDATE_NEVER_NS;
	e->unsettled_at_ns = CANDIDATE_NEVER_NS;
	heap_node_init(&e->timer);
	list_init(&e->events);
	list_init(&e->in_group);
	list_init(&e->watches);
	list_init(&e->calls);
	list_init(&e->in_unsettled);
	c->elections[e->handle] = e;
	if (++c->n_names > c->n_buckets)
		candidate_election_rehash(c); /* puts it in, too */
	if (candidate_election_find(c, name, n_bytes) != e) {
		e->next_of_hash = c->buckets[e->name_hash & (c->n_buckets - 1)];
		c->buckets[e->name_hash & (c->n_buckets - 1)] = e;
	}
	return e;
}

/* ---- timers ---- */

/* The deadline of one that leads has a timer of its own only where its group's does not lie ahead. */
void candidate_election_arm(struct candidate_election *e)
{
	struct candidate *c = e->c;
	uint64_t due_ns;

	e->end_at_ns = CANDIDATE_NEVER_NS;
	if (e->won && !e->over && instant_over_for_candidate(c->groups[e->mask].deadline, c->now.at))
		e->end_at_ns = candidate_group_due_ns(c, candidate_election_end(e));
	if (MUTANT(c, regain) && e->end_at_ns <= c->now.at.boot_ns)
		e->end_at_ns = CANDIDATE_NEVER_NS;
	due_ns = candidate_sooner(candidate_sooner(e->campaign_at_ns, e->end_at_ns),
	                          candidate_sooner(e->attach_at_ns, e->release_at_ns));
	heap_put(&c->timers, &e->timer, due_ns);
}

static void candidate_election_fire_one(struct candidate_election *e)
{
	uint64_t now_ns = e->c->now.at.boot_ns;

	if (e->end_at_ns <= now_ns)
		(void)candidate_election_lapse(e);
	if (e->release_at_ns <= now_ns)
		candidate_release_fire(e);
	if (e->attach_at_ns <= now_ns)
		candidate_heartbeat_fire(e);
	if (e->campaign_at_ns <= now_ns) {
		if (e->state == CANDIDATE_VOTING)
			candidate_campaign_fire(e);
		else
			candidate_queue_fire(e);
	}
	candidate_election_arm(e);
	candidate_election_drop_if_idle(e);
}

void candidate_election_fire(struct candidate *c)
{
	/* each at most once a tick: a timer that arms itself for now must not hold us */
	for (size_t n = c->n_names; n > 0 && heap_first_key(&c->timers) <= c->now.at.boot_ns; n--)
		candidate_election_fire_one(LIST_OF(c->timers.root, struct candidate_election, timer));
}

/* ---- belief ---- */

struct instant candidate_election_end(const struct candidate_election *e)
{
	const struct candidate *c = e->c;
	struct instant covers[QUORUM_MAX_VOTERS];

	for (unsigned v = 0; v < c->n_addresses; v++) {
		covers[v] = e->parts[v].vcover;
		if (e->mask >> v & 1 || MUTANT(c, nomask)) /* R19 */
			covers[v] = instant_max(covers[v], c->peers[v].scover);
	}
	return candidate_group_quorum_end(c, covers);
}

/* R19 and R2: the one test of belief. A lease is over when either clock says so. */
bool candidate_election_holds(const struct candidate_election *e, struct instant now)
{
	struct instant end;

	if (!e->won || e->over)
		return false;
	end = candidate_election_end(e);
	return MUTANT(e->c, candclock) ? !instant_over_for_voter(end, now) : !instant_over_for_candidate(end, now);
}

bool candidate_election_lapse(struct candidate_election *e)
{
	if (!e->won)
		return e->over;
	if (e->over || candidate_election_holds(e, e->c->now.at))
		return e->over;
	if (MUTANT(e->c, regain))
		return false;
	if (MUTANT(e->c, renewany))
		return false;
	/* R20: final */
	e->over = true;
	e->c->n_led--;
	candidate_group_set_mask(e, 0);
	candidate_group_remove(e);
	e->attach_at_ns = CANDIDATE_NEVER_NS;
	candidate_release_begin(e, true, "", TENURE_BY_EXPIRY);
	if (e->granted) {
		e->joined = false;
		e->state = CANDIDATE_OUT;
		candidate_queue_lost(e);
		candidate_election_tell(e, CANDIDATE_TELL_LOST);
	} else if (e->state == CANDIDATE_LEADING) {
		e->state = CANDIDATE_OUT;
		if (e->joined) /* R18: it never was long enough to be told */
			candidate_queue_back_off(e);
	}
	candidate_election_arm(e);
	return true;
}

struct instant candidate_deadline(const struct candidate_election *e)
{
	return e->won && !e->over && e->granted ? candidate_election_end(e) : INSTANT_ZERO;
}

bool candidate_believes(const struct candidate_election *e, struct instant now, uint64_t *token)
{
	if (!e->granted || !candidate_election_holds(e, now))
		return false;
	if (token)
		*token = quorum_token(e->c->epoch, e->term);
	return true;
}

void *candidate_user(const struct candidate_election *e)
{
	return e->user;
}

void candidate_election_tell(struct candidate_election *e, unsigned what)
{
	if (!e->entered)
		return;
	if (list_empty(&e->events)) /* what was pending may have been taken back meanwhile */
		list_append(&e->c->events, &e->events);
	e->pending |= what;
}

/* ---- names on connections ---- */

static void candidate_election_open_as(struct candidate *c, struct candidate_peer *p, uint32_t handle, const char *name)
{
	candidate_connection_put(c, p,
	                         &(struct wire_item) { .type = WIRE_OPEN,
	                                               .handle = handle,
	                                               .open.name = { (const uint8_t *)name, strlen(name) } });
	if (handle >= p->n_opened)
		p->n_opened = handle + 1;
}

void candidate_election_open(struct candidate_election *e, struct candidate_peer *p)
{
	struct candidate_part *part = &e->parts[p->v];

	if (part->open_conn == p->conn_no)
		return;
	(void)candidate_connection_frame(e->c, p); /* the round must be the frame's */
	part->open_conn = p->conn_no;
	part->open_round = p->round;
	part->open_heard = false;
	/* On a new connection those below it may have nothing to say: the gap is bridged by what is no name, and denied. */
	while (e->handle >= p->n_opened + QUORUM_HANDLE_GAP)
		candidate_election_open_as(e->c, p, p->n_opened + QUORUM_HANDLE_GAP - 1, "-");
	candidate_election_open_as(e->c, p, e->handle, e->name);
}

struct candidate_election *candidate_election_of(struct candidate *c, struct candidate_peer *p, uint32_t handle,
                                                 uint32_t round)
{
	struct candidate_election *e = handle < c->n_handles ? c->elections[handle] : NULL;
	const struct candidate_part *part;

	if (!e)
		return NULL;
	part = &e->parts[p->v];
	if (MUTANT(c, oldconn))
		return e;
	/* a handle is used again: what is older than its OPEN, or pushed before the voter had read that, means another name */
	if (part->open_conn != p->conn_no || (round ? round < part->open_round : !part->open_heard))
		return NULL;
	return e;
}

/* ---- entering and leaving ---- */

int candidate_set_value(struct candidate_election *e, const void *value, size_t value_bytes, struct candidate_now now)
{
	struct candidate *c = e->c;
	uint8_t *copy = NULL;

	candidate_enter_call(c, now);
	if (value_bytes > QUORUM_VALUE_MAX_BYTES)
		return TENURE_EINVAL;
	if (value_bytes > 0) {
		copy = malloc(value_bytes);
		if (!copy)
			return TENURE_ENOMEM;
		memcpy(copy, value, value_bytes);
	}
	free(e->value);
	e->value = copy;
	e->value_bytes = value_bytes;
	if (e->won && !e->over)
		CANDIDATE_EACH_PEER(c, p)
	if (e->mask & candidate_bit(p))
		candidate_heartbeat_value(e, p);
	candidate_election_arm(e);
	return 0;
}

int candidate_enter(struct candidate *c, const struct candidate_entry *entry, struct candidate_election **out)
{
	struct candidate_election *e;
	int code;

	*out = NULL;
	if (c->n_entered >= QUORUM_MAX_ELECTIONS)
		return TENURE_ELIMIT;
	e = candidate_election_take(c, entry->election);
	if (!e)
		return TENURE_ENOMEM;
	if (e->entered)
		return TENURE_EEXIST;
	code = candidate_set_value(e, entry->value, entry->value_bytes, c->now);
	if (code) {
		candidate_election_drop_if_idle(e);
		return code;
	}
	e->entered = true;
	e->user = entry->user;
	e->priority = entry->priority;
	e->min_left_ns = entry->min_left_ns;
	e->told_ahead = UINT64_MAX;
	c->n_entered++;
	*out = e;
	return 0;
}

void candidate_join(struct candidate_election *e, struct candidate_now now)
{
	candidate_enter_call(e->c, now);
	if (e->joined)
		return;
	e->joined = true;
	e->ticket_ms = now.unix_ms;
	e->told_ahead = UINT64_MAX;
	if (e->state == CANDIDATE_OUT)
		candidate_queue_begin(e);
	candidate_election_arm(e);
}

static void candidate_election_leave(struct candidate_election *e)
{
	e->joined = false;
	if (e->state == CANDIDATE_VOTING || (e->state == CANDIDATE_LEADING && !e->granted))
		candidate_campaign_lose(e);
	else if (e->state == CANDIDATE_WAITING || e->state == CANDIDATE_ASKING || e->state == CANDIDATE_HOLDING_OFF)
		e->state = CANDIDATE_OUT;
	if (e->state == CANDIDATE_OUT) {
		e->campaign_at_ns = CANDIDATE_NEVER_NS;
		candidate_queue_end(e);
	}
	candidate_election_arm(e);
}

void candidate_leave(struct candidate_election *e, struct candidate_now now)
{
	candidate_enter_call(e->c, now);
	candidate_election_leave(e);
}

/* R21: belief is over before the first word of it leaves. */
void candidate_release(struct candidate_election *e, const char *to, enum tenure_cause cause, struct candidate_now now)
{
	struct candidate *c = e->c;

	candidate_enter_call(c, now);
	if (e->state != CANDIDATE_LEADING || candidate_election_lapse(e)) {
		if (e->state != CANDIDATE_RELEASING) {
			e->pending &= ~(unsigned)CANDIDATE_TELL_LOST;
			candidate_election_leave(e);
			candidate_election_tell(e, CANDIDATE_TELL_RELEASED);
		}
		return;
	}
	e->joined = false;
	e->rel_silent = false;
	e->state = CANDIDATE_RELEASING;
	e->campaign_at_ns = candidate_group_due_ns(c, candidate_election_end(e));
	e->attach_at_ns = CANDIDATE_NEVER_NS;
	if (!MUTANT(c, relearly)) {
		e->over = true;
		c->n_led--;
		candidate_group_set_mask(e, 0);
		candidate_group_remove(e);
	}
	candidate_release_begin(e, true, to ? to : "", cause);
	candidate_election_arm(e);
}

void candidate_exit(struct candidate_election *e, struct candidate_now now)
{
	struct candidate *c = e->c;

	if (e->state == CANDIDATE_LEADING)
		candidate_release(e, "", TENURE_BY_RESIGN, now);
	else
		candidate_leave(e, now);
	e->entered = e->joined = false;
	e->rel_silent = true;
	e->user = NULL;
	e->pending = 0;
	list_remove(&e->events);
	c->n_entered--;
	candidate_election_drop_if_idle(e);
}

static void candidate_election_free(struct candidate_election *e)
{
	candidate_call_free_reports(e);
	free(e->value);
	free(e);
}

/* Kept while a voter has not answered its RELEASE. Its terms are not used again in any later life of the name (R21). */
void candidate_election_drop_if_idle(struct candidate_election *e)
{
	struct candidate *c = e->c;
	struct candidate_election **at;

	if (e->entered || e->n_refs > 0 || e->rel_pending || e->state != CANDIDATE_OUT)
		return;
	if (e->used_term > c->retired_term)
		c->retired_term = e->used_term;
	e->campaign_at_ns = e->end_at_ns = e->attach_at_ns = e->release_at_ns = CANDIDATE_NEVER_NS;
	heap_remove(&c->timers, &e->timer);
	list_remove(&e->events);
	list_remove(&e->in_unsettled);
	at = &c->buckets[e->name_hash & (c->n_buckets - 1)];
	while (*at != e)
		at = &(*at)->next_of_hash;
	*at = e->next_of_hash;
	c->elections[e->handle] = NULL;
	c->free_handles[(c->free_first + c->n_free++) % c->handles_room] = e->handle;
	c->n_names--;
	candidate_election_free(e);
}

void candidate_election_free_all(struct candidate *c)
{
	for (size_t i = 0; i < c->n_handles; i++)
		if (c->elections[i])
			candidate_election_free(c->elections[i]);
	free(c->elections);
	free(c->free_handles);
}
