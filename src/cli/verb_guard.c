/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <tenure/guard.h>

#include "base/clock.h"
#include "base/text.h"
#include "cli/output.h"

#define VERB_GUARD_NO_MARK UINT64_MAX

struct verb_guard_options {
	uint64_t token, wait_ns, timeout_exit_code, present, to;
	const char *dir;
	bool yes;
};

#define AT(member) offsetof(struct verb_guard_options, member)

static const struct cli_option verb_guard_options[] = {
	{ "token", 't', CLI_U64, "N", "the token to admit or to refuse: TENURE_TOKEN of the tenure that writes",
	  AT(token), 1, (uint64_t)TENURE_TOKEN_MAX },
	{ "dir", 'd', CLI_TEXT, "DIR",
	  "where the marks are (default: /var/lib/tenure/guard for root, else ~/.local/state/tenure/guard)", AT(dir), 0,
	  0 },
	{ "wait", 'w', CLI_DURATION_OR_FOREVER, "DUR|forever",
	  "how long to wait for whoever is inside; 0s is one attempt (default: forever)", AT(wait_ns), 0, 0 },
	{ "conflict-exit-code", 'E', CLI_U64, "CODE", "exit code when --wait ran out (default: 124)",
	  AT(timeout_exit_code), 0, 255 },
	{ "present", 0, CLI_U64, "N", "with reset: the mark as it is now; another one changes nothing", AT(present), 0,
	  (uint64_t)TENURE_TOKEN_MAX },
	{ "to", 0, CLI_U64, "N", "with reset: the new mark (default: 0, forget all)", AT(to), 0,
	  (uint64_t)TENURE_TOKEN_MAX },
	{ "yes", 0, CLI_FLAG, NULL, "with reset and --present: don't ask", AT(yes), 0, 0 },
};

static const struct verb_guard_options verb_guard_defaults = {
	.wait_ns = NS_NEVER,
	.timeout_exit_code = 124,
	.present = VERB_GUARD_NO_MARK,
};

/* 0, or the exit code after a message. */
static int verb_guard_directory(const struct cli *cli, const char *given, char out[PATH_MAX])
{
	const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
	int length;

	if (given)
		length = snprintf(out, PATH_MAX, "%s", given);
	else if (geteuid() == 0)
		length = snprintf(out, PATH_MAX, "/var/lib/tenure/guard");
	else if (state && state[0] == '/')
		length = snprintf(out, PATH_MAX, "%s/tenure/guard", state);
	else if (home && home[0] == '/')
		length = snprintf(out, PATH_MAX, "%s/.local/state/tenure/guard", home);
	else
		return cli_fail_code(cli, 64, "neither XDG_STATE_HOME nor HOME is set: give --dir DIR");
	if (length <= 0 || length >= PATH_MAX)
		return cli_fail_code(cli, 64, "bad --dir: its name has no byte, or more than %d", PATH_MAX - 1);
	return 0;
}

static int verb_guard_show(struct cli *cli, struct tenure_guard *g, const char *resource)
{
	struct tenure_error error = TENURE_ERROR_INIT;
	uint64_t mark;

	if (tenure_guard_read(g, &mark, &error) != 0)
		return cli_fail(cli, &error);
	if (cli->format == CLI_JSON)
		return output_json(cli, json_pack("{s:s,s:I}", "resource", resource, "mark", (json_int_t)mark));
	(void)printf("%" PRIu64 "\n", mark);
	return output_flush(cli);
}

/* What is given up is said to whoever decides; a script has decided when it says --yes. 0, or the exit code. */
static int verb_guard_ask(struct cli *cli, const char *resource, uint64_t mark, uint64_t to)
{
	char line[64];
	uint64_t typed;

	(void)fprintf(stderr, "The mark of %s is %" PRIu64 ", the new one will be %" PRIu64 ".\n", resource, mark, to);
	if (to < mark)
		(void)fprintf(
		        stderr,
		        "Tokens from %" PRIu64 " to %" PRIu64
		        " will be admitted again, those of former leaders too: a late\n"
		        "write of theirs will not be refused any more. Make sure that none of their programs lives.\n",
		        to > 0 ? to : 1, mark - 1);
	if (to > mark)
		(void)fprintf(stderr, "Tokens below %" PRIu64 " will be refused, the present leader's too.\n", to);
	(void)fprintf(stderr, "Type the present mark to go on: ");
	if (!fgets(line, sizeof line, stdin))
		line[0] = '\0';
	line[strcspn(line, "\n")] = '\0';
	if (!text_u64(line, (uint64_t)TENURE_TOKEN_MAX, &typed) || typed != mark)
		return cli_fail_code(cli, 64, "that is not the mark: nothing was changed");
	return 0;
}

