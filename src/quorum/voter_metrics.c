/* SPDX-License-Identifier: Apache-2.0 */
#include "quorum/voter_metrics.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/text.h"

#define VOTER_METRICS_DISK_SLOW_NS CLOCK_NS_PER_S

static void voter_metrics_head(struct buf *b, const char *name, const char *type, const char *help)
{
	buf_text(b, "# HELP tenure_voter_");
	buf_text(b, name);
	buf_char(b, ' ');
	buf_text(b, help);
	buf_text(b, "\n# TYPE tenure_voter_");
	buf_text(b, name);
	buf_char(b, ' ');
	buf_text(b, type);
	buf_text(b, "\ntenure_voter_");
	buf_text(b, name);
}

static void voter_metrics_number(struct buf *b, const char *name, const char *type, uint64_t value, const char *help)
{
	voter_metrics_head(b, name, type, help);
	buf_char(b, ' ');
	buf_u64(b, value);
	buf_char(b, '\n');
}

static void voter_metrics_seconds(struct buf *b, const char *name, const char *type, uint64_t ns, const char *help)
{
	char text[40];

	voter_metrics_head(b, name, type, help);
	(void)snprintf(text, sizeof text, " %ju.%09ju\n", (uintmax_t)(ns / CLOCK_NS_PER_S),
	               (uintmax_t)(ns % CLOCK_NS_PER_S));
	buf_text(b, text);
}

#define VOTER_METRICS_COUNTER "counter"
#define VOTER_METRICS_GAUGE   "gauge"

/* X(name, type, value, help): one line a figure. */
#define VOTER_METRICS_LIST(X)                                                                                          \
	X("run", VOTER_METRICS_GAUGE, v->run, "The number of this run of the store")                                   \
	X("frames_total", VOTER_METRICS_COUNTER, v->frames, "Frames received")                                         \
	X("items_total", VOTER_METRICS_COUNTER, v->items, "Items in them")                                             \
	X("votes_granted_total", VOTER_METRICS_COUNTER, v->votes_granted, "Votes given, repeated ones included")       \
	X("votes_refused_total", VOTER_METRICS_COUNTER, v->votes_refused, "Votes refused")                             \
	X("renewals_total", VOTER_METRICS_COUNTER, v->renewals, "Leases renewed, a session's counting once")           \
	X("attached_total", VOTER_METRICS_COUNTER, v->attached, "Elections attached to a session")                     \
	X("adopted_total", VOTER_METRICS_COUNTER, v->adopted,                                                          \
	  "Sitting leaders taken over without a vote of this "                                                         \
	  "voter")                                                                                                     \
	X("released_total", VOTER_METRICS_COUNTER, v->released, "Elections given up by their leader")                  \
	X("sessions_expired_total", VOTER_METRICS_COUNTER, v->expired_sessions,                                        \
	  "Sessions that ended without a word of their candidate")                                                     \
	X("nudges_total", VOTER_METRICS_COUNTER, v->nudges, "Waiting candidates told that it is their turn")           \
	X("bad_frames_total", VOTER_METRICS_COUNTER, v->bad_frames, "Frames that were refused as malformed")           \
	X("limit_refusals_total", VOTER_METRICS_COUNTER, v->refused_by_limit, "Requests refused by a limit")           \
	X("ceiling_raises_total", VOTER_METRICS_COUNTER, v->ceiling_raises, "Times that the term ceiling was raised")  \
	X("ceiling_term", VOTER_METRICS_GAUGE, v->ceiling,                                                             \
	  "No term above this was granted; plan a new epoch when it passes half of the maximum")                       \
	X("ceiling_term_max", VOTER_METRICS_GAUGE, QUORUM_TERM_MAX, "The last term that there is")                     \
	X("elections", VOTER_METRICS_GAUGE, v->elections, "Elections that this voter knows")                           \
	X("elections_held", VOTER_METRICS_GAUGE, v->held, "Elections that somebody holds")                             \
	X("sessions", VOTER_METRICS_GAUGE, v->sessions, "Live sessions")                                               \
	X("waiters", VOTER_METRICS_GAUGE, v->waiters, "Candidates in queues")                                          \
	X("connections", VOTER_METRICS_GAUGE, s->n_connections, "Open connections")                                    \
	X("connections_accepted_total", VOTER_METRICS_COUNTER, s->n_accepted, "Connections accepted")                  \
	X("connections_turned_away_total", VOTER_METRICS_COUNTER, s->n_turned_away,                                    \
	  "Connections closed at once: too many, or no memory")                                                        \
	X("connections_broken_total", VOTER_METRICS_COUNTER, s->n_broken, "Connections closed for what came on them")  \
	X("connections_slow_total", VOTER_METRICS_COUNTER, s->n_slow,                                                  \
	  "Connections closed since a frame was begun and not ended")                                                  \
	X("accept_pauses_total", VOTER_METRICS_COUNTER, s->n_accept_pauses,                                            \
	  "Times that no descriptor was left for a connection")                                                        \
	X("kept_bytes", VOTER_METRICS_GAUGE, s->kept_bytes,                                                            \
	  "Bytes of frames that are not whole, or wait for the "                                                       \
	  "disk")                                                                                                      \
	X("waits_for_disk", VOTER_METRICS_GAUGE, v->waits_for_disk, "1 while requests wait for the disk")              \
	X("disk_writes_total", VOTER_METRICS_COUNTER, s->disk.n_writes, "Writes of the durable state")

