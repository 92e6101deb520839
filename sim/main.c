/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "mutants.h"
#include "runner.h"
#include "schedule.h"
#include "shrink.h"

struct main_options {
	struct runner_order order;
	uint64_t seed;
	double seconds;
	const char *schedule, *mutant;
	const char *keep;
	bool ndjson, has_seed;
	struct plan_limits limits;
};

static const char main_usage[] =
        "tenure-sim: the quorum's cores in a world of virtual clocks, networks and disks\n"
        "  run --seeds FROM..TO [--profile P] [--jobs N]      many seeds: violations, and what was covered\n"
        "  hash --seeds FROM..TO [--profile P] [--jobs N]     the hash of their traces alone\n"
        "  replay SEED [--profile P] [--mutant M] [--ndjson] [--keep F,F] [--candidates N] [--elections N] [--until "
        "S]\n"
        "  shrink SEED [--profile P] [--mutant M]             a failing seed, made smaller\n"
        "  schedules [--seeds FROM..TO]                       every directed schedule, no rule dropped\n"
        "  replay SEED --schedule NAME [--mutant M]           one of them, as a transcript\n"
        "  mutants [--seconds N] [--mutant M]                 each rule dropped: found or not, where, and how fast\n"
        "Exit codes: 0 as it must be, 1 a violation (or a mutant not found), 2 usage.\n";

static _Noreturn void main_fail(const char *what, const char *value)
{
	fprintf(stderr, "tenure-sim: %s%s%s\n%s", what, value ? ": " : "", value ? value : "", main_usage);
	exit(2);
}

static uint64_t main_number(const char *text, const char **end)
{
	char *stop;
	uint64_t value;

	errno = 0;
	value = strtoull(text, &stop, 10);
	if (errno || stop == text || (!end && *stop))
		main_fail("not a number", text);
	if (end)
		*end = stop;
	return value;
}

static void main_seeds(struct main_options *o, const char *text)
{
	const char *rest;

	o->order.from = o->order.to = main_number(text, &rest);
	if (strncmp(rest, "..", 2) == 0)
		o->order.to = main_number(rest + 2, NULL);
	else if (*rest)
		main_fail("seeds are FROM..TO", text);
}

static void main_option(struct main_options *o, const char *name, const char *value)
{
	if (strcmp(name, "--seeds") == 0) {
		main_seeds(o, value);
	} else if (strcmp(name, "--profile") == 0) {
		o->order.profile = plan_profile_find(value);
		if (o->order.profile == PLAN_N_PROFILES)
			main_fail("no such profile", value);
	} else if (strcmp(name, "--jobs") == 0) {
		o->order.n_jobs = (unsigned)main_number(value, NULL);
		if (o->order.n_jobs < 1 || o->order.n_jobs > 64)
			main_fail("jobs are 1 to 64", value);
	} else if (strcmp(name, "--stop-after") == 0) {
		o->order.stop_after_failures = main_number(value, NULL);
	} else if (strcmp(name, "--mutant") == 0) {
		o->mutant = value;
	} else if (strcmp(name, "--schedule") == 0) {
		o->schedule = value;
	} else if (strcmp(name, "--keep") == 0) {
		o->keep = value;
	} else if (strcmp(name, "--seconds") == 0) {
		o->seconds = (double)main_number(value, NULL);
	} else if (strcmp(name, "--candidates") == 0) {
		o->limits.max_candidates = (unsigned)main_number(value, NULL);
	} else if (strcmp(name, "--elections") == 0) {
		o->limits.max_elections = (unsigned)main_number(value, NULL);
	} else if (strcmp(name, "--until-ns") == 0) {
		o->limits.heal_ns = main_number(value, NULL);
	} else if (strcmp(name, "--until") == 0) {
		o->limits.heal_ns = main_number(value, NULL) * PLAN_S;
	} else {
		main_fail("no such option", name);
	}
}

