/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/init.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "supervisor/channel.h"
#include "supervisor/descriptors.h"
#include "supervisor/urgency.h"

struct init {
	const struct init_settings *settings;
	pid_t program;  /* 0: not started */
	int failure_fd; /* readable when exec failed, closed when it succeeded; -1: that is known */
	int signal_fd;
};

static void init_tell(const struct init *i, enum channel_type type, int value, int os_errno, const char *text)
{
	struct channel_message message = { .type = type, .value = value, .os_errno = os_errno };
	snprintf(message.text, sizeof message.text, "%s", text);
	(void)channel_send(i->settings->channel, &message, -1);
}

/*
 * The warden is dead, or the program has ended: at level kernel the end of init is the end of all. At level weak init is
 * the last one: what it left behind would be lost, should warden and supervisor be killed.
 */
static _Noreturn void init_leave(const struct init *i, bool warden_dead)
{
	enum supervisor_containment level = i->settings->containment->level;
	if (level == SUPERVISOR_WEAK || (warden_dead && level == SUPERVISOR_CGROUP))
		containment_end_below(i->settings->containment);
	_exit(0);
}

static void init_start(struct init *i)
{
	int failure[2];
	if (i->program != 0)
		return;
	if (pipe2(failure, O_CLOEXEC | O_NONBLOCK) != 0) {
		init_tell(i, CHANNEL_NOT_STARTED, 0, errno, "no pipe can be made");
		init_leave(i, false);
	}
	pid_t pid = _Fork(); /* as in tree.c */
	if (pid == 0) {
		close(failure[0]);
		program_exec(i->settings->program, failure[1]);
	}
	int saved = errno;
	close(failure[1]);
	if (pid < 0) {
		init_tell(i, CHANNEL_NOT_STARTED, 0, saved, "no process can be made");
		init_leave(i, false);
	}
	i->program = pid;
	i->failure_fd = failure[0];
}

/* What became of exec. False while that is open. */
static bool init_exec_known(struct init *i)
{
	int failed = 0;
	if (i->failure_fd < 0)
		return true;
	ssize_t n = read(i->failure_fd, &failed, sizeof failed);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	close(i->failure_fd);
	i->failure_fd = -1;
	if (n == (ssize_t)sizeof failed) {
		init_tell(i, CHANNEL_NOT_STARTED, 0, failed, "");
		init_leave(i, false);
	}
	init_tell(i, CHANNEL_STARTED, i->program, 0, "");
	return true;
}

static void init_program_changed(struct init *i, int status)
{
	if (WIFSTOPPED(status)) {
		init_tell(i, CHANNEL_STOPPED, WSTOPSIG(status), 0, "");
		return;
	}
	(void)init_exec_known(i); /* it is dead, so that its end of the pipe is closed */
	i->settings->report->status = status;
	atomic_store_explicit(&i->settings->report->ended, 1, memory_order_release);
	init_tell(i, CHANNEL_ENDED, status, 0, "");
	init_leave(i, false);
}

static void init_reap(struct init *i)
{
	struct signalfd_siginfo info;
	while (read(i->signal_fd, &info, sizeof info) > 0)
		;
	for (;;) {
		int status;
		pid_t pid = waitpid(-1, &status, WNOHANG | WUNTRACED);
		if (pid < 0 && errno == EINTR)
			continue;
		if (pid <= 0)
			return;
		if (pid == i->program)
			init_program_changed(i, status);
	}
}

static void init_obey(struct init *i)
{
	struct channel_message message;
	for (;;) {
		switch (channel_receive(i->settings->channel, &message, NULL)) {
		case CHANNEL_NOTHING:
			return;
		case CHANNEL_CLOSED:
			init_leave(i, true);
		default:
			break;
		}
		if (message.type == CHANNEL_GO)
			init_start(i);
		else if (message.type == CHANNEL_SIGNAL && i->program > 0)
			(void)kill(i->program, message.value); /* unreaped, so that the pid is still its own */
	}
}

static void init_prepare(struct init *i)
{
	struct tenure_error error = TENURE_ERROR_INIT;
	sigset_t child;
	const int keep[] = { i->settings->channel, i->settings->lock, i->settings->program->lease_fd };
	(void)prctl(PR_SET_NAME, "tenure-init");
	descriptors_close_own(keep, sizeof keep / sizeof *keep);
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	bool urgent = !i->settings->program->page || urgency_take();
	i->signal_fd = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
	if (i->signal_fd < 0)
		error_set(&error, TENURE_ELIMIT, errno, "no signal descriptor");
	else if (i->settings->urgent && !urgent)
		error_set(&error, TENURE_EUNSAFE, 0, "init can't have real-time scheduling, though its supervisor can");
	else if (containment_settle(i->settings->containment, &error) == 0)
		return;
	struct channel_message message = { .type = CHANNEL_REFUSED, .value = error.code, .os_errno = error.os_errno };
	snprintf(message.text, sizeof message.text, "%s", error.message);
	(void)channel_send(i->settings->channel, &message, -1);
	_exit(1);
}

_Noreturn void init_main(const struct init_settings *s)
{
	struct init i = { .settings = s, .failure_fd = -1 };
	init_prepare(&i);
	init_tell(&i, CHANNEL_READY, 0, 0, "");
	for (;;) {
		struct pollfd polls[] = {
			{ .fd = i.signal_fd, .events = POLLIN },
			{ .fd = s->channel, .events = POLLIN },
			{ .fd = i.failure_fd, .events = POLLIN },
		};
		if (poll(polls, 3, -1) < 0)
			continue;
		if (polls[2].revents)
			(void)init_exec_known(&i);
		if (polls[1].revents)
			init_obey(&i);
		if (polls[0].revents)
			init_reap(&i);
	}
}
