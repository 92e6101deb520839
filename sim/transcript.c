/* SPDX-License-Identifier: Apache-2.0 */
#include "transcript.h"

#include <inttypes.h>
#include <stdarg.h>

#include "base/buf.h"
#include "quorum/wire.h"

static void transcript_time(struct world *w)
{
	fprintf(w->transcript, "%6" PRIu64 ".%06" PRIu64 "  ", w->now_ns / PLAN_S, w->now_ns % PLAN_S / 1000);
}

void transcript_say(struct world *w, const char *format, ...)
{
	va_list args;

	if (w->ndjson)
		return;
	transcript_time(w);
	va_start(args, format);
	/* The analyzer loses sight of va_start(). NOLINTNEXTLINE(clang-analyzer-valist.*) */
	vfprintf(w->transcript, format, args);
	va_end(args);
	fputc('\n', w->transcript);
}

static void transcript_hello(FILE *out, const struct wire_item *item)
{
	const struct wire_hello_r *r = &item->hello_r;

	if (item->type == WIRE_HELLO)
		fprintf(out, " conn_no %u want_sid %" PRIx64, item->hello.conn_no, item->hello.want_sid);
	else
		fprintf(out, " run %u sid %" PRIx64 " state %u hold %u quiet %u", r->run, r->sid, r->state,
		        r->hold_left_ms, r->quiet_left_ms);
}

static void transcript_item(FILE *out, const struct wire_item *item)
{
	fprintf(out, " %s", wire_type_name(item->type));
	switch (item->type) {
	case WIRE_HELLO:
	case WIRE_HELLO_R:
		transcript_hello(out, item);
		return;
	case WIRE_OPEN:
		fprintf(out, " %u=%.*s", item->handle, (int)item->open.name.n, (const char *)item->open.name.data);
		return;
	case WIRE_SESSION_RENEW:
		fprintf(out, " sid %" PRIx64 " ttl %u attached %u", item->renew.sid, item->renew.ttl_ms,
		        item->renew.attached_n);
		return;
	case WIRE_S_ACK:
	case WIRE_S_NAK:
		fprintf(out, " sid %" PRIx64 " ttl %u attached %u%s", item->s.sid, item->s.ttl_ms, item->s.attached_n,
		        item->type == WIRE_S_NAK ? item->s.ended ? " ended" : " unknown" : "");
		return;
	case WIRE_ATTACH:
	case WIRE_ATT_ACK:
		fprintf(out, " h%u T=%" PRIu64 " sid %" PRIx64, item->handle, item->term, item->attach.sid);
		return;
	case WIRE_VOTE:
	case WIRE_RENEW:
		fprintf(out, " h%u T=%" PRIu64 " ttl %u", item->handle, item->term, item->lease.ttl_ms);
		return;
	case WIRE_NAK:
		fprintf(out, "(%s) h%u T=%" PRIu64 " %s voted=%" PRIu64 " free in %u", wire_type_name(item->nak.of),
		        item->handle, item->term, wire_reason_name(item->nak.reason), item->nak.voted,
		        item->nak.free_in_ms);
		return;
	case WIRE_PRE_R:
		fprintf(out, " h%u T=%" PRIu64 "%s free in %u", item->handle, item->term,
		        item->pre_r.would ? " yes" : " no", item->pre_r.free_in_ms);
		return;
	default:
		fprintf(out, " h%u T=%" PRIu64, item->handle, item->term);
		return;
	}
}

void transcript_frames(struct world *w, const struct network_conn *c, enum network_direction direction,
                       const uint8_t *bytes, size_t n_bytes)
{
	struct wire_frame f;
	struct wire_item item;
	size_t n;

	if (w->ndjson)
		return;
	while (n_bytes && wire_frame_read(&f, bytes, n_bytes, &n) == WIRE_OK) {
		transcript_time(w);
		if (direction == NETWORK_TO_VOTER)
			fprintf(w->transcript, "v%u <- c%u #%" PRIu64 " round %u:", c->voter, c->candidate, c->number,
			        f.round);
		else
			fprintf(w->transcript, "c%u <- v%u #%" PRIu64 " round %u:", c->candidate, c->voter, c->number,
			        f.round);
		while (wire_frame_item(&f, &item) == WIRE_OK)
			transcript_item(w->transcript, &item);
		fputc('\n', w->transcript);
		bytes += n;
		n_bytes -= n;
	}
}

static void transcript_record(struct world *w, unsigned candidate, const char *election, const char *event,
                              uint64_t token, struct instant end, unsigned cause)
{
	struct instant now = dial_read(&w->candidates[candidate].host.dial, w->now_ns);

	fprintf(w->transcript,
	        "{\"seq\":%" PRIu64 ",\"true_ns\":\"%" PRIu64 "\",\"node_ns\":\"%" PRIu64
	        "\",\"node\":\"c%u\",\"election\":\"%s\",\"event\":\"%s\",\"token\":%" PRIu64
	        ",\"deadline_ns\":\"%" PRIu64 "\",\"cause\":%u}\n",
	        ++w->trace_seq, w->now_ns, now.boot_ns, candidate, election, event, token, end.boot_ns, cause);
}

void transcript_event(struct world *w, unsigned candidate, const struct candidate_event *event)
{
	static const char *const names[] = { "?",       "reached", "unreached", "health",     "queued", "contending",
		                             "granted", "renewed", "lost",      "released",   "asked",  "changed",
		                             "read",    "listed",  "list_end",  "ask_answer", "failed" };
	struct world_candidate *c = &w->candidates[candidate];
	const char *name = event->kind < sizeof names / sizeof *names ? names[event->kind] : "?";
	bool of_seat = event->kind >= CANDIDATE_QUEUED && event->kind <= CANDIDATE_ASKED;
	const char *election = of_seat ? w->elections[(struct world_seat *)event->user - c->seats] : "";

	if (w->ndjson) {
		transcript_record(w, candidate, election, name, event->token, event->end, event->cause);
		return;
	}
	if (event->kind == CANDIDATE_RENEWED)
		return;
	transcript_say(w, "c%u says %s %s token %" PRIu64 "%s%s", candidate, name, election, event->token,
	               event->error ? ": " : "", event->error ? event->error->message : "");
}

void transcript_belief(struct world *w, unsigned candidate, unsigned election, bool leads, uint64_t token)
{
	const struct world_seat *seat = &w->candidates[candidate].seats[election];

	if (w->ndjson)
		transcript_record(w, candidate, w->elections[election], leads ? "belief" : "belief_over", token,
		                  leads && seat->core ? candidate_deadline(seat->core) : INSTANT_ZERO, 0);
	else
		transcript_say(w, "c%u %s in %s, token %" PRIu64, candidate, leads ? "LEADS" : "leads no more",
		               w->elections[election], token);
}
