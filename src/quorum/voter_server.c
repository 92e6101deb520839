/* SPDX-License-Identifier: Apache-2.0 */
#include "quorum/voter_server.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/list.h"
#include "base/random.h"
#include "base/text.h"
#include "loop/stream.h"
#include "quorum/voter_disk.h"

#define VOTER_SERVER_FRAME_LIMIT_NS (10 * CLOCK_NS_PER_S) /* a frame that was begun has to be whole by then */
#define VOTER_SERVER_KEPT_MAX_BYTES (64u << 20)           /* of all connections together */
#define VOTER_SERVER_DISK_SLOW_NS   CLOCK_NS_PER_S        /* is told */
#define VOTER_SERVER_DISK_END_NS    (10 * CLOCK_NS_PER_S) /* what a clean stop waits for a write */
#define VOTER_SERVER_LOG_LINES      20                    /* about peers, within VOTER_SERVER_LOG_NS */
#define VOTER_SERVER_LOG_NS         (10 * CLOCK_NS_PER_S)
#define VOTER_SERVER_TERM_ALARM     (UINT64_C(1) << 47)

struct voter_server_peer {
	struct voter_server *server;
	struct stream *stream;
	struct voter_peer *peer;
	struct list node;
	struct list keeping; /* on the list of those of whom something is kept */
	uint64_t kept_since_ns;
	size_t kept_bytes;
	bool paused; /* waits for the disk (R22) */
};

struct voter_server {
	struct loop *loop;
	struct log log;
	struct voter_disk *disk;
	struct voter_writer *writer;
	struct voter *voter;
	struct stream_listener *listener;
	struct loop_timer timer;
	struct loop_deferred settle; /* once a pass: disk, closing, sending, the timer */
	struct list peers;
	struct list keeping; /* the longest first */
	struct voter_server_stats stats;
	bool in_hold, told_slow, told_terms, failed;
	struct tenure_error why;
	char name[SUPERBLOCK_NAME_ROOM]; /* the disk's own copy is its writer's */
	uint64_t log_from_ns;
	unsigned log_lines, log_dropped;
};

/* ---- the clock, the log, the end ---- */

static void voter_server_fail(struct voter_server *s, const struct tenure_error *why)
{
	if (s->failed)
		return;
	s->failed = true;
	error_copy(&s->why, why);
	loop_stop(s->loop);
}

/* R3: read after the bytes were, before anything is sent. false: there is no clock any more. */
static bool voter_server_now(struct voter_server *s, struct voter_now *now)
{
	struct tenure_error error = TENURE_ERROR_INIT;
	int64_t unix_ns = clock_unix_ns();

	now->unix_ms = unix_ns > 0 ? (uint64_t)unix_ns / CLOCK_NS_PER_MS : 0;
	if (clock_pair_ns(&now->at.boot_ns, &now->at.raw_ns) == 0)
		return true;
	(void)error_set(&error, TENURE_ECLOCK, 0, "CLOCK_BOOTTIME or CLOCK_MONOTONIC_RAW cannot be read");
	voter_server_fail(s, &error);
	return false;
}

/* What strangers cause is told at a bounded rate. */
static void voter_server_log_peer(struct voter_server *s, int level, const char *format, ...)
        __attribute__((format(printf, 3, 4)));
static void voter_server_log_peer(struct voter_server *s, int level, const char *format, ...)
{
	uint64_t now_ns = clock_now_or_zero_ns();
	char text[400];
	va_list arguments;

	if (now_ns - s->log_from_ns > VOTER_SERVER_LOG_NS) {
		if (s->log_dropped > 0)
			log_write(&s->log, 4, "voter", "%u more messages about connections were not shown",
			          s->log_dropped);
		s->log_from_ns = now_ns;
		s->log_lines = s->log_dropped = 0;
	}
	if (s->log_lines == VOTER_SERVER_LOG_LINES) {
		s->log_dropped++;
		return;
	}
	s->log_lines++;
	va_start(arguments, format);
	/* The analyzer loses sight of va_start() when it looks in from a caller. NOLINTNEXTLINE(clang-analyzer-valist.*) */
	(void)vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	log_write(&s->log, level, "voter", "%s", text);
}

