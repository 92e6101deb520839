/* SPDX-License-Identifier: Apache-2.0 */
/* Observing, reading, listing, asking: R36 and ASK. Nothing here touches a lease. */
#include "quorum/candidate_inside.h"

#include <stdlib.h>

#include "base/buf.h"
#include "base/error.h"

#define CANDIDATE_CALL_SETTLE_NS     UINT64_C(20000000) /* ask again; doubling */
#define CANDIDATE_CALL_SETTLE_MAX_NS UINT64_C(500000000)
#define CANDIDATE_CALL_READ_TRIES    5
#define CANDIDATE_CALL_WATCH_TRIES   8

static uint64_t candidate_call_settle_ns(unsigned n)
{
	uint64_t wait_ns = CANDIDATE_CALL_SETTLE_NS << (n > 10 ? 10 : n);

	return candidate_sooner(wait_ns, CANDIDATE_CALL_SETTLE_MAX_NS);
}

static uint16_t candidate_call_useful(const struct candidate *c)
{
	uint16_t set = 0;

	for (unsigned v = 0; v < c->n_addresses; v++)
		if (c->peers[v].useful)
			set |= (uint16_t)(1u << v);
	return set;
}

static void candidate_call_put(struct candidate_election *e, struct candidate_peer *p, uint8_t type)
{
	candidate_election_open(e, p);
	candidate_connection_put(e->c, p, &(struct wire_item) { .type = type, .handle = e->handle });
}

static bool candidate_call_reports(struct candidate_election *e)
{
	if (!e->reports)
		e->reports = calloc(e->c->n_addresses, sizeof *e->reports);
	return e->reports != NULL;
}

void candidate_call_free_reports(struct candidate_election *e)
{
	for (unsigned v = 0; e->reports && v < e->c->n_addresses; v++) {
		free(e->reports[v].value);
		free(e->reports[v].waiters);
	}
	free(e->reports);
	e->reports = NULL;
}

/* ---- watches ---- */

int candidate_observe(struct candidate *c, const char *election, void *user, struct candidate_watch **out,
                      struct candidate_now now)
{
	struct candidate_watch *w = calloc(1, sizeof *w);
	struct candidate_election *e;

	candidate_enter_call(c, now);
	*out = NULL;
	e = w ? candidate_election_take(c, election) : NULL;
	if (!e || !candidate_call_reports(e)) {
		free(w);
		if (e)
			candidate_election_drop_if_idle(e);
		return TENURE_ENOMEM;
	}
	w->c = c;
	w->e = e;
	w->user = user;
	e->n_refs++;
	list_init(&w->pending);
	list_append(&e->watches, &w->of_election);
	CANDIDATE_EACH_PEER(c, p)
	if (p->useful)
		candidate_call_put(e, p, WIRE_WATCH);
	*out = w;
	return 0;
}

void candidate_unobserve(struct candidate_watch *w, struct candidate_now now)
{
	struct candidate_election *e = w->e;

	candidate_enter_call(e->c, now);
	list_remove(&w->of_election);
	list_remove(&w->pending);
	free(w);
	if (list_empty(&e->watches)) {
		list_remove(&e->in_unsettled);
		CANDIDATE_EACH_PEER(e->c, p)
		if (p->useful && e->parts[p->v].open_conn == p->conn_no)
			candidate_call_put(e, p, WIRE_UNWATCH);
	}
	e->n_refs--;
	candidate_election_drop_if_idle(e);
}

static void candidate_call_tell_watches(struct candidate_election *e, uint64_t mark)
{
	list_remove(&e->in_unsettled);
	e->n_unsettled = 0;
	LIST_EACH (node, &e->watches) {
		struct candidate_watch *w = LIST_OF(node, struct candidate_watch, of_election);

		if (w->told && w->told_mark == mark)
			continue;
		w->told = true;
		w->told_mark = mark;
		list_remove(&w->pending);
		list_append(&e->c->watches_due, &w->pending);
	}
}

