/* SPDX-License-Identifier: Apache-2.0 */
#include "quorum/quorum_store.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/text.h"

/* ---- the URL ---- */

static int quorum_store_setting(const struct store_pair *pair, struct tenure_error *error)
{
	static const char *const later[] = { "ca", "cert", "key", "user", "password-file" };

	for (size_t i = 0; i < sizeof later / sizeof later[0]; i++)
		if (strcmp(pair->key, later[i]) == 0)
			return error_set(
			        error, TENURE_EUNSUPPORTED, 0,
			        "the quorum store of this version has no TLS and no users yet: %s= cannot be used",
			        pair->key);
	return error_set(
	        error, TENURE_EURL, 0,
	        "the quorum store has no setting '%.60s'; it will have ca, cert, key, user, password-file, and has "
	        "none in this version",
	        pair->key);
}

static int quorum_store_bad_address(const struct quorum_store *s, const char *address, const char *what,
                                    struct tenure_error *error)
{
	return error_set(error, TENURE_EURL, 0,
	                 "malformed store URL: voter %u ('%.80s') %s; write quorum://HOST:PORT,HOST:PORT,HOST:PORT",
	                 s->n_addresses + 1, address, what);
}

/* "host:port" as it is kept and compared: lower case, the port always there, IPv6 in brackets. */
static bool quorum_store_canonical(const char *address, char out[QUORUM_ADDRESS_ROOM])
{
	char host[STREAM_ADDRESS_ROOM];
	uint16_t port;
	struct buf b;

	if (!stream_split_address(address, QUORUM_DEFAULT_PORT, host, &port) || port == 0)
		return false;
	buf_init(&b, out, QUORUM_ADDRESS_ROOM);
	if (strchr(host, ':'))
		buf_char(&b, '[');
	for (const char *c = host; *c; c++)
		buf_char(&b, *c >= 'A' && *c <= 'Z' ? (char)(*c - 'A' + 'a') : *c);
	if (strchr(host, ':'))
		buf_char(&b, ']');
	buf_char(&b, ':');
	buf_u64(&b, port);
	return !b.overflow;
}

static int quorum_store_address(struct quorum_store *s, const char *text, size_t length, struct tenure_error *error)
{
	char address[QUORUM_ADDRESS_ROOM], canonical[QUORUM_ADDRESS_ROOM];

	if (s->n_addresses == QUORUM_MAX_VOTERS)
		return error_set(error, TENURE_EURL, 0, "malformed store URL: more than %d voters", QUORUM_MAX_VOTERS);
	if (length >= sizeof address) {
		memcpy(address, text, sizeof address - 1);
		address[sizeof address - 1] = '\0';
		return quorum_store_bad_address(s, address, "is too long", error);
	}
	memcpy(address, text, length);
	address[length] = '\0';
	if (length == 0)
		return quorum_store_bad_address(s, address, "is empty", error);
	if (!quorum_store_canonical(address, canonical))
		return quorum_store_bad_address(s, address, "is no address", error);
	for (unsigned i = 0; i < s->n_addresses; i++)
		if (strcmp(s->addresses[i], canonical) == 0)
			return quorum_store_bad_address(s, address, "is there twice", error);
	memcpy(s->addresses[s->n_addresses++], canonical, sizeof canonical);
	s->remote = s->remote || !stream_is_loopback(canonical);
	return 0;
}

static int quorum_store_addresses(struct quorum_store *s, const char *path, struct tenure_error *error)
{
	for (;;) {
		size_t length = strcspn(path, ",");
		int code = quorum_store_address(s, path, length, error);

		if (code != 0 || path[length] == '\0')
			return code;
		path += length + 1;
	}
}

/* ---- timing ---- */

static void quorum_store_timing_of(const struct quorum_store *s, uint64_t ttl_ns, struct lease_timing *t)
{
	*t = (struct lease_timing) {
		.ttl_ns = ttl_ns,
		.rate_error_ppm = s->rate_error_ppm,
		.heartbeat_ns = ttl_ns / 4,
		.retry_ns = ttl_ns / 20,
	};
}

