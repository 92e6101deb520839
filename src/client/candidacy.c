/* SPDX-License-Identifier: Apache-2.0 */
/* One candidacy: the elector's actions carried out, its notices told, and the question "do I lead?" answered. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "base/error.h"
#include "base/structs.h"
#include "client/session.h"
#include "elector/lease.h"
#include "elector/state.h"
#include "elector/trace.h"

static struct tenure_candidacy *candidacy_of(struct session_target *target)
{
	return LIST_OF(target, struct tenure_candidacy, target);
}

static void candidacy_mark(struct tenure_candidacy *c, unsigned todo)
{
	c->todo |= todo;
	if (c->todo != 0 && list_empty(&c->dirty))
		list_append(&c->target.t->dirty, &c->dirty);
}

/* ---- the page, and the atomics that tenure_leads() reads ---- */

static void candidacy_end_page(struct tenure_candidacy *c)
{
	atomic_store(&c->deadline_ns, 0);
	lease_page_writer_close(&c->page);
}

/* The order matters to candidacy_read(): a deadline that is seen between two readings of one token belongs to it. */
static void candidacy_open_page(struct tenure_candidacy *c)
{
	atomic_store(&c->token, c->elector.token);
	atomic_store(&c->deadline_ns, c->elector.deadline_ns);
}

static void candidacy_extend_page(struct tenure_candidacy *c)
{
	atomic_store(&c->deadline_ns, c->elector.deadline_ns);
	lease_page_writer_extend(&c->page, c->elector.deadline_ns);
}

static void candidacy_pass_deadline(const struct tenure_candidacy *c)
{
	const struct tenure *t = c->target.t;

	if (t->deadlines)
		t->deadlines(t->deadlines_arg, c, c->elector.token, c->elector.deadline_ns);
}

/* ---- notices ---- */

static void candidacy_trace(struct tenure_candidacy *c, const struct elector_notice *notice)
{
	struct tenure *t = c->target.t;
	char line[TRACE_RECORD_ROOM];
	const struct trace_record record = {
		.seq = t->trace_seq + 1,
		.true_ns = NS_NEVER,
		.node = t->identity,
		.election = c->election,
		.event = "state",
		.notice = notice,
	};
	size_t used;

	if (!t->trace)
		return;
	t->trace_seq++;
	used = trace_format(&record, line, sizeof line);
	if (used > 0)
		t->trace(t->trace_arg, line, used);
}

static void candidacy_tell(struct tenure_candidacy *c, const struct elector_notice *notice)
{
	struct session_event *e;

	atomic_store(&c->state, (int)notice->to);
	lease_page_writer_state(&c->page, notice->to);
	candidacy_trace(c, notice);
	e = events_add(&c->target, TENURE_EV_STATE, 0);
	if (!e)
		return;
	e->event.from = notice->from;
	e->event.to = notice->to;
	e->event.cause = notice->cause;
	e->event.token = notice->token;
	e->event.deadline_ns = notice->deadline_ns;
	if (notice->to == TENURE_ENDED || notice->to == TENURE_CONNECTING || notice->cause == TENURE_BY_STORE)
		events_error(e, &c->why);
}

/* The reason that goes with the end: none where it was wished for, and never that of a trouble that has passed. */
static void candidacy_explain(struct tenure_candidacy *c)
{
	int code = c->elector.end_code;

	if (code != 0 && c->why.code != code)
		(void)error_set(&c->why, code, 0, "election %.100s: %s", c->election,
		                code == TENURE_EPROTO ? "the store granted a token that does not rise; do not use it "
		                                        "until that is understood"
		                                      : tenure_strerror(code));
	else if (code == 0 && c->elector.state == TENURE_ENDED)
		error_clear(&c->why);
}