/* ---- connections ---- */

static void voter_server_keep(struct voter_server_peer *p, size_t n_bytes, uint64_t now_ns)
{
	struct voter_server *s = p->server;

	s->stats.kept_bytes += n_bytes;
	s->stats.kept_bytes -= p->kept_bytes;
	if (n_bytes == 0) {
		list_remove(&p->keeping);
	} else if (p->kept_bytes == 0) {
		p->kept_since_ns = now_ns;
		list_append(&s->keeping, &p->keeping);
	}
	p->kept_bytes = n_bytes;
}

/* R14: no lease ends by this. */
static void voter_server_close(struct voter_server_peer *p, const struct voter_now *now)
{
	struct voter_server *s = p->server;

	voter_server_keep(p, 0, now->at.boot_ns);
	voter_drop(s->voter, p->peer, *now);
	list_remove(&p->node);
	stream_free(p->stream);
	s->stats.n_connections--;
	free(p);
	loop_defer(s->loop, &s->settle);
}

/* Everything that it has to send, in one write. */
static void voter_server_send(struct voter_server_peer *p)
{
	struct wire_out *out = voter_peer_out(p->peer);

	wire_out_close(out);
	if (wire_out_pending(out) > 0)
		wire_out_sent(out, stream_send(p->stream, out->data + out->begin, wire_out_pending(out)));
}

static size_t voter_server_on_bytes(void *arg, const uint8_t *bytes, size_t n_bytes)
{
	struct voter_server_peer *p = arg;
	struct voter_server *s = p->server;
	struct tenure_error error = TENURE_ERROR_INIT;
	struct voter_now now;
	size_t n_consumed = 0, n_kept;
	int code;

	if (s->failed || !voter_server_now(s, &now))
		return 0;
	code = voter_receive(s->voter, p->peer, now, bytes, n_bytes, &n_consumed, &error);
	loop_defer(s->loop, &s->settle);
	if (code < 0) {
		s->stats.n_broken++;
		voter_server_log_peer(s, 4, "%s is closed: %s", stream_peer_name(p->stream), error.message);
		voter_server_send(p);
		voter_server_close(p, &now);
		return 0;
	}
	/* A frame that is whole again begins a new time. */
	if (n_consumed > 0)
		voter_server_keep(p, 0, now.at.boot_ns);
	n_kept = n_bytes - n_consumed;
	if (n_kept > 0 && n_kept < stream_kept_bytes(p->stream))
		n_kept = stream_kept_bytes(p->stream);
	voter_server_keep(p, n_kept, now.at.boot_ns);
	p->paused = code == VOTER_WAITS;
	stream_pause(p->stream, p->paused);
	return n_consumed;
}

static void voter_server_on_writable(void *arg)
{
	voter_server_send(arg);
}

static void voter_server_on_closed(void *arg, const struct tenure_error *error)
{
	struct voter_server_peer *p = arg;
	struct voter_now now;

	log_write(&p->server->log, 7, "voter", "%s", error->message);
	if (voter_server_now(p->server, &now))
		voter_server_close(p, &now);
}

static const struct stream_ops voter_server_ops = {
	.bytes = voter_server_on_bytes,
	.writable = voter_server_on_writable,
	.closed = voter_server_on_closed,
};

static void voter_server_on_accepted(void *arg, struct stream *stream)
{
	struct voter_server *s = arg;
	struct voter_server_peer *p = calloc(1, sizeof *p);
	struct voter_now now;

	s->stats.n_accepted++;
	if (p && !s->failed && voter_server_now(s, &now))
		p->peer = voter_accept(s->voter, p, now);
	if (!p || !p->peer) {
		s->stats.n_turned_away++;
		voter_server_log_peer(s, 4, "%s is turned away: there are %ju connections already, or no memory",
		                      stream_peer_name(stream), (uintmax_t)s->stats.n_connections);
		stream_free(stream);
		free(p);
		return;
	}
	p->server = s;
	p->stream = stream;
	list_init(&p->keeping);
	list_append(&s->peers, &p->node);
	s->stats.n_connections++;
	stream_take(stream, &voter_server_ops, p);
	log_write(&s->log, 7, "voter", "%s has connected", stream_peer_name(stream));
}

