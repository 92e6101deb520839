/* SPDX-License-Identifier: Apache-2.0 */
#include "base/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <dirent.h>
#include <linux/nsfs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <tenure/tenure.h>

#include "base/text.h"

#define PROCESS_STAT_BYTES 1024

struct process_stat {
	int32_t pid, parent;
	uint64_t start_ticks;
	uint64_t n_threads;
	char state;
};

/* The whole of a small file of /proc as text: its length, or -1 with errno set. */
static ssize_t process_slurp(const char *path, char *text, size_t room)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	size_t used = 0;
	ssize_t n = 0;
	while (used + 1 < room) {
		n = read(fd, text + used, room - 1 - used);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		used += (size_t)n;
	}
	int saved = errno;
	close(fd);
	errno = saved;
	text[used] = '\0';
	return n < 0 ? -1 : (ssize_t)used;
}

/* Field `number` (from 3 on, as proc(5) counts) behind the name, which may contain anything, brackets and spaces too.
 */
static bool process_field(const char *behind_name, unsigned number, uint64_t *value)
{
	const char *at = behind_name;
	for (unsigned i = 3; i < number; i++) {
		at = strchr(at, ' ');
		if (!at)
			return false;
		at++;
	}
	size_t n_bytes = strcspn(at, " \n");
	return text_u64_n(at, n_bytes, UINT64_MAX, value);
}

static bool process_parse(char *text, int32_t pid, struct process_stat *stat)
{
	char *bracket = strrchr(text, ')');
	if (!bracket || bracket[1] != ' ' || bracket[2] == '\0' || bracket[3] != ' ')
		return false;
	const char *fields = bracket + 2;
	uint64_t parent = 0;
	*stat = (struct process_stat) { .pid = pid, .state = fields[0] };
	if (!process_field(fields, 4, &parent) || parent > INT32_MAX)
		return false;
	stat->parent = (int32_t)parent;
	return process_field(fields, 20, &stat->n_threads) && process_field(fields, 22, &stat->start_ticks);
}

/* 0; TENURE_ENOENT: /proc shows no such process; TENURE_EIO: it can't be read. */
static int process_stat_read(int32_t pid, struct process_stat *stat)
{
	char path[40], text[PROCESS_STAT_BYTES];
	snprintf(path, sizeof path, "/proc/%d/stat", pid);
	if (process_slurp(path, text, sizeof text) < 0)
		return errno == ENOENT || errno == ESRCH ? TENURE_ENOENT : TENURE_EIO;
	return process_parse(text, pid, stat) ? 0 : TENURE_EIO;
}

/* A process whose first thread has ended while others run is shown as a zombie, too: it is alive. */
static bool process_stat_dead(const struct process_stat *stat)
{
	return (stat->state == 'Z' || stat->state == 'X') && stat->n_threads <= 1;
}

static uint64_t process_inode(const char *path)
{
	struct stat st;
	return stat(path, &st) == 0 ? (uint64_t)st.st_ino : 0;
}

/*
 * Does /proc show our own PID namespace? One that was mounted in another one gives other processes under the same
 * numbers, and nothing that it says may be believed.
 */
static bool process_proc_is_ours(void)
{
	char text[16];
	uint64_t pid = 0;
	ssize_t n = readlink("/proc/self", text, sizeof text);
	return n > 0 && text_u64_n(text, (size_t)n, INT32_MAX, &pid) && (pid_t)pid == getpid();
}

int process_scope_read(struct process_scope *scope)
{
	char text[64];
	memset(scope, 0, sizeof *scope);
	scope->pid_ns_inode = process_inode("/proc/self/ns/pid");
	scope->time_ns_inode = process_inode("/proc/self/ns/time");
	ssize_t n = process_slurp("/proc/sys/kernel/random/boot_id", text, sizeof text);
	if (n < (ssize_t)sizeof scope->boot_id - 1)
		return TENURE_EIO;
	memcpy(scope->boot_id, text, sizeof scope->boot_id - 1);
	return scope->pid_ns_inode != 0 && process_proc_is_ours() ? 0 : TENURE_EIO;
}

/* The kernel's own answer, which needs no /proc. Zombies exist. */
static bool process_exists(int32_t pid)
{
	return kill(pid, 0) == 0 || errno != ESRCH;
}

int process_identify(int32_t pid, struct process_id *id)
{
	struct process_stat stat;
	*id = (struct process_id) { 0 };
	if (pid <= 0 || !process_exists(pid))
		return TENURE_ENOENT;
	if (!process_proc_is_ours())
		return TENURE_EIO;
	if (process_stat_read(pid, &stat) != 0)
		return process_exists(pid) ? TENURE_EIO : TENURE_ENOENT;
	*id = (struct process_id) { .pid = pid, .start_ticks = stat.start_ticks };
	return 0;
}

