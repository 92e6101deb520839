/* SPDX-License-Identifier: Apache-2.0 */
#include "mutants.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"

#include "runner.h"
#include "schedule.h"

#define MUTANTS_SCHEDULE_SEEDS 40
#define MUTANTS_JOBS           2
#define MUTANTS_PATIENCE       8 /* where it has to be found: on a busy machine, too */

enum mutants_duty { MUST = 1, MAY };

struct mutants_case {
	const char *name;
	enum mutants_duty duty;
	bool liveness;        /* what is no violation of safety counts as well */
	const char *profiles; /* of the random seeds */
	const char *note;     /* why it need not be found */
};

static const struct mutants_case mutants_cases[] = {
#include "mutants_table.h"
};

static const char *const mutants_names[] = {
#define MUTANTS_X(name, rule, what) #name,
	QUORUM_MUTATION_LIST(MUTANTS_X)
#undef MUTANTS_X
};

static const char *const mutants_rules[] = {
#define MUTANTS_X(name, rule, what) rule,
	QUORUM_MUTATION_LIST(MUTANTS_X)
#undef MUTANTS_X
};

bool mutants_set(struct quorum_mutations *m, const char *name)
{
#ifdef QUORUM_MUTATIONS
	for (unsigned i = 0; i < MUTATION_COUNT; i++)
		if (strcmp(mutants_names[i], name) == 0) {
			m->dropped[i] = true;
			return true;
		}
#else
	(void)m;
	(void)name;
#endif
	return false;
}

struct mutants_found {
	bool found;
	struct runner_result r;
	const char *schedule; /* or NULL */
	const char *profile;
	uint64_t n_schedules, n_seeds;
	double seconds;
};

/* A mutant must not be "found" by what fails without it as well. */
static bool mutants_counts(struct mutants_found *f, const char *schedule, enum plan_profile profile)
{
	static const struct world_options none;
	struct runner_result whole;

	if (!f->r.violation.kind[0])
		return false;
	if (schedule)
		schedule_run(&whole, schedule, f->r.seed, &none);
	else
		runner_seed(&whole, f->r.seed, profile, NULL, NULL);
	f->found = !whole.violation.kind[0];
	return f->found;
}

static void mutants_schedules(struct mutants_found *f, const struct world_options *m)
{
	for (uint64_t seed = 1; seed <= MUTANTS_SCHEDULE_SEEDS; seed++) {
		for (size_t i = 0; i < schedule_count; i++) {
			f->n_schedules++;
			schedule_run(&f->r, schedule_table[i].name, seed, m);
			f->schedule = schedule_table[i].name;
			if (mutants_counts(f, f->schedule, PLAN_mix))
				return;
		}
	}
	f->schedule = NULL;
}

static void mutants_random(struct mutants_found *f, const struct mutants_case *c, const struct world_options *m,
                           double until_s)
{
	for (uint64_t seed = 1; runner_wall_s() < until_s; seed++) {
		const char *at = c->profiles;

		while (*at) { /* each profile of the list in turn */
			size_t n = strcspn(at, " ");
			char name[16] = "";
			enum plan_profile profile;

			memcpy(name, at, n < sizeof name - 1 ? n : sizeof name - 1);
			profile = plan_profile_find(name);
			CHECK(profile != PLAN_N_PROFILES);
			f->n_seeds++;
			f->profile = plan_profile_name(profile);
			runner_seed(&f->r, seed, profile, NULL, m);
			if (mutants_counts(f, NULL, profile))
				return;
			at += n + strspn(at + n, " ");
		}
	}
}

static unsigned mutants_index(const char *name)
{
	for (unsigned i = 0; i < MUTATION_COUNT; i++)
		if (strcmp(mutants_names[i], name) == 0)
			return i;
	CHECK(false); /* a mutant of the table is not in the list */
}

