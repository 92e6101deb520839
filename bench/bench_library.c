/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The library on a file store. bench_library leads|holds|clock|silent DIR; bench_library cycle|handover DIR N.
 * Prints numbers in ns, one a line.
 */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <tenure/tenure.h>

#include "bench.h"

#define BENCH_CALLS  2000000
#define BENCH_ROUNDS 15
#define BENCH_WAIT   (10 * UINT64_C(1000000000))
#define BENCH_MOST   10000

struct bench_session {
	struct tenure *tenure;
	struct tenure_candidacy *candidacy;
	bool once;
};

static void bench_campaign(struct bench_session *s)
{
	struct tenure_campaign_options options = TENURE_CAMPAIGN_OPTIONS_INIT;
	struct tenure_error error = TENURE_ERROR_INIT;

	options.once = s->once;
	if (tenure_campaign(s->tenure, "bench", &options, &s->candidacy, &error) != 0)
		bench_die("tenure_campaign", error.message);
}

static void bench_open(struct bench_session *s, const char *dir, const char *id, bool once)
{
	struct tenure_options options = TENURE_OPTIONS_INIT;
	struct tenure_error error = TENURE_ERROR_INIT;
	char url[4096];

	memset(s, 0, sizeof *s);
	s->once = once;
	options.id = id;
	(void)snprintf(url, sizeof url, "file:%s", dir);
	if (tenure_open(&s->tenure, url, &options, &error) != 0)
		bench_die("tenure_open", error.message);
}

static void bench_close(struct bench_session *s)
{
	if (tenure_close(s->tenure, BENCH_WAIT) != 0)
		bench_die("tenure_close", "failed");
}

static void bench_await(struct bench_session *s, unsigned states)
{
	int code = tenure_wait(s->candidacy, states, BENCH_WAIT);

	if (code != 0)
		bench_die("tenure_wait", code > 0 ? "timed out" : tenure_strerror(code));
}

/* ns a call of a loop over the question, and over the clock alone. */

static unsigned bench_ask_leads(const struct bench_session *s, uint64_t token)
{
	unsigned yes = 0;
	struct tenure_grant grant;

	(void)token;
	for (unsigned i = 0; i < BENCH_CALLS; i++)
		yes += tenure_leads(s->candidacy, &grant);
	return yes;
}

static unsigned bench_ask_holds(const struct bench_session *s, uint64_t token)
{
	unsigned yes = 0;

	for (unsigned i = 0; i < BENCH_CALLS; i++)
		yes += tenure_holds(s->candidacy, token);
	return yes;
}

static unsigned bench_ask_clock(const struct bench_session *s, uint64_t token)
{
	unsigned yes = 0;

	(void)s;
	for (unsigned i = 0; i < BENCH_CALLS; i++)
		yes += bench_now_ns() > token;
	return yes;
}

static void bench_question(const char *dir, unsigned (*ask)(const struct bench_session *s, uint64_t token))
{
	struct bench_session s;
	struct tenure_grant grant;

	bench_open(&s, dir, "bench", true);
	bench_campaign(&s);
	bench_await(&s, TENURE_LEADING);
	if (!tenure_leads(s.candidacy, &grant))
		bench_die("tenure_leads", "not leading");
	for (int round = 0; round < BENCH_ROUNDS; round++) {
		uint64_t began = bench_now_ns();

		if (ask(&s, grant.token) != BENCH_CALLS)
			bench_die("question", "leadership was lost");
		printf("%.3f\n", (double)(bench_now_ns() - began) / BENCH_CALLS);
	}
	bench_close(&s);
}

/*
 * The proof that the questions make no system call: a thread that may make none but exit (the kernel kills the process at
 * any other) asks them. Not seccomp's strict mode: that takes the time stamp counter away too.
 */

struct bench_silent {
	struct bench_session session;
	uint64_t token;
	atomic_uint yes;
};

static bool bench_forbid_calls(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
	};
	struct sock_fprog program = { .len = sizeof code / sizeof code[0], .filter = code };

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

static void *bench_silent_thread(void *arg)
{
	struct bench_silent *silent = arg;

	if (!bench_forbid_calls())
		return NULL;
	atomic_store(&silent->yes,
	             bench_ask_leads(&silent->session, 0) + bench_ask_holds(&silent->session, silent->token));
	/* Not pthread_exit: that unmaps the stack. */
	(void)syscall(SYS_exit, 0);
	return NULL;
}

static void bench_silence(const char *dir)
{
	static const unsigned expected = 2 * BENCH_CALLS;
	struct bench_silent silent = { .token = 0 };
	struct tenure_grant grant;
	pthread_t thread;

	bench_open(&silent.session, dir, "bench", true);
	bench_campaign(&silent.session);
	bench_await(&silent.session, TENURE_LEADING);
	if (!tenure_leads(silent.session.candidacy, &grant))
		bench_die("tenure_leads", "not leading");
	silent.token = grant.token;
	if (pthread_create(&thread, NULL, bench_silent_thread, &silent) != 0 || pthread_join(thread, NULL) != 0)
		bench_die("pthread", "failed");
	if (atomic_load(&silent.yes) != expected)
		bench_die("seccomp", "a filter is not to be had");
	printf("%u\n", expected);
	bench_close(&silent.session);
}

static void bench_cycle(const char *dir, unsigned n)
{
	struct bench_session s;

	bench_open(&s, dir, "bench", true);
	for (unsigned i = 0; i < n; i++) {
		uint64_t began = bench_now_ns();

		bench_campaign(&s);
		bench_await(&s, TENURE_LEADING);
		if (tenure_resign(s.candidacy, NULL) != 0)
			bench_die("tenure_resign", "failed");
		bench_await(&s, TENURE_ENDED);
		tenure_candidacy_free(s.candidacy);
		printf("%llu\n", (unsigned long long)(bench_now_ns() - began));
	}
	bench_close(&s);
}

static void *bench_side_open(const char *where, unsigned number)
{
	static struct bench_session session; /* one a process */

	bench_open(&session, where, number ? "b" : "a", false);
	bench_campaign(&session);
	return &session;
}

static void bench_side_acquire(void *arg)
{
	bench_await(arg, TENURE_LEADING);
}

static void bench_side_release(void *arg)
{
	struct bench_session *s = arg;

	if (tenure_resign(s->candidacy, NULL) != 0)
		bench_die("tenure_resign", "failed");
}

static void bench_side_close(void *arg)
{
	bench_close(arg);
}

int main(int argc, char **argv)
{
	static const struct bench_side side = { bench_side_open, bench_side_acquire, bench_side_release,
		                                bench_side_close };
	const char *what = argc > 2 ? argv[1] : "";

	if (strcmp(what, "leads") == 0)
		bench_question(argv[2], bench_ask_leads);
	else if (strcmp(what, "holds") == 0)
		bench_question(argv[2], bench_ask_holds);
	else if (strcmp(what, "clock") == 0)
		bench_question(argv[2], bench_ask_clock);
	else if (strcmp(what, "silent") == 0)
		bench_silence(argv[2]);
	else if (strcmp(what, "cycle") == 0 && argc == 4)
		bench_cycle(argv[2], bench_number(argv[3], BENCH_MOST));
	else if (strcmp(what, "handover") == 0 && argc == 4)
		bench_handover(&side, argv[2], bench_number(argv[3], BENCH_MOST));
	else
		bench_die("usage", "bench_library leads|holds|clock|silent DIR, or cycle|handover DIR N");
	return 0;
}