enum process_state process_state_of(const struct process_id *id)
{
	struct process_stat stat;
	if (id->pid <= 0 || !process_exists(id->pid))
		return PROCESS_DEAD;
	if (!process_proc_is_ours())
		return PROCESS_UNKNOWN;
	if (process_stat_read(id->pid, &stat) != 0)
		/* hidepid hides what is alive, so that a file that is not there proves nothing */
		return process_exists(id->pid) ? PROCESS_UNKNOWN : PROCESS_DEAD;
	if (stat.start_ticks != id->start_ticks || process_stat_dead(&stat))
		return PROCESS_DEAD;
	return PROCESS_ALIVE;
}

int process_user(int32_t pid, uint32_t *uid)
{
	char path[40], text[PROCESS_STAT_BYTES];
	uint64_t found = 0;
	snprintf(path, sizeof path, "/proc/%d/status", pid);
	/* Not the owner of /proc/PID, which is root for what may not be dumped. */
	if (process_slurp(path, text, sizeof text) < 0)
		return errno == ENOENT || errno == ESRCH ? TENURE_ENOENT : TENURE_EIO;
	const char *line = strstr(text, "\nUid:\t");
	if (!line || !text_u64_n(line + 6, strcspn(line + 6, "\t"), UINT32_MAX, &found))
		return TENURE_EIO;
	*uid = (uint32_t)found;
	return 0;
}

static int process_pidfd(int32_t pid)
{
	return (int)syscall(SYS_pidfd_open, pid, 0U);
}

int process_open(const struct process_id *id)
{
	if (id->pid <= 0)
		return TENURE_ENOENT;
	int fd = process_pidfd(id->pid);
	if (fd < 0)
		return errno == ESRCH ? TENURE_ENOENT : TENURE_EIO;
	switch (process_state_of(id)) {
	case PROCESS_ALIVE:
		return fd;
	case PROCESS_DEAD:
		close(fd);
		return TENURE_ENOENT;
	case PROCESS_UNKNOWN:
		break;
	}
	close(fd);
	errno = EACCES;
	return TENURE_EIO;
}

int process_kill(int pidfd)
{
	if (syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0U) == 0)
		return 0;
	if (errno == ESRCH)
		return TENURE_ENOENT;
	return errno == EPERM ? TENURE_EDENIED : TENURE_EIO;
}

bool process_ended(int pidfd)
{
	struct pollfd p = { .fd = pidfd, .events = POLLIN };
	int n;
	do {
		n = poll(&p, 1, 0);
	} while (n < 0 && errno == EINTR);
	return n == 1 && (p.revents & POLLIN) != 0;
}

struct process_table {
	struct process_stat *rows;
	bool *below; /* is this row a descendant of the root? */
	size_t n_rows, room;
};

static bool process_table_add(struct process_table *t, const struct process_stat *row)
{
	if (t->n_rows == t->room) {
		size_t room = t->room ? t->room * 2 : 256;
		struct process_stat *rows = reallocarray(t->rows, room, sizeof *rows);
		if (!rows)
			return false;
		t->rows = rows;
		t->room = room;
	}
	t->rows[t->n_rows++] = *row;
	return true;
}

static int process_table_read(struct process_table *t)
{
	DIR *proc = process_proc_is_ours() ? opendir("/proc") : NULL;
	if (!proc)
		return TENURE_EIO;
	int result = 0;
	for (struct dirent *entry; result == 0 && (entry = readdir(proc));) {
		struct process_stat row;
		uint64_t pid = 0;
		if (!text_u64(entry->d_name, INT32_MAX, &pid) || process_stat_read((int32_t)pid, &row) != 0)
			continue;
		if (!process_table_add(t, &row))
			result = TENURE_ENOMEM;
	}
	closedir(proc);
	if (result == 0 && t->n_rows == 0)
		result = TENURE_EIO; /* a directory that shows not even the caller is no /proc */
	return result;
}

static bool process_table_is_below(const struct process_table *t, int32_t root, int32_t parent)
{
	if (parent == root)
		return true;
	for (size_t i = 0; i < t->n_rows; i++)
		if (t->rows[i].pid == parent)
			return t->below[i];
	return false;
}

