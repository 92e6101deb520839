/* SPDX-License-Identifier: Apache-2.0 */
#include "file/notify.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"

#define NOTIFY_DIRECTORY_MASK                                                                                          \
	(IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_CLOSE_WRITE | IN_DELETE_SELF | IN_MOVE_SELF |        \
	 IN_ONLYDIR)
/* A removed file that is still open reports IN_ATTRIB (its link count), and IN_DELETE_SELF only with its last close. */
#define NOTIFY_FILE_MASK (IN_ATTRIB | IN_CLOSE_WRITE | IN_DELETE_SELF | IN_MOVE_SELF)

struct notify {
	struct loop *loop;
	struct loop_watch *watch;
	struct loop_timer poll;
	struct log log;
	int fd; /* -1: everything is polled */
	bool told;
	struct list polled;
	struct list buckets[NOTIFY_BUCKETS]; /* by wd */
};

static struct list *notify_bucket(struct notify *n, int wd)
{
	return &n->buckets[(unsigned)wd % NOTIFY_BUCKETS];
}

/* Subscribers may subscribe and leave while they are called: those that are due stand on a list of their own first. */
static void notify_call(struct list *due, uint32_t mask, const char *name)
{
	while (!list_empty(due)) {
		struct notify_subscription *s = LIST_OF(due->next, struct notify_subscription, due);

		list_remove(&s->due);
		s->fn(s->arg, mask, name);
	}
}

static void notify_dispatch(struct notify *n, int wd, uint32_t mask, const char *name)
{
	struct list due, *bucket = notify_bucket(n, wd);

	list_init(&due);
	LIST_EACH (node, bucket) {
		struct notify_subscription *s = LIST_OF(node, struct notify_subscription, node);

		if (s->wd == wd)
			list_append(&due, &s->due);
	}
	notify_call(&due, mask, name);
}

static void notify_everybody(struct notify *n)
{
	struct list due;

	list_init(&due);
	for (size_t i = 0; i < NOTIFY_BUCKETS; i++)
		LIST_EACH (node, &n->buckets[i])
			list_append(&due, &LIST_OF(node, struct notify_subscription, node)->due);
	notify_call(&due, 0, NULL);
}

static void notify_on_readable(void *arg)
{
	struct notify *n = arg;
	char bytes[16384] __attribute__((aligned(8)));
	ssize_t got = read(n->fd, bytes, sizeof bytes);

	for (ssize_t at = 0; at < got;) {
		const struct inotify_event *e = (const void *)(bytes + at);

		at += (ssize_t)(sizeof *e + e->len);
		if (e->mask & IN_Q_OVERFLOW)
			notify_everybody(n);
		else if (!(e->mask & IN_IGNORED))
			notify_dispatch(n, e->wd, e->mask, e->len > 0 ? e->name : NULL);
	}
}

static void notify_on_poll(void *arg)
{
	struct notify *n = arg;
	struct list due;

	list_init(&due);
	LIST_EACH (node, &n->polled)
		list_append(&due, &LIST_OF(node, struct notify_subscription, node)->due);
	notify_call(&due, 0, NULL);
	loop_timer_arm(&n->poll,
	               list_empty(&n->polled) ? NS_NEVER : clock_add_ns(clock_now_or_zero_ns(), NOTIFY_POLL_NS));
}

int notify_new(struct notify **out, struct loop *loop, const struct log *log, struct tenure_error *error)
{
	struct notify *n = calloc(1, sizeof *n);

	if (!n)
		return error_set(error, TENURE_ENOMEM, 0, "no memory to watch the store's directory");
	n->loop = loop;
	n->log = *log;
	list_init(&n->polled);
	for (size_t i = 0; i < NOTIFY_BUCKETS; i++)
		list_init(&n->buckets[i]);
	loop_timer_init(loop, &n->poll, notify_on_poll, n);
	n->fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (n->fd >= 0 && loop_watch(loop, n->fd, notify_on_readable, n, &n->watch) != 0) {
		(void)close(n->fd);
		n->fd = -1;
	}
	*out = n;
	return 0;
}

void notify_free(struct notify *n)
{
	if (!n)
		return;
	loop_timer_disarm(&n->poll);
	loop_unwatch(n->watch);
	if (n->fd >= 0)
		(void)close(n->fd);
	free(n);
}

static void notify_poll_instead(struct notify *n, struct notify_subscription *s)
{
	if (!n->told)
		log_write(&n->log, 4, "file",
		          "no inotify watch (%s): looking every 20 ms instead; raise fs.inotify.max_user_instances or "
		          "max_user_watches",
		          strerror(errno));
	n->told = true;
	s->wd = -1;
	list_append(&n->polled, &s->node);
	if (n->poll.at_ns == NS_NEVER)
		loop_timer_arm(&n->poll, clock_add_ns(clock_now_or_zero_ns(), NOTIFY_POLL_NS));
}

int notify_subscribe(struct notify *n, struct notify_subscription *s, const char *path, int what, notify_fn *fn,
                     void *arg)
{
	uint32_t mask = what == NOTIFY_DIRECTORY ? NOTIFY_DIRECTORY_MASK : NOTIFY_FILE_MASK;
	struct notify_subscription old = *s;
	int wd = -1;

	if (n->fd >= 0)
		wd = inotify_add_watch(n->fd, path, mask);
	else
		errno = EMFILE;
	if (wd < 0 && (errno == ENOENT || errno == ENOTDIR)) {
		notify_unsubscribe(s);
		return 1;
	}
	/* The new one first: when both mean the same file, leaving the old one must not end the kernel's watch. */
	if (old.owner && wd >= 0 && s->wd == wd) {
		s->fn = fn;
		s->arg = arg;
		return 0;
	}
	notify_unsubscribe(s);
	*s = (struct notify_subscription) { .owner = n, .wd = wd, .fn = fn, .arg = arg };
	list_init(&s->node);
	list_init(&s->due);
	if (wd < 0)
		notify_poll_instead(n, s);
	else
		list_append(notify_bucket(n, wd), &s->node);
	return 0;
}

void notify_unsubscribe(struct notify_subscription *s)
{
	struct notify *n = s->owner;
	int wd = s->wd;

	if (!n)
		return;
	list_remove(&s->node);
	list_remove(&s->due);
	s->owner = NULL;
	if (wd < 0)
		return;
	LIST_EACH (node, notify_bucket(n, wd))
		if (LIST_OF(node, struct notify_subscription, node)->wd == wd)
			return;
	(void)inotify_rm_watch(n->fd, wd);
}