void candidacy_input(struct tenure_candidacy *c, const struct elector_input *in, const struct tenure_error *error)
{
	struct elector_output out;
	const unsigned for_the_store = ELECTOR_DO_JOIN | ELECTOR_DO_LEAVE | ELECTOR_DO_RELEASE;

	if (in->kind == ELECTOR_FAILED || in->kind == ELECTOR_UNREACHED || in->kind == ELECTOR_LOST) {
		error_clear(&c->why);
		if (error)
			error_copy(&c->why, error);
	}
	elector_step(&c->elector, in, &out);
	candidacy_explain(c);
	if (out.actions & ELECTOR_DO_END_PAGE)
		candidacy_end_page(c);
	if (out.actions & ELECTOR_DO_OPEN_PAGE) {
		c->proven_dead = c->withheld = false;
		candidacy_open_page(c);
	}
	if (out.actions & ELECTOR_DO_EXTEND_PAGE)
		candidacy_extend_page(c);
	if (out.actions & (ELECTOR_DO_OPEN_PAGE | ELECTOR_DO_EXTEND_PAGE))
		candidacy_pass_deadline(c);
	for (unsigned i = 0; i < out.n_notices; i++)
		candidacy_tell(c, &out.notices[i]);
	/* An entry that is not made yet need not be left; one that is to be left must not be made any more. */
	if (out.actions & ELECTOR_DO_LEAVE)
		c->todo &= ~(unsigned)ELECTOR_DO_JOIN;
	candidacy_mark(c, out.actions & for_the_store);
	/* Timers are the loop thread's. One that is too early fires once in vain and is then set right. */
	if (elector_next_ns(&c->elector) < c->timer.at_ns)
		candidacy_mark(c, SESSION_DO_TIMER);
	if (out.n_notices > 0)
		(void)pthread_cond_broadcast(&c->target.t->changed);
}

static void candidacy_simple_input(struct tenure_candidacy *c, enum elector_input_kind kind, enum tenure_cause cause)
{
	const struct elector_input in = { .kind = kind, .now_ns = clock_now_or_zero_ns(), .cause = cause };

	candidacy_input(c, &in, NULL);
}

/* ---- from the store ---- */

/* What is granted may be less than what was asked for: too short a lease for its program would never let it run. */
static void candidacy_check_timing(struct tenure_candidacy *c)
{
	const struct tenure *t = c->target.t;
	struct elector_input failed = { .kind = ELECTOR_FAILED, .code = TENURE_EUNSAFE };
	struct tenure_error error = TENURE_ERROR_INIT;
	char message[sizeof error.message];
	struct lease_timing timing;

	if (client_timing(t, &timing) != 0)
		return; /* as it was told at first */
	timing.grace_ns = t->grace_ns;
	timing.kill_margin_ns = t->kill_margin_ns;
	if (lease_is_safe(&timing, message, sizeof message))
		return;
	(void)error_set(&error, TENURE_EUNSAFE, 0, "%s", message);
	failed.now_ns = clock_now_or_zero_ns();
	candidacy_input(c, &failed, &error);
}

void candidacy_from_store(void *seat, const struct elector_input *in, const struct tenure_error *error)
{
	struct tenure_candidacy *c = seat;
	const struct tenure *t = c->target.t;
	struct elector_input own = *in;

	if (!t->supervised || (in->kind != ELECTOR_GRANTED && in->kind != ELECTOR_RENEWED)) {
		candidacy_input(c, in, error);
		return;
	}
	own.deadline_ns = lease_deadline_ns(in->deadline_ns, t->kill_margin_ns);
	candidacy_input(c, &own, error);
	candidacy_check_timing(c);
}

void candidacy_position(void *seat, size_t before_us)
{
	struct tenure_candidacy *c = seat;

	(void)before_us; /* tenure_read() shows the queue; the event says that it moved */
	(void)events_add(&c->target, TENURE_EV_QUEUE, 0);
}

static void candidacy_give_up(struct tenure_candidacy *c, const char *to, enum tenure_cause cause)
{
	size_t length = strnlen(to, sizeof c->to_identity - 1);

	memcpy(c->to_identity, to, length);
	c->to_identity[length] = '\0';
	c->release_cause = cause;
	candidacy_simple_input(c, ELECTOR_RESIGN, cause);
}

void candidacy_asked(void *seat, const char *to_identity)
{
	struct tenure_candidacy *c = seat;
	struct session_event *e;

	if (!state_believes(c->elector.state))
		return; /* it is being given up already, perhaps to somebody else */
	if (!c->ask_first) {
		candidacy_give_up(c, to_identity, to_identity[0] ? TENURE_BY_TRANSFER : TENURE_BY_RESIGN);
		return;
	}
	e = events_add(&c->target, TENURE_EV_ASKED, 0);
	if (!e)
		return;
	e->event.token = c->elector.token;
	e->event.cause = to_identity[0] ? TENURE_BY_TRANSFER : TENURE_BY_RESIGN;
	memcpy(e->leader_id, to_identity, strnlen(to_identity, sizeof e->leader_id - 1));
}

/* ---- the loop thread's share ---- */

static void candidacy_on_timer(void *arg)
{
	struct tenure_candidacy *c = arg;

	candidacy_simple_input(c, ELECTOR_TICK, (enum tenure_cause)0);
	candidacy_mark(c, 0);
	loop_timer_arm(&c->timer, elector_next_ns(&c->elector));
}

