/* SPDX-License-Identifier: Apache-2.0 */
/* The stories of schedule_table.c. */
#ifndef TENURE_SIM_SCHEDULE_STORIES_H
#define TENURE_SIM_SCHEDULE_STORIES_H

#include "world.h"

void schedule_shape_plain(struct plan *p);
void schedule_shape_records(struct plan *p);
void schedule_shape_queue(struct plan *p);

void schedule_tell_quiet(struct world *w);
void schedule_tell_live(struct world *w);
void schedule_tell_repeat(struct world *w);
void schedule_tell_longer(struct world *w);
void schedule_tell_hold(struct world *w);
void schedule_tell_session(struct world *w);
void schedule_tell_shrink(struct world *w);
void schedule_tell_cover(struct world *w);
void schedule_tell_answer(struct world *w);
void schedule_tell_late(struct world *w);
void schedule_tell_lapse(struct world *w);
void schedule_tell_stale(struct world *w);
void schedule_tell_clock(struct world *w);
void schedule_tell_again_born(struct world *w);
void schedule_tell_max_ttl(struct world *w);
void schedule_tell_records(struct world *w);
void schedule_tell_order(struct world *w);
void schedule_tell_dead_head(struct world *w);
void schedule_tell_transfer(struct world *w);
void schedule_tell_again(struct world *w);

#endif