static void voter_server_on_trouble(void *arg, const struct tenure_error *error)
{
	struct voter_server *s = arg;

	if (error) {
		s->stats.n_accept_pauses++;
		voter_server_log_peer(s, 3, "%s", error->message);
	} else {
		voter_server_log_peer(s, 5, "connections are accepted again");
	}
}

/* ---- once a pass ---- */

static void voter_server_drop_slow(struct voter_server *s, const struct voter_now *now)
{
	LIST_EACH_SAFE (node, after, &s->keeping) {
		struct voter_server_peer *p = LIST_OF(node, struct voter_server_peer, keeping);
		bool late = !p->paused && now->at.boot_ns - p->kept_since_ns >= VOTER_SERVER_FRAME_LIMIT_NS;

		if (!late && s->stats.kept_bytes <= VOTER_SERVER_KEPT_MAX_BYTES)
			return;
		if (!late && p->paused && node->next != &s->keeping)
			continue; /* it is the disk that it waits for: others first */
		s->stats.n_slow++;
		voter_server_log_peer(s, 4, "%s is closed: %s", stream_peer_name(p->stream),
		                      late ? "it began a frame and did not end it"
		                           : "too many connections have begun frames and not ended them");
		voter_server_close(p, now);
	}
}

static void voter_server_close_wanted(struct voter_server *s, const struct voter_now *now)
{
	struct voter_peer *peer;

	while ((peer = voter_next_to_close(s->voter))) {
		struct voter_server_peer *p = voter_peer_user(peer);

		log_write(&s->log, 7, "voter", "%s is closed: a newer connection came, or it does not read",
		          stream_peer_name(p->stream));
		voter_server_send(p);
		voter_server_close(p, now);
	}
}

static void voter_server_send_all(struct voter_server *s, const struct voter_now *now)
{
	struct voter_peer *peer;

	while ((peer = voter_next_to_send(s->voter))) {
		struct voter_server_peer *p = voter_peer_user(peer);

		if (voter_peer_out(peer)->failed) {
			voter_server_log_peer(s, 3, "%s is closed: no memory for what it has to be told",
			                      stream_peer_name(p->stream));
			voter_server_close(p, now);
		} else {
			voter_server_send(p);
		}
	}
}

static void voter_server_use_disk(struct voter_server *s, const struct voter_now *now)
{
	static const char *const slow =
	        "the disk has not answered for a second; votes go on until the ceiling is reached";
	struct voter_writer_stats disk;
	struct superblock next;

	voter_writer_read_stats(s->writer, &disk);
	if (disk.busy_since_ns == 0) {
		if (voter_wants_disk(s->voter, &next))
			voter_writer_write(s->writer, &next);
	} else if (!s->told_slow && now->at.boot_ns - disk.busy_since_ns >= VOTER_SERVER_DISK_SLOW_NS) {
		s->told_slow = true;
		log_write(&s->log, 4, "voter", "%s", slow);
	}
}

static void voter_server_look_at_hold(struct voter_server *s, const struct voter_now *now)
{
	struct voter_stats stats;

	if (!s->in_hold && s->told_terms)
		return;
	voter_read_stats(s->voter, *now, &stats);
	if (s->in_hold && stats.hold_left_ns == 0) {
		s->in_hold = false;
		log_write(&s->log, 5, "voter", "the hold is over: votes are given again");
	}
	if (!s->told_terms && stats.ceiling > VOTER_SERVER_TERM_ALARM) {
		s->told_terms = true;
		log_write(&s->log, 3, "voter",
		          "more than half of all terms are used up: plan a new epoch ('tenure server init --epoch')");
	}
}

