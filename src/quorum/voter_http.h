/* SPDX-License-Identifier: Apache-2.0 */
/* /livez, /readyz and /metrics of a voter, on its loop. */
#ifndef TENURE_QUORUM_VOTER_HTTP_H
#define TENURE_QUORUM_VOTER_HTTP_H

#include "quorum/voter_server.h"

struct voter_http;

/*
 * Takes its address. Not ready, and without metrics, until it has a server. The codes of stream_listen();
 * TENURE_EINTERNAL.
 */
int voter_http_new(struct voter_http **out, struct loop *l, const char *address, struct tenure_error *error);
/* Borrows the server, which must outlive it. */
void voter_http_serve(struct voter_http *h, const struct voter_server *server);
void voter_http_free(struct voter_http *h); /* NULL is allowed */
const char *voter_http_address(const struct voter_http *h);

#endif