static int quorum_store_timing(const struct store *store, struct lease_timing *out)
{
	const struct quorum_store *s = (const struct quorum_store *)store;
	struct candidate_facts facts = { 0 };

	if (s->session.candidate)
		candidate_read_facts(s->session.candidate, &facts);
	quorum_store_timing_of(s, facts.ttl_ns > 0 ? facts.ttl_ns : s->ttl_ns, out);
	/* The measured round trip is left out: settings are refused for what they say, never for a slow moment. */
	if (facts.ttl_ns > 0 && facts.heartbeat_ns > 0)
		out->heartbeat_ns = facts.heartbeat_ns;
	return 0;
}

static uint64_t quorum_store_ttl_ns(const struct store *store)
{
	return atomic_load(&((const struct quorum_store *)store)->granted_ttl_ns);
}

static int quorum_store_times(struct quorum_store *s, const struct tenure_options *o, struct tenure_error *error)
{
	char message[sizeof error->message], text[48];
	struct lease_timing timing;

	s->ttl_given = o->ttl_ns != 0;
	s->ttl_ns = s->ttl_given ? o->ttl_ns : QUORUM_DEFAULT_TTL_NS;
	s->rate_error_ppm = o->rate_error_ppm ? o->rate_error_ppm : LEASE_RATE_ERROR_PPM;
	if (s->ttl_ns < QUORUM_MIN_TTL_MS * QUORUM_NS_PER_MS || s->ttl_ns > UINT32_MAX * QUORUM_NS_PER_MS)
		return error_set(error, TENURE_EUNSAFE, 0,
		                 "unsafe timings: a ttl of %s; the quorum store has %u ms to the voters' max_ttl",
		                 text_from_duration(s->ttl_ns, text, sizeof text), QUORUM_MIN_TTL_MS);
	quorum_store_timing_of(s, s->ttl_ns, &timing);
	if (!lease_is_safe(&timing, message, sizeof message))
		return error_set(error, TENURE_EUNSAFE, 0, "%s", message);
	return 0;
}

/* What is more than the voters grant would silently be less: whoever asked for it is told. */
static bool quorum_store_ttl_fits(struct quorum_core *core)
{
	const struct quorum_store *s = core->store;
	char asked[48], most[48];
	struct candidate_facts facts;
	uint64_t max_ns;

	candidate_read_facts(core->candidate, &facts);
	max_ns = facts.max_ttl_ms * QUORUM_NS_PER_MS;
	if (core->observer || !s->ttl_given || max_ns == 0 || s->ttl_ns <= max_ns)
		return true;
	(void)error_set(&core->why, TENURE_EUNSAFE, 0,
	                "unsafe timings: ttl <= max_ttl is broken: a ttl of %s is above the voters' max_ttl of %s",
	                text_from_duration(s->ttl_ns, asked, sizeof asked),
	                text_from_duration(max_ns, most, sizeof most));
	return false;
}

/* ---- what the core tells of the store as a whole ---- */

static void quorum_store_health(struct quorum_core *core, enum tenure_health health, const struct tenure_error *error)
{
	struct quorum_store *s = core->store;
	enum tenure_health was = core->health;

	if (was == health)
		return;
	core->health = health;
	if (core != quorum_core_of(s))
		return; /* the session's own counts */
	if (core->observer || core->failed != 0)
		; /* whoever asked gets the error itself */
	else if (health == TENURE_DEGRADED)
		log_write(&s->log, 4, "quorum", "degraded: %s", error ? error->message : "too few voters answer");
	else if (was == TENURE_DEGRADED) /* who was warned is told that it is over */
		log_write(&s->log, 5, "quorum", "recovered: a majority of the voters answers");
	else
		log_write(&s->log, 6, "quorum", "healthy: a majority of the voters answers");
	s->sink->health(s->client, health, error);
}

