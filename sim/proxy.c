/* SPDX-License-Identifier: Apache-2.0 */
/* The half of the network that knows frames. It uses the product's own codec to take them apart. */
#include <stdlib.h>

#include "base/check.h"
#include "quorum/wire.h"

#include "network.h"
#include "node.h"
#include "transcript.h"

#define PROXY_CONTROL (UINT64_C(1) << WIRE_HELLO | UINT64_C(1) << WIRE_OPEN)

static uint64_t proxy_bit(unsigned type)
{
	return type < 64 ? UINT64_C(1) << type : 0;
}

static void proxy_note_handle(struct network_conn *c, uint32_t handle)
{
	if (handle >= c->n_handles) {
		uint32_t n = handle + 32;

		c->handle_order = realloc(c->handle_order, n * sizeof *c->handle_order);
		CHECK(c->handle_order);
		for (uint32_t i = c->n_handles; i < n; i++)
			c->handle_order[i] = 0;
		c->n_handles = n;
	}
	c->handle_order[handle] = c->orders;
}

static bool proxy_names_handle(unsigned type)
{
	switch (type) {
	case WIRE_HELLO:
	case WIRE_HELLO_R:
	case WIRE_OPEN:
	case WIRE_OPEN_R:
	case WIRE_SESSION_RENEW:
	case WIRE_S_ACK:
	case WIRE_S_NAK:
	case WIRE_LIST:
	case WIRE_LIST_R:
	case WIRE_NAMES:
	case WIRE_NAMES_R:
		return false;
	default:
		return true;
	}
}

bool proxy_outdated(const struct network_conn *c, const struct network_chunk *chunk)
{
	struct wire_frame f;
	struct wire_item item;
	size_t n;

	if (!c->proxied || !c->n_handles || wire_frame_read(&f, chunk->bytes, chunk->n, &n) != WIRE_OK)
		return false;
	while (wire_frame_item(&f, &item) == WIRE_OK)
		if (item.type != WIRE_NUDGE && proxy_names_handle(item.type) && item.handle < c->n_handles &&
		    c->handle_order[item.handle] > chunk->sent_order)
			return true;
	return false;
}

static void proxy_hold(struct world *w, struct network_conn *c, enum network_direction direction,
                       struct network_chunk *chunk)
{
	struct network_held *h = calloc(1, sizeof *h), **at = &w->held;

	CHECK(h);
	h->conn = c;
	h->direction = direction;
	h->chunk = chunk;
	network_refer(c);
	while (*at)
		at = &(*at)->next;
	*at = h;
}

static uint64_t proxy_late_ns(struct world *w, const struct network_conn *c, uint64_t at_ns, uint64_t *again_ns)
{
	const struct world_link *link = &w->links[c->candidate][c->voter];
	uint64_t most_ns = UINT64_C(2) * w->plan.max_ttl_ms * PLAN_MS, late_ns = at_ns;
	struct dice *d = &w->network_dice;

	*again_ns = 0;
	if (w->healed || w->scripted)
		return at_ns;
	if (dice_chance(d, link->reorder_until_ns > w->now_ns ? 300000 : 20000))
		late_ns += dice_tail(d, w->plan.max_ttl_ms * PLAN_MS / 50, most_ns);
	if (dice_chance(d, link->double_until_ns > w->now_ns ? 300000 : 10000))
		*again_ns = late_ns + dice_tail(d, w->plan.max_ttl_ms * PLAN_MS / 50, most_ns);
	if (late_ns > w->plan.heal_ns && at_ns < w->plan.heal_ns)
		late_ns = w->plan.heal_ns;
	return late_ns;
}

static void proxy_frame(struct world *w, struct network_conn *c, enum network_direction direction, const uint8_t *bytes,
                        size_t n_bytes, uint64_t types, uint64_t departure_ns)
{
	const struct world_link *link = &w->links[c->candidate][c->voter];
	enum world_event kind = direction == NETWORK_TO_VOTER ? EVENT_TO_VOTER : EVENT_TO_CANDIDATE;
	struct network_chunk *chunk;
	uint64_t at_ns, again_ns;

	if (link->drop[direction])
		return;
	chunk = network_chunk_new(bytes, n_bytes);
	chunk->sent_order = c->orders;
	if (types & link->hold_types[direction]) {
		proxy_hold(w, c, direction, chunk);
		return;
	}
	at_ns = network_arrival_ns(w, c, direction, departure_ns);
	if (types & PROXY_CONTROL || w->scripted) { /* in order */
		if (at_ns <= c->last_ns[direction])
			at_ns = c->last_ns[direction] + 1;
		c->last_ns[direction] = at_ns;
	} else {
		at_ns = proxy_late_ns(w, c, at_ns, &again_ns);
		if (direction == NETWORK_TO_VOTER && at_ns <= c->last_ns[direction])
			at_ns = c->last_ns[direction] + 1 + dice_below(&w->network_dice, 1000);
		if (again_ns > at_ns) {
			struct network_chunk *twice = network_chunk_new(bytes, n_bytes);

			twice->sent_order = chunk->sent_order;
			network_put(w, c, again_ns, kind, twice);
		}
	}
	network_put(w, c, at_ns, kind, chunk);
}

