/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The candidate's side of the quorum: one incarnation, its sessions with all voters, and any number of elections on them; R1 to
 * R21, R28 to R36 as far as a candidate keeps them. PURE: frames, instants and wishes in; frames, connections to make, and
 * events out.
 *
 * Use: after every call take the commands (candidate_next_command), the events (candidate_next_event), and send the bytes
 * of each connection (candidate_out). The instant given to a call that makes frames is read BEFORE their bytes go to
 * send(), the one given to candidate_receive() AFTER the bytes were read (R3). Belief is never a flag: it is
 * candidate_deadline() against a clock.
 */
#ifndef TENURE_QUORUM_CANDIDATE_H
#define TENURE_QUORUM_CANDIDATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tenure/tenure.h>

#include "elector/store.h"
#include "quorum/instant.h"
#include "quorum/mutation.h"
#include "quorum/quorum.h"
#include "quorum/wire.h"

struct candidate;
struct candidate_election; /* one candidacy */
struct candidate_watch;    /* one observed election */

struct candidate_now {
	struct instant at;
	uint64_t unix_ms; /* for tickets only */
};

struct candidate_settings {
	struct quorum_id inc;
	const char *label;    /* copied */
	unsigned n_addresses; /* connections: 1 to QUORUM_MAX_VOTERS */
	/* What they are called in messages; NULL: by their numbers. Borrowed, for as long as the candidate lives */
	const char (*addresses)[QUORUM_ADDRESS_ROOM];
	uint64_t ttl_ns;         /* asked for; cut to the voters' max_ttl */
	uint64_t ttl_v_ns;       /* 0: max(10*RTT, 200 ms), at most ttl/2 and max_ttl_v */
	uint32_t rate_error_ppm; /* rho; 0: the default */
	uint64_t seed;           /* of the jitter */
	bool observer;           /* no session: reads, watches and asks only */
	bool plain;              /* RENEW per election instead of sessions (the session-less form) */
	struct quorum_mutations mutations;
};

/* 0; TENURE_ENOMEM; TENURE_EINVAL. */
int candidate_new(struct candidate **out, const struct candidate_settings *settings, struct candidate_now now);
void candidate_free(struct candidate *c);
/* Wipes the incarnation, in a forked child that will never use it (R1). Async-signal-safe. */
void candidate_forget(struct candidate *c);

/* ---- connections: one per address, 0..n_addresses-1 ---- */

enum candidate_command_kind {
	CANDIDATE_CONNECT = 1, /* make it; answer with candidate_connected() or candidate_disconnected() */
	CANDIDATE_DISCONNECT,  /* close it: nonsense was answered, or it is of no use. No answer is needed */
};

struct candidate_command {
	enum candidate_command_kind kind;
	unsigned voter;
};

bool candidate_next_command(struct candidate *c, struct candidate_command *out);
void candidate_connected(struct candidate *c, unsigned voter, struct candidate_now now);
/* It broke, or could not be made: tried again with back-off (R33: its waiters WAIT again). `why` goes into errors; may be NULL. */
void candidate_disconnected(struct candidate *c, unsigned voter, struct candidate_now now,
                            const struct tenure_error *why);
/* Whole frames are consumed. 0; negative: nonsense, `error` says which; the core disconnects by itself. */
int candidate_receive(struct candidate *c, unsigned voter, struct candidate_now now, const uint8_t *bytes,
                      size_t n_bytes, size_t *n_consumed, struct tenure_error *error);
/* The bytes to send on it now. NULL: nothing, or not connected. */
struct wire_out *candidate_out(struct candidate *c, unsigned voter);

void candidate_tick(struct candidate *c, struct candidate_now now);
uint64_t candidate_next_ns(const struct candidate *c); /* CLOCK_BOOTTIME; UINT64_MAX */
/*
 * The clocks are not what the lease arithmetic assumes (R2): from now on nothing is renewed and no campaign made, until
 * NULL is given. `why` is copied; it goes with the health.
 */
void candidate_set_clock_fault(struct candidate *c, const struct tenure_error *why, struct candidate_now now);

/* ---- elections ---- */

struct candidate_entry {
	const char *election; /* copied */
	uint16_t priority;
	const void *value; /* copied */
	size_t value_bytes;
	/*
	 * A grant is told only once at least this is left of it: with a supervised program the short lease of a vote is no use.
	 * 0: told as soon as q voters granted the vote.
	 */
	uint64_t min_left_ns;
	void *user;
};

