/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "loop/stream_inside.h"

#define STREAM_BACKLOG         4096
#define STREAM_ACCEPT_AT_ONCE  64 /* then the connections get their turn */
#define STREAM_ACCEPT_AGAIN_NS (100 * CLOCK_NS_PER_MS)

struct stream_listener {
	struct loop *loop;
	struct loop_watch *watch;
	struct loop_timer again;
	stream_accepted_fn *accepted;
	stream_trouble_fn *trouble;
	void *arg;
	int fd;
	bool paused;
	char name[STREAM_ADDRESS_ROOM];
};

/* The kernel keeps what it has no descriptor for; polling on would spin. */
static void stream_listener_pause(struct stream_listener *l, int os_errno)
{
	struct tenure_error error = TENURE_ERROR_INIT;

	loop_watch_want(l->watch, 0);
	loop_timer_arm(&l->again, clock_add_ns(clock_now_or_zero_ns(), STREAM_ACCEPT_AGAIN_NS));
	if (l->paused)
		return;
	l->paused = true;
	(void)error_set(&error, TENURE_ELIMIT, os_errno,
	                "%s accepts no connections for now; raise the limit of descriptors (ulimit -n)", l->name);
	if (l->trouble)
		l->trouble(l->arg, &error);
}

static void stream_listener_on_again(void *arg)
{
	struct stream_listener *l = arg;

	loop_watch_want(l->watch, LOOP_READABLE);
}

static void stream_listener_on_ready(void *arg)
{
	struct stream_listener *l = arg;

	for (unsigned n = 0; n < STREAM_ACCEPT_AT_ONCE; n++) {
		struct sockaddr_storage from;
		socklen_t n_from = sizeof from;
		char name[STREAM_ADDRESS_ROOM];
		struct stream *s;
		int fd = accept4(l->fd, (struct sockaddr *)&from, &n_from, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return;
		if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)) {
			stream_listener_pause(l, errno);
			return;
		}
		if (fd < 0) /* that one is gone already, or a signal came */
			continue;
		stream_name_of((struct sockaddr *)&from, n_from, name);
		s = stream_adopt(l->loop, fd, name);
		if (!s) {
			stream_listener_pause(l, ENOMEM);
			return;
		}
		if (l->paused && l->trouble)
			l->trouble(l->arg, NULL);
		l->paused = false;
		l->accepted(l->arg, s);
	}
}

/* The descriptor, or -1 with errno. */
static int stream_bind_to(const struct addrinfo *a, char name[STREAM_ADDRESS_ROOM])
{
	struct sockaddr_storage own;
	socklen_t n_own = sizeof own;
	int one = 1, fd = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	/* Or a restart would have to wait for the connections of the run before. */
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (bind(fd, a->ai_addr, a->ai_addrlen) == 0 && listen(fd, STREAM_BACKLOG) == 0 &&
	    getsockname(fd, (struct sockaddr *)&own, &n_own) == 0) {
		stream_name_of((struct sockaddr *)&own, n_own, name);
		return fd;
	}
	one = errno;
	(void)close(fd);
	errno = one;
	return -1;
}

int stream_bind(int *fd, char name[STREAM_ADDRESS_ROOM], const char *address, uint16_t default_port,
                struct tenure_error *error)
{
	static const struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV | AI_PASSIVE };
	char host[STREAM_ADDRESS_ROOM], text[8];
	struct addrinfo *found = NULL;
	uint16_t port;
	int failed;

	*fd = -1;
	if (!stream_split_address(address, default_port, host, &port))
		return error_set(error, TENURE_EURL, 0,
		                 "'%.100s' is no address to listen on: write HOST:PORT or [IPV6]:PORT", address);
	(void)snprintf(text, sizeof text, "%u", port);
	failed = getaddrinfo(host, text, &hints, &found);
	if (failed != 0)
		return error_set(error, TENURE_EIO, 0, "cannot listen on %.100s: %s", address, gai_strerror(failed));
	failed = 0;
	for (const struct addrinfo *a = found; a && *fd < 0; a = a->ai_next) {
		*fd = stream_bind_to(a, name);
		failed = errno;
	}
	freeaddrinfo(found);
	if (*fd < 0)
		return error_set(error, error_code_of_errno(failed), failed, "cannot listen on %.100s", address);
	return 0;
}

int stream_listen(struct stream_listener **out, struct loop *loop, const char *address, uint16_t default_port,
                  stream_accepted_fn *accepted, void *arg, struct tenure_error *error)
{
	struct stream_listener *l = calloc(1, sizeof *l);
	int code;

	if (!l)
		return error_set(error, TENURE_ENOMEM, 0, "no memory for a listener");
	*l = (struct stream_listener) { .loop = loop, .accepted = accepted, .arg = arg, .fd = -1 };
	loop_timer_init(loop, &l->again, stream_listener_on_again, l);
	code = stream_bind(&l->fd, l->name, address, default_port, error);
	if (code == 0 && loop_watch(loop, l->fd, stream_listener_on_ready, l, &l->watch) != 0)
		code = error_set(error, TENURE_ENOMEM, 0, "no memory to watch %.100s", address);
	if (code != 0) {
		stream_listener_free(l);
		return code;
	}
	*out = l;
	return 0;
}

void stream_listener_on_trouble(struct stream_listener *l, stream_trouble_fn *trouble)
{
	l->trouble = trouble;
}

void stream_listener_free(struct stream_listener *l)
{
	if (!l)
		return;
	loop_timer_disarm(&l->again);
	loop_unwatch(l->watch);
	if (l->fd >= 0)
		(void)close(l->fd);
	free(l);
}

const char *stream_listener_name(const struct stream_listener *l)
{
	return l->name;
}
