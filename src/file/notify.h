/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tells when something changes in the store's directories: one inotify descriptor a session, any number of
 * subscriptions. Where the host gives no descriptor or watch (fs.inotify.max_user_instances is 128 by default) a
 * subscription is called every NOTIFY_POLL_NS instead: callers look again whenever they are called, so they need not
 * know which it was.
 */
#ifndef TENURE_FILE_NOTIFY_H
#define TENURE_FILE_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "base/log.h"
#include "loop/loop.h"

#define NOTIFY_POLL_NS 20000000ULL
#define NOTIFY_BUCKETS 4096

struct notify;

/* `name` is the entry of a watched directory that changed; NULL: look at everything. */
typedef void notify_fn(void *arg, uint32_t mask, const char *name);

struct notify_subscription { /* embed it; zeroed before the first use */
	struct list node, due;
	struct notify *owner; /* NULL: not subscribed */
	int wd;               /* -1: polled */
	notify_fn *fn;
	void *arg;
};

int notify_new(struct notify **out, struct loop *loop, const struct log *log, struct tenure_error *error);
void notify_free(struct notify *n);
/* A directory: entries made, moved, removed, and closed after writing. A file: its name, its removal, its closing. */
#define NOTIFY_DIRECTORY 1
#define NOTIFY_FILE      2
/* 0; 1: `path` is not there. Replaces what the subscription had. */
int notify_subscribe(struct notify *n, struct notify_subscription *s, const char *path, int what, notify_fn *fn,
                     void *arg);
void notify_unsubscribe(struct notify_subscription *s);

#endif
