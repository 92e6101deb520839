/* SPDX-License-Identifier: Apache-2.0 */
#include "network.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"

#include "node.h"
#include "transcript.h"

void network_bytes_add(struct network_bytes *b, const uint8_t *bytes, size_t n_bytes)
{
	if (b->n + n_bytes > b->room) {
		b->room = 2 * (b->n + n_bytes) + 256;
		b->data = realloc(b->data, b->room);
		CHECK(b->data);
	}
	memcpy(b->data + b->n, bytes, n_bytes);
	b->n += n_bytes;
}

void network_bytes_take(struct network_bytes *b, size_t n_bytes)
{
	CHECK(n_bytes <= b->n);
	b->n -= n_bytes;
	if (b->n)
		memmove(b->data, b->data + n_bytes, b->n);
}

struct network_chunk *network_chunk_new(const uint8_t *bytes, size_t n_bytes)
{
	struct network_chunk *chunk = malloc(sizeof *chunk + n_bytes);

	CHECK(chunk);
	chunk->n = (uint32_t)n_bytes;
	chunk->sent_order = 0;
	memcpy(chunk->bytes, bytes, n_bytes);
	return chunk;
}

void network_refer(struct network_conn *c)
{
	c->refs++;
}

void network_unrefer(struct network_conn *c)
{
	if (--c->refs)
		return;
	free(c->in[0].data);
	free(c->in[1].data);
	free(c->opening.data);
	free(c->handle_order);
	free(c);
}

void network_put(struct world *w, struct network_conn *c, uint64_t at_ns, enum world_event kind,
                 struct network_chunk *chunk)
{
	network_refer(c);
	agenda_put(&w->agenda, (struct agenda_event) { .at_ns = at_ns,
	                                               .kind = kind,
	                                               .node = kind == EVENT_TO_VOTER || kind == EVENT_CONNECT ||
	                                                                       kind == EVENT_CLOSE_VOTER
	                                                               ? c->voter
	                                                               : c->candidate,
	                                               .pointer = c,
	                                               .chunk = chunk });
}

static uint64_t network_resend_ns(const struct world *w)
{
	uint64_t ns = w->plan.max_ttl_ms * PLAN_MS / 8;

	return ns < 200 * PLAN_MS ? ns : 200 * PLAN_MS;
}

uint64_t network_arrival_ns(struct world *w, const struct network_conn *c, enum network_direction direction,
                            uint64_t departure_ns)
{
	const struct world_link *link = &w->links[c->candidate][c->voter];
	const struct plan *p = &w->plan;
	struct dice *d = &w->network_dice;
	uint64_t most_ns = p->max_ttl_ms * PLAN_MS, at_ns = departure_ns + p->delay_ns + dice_below(d, p->jitter_ns);

	if (w->healed || w->scripted)
		return at_ns;
	if (p->tail_ppm && dice_chance(d, p->tail_ppm))
		at_ns += dice_tail(d, p->delay_ns, most_ns);
	if (link->slow_until_ns > departure_ns)
		at_ns += dice_wait(d, most_ns / 8);
	if (dice_chance(d, link->loss_until_ns > departure_ns ? 300000 : p->loss_ppm))
		at_ns += dice_tail(d, network_resend_ns(w), most_ns);
	if (link->cut_until_ns[direction] > departure_ns && at_ns < link->cut_until_ns[direction])
		at_ns = link->cut_until_ns[direction] + dice_below(d, network_resend_ns(w));
	return at_ns;
}

void network_connect(struct world *w, unsigned candidate, unsigned voter)
{
	struct network_conn *c = calloc(1, sizeof *c);
	const struct world_link *link = &w->links[candidate][voter];
	uint64_t at_ns;

	CHECK(c);
	c->candidate = candidate;
	c->voter = voter;
	c->number = ++w->conn_numbers;
	c->candidate_instance = w->candidates[candidate].instance;
	c->candidate_open = true;
	c->proxied = w->plan.proxied || w->scripted;
	w->candidates[candidate].conns[voter] = c;
	network_refer(c);
	at_ns = network_arrival_ns(w, c, NETWORK_TO_VOTER, w->now_ns);
	if (!w->healed && (link->cut_until_ns[0] > w->now_ns + PLAN_S || link->cut_until_ns[1] > w->now_ns + PLAN_S))
		network_put(w, c, w->now_ns + PLAN_S, EVENT_REFUSED, NULL);
	else
		network_put(w, c, at_ns, EVENT_CONNECT, NULL);
}

static void network_send_chunk(struct world *w, struct network_conn *c, enum network_direction direction,
                               const uint8_t *bytes, size_t n_bytes, uint64_t departure_ns)
{
	uint64_t at_ns = network_arrival_ns(w, c, direction, departure_ns);

	if (at_ns <= c->last_ns[direction])
		at_ns = c->last_ns[direction] + 1;
	c->last_ns[direction] = at_ns;
	network_put(w, c, at_ns, direction == NETWORK_TO_VOTER ? EVENT_TO_VOTER : EVENT_TO_CANDIDATE,
	            network_chunk_new(bytes, n_bytes));
}

void network_send(struct world *w, struct network_conn *c, enum network_direction direction, const uint8_t *bytes,
                  size_t n_bytes, uint64_t departure_ns)
{
	size_t first = n_bytes;

	if (c->proxied) {
		proxy_send(w, c, direction, bytes, n_bytes, departure_ns);
		return;
	}
	if (dice_chance(&w->network_dice, 20000)) /* a stream keeps no boundaries */
		first = 1 + dice_below(&w->network_dice, n_bytes);
	network_send_chunk(w, c, direction, bytes, first, departure_ns);
	if (first < n_bytes)
		network_send_chunk(w, c, direction, bytes + first, n_bytes - first, departure_ns);
}