static int verb_guard_reset(struct cli *cli, struct tenure_guard *g, const char *resource,
                            const struct verb_guard_options *o)
{
	struct tenure_error error = TENURE_ERROR_INIT;
	uint64_t mark = 0;
	int code;

	if (o->yes != (o->present != VERB_GUARD_NO_MARK) && (o->yes || !isatty(0)))
		return cli_fail_code(cli, 64,
		                     "reset without a terminal needs --present N and --yes: see 'tenure guard --help'");
	if (!o->yes && !isatty(0))
		return cli_fail_code(
		        cli, 64,
		        "reset asks before it lets former leaders write again: use a terminal, or --present N --yes");
	if (tenure_guard_read(g, &mark, &error) != 0)
		return cli_fail(cli, &error);
	if (o->present != VERB_GUARD_NO_MARK && o->present != mark)
		return cli_fail_code(cli, 77, "the mark of %s is %" PRIu64 " and not %" PRIu64 ": nothing was changed",
		                     resource, mark, o->present);
	code = o->yes ? 0 : verb_guard_ask(cli, resource, mark, o->to);
	if (code != 0)
		return code;
	code = tenure_guard_reset(g, mark, o->to, &error);
	/* A token came while somebody thought it over. */
	if (code == TENURE_ESTATE)
		return cli_fail_code(cli, 77, "%s", error.message);
	return code == 0 ? 0 : cli_fail(cli, &error);
}

static const int verb_guard_forwarded[] = { SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2 };

