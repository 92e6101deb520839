/* SPDX-License-Identifier: Apache-2.0 */
/* What ends a process at an instant, and what does not let it begin after that. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "client/lease_page_writer.h"
#include "supervisor/channel.h"
#include "supervisor/dead_man.h"
#include "supervisor/program.h"
#include "supervisor/warden.h"

#define MS       CLOCK_NS_PER_MS
#define GENEROUS (10000 * MS)

/* Waits for the end of a child; returns when it was seen. */
static uint64_t ended_ns(pid_t pid, int *status)
{
	assert_int_equal(waitpid(pid, status, 0), pid);
	return clock_now_or_zero_ns();
}

/* Whoever is not killed in a generous time is ended here, which fails the test. */
static void killed_not_before(pid_t pid, uint64_t deadline_ns)
{
	int status = 0, pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct pollfd ended = { .fd = pidfd, .events = POLLIN };
	bool in_time = poll(&ended, 1, (int)(GENEROUS / MS)) == 1;
	if (!in_time)
		(void)kill(pid, SIGKILL);
	close(pidfd);
	uint64_t end_ns = ended_ns(pid, &status);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGKILL);
	assert_true(end_ns >= deadline_ns);
	assert_true(in_time);
}

static _Noreturn void pause_for_ever(void)
{
	for (;;)
		pause();
}

static void the_kernel_kills_at_the_deadline_though_the_process_is_stopped(void **state)
{
	uint64_t deadline_ns = clock_now_or_zero_ns() + 50 * MS;
	pid_t pid = fork();
	(void)state;
	if (pid == 0) {
		struct dead_man d;
		sigset_t all;
		sigfillset(&all);
		(void)sigprocmask(SIG_BLOCK, &all, NULL);
		if (dead_man_set(&d, deadline_ns, NULL) != 0)
			_exit(1);
		(void)raise(SIGSTOP);
		pause_for_ever();
	}
	killed_not_before(pid, deadline_ns);
}

static void the_deadline_moves_on_and_never_back(void **state)
{
	uint64_t now_ns = clock_now_or_zero_ns(), deadline_ns = now_ns + 150 * MS;
	pid_t pid = fork();
	(void)state;
	if (pid == 0) {
		struct dead_man d;
		if (dead_man_set(&d, now_ns + 100 * MS, NULL) != 0 || dead_man_extend(&d, deadline_ns) != 0 ||
		    dead_man_extend(&d, now_ns + 1) != 0 || dead_man_extend(&d, 0) != 0)
			_exit(1);
		pause_for_ever();
	}
	killed_not_before(pid, deadline_ns);
}

static void a_deadline_that_is_over_kills_at_once(void **state)
{
	uint64_t now_ns = clock_now_or_zero_ns();
	pid_t pid = fork();
	(void)state;
	if (pid == 0) {
		struct dead_man d;
		(void)dead_man_set(&d, 0, NULL);
		pause_for_ever();
	}
	killed_not_before(pid, now_ns);
}

static void a_lease_without_an_end_has_no_timer_and_never_gets_one(void **state)
{
	struct dead_man d;
	(void)state;
	assert_int_equal(dead_man_set(&d, NS_NEVER, NULL), 0);
	assert_int_equal(dead_man_extend(&d, 1), 0);
	assert_true(dead_man_holds(&d));
}

static void a_timer_that_can_not_be_had_is_refused_with_the_limit_that_is_in_the_way(void **state)
{
	int status = 0;
	pid_t pid = fork();
	(void)state;
	if (pid == 0) {
		struct tenure_error error = TENURE_ERROR_INIT;
		const struct rlimit none = { 0, 0 };
		struct dead_man d;
		bool refused = setrlimit(RLIMIT_SIGPENDING, &none) == 0 &&
		               dead_man_set(&d, clock_now_or_zero_ns() + GENEROUS, &error) == TENURE_ELIMIT &&
		               strstr(error.message, "ulimit -i") != NULL;
		_exit(refused ? 0 : 1);
	}
	(void)ended_ns(pid, &status);
	assert_int_equal(status, 0);
}

/* ---- the last look before the program ---- */

static char *const touching[] = { (char[]) { "/bin/sh" }, (char[]) { "-c" }, (char[]) { "exit 42" }, NULL };
static const char *const no_environment[] = { NULL };

/* errno of what kept it from running, or 0; its wait status. */
static int executed(const struct lease_page_writer *page, int *status)
{
	struct signals signals = { 0 };
	const struct program program = {
		.command = touching,
		.signals = &signals,
		.lease_fd = page->fd,
		.page = page->page,
		.environment = no_environment,
	};
	int ends[2], failed = 0;
	pid_t pid;
	sigemptyset(&signals.mask);
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0)
		program_exec(&program, ends[1]);
	close(ends[1]);
	(void)!read(ends[0], &failed, sizeof failed);
	close(ends[0]);
	(void)ended_ns(pid, status);
	return failed;
}

