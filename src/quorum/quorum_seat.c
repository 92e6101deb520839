/* SPDX-License-Identifier: Apache-2.0 */
/* Candidacies: what the core tells of an election, as the elector's inputs. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "quorum/quorum_store.h"

static struct quorum_seat *quorum_seat_of(struct store_seat *seat)
{
	return (struct quorum_seat *)seat;
}

static void quorum_seat_settle(const struct quorum_seat *seat)
{
	quorum_core_settle(&seat->store->session);
}

static void quorum_seat_input(const struct quorum_seat *seat, struct elector_input in, const struct tenure_error *error)
{
	in.now_ns = clock_now_or_zero_ns();
	seat->store->sink->seat(seat->client_seat, &in, error);
}

/* The voters' max_ttl may be less than the default: a lease of which never enough is left would be waited for in vain. */
static bool quorum_seat_fits(const struct quorum_seat *seat, struct tenure_error *error)
{
	const struct quorum_store *s = seat->store;
	char ttl[48], allowance[48], notice[48];
	struct candidate_facts facts;
	uint64_t ttl_ns = s->ttl_ns, left_ns;

	candidate_read_facts(s->session.candidate, &facts);
	if (facts.max_ttl_ms > 0 && ttl_ns > facts.max_ttl_ms * QUORUM_NS_PER_MS)
		ttl_ns = facts.max_ttl_ms * QUORUM_NS_PER_MS;
	left_ns = lease_allowance_ns(ttl_ns, s->rate_error_ppm);
	if (seat->notice_ns < left_ns)
		return true;
	(void)error_set(error, TENURE_EUNSAFE, 0,
	                "unsafe timings: D(ttl) > grace + kill_margin is broken: %s <= %s (ttl %s, the voters' "
	                "max_ttl); lower the "
	                "grace, or ask for this ttl",
	                text_from_duration(left_ns, allowance, sizeof allowance),
	                text_from_duration(seat->notice_ns, notice, sizeof notice),
	                text_from_duration(ttl_ns, ttl, sizeof ttl));
	return false;
}

static void quorum_seat_tell(struct quorum_seat *seat)
{
	const struct quorum_core *core = &seat->store->session;
	struct elector_input in = { .kind = ELECTOR_UNREACHED };
	struct tenure_error error = TENURE_ERROR_INIT;

	if (core->failed != 0) {
		in.kind = ELECTOR_FAILED;
		in.code = core->failed;
		quorum_seat_input(seat, in, &core->why);
	} else if (core->reached && !quorum_seat_fits(seat, &error)) {
		in.kind = ELECTOR_FAILED;
		in.code = TENURE_EUNSAFE;
		quorum_seat_input(seat, in, &error);
	} else if (core->reached) {
		in.kind = ELECTOR_REACHED;
		quorum_seat_input(seat, in, NULL);
	} else if (core->why.code != 0) {
		quorum_seat_input(seat, in, &core->why);
	}
}

void quorum_seats_tell(struct quorum_store *s)
{
	LIST_EACH_SAFE (node, after, &s->seats)
		if (LIST_OF(node, struct quorum_seat, node)->election)
			quorum_seat_tell(LIST_OF(node, struct quorum_seat, node));
}

/*
 * A candidacy that has ended, or is being freed, may still have its seat when the next one of the same name begins. What it
 * holds is released; what its elector waits for it gets on the loop's thread.
 */
static void quorum_seat_displace(struct quorum_store *s, const char *name)
{
	LIST_EACH (node, &s->seats) {
		struct quorum_seat *seat = LIST_OF(node, struct quorum_seat, node);

		if (!seat->election || strcmp(seat->name, name) != 0)
			continue;
		candidate_exit(seat->election, quorum_now());
		seat->election = NULL;
		seat->held = false;
	}
}

static void quorum_seats_settle_displaced(struct quorum_store *s)
{
	LIST_EACH_SAFE (node, after, &s->seats) {
		struct quorum_seat *seat = LIST_OF(node, struct quorum_seat, node);

		if (seat->election || !seat->releasing)
			continue;
		seat->releasing = false;
		quorum_seat_input(seat, (struct elector_input) { .kind = ELECTOR_RELEASED }, NULL);
	}
}

int quorum_seat_take(struct store *store, const struct store_join *join, void *client_seat, struct store_seat **out,
                     struct tenure_error *error)
{
	struct quorum_store *s = (struct quorum_store *)store;
	struct candidate_entry entry = {
		.election = join->election,
		.priority = join->priority,
		.value = join->value,
		.value_bytes = join->value_bytes,
		.min_left_ns = join->notice_ns,
	};
	struct quorum_seat *seat;
	int code = quorum_core_make(&s->session, error);

