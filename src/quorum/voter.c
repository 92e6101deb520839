/* SPDX-License-Identifier: Apache-2.0 */
/* The voter as a whole: its start, hold, ceiling and bounds, its clock and its end. */
#include "quorum/voter.h"

#include <stdlib.h>

#include "base/check.h"
#include "quorum/voter_inside.h"

#define VOTER_MAX_PEERS     (1u << 16)
#define VOTER_MAX_SESSIONS  (1u << 18)
#define VOTER_MAX_OUT_BYTES (4u << 20)

/* ---- hold and quiet (R24) ---- */

bool voter_holds(const struct voter *v, struct voter_now now)
{
	return !voter_over(v, v->hold_end, now);
}

bool voter_is_quiet(const struct voter *v, struct voter_now now)
{
	return voter_over(v, v->quiet_end, now);
}

/* ---- bounds of leases (R26) ---- */

static uint32_t voter_bound_ms(const struct voter *v, const struct voter_bound *b)
{
	uint32_t ms = b->target_ms < b->durable_ms ? b->target_ms : b->durable_ms;

	if (MUTANT(v, maxttllate))
		return b->target_ms;
	/* A shorter one that is being written may be what a crash leaves, though it was raised again meanwhile. */
	return b->writing_ms < ms ? b->writing_ms : ms;
}

uint32_t voter_max_ttl_ms(const struct voter *v)
{
	return voter_bound_ms(v, &v->max_ttl);
}

uint32_t voter_max_ttl_v_ms(const struct voter *v)
{
	return voter_bound_ms(v, &v->max_ttl_v);
}

/* What is to be durable now: a longer one at once, a shorter one once the old one has passed. */
static void voter_bound_refresh(struct voter *v, struct voter_bound *b, struct voter_now now)
{
	bool over = b->falls && voter_over(v, b->fall_end, now);

	b->fall_key_ns = b->falls && !over ? voter_key_ns(b->fall_end, now) : UINT64_MAX;
	if (!v->writes)
		b->writing_ms = b->target_ms > b->durable_ms || over ? b->target_ms : b->durable_ms;
}

static void voter_bound_fall(struct voter *v, struct voter_bound *b, struct voter_now now)
{
	b->falls = b->target_ms < b->durable_ms;
	if (b->falls) /* leases of either kind that were granted under it are over by then */
		b->fall_end = instant_add(now.at, voter_ns(v->disk.max_ttl_ms));
	voter_bound_refresh(v, b, now);
}

static void voter_bound_written(struct voter *v, struct voter_bound *b, struct voter_now now)
{
	b->durable_ms = b->writing_ms;
	voter_bound_fall(v, b, now);
}

void voter_set_max_ttl(struct voter *v, uint32_t max_ttl_ms, uint32_t max_ttl_v_ms, struct voter_now now)
{
	v->max_ttl.target_ms = max_ttl_ms;
	v->max_ttl_v.target_ms = max_ttl_v_ms;
	voter_bound_fall(v, &v->max_ttl, now);
	voter_bound_fall(v, &v->max_ttl_v, now);
}

/* ---- terms (R15, R22) ---- */

uint64_t voter_leap_limit(const struct voter *v, const struct voter_election *e, uint64_t term, struct voter_now now)
{
	uint64_t ceiling = v->want_ceiling, limit;

	if (MUTANT(v, leap) || term <= v->disk.ceiling)
		return 0;
	limit = (e->term > ceiling ? e->term : ceiling) + QUORUM_LEAP;
	if (limit > QUORUM_TERM_MAX)
		limit = QUORUM_TERM_MAX;
	/* Jumps on request, once in 10 s. */
	if (v->leapt && now.at.boot_ns - v->leap_ns < QUORUM_LEAP_EVERY_NS)
		limit = ceiling + QUORUM_STEP < QUORUM_TERM_MAX ? ceiling + QUORUM_STEP : QUORUM_TERM_MAX;
	return term > limit ? limit : 0;
}

static void voter_raise_to(struct voter *v, uint64_t term)
{
	uint64_t ceiling = (term + QUORUM_STEP - 1) / QUORUM_STEP * QUORUM_STEP + QUORUM_STEP;

	if (ceiling > QUORUM_TERM_MAX)
		ceiling = QUORUM_TERM_MAX;
	if (ceiling > v->want_ceiling)
		v->want_ceiling = ceiling;
}

bool voter_under_ceiling(struct voter *v, uint64_t term, struct voter_now now)
{
	if (term <= v->disk.ceiling)
		return true;
	if (term > v->want_ceiling + QUORUM_STEP) {
		v->leapt = true;
		v->leap_ns = now.at.boot_ns;
	}
	voter_raise_to(v, term);
	return MUTANT(v, ceillate);
}

void voter_raise_ahead(struct voter *v, uint64_t term)
{
	if (term + QUORUM_STEP / 2 > v->disk.ceiling)
		voter_raise_to(v, term);
}

