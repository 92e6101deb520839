/* SPDX-License-Identifier: Apache-2.0 */
/* What others see of an election, and what they may ask of its leader. */
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "base/error.h"
#include "quorum/quorum_store.h"

struct quorum_call { /* on its way; one that was given up stays until the core answers it */
	struct list node;
	struct quorum_core *core;
	struct loop_timer patience;
	store_read_done *read;
	store_list_each *each;
	store_done *done;
	void *arg;
	bool over;
	struct store_view *kept; /* READ: the answer, while it is not yet known how many voters are up; owned */
	uint64_t kept_until_ns;
};

/* A quorum answers before the slowest connection stands: how many are up is worth this much. */
#define QUORUM_VIEW_UP_NS   (200 * CLOCK_NS_PER_MS)
#define QUORUM_VIEW_LOOK_NS CLOCK_NS_PER_MS

/* ---- what the core knows of the election, with what this session knows of the store ---- */

static struct store_view *quorum_view_fill(const struct quorum_core *core, const struct store_view *view,
                                           struct store_view *out)
{
	const struct quorum_store *s = core->store;
	struct candidate_facts facts;
	uint64_t ttl_ns = s->ttl_ns;

	candidate_read_facts(core->candidate, &facts);
	if (facts.max_ttl_ms > 0 && ttl_ns > facts.max_ttl_ms * QUORUM_NS_PER_MS)
		ttl_ns = facts.max_ttl_ms * QUORUM_NS_PER_MS;
	*out = *view;
	out->ttl_ns = facts.ttl_ns > 0 ? facts.ttl_ns : ttl_ns;
	out->voters_up = facts.n_up;
	out->voters_of = facts.n_voters > 0 ? facts.n_voters : s->n_addresses;
	out->healthy = core->reached && core->health != TENURE_DEGRADED;
	return out;
}

/* ---- calls ---- */

static void quorum_view_answer(struct quorum_call *call, int code, const struct store_view *view,
                               const struct tenure_error *error)
{
	loop_timer_disarm(&call->patience);
	if (call->over)
		return;
	call->over = true;
	if (call->read)
		call->read(call->arg, code, view, error);
	else
		call->done(call->arg, code, error);
}

static void quorum_view_end(struct quorum_call *call, int code, const struct store_view *view,
                            const struct tenure_error *error)
{
	quorum_view_answer(call, code, view, error);
	list_remove(&call->node);
	if (call->kept)
		free(call->kept->waiting);
	free(call->kept);
	free(call);
}

static bool quorum_view_knows_all(const struct quorum_core *core)
{
	struct candidate_facts facts;

	candidate_read_facts(core->candidate, &facts);
	return facts.n_untried == 0;
}

/* Voters that can't be reached are named; those that are slow to answer are waited for: the caller has a limit. */
static void quorum_view_on_patience(void *arg)
{
	struct quorum_call *call = arg;
	struct tenure_error error = TENURE_ERROR_INIT;

	if (call->kept) {
		uint64_t now_ns = clock_now_or_zero_ns();
		struct store_view full;

		if (quorum_view_knows_all(call->core) || now_ns >= call->kept_until_ns)
			quorum_view_end(call, 0, quorum_view_fill(call->core, call->kept, &full), &error);
		else
			loop_timer_arm(&call->patience, now_ns + QUORUM_VIEW_LOOK_NS);
		return;
	}
	if (call->core->reached) {
		loop_timer_arm(&call->patience, clock_add_ns(clock_now_or_zero_ns(), QUORUM_CALL_PATIENCE_NS));
		return;
	}
	if (call->core->why.code != 0)
		(void)error_set(&error, TENURE_EUNREACHABLE, 0, "%s", call->core->why.message);
	else
		candidate_explain(call->core->candidate, &error);
	quorum_view_answer(call, TENURE_EUNREACHABLE, NULL, &error);
}

static struct quorum_call *quorum_view_call(struct quorum_store *s, void *arg, struct tenure_error *error)
{
	struct quorum_core *core = quorum_core_of(s);
	struct quorum_call *call;

	if (quorum_core_make(core, error) != 0)
		return NULL;
	if (core->failed != 0) {
		error_copy(error, &core->why);
		return NULL;
	}
	call = calloc(1, sizeof *call);
	if (!call) {
		(void)error_set(error, TENURE_ENOMEM, 0, "no memory for the call");
		return NULL;
	}
	call->core = core;
	call->arg = arg;
	loop_timer_init(s->loop, &call->patience, quorum_view_on_patience, call);
	loop_timer_arm(&call->patience, clock_add_ns(clock_now_or_zero_ns(), QUORUM_CALL_PATIENCE_NS));
	list_append(&s->calls, &call->node);
	return call;
}

static void quorum_view_called(struct quorum_call *call, int code)
{
	struct quorum_core *core = call->core;
	struct tenure_error error = TENURE_ERROR_INIT;

	if (code != 0) {
		(void)error_set(&error, code, 0, "the call could not be made: %s", tenure_strerror(code));
		quorum_view_end(call, code, NULL, &error);
	}
	quorum_core_settle(core);
}

void quorum_view_read(struct store *store, const char *election, store_read_done *done, void *arg)
{
	struct tenure_error error = TENURE_ERROR_INIT;
	struct quorum_call *call = quorum_view_call((struct quorum_store *)store, arg, &error);

	if (!call) {
		done(arg, error.code, NULL, &error);
		return;
	}
	call->read = done;
	quorum_view_called(call, candidate_read(call->core->candidate, election, call, quorum_now()));
}

