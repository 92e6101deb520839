/* SPDX-License-Identifier: Apache-2.0 */
/* An intrusive, doubly linked, circular list. PURE. */
#ifndef TENURE_BASE_LIST_H
#define TENURE_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
	struct list *next, *prev;
};

#define LIST_OF(node, type, member) ((type *)(void *)((char *)(node)-offsetof(type, member)))
/* The body may remove the current node. */
#define LIST_EACH_SAFE(node, after, head)                                                                              \
	for (struct list *node = (head)->next, *after = node->next; node != (head); node = after, after = node->next)
#define LIST_EACH(node, head) for (struct list *node = (head)->next; node != (head); node = node->next)

static inline void list_init(struct list *head)
{
	head->next = head->prev = head;
}

static inline bool list_empty(const struct list *head)
{
	return head->next == head;
}

static inline void list_append(struct list *head, struct list *node)
{
	node->prev = head->prev;
	node->next = head;
	head->prev->next = node;
	head->prev = node;
}

/* Removing twice is harmless. */
static inline void list_remove(struct list *node)
{
	node->prev->next = node->next;
	node->next->prev = node->prev;
	list_init(node);
}

#endif