/* Told when q agree; what does not settle is asked for again, and then is "nobody". */
static void candidate_call_look(struct candidate_election *e)
{
	struct candidate *c = e->c;
	uint16_t have = 0;

	if (list_empty(&e->watches))
		return;
	CANDIDATE_EACH_PEER(c, p)
	if (p->useful && e->reports[p->v].have)
		have |= candidate_bit(p);
	if (candidate_count(have) < candidate_quorum(c))
		return;
	if (candidate_view_merge(e, have, &c->view) || e->n_unsettled >= CANDIDATE_CALL_WATCH_TRIES) {
		candidate_call_tell_watches(e, candidate_view_mark(&c->view));
	} else if (list_empty(&e->in_unsettled)) {
		list_append(&c->unsettled, &e->in_unsettled);
		e->unsettled_at_ns = c->now.at.boot_ns + candidate_call_settle_ns(e->n_unsettled);
	}
}

/* ---- calls ---- */

void candidate_call_free(struct candidate_call *call)
{
	struct candidate_election *e = call->e;

	list_remove(&call->all);
	list_remove(&call->of_election);
	for (size_t i = 0; i < call->n_names; i++)
		free(call->names[i]);
	free(call->names);
	free(call);
	if (e) {
		e->n_refs--;
		candidate_election_drop_if_idle(e);
	}
}

void candidate_call_free_all(struct candidate *c)
{
	if (c->given)
		candidate_call_free(c->given);
	c->given = NULL;
	/* The analyzer does not see that list_remove() takes them out. */
	while (!list_empty(&c->calls)) /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
		candidate_call_free(LIST_OF(c->calls.next, struct candidate_call, all));
	while (!list_empty(&c->calls_done)) /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
		candidate_call_free(LIST_OF(c->calls_done.next, struct candidate_call, all));
	for (size_t i = 0; i < c->n_handles; i++)
		if (c->elections[i])
			LIST_EACH_SAFE (node, after, &c->elections[i]->watches)
				free(LIST_OF(node, struct candidate_watch, of_election));
}

static void candidate_call_finish(struct candidate_call *call, int code)
{
	struct candidate *c = call->e ? call->e->c : NULL;

	call->done = true;
	call->code = code;
	call->again_at_ns = CANDIDATE_NEVER_NS;
	list_remove(&call->of_election);
	list_remove(&call->all);
	if (c)
		list_append(&c->calls_done, &call->all);
}

static void candidate_call_send(struct candidate *c, struct candidate_call *call, struct candidate_peer *p)
{
	if (!p->useful || call->done)
		return;
	if (call->kind == CANDIDATE_CALL_LIST)
		candidate_connection_put(c, p,
		                         &(struct wire_item) { .type = WIRE_NAMES,
		                                               .names.cursor = call->cursors[p->v] });
	else if (call->e && call->posted)
		candidate_connection_put(c, p,
		                         &(struct wire_item) {
		                                 .type = WIRE_ASK,
		                                 .handle = call->e->handle,
		                                 .term = call->term,
		                                 .ask.to = { (const uint8_t *)call->to, strlen(call->to) } });
	else if (call->e)
		candidate_call_put(call->e, p, WIRE_READ);
	call->rounds[p->v] = p->round;
}

static void candidate_call_send_all(struct candidate *c, struct candidate_call *call)
{
	call->answered = call->refused = 0;
	call->again_at_ns = c->now.at.boot_ns + candidate_retry_ns(c) + candidate_call_settle_ns(call->n_tries);
	CANDIDATE_EACH_PEER(c, p)
	{
		if (call->e && p->useful)
			candidate_election_open(call->e, p);
		candidate_call_send(c, call, p);
	}
}

static int candidate_call_new(struct candidate *c, enum candidate_call_kind kind, const char *election, const char *to,
                              void *user)
{
	struct candidate_call *call = calloc(1, sizeof *call);

	if (!call)
		return TENURE_ENOMEM;
	list_init(&call->all);
	list_init(&call->of_election);
	call->kind = kind;
	call->user = user;
	call->error.struct_size = sizeof call->error;
	call->again_at_ns = CANDIDATE_NEVER_NS;
	memcpy(call->to, to, strnlen(to, sizeof call->to - 1));
	if (election) {
		call->e = candidate_election_take(c, election);
		if (!call->e || !candidate_call_reports(call->e)) {
			if (call->e)
				candidate_election_drop_if_idle(call->e);
			free(call);
			return TENURE_ENOMEM;
		}
		call->e->n_refs++;
		list_append(&call->e->calls, &call->of_election);
	}
	list_append(&c->calls, &call->all);
	candidate_call_send_all(c, call);
	return 0;
}

