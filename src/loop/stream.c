/* SPDX-License-Identifier: Apache-2.0 */
#include "loop/stream.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/error.h"
#include "loop/resolve.h"
#include "loop/stream_inside.h"

#define STREAM_SOON             1                        /* an instant that is over: the next turn of the loop */
#define STREAM_CONNECT_LIMIT_NS (5 * CLOCK_NS_PER_S)     /* for one address, so that the next one gets its turn */
#define STREAM_KEPT_MAX_BYTES   (2 * LOOP_SCRATCH_BYTES) /* a consumer that wants more at once is not served */

enum stream_phase { STREAM_RESOLVING, STREAM_CONNECTING, STREAM_OPEN, STREAM_OVER };

struct stream {
	struct loop *loop;
	const struct stream_ops *ops;
	void *arg;
	struct loop_watch *watch;
	struct loop_timer timer; /* connecting: the limit; open: what is to be told soon */
	enum stream_phase phase;
	int fd;
	bool paused, full; /* full: the kernel took less than was given */
	bool renew;        /* what was kept is to be given anew */
	bool failing;      /* `why` is to be told */
	bool inside, dead; /* in a callback; freed from it */
	/* what was read and not consumed; else the loop's scratch is used, so that an idle connection needs no memory */
	uint8_t *kept;
	size_t n_kept, kept_room;
	struct resolve *resolve;
	struct addrinfo *addresses, *next; /* still to be tried */
	struct tenure_error why;
	char name[STREAM_ADDRESS_ROOM];   /* as it was asked for */
	char failed[STREAM_ADDRESS_ROOM]; /* the address that is being tried */
};

static void stream_on_ready(void *arg);
static void stream_on_timer(void *arg);
static void stream_try_next(struct stream *s, int os_errno);

/* ---- ends ---- */

static void stream_release(struct stream *s)
{
	loop_timer_disarm(&s->timer);
	loop_unwatch(s->watch);
	s->watch = NULL;
	if (s->fd >= 0)
		(void)close(s->fd);
	s->fd = -1;
	resolve_free(s->resolve);
	s->resolve = NULL;
	if (s->addresses)
		freeaddrinfo(s->addresses);
	s->addresses = s->next = NULL;
	s->phase = STREAM_OVER;
}

static void stream_delete(struct stream *s)
{
	free(s->kept);
	free(s);
}

void stream_free(struct stream *s)
{
	if (!s)
		return;
	stream_release(s);
	s->dead = true;
	if (!s->inside)
		stream_delete(s);
}

void stream_forked(struct stream *s)
{
	/* The loop's epoll belongs to the parent, too: nothing may be taken out of it. */
	if (s && s->fd >= 0) {
		(void)close(s->fd);
		s->fd = -1;
	}
}

/* Callbacks stand between this and stream_leave(), which says whether the stream is still there. */
static void stream_enter(struct stream *s)
{
	CHECK(!s->inside);
	s->inside = true;
}

static bool stream_leave(struct stream *s)
{
	bool dead = s->dead;

	s->inside = false;
	if (dead)
		stream_delete(s);
	return !dead;
}

/* Tells it now: only from a callback of the loop, outside of the stream's own. */
static void stream_end(struct stream *s)
{
	stream_release(s);
	s->ops->closed(s->arg, &s->why); /* may free it: not touched any more */
}

/* Tells it in the next turn: from calls of the user. */
static void stream_end_soon(struct stream *s)
{
	s->failing = true;
	loop_timer_arm(&s->timer, STREAM_SOON);
}

/* ---- reading ---- */

static void stream_want(struct stream *s)
{
	if (s->watch)
		loop_watch_want(s->watch, (s->paused ? 0u : LOOP_READABLE) | (s->full ? LOOP_WRITABLE : 0u));
}

