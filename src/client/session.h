/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inside of struct tenure, shared by the files of this folder only.
 *
 * Threads: one mutex guards everything of a session but the few atomics that tenure_leads() reads. The loop thread (the
 * library's own, or the one that calls tenure_process()) alone talks to the store. Calls from other threads change the
 * pure elector at once - so that belief is over when tenure_resign() returns - mark the candidacy as having work, and
 * wake the loop. Events are delivered on the loop thread, one at a time, without the lock.
 */
#ifndef TENURE_CLIENT_SESSION_H
#define TENURE_CLIENT_SESSION_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include <tenure/tenure.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "client/client.h"
#include "client/lease_page_writer.h"
#include "elector/elector.h"
#include "elector/store.h"
#include "loop/loop.h"

#define SESSION_NAMES      256
#define SESSION_MAX_EVENTS 64 /* kept for one handle; then they are dropped, and EV_GAP says so */

struct session_target { /* who gets events */
	struct tenure *t;
	tenure_event_fn *fn; /* may be NULL */
	void *arg;
	const char *election;
	unsigned n_events;
	bool gap;     /* some were dropped */
	bool calling; /* fn runs now */
	bool dead;    /* freed by the application: nothing more is delivered */
};

struct session_event { /* queued */
	struct list node;
	struct session_target *target;
	struct tenure_event event;
	struct tenure_error error;
	bool has_error;
	char leader_id[NAMES_IDENTITY_ROOM];
	unsigned char value[]; /* value_bytes */
};

enum session_todo { /* work for the loop thread, besides the elector's actions */
	            SESSION_DO_BEGIN = 256,
	            SESSION_DO_VALUE = 512,
	            SESSION_DO_TIMER = 1024,
};

struct tenure_candidacy {
	struct session_target target;
	struct list node, dirty, of_name;
	char election[NAMES_ELECTION_ROOM];
	const uint32_t *alive; /* the session's: 1, but 0 in a forked child */
	/* What tenure_leads() reads. Written under the lock: deadline 0, token, then deadline (see
	 * candidacy_open_page). */
	_Atomic uint64_t token, deadline_ns;
	_Atomic int state;
	struct elector elector;
	struct store_seat *seat;
	unsigned todo; /* enum elector_action (JOIN, LEAVE, RELEASE) and session_todo */
	char to_identity[NAMES_IDENTITY_ROOM];
	enum tenure_cause release_cause;
	bool ask_first;
	bool proven_dead; /* supervised: nothing of this tenure's program lives */
	bool withheld;    /* a release waits for that */
	void *value;
	size_t value_bytes;
	struct loop_timer timer;
	struct lease_page_writer page; /* of the present tenure, once asked for */
	struct tenure_error why;
};

struct tenure_observer {
	struct session_target target;
	struct list node;
	char election[NAMES_ELECTION_ROOM];
	struct store_watch *watch;
	bool begun;
	bool freed; /* its owner is done with it, and no callback runs: the loop thread buries it */
};

enum session_call_kind { SESSION_READ, SESSION_LIST, SESSION_ASK };

struct session_call { /* a blocking call on its way through the loop thread; freed by whoever is last */
	struct list node;
	struct tenure *t;
	enum session_call_kind kind;
	char election[NAMES_ELECTION_ROOM];
	char to[NAMES_IDENTITY_ROOM];
	bool done, abandoned;
	int code;
	struct tenure_error error;
	struct tenure_status *status;       /* READ */
	char (*names)[NAMES_ELECTION_ROOM]; /* LIST */
	size_t n_names, room_names;
};

struct tenure {
	const uint32_t *alive; /* a page that a fork wipes */
	struct list forked;    /* fork.c */
	pthread_mutex_t mutex;
	pthread_cond_t changed; /* on CLOCK_MONOTONIC: states, calls, callbacks that returned, closing */
	struct loop *loop;
	bool embedded, processing, started, closing, abandoned;
	bool has_thread;
	pthread_t thread;
	bool delivering;
	pthread_t deliverer;
	const struct store_ops *ops;
	struct store *store;
	char id[NAMES_ID_MAX_BYTES + 1];
	char identity[NAMES_IDENTITY_ROOM];
	struct log log;
	_Atomic int health;
	struct list candidacies, observers, dirty, events, calls, dying;
	struct list names[SESSION_NAMES]; /* candidacies that are not freed, by the hash of their election */
	uint64_t event_seq, trace_seq;
	client_trace_fn *trace;
	void *trace_arg;
	bool supervised; /* client_supervise(), and leases have an end */
	uint64_t grace_ns, kill_margin_ns;
	client_deadline_fn *deadlines;
	void *deadlines_arg;
};

/* session.c */
bool session_forked(const struct tenure *t);
void session_lock(struct tenure *t);
void session_unlock(struct tenure *t);
void session_wake(struct tenure *t);
bool session_in_callback(const struct tenure *t);
/* Waits, the lock held, until done() or the limit has passed; drives the loop when embedded. False: the limit passed.
 */
bool session_wait(struct tenure *t, bool (*done)(void *arg), void *arg, uint64_t limit_ns);

/* candidacy.c; all with the lock held */
void candidacy_input(struct tenure_candidacy *c, const struct elector_input *in, const struct tenure_error *error);
void candidacy_work(struct tenure_candidacy *c); /* on the loop thread */
void candidacy_asked(void *seat, const char *to_identity);
void candidacy_from_store(void *seat, const struct elector_input *in, const struct tenure_error *error);
void candidacy_proven_dead(struct tenure_candidacy *c);
void candidacy_position(void *seat, size_t before_us);
void candidacy_destroy(struct tenure_candidacy *c); /* on the loop thread, or without one */

/* observer.c; with the lock held */
void observer_begin(struct tenure_observer *o); /* on the loop thread */
void observer_leader(void *watch, const struct store_view *view);
void observer_destroy(struct tenure_observer *o);

/* events.c; with the lock held */
/* A new event at the end of the queue, or NULL (nobody listens, no memory, too many: then EV_GAP follows). */
struct session_event *events_add(struct session_target *target, enum tenure_event_type type, size_t value_bytes);
void events_error(struct session_event *e, const struct tenure_error *error);
void events_deliver(struct tenure *t); /* on the loop thread; the lock is given up around each call */
void events_forget(struct session_target *target);
/* Waits until a callback of this target, should one run on another thread, has returned. */
void events_settle(struct session_target *target);

/* calls.c; with the lock held */
void calls_run(struct session_call *call); /* on the loop thread */

/* fork.c */
int fork_register(struct tenure *t);
void fork_unregister(struct tenure *t);

#endif
