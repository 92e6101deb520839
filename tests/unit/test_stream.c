/* SPDX-License-Identifier: Apache-2.0 */
/* Connections on the loop, over real loopback sockets. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "loop/stream.h"

#define GENEROUS_NS (60 * CLOCK_NS_PER_S)
#define BIG         ((size_t)100 << 20)
#define QUEUE_ROOM  (1 << 20)

struct end { /* one side of a connection */
	struct stream *s;
	bool opened, closed, echo, swallow;
	struct tenure_error why;
	uint8_t queue[QUEUE_ROOM]; /* echo: what the kernel did not take */
	size_t n_queued;
	size_t n_received, n_sent, n_to_send, piece;
	uint32_t check;   /* of what came, in order */
	unsigned free_in; /* FREE_… */
	unsigned n_calls;
	size_t record; /* consume whole records of that many bytes; 0: all */
	bool pause_in_bytes;
	char text[64]; /* the last bytes that were given */
	size_t n_text;
	char calls[64]; /* all of them: "abc|abcde|" */
};

enum { FREE_OPENED = 1, FREE_BYTES, FREE_WRITABLE, FREE_CLOSED };

struct world {
	struct loop *loop;
	struct stream_listener *listener;
	struct end server, client;
	struct loop_timer limit;
	bool late, inside, done_at_troubles;
	unsigned n_accepted, n_troubles, n_recovered;
	bool refuse;
};

static void on_before(void *arg)
{
	struct world *w = arg;

	assert_false(w->inside);
	w->inside = true;
}

static void on_after(void *arg)
{
	struct world *w = arg;

	assert_true(w->inside);
	w->inside = false;
}

static void on_late(void *arg)
{
	struct world *w = arg;

	w->late = true;
}

static bool drop(struct end *e, unsigned where)
{
	if (e->free_in != where)
		return false;
	stream_free(e->s);
	e->s = NULL;
	return true;
}

static uint8_t pattern(size_t i)
{
	return (uint8_t)(i * 31 + (i >> 8) * 7 + (i >> 16));
}

/* Sends its n_to_send bytes of the pattern in odd pieces until the kernel is full. */
static void pump(struct end *e)
{
	uint8_t bytes[70001];

	while (e->s && e->n_sent < e->n_to_send) {
		size_t n = e->n_to_send - e->n_sent, taken;

		e->piece = e->piece * 5 % 70001 + 1;
		n = n < e->piece ? n : e->piece;
		for (size_t i = 0; i < n; i++)
			bytes[i] = pattern(e->n_sent + i);
		taken = stream_send(e->s, bytes, n);
		e->n_sent += taken;
		if (taken < n)
			return;
	}
}

static void end_opened(void *arg)
{
	struct end *e = arg;

	e->opened = true;
	if (!drop(e, FREE_OPENED))
		pump(e);
}

static void flush(struct end *e)
{
	size_t n = stream_send(e->s, e->queue, e->n_queued);

	memmove(e->queue, e->queue + n, e->n_queued - n);
	e->n_queued -= n;
}

static size_t end_bytes(void *arg, const uint8_t *bytes, size_t n_bytes)
{
	struct end *e = arg;
	size_t n = e->record && e->n_received + n_bytes < BIG ? n_bytes - n_bytes % e->record : n_bytes;

	e->n_calls++;
	e->n_text = n_bytes < sizeof e->text - 1 ? n_bytes : sizeof e->text - 1;
	memcpy(e->text, bytes, e->n_text);
	e->text[e->n_text] = '\0';
	if (strlen(e->calls) + e->n_text + 2 < sizeof e->calls)
		(void)snprintf(e->calls + strlen(e->calls), sizeof e->calls - strlen(e->calls), "%.60s|", e->text);
	if (drop(e, FREE_BYTES))
		return 0;
	if (e->pause_in_bytes) {
		stream_pause(e->s, true);
		return 0;
	}
	if (e->swallow)
		return 0;
	for (size_t i = 0; i < n && !e->echo; i++)
		if (bytes[i] != pattern(e->n_received + i))
			e->check++;
	e->n_received += n;
	if (!e->echo)
		return n;
	if (n > sizeof e->queue - e->n_queued)
		n = sizeof e->queue - e->n_queued;
	memcpy(e->queue + e->n_queued, bytes, n);
	e->n_queued += n;
	flush(e);
	if (e->s && e->n_queued > sizeof e->queue / 2)
		stream_pause(e->s, true);
	return n;
}

