/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the voter share. Records stand in slabs and name each other by index (0: none), so that an election
 * that is held costs at most VOTER_ELECTION_BYTES and its share of the tables, and nothing is allocated once a record
 * exists. PURE.
 */
#ifndef TENURE_QUORUM_VOTER_INSIDE_H
#define TENURE_QUORUM_VOTER_INSIDE_H

#include "base/heap.h"
#include "base/list.h"
#include "base/names.h"
#include "quorum/voter.h"

/* ---- slabs and tables (voter_table.c) ---- */

struct voter_pool { /* of zeroed items with stable addresses; the first 4 bytes of a free one are the free list's */
	uint8_t **slabs;
	uint32_t n_slabs, room, item_bytes, free_head;
	uint32_t n_made; /* items ever carved, index 0 included, which is never given out */
	uint32_t n_used;
};

#define VOTER_SLAB_SHIFT 8

void voter_pool_init(struct voter_pool *p, size_t item_bytes);
void voter_pool_deinit(struct voter_pool *p);
uint32_t voter_pool_take(struct voter_pool *p); /* 0: no memory */
void voter_pool_give(struct voter_pool *p, uint32_t index);

static inline void *voter_pool_at(const struct voter_pool *p, uint32_t index)
{
	return p->slabs[index >> VOTER_SLAB_SHIFT] + (size_t)(index & ((1u << VOTER_SLAB_SHIFT) - 1)) * p->item_bytes;
}

struct voter_link { /* first member of what a table holds */
	uint32_t next, hash;
};

struct voter_table { /* chained; grows by moving a few chains with each item that comes in */
	struct voter_pool *pool;
	uint32_t *buckets, *old;
	uint32_t mask, old_mask, moved, n;
	size_t link_at;
};

int voter_table_init(struct voter_table *t, struct voter_pool *pool, size_t link_at);
void voter_table_deinit(struct voter_table *t);
uint32_t voter_table_first(const struct voter_table *t,
                           uint32_t hash); /* then by voter_link.next; compare the hash too */
void voter_table_put(struct voter_table *t, uint32_t index, uint32_t hash);
void voter_table_remove(struct voter_table *t, uint32_t index);
uint32_t voter_hash(const uint64_t seed[2], const void *bytes, size_t n_bytes); /* SipHash-1-3 */

/* ---- records ---- */

#define VOTER_NAME_INLINE    40
#define VOTER_ELECTION_BYTES 160
#define VOTER_SCRATCH_BYTES  ((size_t)QUORUM_MAX_WAITERS * (12 + NAMES_ID_MAX_BYTES))

enum {
	VOTER_USED = 1,
	VOTER_RELEASED = 2, /* rel */
	VOTER_TOUCHED = 4,  /* something was granted in it: R27 binds */
	VOTER_IDLE = 8,     /* on the list of those that may be dropped, if free */
	VOTER_ENDED = 16,   /* its lease was seen to be over */
};

struct voter_election {
	struct voter_link by_name;
	uint64_t term, lt, led;
	struct quorum_id voted, lc; /* none: unknown; no holder */
	struct instant prov_end;
	uint64_t since_ns;                /* when the present state began, CLOCK_BOOTTIME */
	uint32_t att, att_next, att_prev; /* session; the list of its elections, or of the idle ones */
	uint32_t extra;     /* struct voter_extra, while somebody waits, watches, asks, or a value is kept */
	uint32_t refs;      /* handles that mean it */
	uint32_t lc_handle; /* the holder's handle of it */
	uint8_t flags, cause, name_bytes;
	union {
		char near[VOTER_NAME_INLINE];
		char *far; /* owned */
	} name;
};

_Static_assert(sizeof(struct voter_election) <= VOTER_ELECTION_BYTES, "a million elections must fit");

struct voter_interest { /* of one handle in one election: it waits, or watches, or both */
	uint32_t peer, election, handle;
	uint32_t next, prev;             /* the queue */
	uint32_t watch_next, watch_prev; /* the watchers */
	uint16_t priority;
	bool waits, watches;
	uint64_t ticket_ms;
};