	if (code != 0)
		return code;
	seat = calloc(1, sizeof *seat);
	if (!seat)
		return error_set(error, TENURE_ENOMEM, 0, "no memory for a candidacy");
	*seat = (struct quorum_seat) { .store = s, .client_seat = client_seat, .notice_ns = join->notice_ns };
	memcpy(seat->name, join->election, strlen(join->election) + 1);
	entry.user = seat;
	code = candidate_enter(s->session.candidate, &entry, &seat->election);
	if (code == TENURE_EEXIST) {
		quorum_seat_displace(s, join->election);
		code = candidate_enter(s->session.candidate, &entry, &seat->election);
	}
	if (code != 0) {
		free(seat);
		return error_set(error, code, 0, "cannot campaign in %.80s: %s", join->election, tenure_strerror(code));
	}
	list_append(&s->seats, &seat->node);
	*out = (struct store_seat *)seat;
	return 0;
}

void quorum_seat_begin(struct store_seat *store_seat)
{
	struct quorum_seat *seat = quorum_seat_of(store_seat);

	quorum_seats_settle_displaced(seat->store);
	quorum_seat_tell(seat);
	quorum_seat_settle(seat);
}

void quorum_seat_join(struct store_seat *store_seat)
{
	struct quorum_seat *seat = quorum_seat_of(store_seat);

	if (seat->election)
		candidate_join(seat->election, quorum_now());
	quorum_seat_settle(seat);
}

void quorum_seat_leave(struct store_seat *store_seat)
{
	struct quorum_seat *seat = quorum_seat_of(store_seat);

	if (seat->election)
		candidate_leave(seat->election, quorum_now());
	quorum_seat_settle(seat);
}

void quorum_seat_release(struct store_seat *store_seat, const char *to_identity, enum tenure_cause cause)
{
	struct quorum_seat *seat = quorum_seat_of(store_seat);

	if (!seat->held) {
		/* It was lost meanwhile, and that was told: the elector owes nothing, and neither do we. */
		quorum_seat_input(seat, (struct elector_input) { .kind = ELECTOR_RELEASED }, NULL);
		return;
	}
	seat->releasing = true;
	candidate_release(seat->election, to_identity, cause, quorum_now());
	quorum_seat_settle(seat);
}

int quorum_seat_set_value(struct store_seat *store_seat, const void *value, size_t value_bytes)
{
	struct quorum_seat *seat = quorum_seat_of(store_seat);
	int code = seat->election ? candidate_set_value(seat->election, value, value_bytes, quorum_now()) : 0;

	quorum_seat_settle(seat);
	return code;
}

void quorum_seat_free(struct store_seat *store_seat)
{
	struct quorum_seat *seat = quorum_seat_of(store_seat);
	struct quorum_core *core = &seat->store->session;

	list_remove(&seat->node);
	if (seat->election)
		candidate_exit(seat->election, quorum_now());
	free(seat);
	quorum_core_settle(core);
}

/*
 * R2: E on BOOTTIME alone, which is what the page's readers look at: never later than the earlier of both clocks allows,
 * as they stand to each other now. BOOTTIME is read before RAW, so that what lies between shortens it.
 */
static uint64_t quorum_seat_end_ns(struct instant end)
{
	struct instant now = quorum_now().at;
	uint64_t by_raw_ns = clock_add_ns(now.boot_ns, end.raw_ns > now.raw_ns ? end.raw_ns - now.raw_ns : 0);

	return by_raw_ns < end.boot_ns ? by_raw_ns : end.boot_ns;
}

static void quorum_seat_over(struct quorum_seat *seat, struct elector_input in, const struct tenure_error *error)
{
	const struct quorum_core *core = &seat->store->session;

	seat->held = seat->releasing = false;
	quorum_seat_input(seat, in, error);
	if (!core->reached && core->failed == 0)
		quorum_seat_tell(seat); /* it was not told while something was led */
}

void quorum_seat_on_event(struct quorum_core *core, const struct candidate_event *event)
{
	struct quorum_seat *seat = event->user;
	struct elector_input in = { .token = event->token, .cause = event->cause };

	switch (event->kind) {
	case CANDIDATE_QUEUED:
		in.kind = ELECTOR_QUEUED;
		core->store->sink->position(seat->client_seat, event->ahead);
		quorum_seat_input(seat, in, NULL);
		return;
	case CANDIDATE_CONTENDING:
		in.kind = ELECTOR_CONTEND;
		quorum_seat_input(seat, in, NULL);
		return;
	case CANDIDATE_GRANTED:
	case CANDIDATE_RENEWED:
		in.kind = event->kind == CANDIDATE_GRANTED ? ELECTOR_GRANTED : ELECTOR_RENEWED;
		in.deadline_ns = quorum_seat_end_ns(event->end);
		seat->held = true;
		quorum_seat_input(seat, in, NULL);
		return;
	case CANDIDATE_LOST:
		in.kind = ELECTOR_LOST;
		quorum_seat_over(seat, in, event->error);
		return;
	case CANDIDATE_RELEASED:
		in.kind = ELECTOR_RELEASED;
		in.token = 0; /* there is one at a time */
		quorum_seat_over(seat, in, event->error);
		return;
	case CANDIDATE_ASKED:
		core->store->sink->asked(seat->client_seat, event->to ? event->to : "");
		return;
	default:
		return;
	}
}