static void end_writable(void *arg)
{
	struct end *e = arg;

	if (drop(e, FREE_WRITABLE))
		return;
	pump(e);
	if (e->echo) {
		flush(e);
		if (e->n_queued <= sizeof e->queue / 2)
			stream_pause(e->s, false);
	}
}

static void end_closed(void *arg, const struct tenure_error *error)
{
	struct end *e = arg;

	e->closed = true;
	e->why = *error;
	(void)drop(e, FREE_CLOSED);
}

static const struct stream_ops end_ops = { end_opened, end_bytes, end_writable, end_closed };

static void on_accepted(void *arg, struct stream *s)
{
	struct world *w = arg;

	w->n_accepted++;
	if (w->refuse || w->server.s) {
		stream_free(s);
		return;
	}
	w->server.s = s;
	stream_take(s, &end_ops, &w->server);
	pump(&w->server);
}

static void on_trouble(void *arg, const struct tenure_error *error)
{
	struct world *w = arg;

	if (error)
		w->n_troubles++;
	else
		w->n_recovered++;
	if (error)
		assert_int_equal(error->code, TENURE_ELIMIT);
}

static int set_up(void **state)
{
	struct world *w = calloc(1, sizeof *w);
	struct tenure_error error = TENURE_ERROR_INIT;

	assert_non_null(w);
	assert_int_equal(loop_new(&w->loop, on_before, on_after, w, &error), 0);
	loop_timer_init(w->loop, &w->limit, on_late, w);
	assert_int_equal(stream_listen(&w->listener, w->loop, "127.0.0.1:0", 7420, on_accepted, w, &error), 0);
	stream_listener_on_trouble(w->listener, on_trouble);
	*state = w;
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;

	stream_free(w->client.s);
	stream_free(w->server.s);
	stream_listener_free(w->listener);
	loop_timer_disarm(&w->limit);
	loop_free(w->loop);
	free(w);
	return 0;
}

static void turn(struct world *w)
{
	struct timespec moment = { 0, 100000 };

	loop_run_ready(w->loop);
	(void)nanosleep(&moment, NULL);
}

#define UNTIL(w, condition)                                                                                            \
	do {                                                                                                           \
		uint64_t end_ns = clock_now_or_zero_ns() + GENEROUS_NS;                                                \
		while (!(condition)) {                                                                                 \
			turn(w);                                                                                       \
			if (clock_now_or_zero_ns() > end_ns)                                                           \
				fail_msg("never: %s", #condition);                                                     \
		}                                                                                                      \
	} while (0)

static void connect_to(struct world *w, const char *address)
{
	struct tenure_error error = TENURE_ERROR_INIT;

	assert_int_equal(stream_connect(&w->client.s, w->loop, address, 7420, &end_ops, &w->client, &error), 0);
}

static void connect_both(struct world *w)
{
	connect_to(w, stream_listener_name(w->listener));
	UNTIL(w, w->client.opened && w->server.s);
}

/* A plain, blocking socket on the other side. */
static int raw_client(struct world *w)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	to.sin_port = htons((uint16_t)strtoul(strrchr(stream_listener_name(w->listener), ':') + 1, NULL, 10));
	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
	UNTIL(w, w->server.s);
	return fd;
}

static void a_hundred_megabytes_come_back_as_they_were_sent(void **state)
{
	struct world *w = *state;

	w->server.echo = true;
	w->client.n_to_send = BIG;
	w->client.record = 8191; /* most reads end within one */
	connect_to(w, stream_listener_name(w->listener));
	UNTIL(w, w->client.n_received == BIG);
	assert_int_equal(w->client.check, 0);
	assert_int_equal(w->client.n_sent, BIG);
	assert_int_equal(w->server.n_received, BIG);
}

static void what_was_not_consumed_is_given_again_with_what_follows(void **state)
{
	struct world *w = *state;
	int fd;

	w->server.swallow = true;
	fd = raw_client(w);
	assert_int_equal(write(fd, "abc", 3), 3);
	UNTIL(w, w->server.n_calls == 1);
	assert_int_equal(write(fd, "de", 2), 2);
	UNTIL(w, w->server.n_calls == 2);
	assert_string_equal(w->server.text, "abcde");
	assert_true(stream_kept_bytes(w->server.s) > 0);
	close(fd);
}

