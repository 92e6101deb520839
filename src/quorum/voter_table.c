/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "quorum/bytes.h"
#include "quorum/voter_inside.h"

#define VOTER_TABLE_FIRST 64 /* buckets; a power of two */
#define VOTER_TABLE_MOVES 4  /* chains moved with each item: done long before the next doubling */

void voter_pool_init(struct voter_pool *p, size_t item_bytes)
{
	*p = (struct voter_pool) { .item_bytes = (uint32_t)((item_bytes + 7) & ~(size_t)7), .n_made = 1 };
}

void voter_pool_deinit(struct voter_pool *p)
{
	for (uint32_t i = 0; i < p->n_slabs; i++)
		free(p->slabs[i]);
	free(p->slabs);
	*p = (struct voter_pool) { 0 };
}

static bool voter_pool_grow(struct voter_pool *p)
{
	uint8_t *slab;

	if (p->n_slabs == p->room) {
		uint32_t room = p->room ? 2 * p->room : 16;
		uint8_t **slabs = reallocarray(p->slabs, room, sizeof *slabs);

		if (!slabs)
			return false;
		p->slabs = slabs;
		p->room = room;
	}
	slab = calloc((size_t)1 << VOTER_SLAB_SHIFT, p->item_bytes);
	if (!slab)
		return false;
	p->slabs[p->n_slabs++] = slab;
	return true;
}

uint32_t voter_pool_take(struct voter_pool *p)
{
	uint32_t index = p->free_head;

	if (index) {
		memcpy(&p->free_head, voter_pool_at(p, index), sizeof p->free_head);
		memset(voter_pool_at(p, index), 0, sizeof p->free_head);
	} else {
		if (p->n_made >> VOTER_SLAB_SHIFT == p->n_slabs && !voter_pool_grow(p))
			return 0;
		index = p->n_made++;
	}
	p->n_used++;
	return index;
}

void voter_pool_give(struct voter_pool *p, uint32_t index)
{
	memset(voter_pool_at(p, index), 0, p->item_bytes);
	memcpy(voter_pool_at(p, index), &p->free_head, sizeof p->free_head);
	p->free_head = index;
	p->n_used--;
}

static struct voter_link *voter_table_link(const struct voter_table *t, uint32_t index)
{
	return (struct voter_link *)(void *)((uint8_t *)voter_pool_at(t->pool, index) + t->link_at);
}

int voter_table_init(struct voter_table *t, struct voter_pool *pool, size_t link_at)
{
	*t = (struct voter_table) { .pool = pool, .link_at = link_at, .mask = VOTER_TABLE_FIRST - 1 };
	t->buckets = calloc(VOTER_TABLE_FIRST, sizeof *t->buckets);
	return t->buckets ? 0 : TENURE_ENOMEM;
}

void voter_table_deinit(struct voter_table *t)
{
	free(t->buckets);
	free(t->old);
	*t = (struct voter_table) { 0 };
}

/* The chain that an item of this hash is in, or belongs into. */
static uint32_t *voter_table_chain(const struct voter_table *t, uint32_t hash)
{
	if (t->old && (hash & t->old_mask) >= t->moved)
		return &t->old[hash & t->old_mask];
	return &t->buckets[hash & t->mask];
}

uint32_t voter_table_first(const struct voter_table *t, uint32_t hash)
{
	return *voter_table_chain(t, hash);
}

static void voter_table_move(struct voter_table *t)
{
	for (unsigned i = 0; t->old && i < VOTER_TABLE_MOVES; i++) {
		uint32_t index = t->old[t->moved++];

		while (index) {
			struct voter_link *link = voter_table_link(t, index);
			uint32_t next = link->next, *chain = &t->buckets[link->hash & t->mask];

			link->next = *chain;
			*chain = index;
			index = next;
		}
		if (t->moved > t->old_mask) {
			free(t->old);
			t->old = NULL;
		}
	}
}

static void voter_table_grow(struct voter_table *t)
{
	uint32_t *buckets = calloc((size_t)2 * (t->mask + 1), sizeof *buckets);

	if (!buckets)
		return; /* longer chains, no harm */
	t->old = t->buckets;
	t->old_mask = t->mask;
	t->moved = 0;
	t->buckets = buckets;
	t->mask = 2 * t->mask + 1;
}

void voter_table_put(struct voter_table *t, uint32_t index, uint32_t hash)
{
	struct voter_link *link = voter_table_link(t, index);
	uint32_t *chain;

	if (t->old)
		voter_table_move(t);
	else if (t->n > t->mask)
		voter_table_grow(t);
	chain = voter_table_chain(t, hash);
	*link = (struct voter_link) { .next = *chain, .hash = hash };
	*chain = index;
	t->n++;
}

void voter_table_remove(struct voter_table *t, uint32_t index)
{
	struct voter_link *link = voter_table_link(t, index);
	uint32_t *at = voter_table_chain(t, link->hash);

	while (*at != index)
		at = &voter_table_link(t, *at)->next;
	*at = link->next;
	link->next = 0;
	t->n--;
}

static inline void voter_hash_round(uint64_t s[4])
{
#define VOTER_ROTATE(x, b) ((x) << (b) | (x) >> (64 - (b)))
	s[0] += s[1], s[1] = VOTER_ROTATE(s[1], 13) ^ s[0], s[0] = VOTER_ROTATE(s[0], 32);
	s[2] += s[3], s[3] = VOTER_ROTATE(s[3], 16) ^ s[2];
	s[0] += s[3], s[3] = VOTER_ROTATE(s[3], 21) ^ s[0];
	s[2] += s[1], s[1] = VOTER_ROTATE(s[1], 17) ^ s[2], s[2] = VOTER_ROTATE(s[2], 32);
#undef VOTER_ROTATE
}

/* SipHash-1-3 (Aumasson, Bernstein): names come from outside and must not be able to collide on purpose. */
uint32_t voter_hash(const uint64_t seed[2], const void *bytes, size_t n_bytes)
{
	const uint8_t *at = bytes;
	uint64_t s[4] = { seed[0] ^ UINT64_C(0x736f6d6570736575), seed[1] ^ UINT64_C(0x646f72616e646f6d),
		          seed[0] ^ UINT64_C(0x6c7967656e657261), seed[1] ^ UINT64_C(0x7465646279746573) };
	uint64_t last = (uint64_t)n_bytes << 56;

	for (; n_bytes >= 8; at += 8, n_bytes -= 8) {
		uint64_t word = bytes_get64(at);

		s[3] ^= word;
		voter_hash_round(s);
		s[0] ^= word;
	}
	for (size_t i = 0; i < n_bytes; i++)
		last |= (uint64_t)at[i] << (8 * i);
	s[3] ^= last;
	voter_hash_round(s);
	s[0] ^= last;
	s[2] ^= 0xff;
	for (unsigned i = 0; i < 3; i++)
		voter_hash_round(s);
	s[0] ^= s[1] ^ s[2] ^ s[3];
	return (uint32_t)(s[0] ^ s[0] >> 32);
}
