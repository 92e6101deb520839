/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the candidate share, and nobody else sees. PURE.
 *
 * One struct candidate_election stands for one NAME: for a candidacy in it, for its watches and calls, and for a RELEASE that
 * is not answered by all yet. Its index is the handle on every connection. Bit v of a set is connection v: two
 * connections never count for the same voter (R9).
 *
 * Belief is computed, never kept: candidate_election_end() is the q-th largest cover, per clock (R2, R19). Elections that lead are
 * in the group of their mask; what a heartbeat raises is the group's deadline, and its members move to `due` as one list.
 */
#ifndef TENURE_QUORUM_CANDIDATE_INSIDE_H
#define TENURE_QUORUM_CANDIDATE_INSIDE_H

#include "base/heap.h"
#include "base/list.h"
#include "quorum/candidate.h"

#define CANDIDATE_ROUNDS       1024u /* send times remembered per connection */
#define CANDIDATE_NEVER_NS     UINT64_MAX
#define CANDIDATE_RTT_FIRST_NS UINT64_C(1000000) /* before the first answer */
#define CANDIDATE_MAX_LOSSES   3                 /* within ten leases: holds off */
#define CANDIDATE_MAX_UNSENT   ((size_t)16 * 1024 * 1024)

enum candidate_link { CANDIDATE_IDLE, CANDIDATE_CONNECTING, CANDIDATE_GREETING, CANDIDATE_UP };

struct candidate_round {
	uint32_t round;
	struct instant sent;
};

struct candidate_peer { /* one address, and the voter found there */
	unsigned v;
	enum candidate_link link;
	bool wants_connect, wants_disconnect;
	bool tried;     /* it was reached or not, at least once */
	bool foreign;   /* of another cluster */
	bool old;       /* of another version */
	bool duplicate; /* another address leads to the same voter */
	bool useful;    /* UP, and a member of the configuration: its answers count */
	unsigned fails;
	uint64_t connect_at_ns, connected_ns, heard_ns, down_ns;
	struct tenure_error why; /* it is of no use now */

	uint32_t conn_no, round,
	        first_round; /* rounds go on over connections, so that an older one's are known (R28) */
	uint32_t n_opened;   /* a handle below it was opened on this connection, or bridged */
	bool frame_open;
	struct wire_out out;
	struct candidate_round rounds[CANDIDATE_ROUNDS];

	/* what its HELLO_R said */
	struct quorum_id vid, cluster;
	uint16_t epoch;
	uint32_t run, max_ttl_ms, max_ttl_v_ms;
	uint64_t cver, hold_until_ns, quiet_until_ns;
	bool has_config;
	struct quorum_config config;

	/* the session (section 9) */
	uint64_t sid; /* 0: none */
	struct instant scover;
	uint64_t renew_at_ns, unanswered_ns;
	uint32_t n_attached; /* elections with its bit in their mask */
	unsigned n_differing;
	uint32_t listing; /* stamp of the LIST that is under way; 0: none */
	uint64_t rtt_ns;  /* smoothed; 0: unknown */
};

enum candidate_state {
	CANDIDATE_OUT,
	CANDIDATE_HOLDING_OFF,
	CANDIDATE_WAITING,
	CANDIDATE_ASKING, /* PRE */
	CANDIDATE_VOTING,
	CANDIDATE_LEADING,
	CANDIDATE_RELEASING, /* over; fewer than q voters know */
};

enum candidate_pending { /* events of an election that are to be told, in this order */
	                 CANDIDATE_TELL_LOST = 1,
	                 CANDIDATE_TELL_RELEASED = 2,
	                 CANDIDATE_TELL_PLACE = 4, /* QUEUED or CONTENDING */
	                 CANDIDATE_TELL_ASKED = 8,
};

struct candidate_part { /* of an election, per connection */
	struct instant vcover;
	uint64_t known_term;     /* the voter's, as last heard */
	uint64_t nudge_until_ns; /* R33 */
	uint64_t free_at_ns;     /* its slot may be free from here on; 0: unknown, or free */
	uint64_t rel_term;
	uint32_t waiting_n, ahead;
	uint32_t open_conn, open_round; /* OPENed on that connection, in that round */
	uint32_t rel_conn, rel_round;   /* the newest RELEASE that went out, of rel_term */
	uint32_t listed;                /* stamp of the LIST in which the voter named it */
	bool open_heard;                /* OPEN_R came: what is pushed is about this name */
};