int candidate_read(struct candidate *c, const char *election, void *call, struct candidate_now now)
{
	candidate_enter_call(c, now);
	return candidate_call_new(c, CANDIDATE_CALL_READ, election, "", call);
}

int candidate_list(struct candidate *c, void *call, struct candidate_now now)
{
	candidate_enter_call(c, now);
	return candidate_call_new(c, CANDIDATE_CALL_LIST, NULL, "", call);
}

int candidate_ask(struct candidate *c, const char *election, const char *to, void *call, struct candidate_now now)
{
	candidate_enter_call(c, now);
	return candidate_call_new(c, CANDIDATE_CALL_ASK, election, to ? to : "", call);
}

/* `to` among those that wait: its identity. 0; TENURE_ENOENT; TENURE_EAMBIGUOUS. */
static int candidate_call_resolve(struct candidate_call *call, const struct store_view *view)
{
	char identity[NAMES_IDENTITY_ROOM] = "", text[200];
	unsigned n = 0;
	struct buf b;

	buf_init(&b, text, sizeof text);
	for (size_t i = 0; i < view->n_waiting; i++) {
		const struct store_waiter *w = &view->waiting[i];

		if (strcmp(w->identity, call->to) == 0) {
			n = 1;
			memcpy(identity, w->identity, sizeof identity);
			break;
		}
		if (strcmp(w->id, call->to) != 0)
			continue;
		if (n++ > 0)
			buf_char(&b, ' ');
		buf_text(&b, w->identity);
		memcpy(identity, w->identity, sizeof identity);
	}
	if (n == 0)
		return error_set(&call->error, TENURE_ENOENT, 0, "no candidate '%s' waits in election '%s'", call->to,
		                 call->e->name);
	if (n > 1)
		return error_set(&call->error, TENURE_EAMBIGUOUS, 0,
		                 "'%s' names several candidates: %s; use one of these", call->to, text);
	memcpy(call->to, identity, sizeof call->to);
	return 0;
}

/* The present tenure is known: the wish goes to all voters, which pass it to the holder. */
static void candidate_call_post(struct candidate_call *call, const struct store_view *view)
{
	struct candidate *c = call->e->c;
	int code = 0;

	if (!view->led)
		code = error_set(&call->error, TENURE_NOT_LEADING, 0, "nobody leads election '%s'", call->e->name);
	else if (call->to[0])
		code = candidate_call_resolve(call, view);
	if (code) {
		candidate_call_finish(call, code);
		return;
	}
	call->posted = true;
	call->term = view->token & QUORUM_TERM_MAX;
	call->n_tries = 0;
	candidate_call_send_all(c, call);
}

static bool candidate_call_is_unknown(struct candidate_call *call, const struct store_view *view)
{
	return view->led && call->to[0] && candidate_call_resolve(call, view) == TENURE_ENOENT;
}

static void candidate_call_check_read(struct candidate_call *call)
{
	struct candidate_election *e = call->e;
	struct candidate *c = e->c;
	uint16_t useful = candidate_call_useful(c);
	bool all = !(useful & (uint16_t)~call->answered);

	if (candidate_count(call->answered & useful) < candidate_quorum(c))
		return;
	if (!candidate_view_merge(e, call->answered & useful, &c->view)) {
		if (!all)
			return;
		if (call->n_tries < CANDIDATE_CALL_READ_TRIES) { /* they disagree: a change is under way */
			call->again_at_ns = c->now.at.boot_ns + candidate_call_settle_ns(call->n_tries++);
			return;
		}
	}
	if (call->kind == CANDIDATE_CALL_READ) {
		candidate_call_finish(call, 0);
	} else if (!all && candidate_call_is_unknown(call, &c->view)) {
		error_clear(
		        &call->error); /* one that has just come waits at some voters earlier than at others: hear all */
	} else {
		candidate_call_post(call, &c->view);
	}
}

void candidate_call_read_r(struct candidate_election *e, struct candidate_peer *p, const struct wire_item *i,
                           uint32_t round)
{
	if (i->read_r.term > e->parts[p->v].known_term)
		e->parts[p->v].known_term = i->read_r.term;
	if (!e->reports || !candidate_view_keep(e->c, &e->reports[p->v], &i->read_r, round == 0))
		return;
	LIST_EACH_SAFE (node, after, &e->calls) {
		struct candidate_call *call = LIST_OF(node, struct candidate_call, of_election);

		if (call->posted || round == 0 || round < call->rounds[p->v] || call->rounds[p->v] < p->first_round)
			continue;
		call->answered |= candidate_bit(p);
		candidate_call_check_read(call);
	}
	candidate_call_look(e);
}