static void quorum_store_fail(struct quorum_core *core, int code)
{
	core->failed = code;
	core->reached = false;
	quorum_store_health(core, TENURE_DEGRADED, &core->why);
	quorum_view_fail(core, code, &core->why);
	if (!core->observer)
		quorum_seats_tell(core->store);
}

static void quorum_store_reached(struct quorum_core *core, bool reached, const struct tenure_error *error)
{
	if (core->failed != 0)
		return;
	core->reached = reached;
	error_clear(&core->why);
	if (error)
		error_copy(&core->why, error);
	if (reached && !quorum_store_ttl_fits(core)) {
		quorum_store_fail(core, TENURE_EUNSAFE);
		return;
	}
	if (!reached)
		quorum_store_health(core, TENURE_DEGRADED, &core->why);
	if (!core->observer)
		quorum_seats_tell(core->store);
}

static void quorum_store_granted(struct quorum_core *core)
{
	struct candidate_facts facts;

	candidate_read_facts(core->candidate, &facts);
	if (!core->observer && facts.ttl_ns > 0)
		atomic_store(&core->store->granted_ttl_ns, facts.ttl_ns);
}

void quorum_store_on_event(struct quorum_core *core, const struct candidate_event *event)
{
	switch (event->kind) {
	case CANDIDATE_REACHED:
	case CANDIDATE_UNREACHED:
		quorum_store_reached(core, event->kind == CANDIDATE_REACHED, event->error);
		return;
	case CANDIDATE_HEALTH:
		if (core->failed == 0)
			quorum_store_health(core, event->health, event->error);
		return;
	case CANDIDATE_FAILED:
		if (core->failed != 0)
			return;
		if (event->error)
			error_copy(&core->why, event->error);
		quorum_store_fail(core, event->code);
		return;
	case CANDIDATE_CHANGED:
	case CANDIDATE_READ:
	case CANDIDATE_LISTED:
	case CANDIDATE_LIST_END:
	case CANDIDATE_ASK_ANSWER:
		quorum_view_on_event(core, event);
		return;
	default:
		if (event->kind == CANDIDATE_GRANTED || event->kind == CANDIDATE_RENEWED)
			quorum_store_granted(core);
		quorum_seat_on_event(core, event);
		return;
	}
}

/* ---- the host's clocks (R2) ---- */

static void quorum_store_clock_verdict(struct quorum_store *s)
{
	struct tenure_error error = TENURE_ERROR_INIT;
	char text[sizeof error.message];

	if (!s->session.candidate || s->rates.fault == s->clock_fault)
		return;
	s->clock_fault = s->rates.fault;
	if (s->clock_fault == RATE_WATCH_OK) {
		log_write(&s->log, 5, "quorum", "this host's clocks run within the bound again");
		candidate_set_clock_fault(s->session.candidate, NULL, quorum_now());
		return;
	}
	(void)error_set(&error, TENURE_ECLOCK, 0, "%s", rate_watch_explain(&s->rates, text, sizeof text));
	log_write(&s->log, 2, "quorum", "%s", error.message);
	candidate_set_clock_fault(s->session.candidate, &error, quorum_now());
}

void quorum_store_look_at_clocks(struct quorum_store *s)
{
	uint64_t now_ns = clock_now_or_zero_ns();
	struct rate_watch_reading reading;
	struct clock_rates r;

	/* Timers of campaigns may come in fast succession; what matters is each round of renewals. */
	if (now_ns - s->rates_at_ns < s->ttl_ns / 16)
		return;
	s->rates_at_ns = now_ns;
	if (clock_read_rates(&r) != 0)
		return; /* nothing is believed then: quorum_now() */
	reading = (struct rate_watch_reading) {
		.boot_ns = r.boot_ns,
		.mono_ns = r.mono_ns,
		.raw_ns = r.raw_ns,
		.spread_ns = r.spread_ns,
		.has_slew = r.has_slew,
		.slew_ppb = r.slew_ppb,
	};
	(void)rate_watch_step(&s->rates, &reading);
	quorum_store_clock_verdict(s);
}