static void a_paused_connection_gives_what_was_kept_anew_and_reads_nothing_meanwhile(void **state)
{
	struct world *w = *state;
	int fd;

	w->server.pause_in_bytes = true;
	fd = raw_client(w);
	assert_int_equal(write(fd, "abc", 3), 3);
	UNTIL(w, w->server.n_calls == 1);
	assert_int_equal(write(fd, "de", 2), 2);
	for (int i = 0; i < 50; i++)
		turn(w);
	assert_int_equal(w->server.n_calls, 1);
	w->server.pause_in_bytes = false;
	w->server.swallow = true;
	stream_pause(w->server.s, false);
	UNTIL(w, w->server.n_calls == 3);
	assert_string_equal(w->server.calls, "abc|abc|abcde|");
	close(fd);
}

static void an_idle_connection_keeps_no_memory(void **state)
{
	struct world *w = *state;
	int fd = raw_client(w);

	w->server.swallow = true;
	assert_int_equal(write(fd, "abc", 3), 3);
	UNTIL(w, w->server.n_calls == 1);
	w->server.swallow = false;
	assert_int_equal(write(fd, "d", 1), 1);
	UNTIL(w, w->server.n_received == 4);
	assert_int_equal(stream_kept_bytes(w->server.s), 0);
	close(fd);
}

static void a_peer_whose_bytes_nobody_can_consume_is_closed_in_the_end(void **state)
{
	struct world *w = *state;

	w->server.swallow = true;
	w->client.n_to_send = BIG;
	connect_both(w);
	UNTIL(w, w->server.closed);
	assert_int_equal(w->server.why.code, TENURE_EPROTO);
	assert_true(stream_kept_bytes(w->server.s) <= 2 * LOOP_SCRATCH_BYTES);
}

static void half_closed_means_over_once_all_was_given(void **state)
{
	struct world *w = *state;
	int fd = raw_client(w);
	char back[8] = "";

	w->server.echo = true;
	assert_int_equal(write(fd, "abc", 3), 3);
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	UNTIL(w, w->server.closed);
	assert_int_equal(w->server.why.code, TENURE_EUNREACHABLE);
	assert_non_null(strstr(w->server.why.message, "closed the connection"));
	assert_non_null(strstr(w->server.why.message, "127.0.0.1:"));
	stream_free(w->server.s);
	w->server.s = NULL;
	assert_int_equal(read(fd, back, 8), 3);
	assert_string_equal(back, "abc");
	assert_int_equal(read(fd, back, 8), 0);
	close(fd);
}

static void a_reset_is_told_with_its_reason(void **state)
{
	struct linger hard = { 1, 0 };
	struct world *w = *state;
	int fd = raw_client(w);

	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard), 0);
	close(fd);
	UNTIL(w, w->server.closed);
	assert_int_equal(w->server.why.code, TENURE_EUNREACHABLE);
	assert_int_equal(w->server.why.os_errno, ECONNRESET);
}

static void sending_to_one_who_left_raises_no_signal_and_is_told_later(void **state)
{
	struct linger hard = { 1, 0 };
	struct world *w = *state;
	int fd = raw_client(w);

	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard), 0);
	close(fd);
	/* The first one may still be taken, or give the reset away; the next ones would raise SIGPIPE. */
	for (int i = 0; i < 5; i++)
		(void)stream_send(w->server.s, (const uint8_t *)"x", 1);
	assert_int_equal(stream_send(w->server.s, (const uint8_t *)"x", 1), 0);
	assert_false(w->server.closed);
	UNTIL(w, w->server.closed);
	assert_int_equal(w->server.why.code, TENURE_EUNREACHABLE);
}

static void the_last_words_of_one_who_left_are_given_before_its_end(void **state)
{
	struct world *w = *state;

	connect_both(w);
	w->client.swallow = true;
	assert_int_equal(stream_send(w->client.s, (const uint8_t *)"x", 1), 1);
	/* The server says no and closes, with the client's byte unread: the client gets a reset. */
	assert_int_equal(stream_send(w->server.s, (const uint8_t *)"no", 2), 2);
	stream_free(w->server.s);
	w->server.s = NULL;
	for (int i = 0; i < 5; i++)
		(void)stream_send(w->client.s, (const uint8_t *)"x", 1);
	UNTIL(w, w->client.closed);
	assert_string_equal(w->client.text, "no");
}

