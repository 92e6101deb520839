/* SPDX-License-Identifier: Apache-2.0 */
/* Voters and candidates in memory, in virtual time, on a network that delays everything by the same span. */
#ifndef TENURE_TESTS_PAIR_KIT_H
#define TENURE_TESTS_PAIR_KIT_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>

#include "quorum/candidate.h"
#include "quorum/voter.h"

#define PAIR_VOTERS     3
#define PAIR_CANDIDATES 208
#define PAIR_MS         QUORUM_NS_PER_MS
#define PAIR_START_NS   (UINT64_C(1000000) * PAIR_MS)

struct pair_link { /* one connection; bytes arrive PAIR delay after they were sent, in order */
	struct voter_peer *peer;
	bool up, cut;
	uint8_t *to_voter, *to_candidate;
	size_t n_to_voter, n_to_candidate, room_to_voter, room_to_candidate;
	uint64_t voter_at_ns, candidate_at_ns; /* when what is on its way arrives */
};

struct pair_candidate {
	struct candidate *c;
	struct pair_link links[PAIR_VOTERS];
};

struct pair {
	uint64_t now_ns, delay_ns;
	struct voter *voters[PAIR_VOTERS];
	bool down[PAIR_VOTERS];
	struct superblock disks[PAIR_VOTERS];
	struct pair_candidate candidates[PAIR_CANDIDATES];
	unsigned n_candidates;
	struct quorum_config config;
	uint32_t max_ttl_ms, max_ttl_v_ms;
	void (*on_event)(struct pair *p, unsigned candidate, const struct candidate_event *e);
	void *arg;
	uint64_t n_messages;
};

static inline struct voter_now pair_voter_now(const struct pair *p)
{
	return (struct voter_now) { { p->now_ns, p->now_ns }, p->now_ns / PAIR_MS };
}

static inline struct candidate_now pair_now(const struct pair *p)
{
	return (struct candidate_now) { { p->now_ns, p->now_ns }, p->now_ns / PAIR_MS };
}

static inline void pair_start_voter(struct pair *p, unsigned v, enum voter_start start)
{
	struct voter_settings s = { .durable = &p->disks[v], .start = start, .hash_seed = { 3, v } };

	p->disks[v].run++;
	assert_int_equal(voter_new(&p->voters[v], &s, pair_voter_now(p)), 0);
	p->down[v] = false;
}

static inline struct pair *pair_new(uint64_t delay_ns)
{
	struct pair *p = calloc(1, sizeof *p);

	assert_non_null(p);
	p->now_ns = PAIR_START_NS;
	p->delay_ns = delay_ns;
	p->config.cver = 1;
	p->config.n_members = PAIR_VOTERS;
	for (unsigned v = 0; v < PAIR_VOTERS; v++) {
		p->config.members[v].vid.bytes[0] = (uint8_t)(v + 1);
		memcpy(p->config.members[v].address, "v1:7420", 8);
		p->config.members[v].address[1] = (char)('1' + v);
	}
	for (unsigned v = 0; v < PAIR_VOTERS; v++) {
		p->disks[v] = (struct superblock) { .sequence = 1,
			                            .cluster = { { 7 } },
			                            .vid = p->config.members[v].vid,
			                            .ceiling = QUORUM_STEP,
			                            .max_ttl_ms = 10000,
			                            .max_ttl_v_ms = 1000,
			                            .config = p->config };
		pair_start_voter(p, v, VOTER_FIRST);
	}
	return p;
}

static inline unsigned pair_add(struct pair *p, struct candidate_settings s)
{
	unsigned n = p->n_candidates++;

	s.inc.bytes[0] = (uint8_t)(n + 1);
	s.inc.bytes[1] = (uint8_t)((n + 1) >> 8);
	s.inc.bytes[15] = 1;
	if (!s.label)
		s.label = "node";
	s.n_addresses = PAIR_VOTERS;
	if (!s.ttl_ns)
		s.ttl_ns = 10000 * PAIR_MS;
	s.seed = n + 1;
	assert_int_equal(candidate_new(&p->candidates[n].c, &s, pair_now(p)), 0);
	return n;
}

