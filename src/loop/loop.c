/* SPDX-License-Identifier: Apache-2.0 */
#include "loop/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>
#include <uv.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/heap.h"
#include "base/list.h"

#define LOOP_CLOCKLESS_MS   10
#define LOOP_TIMERS_AT_ONCE 65536 /* then the other events get their turn */
#define LOOP_DEFER_ROUNDS   16    /* the same */

struct loop {
	uv_loop_t uv;
	uv_async_t wake;
	uv_poll_t clock;
	uv_check_t pass; /* runs when the callbacks of a pass have run */
	struct list deferred;
	int timer_fd;
	uint64_t armed_ns;        /* what the timerfd is set to: never later than the first timer, but within a pass */
	_Atomic uint64_t next_ns; /* the first timer's instant, which any thread may read */
	struct heap timers;
	loop_fn *before, *after;
	void *arg;
	uint8_t *scratch;
	bool unarmed; /* a watch was made since libuv last armed its descriptors */
	bool passing; /* callbacks run: the timerfd is set once, when they have */
	bool driven;  /* inside of loop_run_ready(), which sets it */
};

struct loop_watch {
	uv_poll_t poll;
	struct loop *loop;
	loop_fn *fn;
	void *arg;
	unsigned wanted, ready;
};

/*
 * Setting a timerfd costs more than all else that a change of leader does (20 us where a hypervisor has the clock). So it
 * is set once a pass, and not at all where it goes off early enough: a pass for nothing is cheaper, and rare.
 */
static void loop_set_clock(struct loop *l)
{
	uint64_t at_ns = heap_first_key(&l->timers);
	struct itimerspec spec = { 0 };

	if (at_ns >= l->armed_ns)
		return;
	l->armed_ns = at_ns;
	at_ns = at_ns > 0 ? at_ns : 1; /* 0 would disarm it */
	spec.it_value.tv_sec = (time_t)(at_ns / CLOCK_NS_PER_S);
	spec.it_value.tv_nsec = (long)(at_ns % CLOCK_NS_PER_S);
	CHECK(timerfd_settime(l->timer_fd, TFD_TIMER_ABSTIME, &spec, NULL) == 0);
}

static void loop_timers_changed(struct loop *l)
{
	atomic_store_explicit(&l->next_ns, heap_first_key(&l->timers), memory_order_release);
	if (!l->passing)
		loop_set_clock(l);
}

static void loop_begin_pass(struct loop *l)
{
	l->passing = true;
}

static void loop_end_pass(struct loop *l)
{
	l->passing = false;
	loop_set_clock(l);
}

void loop_timer_init(struct loop *l, struct loop_timer *t, loop_fn *fn, void *arg)
{
	*t = (struct loop_timer) { .loop = l, .at_ns = NS_NEVER, .fn = fn, .arg = arg };
	heap_node_init(&t->node);
}

void loop_timer_disarm(struct loop_timer *t)
{
	if (t->at_ns == NS_NEVER)
		return;
	heap_remove(&t->loop->timers, &t->node);
	t->at_ns = NS_NEVER;
	loop_timers_changed(t->loop);
}

void loop_timer_arm(struct loop_timer *t, uint64_t at_ns)
{
	if (t->at_ns == at_ns)
		return;
	loop_timer_disarm(t);
	if (at_ns == NS_NEVER)
		return;
	t->at_ns = at_ns;
	heap_put(&t->loop->timers, &t->node, at_ns);
	loop_timers_changed(t->loop);
}

static void loop_run_timers(struct loop *l)
{
	uint64_t now_ns = clock_now_or_zero_ns();
	unsigned most = LOOP_TIMERS_AT_ONCE;

	if (now_ns == 0) {
		/* A clock that has failed since: the first timer is due all the same, but nothing may spin. */
		(void)poll(NULL, 0, LOOP_CLOCKLESS_MS);
		now_ns = NS_NEVER - 1;
		most = 1;
	}
	l->before(l->arg);
	/* Only what was due at this reading: a timer that re-arms itself for "now" must not keep the others waiting. */
	for (; most > 0 && heap_first_key(&l->timers) <= now_ns; most--) {
		struct loop_timer *t = LIST_OF(l->timers.root, struct loop_timer, node);

		loop_timer_disarm(t);
		t->fn(t->arg);
	}
	l->after(l->arg);
}

