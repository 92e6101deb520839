/* SPDX-License-Identifier: Apache-2.0 */
/* A candidate core with its connections, its timer and its clock: bytes in and out, nothing of elections. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/random.h"
#include "quorum/quorum_store.h"

struct candidate_now quorum_now(void)
{
	struct candidate_now now = { .unix_ms = (uint64_t)(clock_unix_ns() / (int64_t)CLOCK_NS_PER_MS) };

	/* A clock that can't be read any more: every lease counts as over. */
	if (clock_pair_ns(&now.at.boot_ns, &now.at.raw_ns) != 0)
		now.at = INSTANT_NEVER;
	return now;
}

/* ---- one connection ---- */

static void quorum_link_drop(struct quorum_link *link)
{
	stream_free(link->stream);
	link->stream = NULL;
	link->open = link->full = false;
}

static void quorum_link_lost(struct quorum_link *link, const struct tenure_error *error)
{
	quorum_link_drop(link);
	candidate_disconnected(link->core->candidate, link->voter, quorum_now(), error);
}

static void quorum_link_on_opened(void *arg)
{
	struct quorum_link *link = arg;

	link->open = true;
	candidate_connected(link->core->candidate, link->voter, quorum_now());
	quorum_core_settle(link->core);
}

static size_t quorum_link_on_bytes(void *arg, const uint8_t *bytes, size_t n_bytes)
{
	struct quorum_link *link = arg;
	struct quorum_store *s = link->core->store;
	struct tenure_error error = TENURE_ERROR_INIT;
	size_t n_consumed = 0;

	/* R3, R20: the clock after the bytes */
	if (candidate_receive(link->core->candidate, link->voter, quorum_now(), bytes, n_bytes, &n_consumed, &error) <
	    0)
		log_write(&s->log, 3, "quorum", "voter %s: %s", s->addresses[link->voter], error.message);
	quorum_core_settle(link->core);
	return n_consumed;
}

static void quorum_link_on_writable(void *arg)
{
	struct quorum_link *link = arg;

	link->full = false;
	loop_defer(link->core->store->loop, &link->core->send);
}

static const char *quorum_link_without_name(const struct quorum_link *link, const char *message)
{
	const char *name = link->core->store->addresses[link->voter];
	size_t length = strlen(name);

	if (strncmp(message, name, length) != 0 || message[length] == '\0')
		return message;
	message += length;
	return message + strspn(message, ": ");
}

static void quorum_link_on_closed(void *arg, const struct tenure_error *error)
{
	struct quorum_link *link = arg;
	struct tenure_error why = TENURE_ERROR_INIT;
	char words[96];

	/* The core names the voter itself: three of them have to fit into one message. */
	if (error->os_errno != 0)
		(void)error_set(&why, error->code, 0, "%s", strerror_r(error->os_errno, words, sizeof words));
	else
		(void)error_set(&why, error->code, 0, "%s", quorum_link_without_name(link, error->message));
	quorum_link_lost(link, &why);
	quorum_core_settle(link->core);
}

static const struct stream_ops quorum_link_ops = {
	.opened = quorum_link_on_opened,
	.bytes = quorum_link_on_bytes,
	.writable = quorum_link_on_writable,
	.closed = quorum_link_on_closed,
};

static void quorum_link_connect(struct quorum_link *link)
{
	struct quorum_store *s = link->core->store;
	struct tenure_error error = TENURE_ERROR_INIT;

	quorum_link_drop(link);
	if (stream_connect(&link->stream, s->loop, s->addresses[link->voter], QUORUM_DEFAULT_PORT, &quorum_link_ops,
	                   link, &error) == 0)
		return;
	link->stream = NULL;
	quorum_link_lost(link, &error);
}

static void quorum_link_send(struct quorum_link *link)
{
	struct tenure_error error = TENURE_ERROR_INIT;
	struct wire_out *out;
	size_t pending, sent;

	if (!link->open || link->full)
		return;
	out = candidate_out(link->core->candidate, link->voter);
	if (!out)
		return;
	wire_out_close(out);
	if (out->failed) {
		(void)error_set(&error, TENURE_ENOMEM, 0, "no memory for what is to be sent");
		quorum_link_lost(link, &error);
		return;
	}
	pending = wire_out_pending(out);
	if (pending == 0)
		return;
	sent = stream_send(link->stream, out->data + out->begin, pending);
	wire_out_sent(out, sent);
	link->full = sent < pending;
}

