/* SPDX-License-Identifier: Apache-2.0 */
/* What verbs print on stdout: JSON in a stable order, tables for people, instants. */
#ifndef TENURE_CLI_OUTPUT_H
#define TENURE_CLI_OUTPUT_H

#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "cli/cli.h"

#define OUTPUT_TIME_ROOM 32
#define OUTPUT_COLUMNS   6

/* RFC 3339 in UTC with milliseconds: "2026-01-02T03:04:05.678Z". Returns `out`. PURE. */
const char *output_time(char out[OUTPUT_TIME_ROOM], int64_t unix_ns);

/* A JSON string of any bytes: what is not UTF-8 becomes U+FFFD. Returns owned, NULL without memory. */
json_t *output_string(const char *text, size_t n_bytes);
/* NULL becomes null. */
json_t *output_string_or_null(const char *text);
/* Bytes for a table: as they are where they are printable UTF-8, else as a JSON string. Returns `out`. */
const char *output_printable(char *out, size_t room, const char *text, size_t n_bytes);

/* One line of JSON, at once. Takes `value`; NULL means that there was no memory. Returns the exit code. */
int output_json(const struct cli *cli, json_t *value);
/* Flushes stdout: 0, or prints why it can't be written and returns 74. */
int output_flush(const struct cli *cli);

struct output_table { /* columns are as wide as they need to be */
	char **cells;
	size_t n_cells, room, n_columns;
	bool failed; /* no memory */
};

void output_table_init(struct output_table *t, size_t n_columns);
void output_table_cell(struct output_table *t, const char *text);      /* copies */
int output_table_print(const struct cli *cli, struct output_table *t); /* and frees it; returns the exit code */
void output_table_free(struct output_table *t);                        /* without printing */

/* One row of `doctor` and `timing`. */
enum output_verdict { OUTPUT_OK, OUTPUT_WEAK, OUTPUT_UNSAFE };
struct output_findings {
	json_t *rows;
};

void output_findings_init(struct output_findings *f);
/* Takes `value` (a JSON scalar). */
void output_finding(struct output_findings *f, const char *name, json_t *value, const char *unit,
                    enum output_verdict verdict, const char *detail, ...) __attribute__((format(printf, 6, 7)));
/* Prints all in the format that was asked for. Frees. Returns the exit code. */
int output_findings_print(const struct cli *cli, struct output_findings *f);

#endif
