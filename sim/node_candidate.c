/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/check.h"

#include "application.h"
#include "checker.h"
#include "node.h"
#include "transcript.h"

#define NODE_SPINS 2000

struct candidate_now node_candidate_now(struct world *w, unsigned candidate)
{
	const struct dial *d = &w->candidates[candidate].host.dial;

	return (struct candidate_now) { dial_read(d, w->now_ns), dial_unix_ms(d, w->now_ns) };
}

void node_candidate_start(struct world *w, unsigned candidate)
{
	struct world_candidate *c = &w->candidates[candidate];
	struct candidate_settings settings = { .n_addresses = w->plan.n_voters,
		                               .ttl_ns = w->plan.ttl_ns[candidate],
		                               .rate_error_ppm = w->plan.rho_ppm,
		                               .plain = w->plan.plain[candidate],
		                               .seed = dice_next(&w->application_dice),
		                               .mutations = w->mutations };
	char label[16];

	if (c->up)
		return;
	c->instance = ++w->instances;
	/* R1: made afresh at every start. */
	if (quorum_id_is_none(&c->inc) || !world_mutant(w, MUTATION_sameinc)) {
		uint64_t high = dice_next(&w->application_dice) | 1, low = dice_next(&w->application_dice);

		memcpy(c->inc.bytes, &high, 8);
		memcpy(c->inc.bytes + 8, &low, 8);
	}
	snprintf(label, sizeof label, "c%u", candidate);
	settings.inc = c->inc;
	settings.label = label;
	settings.ttl_v_ns =
	        dice_chance(&w->application_dice, 500000) || w->scripted ? w->plan.max_ttl_v_ms * PLAN_MS : 0;
	CHECK(candidate_new(&c->core, &settings, node_candidate_now(w, candidate)) == 0);
	c->up = true;
	c->timer_ns = WORLD_NEVER;
	if (w->transcript)
		transcript_say(w, "c%u starts", candidate);
	if (!w->scripted)
		application_start(w, candidate);
	node_candidate_pump(w, candidate);
}

static void node_candidate_unlink(struct world *w, unsigned candidate, unsigned voter)
{
	struct network_conn *c = w->candidates[candidate].conns[voter];

	w->candidates[candidate].conns[voter] = NULL;
	c->candidate_open = false;
	network_unrefer(c);
}

void node_candidate_crash(struct world *w, unsigned candidate, uint64_t down_ns)
{
	struct world_candidate *c = &w->candidates[candidate];

	if (!c->up)
		return;
	if (w->transcript)
		transcript_say(w, "c%u is killed", candidate);
	for (unsigned v = 0; v < w->plan.n_voters; v++) {
		if (!c->conns[v])
			continue;
		/* A killed process is closed by its kernel; a dead host says nothing for a while. */
		network_close(w, c->conns[v], NETWORK_TO_VOTER,
		              w->now_ns + (dice_chance(&w->network_dice, 700000)
		                                   ? 0
		                                   : dice_below(&w->network_dice, 3 * PLAN_S)));
		node_candidate_unlink(w, candidate, v);
	}
	candidate_free(c->core);
	c->core = NULL;
	c->up = false;
	c->instance = ++w->instances;
	memset(c->seats, 0, sizeof c->seats);
	c->host.paused_until_ns = 0;
	if (down_ns != WORLD_NEVER)
		world_put(w, w->now_ns + down_ns, EVENT_CANDIDATE_START, candidate, 0);
}

static void node_candidate_send(struct world *w, unsigned candidate, uint64_t departure_ns)
{
	struct world_candidate *c = &w->candidates[candidate];

	for (unsigned v = 0; v < w->plan.n_voters; v++) {
		struct wire_out *out = c->conns[v] && c->conns[v]->connected ? candidate_out(c->core, v) : NULL;

		if (!out)
			continue;
		wire_out_close(out);
		if (!wire_out_pending(out))
			continue;
		network_send(w, c->conns[v], NETWORK_TO_VOTER, out->data + out->begin, wire_out_pending(out),
		             departure_ns);
		wire_out_sent(out, wire_out_pending(out));
	}
}