static int process_table_mark(struct process_table *t, int32_t root)
{
	t->below = calloc(t->n_rows, sizeof *t->below);
	if (!t->below)
		return TENURE_ENOMEM;
	for (bool changed = true; changed;) {
		changed = false;
		for (size_t i = 0; i < t->n_rows; i++) {
			if (t->below[i] || !process_table_is_below(t, root, t->rows[i].parent))
				continue;
			t->below[i] = changed = true;
		}
	}
	return 0;
}

int process_kill_descendants(int32_t root)
{
	struct process_table table = { 0 };
	int n_alive = 0;
	int result = process_table_read(&table);
	if (result == 0)
		result = process_table_mark(&table, root);
	for (size_t i = 0; result == 0 && i < table.n_rows; i++) {
		const struct process_stat *row = &table.rows[i];
		if (!table.below[i] || process_stat_dead(row))
			continue;
		n_alive++;
		int fd = process_open(&(struct process_id) { .pid = row->pid, .start_ticks = row->start_ticks });
		if (fd < 0)
			continue;
		(void)process_kill(fd);
		close(fd);
	}
	free(table.rows);
	free(table.below);
	return result != 0 ? result : n_alive;
}

/* ---- processes of other PID namespaces ---- */

#define PROCESS_HOST_PID_NS 0xeffffffcU /* PROC_PID_INIT_INO of the kernel: the inode of the first PID namespace */
#define PROCESS_MOST_LEVELS 33          /* namespaces nest 32 deep */

/* The pids of a process in its namespace and those above, outermost first: their number, 0 where it can't be told. */
static size_t process_levels(int32_t pid, uint64_t pids[PROCESS_MOST_LEVELS])
{
	char path[40], text[4096];
	snprintf(path, sizeof path, "/proc/%d/status", pid);
	if (process_slurp(path, text, sizeof text) < 0)
		return 0;
	const char *at = strstr(text, "\nNSpid:");
	size_t n = 0;
	for (at = at ? at + strlen("\nNSpid:") : ""; *at == '\t' && n < PROCESS_MOST_LEVELS; n++) {
		size_t n_bytes = strcspn(++at, "\t\n");
		if (!text_u64_n(at, n_bytes, INT32_MAX, &pids[n]))
			return 0;
		at += n_bytes;
	}
	return n;
}

/*
 * Is it called `wanted` in that namespace? From its own one upwards: each step is one back in the list of its pids. 1 or
 * 0, also for one that is gone; TENURE_EIO: it exists and can't be looked at, so nothing may be concluded.
 */
static int process_is_called(int32_t pid, uint64_t pid_ns_inode, int32_t wanted)
{
	char path[40];
	uint64_t pids[PROCESS_MOST_LEVELS];
	struct stat st;
	snprintf(path, sizeof path, "/proc/%d/ns/pid", pid);
	int ns = open(path, O_RDONLY | O_CLOEXEC), found = 0;
	size_t level = process_levels(pid, pids);
	if (ns < 0 || level == 0) {
		if (ns >= 0)
			close(ns);
		return process_exists(pid) ? TENURE_EIO : 0;
	}
	for (; ns >= 0 && level > 0; level--) {
		if (fstat(ns, &st) == 0 && (uint64_t)st.st_ino == pid_ns_inode) {
			found = pids[level - 1] == (uint64_t)wanted;
			break;
		}
		int parent = ioctl(ns, NS_GET_PARENT);
		close(ns);
		ns = parent;
	}
	if (ns >= 0)
		close(ns);
	return found;
}

int process_from_namespace(const struct process_id *id, uint64_t pid_ns_inode, struct process_id *here)
{
	*here = (struct process_id) { 0 };
	if (geteuid() != 0 || process_inode("/proc/self/ns/pid") != PROCESS_HOST_PID_NS)
		return TENURE_EUNSUPPORTED;
	DIR *directory = process_proc_is_ours() ? opendir("/proc") : NULL;
	if (!directory)
		return TENURE_EIO;
	int found = 0;
	for (struct dirent *entry; found == 0 && (entry = readdir(directory));) {
		struct process_stat stat;
		uint64_t pid;
		if (!text_u64(entry->d_name, INT32_MAX, &pid))
			continue;
		int known = process_stat_read((int32_t)pid, &stat);
		if (known == TENURE_ENOENT)
			continue;
		found = known != 0                            ? TENURE_EIO
		        : stat.start_ticks != id->start_ticks ? 0
		                                              : process_is_called((int32_t)pid, pid_ns_inode, id->pid);
		if (found == 1)
			*here = (struct process_id) { .pid = (int32_t)pid, .start_ticks = stat.start_ticks };
	}
	closedir(directory);
	if (found < 0)
		return found;
	return found == 1 ? 0 : TENURE_ENOENT;
}