bool voter_wants_disk(struct voter *v, struct superblock *s)
{
	if (v->writes || v->frozen)
		return false;
	if (v->want_ceiling == v->disk.ceiling && v->max_ttl.writing_ms == v->max_ttl.durable_ms &&
	    v->max_ttl_v.writing_ms == v->max_ttl_v.durable_ms)
		return false;
	v->writes = true;
	v->writing_ceiling = v->want_ceiling;
	*s = v->disk;
	s->sequence++;
	s->ceiling = v->writing_ceiling;
	s->max_ttl_ms = v->max_ttl.writing_ms;
	s->max_ttl_v_ms = v->max_ttl_v.writing_ms;
	return true;
}

void voter_on_disk(struct voter *v, struct voter_now now)
{
	CHECK(v->writes);
	v->writes = false;
	v->disk.sequence++;
	v->stats.ceiling_raises += v->writing_ceiling > v->disk.ceiling;
	v->disk.ceiling = v->writing_ceiling;
	v->disk.max_ttl_ms = v->max_ttl.writing_ms;
	v->disk.max_ttl_v_ms = v->max_ttl_v.writing_ms;
	voter_bound_written(v, &v->max_ttl, now);
	voter_bound_written(v, &v->max_ttl_v, now);
	while (!list_empty(&v->waiting)) {
		struct voter_peer *p = LIST_OF(v->waiting.next, struct voter_peer, waiting);

		list_remove(&p->waiting);
		p->waits = false; /* R22: its bytes are given again, with a fresh clock */
	}
}

/* ---- the clock ---- */

static void voter_look_at_hold(struct voter *v, struct voter_now now)
{
	if (!v->holding)
		return;
	v->holding = voter_holds(v, now);
	v->hold_key_ns = v->holding ? voter_key_ns(v->hold_end, now) : UINT64_MAX;
	if (!v->holding)
		voter_queue_open_all(v, now); /* R33 */
}

void voter_tick(struct voter *v, struct voter_now now)
{
	if (v->frozen && !MUTANT(v, snapserve))
		return;
	voter_look_at_hold(v, now);
	voter_session_expire(v, now);
	while (heap_first_key(&v->extra_timers) <= now.at.boot_ns) {
		struct voter_extra *x = LIST_OF(v->extra_timers.root, struct voter_extra, timer);

		heap_remove(&v->extra_timers, &x->timer);
		voter_queue_fire(v, x, now);
	}
	voter_bound_refresh(v, &v->max_ttl, now);
	voter_bound_refresh(v, &v->max_ttl_v, now);
	voter_settle(v, now);
}