/* Never under a living program. */
static bool candidacy_may_release(const struct tenure_candidacy *c)
{
	return !c->target.t->supervised || c->proven_dead || c->target.dead;
}

void candidacy_proven_dead(struct tenure_candidacy *c)
{
	c->proven_dead = true;
	if (c->withheld)
		candidacy_mark(c, ELECTOR_DO_RELEASE);
}

static void candidacy_release(struct tenure_candidacy *c)
{
	const struct store_ops *ops = c->target.t->ops;
	char to[NAMES_IDENTITY_ROOM];
	enum tenure_cause cause = (int)c->release_cause == 0 ? TENURE_BY_RESIGN : c->release_cause;

	c->withheld = !candidacy_may_release(c);
	if (c->withheld)
		return;
	memcpy(to, c->to_identity, sizeof to);
	c->to_identity[0] = '\0';
	c->release_cause = (enum tenure_cause)0;
	ops->release(c->seat, to, cause);
}

void candidacy_work(struct tenure_candidacy *c)
{
	struct tenure *t = c->target.t;
	unsigned todo = c->todo;
	int code;

	c->todo = 0;
	if (todo & SESSION_DO_BEGIN)
		t->ops->begin(c->seat);
	if (todo & SESSION_DO_VALUE) {
		code = t->ops->set_value(c->seat, c->value, c->value_bytes);
		if (code != 0)
			log_write(&t->log, 4, "client", "election %.60s: the new value could not be stored: %s",
			          c->election, tenure_strerror(code));
	}
	if (todo & ELECTOR_DO_LEAVE)
		t->ops->leave(c->seat);
	if (todo & ELECTOR_DO_RELEASE)
		candidacy_release(c);
	if (todo & ELECTOR_DO_JOIN)
		t->ops->join(c->seat);
	loop_timer_arm(&c->timer, elector_next_ns(&c->elector));
}

void candidacy_destroy(struct tenure_candidacy *c)
{
	struct tenure *t = c->target.t;

	loop_timer_disarm(&c->timer);
	list_remove(&c->dirty);
	list_remove(&c->node);
	list_remove(&c->of_name);
	events_forget(&c->target);
	candidacy_end_page(c);
	t->ops->free_seat(c->seat);
	free(c->value);
	free(c);
}

/* ---- the public calls ---- */

/* Ten thousand candidacies must not be looked through for each that is added. */
static struct list *candidacy_name(struct tenure *t, const char *election)
{
	uint32_t hash = crc32c(election, strlen(election));

	return &t->names[hash % SESSION_NAMES];
}

static int candidacy_options(struct tenure *t, const char *election, const struct tenure_campaign_options *o,
                             struct tenure_error *error)
{
	const char *fault = names_election_fault(election);

	if (fault)
		return error_set(error, TENURE_ENAME, 0, "bad election name '%.80s': %s", election, fault);
	if (o->value_bytes > STORE_VALUE_MAX_BYTES || (o->value_bytes > 0 && !o->value))
		return error_set(error, TENURE_EINVAL, 0, "the value of %.60s has %zu bytes, at most %d are allowed",
		                 election, o->value_bytes, STORE_VALUE_MAX_BYTES);
	if (o->priority > 0 && !(t->ops->capabilities & STORE_CAN_PRIORITY))
		return error_set(error, TENURE_EUNSUPPORTED, 0, "the %s store has no priorities", t->ops->scheme);
	if (o->value_bytes > 0 && !(t->ops->capabilities & STORE_CAN_VALUE))
		return error_set(error, TENURE_EUNSUPPORTED, 0, "the %s store keeps no values", t->ops->scheme);
	LIST_EACH (node, candidacy_name(t, election)) {
		const struct tenure_candidacy *c = LIST_OF(node, struct tenure_candidacy, of_name);

		if (strcmp(c->election, election) == 0 && c->elector.state != TENURE_ENDED)
			return error_set(error, TENURE_EEXIST, 0, "this session campaigns in election %.80s already",
			                 election);
	}
	return 0;
}

static int candidacy_new(struct tenure *t, const char *election, const struct tenure_campaign_options *o,
                         struct tenure_candidacy **out, struct tenure_error *error)
{
	const struct store_join join = {
		.election = election,
		.value = o->value,
		.value_bytes = o->value_bytes,
		.priority = o->priority,
		.notice_ns = clock_add_ns(o->notice_ns, t->supervised ? t->kill_margin_ns : 0),
	};
	struct tenure_candidacy *c = calloc(1, sizeof *c);
	struct tenure_error taken = TENURE_ERROR_INIT;
	int code;

