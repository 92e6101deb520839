/* SPDX-License-Identifier: Apache-2.0 */
/* Many candidates in one election, many elections in one process. Each test prints what it measured. */
#include "file_kit.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

#define PROCESSES 100
#define THREADS   100

struct scale_thread {
	pthread_t thread;
	const char *url, *ledger;
	uint64_t token;
};

static void note(const char *ledger, const char *what, uint64_t token)
{
	char line[64];
	int used = snprintf(line, sizeof line, "%s %llu\n", what, (unsigned long long)token);
	int fd = open(ledger, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, line, (size_t)used), used);
	(void)close(fd);
}

static void *scale_lead(void *arg)
{
	struct scale_thread *me = arg;
	struct tenure_campaign_options options = TENURE_CAMPAIGN_OPTIONS_INIT;
	struct tenure *t = open_session(me->url, "thread");
	struct tenure_candidacy *c;
	struct tenure_grant grant = { 0 };

	options.once = true;
	c = campaign_with(t, "job", &options);
	if (tenure_wait(c, TENURE_LEADING, 4 * GENEROUS) == 0 && tenure_leads(c, &grant)) {
		me->token = grant.token;
		note(me->ledger, "begin", grant.token);
		note(me->ledger, "end", grant.token);
	}
	close_session(t);
	return NULL;
}

static pid_t start_process(const char *url, const char *ledger)
{
	const char *program = kit_tool("CANDIDATE");
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		int null = open("/dev/null", O_WRONLY);

		EXPECT(null >= 0 && dup2(null, 1) == 1);
		(void)execl(program, program, "ledger", url, "job", ledger, (char *)NULL);
		_exit(127);
	}
	return pid;
}

/* "begin N", "end N", in pairs, N rising by at least one: nobody began before another had ended. */
static void judge(const char *ledger, size_t n)
{
	FILE *file = fopen(ledger, "r");
	unsigned long long begun, ended, last = 0;
	size_t pairs = 0;

	assert_non_null(file);
	/* NOLINTNEXTLINE(cert-err34-c): a test's own file */
	while (fscanf(file, "begin %llu end %llu ", &begun, &ended) == 2) {
		assert_true(begun == ended);
		assert_true(begun > last);
		last = begun;
		pairs++;
	}
	assert_true(feof(file));
	(void)fclose(file);
	assert_int_equal(pairs, n);
}

static void two_hundred_candidates_of_one_election_all_lead_once_and_never_two_at_a_time(void **state)
{
	char ledger[FIXTURE_URL_ROOM], own[FIXTURE_URL_ROOM - 16];
	struct tenure *t = open_session(*state, "gate");
	struct tenure_candidacy *gate = campaign(t, "job");
	static struct scale_thread threads[THREADS];
	pid_t processes[PROCESSES];
	uint64_t begin, took;

	(void)await_lead(gate); /* holds everybody back until all wait */
	{
		char directory[FIXTURE_URL_ROOM];

		fixture_directory(directory);
		(void)snprintf(own, sizeof own, "%.400s", directory);
	}
	(void)snprintf(ledger, sizeof ledger, "%s/ledger", own);
	for (int i = 0; i < PROCESSES; i++)
		processes[i] = start_process(*state, ledger);
	for (int i = 0; i < THREADS; i++) {
		threads[i] = (struct scale_thread) { .url = *state, .ledger = ledger };
		assert_int_equal(pthread_create(&threads[i].thread, NULL, scale_lead, &threads[i]), 0);
	}
	await_waiting(t, "job", PROCESSES + THREADS);
	begin = now_ns();
	assert_int_equal(tenure_set_eligible(gate, false), 0);
	for (int i = 0; i < THREADS; i++) {
		assert_int_equal(pthread_join(threads[i].thread, NULL), 0);
		assert_true(threads[i].token > 1);
	}
	for (int i = 0; i < PROCESSES; i++) {
		int status;

		assert_int_equal(waitpid(processes[i], &status, 0), processes[i]);
		assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	}
	took = now_ns() - begin;
	judge(ledger, PROCESSES + THREADS);
	print_message("# %d candidates (%d processes, %d threads): %.1f ms, %.2f ms a hand-over\n", PROCESSES + THREADS,
	              PROCESSES, THREADS, (double)took / 1e6, (double)took / 1e6 / (PROCESSES + THREADS));
	close_session(t);
	fixture_remove(own);
}

/* ---- many elections ---- */

static long memory_kb(void)
{
	long pages = 0;
	FILE *file = fopen("/proc/self/statm", "r");

	assert_non_null(file);
	/* NOLINTNEXTLINE(cert-err34-c): the kernel's numbers */
	assert_int_equal(fscanf(file, "%*d %ld", &pages), 1);
	(void)fclose(file);
	return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

#define ELECTIONS 10000

static void ten_thousand_elections_in_one_process_are_all_led(void **state)
{
	static struct tenure_candidacy *c[ELECTIONS];
	struct rlimit limit;
	uint64_t begin, led, released;
	struct tenure *t;
	long before = memory_kb(), after;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = limit.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	if (limit.rlim_cur < ELECTIONS + 200)
		fail_msg("the host allows %lu descriptors a process, %d are needed: raise the hard limit (ulimit -Hn)",
		         (unsigned long)limit.rlim_cur, ELECTIONS + 200);
	t = open_session(*state, "many");
	begin = now_ns();
	for (int i = 0; i < ELECTIONS; i++) {
		char name[32];

		(void)snprintf(name, sizeof name, "job-%05d", i);
		c[i] = campaign(t, name);
	}
	for (int i = 0; i < ELECTIONS; i++)
		assert_int_equal(tenure_wait(c[i], TENURE_LEADING, 4 * GENEROUS), 0);
	led = now_ns();
	for (int i = 0; i < ELECTIONS; i++)
		assert_true(tenure_leads(c[i], NULL));
	after = memory_kb();
	assert_int_equal(tenure_close(t, 4 * GENEROUS), 0);
	released = now_ns();
	print_message("# %d elections led after %.1f s, released after %.1f s more; %ld kB, %.2f kB an election\n",
	              ELECTIONS, (double)(led - begin) / 1e9, (double)(released - led) / 1e9, after - before,
	              (double)(after - before) / ELECTIONS);
}

#define SHARED "2000"

static void two_thousand_elections_of_a_killed_process_are_all_taken_over(void **state)
{
	struct kit_process first = kit_start(NULL, NULL, "many", *state, SHARED), second;
	char line[KIT_LINE];
	uint64_t begin;

	kit_line(&first, line);
	assert_string_equal(line, "all");
	second = kit_start(NULL, NULL, "many", *state, SHARED);
	{
		struct tenure *t = open_session(*state, "watch");

		await_waiting(t, "job-01999", 1);
		close_session(t);
	}
	begin = now_ns();
	kit_kill(&first);
	kit_line(&second, line);
	assert_string_equal(line, "all");
	print_message("# %s elections of a killed process taken over in %.1f s\n", SHARED,
	              (double)(now_ns() - begin) / 1e9);
	assert_int_equal(kit_end(&second), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(two_hundred_candidates_of_one_election_all_lead_once_and_never_two_at_a_time),
		TEST(ten_thousand_elections_in_one_process_are_all_led),
		TEST(two_thousand_elections_of_a_killed_process_are_all_taken_over),
	};

	(void)fixture_choose("file");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