void voter_metrics_write(struct buf *b, const struct voter_metrics *m)
{
	const struct voter_server_stats *s = &m->stats;
	const struct voter_stats *v = &s->voter;
	uint64_t busy_ns = s->disk.busy_since_ns ? m->now_ns - s->disk.busy_since_ns : 0;
	char text[64];

	voter_metrics_head(b, "info", "gauge", "Which voter this is");
	buf_text(b, "{name=");
	buf_json(b, m->name, m->name ? __builtin_strlen(m->name) : 0);
	buf_text(b, ",version=");
	buf_json(b, m->version, __builtin_strlen(m->version));
	buf_text(b, "} 1\n");
	voter_metrics_number(b, "ready", "gauge", voter_metrics_not_ready(s, m->now_ns, text, sizeof text) == NULL,
	                     "1 while it votes");
#define VOTER_METRICS_X(name, type, value, help) voter_metrics_number(b, name, type, value, help);
	VOTER_METRICS_LIST(VOTER_METRICS_X)
#undef VOTER_METRICS_X
	voter_metrics_seconds(b, "hold_left_seconds", "gauge", v->hold_left_ns, "Until votes are given again");
	voter_metrics_seconds(b, "quiet_left_seconds", "gauge", v->quiet_left_ns,
	                      "Until sitting leaders are taken over again");
	voter_metrics_seconds(b, "max_ttl_seconds", "gauge", (uint64_t)v->max_ttl_ms * CLOCK_NS_PER_MS,
	                      "The longest lease that is granted");
	voter_metrics_seconds(b, "disk_write_last_seconds", "gauge", s->disk.last_ns, "What the last write took");
	voter_metrics_seconds(b, "disk_write_longest_seconds", "gauge", s->disk.longest_ns,
	                      "What the longest write of this run took");
	voter_metrics_seconds(b, "disk_write_seconds_total", "counter", s->disk.total_ns, "What all writes took");
	voter_metrics_seconds(b, "disk_write_pending_seconds", "gauge", busy_ns,
	                      "How long the write in progress has taken");
}

const char *voter_metrics_not_ready(const struct voter_server_stats *s, uint64_t now_ns, char *text, size_t room)
{
	char left[32];
	uint64_t hold_ns = (s->voter.hold_left_ns + CLOCK_NS_PER_MS - 1) / CLOCK_NS_PER_MS * CLOCK_NS_PER_MS;

	if (hold_ns > 0) {
		(void)snprintf(text, room, "in its hold: votes are given in %s",
		               text_from_duration(hold_ns, left, sizeof left));
		return text;
	}
	if (s->voter.waits_for_disk)
		return "requests wait for the disk";
	if (s->disk.busy_since_ns && now_ns - s->disk.busy_since_ns > VOTER_METRICS_DISK_SLOW_NS)
		return "the disk does not answer";
	return NULL;
}
