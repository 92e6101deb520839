/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pairing heap of timers, earliest first: intrusive, so that putting one in cannot fail. O(1) in, amortised
 * O(log n) out. PURE.
 */
#ifndef TENURE_BASE_HEAP_H
#define TENURE_BASE_HEAP_H

#include <stdint.h>

#define HEAP_OUT UINT64_MAX /* the key of a node that is in no heap */

struct heap_node { /* heap_node_init() once; the links are the heap's own */
	struct heap_node *child, *next, *prev;
	uint64_t key;
};

struct heap { /* all zero: empty */
	struct heap_node *root;
};

static inline void heap_node_init(struct heap_node *n)
{
	*n = (struct heap_node) { .key = HEAP_OUT };
}

static inline uint64_t heap_first_key(const struct heap *h)
{
	return h->root ? h->root->key : HEAP_OUT;
}

/* Removing twice is harmless. */
void heap_remove(struct heap *h, struct heap_node *n);
/* Under that key, in place of an earlier one; HEAP_OUT removes. */
void heap_put(struct heap *h, struct heap_node *n, uint64_t key);

#endif