struct candidate_watch {
	struct list of_election;
	struct list pending; /* in c->watches_due */
	struct candidate *c;
	struct candidate_election *e;
	void *user;
	bool told;
	uint64_t told_mark; /* fingerprint of the view that was told */
};

struct candidate_report { /* the newest READ_R of one voter */
	bool have;
	uint8_t live, cause;
	uint64_t term, lt, hash, free_at_ns, began_unix_ms;
	char label[NAMES_ID_MAX_BYTES + 1];
	uint8_t *value, *waiters; /* owned */
	size_t n_value, value_room, n_waiters_bytes, waiters_room;
	uint16_t n_waiters;
};

struct candidate_election {
	struct candidate *c;
	uint32_t handle;
	char *name;
	uint64_t name_hash;
	struct candidate_election *next_of_hash;
	bool entered, joined;
	unsigned n_refs; /* watches and calls */
	void *user;
	uint8_t *value;
	size_t value_bytes;
	uint16_t priority;
	uint64_t min_left_ns, ticket_ms;

	enum candidate_state state;
	uint64_t term, used_term; /* present campaign or tenure; highest ever used (R16, R21) */
	bool won, over, granted;  /* granted: told */
	bool transferred;         /* a voter said that the slot was released for this candidate by name */
	bool nudged;
	uint16_t mask, acks, naks; /* R19; of the present campaign */
	uint16_t answered, would;  /* of the present PRE */
	uint16_t queued;           /* voters that said QUEUED */
	uint16_t wait_sent;        /* a WAIT went out on the present connections */
	uint16_t renew_acks;       /* plain mode */
	uint16_t value_wait;       /* VALUE is not answered yet */
	unsigned n_acks;           /* for `ackcount` */
	unsigned losses;           /* campaigns in a row (R33) */
	struct instant told_end;
	uint64_t told_ahead; /* UINT64_MAX: nothing told */
	uint64_t ahead;
	uint64_t alone_until_ns; /* nobody waited when this candidate released: VOTE without WAIT */

	/* RELEASE, the one of the highest term (R32) */
	uint64_t rel_term;
	bool rel_led;
	enum tenure_cause rel_cause;
	char rel_to[NAMES_IDENTITY_ROOM];
	uint16_t rel_pending, rel_oks, rel_alone;
	bool rel_silent; /* whoever released has left */

	char asked_to[NAMES_IDENTITY_ROOM];
	uint64_t asked_term;

	/* hold-off */
	uint64_t lost_ns[CANDIDATE_MAX_LOSSES];
	uint64_t hold_off_ns, hold_off_until_ns;

	/* timers, each NEVER or an instant on CLOCK_BOOTTIME; the earliest is in the heap */
	uint64_t campaign_at_ns, end_at_ns, attach_at_ns, release_at_ns, renewed_at_ns;
	struct heap_node timer;

	unsigned pending; /* enum candidate_pending */
	struct list events;
	struct list in_group;

	struct list watches, calls, in_unsettled;
	struct candidate_report *reports; /* n_addresses of them, once observed */
	uint64_t unsettled_at_ns;         /* ask again, or settle */
	unsigned n_unsettled;

	struct candidate_part parts[];
};

struct candidate_group {  /* elections with this mask that lead; `due`: an end may have risen */
	struct list live; /* in c->groups_live while it has members */
	struct list idle, due;
	size_t n;
	struct instant deadline;
	bool armed; /* not swept since the deadline rose */
};

enum candidate_call_kind { CANDIDATE_CALL_READ, CANDIDATE_CALL_LIST, CANDIDATE_CALL_ASK };

