/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/timex.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cgroup.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/process.h"
#include "base/text.h"
#include "cli/doctor_quorum.h"
#include "cli/output.h"
#include "client/registry.h"
#include "client/url.h"
#include "elector/lease.h"
#include "supervisor/supervisor.h"
#include "supervisor/urgency.h"

/* The number in a one-line file of /proc; false where it can't be read. */
static bool verb_doctor_number(const char *path, uint64_t *value)
{
	char text[32];
	ssize_t n;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return false;
	n = read(fd, text, sizeof text - 1);
	(void)close(fd);
	while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == ' '))
		n--;
	return n > 0 && text_u64_n(text, (size_t)n, UINT64_MAX, value);
}

/* Tries something that changes the process in a child of its own. 0, or its errno. */
static int verb_doctor_try(int (*attempt)(void))
{
	int status;
	pid_t child = fork();

	if (child < 0)
		return errno;
	if (child == 0)
		_exit(attempt() == 0 ? 0 : errno & 127);
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return errno;
	return WIFEXITED(status) ? WEXITSTATUS(status) : EPERM;
}

static void verb_doctor_versions(struct output_findings *f)
{
	struct utsname name;
	char text[160];

	(void)snprintf(text, sizeof text, "%d.%d.%d", TENURE_VERSION_MAJOR, TENURE_VERSION_MINOR, TENURE_VERSION_PATCH);
	output_finding(f, "tenure", json_string(text), "", OUTPUT_OK, "the version of this command");
	if (uname(&name) != 0)
		return;
	(void)snprintf(text, sizeof text, "%s %s", name.sysname, name.release);
	output_finding(f, "kernel", json_string(text), "", OUTPUT_OK, "%s", name.machine);
}

static void verb_doctor_clocks(struct output_findings *f)
{
	struct timespec resolution;
	struct timex timex = { .modes = 0 };
	uint64_t now_ns;
	long ppm;

	if (clock_now_ns(&now_ns) != 0 || clock_getres(CLOCK_BOOTTIME, &resolution) != 0)
		output_finding(f, "boot-time clock", json_null(), "", OUTPUT_UNSAFE, "CLOCK_BOOTTIME can't be read: %s",
		               strerror(errno));
	else
		output_finding(f, "boot-time clock", json_integer(resolution.tv_nsec), "ns",
		               resolution.tv_nsec < 1000000 ? OUTPUT_OK : OUTPUT_WEAK,
		               "resolution of the clock that leases are counted on");
	if (adjtimex(&timex) < 0) {
		output_finding(f, "clock rate", json_null(), "", OUTPUT_WEAK, "adjtimex: %s", strerror(errno));
		return;
	}
	ppm = (timex.tick - 10000) * 100 + timex.freq / 65536;
	output_finding(f, "clock rate", json_integer(ppm), "ppm",
	               labs(ppm) <= (long)LEASE_RATE_ERROR_PPM ? OUTPUT_OK : OUTPUT_WEAK,
	               "correction that is applied to the clock now; up to %u is allowed for", LEASE_RATE_ERROR_PPM);
}

static void verb_doctor_proc(struct output_findings *f)
{
	struct process_scope scope;
	int code = process_scope_read(&scope);
	struct stat own, host;
	bool seen = stat("/proc/self/ns/time", &own) == 0 && stat("/proc/1/ns/time", &host) == 0;

	output_finding(f, "/proc", json_boolean(code == 0), "", code == 0 ? OUTPUT_OK : OUTPUT_UNSAFE, "%s",
	               code == 0 ? "readable: an earlier leader's processes can be found and proven dead"
	                         : "not readable: the end of an earlier leader can't be proven; mount it");
	if (seen)
		output_finding(f, "time namespace", json_string(own.st_ino == host.st_ino ? "shared" : "own"), "",
		               OUTPUT_OK, "lease pages are good within one time namespace (%" PRIu64 ")",
		               scope.time_ns_inode);
	else
		output_finding(f, "time namespace", json_null(), "", OUTPUT_OK,
		               "can't be told: /proc/1 belongs to somebody else, or the kernel has none");
}

static int verb_doctor_pid_namespace(void)
{
	return unshare(geteuid() == 0 ? CLONE_NEWPID : CLONE_NEWUSER | CLONE_NEWPID);
}