/* Out of the queue at first. 0; TENURE_ENOMEM; TENURE_ELIMIT. */
int candidate_enter(struct candidate *c, const struct candidate_entry *entry, struct candidate_election **out);
void candidate_join(struct candidate_election *e, struct candidate_now now);  /* WAIT; campaigns in turn */
void candidate_leave(struct candidate_election *e, struct candidate_now now); /* a running campaign is given up (R18) */
/*
 * R21: belief is over first, then RELEASE, repeated until every voter answered (R32). CANDIDATE_RELEASED follows once q
 * voters answered, or the lease has surely run out. `to`: the successor's label or identity; "" the next in line (R35).
 * `cause` is what observers are told.
 */
void candidate_release(struct candidate_election *e, const char *to, enum tenure_cause cause, struct candidate_now now);
int candidate_set_value(struct candidate_election *e, const void *value, size_t value_bytes, struct candidate_now now);
/* Leaves, releases, and is freed once nothing more has to be said for it. No event of it follows. */
void candidate_exit(struct candidate_election *e, struct candidate_now now);
void *candidate_user(const struct candidate_election *e);
/* The provable end E of the present tenure, per clock; zero: no belief. */
struct instant candidate_deadline(const struct candidate_election *e);
/* R19: now < deadline and not over. The only test of belief. `*token` is written when true; may be NULL. */
bool candidate_believes(const struct candidate_election *e, struct instant now, uint64_t *token);

/* ---- observing, reading, asking ---- */

int candidate_observe(struct candidate *c, const char *election, void *user, struct candidate_watch **out,
                      struct candidate_now now);
void candidate_unobserve(struct candidate_watch *w, struct candidate_now now);
/* Answered by CANDIDATE_READ with the same `call`, merged over q voters (R36); waits for the connections if need be. */
int candidate_read(struct candidate *c, const char *election, void *call, struct candidate_now now);
/* CANDIDATE_LISTED for each name, then CANDIDATE_LIST_END. */
int candidate_list(struct candidate *c, void *call, struct candidate_now now);
/* `to`: "" or a label or identity of one who waits. CANDIDATE_ASK_ANSWER: code 0; TENURE_NOT_LEADING; TENURE_ENOENT; TENURE_EAMBIGUOUS. */
int candidate_ask(struct candidate *c, const char *election, const char *to, void *call, struct candidate_now now);

/* ---- what follows ---- */

enum candidate_event_kind {
	CANDIDATE_REACHED = 1, /* all elections: q voters answer, of one cluster and configuration */
	CANDIDATE_UNREACHED,   /* fewer do; error says which, and why */
	CANDIDATE_HEALTH,      /* health; error */
	CANDIDATE_QUEUED,      /* election: `ahead` are before it */
	CANDIDATE_CONTENDING,  /* election: next in line, or campaigns */
	CANDIDATE_GRANTED,     /* election: token, end, cause */
	CANDIDATE_RENEWED,     /* election: end rose */
	CANDIDATE_LOST,        /* election: over without our doing; cause (expiry) */
	CANDIDATE_RELEASED,    /* election */
	CANDIDATE_ASKED,       /* election: somebody wants it; `to` identity, or "" */
	CANDIDATE_CHANGED,     /* watch: view */
	CANDIDATE_READ,        /* call: code, view, error */
	CANDIDATE_LISTED,      /* call: name */
	CANDIDATE_LIST_END,    /* call: code, error */
	CANDIDATE_ASK_ANSWER,  /* call: code, error */
	CANDIDATE_FAILED,      /* all elections: another cluster, a version: code, error. For good */
};

struct candidate_event { /* what it points to is the core's, until the next call of any kind */
	enum candidate_event_kind kind;
	void *user; /* of the election or watch; the call */
	uint64_t token;
	struct instant end;
	enum tenure_cause cause;
	enum tenure_health health;
	size_t ahead;
	int code;
	const char *name, *to;
	const struct store_view *view;
	const struct tenure_error *error;
};

bool candidate_next_event(struct candidate *c, struct candidate_event *out);

/* ---- facts ---- */

struct candidate_facts {
	bool reached;
	unsigned n_voters, n_up; /* of the configuration; 0 before it is known */
	unsigned n_untried;      /* addresses that were neither reached yet nor found to be out of reach */
	uint64_t ttl_ns;         /* as granted; 0 before the first session */
	uint64_t ttl_v_ns, heartbeat_ns, retry_ns, rtt_ns;
	uint32_t max_ttl_ms;
	struct quorum_id cluster;
	uint16_t epoch;
	uint64_t n_elections, n_led;
	uint64_t frames_sent, frames_received, renew_rounds;
};
void candidate_read_facts(const struct candidate *c, struct candidate_facts *out);
/* Which voters do not answer, and why: TENURE_EUNREACHABLE in *error. */
void candidate_explain(const struct candidate *c, struct tenure_error *error);

#endif