struct candidate_call {
	struct list all;         /* c->calls */
	struct list of_election; /* READ, ASK */
	enum candidate_call_kind kind;
	struct candidate_election *e; /* NULL: LIST */
	void *user;
	bool posted; /* ASK: it was sent */
	bool done;
	int code;
	struct tenure_error error;
	uint16_t answered, refused;         /* voters */
	uint32_t rounds[QUORUM_MAX_VOTERS]; /* in which it was asked */
	uint64_t again_at_ns;
	unsigned n_tries;
	uint64_t term; /* ASK */
	char to[NAMES_IDENTITY_ROOM];
	char **names; /* LIST, owned */
	size_t n_names, names_room, next_name;
	uint64_t cursors[QUORUM_MAX_VOTERS];
};

struct candidate {
	struct quorum_mutations mutations;
	struct quorum_id inc;
	char label[NAMES_ID_MAX_BYTES + 1];
	unsigned n_addresses;
	const char (*addresses)[QUORUM_ADDRESS_ROOM]; /* borrowed; or NULL */
	uint64_t ttl_ns, ttl_v_ns;
	uint32_t rate_error_ppm;
	uint64_t random;
	bool observer, plain;
	struct candidate_now now; /* of the present call */

	bool configured, failed;
	struct quorum_config config;
	struct quorum_id cluster;
	uint16_t epoch;
	uint64_t granted_ttl_ns;
	struct candidate_peer peers[QUORUM_MAX_VOTERS];

	bool reached;
	int told_reached; /* -1: nothing */
	bool tell_reached, tell_failed, tell_health;
	enum tenure_health health;
	bool clock_fault;
	struct tenure_error clock_error, reach_error, health_error, fail_error;
	int fail_code;

	struct candidate_election **elections; /* by handle */
	size_t n_handles, handles_room, n_names;
	uint32_t *free_handles; /* a ring: the longest unused one is used first */
	size_t free_first, n_free;
	struct candidate_election **buckets;
	size_t n_buckets;      /* a power of two */
	uint64_t retired_term; /* highest term used in any name that is forgotten: never used again (R21) */
	uint64_t n_entered, n_led;
	struct heap timers;

	struct candidate_group *groups; /* 1 << n_addresses */
	struct list groups_live, events, calls, calls_done, watches_due, unsettled;
	uint32_t list_stamp;

	struct candidate_call *given; /* whose event was taken last: freed with the next call */
	struct store_view view;
	struct store_waiter *waiters;
	size_t waiters_room;
	char event_text[NAMES_IDENTITY_ROOM];
	struct tenure_error event_error;
	uint64_t frames_sent, frames_received, renew_rounds;
};

/* ---- candidate.c ---- */
void candidate_enter_call(struct candidate *c, struct candidate_now now);
uint64_t candidate_random(struct candidate *c, uint64_t below); /* 0..below-1; 0 where below is 0 */
unsigned candidate_quorum(const struct candidate *c);           /* q; 0 before the configuration is known */
uint64_t candidate_ask_ttl_ns(const struct candidate *c);
uint64_t candidate_ttl_v_now_ns(const struct candidate *c);
uint64_t candidate_heartbeat_ns(const struct candidate *c);
uint64_t candidate_retry_ns(const struct candidate *c);
uint64_t candidate_rtt_ns(const struct candidate *c);
uint64_t candidate_nudge_ns(const struct candidate *c); /* 3*RTT + 20 ms (R33) */
static inline uint64_t candidate_sooner(uint64_t a_ns, uint64_t b_ns)
{
	return a_ns < b_ns ? a_ns : b_ns;
}
static inline unsigned candidate_count(uint16_t set)
{
	return (unsigned)__builtin_popcount(set);
}
static inline uint16_t candidate_bit(const struct candidate_peer *p)
{
	return (uint16_t)(1u << p->v);
}
#define CANDIDATE_EACH_PEER(c, p) for (struct candidate_peer *p = (c)->peers; p < (c)->peers + (c)->n_addresses; p++)

/* ---- candidate_connection.c ---- */
/* The frame that is open on it, or a new round: its send time is now (R3). */
struct wire_out *candidate_connection_frame(struct candidate *c, struct candidate_peer *p);
void candidate_connection_put(struct candidate *c, struct candidate_peer *p, const struct wire_item *item);
/* The send time of a round of this connection; NULL: not known (any more), so nothing can be counted from it. */
const struct instant *candidate_connection_sent(const struct candidate *c, const struct candidate_peer *p,
                                                uint32_t round);