/* ---- the core ---- */

static bool quorum_core_command(struct quorum_core *core)
{
	struct candidate_command command;

	if (!candidate_next_command(core->candidate, &command))
		return false;
	if (command.kind == CANDIDATE_CONNECT)
		quorum_link_connect(&core->links[command.voter]);
	else
		quorum_link_drop(&core->links[command.voter]);
	return true;
}

static bool quorum_core_event(struct quorum_core *core)
{
	struct candidate_event event;

	if (!candidate_next_event(core->candidate, &event))
		return false;
	quorum_store_on_event(core, &event);
	return true;
}

void quorum_core_settle(struct quorum_core *core)
{
	while (quorum_core_command(core) || quorum_core_event(core))
		;
	loop_timer_arm(&core->timer, candidate_next_ns(core->candidate));
	loop_defer(core->store->loop, &core->send);
}

static void quorum_core_on_timer(void *arg)
{
	struct quorum_core *core = arg;

	if (!core->observer)
		quorum_store_look_at_clocks(core->store);
	candidate_tick(core->candidate, quorum_now());
	quorum_core_settle(core);
}

/* One write for all that this pass of the loop had to say to a voter. */
static void quorum_core_on_send(void *arg)
{
	struct quorum_core *core = arg;
	bool more = false;

	for (unsigned i = 0; i < core->store->n_addresses; i++)
		quorum_link_send(&core->links[i]);
	while (quorum_core_command(core) || quorum_core_event(core))
		more = true; /* a connection broke */
	loop_timer_arm(&core->timer, candidate_next_ns(core->candidate));
	if (more)
		loop_defer(core->store->loop, &core->send);
}

void quorum_core_init(struct quorum_core *core, struct quorum_store *store, bool observer)
{
	*core = (struct quorum_core) { .store = store, .observer = observer };
	core->why.struct_size = sizeof core->why;
	for (unsigned i = 0; i < QUORUM_MAX_VOTERS; i++)
		core->links[i] = (struct quorum_link) { .core = core, .voter = i };
	loop_timer_init(store->loop, &core->timer, quorum_core_on_timer, core);
	loop_deferred_init(&core->send, quorum_core_on_send, core);
}

int quorum_core_make(struct quorum_core *core, struct tenure_error *error)
{
	struct quorum_store *s = core->store;
	struct candidate_settings settings = {
		.inc = s->inc,
		.label = s->id,
		.n_addresses = s->n_addresses,
		.addresses = (const char(*)[QUORUM_ADDRESS_ROOM])s->addresses,
		.ttl_ns = s->ttl_ns,
		.rate_error_ppm = s->rate_error_ppm,
		.observer = core->observer,
	};
	int code;

	if (core->candidate)
		return 0;
	/* Who only looks has an incarnation of its own: its connections are no newer ones of the session's (R28). */
	if (random_u64(&settings.seed) != 0 ||
	    (core->observer && random_bytes(settings.inc.bytes, sizeof settings.inc.bytes) != 0))
		return error_set(error, TENURE_EINTERNAL, 0, "the kernel gives no random bytes");
	code = candidate_new(&core->candidate, &settings, quorum_now());
	explicit_bzero(settings.inc.bytes, sizeof settings.inc.bytes);
	if (code != 0)
		return error_set(error, code, 0, "cannot begin with %u voters: %s", s->n_addresses,
		                 tenure_strerror(code));
	return 0;
}

void quorum_core_close(struct quorum_core *core)
{
	if (!core->candidate)
		return;
	loop_undefer(&core->send);
	for (unsigned i = 0; i < core->store->n_addresses; i++) {
		quorum_link_send(&core->links[i]);
		quorum_link_drop(&core->links[i]);
	}
	loop_timer_disarm(&core->timer);
	candidate_free(core->candidate);
	core->candidate = NULL;
}

void quorum_core_forked(struct quorum_core *core)
{
	if (!core->candidate)
		return;
	for (unsigned i = 0; i < core->store->n_addresses; i++)
		stream_forked(core->links[i].stream);
	candidate_forget(core->candidate);
}

struct quorum_core *quorum_core_of(struct quorum_store *s)
{
	return s->session.candidate ? &s->session : &s->observer;
}
