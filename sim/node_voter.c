/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "elector/elector.h"

#include "checker.h"
#include "node.h"
#include "transcript.h"

#define NODE_SPINS 2000

struct voter_now node_voter_now(struct world *w, unsigned voter)
{
	struct world_host *h = &w->voters[voter].host;
	struct voter_now now = { dial_read(&h->dial, w->now_ns), dial_unix_ms(&h->dial, w->now_ns) };

	/* R3 broken: the clock was read before the process stood still, the request came after. */
	if (world_mutant(w, MUTATION_stalestamp) && h->stale.boot_ns)
		now.at = h->stale;
	return now;
}

void node_voter_init(struct world *w, unsigned voter)
{
	disk_init(w, voter);
	w->voters[voter].timer_ns = WORLD_NEVER;
	world_put(w, dice_below(&w->fault_dice, 50 * PLAN_MS), EVENT_VOTER_START, voter, 0);
}

void node_voter_deinit(struct world *w, unsigned voter)
{
	struct world_voter *v = &w->voters[voter];

	while (v->conns)
		node_voter_unlink(w, v->conns);
	voter_free(v->core);
	v->core = NULL;
	disk_deinit(w, voter);
}

void node_voter_unlink(struct world *w, struct network_conn *c)
{
	struct world_voter *v = &w->voters[c->voter];

	if (!c->voter_open)
		return;
	c->voter_open = false;
	c->peer = NULL;
	c->in[0].n = 0;
	if (c->previous)
		c->previous->next = c->next;
	else
		v->conns = c->next;
	if (c->next)
		c->next->previous = c->previous;
	c->next = c->previous = NULL;
	network_unrefer(c);
}

void node_voter_rearm(struct world *w, unsigned voter)
{
	struct world_voter *v = &w->voters[voter];
	uint64_t next_ns, at_ns;

	if (v->state != VOTER_UP)
		return;
	next_ns = voter_next_ns(v->core);
	if (next_ns == UINT64_MAX)
		return;
	at_ns = dial_true_ns(&v->host.dial, next_ns);
	at_ns = at_ns <= w->now_ns ? w->now_ns + 20000 : at_ns + dice_below(&w->pause_dice, 60000);
	if (at_ns >= v->timer_ns)
		return;
	v->timer_ns = at_ns;
	world_put(w, at_ns, EVENT_VOTER_TIMER, voter, v->instance);
}

static void node_voter_pump(struct world *w, unsigned voter)
{
	struct world_voter *v = &w->voters[voter];
	uint64_t departure_ns = world_departure_ns(w, &v->host);
	struct superblock s;
	struct voter_peer *p;

	while ((p = voter_next_to_send(v->core))) {
		struct network_conn *c = voter_peer_user(p);
		struct wire_out *out = voter_peer_out(p);

		wire_out_close(out);
		if (wire_out_pending(out)) {
			network_send(w, c, NETWORK_TO_CANDIDATE, out->data + out->begin, wire_out_pending(out),
			             departure_ns);
			wire_out_sent(out, wire_out_pending(out));
		}
	}
	while ((p = voter_next_to_close(v->core))) {
		struct network_conn *c = voter_peer_user(p);

		if (c->candidate_open)
			network_close(w, c, NETWORK_TO_CANDIDATE, departure_ns);
		voter_drop(v->core, p, node_voter_now(w, voter));
		node_voter_unlink(w, c);
	}
	if (v->disk.use == DISK_IDLE && v->state == VOTER_UP && voter_wants_disk(v->core, &s))
		disk_write(w, voter, &s, DISK_RUN);
	node_voter_rearm(w, voter);
}

void node_voter_start(struct world *w, unsigned voter)
{
	struct world_voter *v = &w->voters[voter];
	struct tenure_error error = TENURE_ERROR_INIT;
	struct superblock s;

	if (v->state != VOTER_DOWN)
		return;
	if (superblock_choose(&s, v->disk.file, sizeof v->disk.file, &error)) {
		v->state = VOTER_BROKEN;
		world_violate(w, "disk", "v%u: no good superblock after a crash: %s", voter, error.message);
		return;
	}
	v->instance = ++w->instances;
	v->state = VOTER_STARTING;
	v->start = s.run == 0 && !s.joined ? VOTER_FIRST : s.run && s.clean_run == s.run ? VOTER_CLEAN : VOTER_UNCLEAN;
	/* The snapshot of the run before last is kept by the mutant, whatever the superblock says (R25). */
	if (world_mutant(w, MUTATION_snaptwice) && v->disk.snapshot && v->start == VOTER_UNCLEAN)
		v->start = VOTER_CLEAN;
	v->disk.state = s; /* the next write is the one after what is there, not after what was torn */
	s.run++;
	disk_write(w, voter, &s, DISK_START);
}