void candidate_connection_hello(struct candidate *c, struct candidate_peer *p);
void candidate_connection_abandon(struct candidate *c, struct candidate_peer *p, const struct tenure_error *why);
void candidate_connection_tick(struct candidate *c);
uint64_t candidate_connection_next_ns(const struct candidate *c);

/* ---- candidate_voters.c ---- */
/* Who counts, and whether q do: after every change. */
void candidate_voters_judge(struct candidate *c);
void candidate_voters_explain(const struct candidate *c, int code, struct tenure_error *error);
void candidate_voters_greeted(struct candidate *c, struct candidate_peer *p, const struct wire_hello_r *r);
void candidate_voters_forget(struct candidate *c, struct candidate_peer *p);
void candidate_voters_health(struct candidate *c);
uint64_t candidate_voters_health_ns(const struct candidate *c);

/* ---- candidate_election.c ---- */
struct candidate_election *candidate_election_take(struct candidate *c, const char *name); /* found or made */
struct candidate_election *candidate_election_find(struct candidate *c, const char *name, size_t n_bytes);
void candidate_election_drop_if_idle(struct candidate_election *e);
void candidate_election_free_all(struct candidate *c);
/* The election of an answer or push on this connection; NULL: not about what the handle means now. */
struct candidate_election *candidate_election_of(struct candidate *c, struct candidate_peer *p, uint32_t handle,
                                                 uint32_t round);
void candidate_election_open(struct candidate_election *e, struct candidate_peer *p);
struct instant candidate_election_end(const struct candidate_election *e);
bool candidate_election_holds(const struct candidate_election *e, struct instant now);
/* R20: over, if it was won and its deadline has passed. true: it is (or was) over. */
bool candidate_election_lapse(struct candidate_election *e);
void candidate_election_arm(struct candidate_election *e);
void candidate_election_fire(struct candidate *c);
void candidate_election_tell(struct candidate_election *e, unsigned what);

/* ---- candidate_group.c ---- */
void candidate_group_add(struct candidate_election *e);
void candidate_group_remove(struct candidate_election *e);
void candidate_group_due(struct candidate_election *e); /* its end may have risen */
void candidate_group_set_mask(struct candidate_election *e, uint16_t mask);
/* scover of v rises to `cover`: R20 for all that hang on it, then the groups. */
void candidate_group_raise(struct candidate *c, struct candidate_peer *p, struct instant cover);
void candidate_group_sweep(struct candidate *c);
uint64_t candidate_group_next_ns(const struct candidate *c);
struct instant candidate_group_quorum_end(const struct candidate *c, const struct instant *covers);
/* When `end` is over on either clock, told on CLOCK_BOOTTIME. */
uint64_t candidate_group_due_ns(const struct candidate *c, struct instant end);

/* ---- candidate_campaign.c ---- */
uint64_t candidate_campaign_term(const struct candidate_election *e); /* R16 */
void candidate_campaign_start(struct candidate_election *e);
void candidate_campaign_lose(struct candidate_election *e);
void candidate_campaign_vote_to(struct candidate_election *e, struct candidate_peer *p);
void candidate_campaign_fire(struct candidate_election *e);
void candidate_campaign_ack(struct candidate_election *e, struct candidate_peer *p, const struct wire_item *i,
                            uint32_t round);
void candidate_campaign_nak(struct candidate_election *e, struct candidate_peer *p, const struct wire_item *i);

/* ---- candidate_heartbeat.c ---- */
void candidate_heartbeat_session(struct candidate *c, struct candidate_peer *p);
void candidate_heartbeat_s_ack(struct candidate *c, struct candidate_peer *p, const struct wire_item *i,
                               uint32_t round);