static void verb_doctor_cgroup(struct output_findings *f)
{
	struct tenure_error error = TENURE_ERROR_INIT;
	char path[CGROUP_PATH_ROOM + 16];
	bool kill_file;

	if (cgroup_make(path, &error) != 0) {
		output_finding(f, "cgroup v2", json_boolean(false), "", OUTPUT_WEAK, "%s", error.message);
		return;
	}
	(void)strncat(path, "/cgroup.kill", sizeof path - strlen(path) - 1);
	kill_file = access(path, W_OK) == 0;
	*strrchr(path, '/') = '\0';
	cgroup_remove(path);
	output_finding(f, "cgroup v2", json_boolean(true), "", kill_file ? OUTPUT_OK : OUTPUT_WEAK, "%s",
	               kill_file ? "can be made, with cgroup.kill"
	                         : "can be made, but this kernel has no cgroup.kill (5.14)");
}

static void verb_doctor_containment(struct output_findings *f)
{
	char why[256] = "";
	int failed = verb_doctor_try(verb_doctor_pid_namespace);
	enum supervisor_containment best = supervisor_best_containment(false, why, sizeof why);

	output_finding(f, "PID namespace", json_boolean(failed == 0), "", failed == 0 ? OUTPUT_OK : OUTPUT_WEAK, "%s",
	               failed == 0 ? "can be made: all that a program starts ends with its init" : strerror(failed));
	verb_doctor_cgroup(f);
	output_finding(f, "containment", json_string(supervisor_containment_name(best)), "",
	               best == SUPERVISOR_KERNEL ? OUTPUT_OK : OUTPUT_WEAK, "%s",
	               why[0] ? why : "the best that 'tenure run' can promise here");
	why[0] = '\0';
	best = supervisor_best_containment(true, why, sizeof why);
	output_finding(f, "containment, host's pids", json_string(supervisor_containment_name(best)), "",
	               best == SUPERVISOR_WEAK ? OUTPUT_WEAK : OUTPUT_OK,
	               "with --no-pid-namespace, so that the program sees the host's processes");
	failed = urgency_probe();
	output_finding(f, "SCHED_FIFO", json_boolean(failed == 0), "", failed == 0 ? OUTPUT_OK : OUTPUT_WEAK,
	               "kill margin %d ms%s%s",
	               (int)((failed == 0 ? LEASE_KILL_MARGIN_FIFO_NS : LEASE_KILL_MARGIN_OTHER_NS) / CLOCK_NS_PER_MS),
	               failed == 0 ? "" : ": ", failed == 0 ? "" : strerror(failed));
}

static void verb_doctor_watchdog(struct output_findings *f)
{
	bool there = access("/dev/watchdog", F_OK) == 0;

	output_finding(f, "watchdog", json_string(there ? "present" : "none"), "", OUTPUT_OK, "%s",
	               there ? "/dev/watchdog; this version does not use it" : "no /dev/watchdog on this host");
}

static json_t *verb_doctor_limit(rlim_t limit)
{
	return limit == RLIM_INFINITY ? json_string("unlimited") : json_integer((json_int_t)limit);
}

static void verb_doctor_limits(struct output_findings *f)
{
	uint64_t instances = 0, watches = 0;
	struct rlimit limit;
	int fd = inotify_init1(IN_CLOEXEC);

	if (verb_doctor_number("/proc/sys/fs/inotify/max_user_instances", &instances))
		output_finding(f, "inotify instances", json_integer((json_int_t)instances), "",
		               fd >= 0 ? OUTPUT_OK : OUTPUT_WEAK, "%s",
		               fd >= 0 ? "one a session of this user; without one the store is looked at every 20 ms"
		                       : "none is left: the store is looked at every 20 ms instead");
	if (verb_doctor_number("/proc/sys/fs/inotify/max_user_watches", &watches))
		output_finding(f, "inotify watches", json_integer((json_int_t)watches), "", OUTPUT_OK,
		               "some an election of this user");
	if (fd >= 0)
		(void)close(fd);
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
		output_finding(f, "open files", verb_doctor_limit(limit.rlim_cur), "",
		               limit.rlim_cur >= 256 ? OUTPUT_OK : OUTPUT_WEAK, "RLIMIT_NOFILE of this shell");
	if (getrlimit(RLIMIT_NPROC, &limit) == 0)
		output_finding(f, "processes", verb_doctor_limit(limit.rlim_cur), "",
		               limit.rlim_cur >= 64 ? OUTPUT_OK : OUTPUT_WEAK, "RLIMIT_NPROC of this user");
}

/* The directory itself, or what of its path there is. */
static bool verb_doctor_existing(const char *path, char *out, size_t room)
{
	(void)snprintf(out, room, "%s", path);
	while (access(out, F_OK) != 0) {
		char *slash = strrchr(out, '/');

		if (errno != ENOENT || !slash || (slash == out && out[1] == '\0'))
			return false;
		slash[slash == out] = '\0';
	}
	return true;
}