static void loop_on_clock(uv_poll_t *handle, int status, int events)
{
	struct loop *l = handle->data;
	uint64_t expirations;

	(void)status;
	(void)events;
	(void)!read(l->timer_fd, &expirations, sizeof expirations);
	l->armed_ns = NS_NEVER; /* it has fired */
	loop_begin_pass(l);
	loop_run_timers(l);
}

static void loop_on_wake_up(uv_async_t *handle)
{
	struct loop *l = handle->data;

	loop_begin_pass(l);
	l->before(l->arg);
	l->after(l->arg);
}

void loop_deferred_init(struct loop_deferred *d, loop_fn *fn, void *arg)
{
	*d = (struct loop_deferred) { .fn = fn, .arg = arg };
	list_init(&d->node);
}

void loop_defer(struct loop *l, struct loop_deferred *d)
{
	if (list_empty(&d->node))
		list_append(&l->deferred, &d->node);
}

void loop_undefer(struct loop_deferred *d)
{
	list_remove(&d->node);
}

/* What `after` finds to do may defer more: that is done in the same pass, as long as it comes to an end. */
static void loop_run_deferred(struct loop *l)
{
	for (unsigned round = 0; !list_empty(&l->deferred); round++) {
		if (round == LOOP_DEFER_ROUNDS) {
			loop_wake(l);
			return;
		}
		struct list batch;

		l->before(l->arg);
		list_init(&batch);
		while (!list_empty(&l->deferred)) {
			struct list *node = l->deferred.next;

			list_remove(node);
			list_append(&batch, node);
		}
		while (!list_empty(&batch)) {
			struct loop_deferred *d = LIST_OF(batch.next, struct loop_deferred, node);

			list_remove(&d->node);
			d->fn(d->arg);
		}
		l->after(l->arg);
	}
}

static void loop_on_pass(uv_check_t *handle)
{
	struct loop *l = handle->data;

	loop_run_deferred(l);
	if (!l->driven)
		loop_end_pass(l);
}

static void loop_on_ready(uv_poll_t *handle, int status, int events);

static void loop_watch_start(struct loop_watch *w)
{
	int events = (w->wanted & LOOP_READABLE ? UV_READABLE : 0) | (w->wanted & LOOP_WRITABLE ? UV_WRITABLE : 0);

	if (events)
		CHECK(uv_poll_start(&w->poll, events, loop_on_ready) == 0);
	else
		(void)uv_poll_stop(&w->poll);
	w->loop->unarmed = true;
}

static void loop_on_ready(uv_poll_t *handle, int status, int events)
{
	struct loop_watch *w = handle->data;
	struct loop *l = w->loop;

	w->ready = (events & UV_READABLE ? LOOP_READABLE : 0) | (events & UV_WRITABLE ? LOOP_WRITABLE : 0);
	if (status != 0)
		w->ready = LOOP_READABLE | LOOP_WRITABLE;
	loop_begin_pass(l);
	l->before(l->arg);
	w->fn(w->arg);
	/* libuv watches no more after an error; its memory lives until the pass is over, even when fn closed it. */
	if (status != 0 && !uv_is_closing((uv_handle_t *)&w->poll))
		loop_watch_start(w);
	l->after(l->arg);
}

int loop_watch(struct loop *l, int fd, loop_fn *fn, void *arg, struct loop_watch **out)
{
	struct loop_watch *w = calloc(1, sizeof *w);

	if (!w)
		return TENURE_ENOMEM;
	*w = (struct loop_watch) { .loop = l, .fn = fn, .arg = arg, .wanted = LOOP_READABLE };
	w->poll.data = w;
	if (uv_poll_init(&l->uv, &w->poll, fd) != 0) {
		free(w);
		return TENURE_EINTERNAL;
	}
	loop_watch_start(w);
	*out = w;
	return 0;
}

void loop_watch_want(struct loop_watch *w, unsigned events)
{
	if (w->wanted == events)
		return;
	w->wanted = events;
	loop_watch_start(w);
}

unsigned loop_watch_ready(const struct loop_watch *w)
{
	return w->ready;
}

uint8_t *loop_scratch(struct loop *l)
{
	if (!l->scratch)
		l->scratch = malloc(LOOP_SCRATCH_BYTES);
	return l->scratch;
}

static void loop_on_watch_closed(uv_handle_t *handle)
{
	free(handle->data);
}