struct voter_extra {
	uint32_t free_link; /* the pool's */
	uint32_t election;  /* 0: not in use */
	uint32_t head, tail, n_waiters, watchers;
	uint32_t nudged;           /* the interest that was nudged last; 0: begin at the head */
	uint32_t first;            /* R35: to be nudged before all others; 0: none */
	uint64_t nudge_ns;         /* when the next one is nudged */
	struct quorum_id reserved; /* R35: the successor */
	uint64_t reserved_ns;      /* until then */
	struct heap_node timer;
	struct list changed; /* watchers have to be told */
	uint8_t *value;      /* owned */
	uint16_t value_bytes, to_bytes;
	bool asked;
	char to[NAMES_IDENTITY_ROOM];
};

struct voter_session {
	struct voter_link by_inc;
	uint64_t sid; /* 0: not in use */
	struct quorum_id inc;
	struct instant end;
	struct heap_node timer; /* never later than `end`: an extension is noticed when it fires */
	uint64_t hash;          /* of inc, public */
	uint32_t peer;          /* its newest connection, or 0 */
	uint32_t conn_no, rtt_us;
	uint32_t att_head, n_attached;
	bool ended; /* sticky; the record itself goes at once */
	uint8_t label_bytes;
	char label[NAMES_ID_MAX_BYTES];
};

struct voter_handle {
	uint32_t election, interest;
};

struct voter_peer {
	struct voter_link by_inc;
	uint32_t index, session;
	void *user;
	struct quorum_id inc;
	uint64_t hash;
	uint32_t conn_no, n_handles, room;
	struct voter_handle *handles;
	struct wire_out out;
	struct list dirty, closing_list, waiting;
	bool used, greeted, closing, waits;
	bool resumed;     /* the item at resume_at waited for the disk */
	size_t resume_at; /* where the frame that waits is taken up again (R22) */
	unsigned resume_read;
	uint32_t round;
	uint32_t n_searched; /* records looked at for NAMES in this frame */
	uint64_t cver;
	uint8_t label_bytes;
	char label[NAMES_ID_MAX_BYTES];
};

struct voter_bound { /* max_ttl, max_ttl_v (R26) */
	uint32_t durable_ms, target_ms, writing_ms;
	struct instant fall_end; /* from then on a lower one may be made durable */
	uint64_t fall_key_ns;    /* look again then; UINT64_MAX */
	bool falls;
};

struct voter {
	struct superblock disk; /* as it is durable */
	uint64_t want_ceiling, writing_ceiling;
	struct voter_bound max_ttl, max_ttl_v;
	bool writes, frozen, member;
	uint64_t base_term, floor, cver;
	struct instant hold_end, quiet_end;
	bool holding;         /* the end of the hold was not seen yet */
	uint64_t hold_key_ns; /* look again then */
	bool leapt;
	uint64_t leap_ns; /* R15 */
	uint32_t next_seq;
	struct voter_pool elections, extras, interests, sessions, peers;
	struct voter_table by_name, sessions_by_inc, peers_by_inc;
	struct heap session_timers, extra_timers;
	struct list dirty, closing, waiting, changed;
	uint32_t idle_head, idle_tail;
	struct voter_limits limits;
	uint64_t hash_seed[2];
	uint64_t n_attached, n_value_bytes;
	uint8_t *config; /* encoded, owned */
	size_t n_config_bytes;
	uint8_t *scratch; /* for the waiters of a READ_R, owned */
	struct quorum_mutations mutations;
	struct voter_stats stats;
};

/* One item of a peer, being served. */
struct voter_call {
	struct voter *v;
	struct voter_peer *p;
	const struct wire_item *item;
	struct voter_election *e; /* of its handle; NULL: none */
	struct voter_now now;
};

static inline struct voter_election *voter_election_at(const struct voter *v, uint32_t index)
{
	return voter_pool_at(&v->elections, index);
}

static inline struct voter_session *voter_session_at(const struct voter *v, uint32_t index)
{
	return voter_pool_at(&v->sessions, index);
}

static inline struct voter_peer *voter_peer_at(const struct voter *v, uint32_t index)
{
	return voter_pool_at(&v->peers, index);
}

static inline struct voter_interest *voter_interest_at(const struct voter *v, uint32_t index)
{
	return voter_pool_at(&v->interests, index);
}

static inline struct voter_extra *voter_extra_at(const struct voter *v, uint32_t index)
{
	return voter_pool_at(&v->extras, index);
}

static inline struct voter_extra *voter_extra_of(const struct voter *v, const struct voter_election *e)
{
	return e->extra ? voter_extra_at(v, e->extra) : NULL;
}

