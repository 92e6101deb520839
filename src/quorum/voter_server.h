/* SPDX-License-Identifier: Apache-2.0 */
/* One voter on a loop: its store, its address, its connections. */
#ifndef TENURE_QUORUM_VOTER_SERVER_H
#define TENURE_QUORUM_VOTER_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tenure/tenure.h>

#include "base/log.h"
#include "loop/loop.h"
#include "quorum/voter.h"
#include "quorum/voter_writer.h"

struct voter_server;

struct voter_server_settings {
	const char *directory; /* the store; copied */
	bool insecure;         /* off loopback without TLS, as its operator said in so many words */
	bool allow_memory;     /* tests and demonstrations: a store on a memory file system */
	uint32_t max_ttl_ms;   /* 0: as the store has it (R26) */
	struct voter_limits limits;
	struct log log;
};

/*
 * Begins the store's next run and serves at the address that its configuration has for it. Connections are answered as
 * soon as the loop runs. `before` and `after` of the loop may be anything.
 *
 * The codes of voter_disk_open() and stream_listen(); TENURE_EUNSAFE: the address is off loopback and nobody said
 * `insecure`; TENURE_ECLOCK. Nothing was changed on disk where it is refused for its address.
 */
int voter_server_new(struct voter_server **out, struct loop *l, const struct voter_server_settings *settings,
                     struct tenure_error *error);
void voter_server_free(struct voter_server *s); /* NULL is allowed. Without voter_server_stop() before it: as kill -9 */

/*
 * The clean stop (R25): from its beginning on nothing is answered. [blocks] 0; TENURE_EIO, TENURE_TIMEOUT (the disk does not
 * answer): the next start is an unclean one.
 */
int voter_server_stop(struct voter_server *s, struct tenure_error *error);

/* It cannot go on (R27: the disk failed; the clock did): the loop was stopped, and `error` says why. */
bool voter_server_has_failed(const struct voter_server *s, struct tenure_error *error);

const char *voter_server_name(const struct voter_server *s);    /* "v1" */
const char *voter_server_address(const struct voter_server *s); /* that it listens on */

struct voter_server_stats {
	struct voter_stats voter;
	struct voter_writer_stats disk;
	uint64_t n_connections, n_accepted, n_turned_away; /* now; since the start */
	uint64_t n_broken;                                 /* connections closed for what came on them */
	uint64_t n_slow;                                   /* closed since they did not read, or never ended a frame */
	uint64_t kept_bytes;                               /* of frames that are not whole, or wait for the disk */
	uint64_t n_accept_pauses;                          /* out of descriptors */
};
void voter_server_read_stats(const struct voter_server *s, struct voter_server_stats *out);

#endif