static void main_parse(struct main_options *o, int argc, char **argv)
{
	*o = (struct main_options) { .order = { .from = 1, .to = 100, .n_jobs = 2 }, .seconds = 10 };
	for (int i = 2; i < argc; i++) {
		if (strncmp(argv[i], "--", 2) != 0) {
			o->seed = main_number(argv[i], NULL);
			o->has_seed = true;
		} else if (strcmp(argv[i], "--no-pauses") == 0) {
			o->limits.no_pauses = true;
		} else if (strcmp(argv[i], "--no-tails") == 0) {
			o->limits.no_tails = true;
		} else if (strcmp(argv[i], "--ndjson") == 0) {
			o->ndjson = true;
		} else if (i + 1 == argc) {
			main_fail("a value is missing", argv[i]);
		} else {
			main_option(o, argv[i], argv[i + 1]);
			i++;
		}
	}
}

static int main_run(const struct main_options *o, bool hash_only)
{
	double wall_s = runner_wall_s(), cpu_s = runner_cpu_s();
	struct runner_sum sum;
	int code = runner_many(&sum, &o->order);

	if (code)
		fprintf(stderr, "tenure-sim: a process of this run has failed\n");
	if (hash_only)
		printf("%016" PRIx64 "\n", sum.hash);
	else
		runner_print(&sum, runner_wall_s() - wall_s, runner_cpu_s() - cpu_s);
	return code || sum.n_failed ? 1 : 0;
}

/* --keep: the indices of the faults that stay. */
static uint8_t *main_keep(struct main_options *o)
{
	size_t n = 1 << 16;
	uint8_t *on;

	if (!o->keep)
		return NULL;
	on = calloc(1, n);
	for (const char *at = strcmp(o->keep, "none") == 0 ? "" : o->keep; on && *at; at += *at == ',') {
		uint64_t index = main_number(at, &at);

		if (index < n)
			on[index] = 1;
		if (*at && *at != ',')
			main_fail("faults are numbers with commas", o->keep);
	}
	o->limits.faults_on = on;
	o->limits.n_faults_on = n;
	return on;
}

static int main_replay(struct main_options *o)
{
	struct world_options options = { .transcript = stdout, .ndjson = o->ndjson, .safety_only = o->mutant != NULL };
	struct runner_result r;
	uint8_t *keep = main_keep(o);

	if (!o->has_seed)
		main_fail("which seed?", NULL);
	if (o->mutant && !mutants_set(&options.mutations, o->mutant))
		main_fail("no such mutant in this program (tenure-sim-mutants has them)", o->mutant);
	if (o->schedule) {
		if (!schedule_run(&r, o->schedule, o->seed, &options))
			main_fail("no such schedule", o->schedule);
	} else {
		runner_seed(&r, o->seed, o->order.profile, &o->limits, &options);
	}
	free(keep);
	if (!o->ndjson)
		printf("%s at %" PRIu64 " ms, trace hash %016" PRIx64 "\n",
		       r.violation.kind[0] ? "violation" : "no violation", r.true_ns / PLAN_MS, r.hash);
	return r.violation.kind[0] ? 1 : 0;
}

int main(int argc, char **argv)
{
	struct main_options o;
	const char *verb = argc > 1 ? argv[1] : "";

	if (strcmp(verb, "--help") == 0 || strcmp(verb, "help") == 0) {
		fputs(main_usage, stdout);
		return 0;
	}
	main_parse(&o, argc, argv);
	if (strcmp(verb, "run") == 0)
		return main_run(&o, false);
	if (strcmp(verb, "hash") == 0)
		return main_run(&o, true);
	if (strcmp(verb, "replay") == 0)
		return main_replay(&o);
	if (strcmp(verb, "shrink") == 0 && o.has_seed) {
		struct world_options options = { .safety_only = o.mutant != NULL };

		if (o.mutant && !mutants_set(&options.mutations, o.mutant))
			main_fail("no such mutant in this program (tenure-sim-mutants has them)", o.mutant);
		return shrink_seed(o.seed, o.order.profile, &options, o.mutant);
	}
	if (strcmp(verb, "schedules") == 0)
		return schedule_all(o.order.from, o.order.to);
	if (strcmp(verb, "mutants") == 0)
		return mutants_all(o.seconds, o.mutant);
	main_fail("no such verb", verb);
}
