/* SPDX-License-Identifier: Apache-2.0 */
/* Calls that wait for the store: read, list, ask; and what they return. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "client/session.h"
#include "elector/lease.h"

struct tenure_status {
	struct store_view view;
};

static void calls_free(struct session_call *call)
{
	tenure_status_free(call->status);
	free(call->names);
	free(call);
}

/* The answer is in: whoever waits takes it; nobody waits any more: it is thrown away. */
static void calls_done(void *arg, int code, const struct tenure_error *error)
{
	struct session_call *call = arg;

	if (call->abandoned) {
		calls_free(call);
		return;
	}
	call->code = code;
	if (code != 0 && error)
		error_copy(&call->error, error);
	call->done = true;
	(void)pthread_cond_broadcast(&call->t->changed);
}

static struct tenure_status *calls_copy_view(const struct store_view *view)
{
	struct tenure_status *s = malloc(sizeof *s);

	if (!s)
		return NULL;
	s->view = *view;
	s->view.waiting = NULL;
	if (view->n_waiting > 0) {
		s->view.waiting = malloc(view->n_waiting * sizeof *view->waiting);
		if (!s->view.waiting) {
			free(s);
			return NULL;
		}
		memcpy(s->view.waiting, view->waiting, view->n_waiting * sizeof *view->waiting);
	}
	return s;
}

static void calls_on_read(void *arg, int code, const struct store_view *view, const struct tenure_error *error)
{
	struct session_call *call = arg;

	if (code == 0 && !call->abandoned) {
		call->status = calls_copy_view(view);
		if (!call->status)
			code = error_set(&call->error, TENURE_ENOMEM, 0, "no memory for the answer");
	}
	calls_done(arg, code, code == TENURE_ENOMEM ? NULL : error);
}

static void calls_on_name(void *arg, const char *election)
{
	struct session_call *call = arg;

	if (call->n_names == call->room_names) {
		size_t room = call->room_names ? call->room_names * 2 : 64;
		void *more = reallocarray(call->names, room, sizeof *call->names);

		if (!more) {
			call->code = TENURE_ENOMEM;
			return;
		}
		call->names = more;
		call->room_names = room;
	}
	memcpy(call->names[call->n_names++], election, strnlen(election, NAMES_ELECTION_MAX_BYTES) + 1);
}

static void calls_on_listed(void *arg, int code, const struct tenure_error *error)
{
	struct session_call *call = arg;

	if (code == 0 && call->code == TENURE_ENOMEM)
		code = error_set(&call->error, TENURE_ENOMEM, 0, "no memory for the names");
	calls_done(arg, code, code == TENURE_ENOMEM ? NULL : error);
}

void calls_run(struct session_call *call)
{
	struct tenure *t = call->t;

	if (call->abandoned) {
		calls_free(call);
		return;
	}
	switch (call->kind) {
	case SESSION_READ:
		t->ops->read(t->store, call->election, calls_on_read, call);
		return;
	case SESSION_LIST:
		t->ops->list(t->store, calls_on_name, calls_on_listed, call);
		return;
	case SESSION_ASK:
		t->ops->ask(t->store, call->election, call->to, calls_done, call);
		return;
	}
}

static bool calls_is_done(void *arg)
{
	return ((const struct session_call *)arg)->done;
}

/* Checks what all such calls check, and makes the call; NULL with *code set. */
static struct session_call *calls_new(struct tenure *t, enum session_call_kind kind, const char *election, int *code,
                                      struct tenure_error *error)
{
	const char *fault = election ? names_election_fault(election) : NULL;
	struct session_call *call;

	error_clear(error);
	if (session_forked(t)) {
		*code = error_set(error, TENURE_EFORKED, 0,
		                  "this session belongs to the parent process: open one of your own");
		return NULL;
	}
	if (fault) {
		*code = error_set(error, TENURE_ENAME, 0, "bad election name '%.80s': %s", election, fault);
		return NULL;
	}
	call = calloc(1, sizeof *call);
	if (!call) {
		*code = error_set(error, TENURE_ENOMEM, 0, "no memory for the call");
		return NULL;
	}
	call->t = t;
	call->kind = kind;
	call->error.struct_size = sizeof call->error;
	if (election)
		memcpy(call->election, election, strlen(election) + 1);
	return call;
}