static bool stream_keep(struct stream *s, const uint8_t *bytes, size_t n_bytes)
{
	if (n_bytes > s->kept_room) {
		uint8_t *room = realloc(s->kept, n_bytes);

		if (!room)
			return false;
		s->kept = room;
		s->kept_room = n_bytes;
	}
	if (n_bytes > 0)
		memmove(s->kept, bytes, n_bytes);
	s->n_kept = n_bytes;
	if (n_bytes == 0) {
		free(s->kept);
		s->kept = NULL;
		s->kept_room = 0;
	}
	return true;
}

/* false: freed, or over. */
static bool stream_give(struct stream *s, const uint8_t *bytes, size_t n_bytes)
{
	size_t n_consumed;

	stream_enter(s);
	n_consumed = s->ops->bytes(s->arg, bytes, n_bytes);
	if (!stream_leave(s))
		return false;
	CHECK(n_consumed <= n_bytes);
	if (stream_keep(s, bytes + n_consumed, n_bytes - n_consumed))
		return true;
	(void)error_set(&s->why, TENURE_ENOMEM, 0, "no memory to receive from %s", s->name);
	stream_end(s);
	return false;
}

/* Where the next bytes go: behind what is kept, else the scratch. */
static uint8_t *stream_room(struct stream *s, size_t *room)
{
	size_t want = s->n_kept * 2 > 65536 ? s->n_kept * 2 : 65536;
	uint8_t *grown;

	if (s->n_kept == 0) {
		*room = LOOP_SCRATCH_BYTES;
		return loop_scratch(s->loop);
	}
	if (want > STREAM_KEPT_MAX_BYTES)
		want = STREAM_KEPT_MAX_BYTES;
	if (s->kept_room < want) {
		grown = realloc(s->kept, want);
		if (!grown)
			return NULL;
		s->kept = grown;
		s->kept_room = want;
	}
	*room = s->kept_room - s->n_kept;
	return s->kept + s->n_kept;
}

enum stream_found { STREAM_SOME, STREAM_NOTHING, STREAM_GONE /* over or freed: not to be touched */ };

static enum stream_found stream_read(struct stream *s)
{
	size_t room;
	uint8_t *at = stream_room(s, &room);
	ssize_t n;

	if (!at || room == 0) {
		(void)error_set(&s->why, at ? TENURE_EPROTO : TENURE_ENOMEM, 0,
		                at ? "%s sends something that has no end" : "no memory to receive from %s", s->name);
		stream_end(s);
		return STREAM_GONE;
	}
	n = recv(s->fd, at, room, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
		return STREAM_NOTHING;
	if (n <= 0) {
		if (!s->failing)
			(void)error_set(&s->why, TENURE_EUNREACHABLE, n < 0 ? errno : 0,
			                n < 0 ? "the connection with %s broke" : "%s closed the connection", s->name);
		stream_end(s);
		return STREAM_GONE;
	}
	if (s->n_kept > 0)
		return stream_give(s, s->kept, s->n_kept + (size_t)n) ? STREAM_SOME : STREAM_GONE;
	return stream_give(s, at, (size_t)n) ? STREAM_SOME : STREAM_GONE;
}

void stream_pause(struct stream *s, bool paused)
{
	if (s->paused == paused)
		return;
	s->paused = paused;
	if (s->phase != STREAM_OPEN)
		return;
	stream_want(s);
	if (!paused && s->n_kept > 0) {
		s->renew = true;
		loop_timer_arm(&s->timer, STREAM_SOON);
	}
}

size_t stream_kept_bytes(const struct stream *s)
{
	return s->kept_room;
}

/* ---- writing ---- */

size_t stream_send(struct stream *s, const uint8_t *bytes, size_t n_bytes)
{
	ssize_t n;

	if (s->phase != STREAM_OPEN || s->failing || n_bytes == 0)
		return 0;
	n = s->full ? 0 : send(s->fd, bytes, n_bytes, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR && errno != ENOBUFS) {
		(void)error_set(&s->why, TENURE_EUNREACHABLE, errno, "the connection with %s broke", s->name);
		stream_end_soon(s);
		return 0;
	}
	if (n < 0)
		n = 0;
	s->full = (size_t)n < n_bytes;
	stream_want(s);
	return (size_t)n;
}

/* ---- connecting ---- */

void stream_tune(int fd)
{
	int one = 1, idle_s = 60, every_s = 10, times = 6;

	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	/* A peer whose host died without a word is noticed at last, however idle the connection is. */
	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof idle_s);
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &every_s, sizeof every_s);
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &times, sizeof times);
}

