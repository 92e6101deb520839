/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The quorum store: sockets, clocks and timers around the candidate core. Shared by the files of this folder only.
 *
 * A session has up to two cores: one with a session at the voters, made with the first candidacy, and one that only
 * observes and asks, made when something is read before that. So tools that look have no lease to lose, and a candidate
 * has one connection to each voter, over which it reads, too.
 */
#ifndef TENURE_QUORUM_QUORUM_STORE_H
#define TENURE_QUORUM_QUORUM_STORE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/list.h"
#include "elector/lease.h"
#include "elector/rate_watch.h"
#include "elector/store.h"
#include "loop/loop.h"
#include "loop/stream.h"
#include "quorum/candidate.h"
#include "quorum/quorum.h"

#define QUORUM_DEFAULT_TTL_NS (10 * CLOCK_NS_PER_S)
/* A call to voters that can't be reached fails after this, naming them; one that is reached is waited for. */
#define QUORUM_CALL_PATIENCE_NS (2 * CLOCK_NS_PER_S)

struct quorum_core;

struct quorum_link { /* to one voter */
	struct quorum_core *core;
	unsigned voter;
	struct stream *stream; /* NULL: none */
	bool open, full;
};

struct quorum_core {
	struct quorum_store *store;
	struct candidate *candidate; /* NULL: not made yet */
	bool observer;
	bool reached;
	int failed; /* another cluster, a version, an unsafe ttl: for good */
	enum tenure_health health;
	struct tenure_error why; /* it is not reached, degraded or failed */
	struct quorum_link links[QUORUM_MAX_VOTERS];
	struct loop_timer timer;
	struct loop_deferred send;
};

struct quorum_store {
	struct loop *loop;
	struct log log;
	const struct store_sink *sink;
	void *client;
	char id[NAMES_ID_MAX_BYTES + 1];
	struct quorum_id inc;
	unsigned n_addresses;
	char addresses[QUORUM_MAX_VOTERS][QUORUM_ADDRESS_ROOM];
	bool remote; /* some of them are not on this host */
	uint64_t ttl_ns;
	bool ttl_given;
	uint32_t rate_error_ppm;
	_Atomic uint64_t granted_ttl_ns; /* any thread reads it */
	struct rate_watch rates;
	uint64_t rates_at_ns; /* looked at last */
	enum rate_watch_fault clock_fault;
	struct quorum_core session, observer;
	struct list seats, watches, calls;
};

struct quorum_seat {
	struct list node;
	struct quorum_store *store;
	void *client_seat;
	struct candidate_election *election; /* NULL: a later candidacy of this session has taken its place */
	char name[NAMES_ELECTION_ROOM];
	uint64_t notice_ns; /* what must be left of a grant that is told */
	bool held;          /* GRANTED was told, and neither LOST nor RELEASED */
	bool releasing;     /* the elector waits for RELEASED */
};

struct quorum_watch {
	struct list node;
	struct quorum_core *core;
	void *client_watch;
	struct candidate_watch *watch;
	bool told, led; /* as last told */
	uint64_t token;
	uint32_t value_crc;
};

/* quorum_link.c: one core and its connections */

struct candidate_now quorum_now(void);
void quorum_core_init(struct quorum_core *core, struct quorum_store *store, bool observer);
/* Makes it where it is not made yet. From any thread, with the session's lock. 0, TENURE_ENOMEM, TENURE_EINTERNAL. */
int quorum_core_make(struct quorum_core *core, struct tenure_error *error);
/* After every call on its candidate: commands and events at once, frames at the end of the loop's pass. [loop thread] */
void quorum_core_settle(struct quorum_core *core);
/* What is still to be said is said as far as the kernel takes it; then everything of it is gone. */
void quorum_core_close(struct quorum_core *core);
/* In a forked child. Async-signal-safe. */
void quorum_core_forked(struct quorum_core *core);
/* The one that a call goes through: that of the candidacies, where there are some. */
struct quorum_core *quorum_core_of(struct quorum_store *s);

/* quorum_store.c */

void quorum_store_on_event(struct quorum_core *core, const struct candidate_event *event);
/* Looks at the host's clocks (R2), before anything is renewed. */
void quorum_store_look_at_clocks(struct quorum_store *s);

/* quorum_seat.c */

int quorum_seat_take(struct store *store, const struct store_join *join, void *client_seat, struct store_seat **out,
                     struct tenure_error *error);
void quorum_seat_begin(struct store_seat *seat);
void quorum_seat_join(struct store_seat *seat);
void quorum_seat_leave(struct store_seat *seat);
void quorum_seat_release(struct store_seat *seat, const char *to_identity, enum tenure_cause cause);
int quorum_seat_set_value(struct store_seat *seat, const void *value, size_t value_bytes);
void quorum_seat_free(struct store_seat *seat);
void quorum_seat_on_event(struct quorum_core *core, const struct candidate_event *event);
/* REACHED, UNREACHED or FAILED, as the core stands, to all seats. */
void quorum_seats_tell(struct quorum_store *s);

/* quorum_view.c */

void quorum_view_read(struct store *store, const char *election, store_read_done *done, void *arg);
void quorum_view_list(struct store *store, store_list_each *each, store_done *done, void *arg);
void quorum_view_ask(struct store *store, const char *election, const char *to, store_done *done, void *arg);
int quorum_view_observe(struct store *store, const char *election, void *client_watch, struct store_watch **out,
                        struct tenure_error *error);
void quorum_view_unobserve(struct store_watch *watch);
void quorum_view_on_event(struct quorum_core *core, const struct candidate_event *event);
/* The core has failed for good, or is closed: whoever waits for an answer of it gets this one. */
void quorum_view_fail(struct quorum_core *core, int code, const struct tenure_error *error);
void quorum_view_close(struct quorum_store *s);

#endif