/* Hands the call to the loop and waits. On 0 the caller frees it; otherwise it is gone. */
static int calls_wait(struct session_call *call, uint64_t limit_ns, struct tenure_error *error)
{
	struct tenure *t = call->t;
	int code;

	session_lock(t);
	if (session_in_callback(t) || (t->embedded && t->processing)) {
		session_unlock(t);
		calls_free(call);
		return error_set(error, TENURE_ECALLBACK, 0, "a call that waits is not allowed from a callback");
	}
	list_append(&t->calls, &call->node);
	session_wake(t);
	if (!session_wait(t, calls_is_done, call, limit_ns)) {
		call->abandoned = true; /* calls_done() or calls_run() frees it */
		session_unlock(t);
		return error_set(error, TENURE_TIMEOUT, 0, "the store did not answer in time");
	}
	session_unlock(t);
	code = call->code;
	if (code == 0)
		return 0;
	error_copy(error, &call->error);
	calls_free(call);
	return code;
}

/* ---- read ---- */

int tenure_read(struct tenure *t, const char *election, uint64_t limit_ns, struct tenure_status **out,
                struct tenure_error *error)
{
	struct session_call *call;
	int code = 0;

	if (!t || !election || !out)
		return error_set(error, TENURE_EINVAL, 0, "tenure_read: session, election and out must not be NULL");
	*out = NULL;
	call = calls_new(t, SESSION_READ, election, &code, error);
	if (!call)
		return code;
	code = calls_wait(call, limit_ns, error);
	if (code != 0)
		return code;
	*out = call->status;
	call->status = NULL;
	calls_free(call);
	return 0;
}

const char *tenure_status_leader(const struct tenure_status *s)
{
	return s->view.led ? s->view.id : NULL;
}

const char *tenure_status_identity(const struct tenure_status *s)
{
	return s->view.led ? s->view.identity : NULL;
}

const void *tenure_status_value(const struct tenure_status *s, size_t *value_bytes)
{
	if (value_bytes)
		*value_bytes = s->view.led ? s->view.value_bytes : 0;
	return s->view.led && s->view.value_bytes > 0 ? s->view.value : NULL;
}

int64_t tenure_status_since_unix_ns(const struct tenure_status *s)
{
	return s->view.led ? s->view.since_unix_ns : 0;
}

uint64_t tenure_status_expires_in_ns(const struct tenure_status *s)
{
	return s->view.led ? s->view.expires_in_ns : 0;
}

uint64_t tenure_status_ttl_ns(const struct tenure_status *s)
{
	return s->view.ttl_ns;
}

void tenure_status_voters(const struct tenure_status *s, unsigned *up, unsigned *of)
{
	if (up)
		*up = s->view.voters_up;
	if (of)
		*of = s->view.voters_of;
}

uint64_t tenure_status_token(const struct tenure_status *s)
{
	return s->view.led ? s->view.token : 0;
}

size_t tenure_status_waiting(const struct tenure_status *s, const char **ids, size_t room)
{
	for (size_t i = 0; ids && i < room && i < s->view.n_waiting; i++)
		ids[i] = s->view.waiting[i].id;
	return s->view.n_waiting;
}

void tenure_status_free(struct tenure_status *s)
{
	if (!s)
		return;
	free(s->view.waiting);
	free(s);
}

const struct store_view *client_status_view(const struct tenure_status *s)
{
	return &s->view;
}

/* ---- list ---- */

int tenure_list(struct tenure *t, int (*each)(void *arg, const char *election), void *arg, uint64_t limit_ns,
                struct tenure_error *error)
{
	struct session_call *call;
	int code = 0;