static void node_voter_serve(struct world *w, unsigned voter)
{
	struct world_voter *v = &w->voters[voter];
	bool clean = v->start == VOTER_CLEAN;
	uint64_t first = dice_next(&w->disk_dice), second = dice_next(&w->disk_dice);
	struct voter_settings settings = { .durable = &v->disk.state,
		                           .start = v->start,
		                           .snapshot = clean ? v->disk.snapshot : NULL,
		                           .n_snapshot_bytes = clean ? v->disk.n_snapshot : 0,
		                           .hash_seed = { first, second },
		                           .limits = { .max_elections = w->plan.max_records },
		                           .mutations = w->mutations };
	int code = voter_new(&v->core, &settings, node_voter_now(w, voter));

	CHECK(code == 0 || code == TENURE_EFOREIGN);
	v->state = VOTER_UP;
	v->timer_ns = WORLD_NEVER;
	w->counts.restarts++;
	if (w->transcript)
		transcript_say(w, "v%u serves, run %u, %s", voter, v->disk.state.run,
		               v->start == VOTER_FIRST ? "first start"
		               : clean && !code        ? "clean start"
		                                       : "unclean start");
	checker_voter_start(w, voter, v->start == VOTER_CLEAN && code == 0);
	node_voter_pump(w, voter);
	checker_voter(w, voter);
}

static void node_voter_gone(struct world *w, unsigned voter)
{
	struct world_voter *v = &w->voters[voter];

	network_voter_gone(w, voter);
	voter_free(v->core);
	v->core = NULL;
	v->state = VOTER_DOWN;
	v->instance = ++w->instances;
	v->timer_ns = WORLD_NEVER;
	v->host.paused_until_ns = 0;
	v->host.stale = INSTANT_ZERO;
}

void node_voter_crash(struct world *w, unsigned voter, bool torn)
{
	struct world_voter *v = &w->voters[voter];

	if (v->state == VOTER_DOWN || v->state == VOTER_BROKEN)
		return;
	if (w->transcript)
		transcript_say(w, "v%u is killed%s", voter, v->disk.use == DISK_IDLE ? "" : " while it writes");
	disk_crash(w, voter, torn);
	node_voter_gone(w, voter);
}

/* R25, in three steps: the snapshot, the superblock that makes it good, the end; it may be killed in each. */
void node_voter_stop(struct world *w, unsigned voter, unsigned crash_at_step)
{
	struct world_voter *v = &w->voters[voter];
	size_t n_bytes = 0;
	uint8_t *bytes;

	if (v->state != VOTER_UP || v->disk.use != DISK_IDLE) {
		node_voter_crash(w, voter, false);
		return;
	}
	if (w->transcript)
		transcript_say(w, "v%u stops cleanly", voter);
	bytes = voter_freeze(v->core, node_voter_now(w, voter), &n_bytes);
	CHECK(bytes);
	/* The mutant still serves what comes until its end. */
	if (!world_mutant(w, MUTATION_snapserve))
		v->state = VOTER_STOPPING;
	v->crash_at_step = crash_at_step;
	disk_write_snapshot(w, voter, bytes, n_bytes);
	if (crash_at_step == 1)
		world_put(w, w->now_ns + dice_below(&w->disk_dice, v->disk.write_ns), EVENT_FAULT_END,
		          UINT32_MAX - voter, v->instance);
}

static void node_voter_stopped(struct world *w, unsigned voter, enum world_disk_use use)
{
	struct world_voter *v = &w->voters[voter];
	struct superblock s = v->disk.state;

	if (use == DISK_SNAPSHOT && v->crash_at_step != 2) {
		s.clean_run = s.run;
		disk_write(w, voter, &s, DISK_CLEAN);
		if (v->crash_at_step == 3)
			world_put(w, w->now_ns + dice_below(&w->disk_dice, v->disk.write_ns), EVENT_FAULT_END,
			          UINT32_MAX - voter, v->instance);
		return;
	}
	if (w->transcript)
		transcript_say(w, "v%u has stopped", voter);
	node_voter_gone(w, voter);
}

/* Bytes that wait under R22 are given to the core again, with a fresh clock. */
static void node_voter_take_up(struct world *w, unsigned voter)
{
	struct world_voter *v = &w->voters[voter];

	uint64_t pass = ++w->conn_numbers;
	struct network_conn *c = v->conns;

	while (c) {
		if (c->pass != pass && c->in[0].n && !voter_peer_waits(c->peer)) {
			c->pass = pass;
			w->counts.requests_waited++;
			node_voter_bytes(w, c, NULL, 0);
			c = v->conns; /* the list may be another one now */
		} else {
			c = c->next;
		}
	}
}

