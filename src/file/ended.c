/* SPDX-License-Identifier: Apache-2.0 */
#include "file/ended.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <tenure/lease_page.h>

#include "base/cgroup.h"
#include "base/error.h"

/*
 * A record is a file that somebody else may have written, and this candidate may be root: nothing is killed that the
 * record's own user could not kill.
 */
static bool ended_may_kill(const struct record *r, int32_t pid)
{
	uint32_t uid;

	return r->owned && process_user(pid, &uid) == 0 && uid == r->owner;
}

/* Kills one process of the record. 1: it lives still, *pidfd tells when not; 0: it is dead; TENURE_E...: can't be told.
 */
static int ended_kill(const struct record *r, const struct process_id *id, int *pidfd)
{
	int fd, code;

	if (id->pid == 0)
		return 0;
	fd = process_open(id);
	if (fd == TENURE_ENOENT)
		return 0;
	if (fd < 0)
		return fd;
	if (!ended_may_kill(r, id->pid))
		code = process_ended(fd) ? TENURE_ENOENT : TENURE_EFOREIGN;
	else
		code = process_ended(fd) ? TENURE_ENOENT : process_kill(fd);
	if (code == TENURE_ENOENT || code == TENURE_EFOREIGN) {
		(void)close(fd);
		return code == TENURE_ENOENT ? 0 : code;
	}
	/* Not ours to kill: it may still end by itself, so wait for it all the same. */
	if (*pidfd >= 0)
		(void)close(*pidfd);
	*pidfd = fd;
	return 1;
}

/* Weak containment: while init lives everything is found below it, so it goes last. How many there are, as ended_kill(). */
static int ended_kill_below(const struct record *r)
{
	if (strcmp(r->containment, "weak") != 0 || r->init.pid == 0 || process_state_of(&r->init) != PROCESS_ALIVE ||
	    !ended_may_kill(r, r->init.pid))
		return 0;
	return process_kill_descendants(r->init.pid);
}

/* As ended_kill(). */
static int ended_cgroup(const struct record *r)
{
	int left;

	if (r->cgroup[0] == '\0')
		return 0;
	left = r->owned ? cgroup_is_of(r->cgroup, r->owner) : TENURE_EFOREIGN;
	if (left <= 0)
		return left;
	left = cgroup_kill(r->cgroup) == 0 ? cgroup_populated(r->cgroup) : TENURE_EIO;
	if (left == 0)
		cgroup_remove(r->cgroup);
	return left;
}

static enum ended_result ended_tree(const struct record *r, int *pidfd, struct tenure_error *error)
{
	int warden, init, cgroup;

	/* The warden first: it would report, and it holds the lock if the file was replaced underneath. */
	warden = ended_kill(r, &r->warden, pidfd);
	init = ended_kill_below(r);
	if (init == 0)
		init = ended_kill(r, &r->init, pidfd);
	cgroup = warden < 0 || init < 0 ? 0 : ended_cgroup(r);
	if (warden >= 0 && init >= 0 && cgroup >= 0)
		return warden + init + cgroup > 0 ? ENDED_PENDING : ENDED_PROVEN;
	if (warden == TENURE_EFOREIGN || init == TENURE_EFOREIGN || cgroup == TENURE_EFOREIGN)
		(void)error_set(
		        error, TENURE_EIO, 0,
		        "the record of the last holder %.60s (token %llu) names processes that are not of the user who "
		        "wrote it: they are not killed; end them or, once you know that its program is over, remove "
		        "the election's file 'holder'",
		        r->identity, (unsigned long long)r->token);
	else
		(void)error_set(error, TENURE_EIO, errno,
		                "cannot tell whether the program of the last holder %.80s (token %llu) is dead; is "
		                "/proc mounted here?",
		                r->identity, (unsigned long long)r->token);
	return ENDED_UNPROVABLE;
}

/* Do its process ids mean something else here? */
static bool ended_is_elsewhere(const struct record *r, const struct process_scope *scope)
{
	return scope->boot_id[0] == '\0' || r->scope.pid_ns_inode != scope->pid_ns_inode ||
	       r->scope.time_ns_inode != scope->time_ns_inode;
}

