/* SPDX-License-Identifier: Apache-2.0 */
/* What will happen, by true time; events of one instant in the order in which they were put. A binary heap. */
#ifndef TENURE_SIM_AGENDA_H
#define TENURE_SIM_AGENDA_H

#include <stddef.h>
#include <stdint.h>

struct agenda_event {
	uint64_t at_ns, order;
	uint32_t kind;     /* enum world_event */
	uint32_t node;     /* index, by kind */
	uint64_t instance; /* of the process that it is meant for */
	void *pointer;     /* a connection */
	void *chunk;
};

struct agenda {
	struct agenda_event *heap;
	size_t n, room;
	uint64_t order;
};

void agenda_init(struct agenda *a);
void agenda_deinit(struct agenda *a);
void agenda_put(struct agenda *a, struct agenda_event event);
/* One that was taken and has to wait: it keeps its order. */
void agenda_put_again(struct agenda *a, struct agenda_event event);
/* The earliest one, which must exist. */
struct agenda_event agenda_take(struct agenda *a);

#endif
