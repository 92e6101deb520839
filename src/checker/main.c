/* SPDX-License-Identifier: Apache-2.0 */
/* tenure-checker: the separate judge of demos and tests. See the help below. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checker/checker.h"

enum main_exit { MAIN_CLEAN = 0, MAIN_VIOLATION = 1, MAIN_USAGE = 64, MAIN_MALFORMED = 65, MAIN_IO = 74 };

static const char main_help[] =
        "Usage: tenure-checker [--json] [--trace FILE]... [--ledger FILE]...\n"
        "\n"
        "Reads traces of candidates ('tenure run --trace', 'tenure campaign --trace') and ledgers of what their "
        "programs\n"
        "did, all on the boot clock of one host, and says whether at any instant there were\n"
        "\n"
        "  two leaders at once             beliefs of two candidates of one election overlap (traces)\n"
        "  a token that does not rise      from one tenure to the next (traces, ledger)\n"
        "  one token used by two holders   (traces, ledger)\n"
        "  two programs at once            signs of life under two tokens overlap (ledger)\n"
        "  a stale write that was admitted after a write with a greater token to the same resource (ledger)\n"
        "\n"
        "A line of a ledger, written with one append: NS TOKEN PID KIND RESOURCE ADMITTED SEQUENCE HOLDER\n"
        "KIND is begin, run, end or write; RESOURCE and ADMITTED (yes, no) are - but for a write.\n"
        "\n"
        "exit codes: 0 no violation; 1 violations, each named; 64 bad usage; 65 a malformed line, named with its "
        "place,\n"
        "or nothing to be judged; 70 out of memory; 74 a file could not be read.\n";

static int main_read(struct checker *c, const char *path, bool ledger)
{
	FILE *in = fopen(path, "re");
	bool whole;

	if (in) {
		whole = ledger ? checker_read_ledger(c, in, path) : checker_read_trace(c, in, path);
		(void)fclose(in);
		if (whole)
			return MAIN_CLEAN;
	}
	(void)fprintf(stderr, "tenure-checker: cannot read %s: %s\n", path, strerror(errno));
	return MAIN_IO;
}

static void main_print(const struct checker *c)
{
	struct checker_gaps g;

	checker_gaps(c, &g);
	for (size_t i = 0; i < CHECKER_N_KINDS; i++)
		if (c->n_violations[i])
			printf("%zu x %s\n", c->n_violations[i], checker_kind_name((enum checker_kind)i));
	printf("traces: %zu records, %zu tenures\n", c->n_records, c->n_tenures);
	printf("ledger: %zu lines under %zu tokens, %zu writes admitted, %zu refused\n", c->n_lines, c->n_activities,
	       c->n_admitted, c->n_refused);
	if (c->n_torn)
		printf("torn last lines of killed writers: %zu\n", c->n_torn);
	if (g.n)
		printf("gaps between programs: %zu, p50 %.1f ms, p99 %.1f ms, longest %.1f ms\n", g.n,
		       (double)g.p50_ns / 1e6, (double)g.p99_ns / 1e6, (double)g.longest_ns / 1e6);
}

static void main_print_json(const struct checker *c)
{
	struct checker_gaps g;

	checker_gaps(c, &g);
	printf("{\"violations\":{");
	for (size_t i = 0; i < CHECKER_N_KINDS; i++)
		printf("%s\"%s\":%zu", i ? "," : "", checker_kind_name((enum checker_kind)i), c->n_violations[i]);
	printf("},\"malformed\":%zu,\"torn\":%zu,\"records\":%zu,\"tenures\":%zu,\"lines\":%zu,\"tokens\":%zu,"
	       "\"admitted\":%zu,\"refused\":%zu,\"gaps\":{\"n\":%zu,\"p50_ms\":%.3f,\"p99_ms\":%.3f,\"longest_ms\":%."
	       "3f}}\n",
	       c->n_malformed, c->n_torn, c->n_records, c->n_tenures, c->n_lines, c->n_activities, c->n_admitted,
	       c->n_refused, g.n, (double)g.p50_ns / 1e6, (double)g.p99_ns / 1e6, (double)g.longest_ns / 1e6);
}

static int main_verdict(struct checker *c, bool json)
{
	size_t n_violations = checker_judge(c);

	if (json)
		main_print_json(c);
	else
		main_print(c);
	if (c->n_malformed) {
		(void)fprintf(stderr, "tenure-checker: no verdict: %zu malformed lines\n", c->n_malformed);
		return MAIN_MALFORMED;
	}
	if (!checker_has_input(c)) {
		(void)fputs("tenure-checker: no verdict: no tenure and no activity in what was read\n", stderr);
		return MAIN_MALFORMED;
	}
	if (!json && n_violations == 0)
		printf("no violation\n");
	return n_violations ? MAIN_VIOLATION : MAIN_CLEAN;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "trace", required_argument, NULL, 't' },
		{ "ledger", required_argument, NULL, 'l' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	struct checker c;
	bool json = false;
	int letter, code = MAIN_CLEAN, n_inputs = 0;

	checker_init(&c, stdout);
	while (code == MAIN_CLEAN && (letter = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (letter == 'h') {
			(void)fputs(main_help, stdout);
			checker_deinit(&c);
			return fflush(stdout) == 0 ? MAIN_CLEAN : MAIN_IO;
		}
		if (letter == 'j') {
			json = true;
			c.report = stderr; /* stdout is for the one line of JSON */
		} else if (letter == 't' || letter == 'l') {
			code = main_read(&c, optarg, letter == 'l');
			n_inputs++;
		} else {
			code = MAIN_USAGE;
		}
	}
	if (code == MAIN_CLEAN && (optind < argc || n_inputs == 0)) {
		(void)fputs("tenure-checker: give --trace FILE and --ledger FILE; see --help\n", stderr);
		code = MAIN_USAGE;
	}
	if (code == MAIN_CLEAN)
		code = main_verdict(&c, json);
	checker_deinit(&c);
	if (fflush(stdout) != 0 && code == MAIN_CLEAN)
		code = MAIN_IO;
	return code;
}
