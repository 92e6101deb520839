/* SPDX-License-Identifier: Apache-2.0 */
/* The processes around the cores: what the event loops of voter and candidate do, in simulated time. */
#ifndef TENURE_SIM_NODE_H
#define TENURE_SIM_NODE_H

#include "network.h"
#include "world.h"

/* node_voter.c */
void node_voter_init(struct world *w, unsigned voter);
void node_voter_deinit(struct world *w, unsigned voter);
void node_voter_start(struct world *w, unsigned voter);
void node_voter_crash(struct world *w, unsigned voter, bool torn);
void node_voter_stop(struct world *w, unsigned voter, unsigned crash_at_step);
void node_voter_timer(struct world *w, unsigned voter);
void node_voter_disk(struct world *w, unsigned voter);
bool node_voter_accept(struct world *w, struct network_conn *c);
void node_voter_bytes(struct world *w, struct network_conn *c, const uint8_t *bytes, size_t n_bytes);
void node_voter_closed(struct world *w, struct network_conn *c);
void node_voter_unlink(struct world *w, struct network_conn *c);
void node_voter_set_max_ttl(struct world *w, unsigned voter, uint32_t max_ttl_ms);
void node_voter_rearm(struct world *w, unsigned voter);
struct voter_now node_voter_now(struct world *w, unsigned voter);

/* disk.c: writes of one voter */
void disk_init(struct world *w, unsigned voter);
void disk_deinit(struct world *w, unsigned voter);
/* One write at a time; its end is EVENT_VOTER_DISK. */
void disk_write(struct world *w, unsigned voter, const struct superblock *s, enum world_disk_use use);
void disk_write_snapshot(struct world *w, unsigned voter, uint8_t *owned, size_t n_bytes);
/* A write has ended: what it was for; DISK_IDLE: it failed. */
enum world_disk_use disk_done(struct world *w, unsigned voter);
/* The process is gone; what was being written is there, or not, or in part. */
void disk_crash(struct world *w, unsigned voter, bool torn);

/* node_candidate.c */
void node_candidate_start(struct world *w, unsigned candidate);
void node_candidate_crash(struct world *w, unsigned candidate, uint64_t down_ns);
void node_candidate_timer(struct world *w, unsigned candidate);
void node_candidate_bytes(struct world *w, struct network_conn *c, const uint8_t *bytes, size_t n_bytes);
void node_candidate_connected(struct world *w, struct network_conn *c);
void node_candidate_disconnected(struct world *w, struct network_conn *c);
/* After any call of its core: commands, events, bytes, timer, checks. */
void node_candidate_pump(struct world *w, unsigned candidate);
void node_candidate_rearm(struct world *w, unsigned candidate);
struct candidate_now node_candidate_now(struct world *w, unsigned candidate);

#endif
