/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ledgers: what programs note while they run, one line each time, in ONE write to a file opened with O_APPEND:
 *
 *	NS TOKEN PID KIND RESOURCE ADMITTED SEQUENCE HOLDER
 *
 *	81600123456789 7 12 write account yes 41 b
 *
 *	NS        CLOCK_BOOTTIME in nanoseconds, read right before: the writer ran at that instant
 *	TOKEN     that of its tenure. One ledger belongs to one election: its tokens are comparable
 *	PID       as the writer knows itself
 *	KIND      begin, run, end: a program of that tenure runs. write: something was written, or was to be, to
 *RESOURCE; a write may come from a process outside of the program (a request under way), so it is no sign of one
 *	RESOURCE  what was written to; "-" but for a write
 *	ADMITTED  yes: it landed; no: the guard refused it; "-" but for a write
 *	SEQUENCE  rises with each line of this PID under this TOKEN
 *	HOLDER    whose tenure it is: the candidate's id
 *
 * The order of the lines is the order in which writes landed. Fields are separated by single spaces; spaces may follow
 * the last one. A writer that may be killed pads its lines to a power of two (LEDGER_LINE_BYTES in the programs of this
 * project): the kernel takes a short write apart only where a page ends, and then no line lies across two pages.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "checker/checker.h"

#define LEDGER_READER_FIELDS 8

static struct checker_activity *ledger_reader_activity(struct checker *c, const struct checker_line *l,
                                                       struct checker_place place)
{
	size_t ledger = c->n_ledgers - 1;

	/* from behind: what goes on now was found last */
	for (size_t i = c->n_activities; i-- > 0;)
		if (c->activities[i].ledger == ledger && c->activities[i].token == l->token)
			return &c->activities[i];
	c->activities = checker_grow(c->activities, c->n_activities, &c->room_activities, sizeof *c->activities);
	c->activities[c->n_activities] = (struct checker_activity) {
		.ledger = ledger,
		.token = l->token,
		.first_ns = l->at_ns,
		.last_ns = l->at_ns,
		.first_pid = l->pid,
		.last_pid = l->pid,
		.holder = checker_copy(l->holder),
		.first = place,
		.last = place,
	};
	return &c->activities[c->n_activities++];
}

static void ledger_reader_runs(struct checker *c, const struct checker_line *l, struct checker_place place)
{
	struct checker_activity *a = ledger_reader_activity(c, l, place);

	if (!a->shared && strcmp(a->holder, l->holder) != 0) {
		a->shared = true;
		checker_violation(c, CHECKER_SHARED_TOKEN,
		                  "token %" PRIu64 " is used by %s (%s:%zu) and by %s (%s:%zu)", l->token, a->holder,
		                  a->first.file, a->first.line, l->holder, place.file, place.line);
	}
	if (l->at_ns < a->first_ns) {
		a->first_ns = l->at_ns;
		a->first_pid = l->pid;
		a->first = place;
	}
	if (l->at_ns > a->last_ns) {
		a->last_ns = l->at_ns;
		a->last_pid = l->pid;
		a->last = place;
	}
}

static void ledger_reader_landed(struct checker *c, const struct checker_line *l, struct checker_place place)
{
	size_t ledger = c->n_ledgers - 1, i;
	struct checker_resource *r;

	for (i = 0; i < c->n_resources; i++)
		if (c->resources[i].ledger == ledger && strcmp(c->resources[i].name, l->resource) == 0)
			break;
	if (i == c->n_resources) {
		c->resources = checker_grow(c->resources, c->n_resources, &c->room_resources, sizeof *c->resources);
		c->resources[c->n_resources++] = (struct checker_resource) {
			.ledger = ledger,
			.name = checker_copy(l->resource),
		};
	}
	r = &c->resources[i];
	if (l->token < r->high)
		checker_violation(c, CHECKER_STALE_WRITE,
		                  "%s took a write with token %" PRIu64 " (of %s, %s:%zu) after one with token %" PRIu64
		                  " (%s:%zu)",
		                  l->resource, l->token, l->holder, place.file, place.line, r->high, r->place.file,
		                  r->place.line);
	if (l->token > r->high) {
		r->high = l->token;
		r->place = place;
	}
}

static size_t ledger_reader_slot(const struct checker *c, size_t ledger, uint64_t token, uint64_t pid)
{
	size_t at = (size_t)((token * 0x9e3779b97f4a7c15u) ^ (pid * 0xc2b2ae3d27d4eb4fu) ^ ledger) % c->room_writers;

	while (c->writers[at].pid != 0 &&
	       (c->writers[at].pid != pid || c->writers[at].token != token || c->writers[at].ledger != ledger))
		at = (at + 1) % c->room_writers;
	return at;
}

