/* SPDX-License-Identifier: Apache-2.0 */
/* Opening, driving and closing a session. */
#include "client/session.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/error.h"
#include "base/random.h"
#include "base/structs.h"
#include "client/registry.h"
#include "client/url.h"
#include "elector/lease.h"

bool session_forked(const struct tenure *t)
{
	return *t->alive != 1;
}

void session_lock(struct tenure *t)
{
	CHECK(pthread_mutex_lock(&t->mutex) == 0);
}

void session_unlock(struct tenure *t)
{
	CHECK(pthread_mutex_unlock(&t->mutex) == 0);
}

void session_wake(struct tenure *t)
{
	loop_wake(t->loop);
}

bool session_in_callback(const struct tenure *t)
{
	return t->delivering && pthread_equal(t->deliverer, pthread_self());
}

/* ---- the loop thread ---- */

static bool session_settled(const struct tenure *t)
{
	LIST_EACH (node, &t->candidacies)
		if (LIST_OF(node, struct tenure_candidacy, node)->elector.state != TENURE_ENDED)
			return false;
	return list_empty(&t->dying) && list_empty(&t->dirty);
}

static void session_bury(struct tenure *t)
{
	LIST_EACH_SAFE (node, after, &t->dying) {
		struct tenure_candidacy *c = LIST_OF(node, struct tenure_candidacy, node);

		if (c->elector.state == TENURE_ENDED && c->todo == 0 && !c->target.calling)
			candidacy_destroy(c);
	}
	LIST_EACH_SAFE (node, after, &t->observers) {
		struct tenure_observer *o = LIST_OF(node, struct tenure_observer, node);

		if (o->freed && !o->target.calling)
			observer_destroy(o);
		else if (!o->begun && !o->target.dead)
			observer_begin(o);
	}
}

static void session_before(void *arg)
{
	session_lock(arg);
}

/* After every callback of the loop: whatever there is to do, then the events, until nothing is left. */
static void session_after(void *arg)
{
	struct tenure *t = arg;

	if (!t->started) {
		t->started = true;
		t->ops->start(t->store);
	}
	do {
		while (!list_empty(&t->dirty)) {
			struct tenure_candidacy *c = LIST_OF(t->dirty.next, struct tenure_candidacy, dirty);

			list_remove(&c->dirty);
			candidacy_work(c);
		}
		session_bury(t);
		while (!list_empty(&t->calls)) {
			struct session_call *call = LIST_OF(t->calls.next, struct session_call, node);

			list_remove(&call->node);
			calls_run(call);
		}
		events_deliver(t);
	} while (!list_empty(&t->dirty) || !list_empty(&t->calls) || !list_empty(&t->events));
	session_bury(t);
	if (t->closing) {
		(void)pthread_cond_broadcast(&t->changed);
		if (t->abandoned || session_settled(t))
			loop_stop(t->loop);
	}
	session_unlock(t);
}

static void *session_thread(void *arg)
{
	struct tenure *t = arg;

	loop_run_until_stopped(t->loop);
	return NULL;
}