static void a_program_is_not_executed_once_its_lease_is_over(void **state)
{
	struct lease_page_writer page;
	int status = 0;
	(void)state;
	assert_int_equal(lease_page_writer_open(&page, NULL, 7, clock_now_or_zero_ns() + GENEROUS, NULL), 0);
	assert_int_equal(executed(&page, &status), 0);
	assert_int_equal(WEXITSTATUS(status), 42);
	lease_page_writer_end(&page);
	assert_int_equal(executed(&page, &status), ETIME);
	lease_page_writer_close(&page);
	assert_int_equal(lease_page_writer_open(&page, NULL, 8, clock_now_or_zero_ns(), NULL), 0);
	assert_int_equal(executed(&page, &status), ETIME);
	lease_page_writer_close(&page);
}

/* ---- the warden ---- */

struct warded {
	pid_t pid;
	int channel;
	struct lease_page_writer page;
	struct report *report;
};

static void ward(struct warded *w, uint64_t deadline_ns)
{
	static struct signals signals;
	int ends[2];
	sigemptyset(&signals.mask);
	w->report = mmap(NULL, sizeof *w->report, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(w->report != MAP_FAILED);
	assert_int_equal(lease_page_writer_open(&w->page, NULL, 7, deadline_ns, NULL), 0);
	assert_int_equal(channel_pair(ends), 0);
	w->pid = fork();
	if (w->pid == 0) {
		struct warden_settings settings = {
			.least = SUPERVISOR_WEAK,
			.no_pid_namespace = true,
			.program = { .command = touching,
			             .signals = &signals,
			             .lease_fd = w->page.fd,
			             .page = w->page.page,
			             .environment = no_environment },
			.page = &w->page,
			.deadline_ns = deadline_ns,
			.page_path = "",
			.page_lock = -1,
			.report = w->report,
			.channel = ends[1],
			.lock = -1,
		};
		close(ends[0]);
		warden_main(&settings);
	}
	close(ends[1]);
	w->channel = ends[0];
}

static void unward(struct warded *w)
{
	close(w->channel);
	lease_page_writer_close(&w->page);
	(void)munmap(w->report, sizeof *w->report);
}

/* The next message of this type; the end of the channel fails the test. */
static void hear(const struct warded *w, enum channel_type type)
{
	struct channel_message message = { 0 };
	while (message.type != (uint32_t)type) {
		struct pollfd readable = { .fd = w->channel, .events = POLLIN };
		assert_int_equal(poll(&readable, 1, 10000), 1);
		assert_int_equal(channel_receive(w->channel, &message, NULL), CHANNEL_MESSAGE);
	}
}

static void a_warden_lives_as_long_as_its_deadlines_come(void **state)
{
	uint64_t begin_ns = clock_now_or_zero_ns(), deadline_ns = begin_ns + 300 * MS;
	struct warded w;
	(void)state;
	ward(&w, deadline_ns);
	hear(&w, CHANNEL_READY);
	for (int i = 0; i < 5; i++) {
		struct channel_message renewed = { .type = CHANNEL_DEADLINE };
		renewed.deadline_ns = deadline_ns = clock_now_or_zero_ns() + 300 * MS;
		assert_int_equal(channel_send(w.channel, &renewed, -1), 0);
		usleep(60000); /* a renewal every 60 ms */
	}
	killed_not_before(w.pid, deadline_ns);
	unward(&w);
}

/* Stopped before it could read GO, which then lies in its channel when its time is over. */
static void a_go_that_comes_after_the_deadline_starts_nothing(void **state)
{
	uint64_t deadline_ns = clock_now_or_zero_ns() + 300 * MS;
	struct warded w;
	(void)state;
	ward(&w, deadline_ns);
	hear(&w, CHANNEL_READY);
	assert_int_equal(kill(w.pid, SIGSTOP), 0);
	assert_int_equal(channel_send_type(w.channel, CHANNEL_GO, 0), 0);
	killed_not_before(w.pid, deadline_ns);
	assert_int_equal(w.report->ended, 0);
	unward(&w);
}

static void a_page_that_is_over_keeps_a_program_from_starting_though_the_warden_lets_it_go(void **state)
{
	struct warded w;
	int status = 0;
	(void)state;
	ward(&w, clock_now_or_zero_ns() + GENEROUS);
	hear(&w, CHANNEL_READY);
	lease_page_writer_end(&w.page);
	assert_int_equal(channel_send_type(w.channel, CHANNEL_GO, 0), 0);
	hear(&w, CHANNEL_NOT_STARTED);
	hear(&w, CHANNEL_DEAD);
	(void)ended_ns(w.pid, &status);
	unward(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_kernel_kills_at_the_deadline_though_the_process_is_stopped),
		cmocka_unit_test(the_deadline_moves_on_and_never_back),
		cmocka_unit_test(a_deadline_that_is_over_kills_at_once),
		cmocka_unit_test(a_lease_without_an_end_has_no_timer_and_never_gets_one),
		cmocka_unit_test(a_timer_that_can_not_be_had_is_refused_with_the_limit_that_is_in_the_way),
		cmocka_unit_test(a_program_is_not_executed_once_its_lease_is_over),
		cmocka_unit_test(a_warden_lives_as_long_as_its_deadlines_come),
		cmocka_unit_test(a_go_that_comes_after_the_deadline_starts_nothing),
		cmocka_unit_test(a_page_that_is_over_keeps_a_program_from_starting_though_the_warden_lets_it_go),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
