/* SPDX-License-Identifier: Apache-2.0 */
/*
 *	killat [-f] [-o FILE] N -- CMD [ARG...]
 *	killat [-f] [-o FILE] --fail NAME:ERRNO [--nth N] -- CMD [ARG...]
 *
 * The first form kills CMD with SIGKILL at its N-th stop at a system call; entry and exit are a stop each, and the
 *execve of CMD itself is not counted. Killed at an entry, the call does not happen. The second form lets the N-th call
 *of that name (default: the first; 0: every one) fail without happening. Exit code 0 when it was killed, or something
 *was made to fail and CMD ended by itself with 0; else CMD's own (128 + signal). "ended" on stdout (or in FILE) says
 *that CMD ended by itself before its N-th stop, so that a test can go up from 1 until then; else "killed" or "failed"
 *and the call's name.
 *
 * -f follows children too (fork, vfork, clone): stops are then counted over all of them, and SIGKILL goes to all.
 */
#include <elf.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#define KILLAT_TRACED_MAX 64

struct killat_name {
	const char *name;
	long number;
};

/* Those that a test of durability has an interest in. */
static const struct killat_name killat_calls[] = {
	{ "read", SYS_read },
	{ "write", SYS_write },
	{ "pread64", SYS_pread64 },
	{ "pwrite64", SYS_pwrite64 },
	{ "openat", SYS_openat },
	{ "close", SYS_close },
	{ "fsync", SYS_fsync },
	{ "fdatasync", SYS_fdatasync },
	{ "linkat", SYS_linkat },
	{ "unlinkat", SYS_unlinkat },
	{ "renameat2", SYS_renameat2 },
	{ "fcntl", SYS_fcntl },
	{ "ftruncate", SYS_ftruncate },
	{ "newfstatat", SYS_newfstatat },
	{ "clock_gettime", SYS_clock_gettime },
	{ "mkdirat", SYS_mkdirat },
	{ "clone", SYS_clone },
	{ "execve", SYS_execve },
#ifdef SYS_renameat
	{ "renameat", SYS_renameat },
#endif
#ifdef SYS_rename
	{ "rename", SYS_rename },
	{ "mkdir", SYS_mkdir },
	{ "link", SYS_link },
	{ "unlink", SYS_unlink },
	{ "open", SYS_open },
	{ "inotify_init1", SYS_inotify_init1 },
#endif
};

static const struct killat_name killat_errors[] = {
	{ "ENOSPC", ENOSPC }, { "EIO", EIO },       { "EROFS", EROFS },   { "EDQUOT", EDQUOT },
	{ "EINTR", EINTR },   { "EMFILE", EMFILE }, { "ENOMEM", ENOMEM }, { "EACCES", EACCES },
	{ "EAGAIN", EAGAIN }, { "EPERM", EPERM },   { "ENOSYS", ENOSYS }, { "EINVAL", EINVAL },
};

#define KILLAT_FIND(table, name) killat_find(table, sizeof(table) / sizeof(table)[0], name)

struct killat {
	unsigned long at; /* the stop to kill at; 0: none */
	bool follow;
	long fail_call, fail_errno; /* -1: none */
	unsigned long fail_nth;     /* 0: every one */
	unsigned long n_stops, n_calls, n_failed;
	pid_t root;
	pid_t traced[KILLAT_TRACED_MAX];
	bool failing[KILLAT_TRACED_MAX]; /* between entry and exit of a call that is made to fail */
	size_t n_traced;
	bool killed;
	long last_call;
	FILE *out;
};

static _Noreturn void killat_die(const char *what)
{
	(void)fprintf(stderr, "killat: %s: %s\n", what, strerror(errno));
	exit(125);
}

static long killat_find(const struct killat_name *table, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(table[i].name, name) == 0)
			return table[i].number;
	(void)fprintf(stderr, "killat: '%s' is not in its tables\n", name);
	exit(125);
}