void network_close(struct world *w, struct network_conn *c, enum network_direction tells, uint64_t departure_ns)
{
	uint64_t at_ns = network_arrival_ns(w, c, tells, departure_ns);

	if (at_ns <= c->last_ns[tells])
		at_ns = c->last_ns[tells] + 1;
	c->last_ns[tells] = at_ns;
	network_put(w, c, at_ns, tells == NETWORK_TO_VOTER ? EVENT_CLOSE_VOTER : EVENT_CLOSE_CANDIDATE, NULL);
}

void network_voter_gone(struct world *w, unsigned voter)
{
	struct network_conn *c;

	while ((c = w->voters[voter].conns)) {
		uint64_t wait_ns = dice_chance(&w->network_dice, 700000) ? 0 : dice_below(&w->network_dice, 2 * PLAN_S);

		network_refer(c); /* the list's reference may be the last one */
		node_voter_unlink(w, c);
		/* A proxy may keep its side. Else a reset comes, at once or when something is sent to the dead host. */
		if (c->candidate_open &&
		    (!c->proxied || w->healed || (!w->scripted && dice_chance(&w->network_dice, 500000))))
			network_close(w, c, NETWORK_TO_CANDIDATE, w->now_ns + (w->scripted ? 0 : wait_ns));
		network_unrefer(c);
	}
}

static void network_to_voter(struct world *w, struct network_conn *c, struct network_chunk *chunk)
{
	if (c->proxied) {
		if (proxy_outdated(c, chunk))
			return;
		if (w->voters[c->voter].state != VOTER_UP && w->voters[c->voter].state != VOTER_BROKEN) {
			struct network_chunk *again = network_chunk_new(chunk->bytes, chunk->n);

			again->sent_order = chunk->sent_order;
			network_put(w, c, w->now_ns + dice_between(&w->network_dice, 10 * PLAN_MS, 200 * PLAN_MS),
			            EVENT_TO_VOTER, again);
			return;
		}
		if (!proxy_peer(w, c))
			return;
	} else if (!c->voter_open || c->voter_instance != w->voters[c->voter].instance) {
		return;
	}
	node_voter_bytes(w, c, chunk->bytes, chunk->n);
}

static void network_reach_voter(struct world *w, struct network_conn *c)
{
	if (node_voter_accept(w, c))
		network_put(w, c, network_arrival_ns(w, c, NETWORK_TO_CANDIDATE, w->now_ns), EVENT_CONNECTED, NULL);
	else
		network_put(w, c, network_arrival_ns(w, c, NETWORK_TO_CANDIDATE, w->now_ns), EVENT_REFUSED, NULL);
}

void network_arrive(struct world *w, struct agenda_event *e)
{
	struct network_conn *c = e->pointer;
	bool to_candidate = e->kind == EVENT_TO_CANDIDATE || e->kind == EVENT_CLOSE_CANDIDATE ||
	                    e->kind == EVENT_CONNECTED || e->kind == EVENT_REFUSED;

	world_hash(w, e->kind << 24 | c->candidate << 8 | c->voter);
	if (!to_candidate || c->candidate_open) {
		switch (e->kind) {
		case EVENT_TO_VOTER:
			network_to_voter(w, c, e->chunk);
			break;
		case EVENT_TO_CANDIDATE:
			if (!proxy_outdated(c, e->chunk))
				node_candidate_bytes(w, c, ((struct network_chunk *)e->chunk)->bytes,
				                     ((struct network_chunk *)e->chunk)->n);
			break;
		case EVENT_CONNECT:
			network_reach_voter(w, c);
			break;
		case EVENT_CLOSE_VOTER:
			node_voter_closed(w, c);
			break;
		case EVENT_CONNECTED:
			node_candidate_connected(w, c);
			break;
		default:
			node_candidate_disconnected(w, c);
			break;
		}
	}
	free(e->chunk);
	network_unrefer(c);
}

unsigned network_release_held(struct world *w, unsigned candidate, unsigned voter, enum network_direction direction)
{
	struct network_held **at = &w->held, *h;
	unsigned n = 0;

	while ((h = *at)) {
		if (h->conn->candidate != candidate || h->conn->voter != voter || h->direction != direction) {
			at = &h->next;
			continue;
		}
		*at = h->next;
		network_put(w, h->conn, w->now_ns + 1000 + UINT64_C(1000) * n++,
		            direction == NETWORK_TO_VOTER ? EVENT_TO_VOTER : EVENT_TO_CANDIDATE, h->chunk);
		network_unrefer(h->conn);
		free(h);
	}
	return n;
}

unsigned network_n_held(const struct world *w, unsigned candidate, unsigned voter, enum network_direction direction)
{
	unsigned n = 0;

	for (const struct network_held *h = w->held; h; h = h->next)
		n += h->conn->candidate == candidate && h->conn->voter == voter && h->direction == direction;
	return n;
}

void network_forget_held(struct world *w)
{
	for (struct network_held *h; (h = w->held);) {
		w->held = h->next;
		network_unrefer(h->conn);
		free(h->chunk);
		free(h);
	}
}

void network_forget_held_of(struct world *w, unsigned candidate, unsigned voter, enum network_direction direction,
                            unsigned n_keep)
{
	struct network_held **at = &w->held, *h;
	unsigned n = network_n_held(w, candidate, voter, direction);

	while ((h = *at)) {
		if (h->conn->candidate != candidate || h->conn->voter != voter || h->direction != direction) {
			at = &h->next;
			continue;
		}
		if (n-- <= n_keep)
			return;
		*at = h->next;
		network_unrefer(h->conn);
		free(h->chunk);
		free(h);
	}
}