static inline void pair_append(struct pair *p, uint8_t **data, size_t *n, size_t *room, struct wire_out *o)
{
	size_t more = wire_out_pending(o);

	if (*n + more > *room) {
		*room = 2 * (*n + more);
		*data = realloc(*data, *room);
		assert_non_null(*data);
	}
	memcpy(*data + *n, o->data + o->begin, more);
	*n += more;
	wire_out_sent(o, more);
	p->n_messages++;
}

static inline void pair_break(struct pair *p, unsigned k, unsigned v)
{
	struct pair_link *l = &p->candidates[k].links[v];

	if (l->peer && !p->down[v])
		voter_drop(p->voters[v], l->peer, pair_voter_now(p));
	l->peer = NULL;
	l->n_to_voter = l->n_to_candidate = 0;
	if (l->up) {
		l->up = false;
		candidate_disconnected(p->candidates[k].c, v, pair_now(p), NULL);
	}
}

static inline void pair_kill_voter(struct pair *p, unsigned v)
{
	p->down[v] = true;
	for (unsigned k = 0; k < p->n_candidates; k++)
		if (p->candidates[k].c)
			pair_break(p, k, v);
	voter_free(p->voters[v]);
	p->voters[v] = NULL;
}

static inline bool pair_commands(struct pair *p, unsigned k)
{
	struct pair_candidate *pc = &p->candidates[k];
	struct candidate_command command;
	bool any = false;

	while (candidate_next_command(pc->c, &command)) {
		struct pair_link *l = &pc->links[command.voter];

		any = true;
		if (command.kind == CANDIDATE_DISCONNECT) {
			if (l->peer && !p->down[command.voter])
				voter_drop(p->voters[command.voter], l->peer, pair_voter_now(p));
			l->peer = NULL;
			l->up = false;
			l->n_to_voter = l->n_to_candidate = 0;
		} else if (p->down[command.voter] || l->cut) {
			struct tenure_error error = { .struct_size = sizeof error,
				                      .code = TENURE_EUNREACHABLE,
				                      .message = "connection refused" };

			candidate_disconnected(pc->c, command.voter, pair_now(p), &error);
		} else {
			l->peer = voter_accept(p->voters[command.voter], l, pair_voter_now(p));
			assert_non_null(l->peer);
			l->up = true;
			candidate_connected(pc->c, command.voter, pair_now(p));
		}
	}
	return any;
}

static inline bool pair_events(struct pair *p, unsigned k)
{
	struct candidate_event e;
	bool any = false;

	while (candidate_next_event(p->candidates[k].c, &e)) {
		any = true;
		if (p->on_event)
			p->on_event(p, k, &e);
	}
	return any;
}

static inline void pair_flush(struct pair *p)
{
	struct superblock s;

	for (unsigned k = 0; k < p->n_candidates; k++) {
		struct pair_candidate *pc = &p->candidates[k];

		if (!pc->c)
			continue;
		while (pair_commands(p, k) || pair_events(p, k))
			;
		for (unsigned v = 0; v < PAIR_VOTERS; v++) {
			struct pair_link *l = &pc->links[v];
			struct wire_out *o = l->up ? candidate_out(pc->c, v) : NULL;

			if (!o)
				continue;
			if (!l->n_to_voter)
				l->voter_at_ns = p->now_ns + p->delay_ns;
			pair_append(p, &l->to_voter, &l->n_to_voter, &l->room_to_voter, o);
		}
	}
	for (unsigned v = 0; v < PAIR_VOTERS; v++) {
		struct voter_peer *peer;

		if (p->down[v])
			continue;
		while (voter_wants_disk(p->voters[v], &s)) {
			p->disks[v] = s;
			voter_on_disk(p->voters[v], pair_voter_now(p));
		}
		while ((peer = voter_next_to_close(p->voters[v])) != NULL) {
			struct pair_link *l = voter_peer_user(peer);

			voter_drop(p->voters[v], peer, pair_voter_now(p));
			l->peer = NULL;
			for (unsigned k = 0; k < p->n_candidates; k++)
				if (l == &p->candidates[k].links[v])
					pair_break(p, k, v);
		}
		while ((peer = voter_next_to_send(p->voters[v])) != NULL) {
			struct pair_link *l = voter_peer_user(peer);

			if (!l->n_to_candidate)
				l->candidate_at_ns = p->now_ns + p->delay_ns;
			pair_append(p, &l->to_candidate, &l->n_to_candidate, &l->room_to_candidate,
			            voter_peer_out(peer));
		}
	}
}

