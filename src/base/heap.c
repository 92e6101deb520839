/* SPDX-License-Identifier: Apache-2.0 */
#include "base/heap.h"

#include <stddef.h>

static struct heap_node *heap_merge(struct heap_node *a, struct heap_node *b)
{
	if (!a || !b)
		return a ? a : b;
	if (b->key < a->key) {
		struct heap_node *swap = a;

		a = b;
		b = swap;
	}
	b->next = a->child;
	if (a->child)
		a->child->prev = b;
	b->prev = a;
	a->child = b;
	return a;
}

/* Pairs the siblings from the left, then merges the pairs from the right: amortised O(log n). */
static struct heap_node *heap_merge_siblings(struct heap_node *first)
{
	struct heap_node *pairs = NULL, *root = NULL;

	while (first) {
		struct heap_node *a = first, *b = a->next;

		first = b ? b->next : NULL;
		a->next = a->prev = NULL;
		if (b)
			b->next = b->prev = NULL;
		a = heap_merge(a, b);
		a->next = pairs;
		pairs = a;
	}
	while (pairs) {
		struct heap_node *a = pairs;

		pairs = a->next;
		a->next = NULL;
		root = heap_merge(root, a);
	}
	return root;
}

void heap_remove(struct heap *h, struct heap_node *n)
{
	struct heap_node *rest;

	if (n->key == HEAP_OUT)
		return;
	rest = heap_merge_siblings(n->child);
	if (n == h->root) {
		h->root = rest;
	} else {
		if (n->prev->child == n)
			n->prev->child = n->next;
		else
			n->prev->next = n->next;
		if (n->next)
			n->next->prev = n->prev;
		h->root = heap_merge(h->root, rest);
	}
	if (h->root)
		h->root->prev = h->root->next = NULL;
	heap_node_init(n);
}

void heap_put(struct heap *h, struct heap_node *n, uint64_t key)
{
	if (n->key == key)
		return;
	heap_remove(h, n);
	n->key = key;
	if (key != HEAP_OUT)
		h->root = heap_merge(h->root, n);
}