void quorum_view_list(struct store *store, store_list_each *each, store_done *done, void *arg)
{
	struct tenure_error error = TENURE_ERROR_INIT;
	struct quorum_call *call = quorum_view_call((struct quorum_store *)store, arg, &error);

	if (!call) {
		done(arg, error.code, &error);
		return;
	}
	call->each = each;
	call->done = done;
	quorum_view_called(call, candidate_list(call->core->candidate, call, quorum_now()));
}

void quorum_view_ask(struct store *store, const char *election, const char *to, store_done *done, void *arg)
{
	struct tenure_error error = TENURE_ERROR_INIT;
	struct quorum_call *call = quorum_view_call((struct quorum_store *)store, arg, &error);

	if (!call) {
		done(arg, error.code, &error);
		return;
	}
	call->done = done;
	quorum_view_called(call, candidate_ask(call->core->candidate, election, to, call, quorum_now()));
}

/* ---- observing ---- */

int quorum_view_observe(struct store *store, const char *election, void *client_watch, struct store_watch **out,
                        struct tenure_error *error)
{
	struct quorum_store *s = (struct quorum_store *)store;
	struct quorum_core *core = quorum_core_of(s);
	struct quorum_watch *w;
	int code = quorum_core_make(core, error);

	if (code != 0)
		return code;
	w = calloc(1, sizeof *w);
	if (!w)
		return error_set(error, TENURE_ENOMEM, 0, "no memory for an observer");
	*w = (struct quorum_watch) { .core = core, .client_watch = client_watch };
	code = candidate_observe(core->candidate, election, w, &w->watch, quorum_now());
	if (code != 0) {
		free(w);
		return error_set(error, code, 0, "cannot observe %.80s: %s", election, tenure_strerror(code));
	}
	list_append(&s->watches, &w->node);
	*out = (struct store_watch *)w;
	quorum_core_settle(core);
	return 0;
}

void quorum_view_unobserve(struct store_watch *watch)
{
	struct quorum_watch *w = (struct quorum_watch *)watch;
	struct quorum_core *core = w->core;

	candidate_unobserve(w->watch, quorum_now());
	list_remove(&w->node);
	free(w);
	quorum_core_settle(core);
}

/* A renewal is no change. */
static void quorum_view_changed(struct quorum_watch *w, const struct store_view *view)
{
	uint32_t value_crc = crc32c(view->value, view->value_bytes);
	struct store_view *full;

	if (w->told && w->led == view->led && w->token == view->token && w->value_crc == value_crc)
		return;
	full = malloc(sizeof *full);
	if (!full)
		return; /* told with the next change */
	w->told = true;
	w->led = view->led;
	w->token = view->token;
	w->value_crc = value_crc;
	w->core->store->sink->leader(w->client_watch, quorum_view_fill(w->core, view, full));
	free(full);
}

/* ---- answers ---- */

static struct store_view *quorum_view_copy(const struct store_view *view)
{
	struct store_view *copy = malloc(sizeof *copy);

	if (!copy)
		return NULL;
	*copy = *view;
	copy->waiting = NULL;
	if (view->n_waiting == 0)
		return copy;
	copy->waiting = calloc(view->n_waiting, sizeof *copy->waiting);
	if (!copy->waiting) {
		free(copy);
		return NULL;
	}
	memcpy(copy->waiting, view->waiting, view->n_waiting * sizeof *copy->waiting);
	return copy;
}

static void quorum_view_on_read(struct quorum_core *core, const struct candidate_event *event)
{
	struct tenure_error none = TENURE_ERROR_INIT;
	struct quorum_call *call = event->user;
	struct store_view full;

	if (event->code == 0 && !call->over && !quorum_view_knows_all(core)) {
		call->kept = quorum_view_copy(event->view);
		call->kept_until_ns = clock_now_or_zero_ns() + QUORUM_VIEW_UP_NS;
	}
	if (call->kept)
		loop_timer_arm(&call->patience, clock_now_or_zero_ns() + QUORUM_VIEW_LOOK_NS);
	else
		quorum_view_end(call, event->code, event->code == 0 ? quorum_view_fill(core, event->view, &full) : NULL,
		                event->error ? event->error : &none);
}

void quorum_view_on_event(struct quorum_core *core, const struct candidate_event *event)
{
	struct tenure_error none = TENURE_ERROR_INIT;
	struct quorum_call *call = event->user;

	switch (event->kind) {
	case CANDIDATE_CHANGED:
		quorum_view_changed(event->user, event->view);
		return;
	case CANDIDATE_READ:
		quorum_view_on_read(core, event);
		return;
	case CANDIDATE_LISTED:
		if (!call->over)
			call->each(call->arg, event->name);
		return;
	case CANDIDATE_LIST_END:
	case CANDIDATE_ASK_ANSWER:
		quorum_view_end(call, event->code, NULL, event->error ? event->error : &none);
		return;
	default:
		return;
	}
}

void quorum_view_fail(struct quorum_core *core, int code, const struct tenure_error *error)
{
	LIST_EACH_SAFE (node, after, &core->store->calls) {
		struct quorum_call *call = LIST_OF(node, struct quorum_call, node);

		if (call->core == core)
			quorum_view_answer(call, code, NULL, error);
	}
}

void quorum_view_close(struct quorum_store *s)
{
	struct tenure_error error = TENURE_ERROR_INIT;

	(void)error_set(&error, TENURE_EUNREACHABLE, 0, "the session was closed");
	/* The analyzer does not see that the end takes it out. */
	while (!list_empty(&s->calls)) /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
		quorum_view_end(LIST_OF(s->calls.next, struct quorum_call, node), TENURE_EUNREACHABLE, NULL, &error);
}