static int stream_begin(struct stream *s, const struct addrinfo *a)
{
	s->fd = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (s->fd < 0)
		return errno;
	stream_tune(s->fd);
	if (connect(s->fd, a->ai_addr, a->ai_addrlen) != 0 && errno != EINPROGRESS)
		return errno;
	if (loop_watch(s->loop, s->fd, stream_on_ready, s, &s->watch) != 0)
		return ENOMEM;
	loop_watch_want(s->watch, LOOP_WRITABLE);
	return 0;
}

/* The one before failed with os_errno, 0: there was none. */
static void stream_try_next(struct stream *s, int os_errno)
{
	s->phase = STREAM_CONNECTING;
	for (; s->next; s->next = s->next->ai_next) {
		stream_name_of(s->next->ai_addr, s->next->ai_addrlen, s->failed);
		os_errno = stream_begin(s, s->next);
		if (os_errno == 0) {
			s->next = s->next->ai_next;
			loop_timer_arm(&s->timer, clock_add_ns(clock_now_or_zero_ns(), STREAM_CONNECT_LIMIT_NS));
			return;
		}
		if (s->fd >= 0)
			(void)close(s->fd);
		s->fd = -1;
	}
	(void)error_set(&s->why, error_code_of_errno(os_errno) == TENURE_ELIMIT ? TENURE_ELIMIT : TENURE_EUNREACHABLE,
	                os_errno,
	                strcmp(s->name, s->failed) == 0 ? "cannot connect to %s" : "cannot connect to %s (%s)", s->name,
	                s->failed);
	stream_end_soon(s);
}

static void stream_drop_attempt(struct stream *s, int os_errno)
{
	loop_unwatch(s->watch);
	s->watch = NULL;
	(void)close(s->fd);
	s->fd = -1;
	stream_try_next(s, os_errno);
}

static void stream_on_connected(struct stream *s)
{
	int failed = 0;
	socklen_t n_failed = sizeof failed;

	if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &failed, &n_failed) != 0)
		failed = errno;
	if (failed != 0) {
		stream_drop_attempt(s, failed);
		return;
	}
	loop_timer_disarm(&s->timer);
	freeaddrinfo(s->addresses);
	s->addresses = s->next = NULL;
	s->phase = STREAM_OPEN;
	stream_want(s);
	stream_enter(s);
	s->ops->opened(s->arg);
	(void)stream_leave(s);
}

static void stream_on_resolved(void *arg, struct addrinfo *found, const char *fault)
{
	struct stream *s = arg;

	resolve_free(s->resolve);
	s->resolve = NULL;
	s->addresses = s->next = found;
	if (found) {
		stream_try_next(s, 0);
		return;
	}
	(void)error_set(&s->why, TENURE_EUNREACHABLE, 0, "cannot find the address of %s: %s", s->name, fault);
	stream_end(s);
}

/* ---- what the loop calls ---- */

static void stream_on_ready(void *arg)
{
	struct stream *s = arg;
	unsigned ready = loop_watch_ready(s->watch);

	if (s->phase == STREAM_CONNECTING) {
		stream_on_connected(s);
		return;
	}
	if (ready & LOOP_WRITABLE && s->full) {
		s->full = false;
		stream_want(s);
		stream_enter(s);
		s->ops->writable(s->arg);
		if (!stream_leave(s))
			return;
	}
	/* What waits to be given anew comes first. */
	if (ready & LOOP_READABLE && !s->paused && !s->renew)
		(void)stream_read(s);
}