/* The items whose types are among `wanted`, as a frame of their own with the same header. */
static void proxy_part(struct world *w, struct network_conn *c, enum network_direction direction, struct wire_frame f,
                       uint64_t wanted, uint64_t departure_ns)
{
	struct wire_out out;
	struct wire_item item;
	uint64_t types = 0;

	wire_out_init(&out);
	wire_out_begin(&out, f.cver, f.round);
	while (wire_frame_item(&f, &item) == WIRE_OK)
		if (proxy_bit(item.type) & wanted) {
			types |= proxy_bit(item.type);
			if (item.type == WIRE_OPEN) {
				c->orders++;
				proxy_note_handle(c, item.handle);
			}
			wire_out_put(&out, &item);
		}
	wire_out_close(&out);
	if (types && direction == NETWORK_TO_VOTER && wanted == PROXY_CONTROL)
		network_bytes_add(&c->opening, out.data + out.begin, wire_out_pending(&out));
	if (types)
		proxy_frame(w, c, direction, out.data + out.begin, wire_out_pending(&out), types, departure_ns);
	wire_out_deinit(&out);
}

void proxy_send(struct world *w, struct network_conn *c, enum network_direction direction, const uint8_t *bytes,
                size_t n_bytes, uint64_t departure_ns)
{
	uint64_t hold = w->links[c->candidate][c->voter].hold_types[direction];
	struct wire_frame f;
	size_t n;

	for (; n_bytes; bytes += n, n_bytes -= n) {
		struct wire_item item;
		struct wire_frame whole;
		uint64_t types = 0;

		if (wire_frame_read(&f, bytes, n_bytes, &n) != WIRE_OK) {
			world_violate(w, "codec", "what was sent is no whole frame");
			return;
		}
		whole = f;
		while (wire_frame_item(&whole, &item) == WIRE_OK)
			types |= proxy_bit(item.type);
		if (!(types & PROXY_CONTROL) && !(types & hold && types & ~hold)) {
			proxy_frame(w, c, direction, bytes, n, types, departure_ns);
			continue;
		}
		proxy_part(w, c, direction, f, PROXY_CONTROL, departure_ns);
		proxy_part(w, c, direction, f, hold & ~PROXY_CONTROL, departure_ns);
		proxy_part(w, c, direction, f, ~hold & ~PROXY_CONTROL, departure_ns);
	}
}

bool proxy_peer(struct world *w, struct network_conn *c)
{
	struct world_voter *v = &w->voters[c->voter];

	if (v->state != VOTER_UP)
		return false;
	if (c->voter_instance == v->instance)
		return c->voter_open;
	if (!c->opening.n || !node_voter_accept(w, c))
		return false;
	if (w->transcript)
		transcript_say(w, "proxy repeats HELLO and OPEN of connection %llu to v%u",
		               (unsigned long long)c->number, c->voter);
	node_voter_bytes(w, c, c->opening.data, c->opening.n);
	return c->voter_open;
}

void proxy_nudge(struct world *w, struct network_conn *c)
{
	struct world_voter *v = &w->voters[c->voter];
	struct voter_now now = { dial_read(&v->host.dial, w->now_ns), 0 };
	struct wire_out out;

	wire_out_init(&out);
	wire_out_begin(&out, 1, 0);
	for (uint32_t i = 0; i < c->n_handles; i++) {
		struct wire_item item = { .type = WIRE_NUDGE, .handle = i };
		struct voter_slot slot;

		if (v->core && i < w->plan.n_elections && voter_look(v->core, w->elections[i], now, &slot))
			item.term = slot.term;
		if (c->handle_order[i])
			wire_out_put(&out, &item);
	}
	wire_out_close(&out);
	if (wire_out_pending(&out))
		network_put(w, c, w->now_ns + w->plan.delay_ns, EVENT_TO_CANDIDATE,
		            network_chunk_new(out.data + out.begin, wire_out_pending(&out)));
	wire_out_deinit(&out);
}
