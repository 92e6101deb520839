/* SPDX-License-Identifier: Apache-2.0 */
#include "elector/trace.h"

#include <string.h>

#include "base/buf.h"
#include "elector/lease.h"
#include "elector/state.h"

static void trace_instant(struct buf *b, const char *key, uint64_t at_ns)
{
	buf_text(b, key);
	if (at_ns == LEASE_NS_NEVER)
		buf_text(b, "never");
	else
		buf_u64(b, at_ns);
	buf_char(b, '"');
}

static void trace_text(struct buf *b, const char *key, const char *text)
{
	buf_text(b, key);
	buf_json(b, text, strlen(text));
}

size_t trace_format(const struct trace_record *r, char *out, size_t room)
{
	const struct elector_notice *n = r->notice;
	struct buf b;

	if (room == 0)
		return 0;
	buf_init(&b, out, room);
	buf_text(&b, "{\"seq\":");
	buf_u64(&b, r->seq);
	if (r->true_ns != LEASE_NS_NEVER)
		trace_instant(&b, ",\"true_ns\":\"", r->true_ns);
	trace_instant(&b, ",\"node_ns\":\"", n->at_ns);
	trace_text(&b, ",\"node\":", r->node);
	trace_text(&b, ",\"election\":", r->election);
	trace_text(&b, ",\"event\":", r->event);
	trace_text(&b, ",\"from\":", state_name(n->from));
	trace_text(&b, ",\"to\":", state_name(n->to));
	buf_text(&b, ",\"token\":");
	buf_u64(&b, n->token);
	trace_instant(&b, ",\"deadline_ns\":\"", n->deadline_ns);
	trace_text(&b, ",\"cause\":", state_cause_name(n->cause));
	buf_text(&b, "}\n");
	if (b.overflow) {
		out[0] = '\0'; /* half a record is worse than none */
		return 0;
	}
	return b.used;
}