static void a_refused_connection_names_the_address(void **state)
{
	struct world *w = *state;
	char address[STREAM_ADDRESS_ROOM];

	(void)snprintf(address, sizeof address, "%s", stream_listener_name(w->listener));
	stream_listener_free(w->listener);
	w->listener = NULL;
	connect_to(w, address);
	assert_false(w->client.closed);
	UNTIL(w, w->client.closed);
	assert_false(w->client.opened);
	assert_int_equal(w->client.why.os_errno, ECONNREFUSED);
	assert_non_null(strstr(w->client.why.message, address));
	assert_string_equal(stream_peer_name(w->client.s), address);
}

static void a_name_that_nobody_knows_is_told(void **state)
{
	struct world *w = *state;

	connect_to(w, "no-such-host.invalid:1");
	UNTIL(w, w->client.closed);
	assert_int_equal(w->client.why.code, TENURE_EUNREACHABLE);
	assert_non_null(strstr(w->client.why.message, "no-such-host.invalid"));
}

static void a_connection_may_be_given_up_while_its_name_is_looked_up(void **state)
{
	struct world *w = *state;

	connect_to(w, "no-such-host.invalid:1");
	stream_free(w->client.s);
	w->client.s = NULL;
	for (int i = 0; i < 10; i++)
		turn(w);
	assert_false(w->client.closed);
}

/* "localhost" has ::1 first on most hosts, and nobody listens there. */
static void the_addresses_of_a_name_are_tried_in_turn(void **state)
{
	struct world *w = *state;
	char address[64];

	(void)snprintf(address, sizeof address, "localhost%s", strrchr(stream_listener_name(w->listener), ':'));
	connect_to(w, address);
	UNTIL(w, w->client.opened);
	assert_string_equal(stream_peer_name(w->client.s), address);
}

static void version_six_works(void **state)
{
	struct world *w = *state;
	struct tenure_error error = TENURE_ERROR_INIT;

	stream_listener_free(w->listener);
	assert_int_equal(stream_listen(&w->listener, w->loop, "[::1]:0", 7420, on_accepted, w, &error), 0);
	assert_memory_equal(stream_listener_name(w->listener), "[::1]:", 6);
	connect_both(w);
}

static void no_delay_and_close_on_exec_are_set_on_both_sides(void **state)
{
	struct world *w = *state;
	int value = 0;
	socklen_t n = sizeof value;

	connect_both(w);
	for (int i = 0; i < 2; i++) {
		int fd = stream_fd(i ? w->client.s : w->server.s);

		assert_int_equal(getsockopt(fd, IPPROTO_TCP, 1 /* TCP_NODELAY */, &value, &n), 0);
		assert_int_equal(value, 1);
		assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
		assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
	}
}

static void a_slow_reader_makes_the_sender_wait_and_loses_nothing(void **state)
{
	struct world *w = *state;
	static char room[1 << 16];
	size_t total = 0;
	int fd;

	w->server.n_to_send = BIG / 10;
	fd = raw_client(w);
	for (int i = 0; i < 100; i++)
		turn(w);
	assert_true(w->server.n_sent < BIG / 10); /* the kernel is full: nothing more is taken */
	while (total < BIG / 10) {
		ssize_t n = recv(fd, room, sizeof room, MSG_DONTWAIT);

		for (ssize_t i = 0; i < n; i++)
			if ((uint8_t)room[i] != pattern(total + (size_t)i))
				fail_msg("wrong at %zu", total + (size_t)i);
		total += n > 0 ? (size_t)n : 0;
		loop_run_ready(w->loop);
	}
	assert_int_equal(w->server.n_sent, BIG / 10);
	close(fd);
}

static void it_may_be_freed_from_opened(void **state)
{
	struct world *w = *state;

	w->client.free_in = FREE_OPENED;
	connect_to(w, stream_listener_name(w->listener));
	UNTIL(w, w->client.opened);
	assert_null(w->client.s);
}

