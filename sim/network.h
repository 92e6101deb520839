/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections between candidates and voters. Direct ones are TCP: in order, late, cut, broken, but never with a hole.
 * Through the proxy each frame travels alone: late, twice, in another order, and past the voter's restart: the proxy then
 * repeats to the new process what opened the connection (HELLO, OPEN) and delivers what it still has.
 */
#ifndef TENURE_SIM_NETWORK_H
#define TENURE_SIM_NETWORK_H

#include "world.h"

enum network_direction { NETWORK_TO_VOTER, NETWORK_TO_CANDIDATE };

struct network_chunk {
	uint32_t n;
	uint64_t sent_order; /* of the connection: frames older than a re-opened handle are of no use */
	uint8_t bytes[];
};

struct network_bytes { /* arrived, not yet consumed */
	uint8_t *data;
	size_t n, room;
};

struct network_conn {
	unsigned candidate, voter, refs;
	uint64_t number, candidate_instance, voter_instance, pass;
	bool candidate_open, voter_open, connected, proxied;
	struct voter_peer *peer;
	struct network_bytes in[2];
	uint64_t last_ns[2], last_control_ns;
	struct network_conn *next, *previous; /* of the voter's list */
	/* The proxy's memory. */
	struct network_bytes opening; /* HELLO and OPENs as they were sent */
	uint64_t orders;
	uint32_t n_handles;
	uint64_t *handle_order; /* when the handle was opened last */
};

struct network_held {
	struct network_held *next;
	struct network_conn *conn;
	enum network_direction direction;
	struct network_chunk *chunk;
};

void network_connect(struct world *w, unsigned candidate, unsigned voter);
/* Whole frames; they leave at `departure_ns`. */
void network_send(struct world *w, struct network_conn *c, enum network_direction direction, const uint8_t *bytes,
                  size_t n_bytes, uint64_t departure_ns);
/* One side has closed, or is gone: the other one learns of it later. */
void network_close(struct world *w, struct network_conn *c, enum network_direction tells, uint64_t departure_ns);
/* The voter's process is gone. */
void network_voter_gone(struct world *w, unsigned voter);
void network_arrive(struct world *w, struct agenda_event *e);
void network_refer(struct network_conn *c);
void network_unrefer(struct network_conn *c);
void network_put(struct world *w, struct network_conn *c, uint64_t at_ns, enum world_event kind,
                 struct network_chunk *chunk);
/* When something that leaves then arrives, without the order of a connection. */
uint64_t network_arrival_ns(struct world *w, const struct network_conn *c, enum network_direction direction,
                            uint64_t departure_ns);
void network_bytes_add(struct network_bytes *b, const uint8_t *bytes, size_t n_bytes);
void network_bytes_take(struct network_bytes *b, size_t n_bytes);
struct network_chunk *network_chunk_new(const uint8_t *bytes, size_t n_bytes);
/* Frames that a schedule kept back, of one link and direction, come now. How many there were. */
unsigned network_release_held(struct world *w, unsigned candidate, unsigned voter, enum network_direction direction);
unsigned network_n_held(const struct world *w, unsigned candidate, unsigned voter, enum network_direction direction);
void network_forget_held(struct world *w);
/* Of one link and direction, all but the last `n_keep`. */
void network_forget_held_of(struct world *w, unsigned candidate, unsigned voter, enum network_direction direction,
                            unsigned n_keep);

/* proxy.c */
void proxy_send(struct world *w, struct network_conn *c, enum network_direction direction, const uint8_t *bytes,
                size_t n_bytes, uint64_t departure_ns);
/* A peer of the voter's present process for this connection, the opening repeated if it is a new one; false: none. */
bool proxy_peer(struct world *w, struct network_conn *c);
/* Nudges for all that this connection has opened, as if old ones came late: fairness hangs on them, safety must not (R33). */
void proxy_nudge(struct world *w, struct network_conn *c);
/* Does the frame speak of a handle that has been opened for another election since? */
bool proxy_outdated(const struct network_conn *c, const struct network_chunk *chunk);

#endif