	if (!c)
		return error_set(error, TENURE_ENOMEM, 0, "no memory for a candidacy");
	memcpy(c->election, election, strlen(election) + 1);
	c->target = (struct session_target) { .t = t, .fn = o->on_event, .arg = o->arg, .election = c->election };
	c->alive = t->alive;
	c->ask_first = o->ask_first;
	c->page.fd = -1;
	c->why.struct_size = sizeof c->why;
	list_init(&c->dirty);
	elector_init(&c->elector, o->once, o->notice_ns);
	atomic_store(&c->state, (int)c->elector.state);
	code = t->ops->take_seat(t->store, &join, c, &c->seat, &taken);
	if (code != 0) {
		error_copy(error, &taken);
		free(c);
		return code;
	}
	loop_timer_init(t->loop, &c->timer, candidacy_on_timer, c);
	list_append(&t->candidacies, &c->node);
	list_append(candidacy_name(t, election), &c->of_name);
	candidacy_mark(c, SESSION_DO_BEGIN);
	session_wake(t);
	*out = c;
	return 0;
}

int tenure_campaign(struct tenure *t, const char *election, const struct tenure_campaign_options *options,
                    struct tenure_candidacy **out, struct tenure_error *error)
{
	struct tenure_campaign_options o;
	int code;

	error_clear(error);
	if (!t || !election || !out)
		return error_set(error, TENURE_EINVAL, 0,
		                 "tenure_campaign: session, election and out must not be NULL");
	*out = NULL;
	if (session_forked(t))
		return error_set(error, TENURE_EFORKED, 0,
		                 "this session belongs to the parent process: open one of your own");
	if (structs_import(&o, sizeof o, options) != 0)
		return error_set(error, TENURE_EINVAL, 0,
		                 "tenure_campaign: options set a field that this library does not know; start from "
		                 "TENURE_CAMPAIGN_OPTIONS_INIT");
	session_lock(t);
	code = candidacy_options(t, election, &o, error);
	if (code == 0)
		code = candidacy_new(t, election, &o, out, error);
	session_unlock(t);
	return code;
}

void tenure_candidacy_free(struct tenure_candidacy *c)
{
	struct tenure *t;

	if (!c || *c->alive != 1)
		return;
	t = c->target.t;
	session_lock(t);
	c->target.dead = true;
	candidacy_simple_input(c, ELECTOR_WITHDRAW, (enum tenure_cause)0);
	candidacy_proven_dead(c);
	events_forget(&c->target);
	events_settle(&c->target);
	list_remove(&c->node);
	list_remove(&c->of_name);
	list_append(&t->dying, &c->node);
	session_wake(t);
	session_unlock(t);
}

int tenure_resign(struct tenure_candidacy *c, const char *to_id)
{
	struct tenure *t = c->target.t;
	int code = 0;

	if (*c->alive != 1)
		return TENURE_EFORKED;
	if (to_id && strnlen(to_id, NAMES_IDENTITY_ROOM) >= NAMES_IDENTITY_ROOM)
		return TENURE_EINVAL;
	session_lock(t);
	if (state_believes(c->elector.state))
		candidacy_give_up(c, to_id ? to_id : "", to_id && to_id[0] ? TENURE_BY_TRANSFER : TENURE_BY_RESIGN);
	else
		code = TENURE_NOT_LEADING;
	session_wake(t);
	session_unlock(t);
	return code;
}

int tenure_set_value(struct tenure_candidacy *c, const void *value, size_t value_bytes)
{
	struct tenure *t = c->target.t;
	void *copy;

	if (*c->alive != 1)
		return TENURE_EFORKED;
	if (value_bytes > STORE_VALUE_MAX_BYTES || (value_bytes > 0 && !value))
		return TENURE_EINVAL;
	if (!(t->ops->capabilities & STORE_CAN_VALUE))
		return TENURE_EUNSUPPORTED;
	copy = malloc(value_bytes > 0 ? value_bytes : 1);
	if (!copy)
		return TENURE_ENOMEM;
	if (value_bytes > 0)
		memcpy(copy, value, value_bytes);
	session_lock(t);
	free(c->value);
	c->value = copy;
	c->value_bytes = value_bytes;
	candidacy_mark(c, SESSION_DO_VALUE);
	session_wake(t);
	session_unlock(t);
	return 0;
}