static void it_may_be_freed_from_bytes(void **state)
{
	struct world *w = *state;

	w->server.free_in = FREE_BYTES;
	connect_both(w);
	assert_int_equal(stream_send(w->client.s, (const uint8_t *)"x", 1), 1);
	UNTIL(w, !w->server.s);
	UNTIL(w, w->client.closed);
	assert_false(w->server.closed);
}

static void it_may_be_freed_from_writable(void **state)
{
	struct world *w = *state;
	static char room[1 << 16];
	int fd;

	w->server.n_to_send = BIG;
	w->server.free_in = FREE_WRITABLE;
	fd = raw_client(w);
	while (w->server.s) {
		(void)!recv(fd, room, sizeof room, MSG_DONTWAIT);
		loop_run_ready(w->loop);
	}
	close(fd);
}

static void it_may_be_freed_from_closed(void **state)
{
	struct world *w = *state;

	w->server.free_in = FREE_CLOSED;
	connect_both(w);
	stream_free(w->client.s);
	w->client.s = NULL;
	UNTIL(w, w->server.closed);
	assert_null(w->server.s);
}

static void without_descriptors_it_accepts_later_and_says_so(void **state)
{
	struct world *w = *state;
	struct rlimit before, few;
	int fds[2], last = dup(0);

	connect_to(w, stream_listener_name(w->listener));
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	few = before;
	few.rlim_cur = (rlim_t)last; /* everything below is taken */
	close(last);
	for (fds[0] = 0; (fds[1] = dup(0)) >= 0 && fds[1] < last - 1;)
		;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	UNTIL(w, w->n_troubles > 0);
	for (int i = 0; i < 100; i++)
		turn(w);
	assert_int_equal(w->n_troubles, 1); /* once, however often it tries */
	assert_int_equal(w->n_accepted, 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	UNTIL(w, w->server.s);
	assert_int_equal(w->n_recovered, 1);
}

static void a_forked_child_does_not_keep_the_connection_open(void **state)
{
	struct world *w = *state;
	int gate[2];
	pid_t child;

	connect_both(w);
	assert_int_equal(pipe(gate), 0);
	child = fork();
	if (child == 0) {
		char c;

		close(gate[1]);
		stream_forked(w->client.s);
		stream_forked(w->server.s);
		_exit(read(gate[0], &c, 1) == 0 ? 0 : 1);
	}
	assert_true(child > 0);
	close(gate[0]);
	/* The parent's end is not harmed by what the child did. */
	assert_int_equal(stream_send(w->client.s, (const uint8_t *)"\0", 1), 1);
	UNTIL(w, w->server.n_received == 1);
	stream_free(w->client.s);
	w->client.s = NULL;
	UNTIL(w, w->server.closed);
	close(gate[1]);
	assert_int_equal(waitpid(child, NULL, 0), child);
}

static void an_address_in_use_is_refused(void **state)
{
	struct world *w = *state;
	struct stream_listener *second = NULL;
	struct tenure_error error = TENURE_ERROR_INIT;

	assert_int_equal(stream_listen(&second, w->loop, stream_listener_name(w->listener), 7420, on_accepted, w,
	                               &error),
	                 TENURE_EIO);
	assert_int_equal(error.os_errno, EADDRINUSE);
	assert_null(second);
}

static void a_listener_starts_again_at_its_address_at_once(void **state)
{
	struct world *w = *state;
	struct tenure_error error = TENURE_ERROR_INIT;
	char address[STREAM_ADDRESS_ROOM];

	connect_both(w);
	(void)snprintf(address, sizeof address, "%s", stream_listener_name(w->listener));
	stream_free(w->server.s); /* closes first: its side stays in TIME_WAIT */
	w->server.s = NULL;
	UNTIL(w, w->client.closed);
	stream_listener_free(w->listener);
	w->listener = NULL;
	assert_int_equal(stream_listen(&w->listener, w->loop, address, 7420, on_accepted, w, &error), 0);
}

static void addresses_are_split(void **state)
{
	static const struct {
		const char *address, *host;
		unsigned port;
	} good[] = { { "a:1", "a", 1 },
		     { "a", "a", 7420 },
		     { "127.0.0.1:65535", "127.0.0.1", 65535 },
		     { "[::1]:7", "::1", 7 },
		     { "[fe80::1%eth0]", "fe80::1%eth0", 7420 },
		     { "h-1.x_y.:0", "h-1.x_y.", 0 } };
	char host[STREAM_ADDRESS_ROOM];
	uint16_t port;

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		assert_true(stream_split_address(good[i].address, 7420, host, &port));
		assert_string_equal(host, good[i].host);
		assert_int_equal(port, good[i].port);
	}
}

