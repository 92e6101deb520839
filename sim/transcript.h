/* SPDX-License-Identifier: Apache-2.0 */
/* A run as a readable text, or as NDJSON records. Only while a seed is replayed: callers test w->transcript first. */
#ifndef TENURE_SIM_TRANSCRIPT_H
#define TENURE_SIM_TRANSCRIPT_H

#include "network.h"
#include "world.h"

void transcript_say(struct world *w, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Frames that arrive. */
void transcript_frames(struct world *w, const struct network_conn *c, enum network_direction direction,
                       const uint8_t *bytes, size_t n_bytes);
void transcript_event(struct world *w, unsigned candidate, const struct candidate_event *event);
/* A change of belief that the checker has seen. */
void transcript_belief(struct world *w, unsigned candidate, unsigned election, bool leads, uint64_t token);

#endif