static uint64_t voter_min(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

uint64_t voter_next_ns(const struct voter *v)
{
	uint64_t at_ns = voter_min(heap_first_key(&v->session_timers), heap_first_key(&v->extra_timers));

	if (v->frozen && !MUTANT(v, snapserve))
		return UINT64_MAX;
	if (v->holding)
		at_ns = voter_min(at_ns, v->hold_key_ns);
	return voter_min(at_ns, voter_min(v->max_ttl.fall_key_ns, v->max_ttl_v.fall_key_ns));
}

/* ---- start and end ---- */

static void voter_begin_unclean(struct voter *v, struct voter_now now)
{
	uint64_t hold_ns = voter_ns(v->disk.max_ttl_ms);

	/* R24: all is unknown; every term that was granted is at or below the ceiling. */
	v->base_term = MUTANT(v, ceillost) ? 0 : v->disk.ceiling;
	v->hold_end = instant_add(now.at, MUTANT(v, nohold) ? 0 : MUTANT(v, shorthold) ? hold_ns / 2 : hold_ns);
	v->quiet_end = instant_add(now.at, MUTANT(v, noquiet) ? 0 : voter_ns(v->disk.max_ttl_v_ms));
	voter_raise_to(v, v->disk.ceiling); /* before the hold is over */
}

static struct voter_limits voter_limits_of(const struct voter_limits *asked)
{
	struct voter_limits l = *asked;

	l.max_elections = l.max_elections ? l.max_elections : QUORUM_MAX_ELECTIONS;
	l.max_peers = l.max_peers ? l.max_peers : VOTER_MAX_PEERS;
	l.max_sessions = l.max_sessions ? l.max_sessions : VOTER_MAX_SESSIONS;
	if (!l.max_waiters_per_election || l.max_waiters_per_election > QUORUM_MAX_WAITERS)
		l.max_waiters_per_election = QUORUM_MAX_WAITERS;
	l.max_out_bytes = l.max_out_bytes ? l.max_out_bytes : VOTER_MAX_OUT_BYTES;
	return l;
}

static int voter_init_memory(struct voter *v)
{
	voter_pool_init(&v->elections, sizeof(struct voter_election));
	voter_pool_init(&v->extras, sizeof(struct voter_extra));
	voter_pool_init(&v->interests, sizeof(struct voter_interest));
	voter_pool_init(&v->sessions, sizeof(struct voter_session));
	voter_pool_init(&v->peers, sizeof(struct voter_peer));
	list_init(&v->dirty);
	list_init(&v->closing);
	list_init(&v->waiting);
	list_init(&v->changed);
	v->scratch = malloc(VOTER_SCRATCH_BYTES);
	v->config = malloc(QUORUM_CONFIG_MAX_BYTES);
	if (!v->scratch || !v->config ||
	    voter_table_init(&v->by_name, &v->elections, offsetof(struct voter_election, by_name)) != 0 ||
	    voter_table_init(&v->sessions_by_inc, &v->sessions, offsetof(struct voter_session, by_inc)) != 0 ||
	    voter_table_init(&v->peers_by_inc, &v->peers, offsetof(struct voter_peer, by_inc)) != 0)
		return TENURE_ENOMEM;
	v->n_config_bytes = quorum_config_encode(&v->disk.config, v->config, QUORUM_CONFIG_MAX_BYTES);
	return 0;
}

static struct voter_bound voter_bound_of(uint32_t ms)
{
	return (struct voter_bound) { .durable_ms = ms, .target_ms = ms, .writing_ms = ms, .fall_key_ns = UINT64_MAX };
}

static int voter_make(struct voter **out, const struct voter_settings *settings, enum voter_start start,
                      struct voter_now now)
{
	struct voter *v = calloc(1, sizeof *v);
	int code;

	if (!v)
		return TENURE_ENOMEM;
	v->disk = *settings->durable;
	v->mutations = settings->mutations;
	v->limits = voter_limits_of(&settings->limits);
	v->hash_seed[0] = settings->hash_seed[0];
	v->hash_seed[1] = settings->hash_seed[1];
	v->want_ceiling = v->writing_ceiling = v->disk.ceiling;
	v->max_ttl = voter_bound_of(v->disk.max_ttl_ms);
	v->max_ttl_v = voter_bound_of(v->disk.max_ttl_v_ms);
	v->floor = v->disk.config.floor;
	v->cver = v->disk.config.cver;
	v->member = quorum_config_find(&v->disk.config, &v->disk.vid) >= 0;
	v->next_seq = 1;
	code = voter_init_memory(v);
	if (code == 0 && start == VOTER_CLEAN)
		code = voter_snapshot_load(v, settings->snapshot, settings->n_snapshot_bytes, now);
	if (code != 0) {
		voter_free(v);
		return code;
	}
	if (start == VOTER_UNCLEAN)
		voter_begin_unclean(v, now);
	v->holding = true;
	voter_look_at_hold(v, now);
	*out = v;
	return 0;
}

int voter_new(struct voter **out, const struct voter_settings *settings, struct voter_now now)
{
	int code = voter_make(out, settings, settings->start, now);

	if (code == TENURE_EFOREIGN) { /* R25: a snapshot that does not agree is none */
		int made = voter_make(out, settings, VOTER_UNCLEAN, now);

		code = made == 0 ? code : made;
	}
	return code;
}

void voter_free(struct voter *v)
{
	if (!v)
		return;
	for (uint32_t i = 1; i < v->elections.n_made; i++)
		voter_election_deinit(v, voter_election_at(v, i));
	for (uint32_t i = 1; i < v->peers.n_made; i++) {
		struct voter_peer *p = voter_peer_at(v, i);

		if (p->used) {
			wire_out_deinit(&p->out);
			free(p->handles);
		}
	}
	voter_table_deinit(&v->by_name);
	voter_table_deinit(&v->sessions_by_inc);
	voter_table_deinit(&v->peers_by_inc);
	voter_pool_deinit(&v->elections);
	voter_pool_deinit(&v->extras);
	voter_pool_deinit(&v->interests);
	voter_pool_deinit(&v->sessions);
	voter_pool_deinit(&v->peers);
	free(v->scratch);
	free(v->config);
	free(v);
}

uint8_t *voter_freeze(struct voter *v, struct voter_now now, size_t *n_bytes)
{
	v->frozen = true;
	return voter_snapshot_make(v, now, n_bytes);
}

void voter_read_stats(const struct voter *v, struct voter_now now, struct voter_stats *out)
{
	*out = v->stats;
	out->elections = v->elections.n_used;
	out->sessions = v->sessions.n_used;
	out->peers = v->peers.n_used;
	out->held = v->n_attached;
	out->ceiling = v->disk.ceiling;
	out->hold_left_ns = instant_left_ns(v->hold_end, now.at);
	out->quiet_left_ns = instant_left_ns(v->quiet_end, now.at);
	out->run = v->disk.run;
	out->max_ttl_ms = voter_max_ttl_ms(v);
	out->max_ttl_v_ms = voter_max_ttl_v_ms(v);
	out->waits_for_disk = !list_empty(&v->waiting);
	out->frozen = v->frozen;
}

bool voter_look(const struct voter *v, const char *election, struct voter_now now, struct voter_slot *out)
{
	uint32_t index = voter_election_find(v, election, strlen(election));
	const struct voter_election *e;

	if (!index)
		return false;
	e = voter_election_at(v, index);
	*out = (struct voter_slot) { .term = e->term,
		                     .lt = e->lt,
		                     .lc = e->lc,
		                     .attached = e->att != 0,
		                     .released = e->flags & VOTER_RELEASED };
	out->free =
	        quorum_id_is_none(&e->lc) || out->released ||
	        (voter_over(v, e->prov_end, now) && (!e->att || voter_over(v, voter_session_at(v, e->att)->end, now)));
	return true;
}
