/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/output.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/clock.h"

const char *output_time(char out[OUTPUT_TIME_ROOM], int64_t unix_ns)
{
	int64_t ns = unix_ns % (int64_t)CLOCK_NS_PER_S, s = unix_ns / (int64_t)CLOCK_NS_PER_S;
	struct tm tm;
	time_t seconds;
	size_t used;

	if (ns < 0) {
		ns += (int64_t)CLOCK_NS_PER_S;
		s--;
	}
	seconds = (time_t)s;
	if (!gmtime_r(&seconds, &tm))
		memset(&tm, 0, sizeof tm);
	used = strftime(out, OUTPUT_TIME_ROOM, "%Y-%m-%dT%H:%M:%S", &tm);
	(void)snprintf(out + used, OUTPUT_TIME_ROOM - used, ".%03" PRId64 "Z", ns / (int64_t)CLOCK_NS_PER_MS);
	return out;
}

json_t *output_string(const char *text, size_t n_bytes)
{
	char *clean = malloc(3 * n_bytes + 1);
	struct buf b;
	json_t *string;

	if (!clean)
		return NULL;
	buf_init(&b, clean, 3 * n_bytes + 1);
	for (size_t i = 0; i < n_bytes;) {
		size_t length = buf_utf8_length(text + i, n_bytes - i);

		if (length == 0)
			buf_text(&b, "\xef\xbf\xbd");
		else
			buf_bytes(&b, text + i, length);
		i += length ? length : 1;
	}
	string = json_stringn(clean, b.used);
	free(clean);
	return string;
}

json_t *output_string_or_null(const char *text)
{
	return text ? output_string(text, strlen(text)) : json_null();
}

static bool output_is_printable(const char *text, size_t n_bytes)
{
	for (size_t i = 0; i < n_bytes;) {
		size_t length = buf_utf8_length(text + i, n_bytes - i);
		unsigned char c = (unsigned char)text[i];

		if (length == 0 || (length == 1 && (c < 0x20 || c == 0x7f)))
			return false;
		if (length == 2 && c == 0xc2 && (unsigned char)text[i + 1] < 0xa0)
			return false;
		i += length;
	}
	return true;
}

const char *output_printable(char *out, size_t room, const char *text, size_t n_bytes)
{
	struct buf b;

	buf_init(&b, out, room);
	if (output_is_printable(text, n_bytes))
		buf_bytes(&b, text, n_bytes);
	else
		buf_json(&b, text, n_bytes);
	if (b.overflow) {
		buf_init(&b, out, room);
		buf_text(&b, "(");
		buf_u64(&b, n_bytes);
		buf_text(&b, " bytes)");
	}
	return out;
}

int output_flush(const struct cli *cli)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return 0;
	return cli_fail_code(cli, 74, "cannot write to standard output: %s", strerror(errno));
}

int output_json(const struct cli *cli, json_t *value)
{
	if (!value)
		return cli_fail_code(cli, 70, "out of memory");
	(void)json_dumpf(value, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER | JSON_ENCODE_ANY);
	json_decref(value);
	(void)putc('\n', stdout);
	return output_flush(cli);
}

void output_table_init(struct output_table *t, size_t n_columns)
{
	CHECK(n_columns > 0 && n_columns <= OUTPUT_COLUMNS);
	*t = (struct output_table) { .n_columns = n_columns };
}

void output_table_cell(struct output_table *t, const char *text)
{
	if (t->n_cells == t->room) {
		size_t room = t->room ? 2 * t->room : 64;
		char **cells = realloc(t->cells, room * sizeof *cells);

		if (!cells) {
			t->failed = true;
			return;
		}
		t->cells = cells;
		t->room = room;
	}
	t->cells[t->n_cells] = strdup(text);
	if (t->cells[t->n_cells])
		t->n_cells++;
	else
		t->failed = true;
}

/* Characters, not bytes: continuation bytes of UTF-8 take no room. */
static size_t output_width(const char *text)
{
	size_t width = 0;

	for (; *text; text++)
		width += ((unsigned char)*text & 0xc0U) != 0x80;
	return width;
}

void output_table_free(struct output_table *t)
{
	for (size_t i = 0; i < t->n_cells; i++)
		free(t->cells[i]);
	free(t->cells);
	*t = (struct output_table) { .n_columns = t->n_columns };
}

int output_table_print(const struct cli *cli, struct output_table *t)
{
	size_t widths[OUTPUT_COLUMNS] = { 0 };
	bool failed = t->failed;

	for (size_t i = 0; i < t->n_cells; i++)
		if (output_width(t->cells[i]) > widths[i % t->n_columns])
			widths[i % t->n_columns] = output_width(t->cells[i]);
	for (size_t i = 0; i < t->n_cells; i++) {
		bool last = i % t->n_columns == t->n_columns - 1;

		(void)fputs(t->cells[i], stdout);
		if (last)
			(void)putc('\n', stdout);
		else
			(void)printf("%*s", (int)(widths[i % t->n_columns] - output_width(t->cells[i]) + 2), "");
	}
	output_table_free(t);
	return failed ? cli_fail_code(cli, 70, "out of memory") : output_flush(cli);
}

void output_findings_init(struct output_findings *f)
{
	f->rows = json_array();
}

void output_finding(struct output_findings *f, const char *name, json_t *value, const char *unit,
                    enum output_verdict verdict, const char *detail, ...)
{
	static const char *const verdicts[] = { "ok", "weak", "unsafe" };
	char text[512];
	va_list arguments;

	va_start(arguments, detail);
	(void)vsnprintf(text, sizeof text, detail, arguments);
	va_end(arguments);
	(void)json_array_append_new(f->rows, json_pack("{s:s, s:o, s:s, s:s, s:o}", "name", name, "value", value,
	                                               "unit", unit, "verdict", verdicts[verdict], "detail",
	                                               output_string(text, strlen(text))));
}

static void output_findings_cells(struct output_table *t, json_t *rows)
{
	size_t i;
	json_t *row;

	output_table_cell(t, "CHECK");
	output_table_cell(t, "VALUE");
	output_table_cell(t, "VERDICT");
	output_table_cell(t, "DETAIL");
	json_array_foreach(rows, i, row)
	{
		json_t *value = json_object_get(row, "value");
		const char *unit = json_string_value(json_object_get(row, "unit"));
		char *dump = json_is_string(value) ? NULL : json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(6));
		char cell[256];

		(void)snprintf(cell, sizeof cell, "%s%s%s",
		               dump                    ? dump
		               : json_is_string(value) ? json_string_value(value)
		                                       : "",
		               *unit ? " " : "", unit);
		free(dump);
		output_table_cell(t, json_string_value(json_object_get(row, "name")));
		output_table_cell(t, json_is_null(value) ? "-" : cell);
		output_table_cell(t, json_string_value(json_object_get(row, "verdict")));
		output_table_cell(t, json_string_value(json_object_get(row, "detail")));
	}
}

int output_findings_print(const struct cli *cli, struct output_findings *f)
{
	struct output_table t;

	if (cli->format == CLI_JSON || !f->rows)
		return output_json(cli, f->rows);
	output_table_init(&t, 4);
	output_findings_cells(&t, f->rows);
	json_decref(f->rows);
	return output_table_print(cli, &t);
}