static inline void pair_deliver(struct pair *p)
{
	struct tenure_error error = { .struct_size = sizeof error };
	size_t n;

	for (unsigned k = 0; k < p->n_candidates; k++)
		for (unsigned v = 0; v < PAIR_VOTERS; v++) {
			struct pair_link *l = &p->candidates[k].links[v];

			if (l->n_to_voter && l->voter_at_ns <= p->now_ns && !l->cut) {
				int code = voter_receive(p->voters[v], l->peer, pair_voter_now(p), l->to_voter,
				                         l->n_to_voter, &n, &error);

				if (code < 0)
					fail_msg("voter: %s", error.message);
				memmove(l->to_voter, l->to_voter + n, l->n_to_voter - n);
				l->n_to_voter -= n;
				l->voter_at_ns = p->now_ns;
			}
			if (l->n_to_candidate && l->candidate_at_ns <= p->now_ns && !l->cut) {
				if (candidate_receive(p->candidates[k].c, v, pair_now(p), l->to_candidate,
				                      l->n_to_candidate, &n, &error) < 0)
					fail_msg("candidate: %s", error.message);
				memmove(l->to_candidate, l->to_candidate + n, l->n_to_candidate - n);
				l->n_to_candidate -= n;
				l->candidate_at_ns = p->now_ns;
			}
		}
}

static inline uint64_t pair_next_ns(struct pair *p)
{
	uint64_t at_ns = UINT64_MAX;

	for (unsigned k = 0; k < p->n_candidates; k++) {
		if (!p->candidates[k].c)
			continue;
		if (candidate_next_ns(p->candidates[k].c) < at_ns)
			at_ns = candidate_next_ns(p->candidates[k].c);
		for (unsigned v = 0; v < PAIR_VOTERS; v++) {
			struct pair_link *l = &p->candidates[k].links[v];

			if (l->n_to_voter && !l->cut && l->voter_at_ns < at_ns)
				at_ns = l->voter_at_ns;
			if (l->n_to_candidate && !l->cut && l->candidate_at_ns < at_ns)
				at_ns = l->candidate_at_ns;
		}
	}
	for (unsigned v = 0; v < PAIR_VOTERS; v++)
		if (!p->down[v] && voter_next_ns(p->voters[v]) < at_ns)
			at_ns = voter_next_ns(p->voters[v]);
	return at_ns;
}

/* Time goes on by `ms`; whatever is due on the way happens. */
static inline void pair_run(struct pair *p, uint64_t us)
{
	uint64_t until_ns = p->now_ns + us * 1000, n_turns = 0;

	for (;;) {
		uint64_t at_ns;

		pair_flush(p);
		at_ns = pair_next_ns(p);
		if (at_ns > until_ns)
			break;
		if (at_ns > p->now_ns)
			p->now_ns = at_ns;
		if (++n_turns > 3000000)
			fail_msg("it turns without end");
		pair_deliver(p);
		for (unsigned v = 0; v < PAIR_VOTERS; v++)
			if (!p->down[v] && voter_next_ns(p->voters[v]) <= p->now_ns)
				voter_tick(p->voters[v], pair_voter_now(p));
		for (unsigned k = 0; k < p->n_candidates; k++)
			if (p->candidates[k].c && candidate_next_ns(p->candidates[k].c) <= p->now_ns)
				candidate_tick(p->candidates[k].c, pair_now(p));
	}
	p->now_ns = until_ns;
}

static inline void pair_free(struct pair *p)
{
	for (unsigned k = 0; k < p->n_candidates; k++) {
		candidate_free(p->candidates[k].c);
		for (unsigned v = 0; v < PAIR_VOTERS; v++) {
			free(p->candidates[k].links[v].to_voter);
			free(p->candidates[k].links[v].to_candidate);
		}
	}
	for (unsigned v = 0; v < PAIR_VOTERS; v++)
		voter_free(p->voters[v]);
	free(p);
}

#endif