static void verb_doctor_directory(struct output_findings *f, const char *path, bool allow_memory)
{
	struct tenure_error error = TENURE_ERROR_INIT;
	char existing[URL_MAX_BYTES + 1];
	bool there;

	if (fs_check_local(path, allow_memory, &error) != 0)
		output_finding(f, "store's file system", json_boolean(false), "", OUTPUT_UNSAFE, "%s", error.message);
	else
		output_finding(f, "store's file system", json_boolean(true), "", allow_memory ? OUTPUT_WEAK : OUTPUT_OK,
		               "%s",
		               allow_memory ? "volatile=yes: tokens may restart with the host"
		                            : "of this host alone, and durable: locks exclude, tokens last");
	if (!verb_doctor_existing(path, existing, sizeof existing)) {
		output_finding(f, "store's directory", json_null(), "", OUTPUT_UNSAFE, "%.200s: %s", path,
		               strerror(errno));
		return;
	}
	there = strcmp(existing, path) == 0;
	if (access(existing, R_OK | W_OK | X_OK) == 0)
		output_finding(f, "store's directory", json_string(there ? "writable" : "missing"), "", OUTPUT_OK, "%s",
		               there ? "candidates of this user can campaign"
		                     : "it is made when the first candidate comes");
	else
		output_finding(f, "store's directory", json_string("not writable"), "", OUTPUT_UNSAFE, "%.200s: %s",
		               existing, strerror(errno));
}

static bool verb_doctor_is_volatile(const struct url *url)
{
	for (size_t i = 0; i < url->n_pairs; i++)
		if (strcmp(url->pairs[i].key, "volatile") == 0 && strcmp(url->pairs[i].value, "yes") == 0)
			return true;
	return false;
}

static int verb_doctor_store(struct cli *cli, struct output_findings *f)
{
	struct tenure_error error = TENURE_ERROR_INIT;
	struct url url;

	if (url_parse(&url, cli->store_url, &error) != 0)
		return cli_fail(cli, &error);
	if (!registry_find(url.scheme, &error))
		return cli_fail(cli, &error);
	output_finding(f, "store", json_string(url.scheme), "", OUTPUT_OK, "%.300s", cli->store_url);
	if (strcmp(url.scheme, "file") == 0)
		verb_doctor_directory(f, url.path, verb_doctor_is_volatile(&url));
	if (strcmp(url.scheme, "quorum") == 0)
		return doctor_quorum_rows(cli, f, url.path);
	return 0;
}

static bool verb_doctor_is_unsafe(const json_t *rows)
{
	size_t i;
	json_t *row;

	json_array_foreach(rows, i, row) if (strcmp(json_string_value(json_object_get(row, "verdict")), "unsafe") ==
	                                     0) return true;
	return false;
}

static int verb_doctor_run(struct cli *cli, void *options)
{
	struct output_findings f;
	bool unsafe;
	int code;

	(void)options;
	output_findings_init(&f);
	verb_doctor_versions(&f);
	verb_doctor_clocks(&f);
	verb_doctor_proc(&f);
	verb_doctor_containment(&f);
	verb_doctor_watchdog(&f);
	verb_doctor_limits(&f);
	code = verb_doctor_store(cli, &f);
	if (code != 0) {
		json_decref(f.rows);
		return code;
	}
	unsafe = verb_doctor_is_unsafe(f.rows);
	code = output_findings_print(cli, &f);
	return code == 0 && unsafe ? 78 : code;
}

const struct cli_verb verb_doctor = {
	.name = "doctor",
	.arguments = "",
	.summary = "what this host and this store offer: clocks, containment, voters",
	.help = "Looks at what leadership depends on here, changes nothing, and gives each point a verdict: "
	        "\"ok\"; \"weak\", where a promise is smaller than it could be and the detail says why; \"unsafe\", "
	        "where Tenure would refuse to work or could not keep its promise.\n"
	        "\n"
	        "  tenure doctor\n"
	        "  tenure doctor --store quorum://10.0.0.1,10.0.0.2,10.0.0.3\n"
	        "  tenure doctor -o json | jq '.[] | select(.verdict != \"ok\")'\n"
	        "\n"
	        "exit codes: 0 nothing is unsafe; 78 something is; 64 bad usage.",
	.needs = CLI_STORE | CLI_OUTPUT,
	.run = verb_doctor_run,
};