static void voter_server_arm(struct voter_server *s, const struct voter_now *now)
{
	uint64_t at_ns = voter_next_ns(s->voter), also_ns = NS_NEVER;
	struct voter_writer_stats disk;

	voter_writer_read_stats(s->writer, &disk);
	if (disk.busy_since_ns != 0 && !s->told_slow)
		also_ns = disk.busy_since_ns + VOTER_SERVER_DISK_SLOW_NS;
	LIST_EACH (node, &s->keeping) {
		struct voter_server_peer *p = LIST_OF(node, struct voter_server_peer, keeping);

		if (p->paused)
			continue;
		if (p->kept_since_ns + VOTER_SERVER_FRAME_LIMIT_NS < also_ns)
			also_ns = p->kept_since_ns + VOTER_SERVER_FRAME_LIMIT_NS;
		break;
	}
	/* An end that one clock has passed and the other has not (R2) must not make the loop spin. */
	if (at_ns <= now->at.boot_ns)
		at_ns = now->at.boot_ns + CLOCK_NS_PER_MS;
	loop_timer_arm(&s->timer, at_ns < also_ns ? at_ns : also_ns);
}

static void voter_server_settle(void *arg)
{
	struct voter_server *s = arg;
	struct voter_now now;

	if (s->failed || !voter_server_now(s, &now))
		return;
	voter_server_use_disk(s, &now);
	voter_server_drop_slow(s, &now);
	voter_server_close_wanted(s, &now);
	voter_server_send_all(s, &now);
	voter_server_look_at_hold(s, &now);
	voter_server_arm(s, &now);
}

static void voter_server_on_timer(void *arg)
{
	struct voter_server *s = arg;
	struct voter_now now;

	if (s->failed || !voter_server_now(s, &now))
		return;
	voter_tick(s->voter, now);
	loop_defer(s->loop, &s->settle);
}

static void voter_server_on_disk(void *arg, int code, const struct tenure_error *error)
{
	struct voter_server *s = arg;
	struct voter_now now;

	if (code != 0) { /* R27 */
		voter_server_fail(s, error);
		return;
	}
	if (s->failed || !voter_server_now(s, &now))
		return;
	if (s->told_slow)
		log_write(&s->log, 5, "voter", "the disk answers again");
	s->told_slow = false;
	voter_on_disk(s->voter, now);
	/* R22: what waited is processed as if it had just come. */
	LIST_EACH (node, &s->peers) {
		struct voter_server_peer *p = LIST_OF(node, struct voter_server_peer, node);

		if (p->paused && !voter_peer_waits(p->peer)) {
			p->paused = false;
			p->kept_since_ns = now.at.boot_ns;
			stream_pause(p->stream, false);
		}
	}
	loop_defer(s->loop, &s->settle);
}

/* ---- start and stop ---- */

/* The store's own address, from its own configuration: nobody has to say it twice. */
static int voter_server_listen(struct voter_server *s, const struct voter_server_settings *settings,
                               struct tenure_error *error)
{
	struct superblock *own = calloc(1, sizeof *own);
	struct tenure_error taken = TENURE_ERROR_INIT;
	const char *address = NULL;
	int code, i;

	if (!own)
		return error_set(error, TENURE_ENOMEM, 0, "no memory for the store's superblock");
	code = voter_disk_look(own, settings->directory, error);
	if (code != 0)
		goto out;
	i = quorum_config_find(&own->config, &own->vid);
	if (i >= 0)
		address = own->config.members[i].address;
	if (!address)
		code = error_set(error, TENURE_EUNSAFE, 0, "%.150s: this voter is no member of its configuration",
		                 settings->directory);
	else if (!settings->insecure && !stream_is_loopback(address))
		code = error_set(
		        error, TENURE_EUNSAFE, 0,
		        "%.100s is off loopback, and connections are neither encrypted nor authenticated: "
		        "whoever can reach it can lead. Say --insecure where the network itself keeps others out",
		        address);
	else
		code = stream_listen(&s->listener, s->loop, address, QUORUM_DEFAULT_PORT, voter_server_on_accepted, s,
		                     error);
	/* The same voter, started twice: say that, rather than that its address is taken. */
	if (code == TENURE_EIO && voter_disk_in_use(settings->directory, &taken) == TENURE_EEXIST) {
		error_copy(error, &taken);
		code = TENURE_EEXIST;
	}
out:
	free(own);
	return code;
}