void candidate_call_ask_ok(struct candidate_election *e, struct candidate_peer *p, const struct wire_item *i)
{
	struct candidate *c = e->c;
	unsigned q = candidate_quorum(c);

	LIST_EACH_SAFE (node, after, &e->calls) {
		struct candidate_call *call = LIST_OF(node, struct candidate_call, of_election);
		bool all;

		if (!call->posted || call->term != i->term)
			continue;
		if (i->ask.code == WIRE_ASK_POSTED)
			call->answered |= candidate_bit(p);
		else
			call->refused |= candidate_bit(p);
		all = !(candidate_call_useful(c) & (uint16_t) ~(call->answered | call->refused));
		if (candidate_count(call->answered) >= q || (all && call->answered))
			candidate_call_finish(call, 0);
		else if (all) /* one that took it may be why others say that it is over already: all are heard */
			candidate_call_finish(call, error_set(&call->error, TENURE_NOT_LEADING, 0,
			                                      "that tenure of election '%s' is over", e->name));
	}
}

/* ---- names ---- */

static void candidate_call_sift(char **names, size_t at, size_t n)
{
	char *name = names[at];

	for (;;) {
		size_t child = 2 * at + 1;

		if (child + 1 < n && strcmp(names[child + 1], names[child]) > 0)
			child++;
		if (child >= n || strcmp(names[child], name) <= 0)
			break;
		names[at] = names[child];
		at = child;
	}
	names[at] = name;
}

/* In order, each once. */
static void candidate_call_sort(struct candidate_call *call)
{
	size_t n = call->n_names, kept = 0;

	for (size_t i = n / 2; i > 0; i--)
		candidate_call_sift(call->names, i - 1, n);
	for (size_t i = n; i > 1; i--) {
		char *last = call->names[i - 1];

		call->names[i - 1] = call->names[0];
		call->names[0] = last;
		candidate_call_sift(call->names, 0, i - 1);
	}
	for (size_t i = 0; i < n; i++) {
		if (kept > 0 && strcmp(call->names[kept - 1], call->names[i]) == 0)
			free(call->names[i]);
		else
			call->names[kept++] = call->names[i];
	}
	call->n_names = kept;
}

static bool candidate_call_add_name(struct candidate_call *call, const struct wire_bytes *name)
{
	char *copy = malloc(name->n + 1);

	if (copy && call->n_names == call->names_room) {
		size_t room = call->names_room ? 2 * call->names_room : 64;
		char **more = realloc(call->names, room * sizeof(char *));

		if (!more) {
			free(copy);
			return false;
		}
		call->names = more;
		call->names_room = room;
	}
	if (!copy)
		return false;
	memcpy(copy, name->data, name->n);
	copy[name->n] = '\0';
	call->names[call->n_names++] = copy;
	return true;
}

static void candidate_call_end_list(struct candidate *c, struct candidate_call *call, int code)
{
	candidate_call_sort(call);
	candidate_call_finish(call, code);
	list_append(&c->calls_done, &call->all);
}

void candidate_call_names_r(struct candidate *c, struct candidate_peer *p, const struct wire_item *i, uint32_t round)
{
	LIST_EACH_SAFE (node, after, &c->calls) {
		struct candidate_call *call = LIST_OF(node, struct candidate_call, all);

		if (call->kind != CANDIDATE_CALL_LIST || call->rounds[p->v] != round || round == 0 || !p->useful)
			continue;
		if (i->names.name.n > 0) {
			if (!candidate_call_add_name(call, &i->names.name))
				candidate_call_end_list(c, call,
				                        error_set(&call->error, TENURE_ENOMEM, 0,
				                                  "no memory for the names of elections"));
			continue;
		}
		if (i->names.cursor != 0) { /* the next page */
			call->cursors[p->v] = i->names.cursor;
			candidate_call_send(c, call, p);
			continue;
		}
		call->rounds[p->v] = 0;
		call->answered |= candidate_bit(p);
		if (candidate_count(call->answered) >= candidate_quorum(c))
			candidate_call_end_list(c, call, 0);
	}
}

/* ---- connections and time ---- */

