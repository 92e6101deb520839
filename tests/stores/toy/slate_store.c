/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A store for tests alone: leases with an end, among the processes of one host, each election a small file in a directory
 * that whoever asks takes an exclusive flock() on. No queue: whoever looks first has it. slate:DIR, and in the query:
 *
 *  first=DUR    the first lease of a tenure is this short, as that of a vote is; a renewal follows at once
 *  max=DUR      no lease is longer, whatever was asked for; it is said only with the first grant
 *  stall=DUR    nothing is renewed from that long after the grant on; 0s: nothing ever
 *
 * While a file DIR/cut-ID exists, the candidate with that label is cut off from the store: nothing is renewed, granted
 * or released for it. slate_record is also read by tests/e2e/test_run_deadline.py.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/text.h"
#include "elector/lease.h"
#include "elector/store.h"
#include "loop/loop.h"

#define SLATE_TTL_NS  CLOCK_NS_PER_S
#define SLATE_LOOK_NS (5 * CLOCK_NS_PER_MS)

struct slate_record {
	uint64_t token;       /* given last */
	uint64_t ends_ns;     /* of the holder's lease; 0: nobody leads */
	uint64_t provable_ns; /* E, as the holder counts it */
	uint64_t released_ns; /* when the token was given back; 0: it was not */
	uint64_t taken_ns;    /* when it was given */
	char holder[NAMES_IDENTITY_ROOM];
};

struct store {
	const struct store_sink *sink;
	struct loop *loop;
	char directory[512], cut[640], identity[NAMES_IDENTITY_ROOM];
	uint64_t ttl_ns, first_ns, max_ns, stall_ns;
	uint32_t rate_error_ppm;
	bool granted; /* so that max is known */
	void *client;
};

struct store_seat {
	struct store *store;
	void *client;
	char path[800];
	bool queued, contends, releasing;
	uint64_t token, taken_ns, ends_ns, provable_ns; /* held; token 0: none */
	struct loop_timer timer;
};

static bool slate_is_cut(const struct store *s)
{
	return access(s->cut, F_OK) == 0;
}

static bool slate_is_stalled(const struct store_seat *seat, uint64_t now_ns)
{
	return seat->token != 0 && now_ns >= clock_add_ns(seat->taken_ns, seat->store->stall_ns);
}