static int voter_server_begin(struct voter_server *s, const struct voter_server_settings *settings,
                              struct tenure_error *error)
{
	struct voter_settings start = { .limits = settings->limits };
	const char *why = NULL;
	struct voter_now now;
	int code;

	start.durable = voter_disk_superblock(s->disk);
	(void)snprintf(s->name, sizeof s->name, "%s", start.durable->name);
	start.start = voter_disk_start(s->disk, &why);
	start.snapshot = voter_disk_snapshot(s->disk, &start.n_snapshot_bytes);
	if (why)
		log_write(&s->log, 4, "voter", "the clean stop before is lost: %s", why);
	if (random_bytes(start.hash_seed, sizeof start.hash_seed) != 0)
		return error_set(error, TENURE_EINTERNAL, 0, "the kernel gives no random bytes");
	if (!voter_server_now(s, &now)) {
		error_copy(error, &s->why);
		return s->why.code;
	}
	code = voter_new(&s->voter, &start, now);
	voter_disk_forget_snapshot(s->disk);
	if (code == TENURE_EFOREIGN)
		log_write(&s->log, 4, "voter", "the snapshot of the clean stop before is damaged: an unclean start");
	else if (code != 0)
		return error_set(error, code, 0, "no memory for the voter");
	if (settings->max_ttl_ms != 0 && settings->max_ttl_ms != start.durable->max_ttl_ms)
		voter_set_max_ttl(s->voter, settings->max_ttl_ms,
		                  settings->max_ttl_ms / 4 < QUORUM_DEFAULT_MAX_TTL_V_MS ? settings->max_ttl_ms / 4
		                                                                         : QUORUM_DEFAULT_MAX_TTL_V_MS,
		                  now);
	return 0;
}

static uint64_t voter_server_whole_ms(uint64_t ns)
{
	return (ns + CLOCK_NS_PER_MS - 1) / CLOCK_NS_PER_MS * CLOCK_NS_PER_MS;
}

static void voter_server_announce(struct voter_server *s)
{
	static const char *const how[] = { "", "first start", "after a clean stop", "after an unclean stop" };
	const struct superblock *own = voter_disk_superblock(s->disk);
	const char *why;
	enum voter_start start = voter_disk_start(s->disk, &why);
	struct voter_server_stats stats;
	char cluster[33], hold[32], quiet[32];

	for (size_t i = 0; i < sizeof own->cluster.bytes; i++)
		(void)snprintf(cluster + 2 * i, 3, "%02x", own->cluster.bytes[i]);
	voter_server_read_stats(s, &stats);
	s->in_hold = stats.voter.hold_left_ns > 0;
	log_write(&s->log, 5, "voter", "voter %s serves at %s: cluster %s, epoch %u, run %u, %s", own->name,
	          stream_listener_name(s->listener), cluster, own->epoch, own->run, how[start]);
	if (s->in_hold || stats.voter.quiet_left_ns > 0)
		log_write(&s->log, 5, "voter", "in its hold: renewals are taken in %s, votes given in %s",
		          text_from_duration(voter_server_whole_ms(stats.voter.quiet_left_ns), quiet, sizeof quiet),
		          text_from_duration(voter_server_whole_ms(stats.voter.hold_left_ns), hold, sizeof hold));
}

int voter_server_new(struct voter_server **out, struct loop *l, const struct voter_server_settings *settings,
                     struct tenure_error *error)
{
	struct voter_server *s = calloc(1, sizeof *s);
	int code;

