/* SPDX-License-Identifier: Apache-2.0 */
/* The stores of a new cluster, all of them in one step (PROTOCOL 12.1). Blocks. */
#ifndef TENURE_QUORUM_VOTER_INIT_H
#define TENURE_QUORUM_VOTER_INIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tenure/tenure.h>

#include "quorum/quorum.h"

struct voter_init_member {
	const char *name;    /* of the voter, and of its directory: as an election's name, at most 64 bytes */
	const char *address; /* "host:port", "[v6]:port"; a host alone gets the default port */
};

struct voter_init {
	const char *directory; /* the stores are directory/NAME; made if need be */
	uint16_t epoch;        /* 0 to QUORUM_EPOCH_MAX: above that of the cluster that it follows */
	uint32_t max_ttl_ms;   /* 0: the default */
	uint32_t max_ttl_v_ms; /* 0: the default, or max_ttl_ms/4 where that is less */
	const struct voter_init_member *members;
	unsigned n_members; /* 1, 3, 5, 7 or 9 */
	bool allow_memory;
};

/*
 * Makes them, or none: on an error nothing stays behind that was not there before. Killed in the middle it may leave
 * directory/.new-..., and some of the stores whole: a later call refuses and says what to remove.
 *
 * 0, and *cluster (may be NULL). TENURE_EINVAL: number of voters, a name, an address, one of them twice, epoch,
 * max_ttl.
 * TENURE_EEXIST: a store, or anything else, is there already under one of the names: nothing is ever overwritten.
 * TENURE_EUNSAFE: no local disk. TENURE_EIO, TENURE_ELIMIT, TENURE_ENOMEM, TENURE_EINTERNAL.
 */
int voter_init(const struct voter_init *init, struct quorum_id *cluster, struct tenure_error *error);

#endif