/* R2: over when both clocks have passed it. */
static inline bool voter_over(const struct voter *v, struct instant end, struct voter_now now)
{
	return MUTANT(v, voterclock) ? instant_over_for_candidate(end, now.at) : instant_over_for_voter(end, now.at);
}

static inline uint32_t voter_ms(uint64_t ns) /* rounded up */
{
	uint64_t ms = ns / QUORUM_NS_PER_MS + (ns % QUORUM_NS_PER_MS != 0);

	return ms > UINT32_MAX ? UINT32_MAX : (uint32_t)ms;
}

static inline uint64_t voter_ns(uint32_t ms)
{
	return ms * QUORUM_NS_PER_MS;
}

/* When to look at `end` again: not before its first clock passed, and never in the past. */
static inline uint64_t voter_key_ns(struct instant end, struct voter_now now)
{
	uint64_t left_ns = instant_left_ns(end, now.at);

	return end.boot_ns > now.at.boot_ns ? end.boot_ns : instant_sum(now.at.boot_ns, left_ns > 0 ? left_ns : 1);
}

/* ---- voter.c: the hold, the ceiling, the bounds ---- */

bool voter_holds(const struct voter *v, struct voter_now now);    /* R24 */
bool voter_is_quiet(const struct voter *v, struct voter_now now); /* R24 */
uint32_t voter_max_ttl_ms(const struct voter *v);                 /* what is granted at most (R26) */
uint32_t voter_max_ttl_v_ms(const struct voter *v);
/* R15: may term T of election e be granted? 0, or the limit that it breaks. */
uint64_t voter_leap_limit(const struct voter *v, const struct voter_election *e, uint64_t term, struct voter_now now);
/* R22: is T under the durable ceiling? Else it is raised, and the request has to wait. */
bool voter_under_ceiling(struct voter *v, uint64_t term, struct voter_now now);
void voter_raise_ahead(struct voter *v, uint64_t term); /* R22: of a granted T */

/* ---- voter_peer.c ---- */

struct voter_handle *voter_peer_handle(const struct voter_peer *p, uint32_t handle);    /* NULL: not open */
void voter_answer(struct voter *v, struct voter_peer *p, const struct wire_item *item); /* bears the request's round */
void voter_push(struct voter *v, struct voter_peer *p, const struct wire_item *item);   /* unasked: round 0 */
void voter_nak(const struct voter_call *c, enum quorum_reason reason, uint64_t voted);
void voter_peer_deny(struct voter *v, struct voter_peer *p, uint32_t handle, enum quorum_reason reason); /* OPEN_R */
void voter_peer_close(struct voter *v, struct voter_peer *p); /* onto the list of those to be closed */
uint32_t voter_peer_find(const struct voter *v, const struct quorum_id *inc);
/* The state after a batch: pushes to watchers what has changed. */
void voter_settle(struct voter *v, struct voter_now now);

/* ---- voter_election.c ---- */

uint32_t voter_election_index(const struct voter *v, const struct voter_election *e);
const char *voter_election_name(const struct voter_election *e);
uint32_t voter_election_find(const struct voter *v, const char *name, size_t n_bytes);
uint32_t voter_election_make(struct voter *v, const char *name, size_t n_bytes,
                             struct voter_now now); /* 0: at the limit */
void voter_election_ref(struct voter *v, uint32_t index);
void voter_election_unref(struct voter *v, uint32_t index);
void voter_election_idle(struct voter *v, uint32_t index); /* onto the idle list, where nothing holds it in memory */
void voter_election_deinit(struct voter *v, struct voter_election *e);
bool voter_election_free(struct voter *v, struct voter_election *e, struct voter_now now);        /* section 4: free */
uint64_t voter_election_left_ns(struct voter *v, struct voter_election *e, struct voter_now now); /* until it is free */
uint64_t voter_election_holder(const struct voter *v, const struct voter_election *e); /* public hash; 0 none */
void voter_election_detach(struct voter *v, struct voter_election *e);
void voter_election_attach(struct voter *v, struct voter_election *e, uint32_t session);
/* The slot becomes (T,c)'s. */
void voter_election_take(struct voter *v, struct voter_election *e, uint64_t term, const struct voter_peer *p,
                         struct voter_now now);