/* One row; 1 where it had to be found and was not. */
static int mutants_one(const struct mutants_case *c, double seconds, FILE *out)
{
	struct world_options m = { .safety_only = !c->liveness };
	struct mutants_found f = { .found = false };
	double began_s = runner_wall_s();
	const char *rule = mutants_rules[mutants_index(c->name)];

	CHECK(mutants_set(&m.mutations, c->name));
	mutants_schedules(&f, &m);
	if (!f.found)
		mutants_random(&f, c, &m, began_s + (c->duty == MUST ? MUTANTS_PATIENCE : 1) * seconds);
	f.seconds = runner_wall_s() - began_s;
	fprintf(out, "%-10s %-4s %-4s ", c->name, rule, c->duty == MUST ? "must" : "may");
	if (f.found && f.schedule)
		fprintf(out, "found %-8s schedule %s, seed %" PRIu64, f.r.violation.kind, f.schedule, f.r.seed);
	else if (f.found)
		fprintf(out, "found %-8s profile %s, seed %" PRIu64, f.r.violation.kind, f.profile, f.r.seed);
	else
		fprintf(out, "%s after %" PRIu64 " schedules, %" PRIu64 " seeds",
		        c->duty == MUST ? "NOT FOUND" : "not found", f.n_schedules, f.n_seeds);
	fprintf(out, ", %.2f s%s%s\n", f.seconds, c->note ? ": " : "", c->note ? c->note : "");
	return c->duty == MUST && !f.found;
}

struct mutants_child {
	pid_t pid;
	FILE *rows; /* a temporary file that both have */
};

static void mutants_begin(struct mutants_child *child, const struct mutants_case *c, double seconds)
{
	child->rows = tmpfile();
	CHECK(child->rows);
	fflush(stdout);
	child->pid = fork();
	CHECK(child->pid >= 0);
	if (child->pid == 0) {
		int code = mutants_one(c, seconds, child->rows);

		fflush(child->rows);
		_exit(code);
	}
}

static int mutants_end(struct mutants_child *child)
{
	char line[512];
	int status = 0;

	CHECK(waitpid(child->pid, &status, 0) == child->pid);
	rewind(child->rows);
	while (fgets(line, sizeof line, child->rows))
		fputs(line, stdout);
	fflush(stdout);
	fclose(child->rows);
	if (WIFSIGNALED(status))
		printf("a mutant's process ended by signal %d\n", WTERMSIG(status));
	return status != 0;
}

int mutants_all(double seconds, const char *only)
{
	const size_t n = sizeof mutants_cases / sizeof *mutants_cases;
	struct mutants_child children[MUTANTS_JOBS];
	size_t n_begun = 0, n_ended = 0, n_wrong = 0;
	struct quorum_mutations m = { { false } };

	if (!mutants_set(&m, mutants_names[0])) {
		fprintf(stderr, "tenure-sim: this program has all rules; use tenure-sim-mutants\n");
		return 2;
	}
	for (unsigned i = 0; i < MUTATION_COUNT; i++) { /* none may be forgotten */
		size_t k = 0;

		while (k < n && strcmp(mutants_cases[k].name, mutants_names[i]) != 0)
			k++;
		if (k == n) {
			printf("%s is not in the table\n", mutants_names[i]);
			n_wrong++;
		}
	}
	for (size_t i = 0; i < n; i++) {
		if (only && strcmp(only, mutants_cases[i].name) != 0)
			continue;
		if (n_begun - n_ended == MUTANTS_JOBS)
			n_wrong += (size_t)mutants_end(&children[n_ended++ % MUTANTS_JOBS]);
		mutants_begin(&children[n_begun++ % MUTANTS_JOBS], &mutants_cases[i], seconds);
	}
	while (n_ended < n_begun)
		n_wrong += (size_t)mutants_end(&children[n_ended++ % MUTANTS_JOBS]);
	printf("%zu mutants, %zu not as they must be\n", n_begun, n_wrong);
	return n_wrong || !n_begun ? 1 : 0;
}
