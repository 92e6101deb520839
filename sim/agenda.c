/* SPDX-License-Identifier: Apache-2.0 */
#include "agenda.h"

#include <stdbool.h>
#include <stdlib.h>

#include "base/check.h"

void agenda_init(struct agenda *a)
{
	*a = (struct agenda) { 0 };
}

void agenda_deinit(struct agenda *a)
{
	free(a->heap);
	*a = (struct agenda) { 0 };
}

static bool agenda_before(const struct agenda_event *a, const struct agenda_event *b)
{
	return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->order < b->order;
}

void agenda_put_again(struct agenda *a, struct agenda_event event)
{
	size_t i = a->n++;

	if (a->n > a->room) {
		a->room = a->room ? 2 * a->room : 256;
		a->heap = realloc(a->heap, a->room * sizeof *a->heap);
		CHECK(a->heap);
	}
	while (i > 0 && agenda_before(&event, &a->heap[(i - 1) / 2])) {
		a->heap[i] = a->heap[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	a->heap[i] = event;
}

void agenda_put(struct agenda *a, struct agenda_event event)
{
	event.order = a->order++;
	agenda_put_again(a, event);
}

struct agenda_event agenda_take(struct agenda *a)
{
	struct agenda_event first, last;
	size_t i = 0;

	CHECK(a->n > 0);
	first = a->heap[0];
	last = a->heap[--a->n];
	for (size_t child; (child = 2 * i + 1) < a->n; i = child) {
		if (child + 1 < a->n && agenda_before(&a->heap[child + 1], &a->heap[child]))
			child++;
		if (!agenda_before(&a->heap[child], &last))
			break;
		a->heap[i] = a->heap[child];
	}
	if (a->n)
		a->heap[i] = last;
	return first;
}
