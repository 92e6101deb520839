/* SPDX-License-Identifier: Apache-2.0 */
/* What containment this host allows, found by trying. */
#include "supervisor/supervisor.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "supervisor/containment.h"

/* Makes an init of the kernel level that leaves at once. 0, or errno. */
static int probe_kernel(struct tenure_error *error)
{
	struct containment c;
	int status = 0;
	pid_t pid = containment_fork(&c, SUPERVISOR_KERNEL, error);
	if (pid == 0) {
		struct tenure_error own = TENURE_ERROR_INIT;
		_exit(containment_settle(&c, &own) == 0 ? 0 : 1 + (own.os_errno & 127) % 127);
	}
	if (pid < 0)
		return error->os_errno != 0 ? error->os_errno : EPERM;
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (status == 0)
		return 0;
	return WIFEXITED(status) ? WEXITSTATUS(status) - 1 : EPERM;
}

enum supervisor_containment supervisor_best_containment(bool no_pid_namespace, char *why, size_t room)
{
	struct tenure_error error = TENURE_ERROR_INIT;
	char cgroup[CGROUP_PATH_ROOM];
	why[0] = '\0';
	int failed = no_pid_namespace ? 0 : probe_kernel(&error);
	if (!no_pid_namespace && failed == 0)
		return SUPERVISOR_KERNEL;
	int n = no_pid_namespace
	                ? snprintf(why, room, "--no-pid-namespace was given")
	                : snprintf(why, room, "no PID namespace with a /proc of its own: %s", strerror(failed));
	if (cgroup_make(cgroup, &error) == 0) {
		cgroup_remove(cgroup);
		return SUPERVISOR_CGROUP;
	}
	if (n > 0 && (size_t)n < room)
		(void)snprintf(why + n, room - (size_t)n, "; %s", error.message);
	return SUPERVISOR_WEAK;
}
