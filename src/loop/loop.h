/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loop of one session on libuv, driven by a thread of its own or by the application. Deadlines are counted on
 * CLOCK_BOOTTIME with a timerfd (libuv's own timers stand still in suspend).
 */
#ifndef TENURE_LOOP_LOOP_H
#define TENURE_LOOP_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include <tenure/tenure.h>

#include "base/list.h"

struct loop;
struct loop_timer;
struct loop_watch;

typedef void loop_fn(void *arg);

struct loop_timer { /* embed it; loop_timer_init once */
	struct list node;
	struct loop *loop;
	uint64_t at_ns; /* NS_NEVER: not armed */
	loop_fn *fn;
	void *arg;
};

/* `before` and `after` (may be NULL) stand around every batch of callbacks: the session's lock goes there. */
int loop_new(struct loop **out, loop_fn *before, loop_fn *after, void *arg, struct tenure_error *error);
/* All watches must be closed and timers disarmed. */
void loop_free(struct loop *l);

void loop_timer_init(struct loop *l, struct loop_timer *t, loop_fn *fn, void *arg);
/* At that instant of CLOCK_BOOTTIME, or as soon after as possible; replaces an earlier arming. [loop thread] */
void loop_timer_arm(struct loop_timer *t, uint64_t at_ns);
void loop_timer_disarm(struct loop_timer *t);

/* Calls fn whenever fd is readable (level-triggered). The fd stays the caller's and must outlive the watch. [loop thread] */
int loop_watch(struct loop *l, int fd, loop_fn *fn, void *arg, struct loop_watch **out);
void loop_unwatch(struct loop_watch *w); /* NULL is allowed; fn is not called after return */

/* Makes the loop call `on_wake` soon, from any thread. */
void loop_on_wake(struct loop *l, loop_fn *on_wake, void *arg);
void loop_wake(struct loop *l);

int loop_fd(const struct loop *l);
uint64_t loop_next_ns(const struct loop *l); /* the earliest timer, 0: work is waiting; NS_NEVER */
/* One pass: what is ready, at most `limit_ns` of waiting from now (0: none, NS_NEVER: until something is). */
int loop_run_once(struct loop *l, uint64_t limit_ns);

#endif