int tenure_set_eligible(struct tenure_candidacy *c, bool eligible)
{
	struct tenure *t = c->target.t;

	if (*c->alive != 1)
		return TENURE_EFORKED;
	session_lock(t);
	/* Only for a tenure that this ends: a later one ends for reasons of its own. */
	if (!eligible && state_believes(c->elector.state))
		c->release_cause = TENURE_BY_HEALTH;
	candidacy_simple_input(c, eligible ? ELECTOR_ELIGIBLE : ELECTOR_INELIGIBLE, (enum tenure_cause)0);
	session_wake(t);
	session_unlock(t);
	return 0;
}

/*
 * Token and deadline of one tenure, without a lock: tokens never come again, and each is stored before its deadline, so
 * a deadline read between two readings of the same token is that tenure's, or 0.
 */
static bool candidacy_read(const struct tenure_candidacy *c, struct tenure_grant *grant)
{
	uint64_t token = atomic_load(&c->token), deadline_ns, again;

	if (*c->alive != 1)
		return false;
	for (;;) {
		deadline_ns = atomic_load(&c->deadline_ns);
		again = atomic_load(&c->token);
		if (again == token)
			break;
		token = again;
	}
	if (deadline_ns == 0 || clock_now_ns(&grant->now_ns) != 0 || !lease_holds(deadline_ns, grant->now_ns))
		return false;
	grant->token = token;
	grant->deadline_ns = deadline_ns;
	return true;
}

bool tenure_leads(const struct tenure_candidacy *c, struct tenure_grant *grant)
{
	struct tenure_grant found;

	if (!candidacy_read(c, &found))
		return false;
	if (grant)
		*grant = found;
	return true;
}

bool tenure_holds(const struct tenure_candidacy *c, uint64_t token)
{
	struct tenure_grant found;

	return candidacy_read(c, &found) && found.token == token;
}

bool tenure_may(const struct tenure_candidacy *c, enum tenure_operation operation, struct tenure_grant *grant)
{
	switch (operation) {
	case TENURE_LEADER_ONLY:
		return tenure_leads(c, grant);
	case TENURE_NOT_DEGRADED:
		return *c->alive == 1 && atomic_load(&c->target.t->health) == TENURE_HEALTHY;
	case TENURE_FOLLOWER_SAFE:
		return *c->alive == 1;
	}
	return false;
}

enum tenure_state tenure_state_of(const struct tenure_candidacy *c, struct tenure_error *why_ended)
{
	enum tenure_state state;

	if (*c->alive != 1) {
		(void)error_set(why_ended, TENURE_EFORKED, 0, "this handle belongs to the parent process");
		return TENURE_ENDED;
	}
	session_lock(c->target.t);
	state = c->elector.state;
	error_clear(why_ended);
	if (why_ended && state == TENURE_ENDED)
		error_copy(why_ended, &c->why);
	session_unlock(c->target.t);
	return state;
}

struct candidacy_wanted {
	struct tenure_candidacy *c;
	unsigned states;
};

static bool candidacy_is_there(void *arg)
{
	const struct candidacy_wanted *w = arg;

	return ((unsigned)w->c->elector.state & (w->states | TENURE_ENDED)) != 0;
}

int tenure_wait(struct tenure_candidacy *c, unsigned states, uint64_t limit_ns)
{
	struct tenure *t = c->target.t;
	struct candidacy_wanted wanted = { .c = c, .states = states };
	int code;

	if (*c->alive != 1)
		return TENURE_EFORKED;
	if (t->embedded)
		return TENURE_ESTATE;
	session_lock(t);
	if (session_in_callback(t))
		code = TENURE_ECALLBACK;
	else if (!session_wait(t, candidacy_is_there, &wanted, limit_ns))
		code = TENURE_TIMEOUT;
	else
		code = ((unsigned)c->elector.state & states) != 0 ? 0 : TENURE_ESTATE;
	session_unlock(t);
	return code;
}

int tenure_lease_fd(const struct tenure_candidacy *candidacy, int *fd)
{
	/* The page is made when it is first asked for: 10,000 elections are not 10,000 descriptors. */
	struct tenure_candidacy *c = candidacy_of((struct session_target *)(uintptr_t)&candidacy->target);
	struct tenure *t = c->target.t;
	int code = 0;

	*fd = -1;
	if (*c->alive != 1)
		return TENURE_EFORKED;
	session_lock(t);
	if (!state_believes(c->elector.state))
		code = TENURE_NOT_LEADING;
	else if (!c->page.page)
		code = lease_page_writer_open(&c->page, NULL, c->elector.token, c->elector.deadline_ns, NULL);
	if (code == 0) {
		*fd = fcntl(c->page.fd, F_DUPFD_CLOEXEC, 3);
		if (*fd < 0)
			code = error_code_of_errno(errno);
	}
	session_unlock(t);
	return code;
}
