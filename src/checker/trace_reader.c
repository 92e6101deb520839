/* SPDX-License-Identifier: Apache-2.0 */
/* Traces: one JSON object a line, as src/elector/trace.h describes it. */
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/text.h"
#include "checker/checker.h"

static bool trace_reader_believes(const char *state)
{
	return strcmp(state, "leading") == 0 || strcmp(state, "at-risk") == 0;
}

/* The tenure that this candidate believes in, as far as its trace was read; NULL: none. */
static struct checker_tenure *trace_reader_open(struct checker *c, const struct checker_record *r)
{
	for (size_t i = c->n_tenures; i-- > 0;) {
		struct checker_tenure *t = &c->tenures[i];

		if (strcmp(t->node, r->node) == 0 && strcmp(t->election, r->election) == 0)
			return t->ended ? NULL : t;
	}
	return NULL;
}

static void trace_reader_begin(struct checker *c, const struct checker_record *r, struct checker_place place)
{
	c->tenures = checker_grow(c->tenures, c->n_tenures, &c->room_tenures, sizeof *c->tenures);
	c->tenures[c->n_tenures++] = (struct checker_tenure) {
		.election = checker_copy(r->election),
		.node = checker_copy(r->node),
		.token = r->token,
		.begin_ns = r->at_ns,
		.deadline_ns = r->deadline_ns,
		.seen_ns = r->at_ns,
		.place = place,
	};
}

/*
 * Any record shows that the candidate was alive; only one with a state changes what it believes. So whoever kills a
 * candidate may note the instant before, as an event of its own without "to".
 */
const char *checker_take_record(struct checker *c, const struct checker_record *r, struct checker_place place)
{
	struct checker_tenure *open = trace_reader_open(c, r);
	bool believes = r->to && trace_reader_believes(r->to);

	if (believes && r->token == 0)
		return "a leader without a token";
	if (open && r->to && r->at_ns < open->seen_ns)
		return "its instant lies before that of the same candidate's record before it";
	c->n_records++;
	if (open && r->at_ns > open->seen_ns)
		open->seen_ns = r->at_ns;
	if (!r->to)
		return NULL;
	if (open && believes && open->token == r->token) {
		if (r->deadline_ns > open->deadline_ns)
			open->deadline_ns = r->deadline_ns;
		return NULL;
	}
	if (open) {
		open->ended = true;
		open->end_ns = r->at_ns;
	}
	if (believes)
		trace_reader_begin(c, r, place);
	return NULL;
}

/* An instant in ns is a string, since JSON's numbers are not exact everywhere. */
static bool trace_reader_instant(const json_t *value, uint64_t *ns)
{
	const char *text = json_string_value(value);

	if (text && strcmp(text, "never") == 0) {
		*ns = CHECKER_NS_NEVER;
		return true;
	}
	return text && text_u64(text, UINT64_MAX - 1, ns);
}

static bool trace_reader_number(const json_t *value, uint64_t *number)
{
	if (!json_is_integer(value) || json_integer_value(value) < 0)
		return false;
	*number = (uint64_t)json_integer_value(value);
	return true;
}

static const char *trace_reader_object(struct checker *c, const json_t *o, struct checker_place place)
{
	struct checker_record r = {
		.node = json_string_value(json_object_get(o, "node")),
		.election = json_string_value(json_object_get(o, "election")),
		.event = json_string_value(json_object_get(o, "event")),
		.to = json_string_value(json_object_get(o, "to")),
		.deadline_ns = CHECKER_NS_NEVER,
	};
	const json_t *deadline = json_object_get(o, "deadline_ns"), *token = json_object_get(o, "token");

	if (!json_is_object(o))
		return "not a JSON object";
	if (!r.node || !r.election || !r.event)
		return "\"node\", \"election\" or \"event\" is missing or no string";
	if (!trace_reader_instant(json_object_get(o, "node_ns"), &r.at_ns) || r.at_ns == CHECKER_NS_NEVER)
		return "\"node_ns\" is missing or no instant in ns";
	if (strcmp(r.event, "state") == 0 && (!r.to || !token || !deadline))
		return "a change of state without \"to\", \"token\" or \"deadline_ns\"";
	if (token && !trace_reader_number(token, &r.token))
		return "\"token\" is no number from 0 up";
	if (deadline && !trace_reader_instant(deadline, &r.deadline_ns))
		return "\"deadline_ns\" is neither an instant in ns nor \"never\"";
	return checker_take_record(c, &r, place);
}

static const char *trace_reader_line(struct checker *c, const char *line, size_t n_bytes, struct checker_place place)
{
	json_t *o = json_loadb(line, n_bytes, JSON_REJECT_DUPLICATES, NULL);
	const char *why = o ? trace_reader_object(c, o, place) : "not JSON";

	json_decref(o);
	return why;
}

bool checker_read_trace(struct checker *c, FILE *in, const char *name)
{
	struct checker_place place = { .file = name };
	char *line = NULL;
	size_t room = 0;
	ssize_t n;

	while ((n = getline(&line, &room, in)) > 0) {
		const char *why;

		place.line++;
		if (line[n - 1] != '\n') { /* the last one, of a writer that was killed */
			c->n_torn++;
			break;
		}
		why = trace_reader_line(c, line, (size_t)n, place);
		if (why)
			checker_malformed(c, place, why);
	}
	free(line);
	return ferror(in) == 0;
}