void candidate_heartbeat_s_nak(struct candidate *c, struct candidate_peer *p, const struct wire_item *i);
/* R31, before another sid is used. */
void candidate_heartbeat_end_session(struct candidate *c, struct candidate_peer *p);
void candidate_heartbeat_attach(struct candidate_election *e, struct candidate_peer *p);
void candidate_heartbeat_attach_all(struct candidate_election *e);
void candidate_heartbeat_fire(struct candidate_election *e);
void candidate_heartbeat_att_ack(struct candidate_election *e, struct candidate_peer *p, const struct wire_item *i,
                                 uint32_t round);
void candidate_heartbeat_renew_ack(struct candidate_election *e, struct candidate_peer *p, const struct wire_item *i,
                                   uint32_t round);
void candidate_heartbeat_nak(struct candidate_election *e, struct candidate_peer *p, const struct wire_item *i);
void candidate_heartbeat_listed(struct candidate *c, struct candidate_peer *p, const struct wire_item *i);
void candidate_heartbeat_rtt(struct candidate *c, struct candidate_peer *p, uint32_t round);
void candidate_heartbeat_value(struct candidate_election *e, struct candidate_peer *p);
uint64_t candidate_heartbeat_cover_ttl_ns(const struct candidate *c, uint32_t granted_ms, uint64_t asked_ns);
struct instant candidate_heartbeat_cover(const struct candidate *c, const struct candidate_peer *p, struct instant sent,
                                         uint64_t ttl_ns);

/* ---- candidate_release.c ---- */
/* RELEASE of e's present term to all, until all have answered (R32). The caller has set over = 1. */
void candidate_release_begin(struct candidate_election *e, bool led, const char *to, enum tenure_cause cause);
void candidate_release_to(struct candidate_election *e, struct candidate_peer *p);
void candidate_release_fire(struct candidate_election *e);
void candidate_release_ok(struct candidate_election *e, struct candidate_peer *p, const struct wire_item *i);
/* q voters know, or the lease has surely run out: RELEASED. The others are still told. */
void candidate_release_finish(struct candidate_election *e);
/* R21: an answer for what is over. */
void candidate_release_ghost(struct candidate_election *e, struct candidate_peer *p, uint64_t term, uint32_t round);

/* ---- candidate_queue.c ---- */
void candidate_queue_begin(struct candidate_election *e);
void candidate_queue_wait_to(struct candidate_election *e, struct candidate_peer *p);
void candidate_queue_end(struct candidate_election *e); /* UNWAIT */
void candidate_queue_back_off(struct candidate_election *e);
void candidate_queue_fire(struct candidate_election *e);
void candidate_queue_nudge(struct candidate_election *e, struct candidate_peer *p, const struct wire_item *i);
void candidate_queue_queued(struct candidate_election *e, struct candidate_peer *p, const struct wire_item *i);
void candidate_queue_pre_r(struct candidate_election *e, struct candidate_peer *p, const struct wire_item *i);
void candidate_queue_contend(struct candidate_election *e);
void candidate_queue_lost(struct candidate_election *e); /* counts towards the hold-off */

/* ---- candidate_call.c, candidate_view.c ---- */
void candidate_call_read_r(struct candidate_election *e, struct candidate_peer *p, const struct wire_item *i,
                           uint32_t round);
void candidate_call_ask_ok(struct candidate_election *e, struct candidate_peer *p, const struct wire_item *i);
void candidate_call_names_r(struct candidate *c, struct candidate_peer *p, const struct wire_item *i, uint32_t round);
void candidate_call_ready(struct candidate *c, struct candidate_peer *p); /* it counts from now on */
void candidate_call_gone(struct candidate *c, struct candidate_peer *p);
void candidate_call_tick(struct candidate *c);
uint64_t candidate_call_next_ns(const struct candidate *c);
bool candidate_call_event(struct candidate *c, struct candidate_event *out);
void candidate_call_free(struct candidate_call *call);
void candidate_call_free_all(struct candidate *c);
void candidate_call_free_reports(struct candidate_election *e);
/* false: no q voters agree, and q have not said that it is free. */
bool candidate_view_merge(struct candidate_election *e, uint16_t of, struct store_view *view);
bool candidate_view_keep(struct candidate *c, struct candidate_report *r, const struct wire_read_r *from, bool pushed);
uint64_t candidate_view_mark(const struct store_view *view);

#endif
