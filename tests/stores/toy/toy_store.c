/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A store in the memory of one process, as small as a store can be: elections first come, first served, under a lease of
 * TOY_TTL_NS that its holder renews. It cannot list, order by priority, keep values, be observed or be asked. It shows
 * what a store owes to the client (elector/store.h), and tests the client over leases that end.
 */
#include "toy_store.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/list.h"
#include "elector/lease.h"
#include "elector/store.h"
#include "loop/loop.h"

#define TOY_TTL_NS   (400 * CLOCK_NS_PER_MS)
#define TOY_EVERY_NS (5 * CLOCK_NS_PER_MS)

struct toy_election { /* the "server" */
	struct list node;
	char name[256];
	uint64_t token; /* given last */
	char holder[NAMES_IDENTITY_ROOM];
	uint64_t ends_ns; /* of the holder's lease; 0: nobody leads */
	struct list queue;
};

static pthread_mutex_t toy_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct list toy_elections = { &toy_elections, &toy_elections };
static bool toy_stalled;

struct store {
	const struct store_sink *sink;
	struct loop *loop;
	char box[100], identity[NAMES_IDENTITY_ROOM];
	void *client;
};

struct store_seat {
	struct list node; /* in the election's queue */
	struct store *store;
	struct toy_election *election;
	void *client;
	bool queued, first;
	uint64_t token; /* held; 0: none */
	struct loop_timer timer;
};

void toy_stall(bool stalled)
{
	(void)pthread_mutex_lock(&toy_mutex);
	toy_stalled = stalled;
	(void)pthread_mutex_unlock(&toy_mutex);
}

/* With the lock held. Elections are never forgotten, so that tokens go on. */
static struct toy_election *toy_find(const char *box, const char *election)
{
	char name[256];
	struct toy_election *e;

	(void)snprintf(name, sizeof name, "%s/%s", box, election);
	LIST_EACH (node, &toy_elections)
		if (strcmp(LIST_OF(node, struct toy_election, node)->name, name) == 0)
			return LIST_OF(node, struct toy_election, node);
	e = calloc(1, sizeof *e);
	if (!e)
		return NULL;
	memcpy(e->name, name, sizeof name);
	list_init(&e->queue);
	list_append(&toy_elections, &e->node);
	return e;
}

static void toy_tell(struct store_seat *seat, enum elector_input_kind kind, uint64_t token, uint64_t deadline_ns)
{
	const struct elector_input in = {
		.kind = kind, .now_ns = clock_now_or_zero_ns(), .token = token, .deadline_ns = deadline_ns
	};

	seat->store->sink->seat(seat->client, &in, NULL);
}

/* What changed for the seat, decided with the lock held and told without it. */
static enum elector_input_kind toy_step(struct store_seat *seat, uint64_t now_ns)
{
	struct toy_election *e = seat->election;

	if (toy_stalled)
		return 0;
	if (seat->token != 0) {
		if (e->token != seat->token || e->ends_ns <= now_ns)
			return ELECTOR_LOST;
		e->ends_ns = now_ns + TOY_TTL_NS;
		return ELECTOR_RENEWED;
	}
	if (!seat->queued || e->queue.next != &seat->node)
		return 0;
	if (!seat->first) {
		seat->first = true;
		return ELECTOR_CONTEND;
	}
	if (e->ends_ns <= now_ns) {
		list_remove(&seat->node);
		seat->queued = false;
		seat->token = ++e->token;
		memcpy(e->holder, seat->store->identity, sizeof e->holder);
		e->ends_ns = now_ns + TOY_TTL_NS;
		return ELECTOR_GRANTED;
	}
	return 0;
}

static void toy_on_timer(void *arg)
{
	struct store_seat *seat = arg;
	uint64_t now_ns = clock_now_or_zero_ns(), token;
	enum elector_input_kind kind;

	(void)pthread_mutex_lock(&toy_mutex);
	kind = toy_step(seat, now_ns);
	token = seat->token;
	if (kind == ELECTOR_LOST)
		seat->token = 0;
	(void)pthread_mutex_unlock(&toy_mutex);
	loop_timer_arm(&seat->timer, now_ns + TOY_EVERY_NS);
	if ((int)kind != 0)
		toy_tell(seat, kind, token, now_ns + TOY_TTL_NS);
}

static int toy_open(struct store **out, const struct store_settings *settings, const struct store_sink *sink,
                    void *client, struct tenure_error *error)
{
	struct store *s;

	if (settings->n_query > 0)
		return error_set(error, TENURE_EURL, 0, "the toy store has no settings");
	s = calloc(1, sizeof *s);
	if (!s)
		return error_set(error, TENURE_ENOMEM, 0, "no memory");
	s->sink = sink;
	s->loop = settings->loop;
	s->client = client;
	(void)snprintf(s->box, sizeof s->box, "%s", settings->path);
	(void)snprintf(s->identity, sizeof s->identity, "%s", settings->identity);
	*out = s;
	return 0;
}

static void toy_close(struct store *s)
{
	free(s);
}

static void toy_start(struct store *s)
{
	s->sink->health(s->client, TENURE_HEALTHY, NULL);
}

