/* SPDX-License-Identifier: Apache-2.0 */
/* Observers of elections. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "client/session.h"

void observer_begin(struct tenure_observer *o)
{
	struct tenure *t = o->target.t;
	struct tenure_error error = TENURE_ERROR_INIT;

	o->begun = true;
	if (t->ops->observe(t->store, o->election, o, &o->watch, &error) != 0)
		log_write(&t->log, 3, "client", "cannot observe election %.60s: %s", o->election, error.message);
}

void observer_leader(void *watch, const struct store_view *view)
{
	struct tenure_observer *o = watch;
	struct session_event *e = events_add(&o->target, TENURE_EV_LEADER, view->led ? view->value_bytes : 0);

	(void)pthread_cond_broadcast(&o->target.t->changed);
	if (!e)
		return;
	e->event.cause = view->cause;
	if (!view->led)
		return;
	memcpy(e->leader_id, view->id, strlen(view->id) + 1);
	e->event.token = view->token;
	e->event.deadline_ns =
	        view->expires_in_ns == NS_NEVER ? NS_NEVER : clock_add_ns(e->event.at_ns, view->expires_in_ns);
	if (view->value_bytes > 0)
		memcpy(e->value, view->value, view->value_bytes);
}

void observer_destroy(struct tenure_observer *o)
{
	if (o->watch)
		o->target.t->ops->unobserve(o->watch);
	events_forget(&o->target);
	list_remove(&o->node);
	free(o);
}

int tenure_observe(struct tenure *t, const char *election, tenure_event_fn *on_event, void *arg,
                   struct tenure_observer **out, struct tenure_error *error)
{
	const char *fault;
	struct tenure_observer *o;

	error_clear(error);
	if (!t || !election || !on_event || !out)
		return error_set(error, TENURE_EINVAL, 0,
		                 "tenure_observe: session, election, on_event and out must not be NULL");
	*out = NULL;
	if (session_forked(t))
		return error_set(error, TENURE_EFORKED, 0,
		                 "this session belongs to the parent process: open one of your own");
	fault = names_election_fault(election);
	if (fault)
		return error_set(error, TENURE_ENAME, 0, "bad election name '%.80s': %s", election, fault);
	if (!(t->ops->capabilities & STORE_CAN_OBSERVE))
		return error_set(error, TENURE_EUNSUPPORTED, 0, "elections of the %s store cannot be observed",
		                 t->ops->scheme);
	o = calloc(1, sizeof *o);
	if (!o)
		return error_set(error, TENURE_ENOMEM, 0, "no memory for an observer");
	memcpy(o->election, election, strlen(election) + 1);
	o->target = (struct session_target) { .t = t, .fn = on_event, .arg = arg, .election = o->election };
	session_lock(t);
	list_append(&t->observers, &o->node);
	session_wake(t);
	session_unlock(t);
	*out = o;
	return 0;
}

void tenure_observer_free(struct tenure_observer *o)
{
	struct tenure *t;

	if (!o || session_forked(o->target.t))
		return;
	t = o->target.t;
	session_lock(t);
	o->target.dead = true;
	events_forget(&o->target);
	events_settle(&o->target); /* gives the lock up: only then may the loop thread free it */
	o->freed = true;
	session_wake(t);
	session_unlock(t);
}
