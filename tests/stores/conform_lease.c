/* SPDX-License-Identifier: Apache-2.0 */
/* The lease page, signal handlers, and the notice before a lease that ends. */
#include "fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static uint64_t time_ns_inode(void)
{
	struct stat st;

	return stat("/proc/self/ns/time", &st) == 0 ? (uint64_t)st.st_ino : 0;
}

static const struct tenure_lease_page *map_page(int fd)
{
	void *map = mmap(NULL, sizeof(struct tenure_lease_page), PROT_READ, MAP_SHARED, fd, 0);

	assert_true(map != MAP_FAILED);
	return map;
}

static void a_lease_page_shows_this_tenure_and_ends_with_it_for_ever(void **state)
{
	struct tenure *t = open_session(*state, "a");
	struct tenure_candidacy *c = campaign(t, "job");
	const struct tenure_lease_page *first, *second;
	uint64_t token = await_lead(c), later;
	int fd = -1, fd2 = -1;

	assert_int_equal(tenure_lease_fd(c, &fd), 0);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	first = map_page(fd);
	assert_int_equal(first->magic, TENURE_LEASE_PAGE_MAGIC);
	assert_int_equal(first->version, TENURE_LEASE_PAGE_VERSION);
	assert_true(first->token == token);
	assert_true(first->time_ns_inode == time_ns_inode());
	assert_int_equal(first->state, TENURE_LEADING);
	assert_int_equal(first->zero, 0);
	assert_true(tenure_lease_page_deadline_ns(first, time_ns_inode()) > now_ns());
	assert_true(tenure_lease_page_deadline_ns(first, time_ns_inode() + 1) == 0);
	assert_int_equal(tenure_resign(c, NULL), 0);
	assert_true(tenure_lease_page_deadline_ns(first, time_ns_inode()) == 0);
	later = await_lead(c);
	assert_int_equal(tenure_lease_fd(c, &fd2), 0);
	second = map_page(fd2);
	assert_true(second->token == later && later > token);
	assert_true(first->token == token);
	assert_true(tenure_lease_page_deadline_ns(first, time_ns_inode()) == 0);
	close_session(t);
	assert_true(tenure_lease_page_deadline_ns(second, time_ns_inode()) == 0);
	(void)close(fd);
	(void)close(fd2);
}

static void nobody_who_has_the_descriptor_can_write_the_page(void **state)
{
	struct tenure *t = open_session(*state, "a");
	struct tenure_candidacy *c = campaign(t, "job");
	uint64_t forever = UINT64_MAX;
	char self[40];
	int fd = -1, again;

	(void)await_lead(c);
	assert_int_equal(tenure_lease_fd(c, &fd), 0);
	assert_true(mmap(NULL, 64, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED);
	assert_int_equal(pwrite(fd, &forever, sizeof forever, 24), -1);
	assert_int_equal(ftruncate(fd, 0), -1);
	assert_int_equal(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 64), -1);
	(void)snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
	again = open(self, O_RDWR | O_CLOEXEC);
	if (again >= 0) {
		assert_true(mmap(NULL, 64, PROT_READ | PROT_WRITE, MAP_SHARED, again, 0) == MAP_FAILED);
		assert_int_equal(pwrite(again, &forever, sizeof forever, 24), -1);
		(void)close(again);
	}
	(void)close(fd);
	close_session(t);
}

static void there_is_no_page_for_one_that_does_not_lead(void **state)
{
	struct actor *a = actor_new(*state, "a", "job", (struct tenure_campaign_options) { 0 }), *b;
	int fd = 77;

	(void)await_lead(a->c);
	b = actor_new(*state, "b", "job", (struct tenure_campaign_options) { 0 });
	assert_int_equal(tenure_lease_fd(b->c, &fd), TENURE_NOT_LEADING);
	assert_int_equal(fd, -1);
	actor_free(a);
	actor_free(b);
}

/* ---- signals ---- */

static struct {
	const struct tenure_candidacy *c;
	volatile sig_atomic_t leads, holds, n;
	uint64_t token;
} handler;

static void on_signal(int signal)
{
	struct tenure_grant grant;

	(void)signal;
	handler.leads = tenure_leads(handler.c, &grant);
	handler.holds = tenure_holds(handler.c, handler.token);
	(void)tenure_may(handler.c, TENURE_NOT_DEGRADED, NULL);
	(void)tenure_version();
	handler.n++;
}

static void a_signal_handler_may_ask_whether_it_leads(void **state)
{
	struct sigaction action = { .sa_handler = on_signal }, before;
	struct tenure *t = open_session(*state, "a");

	handler.c = campaign(t, "job");
	handler.token = await_lead((struct tenure_candidacy *)(uintptr_t)handler.c);
	assert_int_equal(sigaction(SIGUSR1, &action, &before), 0);
	assert_int_equal(raise(SIGUSR1), 0);
	assert_int_equal(handler.n, 1);
	assert_true(handler.leads && handler.holds);
	assert_int_equal(tenure_resign((struct tenure_candidacy *)(uintptr_t)handler.c, NULL), 0);
	assert_int_equal(raise(SIGUSR1), 0);
	assert_int_equal(handler.holds, 0);
	assert_int_equal(sigaction(SIGUSR1, &before, NULL), 0);
	close_session(t);
}

static void the_librarys_thread_takes_no_signals(void **state)
{
	sigset_t usr2, before;
	struct tenure *t;
	struct timespec none = { 0 };

	(void)sigemptyset(&usr2);
	(void)sigaddset(&usr2, SIGUSR2);
	t = open_session(*state, "a"); /* its thread began with SIGUSR2 not blocked here */
	(void)await_lead(campaign(t, "job"));
	assert_int_equal(pthread_sigmask(SIG_BLOCK, &usr2, &before), 0);
	assert_int_equal(kill(getpid(), SIGUSR2), 0); /* would end the process in a thread that takes it */
	assert_int_equal(sigtimedwait(&usr2, NULL, &none), SIGUSR2);
	assert_int_equal(pthread_sigmask(SIG_SETMASK, &before, NULL), 0);
	close_session(t);
}

static void the_texts_of_codes_are_never_missing(void **state)
{
	(void)state;
	for (int code = -40; code < 10; code++)
		assert_true(tenure_strerror(code) && tenure_strerror(code)[0] != '\0');
	assert_string_equal(tenure_strerror(-1000), "unknown code");
	assert_string_not_equal(tenure_strerror(TENURE_ECLOCK), "unknown code");
	assert_int_equal(tenure_version() >> 16, TENURE_VERSION_MAJOR);
}

static const struct CMUnitTest tests[] = {
	TEST(a_lease_page_shows_this_tenure_and_ends_with_it_for_ever),
	TEST(nobody_who_has_the_descriptor_can_write_the_page),
	TEST(there_is_no_page_for_one_that_does_not_lead),
	TEST(a_signal_handler_may_ask_whether_it_leads),
	TEST(the_librarys_thread_takes_no_signals),
	TEST(the_texts_of_codes_are_never_missing),
};
TESTS_OF(conform_lease, tests)
