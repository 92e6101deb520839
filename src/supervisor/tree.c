/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/tree.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/names.h"
#include "supervisor/page_file.h"
#include "supervisor/warden.h"

void tree_init(struct tree *t)
{
	memset(t, 0, sizeof *t);
	t->channel = t->init_pidfd = t->page_lock = t->lock = t->page.fd = -1;
}

/* As a file where that can be had, for children that close descriptors; else in memory. */
static int tree_page(struct tree *t, const struct tree_settings *s, struct tenure_error *error)
{
	const struct log log = { .fn = s->options->session.log, .arg = s->options->session.log_arg };
	if (page_file_path(t->path, s->identity, s->token) &&
	    lease_page_writer_open(&t->page, t->path, s->token, s->deadline_ns, error) == 0) {
		t->page_lock = page_file_hold(t->path);
		return 0;
	}
	int result = lease_page_writer_open(&t->page, NULL, s->token, s->deadline_ns, error);
	if (result == 0)
		log_write(&log, 6, "run",
		          "no file for the lease page can be made under %s: only TENURE_LEASE_FD is set",
		          geteuid() == 0 ? "/run/tenure" : "$XDG_RUNTIME_DIR/tenure");
	t->path[0] = '\0';
	return result;
}

static int tree_report(struct tree *t, struct tenure_error *error)
{
	void *page = mmap(NULL, sizeof *t->report, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (page == MAP_FAILED)
		return error_set(error, TENURE_ENOMEM, errno, "no memory to be shared with the program's init");
	t->report = page;
	return 0;
}

/* Children that were there before (this program was exec'ed by a shell that had some, or is pid 1). */
static bool tree_has_children(void)
{
	siginfo_t info;
	return getpid() == 1 || waitid(P_ALL, 0, &info, WEXITED | WNOWAIT | WNOHANG) == 0;
}

static _Noreturn void tree_become_warden(struct tree *t, const struct tree_settings *s, int channel)
{
	char token[24], fd[16], id[NAMES_IDENTITY_ROOM];
	struct buf b;
	/* <id>_<16 hex>: the label is what stands before it */
	buf_init(&b, id, sizeof id);
	buf_bytes(&b, s->identity, strlen(s->identity) - 17);
	buf_init(&b, token, sizeof token);
	buf_u64(&b, s->token);
	snprintf(fd, sizeof fd, "%d", t->page.fd);
	const char *const environment[] = { "TENURE_ELECTION",
		                            s->options->election,
		                            "TENURE_ID",
		                            id,
		                            "TENURE_TOKEN",
		                            token,
		                            "TENURE_STORE",
		                            s->options->store_url,
		                            "TENURE_LEASE_FD",
		                            fd,
		                            "TENURE_LEASE_PATH",
		                            t->path[0] != '\0' ? t->path : NULL,
		                            NULL };
	struct warden_settings settings = {
		.least = s->options->least,
		.no_pid_namespace = s->options->no_pid_namespace,
		.program = { .command = s->options->command,
		             .signals = s->signals,
		             .closed_standard = s->closed_standard,
		             .lease_fd = t->page.fd,
		             .urgency = s->urgency,
		             .page = s->deadline_ns == NS_NEVER ? NULL : t->page.page,
		             .environment = environment },
		.page = &t->page,
		.deadline_ns = s->deadline_ns,
		.urgent = s->urgent,
		.page_path = t->path,
		.page_lock = t->page_lock,
		.report = t->report,
		.channel = channel,
		.lock = s->lock,
	};
	warden_main(&settings);
}

static int tree_fork(struct tree *t, const struct tree_settings *s, struct tenure_error *error)
{
	int ends[2];
	if (channel_pair(ends) != 0)
		return error_set(error, TENURE_ELIMIT, errno, "no channel to the warden can be made");
	t->own_children = tree_has_children();
	/*
	 * Without the handlers of pthread_atfork(): libuv's makes a pipe, and aborts where there are no descriptors. What
	 * the library's own would close, the warden closes.
	 */
	pid_t pid = _Fork();
	if (pid == 0)
		tree_become_warden(t, s, ends[1]);
	int saved = errno;
	close(ends[1]);
	if (pid < 0) {
		close(ends[0]);
		return error_set(error, TENURE_ELIMIT, saved, "no process can be made");
	}
	t->warden = pid;
	t->channel = ends[0];
	return 0;
}

int tree_launch(struct tree *t, const struct tree_settings *s, struct tenure_error *error)
{
	tree_init(t);
	int result = tree_report(t, error);
	if (result == 0)
		result = tree_page(t, s, error);
	if (result == 0)
		result = tree_fork(t, s, error);
	if (s->lock >= 0)
		close(s->lock);
	if (result != 0)
		tree_drop(t);
	return result;
}

int tree_contained(struct tree *t, const struct channel_message *ready, struct tenure_error *error)
{
	t->containment.level = (enum supervisor_containment)ready->level;
	t->containment.init = ready->init;
	memcpy(t->containment.cgroup, ready->cgroup, sizeof t->containment.cgroup);
	t->warden_id = ready->warden;
	t->contained = true;
	/* so that nothing gets away from a warden that is killed: its orphans come here */
	if (t->containment.level == SUPERVISOR_WEAK)
		(void)prctl(PR_SET_CHILD_SUBREAPER, 1);
	int fd = process_open(&ready->init);
	if (fd < 0 && fd != TENURE_ENOENT)
		return error_set(error, TENURE_ELIMIT, errno, "the program's init can't be followed");
	t->init_pidfd = fd < 0 ? -1 : fd;
	return 0;
}

bool tree_program_ended(const struct tree *t, int *status)
{
	if (!t->report || !atomic_load_explicit(&t->report->ended, memory_order_acquire))
		return false;
	*status = t->report->status;
	return true;
}

bool tree_init_ended(const struct tree *t)
{
	return t->init_pidfd < 0 || process_ended(t->init_pidfd);
}

bool tree_is_dead(const struct tree *t)
{
	/* before its report no program was started, and init ends when the warden does */
	return !t->contained || containment_is_dead(&t->containment, t->init_pidfd, t->own_children);
}

void tree_kill_warden(const struct tree *t)
{
	if (t->warden > 0)
		(void)kill(t->warden, SIGKILL);
}

static void tree_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void tree_reap_warden(struct tree *t)
{
	tree_kill_warden(t);
	while (t->warden > 0 && waitpid(t->warden, NULL, 0) < 0 && errno == EINTR)
		;
	t->warden = 0;
	tree_close(&t->channel);
}

void tree_drop(struct tree *t)
{
	lease_page_writer_close(&t->page);
	if (t->path[0] != '\0')
		(void)unlink(t->path);
	if (t->contained)
		containment_remove(&t->containment);
	tree_reap_warden(t);
	tree_close(&t->init_pidfd);
	tree_close(&t->lock);
	tree_close(&t->page_lock);
	if (t->report)
		(void)munmap(t->report, sizeof *t->report);
	tree_init(t);
}