/* The slot has become free, by `cause` (enum tenure_cause). */
void voter_election_freed(struct voter *v, struct voter_election *e, uint8_t cause, struct voter_now now);
/* Is its lease over, and nobody noticed yet? Then it has ended by now. */
void voter_election_notice(struct voter *v, struct voter_election *e, struct voter_now now);
void voter_election_changed(struct voter *v, struct voter_election *e);          /* for watchers */
struct voter_extra *voter_extra_make(struct voter *v, struct voter_election *e); /* NULL: no memory */
void voter_extra_drop(struct voter *v, struct voter_election *e);                /* where nothing is left in it */
void voter_extra_forget(struct voter *v, struct voter_election *e); /* value and wish of the slot that is over */

/* ---- voter_lease.c: VOTE, RENEW, ATTACH, RELEASE. VOTER_OK or VOTER_WAITS ---- */

int voter_lease_vote(const struct voter_call *c);
int voter_lease_renew(const struct voter_call *c);
int voter_lease_attach(const struct voter_call *c);
void voter_lease_release(const struct voter_call *c);
void voter_lease_pre(const struct voter_call *c);

/* ---- voter_session.c ---- */

uint32_t voter_session_find(const struct voter *v, const struct quorum_id *inc);
/* A new one of a peer, or one of a snapshot (sid other than 0). 0: no memory, or at the limit. */
uint32_t voter_session_make(struct voter *v, const struct quorum_id *inc, uint64_t sid, struct instant end);
void voter_session_end(struct voter *v, uint32_t index, struct voter_now now); /* R29 */
void voter_session_expire(struct voter *v, struct voter_now now);              /* all that are over */
void voter_session_renew(const struct voter_call *c);
void voter_session_list(const struct voter_call *c);
int voter_session_hello(const struct voter_call *c, struct tenure_error *error);
int voter_session_refuse(struct voter *v, struct voter_peer *p, enum wire_refusal why, int code,
                         struct tenure_error *error, const char *message);
uint64_t voter_session_rtt_ns(const struct voter *v, const struct voter_peer *p);

/* ---- voter_queue.c ---- */

void voter_queue_wait(const struct voter_call *c);
void voter_queue_unwait(struct voter *v, struct voter_peer *p, struct voter_handle *h, struct voter_now now);
void voter_queue_open(struct voter *v, struct voter_election *e, struct voter_now now); /* the slot is free */
void voter_queue_rearm(struct voter *v, struct voter_election *e, struct voter_now now);
void voter_queue_fire(struct voter *v, struct voter_extra *x, struct voter_now now);
void voter_queue_open_all(struct voter *v, struct voter_now now); /* the hold has ended */
uint32_t voter_queue_successor(const struct voter *v, const struct voter_election *e, struct wire_bytes who);
void voter_queue_reserve(struct voter *v, struct voter_election *e, uint32_t successor, uint64_t rtt_ns,
                         struct voter_now now);
/* R35: is its place kept for somebody else than `inc`? The ns left, or 0. */
uint64_t voter_queue_reserved_ns(const struct voter *v, const struct voter_election *e, const struct quorum_id *inc,
                                 struct voter_now now);
struct voter_interest *voter_interest_make(struct voter *v, struct voter_peer *p, uint32_t handle);
void voter_interest_drop(struct voter *v, struct voter_peer *p,
                         struct voter_handle *h); /* where it neither waits nor watches */

/* ---- voter_view.c ---- */

void voter_view_read(const struct voter_call *c);
void voter_view_watch(const struct voter_call *c);
void voter_view_unwatch(struct voter *v, struct voter_peer *p, struct voter_handle *h);
void voter_view_push(struct voter *v, struct voter_extra *x, struct voter_now now);
void voter_view_names(const struct voter_call *c);
void voter_view_value(const struct voter_call *c);
void voter_view_ask(const struct voter_call *c);
void voter_view_ask_again(struct voter *v, struct voter_election *e); /* to the holder, if a wish stands */

/* ---- voter_snapshot.c ---- */

/* 0; TENURE_EFOREIGN (nothing is changed then); TENURE_ENOMEM. */
int voter_snapshot_load(struct voter *v, const uint8_t *bytes, size_t n_bytes, struct voter_now now);
uint8_t *voter_snapshot_make(struct voter *v, struct voter_now now, size_t *n_bytes);

#endif