static const char *killat_call_name(long number)
{
	for (size_t i = 0; i < sizeof killat_calls / sizeof killat_calls[0]; i++)
		if (killat_calls[i].number == number)
			return killat_calls[i].name;
	return "other";
}

static size_t killat_index(struct killat *k, pid_t pid)
{
	for (size_t i = 0; i < k->n_traced; i++)
		if (k->traced[i] == pid)
			return i;
	if (k->n_traced == KILLAT_TRACED_MAX) {
		errno = E2BIG;
		killat_die("too many processes");
	}
	k->traced[k->n_traced] = pid;
	k->failing[k->n_traced] = false;
	return k->n_traced++;
}

static void killat_forget(struct killat *k, pid_t pid)
{
	size_t i = killat_index(k, pid);

	k->n_traced--;
	k->traced[i] = k->traced[k->n_traced];
	k->failing[i] = k->failing[k->n_traced];
}

#if defined(__x86_64__)
static void killat_registers(pid_t pid, bool entry, long result)
{
	struct user_regs_struct r;

	if (ptrace(PTRACE_GETREGS, pid, NULL, &r) != 0)
		return;
	if (entry)
		r.orig_rax = (unsigned long long)-1; /* no such call: nothing happens */
	else
		r.rax = (unsigned long long)result;
	(void)ptrace(PTRACE_SETREGS, pid, NULL, &r);
}
#elif defined(__aarch64__)
static void killat_registers(pid_t pid, bool entry, long result)
{
	struct user_regs_struct r;
	int none = -1;
	struct iovec call = { &none, sizeof none }, all = { &r, sizeof r };

	if (entry) {
		(void)ptrace(PTRACE_SETREGSET, pid, (void *)NT_ARM_SYSTEM_CALL, &call);
		return;
	}
	if (ptrace(PTRACE_GETREGSET, pid, (void *)NT_PRSTATUS, &all) != 0)
		return;
	r.regs[0] = (unsigned long long)result;
	(void)ptrace(PTRACE_SETREGSET, pid, (void *)NT_PRSTATUS, &all);
}
#else
#error "killat knows the registers of x86_64 and aarch64"
#endif

static void killat_maybe_fail(struct killat *k, pid_t pid, const struct __ptrace_syscall_info *info)
{
	size_t i = killat_index(k, pid);

	if (info->op == PTRACE_SYSCALL_INFO_EXIT && k->failing[i]) {
		k->failing[i] = false;
		killat_registers(pid, false, -k->fail_errno);
		k->n_failed++;
	}
	if (info->op != PTRACE_SYSCALL_INFO_ENTRY || (long)info->entry.nr != k->fail_call)
		return;
	k->n_calls++;
	if (k->fail_nth == 0 || k->n_calls == k->fail_nth) {
		k->failing[i] = true;
		killat_registers(pid, true, 0);
	}
}

static void killat_syscall_stop(struct killat *k, pid_t pid)
{
	struct __ptrace_syscall_info info = { 0 };

	if (ptrace(PTRACE_GET_SYSCALL_INFO, pid, (void *)sizeof info, &info) <= 0)
		return;
	if (info.op == PTRACE_SYSCALL_INFO_ENTRY)
		k->last_call = (long)info.entry.nr;
	if (k->fail_call >= 0)
		killat_maybe_fail(k, pid, &info);
	if (++k->n_stops != k->at)
		return;
	k->killed = true;
	for (size_t i = 0; i < k->n_traced; i++)
		(void)kill(k->traced[i], SIGKILL);
}

/* One stop of one process. Lets it go on. */
static void killat_stop(struct killat *k, pid_t pid, int status)
{
	int signal_number = WSTOPSIG(status);

	(void)killat_index(k, pid);
	if (signal_number == (SIGTRAP | 0x80)) {
		killat_syscall_stop(k, pid);
		signal_number = 0;
	} else if (status >> 16 != 0 || signal_number == SIGTRAP || (signal_number == SIGSTOP && pid != k->root)) {
		signal_number = 0; /* an event, or a new child's first stop */
	}
	(void)ptrace(PTRACE_SYSCALL, pid, NULL, (void *)(intptr_t)signal_number);
}