/* The record, locked: a descriptor, -1 when it can't be had. */
static int slate_take(const struct store_seat *seat, struct slate_record *r)
{
	int fd = open(seat->path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
	if (fd < 0)
		return -1;
	memset(r, 0, sizeof *r);
	while (flock(fd, LOCK_EX) != 0 && errno == EINTR)
		;
	(void)!pread(fd, r, sizeof *r, 0);
	return fd;
}

static void slate_put(int fd, const struct slate_record *r)
{
	(void)!pwrite(fd, r, sizeof *r, 0);
	close(fd);
}

static void slate_tell(struct store_seat *seat, enum elector_input_kind kind, uint64_t token, uint64_t deadline_ns)
{
	const struct elector_input in = {
		.kind = kind, .now_ns = clock_now_or_zero_ns(), .token = token, .deadline_ns = deadline_ns
	};
	seat->store->sink->seat(seat->client, &in, NULL);
}

static uint64_t slate_granted_ns(const struct store *s)
{
	return s->ttl_ns < s->max_ns ? s->ttl_ns : s->max_ns;
}

static void slate_write_lease(struct store_seat *seat, struct slate_record *r, uint64_t sent_ns, uint64_t ttl_ns)
{
	r->ends_ns = clock_now_or_zero_ns() + ttl_ns;
	r->provable_ns = lease_provable_end_ns(sent_ns, ttl_ns, seat->store->rate_error_ppm);
	seat->ends_ns = r->ends_ns;
	seat->provable_ns = r->provable_ns;
}

static void slate_lose(struct store_seat *seat)
{
	uint64_t token = seat->token;
	bool releasing = seat->releasing;
	seat->token = 0;
	seat->releasing = false;
	slate_tell(seat, releasing ? ELECTOR_RELEASED : ELECTOR_LOST, token, 0);
}

/* Returns when to look again. */
static uint64_t slate_renew(struct store_seat *seat, uint64_t now_ns)
{
	struct slate_record r;
	int fd = slate_take(seat, &r);
	if (fd < 0)
		return now_ns + SLATE_LOOK_NS;
	if (r.token != seat->token || r.ends_ns <= clock_now_or_zero_ns()) {
		close(fd);
		slate_lose(seat);
		return now_ns + SLATE_LOOK_NS;
	}
	seat->store->granted = true;
	slate_write_lease(seat, &r, now_ns, slate_granted_ns(seat->store));
	slate_put(fd, &r);
	slate_tell(seat, ELECTOR_RENEWED, seat->token, seat->provable_ns);
	return now_ns + slate_granted_ns(seat->store) / 4;
}

static uint64_t slate_contend(struct store_seat *seat, uint64_t now_ns)
{
	struct slate_record r;
	if (!seat->contends) {
		seat->contends = true;
		slate_tell(seat, ELECTOR_CONTEND, 0, 0);
		return now_ns;
	}
	int fd = slate_take(seat, &r);
	if (fd < 0 || r.ends_ns > clock_now_or_zero_ns()) {
		if (fd >= 0)
			close(fd);
		return now_ns + SLATE_LOOK_NS;
	}
	seat->queued = false;
	seat->token = ++r.token;
	seat->taken_ns = now_ns;
	r.released_ns = 0;
	r.taken_ns = clock_now_or_zero_ns();
	memcpy(r.holder, seat->store->identity, sizeof r.holder);
	slate_write_lease(seat, &r, now_ns,
	                  seat->store->first_ns ? seat->store->first_ns : slate_granted_ns(seat->store));
	slate_put(fd, &r);
	slate_tell(seat, ELECTOR_GRANTED, seat->token, seat->provable_ns);
	return now_ns + SLATE_LOOK_NS;
}

static void slate_give_back(struct store_seat *seat)
{
	struct slate_record r;
	int fd = seat->token != 0 ? slate_take(seat, &r) : -1;
	if (fd >= 0 && r.token == seat->token) {
		r.ends_ns = 0;
		r.released_ns = clock_now_or_zero_ns();
		slate_put(fd, &r);
	} else if (fd >= 0) {
		close(fd);
	}
	seat->token = 0;
}

static void slate_on_timer(void *arg)
{
	struct store_seat *seat = arg;
	uint64_t now_ns = clock_now_or_zero_ns(), next_ns = now_ns + SLATE_LOOK_NS;
	if (slate_is_cut(seat->store) || slate_is_stalled(seat, now_ns)) {
		/* E is over: whatever it is told now, it does not lead; ends_ns is over: nothing is held either */
		if (seat->token != 0 && now_ns >= (seat->releasing ? seat->ends_ns : seat->provable_ns))
			slate_lose(seat);
	} else if (seat->releasing) {
		uint64_t token = seat->token;
		slate_give_back(seat);
		seat->releasing = false;
		slate_tell(seat, ELECTOR_RELEASED, token, 0);
	} else if (seat->token != 0) {
		next_ns = slate_renew(seat, now_ns);
	} else if (seat->queued) {
		next_ns = slate_contend(seat, now_ns);
	}
	loop_timer_arm(&seat->timer, next_ns);
}

static int slate_query(struct store *s, const struct store_settings *settings, struct tenure_error *error)
{
	for (size_t i = 0; i < settings->n_query; i++) {
		const struct store_pair *pair = &settings->query[i];
		uint64_t *at = strcmp(pair->key, "first") == 0   ? &s->first_ns
		               : strcmp(pair->key, "stall") == 0 ? &s->stall_ns
		               : strcmp(pair->key, "max") == 0   ? &s->max_ns
		                                                 : NULL;
		if (!at || !text_duration_ns(pair->value, at))
			return error_set(error, TENURE_EURL, 0, "the slate store has only first=, max= and stall=");
	}
	return 0;
}

static int slate_open(struct store **out, const struct store_settings *settings, const struct store_sink *sink,
                      void *client, struct tenure_error *error)
{
	struct store *s = calloc(1, sizeof *s);
	if (!s)
		return error_set(error, TENURE_ENOMEM, 0, "no memory");
	s->sink = sink;
	s->loop = settings->loop;
	s->client = client;
	s->max_ns = s->stall_ns = NS_NEVER;
	s->ttl_ns = settings->options->ttl_ns ? settings->options->ttl_ns : SLATE_TTL_NS;
	s->rate_error_ppm =
	        settings->options->rate_error_ppm ? settings->options->rate_error_ppm : LEASE_RATE_ERROR_PPM;
	(void)snprintf(s->directory, sizeof s->directory, "%s", settings->path);
	(void)snprintf(s->cut, sizeof s->cut, "%s/cut-%s", s->directory, settings->id);
	(void)snprintf(s->identity, sizeof s->identity, "%s", settings->identity);
	int code = slate_query(s, settings, error);
	if (code != 0) {
		free(s);
		return code;
	}
	*out = s;
	return 0;
}

static void slate_close(struct store *s)
{
	free(s);
}

static void slate_start(struct store *s)
{
	s->sink->health(s->client, TENURE_HEALTHY, NULL);
}

static int slate_timing(const struct store *s, struct lease_timing *out)
{
	uint64_t ttl_ns = s->granted ? slate_granted_ns(s) : s->ttl_ns;
	*out = (struct lease_timing) { .ttl_ns = ttl_ns,
		                       .rate_error_ppm = s->rate_error_ppm,
		                       .heartbeat_ns = ttl_ns / 4,
		                       .retry_ns = SLATE_LOOK_NS };
	return 0;
}

static uint64_t slate_ttl_ns(const struct store *s)
{
	return slate_granted_ns(s);
}

static int slate_take_seat(struct store *s, const struct store_join *join, void *client, struct store_seat **out,
                           struct tenure_error *error)
{
	struct store_seat *seat = calloc(1, sizeof *seat);
	if (!seat)
		return error_set(error, TENURE_ENOMEM, 0, "no memory");
	seat->store = s;
	seat->client = client;
	(void)snprintf(seat->path, sizeof seat->path, "%s/%s", s->directory, join->election);
	loop_timer_init(s->loop, &seat->timer, slate_on_timer, seat);
	*out = seat;
	return 0;
}

static void slate_begin(struct store_seat *seat)
{
	loop_timer_arm(&seat->timer, clock_now_or_zero_ns());
	slate_tell(seat, ELECTOR_REACHED, 0, 0);
}

static void slate_join(struct store_seat *seat)
{
	seat->queued = true;
	seat->contends = false;
	loop_timer_arm(&seat->timer, clock_now_or_zero_ns());
}

static void slate_leave(struct store_seat *seat)
{
	seat->queued = false;
}

static void slate_release(struct store_seat *seat, const char *to_identity, enum tenure_cause cause)
{
	(void)to_identity;
	(void)cause;
	if (seat->token != 0) {
		seat->releasing = true;
		loop_timer_arm(&seat->timer, clock_now_or_zero_ns());
	} else {
		slate_tell(seat, ELECTOR_RELEASED, 0, 0);
	}
}

static int slate_set_value(struct store_seat *seat, const void *value, size_t value_bytes)
{
	(void)seat;
	(void)value;
	(void)value_bytes;
	return TENURE_EUNSUPPORTED;
}

static void slate_free_seat(struct store_seat *seat)
{
	if (!slate_is_cut(seat->store))
		slate_give_back(seat);
	loop_timer_disarm(&seat->timer);
	free(seat);
}

static void slate_read(struct store *s, const char *election, store_read_done *done, void *arg)
{
	struct store_seat seat = { .store = s };
	struct store_view view = { .ttl_ns = slate_granted_ns(s), .healthy = true };
	struct slate_record r;
	uint64_t now_ns = clock_now_or_zero_ns();
	(void)snprintf(seat.path, sizeof seat.path, "%s/%s", s->directory, election);
	int fd = slate_take(&seat, &r);
	if (fd >= 0)
		close(fd);
	if (fd >= 0 && r.ends_ns > now_ns) {
		view.led = true;
		view.token = r.token;
		view.expires_in_ns = r.ends_ns - now_ns;
		memcpy(view.identity, r.holder, sizeof view.identity);
	}
	done(arg, 0, &view, NULL);
}

const struct store_ops slate_store_ops = {
	.scheme = "slate",
	.capabilities = 0,
	.open = slate_open,
	.close = slate_close,
	.start = slate_start,
	.ttl_ns = slate_ttl_ns,
	.timing = slate_timing,
	.take_seat = slate_take_seat,
	.begin = slate_begin,
	.join = slate_join,
	.leave = slate_leave,
	.release = slate_release,
	.set_value = slate_set_value,
	.free_seat = slate_free_seat,
	.read = slate_read,
};
