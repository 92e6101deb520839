/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/warden.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "supervisor/channel.h"
#include "supervisor/containment.h"
#include "supervisor/dead_man.h"
#include "supervisor/descriptors.h"
#include "supervisor/init.h"
#include "supervisor/urgency.h"

/* Init inherits it, the program gets back what was before. Not the lowest: the kernel must have something to end. */
#define WARDEN_OOM_SCORE_ADJ "-900"
/* How long a supervisor that is stopped may keep the lock of a dead program. */
#define WARDEN_GIVE_LIMIT_NS (500 * CLOCK_NS_PER_MS)

struct warden {
	struct warden_settings *settings;
	struct containment containment;
	struct process_id own;
	struct dead_man dead_man;
	int down; /* to init */
	char oom_score_adj[16];
	char why[256]; /* why there is no higher level of containment */
};

/* Where that is not permitted everything stays as it is. */
static void warden_lower_oom_score(struct warden *w)
{
	int fd = open("/proc/self/oom_score_adj", O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return;
	ssize_t n = read(fd, w->oom_score_adj, sizeof w->oom_score_adj - 1);
	if (n > 0 && pwrite(fd, WARDEN_OOM_SCORE_ADJ, strlen(WARDEN_OOM_SCORE_ADJ), 0) > 0)
		w->settings->program.oom_score_adj = w->oom_score_adj;
	close(fd);
}

static void warden_prepare(struct warden *w)
{
	const int keep[] = { w->settings->channel, w->settings->lock, w->settings->program.lease_fd,
		             w->settings->page_lock };
	signals_block_all();
	(void)prctl(PR_SET_NAME, "tenure-warden");
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1);
	descriptors_close_own(keep, sizeof keep / sizeof *keep);
	warden_lower_oom_score(w);
}

/*
 * While init is awaited: renewals. False: something else, which ends the wait (the supervisor is dead, or wants it all to
 * end).
 */
static bool warden_hear_renewals(struct warden *w)
{
	struct channel_message message;
	for (;;) {
		enum channel_result result = (enum channel_result)channel_receive(w->settings->channel, &message, NULL);
		if (result == CHANNEL_NOTHING)
			return true;
		if (result == CHANNEL_CLOSED || message.type != CHANNEL_DEADLINE)
			return false;
		if (dead_man_extend(&w->dead_man, message.deadline_ns) != 0)
			return false;
	}
}

/* Init's first word: READY (0), or why it can't be (TENURE_E...). The supervisor's death ends the wait. */
static int warden_hear_init(struct warden *w, struct tenure_error *error)
{
	struct channel_message message;
	struct pollfd polls[] = { { .fd = w->down, .events = POLLIN },
		                  { .fd = w->settings->channel, .events = POLLIN } };
	bool wanted = true;
	do {
		if (poll(polls, 2, -1) < 0)
			polls[0].revents = polls[1].revents = 0;
		if (polls[1].revents)
			wanted = warden_hear_renewals(w);
	} while (wanted && !polls[0].revents);
	if (!wanted || channel_receive(w->down, &message, NULL) != CHANNEL_MESSAGE)
		return error_set(error, TENURE_EINTERNAL, 0, "init was ended before it was ready");
	if (message.type == CHANNEL_READY)
		return 0;
	(void)error_set(error, message.value < 0 ? message.value : TENURE_EINTERNAL, 0, "%s", message.text);
	if (error)
		error->os_errno = message.os_errno;
	return message.value < 0 ? message.value : TENURE_EINTERNAL;
}

static void warden_end_init(const struct warden *w)
{
	(void)kill(w->containment.init.pid, SIGKILL);
	while (waitpid(w->containment.init.pid, NULL, 0) < 0 && errno == EINTR)
		;
	containment_remove(&w->containment);
}

static int warden_make_init(struct warden *w, enum supervisor_containment level, struct tenure_error *error)
{
	int ends[2];
	if (channel_pair(ends) != 0)
		return error_set(error, TENURE_ELIMIT, errno, "no channel to init can be made");
	pid_t pid = containment_fork(&w->containment, level, error);
	if (pid == 0) {
		const struct init_settings settings = { .containment = &w->containment,
			                                .program = &w->settings->program,
			                                .report = w->settings->report,
			                                .urgent = w->settings->urgent,
			                                .channel = ends[1],
			                                .lock = w->settings->lock };
		init_main(&settings);
	}
	close(ends[1]);
	w->down = ends[0];
	w->containment.init.pid = pid;
	if (pid < 0) {
		close(ends[0]);
		return pid;
	}
	/* while init mounts */
	bool named = process_identify(getpid(), &w->own) == 0 && process_identify(pid, &w->containment.init) == 0;
	int result = warden_hear_init(w, error);
	if (result == 0 && !named)
		result = error_set(error, TENURE_EIO, 0,
		                   "the program's processes can't be named: /proc can't be read; mount it");
	if (result == 0)
		return 0;
	w->containment.init.pid = pid;
	warden_end_init(w);
	close(ends[0]);
	return result;
}

static _Noreturn void warden_refuse(const struct warden *w, const struct tenure_error *error)
{
	struct channel_message message = { .type = CHANNEL_REFUSED, .value = error->code, .os_errno = error->os_errno };
	snprintf(message.text, sizeof message.text, "%s", error->message);
	(void)channel_send(w->settings->channel, &message, w->settings->lock);
	_exit(1);
}

