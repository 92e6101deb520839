/* SPDX-License-Identifier: Apache-2.0 */
#include "schedule.h"
#include "schedule_stories.h"

const struct schedule schedule_table[] = {
	{ "quiet", "R24: a voter votes, restarts, and adopts the leader that the vote is against", NULL,
	  schedule_tell_quiet },
	{ "live", "R12d: a voter has voted; the sitting leader wants the slot", NULL, schedule_tell_live },
	{ "repeat", "R7: a vote comes again where the leader was adopted since", NULL, schedule_tell_repeat },
	{ "longer", "R7: each repeat of a vote makes its lease longer", NULL, schedule_tell_longer },
	{ "hold", "R12: adopted within the hold, an old leader campaigns", schedule_shape_plain, schedule_tell_hold },
	{ "session", "R29: a connection outlives its voter", NULL, schedule_tell_session },
	{ "shrink", "R8: a vote comes again after the lease was renewed", schedule_shape_plain, schedule_tell_shrink },
	{ "cover", "R16: won again at once", schedule_shape_plain, schedule_tell_cover },
	{ "answer", "R9: an answer to the campaign before", NULL, schedule_tell_answer },
	{ "late", "R17: answers when their leases are over", NULL, schedule_tell_late },
	{ "lapse", "R20: answers after a lapse", schedule_shape_plain, schedule_tell_lapse },
	{ "stale", "R3: a voter stands still between its clock and the request", NULL, schedule_tell_stale },
	{ "clock", "R2: the boot clocks of the voters are twice as fast", NULL, schedule_tell_clock },
	{ "born", "R1: a candidate starts again", NULL, schedule_tell_again_born },
	{ "max_ttl", "R26: max_ttl raised, and voters killed", NULL, schedule_tell_max_ttl },
	{ "records", "R27: a record gives way", schedule_shape_records, schedule_tell_records },
	{ "order", "R33: next is who came first", schedule_shape_queue, schedule_tell_order },
	{ "dead_head", "R33: the first in the queue are dead", schedule_shape_queue, schedule_tell_dead_head },
	{ "transfer", "R35: the named one is next", schedule_shape_queue, schedule_tell_transfer },
	{ "again", "R33: a broken connection keeps its place", schedule_shape_queue, schedule_tell_again },
};
const size_t schedule_count = sizeof schedule_table / sizeof *schedule_table;