/* The exit code of CMD. */
static int killat_watch(struct killat *k)
{
	int status, code = 125;

	while (k->n_traced > 0) {
		pid_t pid = waitpid(-1, &status, __WALL);

		if (pid < 0 && errno == EINTR)
			continue;
		if (pid < 0)
			break;
		if (WIFSTOPPED(status)) {
			killat_stop(k, pid, status);
			continue;
		}
		killat_forget(k, pid);
		if (pid == k->root)
			code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
	}
	return code;
}

/* In a sanitized build: the leak checker traces its own process, which can't be done to one that is traced already. */
static void killat_quiet_leaks(void)
{
	const char *present = getenv("ASAN_OPTIONS");
	char options[512];

	if (!present)
		return;
	(void)snprintf(options, sizeof options, "%s:detect_leaks=0", present);
	(void)setenv("ASAN_OPTIONS", options, 1);
}

static void killat_start(struct killat *k, char **command)
{
	long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL | PTRACE_O_TRACEEXEC;
	int status;

	if (k->follow)
		options |= PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE;
	k->root = fork();
	if (k->root < 0)
		killat_die("fork");
	if (k->root == 0) {
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
			_exit(125);
		killat_quiet_leaks();
		(void)execvp(command[0], command);
		_exit(127);
	}
	/* The stop after execve. */
	if (waitpid(k->root, &status, 0) != k->root || !WIFSTOPPED(status)) {
		errno = ENOEXEC;
		killat_die(command[0]);
	}
	(void)killat_index(k, k->root);
	if (ptrace(PTRACE_SETOPTIONS, k->root, NULL, (void *)options) != 0 ||
	    ptrace(PTRACE_SYSCALL, k->root, NULL, NULL) != 0)
		killat_die("ptrace");
}

static unsigned long killat_number(const char *text)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (*text == '\0' || *end != '\0') {
		errno = EINVAL;
		killat_die(text);
	}
	return value;
}

static char **killat_parse(struct killat *k, char **words)
{
	for (; *words && strcmp(*words, "--") != 0; words++) {
		if (strcmp(*words, "-f") == 0) {
			k->follow = true;
		} else if (strcmp(*words, "-o") == 0 && words[1]) {
			k->out = fopen(*++words, "we");
			if (!k->out)
				killat_die(*words);
		} else if (strcmp(*words, "--nth") == 0 && words[1]) {
			k->fail_nth = killat_number(*++words);
		} else if (strcmp(*words, "--fail") == 0 && words[1]) {
			char *colon = strchr(*++words, ':');

			if (!colon)
				break;
			*colon = '\0';
			k->fail_call = KILLAT_FIND(killat_calls, *words);
			k->fail_errno = KILLAT_FIND(killat_errors, colon + 1);
		} else {
			k->at = killat_number(*words);
		}
	}
	if (!*words || strcmp(*words, "--") != 0 || !words[1] || (k->at == 0) == (k->fail_call < 0)) {
		(void)fprintf(stderr, "usage: killat [-f] [-o FILE] N|--fail NAME:ERRNO [--nth N] -- CMD [ARG...]\n");
		exit(125);
	}
	return words + 1;
}

int main(int argc, char **argv)
{
	struct killat k = { .fail_call = -1, .fail_nth = 1, .last_call = -1, .out = stdout };
	char **command = killat_parse(&k, argv + (argc > 0));
	int code;

	killat_start(&k, command);
	code = killat_watch(&k);
	if (k.killed)
		code = 0;
	if (k.killed)
		(void)fprintf(k.out, "killed %lu %s\n", k.n_stops, killat_call_name(k.last_call));
	else if (k.n_failed > 0)
		(void)fprintf(k.out, "failed %lu %s\n", k.n_failed, killat_call_name(k.fail_call));
	else
		(void)fprintf(k.out, "ended\n");
	return fclose(k.out) == 0 ? code : 125;
}