/* The highest level that there is; a level that this host refuses is why the next one is taken. */
static void warden_contain(struct warden *w)
{
	struct tenure_error error = TENURE_ERROR_INIT;
	int level = w->settings->no_pid_namespace ? SUPERVISOR_CGROUP : SUPERVISOR_KERNEL;
	if (w->settings->no_pid_namespace)
		snprintf(w->why, sizeof w->why, "--no-pid-namespace was given");
	for (; level >= (int)w->settings->least; level--) {
		int result = warden_make_init(w, (enum supervisor_containment)level, &error);
		if (result == 0)
			return;
		if (result != TENURE_EUNSUPPORTED)
			warden_refuse(w, &error);
		snprintf(w->why, sizeof w->why, "%s", error.message);
	}
	if (error.code == 0)
		error_set(&error, TENURE_EUNSUPPORTED, 0, "%s", w->why);
	warden_refuse(w, &error);
}

static void warden_announce(const struct warden *w)
{
	struct channel_message message = { .type = CHANNEL_READY,
		                           .level = (int32_t)w->containment.level,
		                           .warden = w->own,
		                           .init = w->containment.init };
	memcpy(message.cgroup, w->containment.cgroup, sizeof message.cgroup);
	memcpy(message.text, w->why, sizeof message.text);
	(void)channel_send(w->settings->channel, &message, -1);
}

static void warden_still_proving(void *arg)
{
	const struct warden *w = arg;
	(void)channel_send_type(w->settings->channel, CHANNEL_PROVING, 0);
}

/* Is the supervisor there to take the lock back, so that the release can be recorded and named to the next in line? */
static bool warden_is_asked_for_lock(const struct warden *w)
{
	uint64_t now_ns = clock_now_or_zero_ns(), end_ns = now_ns + WARDEN_GIVE_LIMIT_NS;
	struct channel_message message;
	if (channel_send_type(w->settings->channel, CHANNEL_PROVEN, 0) != 0)
		return false;
	for (; now_ns < end_ns; now_ns = clock_now_or_zero_ns()) {
		struct pollfd readable = { .fd = w->settings->channel, .events = POLLIN };
		(void)poll(&readable, 1, clock_poll_ms(now_ns, end_ns));
		switch (channel_receive(w->settings->channel, &message, NULL)) {
		case CHANNEL_NOTHING:
			break;
		case CHANNEL_CLOSED:
			return false;
		default:
			if (message.type == CHANNEL_GIVE_LOCK)
				return true;
			break;
		}
	}
	return false;
}

/*
 * The page first, so that whoever reads it stops by itself; then everything dies; then the lock goes back to the
 * supervisor or, where that is dead or stopped, is let go by exiting.
 */
static _Noreturn void warden_finish(struct warden *w)
{
	if (w->settings->page->page)
		lease_page_writer_end(w->settings->page);
	warden_still_proving(w);
	containment_end(&w->containment, warden_still_proving, w);
	containment_remove(&w->containment);
	if (w->settings->page_path[0] != '\0')
		(void)unlink(w->settings->page_path);
	const struct channel_message message = { .type = CHANNEL_DEAD };
	if (w->settings->lock < 0 || warden_is_asked_for_lock(w))
		(void)channel_send(w->settings->channel, &message, w->settings->lock);
	_exit(0);
}

static void warden_from_supervisor(struct warden *w)
{
	struct channel_message message;
	for (;;) {
		switch (channel_receive(w->settings->channel, &message, NULL)) {
		case CHANNEL_NOTHING:
			return;
		case CHANNEL_CLOSED:
			warden_finish(w);
		default:
			break;
		}
		if (message.type == CHANNEL_DEADLINE) {
			if (dead_man_extend(&w->dead_man, message.deadline_ns) != 0)
				warden_finish(w);
			continue;
		}
		/* a GO after the deadline starts nothing: the timer's signal is late, or on its way */
		if (message.type == CHANNEL_HARD_STOP || (message.type == CHANNEL_GO && !dead_man_holds(&w->dead_man)))
			warden_finish(w);
		(void)channel_send(w->down, &message, -1);
	}
}

static void warden_from_init(struct warden *w)
{
	struct channel_message message;
	for (;;) {
		switch (channel_receive(w->down, &message, NULL)) {
		case CHANNEL_NOTHING:
			return;
		case CHANNEL_CLOSED:
			warden_finish(w);
		default:
			break;
		}
		(void)channel_send(w->settings->channel, &message, -1);
		if (message.type == CHANNEL_ENDED || message.type == CHANNEL_NOT_STARTED)
			warden_finish(w);
	}
}

_Noreturn void warden_main(struct warden_settings *s)
{
	struct warden w = { .settings = s };
	/* before anything that may take its time */
	struct tenure_error error = TENURE_ERROR_INIT;
	if (dead_man_set(&w.dead_man, s->deadline_ns, &error) != 0)
		warden_refuse(&w, &error);
	warden_prepare(&w);
	if (s->deadline_ns != NS_NEVER && !urgency_take() && s->urgent) {
		error_set(&error, TENURE_EUNSAFE, 0,
		          "the warden can't have real-time scheduling, though its supervisor can");
		warden_refuse(&w, &error);
	}
	warden_contain(&w);
	warden_announce(&w);
	for (;;) {
		struct pollfd polls[] = { { .fd = s->channel, .events = POLLIN }, { .fd = w.down, .events = POLLIN } };
		if (poll(polls, 2, -1) < 0)
			continue;
		if (polls[0].revents)
			warden_from_supervisor(&w);
		if (polls[1].revents)
			warden_from_init(&w);
	}
}