void loop_unwatch(struct loop_watch *w)
{
	if (!w)
		return;
	(void)uv_poll_stop(&w->poll);
	uv_close((uv_handle_t *)&w->poll, loop_on_watch_closed);
}

void loop_wake(struct loop *l)
{
	(void)uv_async_send(&l->wake);
}

/* libuv aborts the process where it finds no descriptors for its first pipe: it is asked only when there are some. */
static bool loop_has_descriptors(void)
{
	int ends[2], spare = epoll_create1(EPOLL_CLOEXEC);
	bool found = spare >= 0 && pipe2(ends, O_CLOEXEC) == 0;

	if (found) {
		(void)close(ends[0]);
		(void)close(ends[1]);
	}
	if (spare >= 0)
		(void)close(spare);
	return found;
}

int loop_new(struct loop **out, loop_fn *before, loop_fn *after, void *arg, struct tenure_error *error)
{
	struct loop *l = calloc(1, sizeof *l);

	if (!l)
		return error_set(error, TENURE_ENOMEM, 0, "no memory for an event loop");
	*l = (struct loop) { .before = before, .after = after, .arg = arg, .armed_ns = NS_NEVER, .next_ns = NS_NEVER };
	list_init(&l->deferred);
	l->timer_fd = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	if (l->timer_fd < 0) {
		int code = errno == EMFILE || errno == ENFILE ? TENURE_ELIMIT : TENURE_ECLOCK;

		(void)error_set(error, code, errno, "cannot make a timer on CLOCK_BOOTTIME");
		free(l);
		return code;
	}
	if (!loop_has_descriptors() || uv_loop_init(&l->uv) != 0) {
		(void)close(l->timer_fd);
		free(l);
		return error_set(
		        error, TENURE_ELIMIT, 0,
		        "cannot make an event loop: out of descriptors or memory; raise the limit (ulimit -n)");
	}
	l->wake.data = l->clock.data = l->pass.data = l;
	(void)uv_check_init(&l->uv, &l->pass);
	(void)uv_check_start(&l->pass, loop_on_pass);
	if (uv_async_init(&l->uv, &l->wake, loop_on_wake_up) != 0 ||
	    uv_poll_init(&l->uv, &l->clock, l->timer_fd) != 0) {
		loop_free(l);
		return error_set(
		        error, TENURE_ELIMIT, 0,
		        "cannot watch the loop's clock: out of descriptors or memory; raise the limit (ulimit -n)");
	}
	CHECK(uv_poll_start(&l->clock, UV_READABLE, loop_on_clock) == 0);
	(void)uv_run(&l->uv, UV_RUN_NOWAIT); /* arms the descriptors: libuv does it only inside uv_run */
	*out = l;
	return 0;
}

static void loop_close_handle(uv_handle_t *handle, void *arg)
{
	struct loop *l = arg;

	if (uv_is_closing(handle))
		return;
	CHECK(handle == (uv_handle_t *)&l->wake || handle == (uv_handle_t *)&l->clock ||
	      handle == (uv_handle_t *)&l->pass);
	uv_close(handle, NULL);
}

void loop_free(struct loop *l)
{
	if (!l)
		return;
	CHECK(!l->timers.root);
	uv_walk(&l->uv, loop_close_handle, l);
	while (uv_run(&l->uv, UV_RUN_NOWAIT) != 0)
		;
	CHECK(uv_loop_close(&l->uv) == 0);
	(void)close(l->timer_fd);
	free(l->scratch);
	free(l);
}

int loop_fd(const struct loop *l)
{
	return uv_backend_fd(&l->uv);
}

uint64_t loop_next_ns(const struct loop *l)
{
	return atomic_load(&l->next_ns);
}

void loop_run_ready(struct loop *l)
{
	l->driven = true;
	loop_begin_pass(l);
	do {
		l->unarmed = false;
		(void)uv_run(&l->uv, UV_RUN_NOWAIT);
		/* Who comes at the instant that was asked for need not wait for the kernel to have noticed it, too. */
		if (l->timers.root && heap_first_key(&l->timers) <= clock_now_or_zero_ns())
			loop_run_timers(l);
		loop_run_deferred(l);
	} while (l->unarmed);
	l->driven = false;
	loop_end_pass(l);
}

void loop_run_until_stopped(struct loop *l)
{
	(void)uv_run(&l->uv, UV_RUN_DEFAULT);
}

void loop_stop(struct loop *l)
{
	uv_stop(&l->uv);
}