static int session_start_thread(struct tenure *t, struct tenure_error *error)
{
	sigset_t all, before;
	int failed;

	(void)sigfillset(&all);
	CHECK(pthread_sigmask(SIG_SETMASK, &all, &before) == 0);
	failed = pthread_create(&t->thread, NULL, session_thread, t);
	CHECK(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
	if (failed)
		return error_set(error, TENURE_ELIMIT, failed, "cannot start the library's thread");
	t->has_thread = true;
	return 0;
}

/* ---- waiting ---- */

static void session_drive(struct tenure *t, uint64_t end_ns)
{
	struct pollfd ready = { .fd = loop_fd(t->loop), .events = POLLIN };

	(void)poll(&ready, 1, clock_poll_ms(clock_now_or_zero_ns(), end_ns));
	loop_run_ready(t->loop);
}

static void session_sleep(struct tenure *t, uint64_t left_ns)
{
	struct timespec until;

	if (left_ns == NS_NEVER) {
		(void)pthread_cond_wait(&t->changed, &t->mutex);
		return;
	}
	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += (time_t)(left_ns / CLOCK_NS_PER_S);
	until.tv_nsec += (long)(left_ns % CLOCK_NS_PER_S);
	if (until.tv_nsec >= (long)CLOCK_NS_PER_S) {
		until.tv_nsec -= (long)CLOCK_NS_PER_S;
		until.tv_sec++;
	}
	(void)pthread_cond_timedwait(&t->changed, &t->mutex, &until);
}

bool session_wait(struct tenure *t, bool (*done)(void *arg), void *arg, uint64_t limit_ns)
{
	uint64_t now_ns = clock_now_or_zero_ns(), end_ns = clock_add_ns(now_ns, limit_ns);

	if (t->embedded) {
		CHECK(!t->processing);
		t->processing = true;
	}
	while (!done(arg) && lease_holds(end_ns, now_ns)) {
		if (t->embedded) {
			session_unlock(t);
			session_drive(t, end_ns);
			session_lock(t);
		} else {
			session_sleep(t, lease_left_ns(end_ns, now_ns));
		}
		now_ns = clock_now_or_zero_ns();
	}
	if (t->embedded)
		t->processing = false;
	return done(arg);
}

/* ---- opening ---- */

static void session_health(void *client, enum tenure_health health, const struct tenure_error *error)
{
	struct tenure *t = client;

	atomic_store(&t->health, (int)health);
	LIST_EACH (node, &t->candidacies)
		events_error(events_add(&LIST_OF(node, struct tenure_candidacy, node)->target, TENURE_EV_HEALTH, 0),
		             error);
	LIST_EACH (node, &t->observers)
		events_error(events_add(&LIST_OF(node, struct tenure_observer, node)->target, TENURE_EV_HEALTH, 0),
		             error);
}

static const struct store_sink session_sink = {
	.seat = candidacy_from_store,
	.position = candidacy_position,
	.asked = candidacy_asked,
	.leader = observer_leader,
	.health = session_health,
};

static int session_identity(struct tenure *t, const char *id, struct store_settings *settings,
                            struct tenure_error *error)
{
	char host[NAMES_ID_MAX_BYTES + 1] = "";
	const char *fault;
	struct buf b;

	if (!id) {
		(void)gethostname(host, sizeof host - 1);
		id = names_id_fault(host) ? "localhost" : host;
	}
	fault = names_id_fault(id);
	if (fault)
		return error_set(error, TENURE_EINVAL, 0, "bad id '%.64s': %s; an id is 1 to 64 bytes, as in web-1", id,
		                 fault);
	if (random_bytes(settings->incarnation, sizeof settings->incarnation) != 0)
		return error_set(error, TENURE_EINTERNAL, 0, "the kernel gives no random bytes");
	settings->nonce = identity_public_hash(settings->incarnation);
	memcpy(t->id, id, strlen(id) + 1);
	buf_init(&b, t->identity, sizeof t->identity);
	buf_text(&b, id);
	buf_char(&b, '_');
	buf_hex64(&b, settings->nonce);
	return 0;
}

static int session_open_store(struct tenure *t, const struct url *u, const struct tenure_options *o,
                              struct tenure_error *error)
{
	struct store_settings settings = {
		.path = u->path,
		.query = u->pairs,
		.n_query = u->n_pairs,
		.options = o,
		.id = t->id,
		.identity = t->identity,
		.log = t->log,
	};
	int code;

	t->ops = registry_find(u->scheme, error);
	if (!t->ops)
		return TENURE_ENOSTORE;
	if (o->rate_error_ppm > LEASE_RATE_ERROR_MAX_PPM)
		return error_set(error, TENURE_EINVAL, 0, "rate_error_ppm is %u, at most %u is allowed",
		                 o->rate_error_ppm, LEASE_RATE_ERROR_MAX_PPM);
	code = session_identity(t, o->id, &settings, error);
	if (code == 0)
		code = loop_new(&t->loop, session_before, session_after, t, error);
	if (code != 0)
		return code;
	settings.loop = t->loop;
	code = t->ops->open(&t->store, &settings, &session_sink, t, error);
	explicit_bzero(settings.incarnation, sizeof settings.incarnation);
	if (code != 0) {
		loop_free(t->loop);
		t->loop = NULL;
	}
	return code;
}

static void session_init(struct tenure *t, const struct tenure_options *o)
{
	pthread_condattr_t monotonic;

	t->embedded = o->embedded;
	t->log = (struct log) { .fn = o->log, .arg = o->log_arg };
	list_init(&t->candidacies);
	list_init(&t->observers);
	list_init(&t->dirty);
	list_init(&t->events);
	list_init(&t->calls);
	list_init(&t->dying);
	list_init(&t->forked);
	for (size_t i = 0; i < SESSION_NAMES; i++)
		list_init(&t->names[i]);
	CHECK(pthread_mutex_init(&t->mutex, NULL) == 0);
	CHECK(pthread_condattr_init(&monotonic) == 0);
	CHECK(pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC) == 0);
	CHECK(pthread_cond_init(&t->changed, &monotonic) == 0);
	(void)pthread_condattr_destroy(&monotonic);
}

/* The store and what is below; everything that stood on it is gone. */
static void session_destroy(struct tenure *t)
{
	if (t->store)
		t->ops->close(t->store);
	loop_free(t->loop);
	(void)pthread_cond_destroy(&t->changed);
	(void)pthread_mutex_destroy(&t->mutex);
	free(t);
}