void node_voter_disk(struct world *w, unsigned voter)
{
	struct world_voter *v = &w->voters[voter];
	enum world_disk_use use;

	if (v->disk.tear_next) {
		v->disk.tear_next = false;
		node_voter_crash(w, voter, true);
		world_put(w, w->now_ns + 50 * PLAN_MS, EVENT_VOTER_START, voter, 0);
		return;
	}
	use = disk_done(w, voter);
	switch (use) {
	case DISK_IDLE:
		node_voter_crash(w, voter, false);
		world_put(w, w->now_ns + 500 * PLAN_MS, EVENT_VOTER_START, voter, 0);
		return;
	case DISK_START:
		node_voter_serve(w, voter);
		return;
	case DISK_RUN:
		if (v->state != VOTER_UP)
			return;
		voter_on_disk(v->core, node_voter_now(w, voter));
		node_voter_pump(w, voter);
		node_voter_take_up(w, voter);
		checker_voter(w, voter);
		return;
	default:
		node_voter_stopped(w, voter, use);
		return;
	}
}

void node_voter_timer(struct world *w, unsigned voter)
{
	struct world_voter *v = &w->voters[voter];
	struct voter_now now = node_voter_now(w, voter);

	v->timer_ns = WORLD_NEVER;
	voter_tick(v->core, now);
	if (voter_next_ns(v->core) > now.at.boot_ns)
		v->n_spins = 0;
	else if (++v->n_spins > NODE_SPINS)
		world_violate(w, "spin", "v%u: the timer's instant stays in the past", voter);
	node_voter_pump(w, voter);
	checker_voter(w, voter);
}

bool node_voter_accept(struct world *w, struct network_conn *c)
{
	struct world_voter *v = &w->voters[c->voter];

	if (v->state != VOTER_UP)
		return false;
	c->peer = voter_accept(v->core, c, node_voter_now(w, c->voter));
	if (!c->peer)
		return false;
	c->voter_open = true;
	c->voter_instance = v->instance;
	c->in[0].n = 0;
	c->next = v->conns;
	c->previous = NULL;
	if (v->conns)
		v->conns->previous = c;
	v->conns = c;
	network_refer(c);
	return true;
}

void node_voter_bytes(struct world *w, struct network_conn *c, const uint8_t *bytes, size_t n_bytes)
{
	struct world_voter *v = &w->voters[c->voter];
	struct tenure_error error = TENURE_ERROR_INIT;
	unsigned voter = c->voter;
	size_t n_consumed = 0;
	int code;

	if (v->state != VOTER_UP)
		return;
	if (n_bytes) {
		w->counts.frames++;
		w->counts.bytes += n_bytes;
		if (w->transcript)
			transcript_frames(w, c, NETWORK_TO_VOTER, bytes, n_bytes);
		network_bytes_add(&c->in[0], bytes, n_bytes);
		world_hash(w, n_bytes << 32 | bytes[n_bytes / 2]);
		if (voter_peer_waits(c->peer))
			return;
	}
	network_refer(c);
	code = voter_receive(v->core, c->peer, node_voter_now(w, voter), c->in[0].data, c->in[0].n, &n_consumed,
	                     &error);
	network_bytes_take(&c->in[0], n_consumed);
	node_voter_pump(w, voter);
	if (code < 0 && c->voter_open) {
		/* A proxy that repeats and reorders can make a connection senseless; a stream can't. */
		if (!c->proxied && !strstr(error.message, "came too late"))
			world_violate(w, "frame", "v%u refuses what c%u sent: %s", voter, c->candidate, error.message);
		if (w->transcript)
			transcript_say(w, "v%u closes c%u: %s", voter, c->candidate, error.message);
		if (c->candidate_open)
			network_close(w, c, NETWORK_TO_CANDIDATE, w->now_ns);
		voter_drop(v->core, c->peer, node_voter_now(w, voter));
		node_voter_unlink(w, c);
		node_voter_pump(w, voter);
	}
	network_unrefer(c);
	checker_voter(w, voter);
}

void node_voter_closed(struct world *w, struct network_conn *c)
{
	struct world_voter *v = &w->voters[c->voter];
	unsigned voter = c->voter;

	if (!c->voter_open || c->voter_instance != v->instance)
		return;
	voter_drop(v->core, c->peer, node_voter_now(w, voter));
	node_voter_unlink(w, c);
	if (v->state == VOTER_UP)
		node_voter_pump(w, voter);
}

void node_voter_set_max_ttl(struct world *w, unsigned voter, uint32_t max_ttl_ms)
{
	struct world_voter *v = &w->voters[voter];

	if (v->state != VOTER_UP)
		return;
	voter_set_max_ttl(v->core, max_ttl_ms, w->plan.max_ttl_v_ms, node_voter_now(w, voter));
	node_voter_pump(w, voter);
}