/* ---- the session ---- */

static int quorum_store_settings(struct quorum_store *s, const struct store_settings *settings,
                                 struct tenure_error *error)
{
	const struct tenure_options *o = settings->options;
	int code;

	if (o->ca_file || o->cert_file || o->key_file || o->user || o->password_file)
		return error_set(
		        error, TENURE_EUNSUPPORTED, 0,
		        "the quorum store of this version has no TLS and no users yet: leave out ca, cert, key, "
		        "user and password");
	if (settings->n_query > 0)
		return quorum_store_setting(&settings->query[0], error);
	code = quorum_store_addresses(s, settings->path, error);
	return code != 0 ? code : quorum_store_times(s, o, error);
}

static int quorum_store_open(struct store **out, const struct store_settings *settings, const struct store_sink *sink,
                             void *client, struct tenure_error *error)
{
	struct quorum_store *s = calloc(1, sizeof *s);
	int code;

	if (!s)
		return error_set(error, TENURE_ENOMEM, 0, "no memory for a session");
	s->loop = settings->loop;
	s->log = settings->log;
	s->sink = sink;
	s->client = client;
	memcpy(s->id, settings->id, strlen(settings->id) + 1);
	memcpy(s->inc.bytes, settings->incarnation, sizeof s->inc.bytes);
	list_init(&s->seats);
	list_init(&s->watches);
	list_init(&s->calls);
	quorum_core_init(&s->session, s, false);
	quorum_core_init(&s->observer, s, true);
	code = quorum_store_settings(s, settings, error);
	if (code != 0) {
		free(s);
		return code;
	}
	rate_watch_init(&s->rates, s->rate_error_ppm);
	*out = (struct store *)s;
	return 0;
}

static void quorum_store_start(struct store *store)
{
	struct quorum_store *s = (struct quorum_store *)store;

	if (s->remote)
		log_write(&s->log, 4, "quorum",
		          "voters are reached over a network without TLS: only where everybody on it is trusted");
	quorum_store_look_at_clocks(s);
}

static void quorum_store_close(struct store *store)
{
	struct quorum_store *s = (struct quorum_store *)store;

	quorum_core_close(&s->session);
	quorum_core_close(&s->observer);
	quorum_view_close(s);
	explicit_bzero(s->inc.bytes, sizeof s->inc.bytes);
	free(s);
}

/* R1: what the child has of the incarnation is wiped, and no connection of its parent stays open in it. */
static void quorum_store_forked(struct store *store)
{
	struct quorum_store *s = (struct quorum_store *)store;

	explicit_bzero(s->inc.bytes, sizeof s->inc.bytes);
	quorum_core_forked(&s->session);
	quorum_core_forked(&s->observer);
}

const struct store_ops quorum_store_ops = {
	.scheme = "quorum",
	.capabilities = STORE_CAN_LIST | STORE_CAN_ASK | STORE_CAN_PRIORITY | STORE_CAN_VALUE | STORE_CAN_OBSERVE,
	.open = quorum_store_open,
	.close = quorum_store_close,
	.start = quorum_store_start,
	.ttl_ns = quorum_store_ttl_ns,
	.timing = quorum_store_timing,
	.take_seat = quorum_seat_take,
	.begin = quorum_seat_begin,
	.join = quorum_seat_join,
	.leave = quorum_seat_leave,
	.release = quorum_seat_release,
	.set_value = quorum_seat_set_value,
	.free_seat = quorum_seat_free,
	.read = quorum_view_read,
	.list = quorum_view_list,
	.ask = quorum_view_ask,
	.observe = quorum_view_observe,
	.unobserve = quorum_view_unobserve,
	.forked = quorum_store_forked,
};