	if (!t || !each)
		return error_set(error, TENURE_EINVAL, 0, "tenure_list: session and function must not be NULL");
	if (!(t->ops->capabilities & STORE_CAN_LIST))
		return error_set(error, TENURE_EUNSUPPORTED, 0, "the %s store cannot list its elections",
		                 t->ops->scheme);
	call = calls_new(t, SESSION_LIST, NULL, &code, error);
	if (!call)
		return code;
	code = calls_wait(call, limit_ns, error);
	if (code != 0)
		return code;
	for (size_t i = 0; code == 0 && i < call->n_names; i++)
		code = each(arg, call->names[i]);
	calls_free(call);
	return code;
}

/* ---- asking the leader to hand over ---- */

static int calls_post_ask(struct tenure *t, const char *election, const char *to, uint64_t limit_ns,
                          struct tenure_error *error)
{
	struct session_call *call;
	int code = 0;

	call = calls_new(t, SESSION_ASK, election, &code, error);
	if (!call)
		return code;
	memcpy(call->to, to, strlen(to) + 1);
	code = calls_wait(call, limit_ns, error);
	if (code == 0)
		calls_free(call);
	return code;
}

struct calls_change {
	struct tenure *t;
	uint64_t token; /* of the leader that was asked */
	uint64_t now_token;
	bool changed;
	char id[NAMES_IDENTITY_ROOM];
};

static void calls_on_leader(void *arg, const struct tenure_event *event)
{
	struct calls_change *change = arg;

	if (event->type != TENURE_EV_LEADER)
		return;
	session_lock(change->t);
	if (event->token != change->token) {
		change->changed = true;
		change->now_token = event->token;
	}
	(void)pthread_cond_broadcast(&change->t->changed);
	session_unlock(change->t);
}

static bool calls_has_changed(void *arg)
{
	return ((const struct calls_change *)arg)->changed;
}

static uint64_t calls_left_ns(uint64_t end_ns)
{
	return lease_left_ns(end_ns, clock_now_or_zero_ns());
}

/* Nobody, or another one, leads: the wish was granted, even when the new leader is not there yet. */
static int calls_await_change(struct calls_change *change, const char *election, uint64_t end_ns, const char *to,
                              struct tenure_error *error)
{
	struct tenure *t = change->t;
	struct tenure_observer *observer;
	int code = tenure_observe(t, election, calls_on_leader, change, &observer, error);
	bool changed;

	if (code != 0)
		return code;
	code = calls_post_ask(t, election, to, calls_left_ns(end_ns), error);
	if (code == 0) {
		session_lock(t);
		changed = session_wait(t, calls_has_changed, change, calls_left_ns(end_ns));
		session_unlock(t);
		if (!changed)
			code = error_set(error, TENURE_TIMEOUT, 0,
			                 "the leader of %.80s was asked, and still leads; its program may be finishing",
			                 election);
	}
	tenure_observer_free(observer);
	return code;
}

int tenure_ask_resign(struct tenure *t, const char *election, const char *to_id, uint64_t limit_ns,
                      struct tenure_error *error)
{
	uint64_t end_ns = clock_add_ns(clock_now_or_zero_ns(), limit_ns); /* one limit for all three steps */
	struct calls_change change = { .t = t };
	struct tenure_status *status;
	int code;

	if (!t || !election)
		return error_set(error, TENURE_EINVAL, 0, "tenure_ask_resign: session and election must not be NULL");
	if (!(t->ops->capabilities & STORE_CAN_ASK))
		return error_set(error, TENURE_EUNSUPPORTED, 0, "leaders of the %s store cannot be asked to hand over",
		                 t->ops->scheme);
	if (to_id && strnlen(to_id, NAMES_IDENTITY_ROOM) >= NAMES_IDENTITY_ROOM)
		return error_set(error, TENURE_ENOENT, 0, "no candidate has an id of more than %d bytes",
		                 NAMES_IDENTITY_ROOM - 1);
	code = tenure_read(t, election, limit_ns, &status, error);
	if (code != 0)
		return code;
	change.token = tenure_status_token(status);
	tenure_status_free(status);
	if (change.token == 0)
		return error_set(error, TENURE_NOT_LEADING, 0, "nobody leads election %.80s", election);
	return calls_await_change(&change, election, end_ns, to_id ? to_id : "", error);
}