/* One process of the record under its number here; none, where it is dead. */
static int ended_translate_one(const struct record *r, struct process_id *id)
{
	struct process_id here = { 0 };
	int code = id->pid == 0 ? TENURE_ENOENT : process_from_namespace(id, r->scope.pid_ns_inode, &here);

	*id = here;
	return code == TENURE_ENOENT ? 0 : code;
}

/*
 * A container that was killed whole leaves nobody in its PID namespace who could tell. The host's own namespace contains
 * all others, so a candidate there can. 0, or a code: it can't be told from here.
 */
static int ended_translate(const struct record *r, const struct process_scope *scope, struct record *here)
{
	int code =
	        scope->boot_id[0] != '\0' && r->scope.time_ns_inode == scope->time_ns_inode ? 0 : TENURE_EUNSUPPORTED;

	*here = *r;
	if (code == 0)
		code = ended_translate_one(r, &here->warden);
	if (code == 0)
		code = ended_translate_one(r, &here->init);
	if (code == 0)
		code = ended_translate_one(r, &here->holder);
	return code;
}

/* With ids that mean something here. */
static enum ended_result ended_here(const struct record *r, bool lock_same, int *pidfd, struct tenure_error *error)
{
	if (r->has_tree && lock_same)
		return ended_tree(r, pidfd, error);
	/* The lock file was replaced under a living holder: whoever did that must undo it, we do not kill for it. */
	if ((r->holder.pid != 0 && process_state_of(&r->holder) != PROCESS_DEAD) ||
	    (r->has_tree && (process_state_of(&r->warden) != PROCESS_DEAD))) {
		(void)error_set(error, TENURE_EIO, 0,
		                "the lock file was replaced while %.80s (pid %d, token %llu) holds the old one; stop "
		                "that process first",
		                r->identity, (int)r->holder.pid, (unsigned long long)r->token);
		return ENDED_UNPROVABLE;
	}
	return r->has_tree ? ended_tree(r, pidfd, error) : ENDED_PROVEN;
}

enum ended_result ended_step(const struct record *r, const struct process_scope *scope, bool lock_same, int *pidfd,
                             struct tenure_error *error)
{
	struct record here;

	*pidfd = -1;
	if (!r->leading)
		return ENDED_PROVEN;
	if (r->scope.boot_id[0] != '\0' && scope->boot_id[0] != '\0' && strcmp(r->scope.boot_id, scope->boot_id) != 0)
		return ENDED_PROVEN; /* the host was restarted since */
	/* A lone process that held this very lock is over once the lock is free: its descriptors close after its last
	 * step. */
	if (!r->has_tree && lock_same)
		return ENDED_PROVEN;
	if (ended_is_elsewhere(r, scope) && ended_translate(r, scope, &here) == 0)
		return ended_here(&here, lock_same, pidfd, error);
	if (ended_is_elsewhere(r, scope)) {
		(void)error_set(error, TENURE_EIO, 0,
		                "the last holder %.40s (token %llu) ran in another PID or time namespace: its end "
		                "cannot be proven from here; start a candidate there, or as root on the host, or, once "
		                "you know that it is over, remove the file 'holder'",
		                r->identity, (unsigned long long)r->token);
		return ENDED_UNPROVABLE;
	}
	return ended_here(r, lock_same, pidfd, error);
}

static struct tenure_lease_page *ended_map_page(const char *path)
{
	struct stat st;
	void *map = MAP_FAILED;
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	if (fd < 0)
		return NULL;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == geteuid() &&
	    st.st_size == (off_t)sizeof(struct tenure_lease_page))
		map = mmap(NULL, sizeof(struct tenure_lease_page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	(void)close(fd);
	return map == MAP_FAILED ? NULL : map;
}

void ended_page(const struct record *r)
{
	struct tenure_lease_page *page = NULL;

	/* A forged record must not end the page of a tenure that goes on elsewhere. */
	if (r->owned && r->owner == geteuid() && r->page[0] == '/')
		page = ended_map_page(r->page);
	if (!page)
		return;
	if (page->magic == TENURE_LEASE_PAGE_MAGIC && page->token == r->token) {
		__atomic_store_n(&page->deadline_ns, 0, __ATOMIC_SEQ_CST);
		__atomic_store_n(&page->state, (uint32_t)TENURE_ENDED, __ATOMIC_RELEASE);
		(void)unlink(r->page);
	}
	(void)munmap(page, sizeof *page);
}