void candidate_call_ready(struct candidate *c, struct candidate_peer *p)
{
	for (size_t i = 0; i < c->n_handles; i++)
		if (c->elections[i] && !list_empty(&c->elections[i]->watches))
			candidate_call_put(c->elections[i], p, WIRE_WATCH);
	LIST_EACH (node, &c->calls) {
		struct candidate_call *call = LIST_OF(node, struct candidate_call, all);

		if (call->answered & candidate_bit(p))
			continue;
		call->cursors[p->v] = 0;
		if (call->e)
			candidate_election_open(call->e, p);
		candidate_call_send(c, call, p);
	}
}

void candidate_call_gone(struct candidate *c, struct candidate_peer *p)
{
	for (size_t i = 0; i < c->n_handles; i++) {
		struct candidate_election *e = c->elections[i];

		if (!e)
			continue;
		e->wait_sent &= (uint16_t)~candidate_bit(p);
		e->queued &= (uint16_t)~candidate_bit(p);
		if (e->reports)
			e->reports[p->v].have = false;
	}
}

void candidate_call_tick(struct candidate *c)
{
	uint64_t now_ns = c->now.at.boot_ns;

	LIST_EACH_SAFE (node, after, &c->calls) {
		struct candidate_call *call = LIST_OF(node, struct candidate_call, all);

		if (call->again_at_ns > now_ns)
			continue;
		if (call->kind == CANDIDATE_CALL_LIST) /* TCP carries it; a new connection asks again */
			call->again_at_ns = CANDIDATE_NEVER_NS;
		else
			candidate_call_send_all(c, call);
	}
	LIST_EACH_SAFE (node, after, &c->unsettled) {
		struct candidate_election *e = LIST_OF(node, struct candidate_election, in_unsettled);

		if (e->unsettled_at_ns > now_ns)
			continue;
		list_remove(&e->in_unsettled);
		e->n_unsettled++;
		CANDIDATE_EACH_PEER(c, p)
		if (p->useful)
			candidate_call_put(e, p, WIRE_READ);
	}
}

uint64_t candidate_call_next_ns(const struct candidate *c)
{
	uint64_t at_ns = CANDIDATE_NEVER_NS;

	LIST_EACH (node, &c->calls)
		at_ns = candidate_sooner(at_ns, LIST_OF(node, struct candidate_call, all)->again_at_ns);
	LIST_EACH (node, &c->unsettled)
		at_ns = candidate_sooner(at_ns,
		                         LIST_OF(node, struct candidate_election, in_unsettled)->unsettled_at_ns);
	return at_ns;
}

/* ---- events ---- */

static void candidate_call_answer(struct candidate *c, struct candidate_call *call, struct candidate_event *out)
{
	static const enum candidate_event_kind kinds[] = {
		[CANDIDATE_CALL_READ] = CANDIDATE_READ,
		[CANDIDATE_CALL_LIST] = CANDIDATE_LIST_END,
		[CANDIDATE_CALL_ASK] = CANDIDATE_ASK_ANSWER,
	};

	out->kind = kinds[call->kind];
	out->user = call->user;
	out->code = call->code;
	out->error = call->code ? &call->error : NULL;
	if (call->kind == CANDIDATE_CALL_READ) {
		(void)candidate_view_merge(call->e, call->answered & candidate_call_useful(c), &c->view);
		out->view = &c->view;
	}
	list_remove(&call->all);
	c->given = call; /* lent until the next call */
}

bool candidate_call_event(struct candidate *c, struct candidate_event *out)
{
	if (!list_empty(&c->watches_due)) {
		struct candidate_watch *w = LIST_OF(c->watches_due.next, struct candidate_watch, pending);
		uint16_t have = candidate_call_useful(c);

		list_remove(&w->pending);
		(void)candidate_view_merge(w->e, have, &c->view);
		w->told_mark = candidate_view_mark(&c->view);
		out->kind = CANDIDATE_CHANGED;
		out->user = w->user;
		out->view = &c->view;
		return true;
	}
	if (!list_empty(&c->calls_done)) {
		struct candidate_call *call = LIST_OF(c->calls_done.next, struct candidate_call, all);

		if (call->next_name < call->n_names && call->kind == CANDIDATE_CALL_LIST) {
			out->kind = CANDIDATE_LISTED;
			out->user = call->user;
			out->name = call->names[call->next_name++];
			return true;
		}
		candidate_call_answer(c, call, out);
		return true;
	}
	return false;
}