int tenure_open(struct tenure **out, const char *url, const struct tenure_options *options, struct tenure_error *error)
{
	struct tenure_options o;
	struct tenure *t;
	struct url *u;
	uint64_t now_ns;
	int code;

	error_clear(error);
	if (!out || !url)
		return error_set(error, TENURE_EINVAL, 0, "tenure_open: out and url must not be NULL");
	*out = NULL;
	if (structs_import(&o, sizeof o, options) != 0)
		return error_set(
		        error, TENURE_EINVAL, 0,
		        "tenure_open: options set a field that this library (%d.%d.%d) does not know; start from "
		        "TENURE_OPTIONS_INIT",
		        TENURE_VERSION_MAJOR, TENURE_VERSION_MINOR, TENURE_VERSION_PATCH);
	if (clock_now_ns(&now_ns) != 0)
		return error_set(error, TENURE_ECLOCK, errno,
		                 "CLOCK_BOOTTIME cannot be read: no lease can be counted here");
	t = calloc(1, sizeof *t);
	u = malloc(sizeof *u);
	if (!t || !u) {
		free(t);
		free(u);
		return error_set(error, TENURE_ENOMEM, 0, "no memory for a session");
	}
	session_init(t, &o);
	code = url_parse(u, url, error);
	if (code == 0)
		code = session_open_store(t, u, &o, error);
	free(u);
	if (code != 0) {
		session_destroy(t);
		return code;
	}
	code = fork_register(t);
	if (code != 0)
		(void)error_set(error, code, errno, "no memory page that a fork wipes (MADV_WIPEONFORK)");
	else if (!t->embedded)
		code = session_start_thread(t, error);
	if (code != 0) {
		if (t->alive)
			fork_unregister(t);
		session_destroy(t);
		return code;
	}
	loop_wake(t->loop); /* the store starts with the first pass */
	*out = t;
	return 0;
}

/* ---- closing ---- */

static bool session_is_settled(void *arg)
{
	return session_settled(arg);
}

static void session_free_handles(struct tenure *t)
{
	struct list *lists[] = { &t->candidacies, &t->dying };

	for (size_t i = 0; i < 2; i++)
		while (!list_empty(lists[i]))
			candidacy_destroy(LIST_OF(lists[i]->next, struct tenure_candidacy, node));
	while (!list_empty(&t->observers))
		observer_destroy(LIST_OF(t->observers.next, struct tenure_observer, node));
	/* Calls whose limit passed before the loop came to them: nobody waits for those. */
	while (!list_empty(&t->calls)) {
		struct session_call *call = LIST_OF(t->calls.next, struct session_call, node);

		list_remove(&call->node);
		CHECK(call->abandoned);
		calls_run(call);
	}
}

int tenure_close(struct tenure *t, uint64_t limit_ns)
{
	const struct elector_input withdraw = { .kind = ELECTOR_WITHDRAW, .now_ns = clock_now_or_zero_ns() };
	bool settled;

	if (!t)
		return 0;
	if (session_forked(t))
		return TENURE_EFORKED;
	session_lock(t);
	if (session_in_callback(t)) {
		session_unlock(t);
		return TENURE_ECALLBACK;
	}
	t->closing = true;
	LIST_EACH (node, &t->candidacies)
		candidacy_input(LIST_OF(node, struct tenure_candidacy, node), &withdraw, NULL);
	session_wake(t);
	settled = session_wait(t, session_is_settled, t, limit_ns);
	t->abandoned = true;
	session_unlock(t);
	if (t->has_thread) {
		session_wake(t);
		CHECK(pthread_join(t->thread, NULL) == 0);
	}
	fork_unregister(t);
	session_free_handles(t);
	session_destroy(t);
	return settled ? 0 : TENURE_TIMEOUT;
}

/* ---- embedding ---- */

int tenure_fd(const struct tenure *t)
{
	return t->embedded && !session_forked(t) ? loop_fd(t->loop) : -1;
}

uint64_t tenure_next_ns(const struct tenure *t)
{
	return t->embedded && !session_forked(t) ? loop_next_ns(t->loop) : NS_NEVER;
}

int tenure_process(struct tenure *t)
{
	if (session_forked(t))
		return TENURE_EFORKED;
	if (!t->embedded || t->processing)
		return TENURE_ESTATE;
	t->processing = true;
	loop_run_ready(t->loop);
	t->processing = false;
	return 0;
}

enum tenure_health tenure_health_of(const struct tenure *t)
{
	return session_forked(t) ? TENURE_HEALTH_UNKNOWN : (enum tenure_health)atomic_load(&t->health);
}

uint64_t tenure_ttl_ns(const struct tenure *t)
{
	return session_forked(t) ? 0 : t->ops->ttl_ns(t->store);
}
