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

#include "base/heap.h"
#include "base/list.h"

struct loop;
struct loop_watch;

typedef void loop_fn(void *arg);

struct loop_timer { /* embed it; loop_timer_init once. The node is the loop's own */
	struct heap_node node;
	struct loop *loop;
	uint64_t at_ns; /* NS_NEVER: not armed */
	loop_fn *fn;
	void *arg;
};

/* `before` and `after` stand around every callback: the session's lock goes there. */
int loop_new(struct loop **out, loop_fn *before, loop_fn *after, void *arg, struct tenure_error *error);
/* All watches must be closed and timers disarmed. */
void loop_free(struct loop *l);

void loop_timer_init(struct loop *l, struct loop_timer *t, loop_fn *fn, void *arg);
/* At that instant of CLOCK_BOOTTIME, or as soon after as possible; replaces an earlier arming. [loop thread] */
void loop_timer_arm(struct loop_timer *t, uint64_t at_ns);
void loop_timer_disarm(struct loop_timer *t);

/*
 * Calls fn whenever fd is readable (level-triggered). The fd stays the caller's and must outlive the watch. 0,
 * TENURE_ENOMEM, TENURE_EINTERNAL (a descriptor that can't be polled). [loop thread]
 */
int loop_watch(struct loop *l, int fd, loop_fn *fn, void *arg, struct loop_watch **out);
/* What it waits for from now on: LOOP_READABLE, LOOP_WRITABLE, both, or 0. [loop thread] */
enum { LOOP_READABLE = 1, LOOP_WRITABLE = 2 };
void loop_watch_want(struct loop_watch *w, unsigned events);
/* Inside fn: which of them it is. Errors and hang-ups are both: they show when the descriptor is read or written. */
unsigned loop_watch_ready(const struct loop_watch *w);
void loop_unwatch(struct loop_watch *w); /* NULL is allowed; fn is not called after return */

/*
 * Room that whoever reads may use until its callback returns: LOOP_SCRATCH_BYTES, one for all. NULL: no memory. [loop
 * thread]
 */
#define LOOP_SCRATCH_BYTES ((size_t)256 * 1024)
uint8_t *loop_scratch(struct loop *l);

/*
 * Once, when the callbacks of this pass have run: what they all have to say is sent together. Between `before` and `after`, too.
 * Asking twice is asking once. [loop thread, with the lock]
 */
struct loop_deferred { /* embed it; loop_deferred_init once */
	struct list node;
	loop_fn *fn;
	void *arg;
};
void loop_deferred_init(struct loop_deferred *d, loop_fn *fn, void *arg);
void loop_defer(struct loop *l, struct loop_deferred *d);
void loop_undefer(struct loop_deferred *d);

/* Makes the loop run `after` soon, from any thread. */
void loop_wake(struct loop *l);

int loop_fd(const struct loop *l);
uint64_t loop_next_ns(const struct loop *l); /* the earliest timer; NS_NEVER */
/* One pass over what is ready, without waiting. After it the descriptor of loop_fd() is armed for all watches. */
void loop_run_ready(struct loop *l);
/* Passes until loop_stop(), waiting as needed: the body of the session's own thread. */
void loop_run_until_stopped(struct loop *l);
void loop_stop(struct loop *l); /* [loop thread] */

#endif
