/* SPDX-License-Identifier: Apache-2.0 */
/* A voter's disk: a superblock file that can be torn, a snapshot file, and writes that take their time. */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

#include "node.h"
#include "transcript.h"

#define DISK_SECTOR_BYTES 512

void disk_init(struct world *w, unsigned voter)
{
	struct world_disk *d = &w->voters[voter].disk;
	struct superblock *s = &d->state;

	*s = (struct superblock) { .sequence = 1,
		                   .cluster = w->cluster,
		                   .epoch = 1,
		                   .ceiling = QUORUM_STEP,
		                   .max_ttl_ms = w->plan.max_ttl_ms,
		                   .max_ttl_v_ms = w->plan.max_ttl_v_ms,
		                   .config = { .cver = 1, .n_members = w->plan.n_voters } };
	for (unsigned i = 0; i < w->plan.n_voters; i++) {
		struct quorum_member *m = &s->config.members[i];

		m->vid.bytes[0] = (uint8_t)(i + 1);
		m->vid.bytes[15] = 0x56;
		snprintf(m->address, sizeof m->address, "v%u:7420", i);
	}
	s->vid = s->config.members[voter].vid;
	snprintf(s->name, sizeof s->name, "v%u", voter);
	superblock_encode(s, d->file + (s->sequence % 2) * SUPERBLOCK_COPY_BYTES);
	d->write_ns = dice_between(&w->disk_dice, 200000, 8 * PLAN_MS);
}

void disk_deinit(struct world *w, unsigned voter)
{
	free(w->voters[voter].disk.snapshot);
	free(w->voters[voter].disk.next_snapshot);
}

static void disk_begin(struct world *w, unsigned voter, enum world_disk_use use)
{
	struct world_disk *d = &w->voters[voter].disk;
	uint64_t at_ns = w->now_ns + d->write_ns / 2 + dice_below(&w->disk_dice, d->write_ns);

	CHECK(d->use == DISK_IDLE);
	d->use = use;
	if (!w->healed && d->slow_until_ns > w->now_ns)
		at_ns += dice_wait(&w->disk_dice, 50 * PLAN_MS);
	if (!w->healed && d->stall_until_ns > at_ns)
		at_ns = d->stall_until_ns;
	world_put(w, at_ns, EVENT_VOTER_DISK, voter, w->voters[voter].instance);
}

void disk_write(struct world *w, unsigned voter, const struct superblock *s, enum world_disk_use use)
{
	struct world_disk *d = &w->voters[voter].disk;
	uint64_t sequence = d->state.sequence + 1;

	d->state = *s;
	d->state.sequence = sequence;
	superblock_encode(&d->state, d->next);
	disk_begin(w, voter, use);
}

void disk_write_snapshot(struct world *w, unsigned voter, uint8_t *owned, size_t n_bytes)
{
	struct world_disk *d = &w->voters[voter].disk;

	free(d->next_snapshot);
	d->next_snapshot = owned;
	d->n_next_snapshot = n_bytes;
	disk_begin(w, voter, DISK_SNAPSHOT);
}

enum world_disk_use disk_done(struct world *w, unsigned voter)
{
	struct world_disk *d = &w->voters[voter].disk;
	enum world_disk_use use = d->use;

	d->use = DISK_IDLE;
	if (d->fail_next) {
		d->fail_next = false;
		return DISK_IDLE;
	}
	if (use == DISK_SNAPSHOT) {
		free(d->snapshot);
		d->snapshot = d->next_snapshot;
		d->n_snapshot = d->n_next_snapshot;
		d->next_snapshot = NULL;
	} else {
		memcpy(d->file + (d->state.sequence % 2) * SUPERBLOCK_COPY_BYTES, d->next, SUPERBLOCK_COPY_BYTES);
	}
	return use;
}

static void disk_tear(struct world *w, uint8_t *to, const uint8_t *from, size_t n_bytes, bool prefix)
{
	struct dice *dice = &w->disk_dice;

	if (prefix) {
		memcpy(to, from, dice_below(dice, n_bytes + 1));
		return;
	}
	for (size_t at = 0; at < n_bytes; at += DISK_SECTOR_BYTES)
		if (dice_chance(dice, 500000))
			memcpy(to + at, from + at, n_bytes - at < DISK_SECTOR_BYTES ? n_bytes - at : DISK_SECTOR_BYTES);
}

void disk_crash(struct world *w, unsigned voter, bool torn)
{
	struct world_disk *d = &w->voters[voter].disk;
	enum world_disk_use use = d->use;
	uint64_t fate = torn ? 1 + dice_below(&w->disk_dice, 2) : dice_below(&w->disk_dice, 4);

	d->use = DISK_IDLE;
	if (use == DISK_IDLE || fate == 0)
		return;
	if (use == DISK_SNAPSHOT) {
		/* A file of its own, renamed when whole: the old one stays, or the new one is cut where the rename came first. */
		if (fate == 3) {
			free(d->snapshot);
			d->snapshot = d->next_snapshot;
			d->n_snapshot = dice_below(&w->disk_dice, d->n_next_snapshot + 1);
			d->next_snapshot = NULL;
		}
		return;
	}
	if (fate == 3) /* whole, but nobody was told */
		memcpy(d->file + (d->state.sequence % 2) * SUPERBLOCK_COPY_BYTES, d->next, SUPERBLOCK_COPY_BYTES);
	else
		disk_tear(w, d->file + (d->state.sequence % 2) * SUPERBLOCK_COPY_BYTES, d->next, SUPERBLOCK_COPY_BYTES,
		          fate == 1);
}
