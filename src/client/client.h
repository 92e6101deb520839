/* SPDX-License-Identifier: Apache-2.0 */
/* What the client library offers to the layers above it inside this project. Not exported. */
#ifndef TENURE_CLIENT_CLIENT_H
#define TENURE_CLIENT_CLIENT_H

#include <tenure/tenure.h>

#include "elector/lease.h"
#include "elector/store.h"

/* <id>_<16 hex> of this session. Borrowed. */
const char *client_identity(const struct tenure *t);
unsigned client_capabilities(const struct tenure *t); /* enum store_capability */
const char *client_scheme(const struct tenure *t);

/* Every trace record (a whole line with its newline) of this session, on the loop thread. Before the first campaign. */
typedef void client_trace_fn(void *arg, const char *line, size_t n_bytes);
void client_trace_to(struct tenure *t, client_trace_fn *fn, void *arg);

/* The store's lock for processes that outlive this one (store.h). Embedded sessions only. TENURE_NOT_LEADING, TENURE_E…
 */
int client_share_lock(struct tenure_candidacy *c, int *fd);
void client_yield_lock(struct tenure_candidacy *c);
/*
 * After client_yield_lock() the library no longer knows whether the lock is held, so it touches nothing on disk when
 * the tenure ends. Whoever held it last (the warden, once the program is proven dead) gives it back here, so that the
 * release can be recorded and named to the next in line: takes fd. Then tenure_resign().
 */
void client_return_lock(struct tenure_candidacy *c, int fd);
/* The lock is gone (the warden died): leadership is over, nothing is left to be released. */
void client_lost_lock(struct tenure_candidacy *c);
int client_record_tree(struct tenure_candidacy *c, const struct store_tree *tree, struct tenure_error *error);

/* The store's lease in numbers; ttl_ns is NEVER where it has no end. 0, or what the store says: it can't be told. */
int client_timing(const struct tenure *t, struct lease_timing *out);
/*
 * This session's tenures are for programs that are ended when leadership is. Before the first campaign; embedded sessions
 * only. From then on, where leases have an end:
 *  - each deadline lies kill_margin_ns before the provable end that the store gives;
 *  - whatever ended a tenure, what is held is released only after client_proven_dead(), or tenure_candidacy_free(). The
 *    store goes on renewing it meanwhile: belief is over at the deadline, and what may still run is protected by E.
 * 0; TENURE_EUNSAFE: D(ttl) >= h + 2 r + grace + kill_margin does not hold (the message has the numbers). Where that is
 * found out later, from what the store grants, the candidacy fails with it. TENURE_ESTATE: too late.
 */
int client_supervise(struct tenure *t, uint64_t grace_ns, uint64_t kill_margin_ns, struct tenure_error *error);
/* Nothing of the present tenure's program lives, or it was never started: what is held may be released. */
void client_proven_dead(struct tenure_candidacy *c);
/*
 * Each deadline as it becomes known, at the grant and at every confirmed renewal. On the loop thread, with the session's
 * lock held: must not call into the session. Before the first campaign.
 */
typedef void client_deadline_fn(void *arg, const struct tenure_candidacy *c, uint64_t token, uint64_t deadline_ns);
void client_deadlines_to(struct tenure *t, client_deadline_fn *fn, void *arg);

/* The whole of what tenure_read() found. Borrowed from the status. */
const struct store_view *client_status_view(const struct tenure_status *s);

#endif
