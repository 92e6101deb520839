/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "client/session.h"

static struct session_event *events_new(struct session_target *target, enum tenure_event_type type, size_t value_bytes)
{
	struct tenure *t = target->t;
	struct session_event *e = calloc(1, sizeof *e + value_bytes);

	if (!e)
		return NULL;
	e->target = target;
	e->error.struct_size = sizeof e->error;
	e->event = (struct tenure_event) {
		.struct_size = sizeof e->event,
		.type = type,
		.seq = ++t->event_seq,
		.at_ns = clock_now_or_zero_ns(),
		.at_unix_ns = clock_unix_ns(),
		.election = target->election,
		.health = (enum tenure_health)atomic_load(&t->health),
		.value_bytes = value_bytes,
	};
	list_append(&t->events, &e->node);
	target->n_events++;
	return e;
}

struct session_event *events_add(struct session_target *target, enum tenure_event_type type, size_t value_bytes)
{
	struct session_event *e = NULL;

	if (!target->fn || target->dead)
		return NULL;
	if (target->n_events < SESSION_MAX_EVENTS)
		e = events_new(target, type, value_bytes);
	if (!e)
		target->gap = true;
	return e;
}

void events_error(struct session_event *e, const struct tenure_error *error)
{
	if (!e || !error || error->code == TENURE_OK)
		return;
	error_copy(&e->error, error);
	e->has_error = true;
}

static void events_drop(struct session_event *e)
{
	list_remove(&e->node);
	e->target->n_events--;
	free(e);
}

void events_forget(struct session_target *target)
{
	LIST_EACH_SAFE (node, after, &target->t->events) {
		struct session_event *e = LIST_OF(node, struct session_event, node);

		if (e->target == target)
			events_drop(e);
	}
	target->gap = false;
}

void events_settle(struct session_target *target)
{
	struct tenure *t = target->t;

	if (session_in_callback(t))
		return; /* it is our own caller */
	while (target->calling)
		(void)pthread_cond_wait(&t->changed, &t->mutex);
}

static void events_call(struct tenure *t, struct session_event *e)
{
	struct session_target *target = e->target;

	e->event.leader_id = e->leader_id[0] ? e->leader_id : NULL;
	e->event.value = e->event.value_bytes > 0 ? e->value : NULL;
	e->event.error = e->has_error ? &e->error : NULL;
	target->calling = true;
	session_unlock(t);
	target->fn(target->arg, &e->event);
	session_lock(t);
	target->calling = false;
	(void)pthread_cond_broadcast(&t->changed);
}

void events_deliver(struct tenure *t)
{
	t->delivering = true;
	t->deliverer = pthread_self();
	while (!list_empty(&t->events)) {
		struct session_event *e = LIST_OF(t->events.next, struct session_event, node);
		struct session_target *target = e->target;

		/* Out of the queue before the call: the handle may be freed in it, and its events with it. */
		list_remove(&e->node);
		target->n_events--;
		events_call(t, e);
		free(e);
		if (target->gap && target->n_events == 0 && !target->dead) {
			target->gap = false;
			(void)events_add(target, TENURE_EV_GAP, 0);
		}
	}
	t->delivering = false;
}