/* Those that were ignored at start (nohup) stay so. */
static int verb_guard_catch(sigset_t *before)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	for (size_t i = 0; i < sizeof verb_guard_forwarded / sizeof verb_guard_forwarded[0]; i++) {
		struct sigaction old;

		if (sigaction(verb_guard_forwarded[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
			sigaddset(&set, verb_guard_forwarded[i]);
	}
	(void)sigprocmask(SIG_BLOCK, &set, before);
	return signalfd(-1, &set, SFD_CLOEXEC);
}

struct verb_guard_pipes {
	int report[2]; /* the errno of an exec that failed */
	int gate[2];   /* CMD begins when a byte comes */
	int life[2];   /* ends with this command */
};

static void verb_guard_close(int fd[2], int which)
{
	if (fd[which] >= 0)
		(void)close(fd[which]);
	fd[which] = -1;
}

static void verb_guard_pipes_deinit(struct verb_guard_pipes *p)
{
	for (int i = 0; i < 2; i++) {
		verb_guard_close(p->report, i);
		verb_guard_close(p->gate, i);
		verb_guard_close(p->life, i);
	}
}

static bool verb_guard_pipes_init(struct verb_guard_pipes *p)
{
	*p = (struct verb_guard_pipes) { { -1, -1 }, { -1, -1 }, { -1, -1 } };
	if (pipe2(p->report, O_CLOEXEC) == 0 && pipe2(p->gate, O_CLOEXEC) == 0 && pipe2(p->life, O_CLOEXEC) == 0)
		return true;
	verb_guard_pipes_deinit(p);
	return false;
}

/* In the child. The guard's descriptors close by themselves at exec. */
static _Noreturn void verb_guard_exec(const struct cli *cli, pid_t parent, const sigset_t *before,
                                      const struct sigaction *sigchld, struct verb_guard_pipes *p)
{
	char begin;
	int failed;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	verb_guard_close(p->gate, 1);
	verb_guard_close(p->life, 1);
	if (getppid() != parent || read(p->gate[0], &begin, 1) != 1)
		_exit(126);
	(void)sigaction(SIGCHLD, sigchld, NULL);
	(void)sigprocmask(SIG_SETMASK, before, NULL);
	for (int fd = 0; fd < 3; fd++)
		if (cli->closed_stdio & 1U << fd)
			(void)close(fd);
	(void)execvp(cli->command[0], cli->command);
	failed = errno;
	(void)!write(p->report[1], &failed, sizeof failed);
	_exit(failed == ENOENT ? 127 : 126);
}

/*
 * A process that is killed loses its locks a moment before its children get their PR_SET_PDEATHSIG, and CMD could still
 * write when the next one is inside. So a second process has the lock too, and gives it up when CMD is dead. It hears no
 * signal: those of CMD are blocked here, and it is in a session of its own. -1 on an old kernel: then that moment remains.
 */
static pid_t verb_guard_keep(pid_t child, struct verb_guard_pipes *p)
{
	struct pollfd ended = { .fd = (int)syscall(SYS_pidfd_open, child, 0), .events = POLLIN };
	pid_t keeper = ended.fd < 0 ? -1 : fork();
	char never;

	if (keeper != 0) {
		if (ended.fd >= 0)
			(void)close(ended.fd);
		return keeper;
	}
	(void)setsid();
	for (int fd = 0; fd < 3; fd++)
		(void)close(fd);
	verb_guard_close(p->life, 1);
	verb_guard_close(p->gate, 1);
	verb_guard_close(p->report, 1);
	while (read(p->life[0], &never, 1) < 0 && errno == EINTR)
		;
	(void)syscall(SYS_pidfd_send_signal, ended.fd, SIGKILL, NULL, 0);
	while (poll(&ended, 1, -1) < 0 && errno == EINTR)
		;
	_exit(0);
}

/*
 * Until CMD ends. A signal from the terminal reached CMD too, which is in the same process group: passing it on would
 * give it twice.
 */
static int verb_guard_attend(pid_t child, int signal_fd)
{
	struct signalfd_siginfo info;
	int status;

	for (;;) {
		pid_t ended = waitpid(child, &status, WNOHANG);

		if (ended == child)
			return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
		if (read(signal_fd, &info, sizeof info) != (ssize_t)sizeof info)
			continue;
		if (info.ssi_signo != SIGCHLD && info.ssi_code != SI_KERNEL)
			(void)kill(child, (int)info.ssi_signo);
	}
}

/* Lets CMD begin and waits for its end. Returns the exit code. */
static int verb_guard_wait(const struct cli *cli, pid_t child, int signal_fd, struct verb_guard_pipes *p)
{
	pid_t keeper = verb_guard_keep(child, p);
	int failed = 0, code;
	ssize_t n;

	verb_guard_close(p->report, 1);
	(void)!write(p->gate[1], "", 1);
	do {
		n = read(p->report[0], &failed, sizeof failed);
	} while (n < 0 && errno == EINTR);
	code = verb_guard_attend(child, signal_fd);
	if (n == (ssize_t)sizeof failed)
		(void)cli_fail_code(cli, code, "cannot execute %s: %s", cli->command[0], strerror(failed));
	verb_guard_close(p->life, 1);
	if (keeper > 0)
		(void)waitpid(keeper, NULL, 0);
	return code;
}

/* Runs CMD. Returns the exit code. */
static int verb_guard_command(struct cli *cli)
{
	struct sigaction plain = { .sa_handler = SIG_DFL }, sigchld;
	struct verb_guard_pipes pipes;
	pid_t child, parent = getpid();
	int signal_fd, code = 69;
	sigset_t before;

	if (!verb_guard_pipes_init(&pipes))
		return cli_fail_code(cli, code, "cannot start %s: %s", cli->command[0], strerror(errno));
	/* An inherited "ignore" would take the exit code away. */
	(void)sigaction(SIGCHLD, &plain, &sigchld);
	signal_fd = verb_guard_catch(&before);
	child = signal_fd < 0 ? -1 : fork();
	if (child == 0)
		verb_guard_exec(cli, parent, &before, &sigchld, &pipes);
	if (child > 0)
		code = verb_guard_wait(cli, child, signal_fd, &pipes);
	else
		(void)cli_fail_code(cli, code, "cannot start %s: %s", cli->command[0], strerror(errno));
	verb_guard_pipes_deinit(&pipes);
	if (signal_fd >= 0)
		(void)close(signal_fd);
	return code;
}

static int verb_guard_admit(struct cli *cli, struct tenure_guard *g, const struct verb_guard_options *o)
{
	struct tenure_error error = TENURE_ERROR_INIT;
	int code = tenure_guard_enter(g, o->token, o->wait_ns, NULL, &error);

	if (code == TENURE_TIMEOUT)
		return cli_fail_code(cli, (int)o->timeout_exit_code, "%s", error.message);
	if (code != 0)
		return cli_fail(cli, &error);
	code = cli->command ? verb_guard_command(cli) : 0;
	tenure_guard_leave(g);
	return code;
}

/* Two words are an action and a resource, one is a resource: so a resource may be called "show". */
static int verb_guard_usage(const struct cli *cli, const struct verb_guard_options *o)
{
	const char *action = cli->n_words == 2 ? cli->words[0] : "";

	if (cli->n_words == 2 && strcmp(action, "show") != 0 && strcmp(action, "reset") != 0)
		return cli_fail_code(cli, 64, "'%.60s' is neither show nor reset; a command stands after --", action);
	if (cli->n_words == 2 && (cli->command || o->token != 0))
		return cli_fail_code(cli, 64, "%s takes neither --token nor a command", action);
	if (strcmp(action, "reset") != 0 && (o->present != VERB_GUARD_NO_MARK || o->to != 0 || o->yes))
		return cli_fail_code(cli, 64, "--present, --to and --yes belong to 'tenure guard reset RESOURCE'");
	if (cli->n_words == 1 && o->token == 0)
		return cli_fail_code(cli, 64, "--token N is missing; to see the mark: tenure guard show %.60s",
		                     cli->words[0]);
	return 0;
}

static int verb_guard_run(struct cli *cli, void *options)
{
	struct tenure_error error = TENURE_ERROR_INIT;
	const struct verb_guard_options *o = options;
	const char *resource = cli->words[cli->n_words - 1];
	struct tenure_guard *g;
	char directory[PATH_MAX];
	int code = verb_guard_usage(cli, o);

	if (code == 0)
		code = verb_guard_directory(cli, o->dir, directory);
	if (code != 0)
		return code;
	if (tenure_guard_open(&g, directory, resource, &error) != 0)
		return cli_fail(cli, &error);
	if (cli->n_words == 1)
		code = verb_guard_admit(cli, g, o);
	else if (strcmp(cli->words[0], "show") == 0)
		code = verb_guard_show(cli, g, resource);
	else
		code = verb_guard_reset(cli, g, resource, o);
	tenure_guard_free(g);
	return code;
}

const struct cli_verb verb_guard = {
	.name = "guard",
	.arguments = "[show|reset] RESOURCE",
	.summary = "admit a token, or refuse one that is older than what was here",
	.help = "Remembers the greatest token that was ever admitted to RESOURCE, the mark, on disk, and refuses any\n"
	        "smaller one: so a late write of a former leader does no harm. With CMD, the token is compared and "
	        "CMD\n"
	        "is run while nobody else is inside; without, it is compared only.\n"
	        "\n"
	        "  tenure run report -- sh -c 'make-report >new &&\n"
	        "      tenure guard report --token $TENURE_TOKEN -- mv new report.html'\n"
	        "  tenure guard show report                            # the mark; 0: no token yet\n"
	        "  tenure guard reset report                           # asks\n"
	        "  tenure guard reset report --present 7 --to 3 --yes  # for scripts\n"
	        "\n"
	        "The mark is raised before waiting for whoever is inside, and is compared again afterwards. CMD is "
	        "run\n"
	        "without a shell and has no part in the lock; TERM, INT, HUP, QUIT, USR1 and USR2 are passed on to it, "
	        "and\n"
	        "it is killed when this command is. What CMD leaves running in the background is not waited for.\n"
	        "\n"
	        "A lowered mark lets former leaders write again: reset says so and wants the present mark. All marks "
	        "of\n"
	        "one host must be in one directory, on a local disk. With one word, RESOURCE may be any name, 'show' "
	        "and\n"
	        "'reset' too.\n"
	        "\n"
	        "exit codes: 0 admitted, or that of CMD, or 128 + the signal that ended it; 77 refused (reset: the "
	        "mark is\n"
	        "another one); 124 (-E) --wait ran out; 126, 127 CMD can't be executed, is not found; 64 bad usage; 69 "
	        "no\n"
	        "descriptors or processes left; 74 the disk failed; 76 the file is foreign or of a newer version; 78 "
	        "a\n"
	        "network or memory file system.",
	.needs = CLI_OUTPUT | CLI_COMMAND_OPTIONAL,
	.options = verb_guard_options,
	.n_options = sizeof verb_guard_options / sizeof verb_guard_options[0],
	.defaults = &verb_guard_defaults,
	.options_bytes = sizeof verb_guard_defaults,
	.run = verb_guard_run,
};