static uint64_t toy_ttl_ns(const struct store *s)
{
	(void)s;
	return TOY_TTL_NS;
}

static int toy_timing(const struct store *s, struct lease_timing *out)
{
	(void)s;
	*out = (struct lease_timing) { .ttl_ns = TOY_TTL_NS, .heartbeat_ns = TOY_EVERY_NS, .retry_ns = TOY_EVERY_NS };
	return 0;
}

static int toy_take_seat(struct store *s, const struct store_join *join, void *client, struct store_seat **out,
                         struct tenure_error *error)
{
	struct store_seat *seat = calloc(1, sizeof *seat);

	if (!seat)
		return error_set(error, TENURE_ENOMEM, 0, "no memory");
	seat->store = s;
	seat->client = client;
	list_init(&seat->node);
	loop_timer_init(s->loop, &seat->timer, toy_on_timer, seat);
	(void)pthread_mutex_lock(&toy_mutex);
	seat->election = toy_find(s->box, join->election);
	(void)pthread_mutex_unlock(&toy_mutex);
	if (!seat->election) {
		free(seat);
		return error_set(error, TENURE_ENOMEM, 0, "no memory");
	}
	*out = seat;
	return 0;
}

static void toy_begin(struct store_seat *seat)
{
	toy_tell(seat, ELECTOR_REACHED, 0, 0);
}

static void toy_join(struct store_seat *seat)
{
	(void)pthread_mutex_lock(&toy_mutex);
	if (!seat->queued)
		list_append(&seat->election->queue, &seat->node);
	seat->queued = true;
	seat->first = false;
	(void)pthread_mutex_unlock(&toy_mutex);
	loop_timer_arm(&seat->timer, clock_now_or_zero_ns());
}

static void toy_leave(struct store_seat *seat)
{
	(void)pthread_mutex_lock(&toy_mutex);
	list_remove(&seat->node);
	seat->queued = false;
	(void)pthread_mutex_unlock(&toy_mutex);
	loop_timer_disarm(&seat->timer);
}

static void toy_give_back(struct store_seat *seat)
{
	(void)pthread_mutex_lock(&toy_mutex);
	if (seat->token != 0 && seat->election->token == seat->token)
		seat->election->ends_ns = 0;
	seat->token = 0;
	(void)pthread_mutex_unlock(&toy_mutex);
}

static void toy_release(struct store_seat *seat, const char *to_identity, enum tenure_cause cause)
{
	(void)to_identity;
	(void)cause;
	toy_give_back(seat);
	toy_leave(seat);
	toy_tell(seat, ELECTOR_RELEASED, 0, 0);
}

static int toy_set_value(struct store_seat *seat, const void *value, size_t value_bytes)
{
	(void)seat;
	(void)value;
	(void)value_bytes;
	return TENURE_EUNSUPPORTED;
}

static void toy_free_seat(struct store_seat *seat)
{
	toy_give_back(seat);
	toy_leave(seat);
	free(seat);
}

static void toy_read(struct store *s, const char *election, store_read_done *done, void *arg)
{
	struct store_view view = { .expires_in_ns = 0, .ttl_ns = TOY_TTL_NS, .healthy = true };
	uint64_t now_ns = clock_now_or_zero_ns();
	struct toy_election *e;
	const char *mark;

	(void)pthread_mutex_lock(&toy_mutex);
	e = toy_find(s->box, election);
	if (e && e->ends_ns > now_ns) {
		mark = strrchr(e->holder, '_');
		view.led = true;
		view.token = e->token;
		view.expires_in_ns = e->ends_ns - now_ns;
		view.since_unix_ns = 1;
		memcpy(view.identity, e->holder, sizeof view.identity);
		(void)snprintf(view.id, sizeof view.id, "%.*s", mark ? (int)(mark - e->holder) : 0, e->holder);
	}
	if (e)
		LIST_EACH (node, &e->queue)
			view.n_waiting++;
	view.waiting = view.n_waiting > 0 ? calloc(view.n_waiting, sizeof *view.waiting) : NULL;
	view.n_waiting = 0;
	if (e && view.waiting)
		LIST_EACH (node, &e->queue) {
			const struct store_seat *seat = LIST_OF(node, struct store_seat, node);
			struct store_waiter *w = &view.waiting[view.n_waiting++];

			mark = strrchr(seat->store->identity, '_');
			memcpy(w->identity, seat->store->identity, sizeof w->identity);
			(void)snprintf(w->id, sizeof w->id, "%.*s", mark ? (int)(mark - seat->store->identity) : 0,
			               seat->store->identity);
		}
	(void)pthread_mutex_unlock(&toy_mutex);
	done(arg, 0, &view, NULL);
	free(view.waiting);
}

const struct store_ops toy_store_ops = {
	.scheme = "toy",
	.capabilities = 0,
	.open = toy_open,
	.close = toy_close,
	.start = toy_start,
	.ttl_ns = toy_ttl_ns,
	.timing = toy_timing,
	.take_seat = toy_take_seat,
	.begin = toy_begin,
	.join = toy_join,
	.leave = toy_leave,
	.release = toy_release,
	.set_value = toy_set_value,
	.free_seat = toy_free_seat,
	.read = toy_read,
};