void node_candidate_rearm(struct world *w, unsigned candidate)
{
	struct world_candidate *c = &w->candidates[candidate];
	uint64_t next_ns, at_ns;

	if (!c->up)
		return;
	next_ns = candidate_next_ns(c->core);
	if (next_ns == UINT64_MAX)
		return;
	at_ns = dial_true_ns(&c->host.dial, next_ns);
	at_ns = at_ns <= w->now_ns ? w->now_ns + 20000 : at_ns + dice_below(&w->pause_dice, 60000);
	if (at_ns >= c->timer_ns)
		return;
	c->timer_ns = at_ns;
	world_put(w, at_ns, EVENT_CANDIDATE_TIMER, candidate, c->instance);
}

void node_candidate_pump(struct world *w, unsigned candidate)
{
	struct world_candidate *c = &w->candidates[candidate];
	uint64_t departure_ns = world_departure_ns(w, &c->host);
	struct candidate_command command;
	struct candidate_event event;

	while (candidate_next_event(c->core, &event)) {
		if (w->transcript)
			transcript_event(w, candidate, &event);
		if (event.kind == CANDIDATE_FAILED)
			world_violate(w, "failed", "c%u: %s", candidate, event.error ? event.error->message : "");
		application_event(w, candidate, &event);
	}
	node_candidate_send(w, candidate, departure_ns);
	while (candidate_next_command(c->core, &command)) {
		if (command.kind == CANDIDATE_CONNECT) {
			if (c->conns[command.voter])
				node_candidate_unlink(w, candidate, command.voter);
			network_connect(w, candidate, command.voter);
		} else if (c->conns[command.voter]) {
			network_close(w, c->conns[command.voter], NETWORK_TO_VOTER, departure_ns);
			node_candidate_unlink(w, candidate, command.voter);
		}
	}
	node_candidate_rearm(w, candidate);
	checker_candidate(w, candidate);
}

void node_candidate_timer(struct world *w, unsigned candidate)
{
	struct world_candidate *c = &w->candidates[candidate];
	struct candidate_now now = node_candidate_now(w, candidate);

	c->timer_ns = WORLD_NEVER;
	candidate_tick(c->core, now);
	if (candidate_next_ns(c->core) > now.at.boot_ns)
		c->n_spins = 0;
	else if (++c->n_spins > NODE_SPINS)
		world_violate(w, "spin", "c%u: the timer's instant stays in the past", candidate);
	node_candidate_pump(w, candidate);
}

void node_candidate_connected(struct world *w, struct network_conn *c)
{
	struct world_candidate *candidate = &w->candidates[c->candidate];

	if (!candidate->up || candidate->conns[c->voter] != c)
		return;
	c->connected = true;
	candidate_connected(candidate->core, c->voter, node_candidate_now(w, c->candidate));
	node_candidate_pump(w, c->candidate);
}

void node_candidate_disconnected(struct world *w, struct network_conn *c)
{
	struct world_candidate *candidate = &w->candidates[c->candidate];
	unsigned index = c->candidate, voter = c->voter;

	if (!candidate->up || candidate->conns[voter] != c)
		return;
	node_candidate_unlink(w, index, voter);
	if (w->transcript)
		transcript_say(w, "c%u loses its connection to v%u", index, voter);
	candidate_disconnected(candidate->core, voter, node_candidate_now(w, index), NULL);
	node_candidate_pump(w, index);
}

void node_candidate_bytes(struct world *w, struct network_conn *c, const uint8_t *bytes, size_t n_bytes)
{
	struct world_candidate *candidate = &w->candidates[c->candidate];
	struct tenure_error error = TENURE_ERROR_INIT;
	unsigned index = c->candidate;
	size_t n_consumed = 0;
	int code;

	if (!candidate->up || candidate->conns[c->voter] != c || !c->connected)
		return;
	w->counts.frames++;
	w->counts.bytes += n_bytes;
	if (w->transcript)
		transcript_frames(w, c, NETWORK_TO_CANDIDATE, bytes, n_bytes);
	world_hash(w, n_bytes << 32 | bytes[n_bytes / 2]);
	network_bytes_add(&c->in[1], bytes, n_bytes);
	code = candidate_receive(candidate->core, c->voter, node_candidate_now(w, index), c->in[1].data, c->in[1].n,
	                         &n_consumed, &error);
	network_bytes_take(&c->in[1], n_consumed);
	if (code < 0 && !c->proxied)
		world_violate(w, "frame", "c%u refuses what v%u sent: %s", index, c->voter, error.message);
	if (code < 0 && w->transcript)
		transcript_say(w, "c%u closes v%u: %s", index, c->voter, error.message);
	node_candidate_pump(w, index);
}