static void stream_on_timer(void *arg)
{
	struct stream *s = arg;

	if (s->phase == STREAM_CONNECTING && !s->failing) {
		stream_drop_attempt(s, ETIMEDOUT);
		return;
	}
	if (s->renew) {
		s->renew = false;
		if (!s->paused && s->n_kept > 0 && !stream_give(s, s->kept, s->n_kept))
			return;
	}
	if (!s->failing)
		return;
	/* The peer may have said why before it closed. */
	while (s->phase == STREAM_OPEN && !s->paused) {
		enum stream_found found = stream_read(s);

		if (found == STREAM_GONE)
			return;
		if (found == STREAM_NOTHING)
			break;
	}
	stream_end(s);
}

/* ---- making them ---- */

static struct stream *stream_new(struct loop *l)
{
	struct stream *s = calloc(1, sizeof *s);

	if (!s)
		return NULL;
	s->loop = l;
	s->fd = -1;
	s->why = (struct tenure_error)TENURE_ERROR_INIT;
	loop_timer_init(l, &s->timer, stream_on_timer, s);
	return s;
}

static int stream_resolve(struct stream *s, const char *host, uint16_t port, struct tenure_error *error)
{
	static const struct addrinfo hints = { .ai_socktype = SOCK_STREAM,
		                               .ai_flags = AI_NUMERICSERV | AI_NUMERICHOST };
	char text[8];
	int code;

	/* Numbers need no name server, and so no thread. */
	(void)snprintf(text, sizeof text, "%u", port);
	if (getaddrinfo(host, text, &hints, &s->addresses) == 0) {
		s->next = s->addresses;
		stream_try_next(s, 0);
		return 0;
	}
	s->addresses = NULL;
	code = resolve_start(&s->resolve, s->loop, host, port, stream_on_resolved, s);
	return code == 0 ? 0
	                 : error_set(error, code, 0, "cannot look up %.100s: out of %s", host,
	                             code == TENURE_ENOMEM ? "memory" : "descriptors or threads");
}

int stream_connect(struct stream **out, struct loop *l, const char *address, uint16_t default_port,
                   const struct stream_ops *ops, void *arg, struct tenure_error *error)
{
	char host[STREAM_ADDRESS_ROOM];
	struct stream *s;
	uint16_t port;
	int code;

	if (!stream_split_address(address, default_port, host, &port) || port == 0)
		return error_set(error, TENURE_EURL, 0, "'%.100s' is no address: write HOST:PORT or [IPV6]:PORT",
		                 address);
	s = stream_new(l);
	if (!s)
		return error_set(error, TENURE_ENOMEM, 0, "no memory for a connection with %.100s", address);
	s->ops = ops;
	s->arg = arg;
	(void)snprintf(s->name, sizeof s->name, strchr(host, ':') ? "[%.250s]:%u" : "%.250s:%u", host, port);
	code = stream_resolve(s, host, port, error);
	if (code != 0) {
		stream_free(s);
		return code;
	}
	*out = s;
	return 0;
}

struct stream *stream_adopt(struct loop *l, int fd, const char *peer_name)
{
	struct stream *s = stream_new(l);

	if (!s || loop_watch(l, fd, stream_on_ready, s, &s->watch) != 0) {
		(void)close(fd);
		free(s);
		return NULL;
	}
	stream_tune(fd);
	s->fd = fd;
	s->phase = STREAM_OPEN;
	(void)snprintf(s->name, sizeof s->name, "%s", peer_name);
	return s;
}

void stream_take(struct stream *s, const struct stream_ops *ops, void *arg)
{
	s->ops = ops;
	s->arg = arg;
}

const char *stream_peer_name(const struct stream *s)
{
	return s->name;
}

int stream_fd(const struct stream *s)
{
	return s->fd;
}