	if (!s)
		return error_set(error, TENURE_ENOMEM, 0, "no memory for a voter");
	*s = (struct voter_server) { .loop = l, .log = settings->log, .why = TENURE_ERROR_INIT };
	list_init(&s->peers);
	list_init(&s->keeping);
	loop_timer_init(l, &s->timer, voter_server_on_timer, s);
	loop_deferred_init(&s->settle, voter_server_settle, s);
	/* Before the run begins: a start that is refused must not cost the clean stop before it. */
	code = voter_server_listen(s, settings, error);
	if (code == 0)
		code = voter_disk_open(&s->disk, settings->directory, settings->allow_memory, error);
	if (code == 0)
		code = voter_writer_new(&s->writer, l, s->disk, voter_server_on_disk, s, error);
	if (code == 0)
		code = voter_server_begin(s, settings, error);
	if (code != 0) {
		voter_server_free(s);
		return code;
	}
	stream_listener_on_trouble(s->listener, voter_server_on_trouble);
	voter_server_announce(s);
	loop_defer(l, &s->settle);
	*out = s;
	return 0;
}

/* Nothing is said to anybody any more. */
static void voter_server_hang_up(struct voter_server *s)
{
	loop_timer_disarm(&s->timer);
	loop_undefer(&s->settle);
	stream_listener_free(s->listener);
	s->listener = NULL;
	LIST_EACH_SAFE (node, after, &s->peers) {
		struct voter_server_peer *p = LIST_OF(node, struct voter_server_peer, node);

		stream_free(p->stream);
		list_remove(&p->node);
		free(p);
	}
}

int voter_server_stop(struct voter_server *s, struct tenure_error *error)
{
	struct voter_now now;
	uint8_t *snapshot = NULL;
	size_t n_bytes = 0;
	int code;

	/* R25: the snapshot first, so that nothing is answered after it. */
	if (!s->failed && voter_server_now(s, &now))
		snapshot = voter_freeze(s->voter, now, &n_bytes);
	voter_server_hang_up(s);
	code = voter_writer_end(s->writer, VOTER_SERVER_DISK_END_NS, error);
	if (code == TENURE_TIMEOUT) {
		/* The thread is in the disk still. */
		s->writer = NULL;
		s->disk = NULL;
	}
	if (code == 0 && s->failed) {
		error_copy(error, &s->why);
		code = s->why.code;
	} else if (code == 0 && !snapshot) {
		code = error_set(error, TENURE_ENOMEM, 0,
		                 "no memory for the snapshot: the next start is an unclean one");
	} else if (code == 0) {
		code = voter_disk_finish(s->disk, snapshot, n_bytes, error);
	}
	free(snapshot);
	voter_writer_free(s->writer);
	s->writer = NULL;
	return code;
}

void voter_server_free(struct voter_server *s)
{
	struct tenure_error error = TENURE_ERROR_INIT;

	if (!s)
		return;
	voter_server_hang_up(s);
	if (s->writer && voter_writer_end(s->writer, VOTER_SERVER_DISK_END_NS, &error) == TENURE_TIMEOUT)
		s->writer = NULL, s->disk = NULL;
	voter_writer_free(s->writer);
	voter_free(s->voter);
	voter_disk_close(s->disk);
	free(s);
}

bool voter_server_has_failed(const struct voter_server *s, struct tenure_error *error)
{
	if (s->failed)
		error_copy(error, &s->why);
	return s->failed;
}

const char *voter_server_name(const struct voter_server *s)
{
	return s->name;
}

const char *voter_server_address(const struct voter_server *s)
{
	return stream_listener_name(s->listener);
}

void voter_server_read_stats(const struct voter_server *s, struct voter_server_stats *out)
{
	struct voter_now now = { .unix_ms = 0 };

	*out = s->stats;
	(void)clock_pair_ns(&now.at.boot_ns, &now.at.raw_ns);
	voter_read_stats(s->voter, now, &out->voter);
	voter_writer_read_stats(s->writer, &out->disk);
}