static void malformed_addresses_are_refused(void **state)
{
	static const char *const bad[] = { "",    ":",     ":1",    "a:",       "a:65536",  "a:-1",       "a:1x",
		                           "::1", "[::1",  "[]:1",  "[a]:1",    "[::1]1",   "[::1]:",     "a b:1",
		                           "a/b", "a:1:2", "a\n:1", "[::1]:1:", "[::1%]:1", "\xc3\xa4:1", "[::1%a b]" };
	struct world *w = *state;
	struct tenure_error error = TENURE_ERROR_INIT;
	char host[STREAM_ADDRESS_ROOM], longest[400];
	struct stream *s = NULL;
	uint16_t port;

	memset(longest, 'a', sizeof longest - 1);
	longest[sizeof longest - 1] = '\0';
	assert_false(stream_split_address(longest, 7420, host, &port));
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		if (stream_split_address(bad[i], 7420, host, &port))
			fail_msg("'%s' was taken", bad[i]);
		assert_int_equal(stream_connect(&s, w->loop, bad[i], 7420, &end_ops, w, &error), TENURE_EURL);
		assert_null(s);
	}
	assert_int_equal(stream_connect(&s, w->loop, "a:0", 7420, &end_ops, w, &error), TENURE_EURL);
}

static void loopback_is_known_as_it_is_written(void **state)
{
	(void)state;
	assert_true(stream_is_loopback("127.0.0.1:1"));
	assert_true(stream_is_loopback("127.255.0.9"));
	assert_true(stream_is_loopback("[::1]:1"));
	assert_true(stream_is_loopback("LocalHost:1"));
	assert_false(stream_is_loopback("128.0.0.1:1"));
	assert_false(stream_is_loopback("0.0.0.0:1"));
	assert_false(stream_is_loopback("[::]:1"));
	assert_false(stream_is_loopback("localhost.example.org:1"));
	assert_false(stream_is_loopback("127.0.0.1.example.org:1"));
	assert_false(stream_is_loopback("::1"));
}

#define WORLD(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD(a_hundred_megabytes_come_back_as_they_were_sent),
		WORLD(what_was_not_consumed_is_given_again_with_what_follows),
		WORLD(a_paused_connection_gives_what_was_kept_anew_and_reads_nothing_meanwhile),
		WORLD(an_idle_connection_keeps_no_memory),
		WORLD(a_peer_whose_bytes_nobody_can_consume_is_closed_in_the_end),
		WORLD(half_closed_means_over_once_all_was_given),
		WORLD(a_reset_is_told_with_its_reason),
		WORLD(sending_to_one_who_left_raises_no_signal_and_is_told_later),
		WORLD(the_last_words_of_one_who_left_are_given_before_its_end),
		WORLD(a_refused_connection_names_the_address),
		WORLD(a_name_that_nobody_knows_is_told),
		WORLD(a_connection_may_be_given_up_while_its_name_is_looked_up),
		WORLD(the_addresses_of_a_name_are_tried_in_turn),
		WORLD(version_six_works),
		WORLD(no_delay_and_close_on_exec_are_set_on_both_sides),
		WORLD(a_slow_reader_makes_the_sender_wait_and_loses_nothing),
		WORLD(it_may_be_freed_from_opened),
		WORLD(it_may_be_freed_from_bytes),
		WORLD(it_may_be_freed_from_writable),
		WORLD(it_may_be_freed_from_closed),
		WORLD(without_descriptors_it_accepts_later_and_says_so),
		WORLD(a_forked_child_does_not_keep_the_connection_open),
		WORLD(an_address_in_use_is_refused),
		WORLD(a_listener_starts_again_at_its_address_at_once),
		WORLD(addresses_are_split),
		WORLD(malformed_addresses_are_refused),
		WORLD(loopback_is_known_as_it_is_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
