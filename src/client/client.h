/* SPDX-License-Identifier: Apache-2.0 */
/* What the client library offers to the layers above it inside this project. Not exported. */
#ifndef TENURE_CLIENT_CLIENT_H
#define TENURE_CLIENT_CLIENT_H

#include <tenure/tenure.h>

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

/* The whole of what tenure_read() found. Borrowed from the status. */
const struct store_view *client_status_view(const struct tenure_status *s);

#endif