static void ledger_reader_more_writers(struct checker *c)
{
	struct checker_writer *old = c->writers;
	size_t n = c->room_writers;

	c->room_writers = n ? n * 4 : 256;
	c->writers = calloc(c->room_writers, sizeof *c->writers);
	if (!c->writers) {
		(void)fputs("tenure-checker: out of memory, no verdict\n", stderr);
		exit(70);
	}
	for (size_t i = 0; i < n; i++)
		if (old[i].pid != 0)
			c->writers[ledger_reader_slot(c, old[i].ledger, old[i].token, old[i].pid)] = old[i];
	free(old);
}

/* Lines of one writer that are not in their order: then the order of the others is not to be trusted either. */
static const char *ledger_reader_in_order(struct checker *c, const struct checker_line *l)
{
	struct checker_writer *w;

	if (c->n_writers * 2 >= c->room_writers)
		ledger_reader_more_writers(c);
	w = &c->writers[ledger_reader_slot(c, c->n_ledgers - 1, l->token, l->pid)];
	if (w->pid == 0) {
		*w = (struct checker_writer) { c->n_ledgers - 1, l->token, l->pid, l->sequence };
		c->n_writers++;
		return NULL;
	}
	if (l->sequence <= w->sequence)
		return "SEQUENCE does not rise";
	w->sequence = l->sequence;
	return NULL;
}

const char *checker_take_line(struct checker *c, const struct checker_line *l, struct checker_place place)
{
	bool write = strcmp(l->kind, "write") == 0, admitted = strcmp(l->admitted, "yes") == 0;
	const char *why;

	if (!write && strcmp(l->kind, "begin") != 0 && strcmp(l->kind, "run") != 0 && strcmp(l->kind, "end") != 0)
		return "KIND is none of begin, run, write, end";
	if (write && !admitted && strcmp(l->admitted, "no") != 0)
		return "ADMITTED of a write is neither yes nor no";
	if (!write && (strcmp(l->admitted, "-") != 0 || strcmp(l->resource, "-") != 0))
		return "RESOURCE and ADMITTED are not - though nothing was written";
	if (write && strcmp(l->resource, "-") == 0)
		return "a write to no RESOURCE";
	why = ledger_reader_in_order(c, l);
	if (why)
		return why;
	c->n_lines++;
	if (!write)
		ledger_reader_runs(c, l, place);
	else if (admitted)
		ledger_reader_landed(c, l, place);
	c->n_admitted += write && admitted;
	c->n_refused += write && !admitted;
	return NULL;
}

/* Cuts the line at its spaces. */
static const char *ledger_reader_line(struct checker *c, char *line, size_t n_bytes, struct checker_place place)
{
	char *fields[LEDGER_READER_FIELDS], *rest = line;
	struct checker_line l;

	if (strlen(line) != n_bytes)
		return "a zero byte";
	while (n_bytes > 0 && line[n_bytes - 1] == ' ')
		line[--n_bytes] = '\0';
	for (size_t i = 0; i < LEDGER_READER_FIELDS; i++) {
		fields[i] = strsep(&rest, " ");
		if (!fields[i] || !*fields[i])
			return "fewer than the 8 fields NS TOKEN PID KIND RESOURCE ADMITTED SEQUENCE HOLDER";
	}
	if (rest)
		return "more than 8 fields";
	if (!text_u64(fields[0], UINT64_MAX - 1, &l.at_ns) || l.at_ns == 0)
		return "NS is no instant in ns";
	if (!text_u64(fields[1], INT64_MAX, &l.token) || l.token == 0)
		return "TOKEN is no number from 1 to 2^63-1";
	if (!text_u64(fields[2], INT32_MAX, &l.pid) || l.pid == 0)
		return "PID is none";
	if (!text_u64(fields[6], UINT64_MAX, &l.sequence))
		return "SEQUENCE is no number";
	l.kind = fields[3];
	l.resource = fields[4];
	l.admitted = fields[5];
	l.holder = fields[7];
	return checker_take_line(c, &l, place);
}

bool checker_read_ledger(struct checker *c, FILE *in, const char *name)
{
	struct checker_place place = { .file = name };
	char *line = NULL;
	size_t room = 0;
	ssize_t n;

	c->n_ledgers++;
	while ((n = getline(&line, &room, in)) > 0) {
		const char *why;

		place.line++;
		if (line[n - 1] != '\n') { /* the last one, of a writer that was killed */
			c->n_torn++;
			break;
		}
		line[n - 1] = '\0';
		why = ledger_reader_line(c, line, (size_t)n - 1, place);
		if (why)
			checker_malformed(c, place, why);
	}
	free(line);
	return ferror(in) == 0;
}
