/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One voter of the quorum: every rule of PROTOCOL sections 7, 9, 10 and 12 that a voter keeps, R1 to R36. PURE: frames and
 * instants in, frames and durable state out. It never talks to other voters.
 *
 * Use: voter_new() after `run` was raised durably; voter_accept() for each connection; voter_receive() for its bytes;
 * voter_tick() at voter_next_ns(). After each of these calls: voter_wants_disk() -> make it durable -> voter_on_disk();
 * then send the bytes of every connection that voter_next_to_send() gives. Anything to be made durable is durable before the
 * frame that depends on it is in a buffer. In the steady state nothing is allocated.
 */
#ifndef TENURE_QUORUM_VOTER_H
#define TENURE_QUORUM_VOTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tenure/tenure.h>

#include "quorum/instant.h"
#include "quorum/mutation.h"
#include "quorum/quorum.h"
#include "quorum/superblock.h"
#include "quorum/wire.h"

struct voter;
struct voter_peer; /* one connection of a candidate, an observer or a tool */

enum voter_start {
	VOTER_FIRST = 1, /* a store made with its cluster: votes at once */
	VOTER_CLEAN,     /* with the snapshot of the run before (R25) */
	VOTER_UNCLEAN,   /* hold, quiet, base term = ceiling (R24) */
};

struct voter_now {
	struct instant at;
	uint64_t unix_ms; /* wall clock: clamps the tickets of waiters, nothing else (R33) */
};

struct voter_limits { /* 0: the default */
	uint32_t max_elections, max_peers, max_sessions, max_waiters_per_election;
	size_t max_out_bytes; /* a peer that does not read: closed when more than this waits for it (default 4 MiB) */
};

struct voter_settings {
	const struct superblock *durable; /* copied; its run is this run */
	enum voter_start start;
	const uint8_t *snapshot; /* CLEAN: its bytes, checked; a bad one makes the start UNCLEAN */
	size_t n_snapshot_bytes;
	uint64_t hash_seed[2]; /* random: names from outside must not be able to collide on purpose */
	struct voter_limits limits;
	struct quorum_mutations mutations;
};

/* 0; TENURE_ENOMEM; TENURE_EFOREIGN: the snapshot is bad (the voter is made all the same, unclean). */
int voter_new(struct voter **out, const struct voter_settings *settings, struct voter_now now);
void voter_free(struct voter *v);

/* A connection was made. NULL: no memory, or at the limit: close it. `user` is the caller's. */
struct voter_peer *voter_accept(struct voter *v, void *user, struct voter_now now);
/* It is gone (R14: no lease ends by that); everything of it is freed. */
void voter_drop(struct voter *v, struct voter_peer *p, struct voter_now now);
void *voter_peer_user(const struct voter_peer *p);

enum voter_received {
	VOTER_OK = 0,
	VOTER_WAITS = 1, /* for the disk (R22): read nothing more of this connection until it is taken up again */
};
/*
 * Bytes of a connection, from the first that was not consumed. Whole frames are consumed. VOTER_OK; VOTER_WAITS: call again with
 * what is left, and the clock read anew, once voter_peer_waits() is false; TENURE_EPROTO, TENURE_EVERSION, TENURE_ELIMIT, TENURE_ENOMEM, TENURE_ECLUSTER:
 * send what is in its buffer, close it and log `error`.
 */
int voter_receive(struct voter *v, struct voter_peer *p, struct voter_now now, const uint8_t *bytes, size_t n_bytes,
                  size_t *n_consumed, struct tenure_error *error);
bool voter_peer_waits(const struct voter_peer *p);
/* A peer that the voter wants closed (a newer connection of its incarnation came, R28; it does not read): drop it. NULL: none. */
struct voter_peer *voter_next_to_close(struct voter *v);

/* Connections with something to send, each once; their bytes. The caller reports what was sent with wire_out_sent(). */
struct voter_peer *voter_next_to_send(struct voter *v);
struct wire_out *voter_peer_out(struct voter_peer *p);

void voter_tick(struct voter *v, struct voter_now now);
/* On CLOCK_BOOTTIME; UINT64_MAX: nothing to wait for. */
uint64_t voter_next_ns(const struct voter *v);

/*
 * Durable state. true: `*s` is to be written, its sequence already the next one; one write at a time. Not before voter_on_disk() does anything that depends on it happen. An
 * error of the disk stops the voter (R27): the caller ends it without voter_freeze().
 */
bool voter_wants_disk(struct voter *v, struct superblock *s);
void voter_on_disk(struct voter *v, struct voter_now now);
/* R26: a new upper bound for leases. */
void voter_set_max_ttl(struct voter *v, uint32_t max_ttl_ms, uint32_t max_ttl_v_ms, struct voter_now now);

/*
 * The clean stop (R25): from here on nothing is processed any more and nothing may be sent. Returns owned bytes (free()) of the snapshot,
 * tagged with `run` and checksummed; NULL: no memory. The caller makes it durable, then the superblock with clean_run = run.
 */
uint8_t *voter_freeze(struct voter *v, struct voter_now now, size_t *n_bytes);

struct voter_stats { /* counters since the start, and gauges */
	uint64_t frames, items, votes_granted, votes_refused, renewals, attached, adopted, released, expired_sessions,
	        nudges, bad_frames, ceiling_raises, refused_by_limit;
	uint64_t elections, sessions, peers, waiters, held; /* now; held: attached to a session */
	uint64_t ceiling, hold_left_ns, quiet_left_ns;
	uint32_t run, max_ttl_ms, max_ttl_v_ms;
	bool waits_for_disk, frozen;
};
void voter_read_stats(const struct voter *v, struct voter_now now, struct voter_stats *out);

/* For checkers: the slot of an election as this voter has it. false: never heard of. */
struct voter_slot {
	uint64_t term, lt;
	struct quorum_id lc;
	bool free, attached, released;
};
bool voter_look(const struct voter *v, const char *election, struct voter_now now, struct voter_slot *out);

#endif
