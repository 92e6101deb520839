/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/demo_net.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

static int demo_net_find_ip(struct demo_net *n)
{
	static const char *const places[] = { "/usr/sbin/ip", "/sbin/ip", "/usr/bin/ip", "/bin/ip" };

	for (size_t i = 0; i < sizeof places / sizeof places[0]; i++)
		if (access(places[i], X_OK) == 0) {
			(void)snprintf(n->ip, sizeof n->ip, "%s", places[i]);
			return 0;
		}
	return cli_fail_code(n->stage->cli, 70,
	                     "the demo cuts a real network, for which it needs ip(8): install iproute2");
}

static int demo_net_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : write(fd, text, strlen(text));

	if (fd >= 0)
		(void)close(fd);
	return n == (ssize_t)strlen(text) ? 0 : -1;
}

/* A user who is not root becomes root of a user namespace first. */
static int demo_net_leave_host(struct demo_net *n)
{
	unsigned uid = (unsigned)geteuid(), gid = (unsigned)getegid();
	char map[32];

	n->user_namespace = uid != 0;
	if (unshare(CLONE_NEWNET | (n->user_namespace ? CLONE_NEWUSER : 0)) != 0)
		return cli_fail_code(n->stage->cli, 70,
		                     "the demo needs a network namespace of its own, and this host gives none%s: %s",
		                     n->user_namespace
		                             ? " to users (sysctl user.max_user_namespaces, or run it as root)"
		                             : "",
		                     strerror(errno));
	if (!n->user_namespace)
		return 0;
	(void)demo_net_write("/proc/self/setgroups", "deny");
	(void)snprintf(map, sizeof map, "0 %u 1", uid);
	if (demo_net_write("/proc/self/uid_map", map) != 0)
		return cli_fail_code(n->stage->cli, 70, "cannot become root of a user namespace: %s", strerror(errno));
	(void)snprintf(map, sizeof map, "0 %u 1", gid);
	(void)demo_net_write("/proc/self/gid_map", map);
	return 0;
}

/* One more namespace: in and out again, with a descriptor of it kept. */
static int demo_net_new_space(struct demo_net *n, size_t i)
{
	int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	bool made = home >= 0 && unshare(CLONE_NEWNET) == 0;

	if (made)
		n->spaces[i] = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (made && setns(home, CLONE_NEWNET) != 0)
		made = false;
	if (home >= 0)
		(void)close(home);
	if (!made || n->spaces[i] < 0)
		return cli_fail_code(n->stage->cli, 70, "cannot make a network namespace: %s", strerror(errno));
	return 0;
}

/* ip -batch in namespace `space` (-1: ours), with the commands of `text`. */
static int demo_net_batch(struct demo_net *n, int space, const char *text)
{
	char path[DEMO_STAGE_PATH_ROOM];
	struct demo_stage_child child;
	FILE *file = fopen(demo_stage_path(n->stage, "net", path), "we");
	bool written = file && fputs(text, file) >= 0;
	int code, ended = -1;

	if (file && fclose(file) != 0)
		written = false;
	if (!written)
		return cli_fail_code(n->stage->cli, 74, "cannot write %s: %s", path, strerror(errno));
	code = demo_stage_start_in(n->stage, &child, "log-net", 0, space,
	                           (const char *const[]) { n->ip, "-batch", path, NULL }, NULL);
	while (code == 0 && (ended = demo_stage_ended(&child)) < 0) {
		int number = demo_stage_pause(n->stage, CLOCK_NS_PER_MS);

		if (number > 0)
			code = 128 + number;
	}
	if (code == 0 && ended != 0) {
		demo_stage_show_log(n->stage, "log-net");
		code = cli_fail_code(n->stage->cli, 70, "cannot lay the demo's network (ip exited with %d)", ended);
	}
	return code;
}

struct demo_net_text {
	char text[1024];
	size_t used;
};

static void demo_net_line(struct demo_net_text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void demo_net_line(struct demo_net_text *t, const char *format, ...)
{
	va_list arguments;
	int n;

	va_start(arguments, format);
	n = vsnprintf(t->text + t->used, sizeof t->text - t->used, format, arguments);
	va_end(arguments);
	if (n > 0 && (size_t)n < sizeof t->text - t->used)
		t->used += (size_t)n;
}

static int demo_net_lay_hub(struct demo_net *n)
{
	struct demo_net_text t = { .used = 0 };

	demo_net_line(&t, "link set lo up\n");
	for (int i = 1; i <= DEMO_NET_VOTERS; i++)
		demo_net_line(&t, "addr add " DEMO_NET_ADDRESS "/32 dev lo\n", i);
	for (size_t i = 0; i < n->n; i++) {
		char cable[16];

		(void)snprintf(cable, sizeof cable, "cable-%c", (char)('a' + (int)i));
		demo_net_line(&t, "link add %s type veth peer name eth0 netns /proc/%ld/fd/%d\n", cable, (long)getpid(),
		              n->spaces[i]);
		demo_net_line(&t, "addr add 10.77.%zu.1/24 dev %s\nlink set %s up\n", i + 1, cable, cable);
	}
	return demo_net_batch(n, -1, t.text);
}

static int demo_net_lay_candidate(struct demo_net *n, size_t i)
{
	struct demo_net_text t = { .used = 0 };

	demo_net_line(&t,
	              "link set lo up\naddr add 10.77.%zu.2/24 dev eth0\nlink set eth0 up\n"
	              "route add default via 10.77.%zu.1\n",
	              i + 1, i + 1);
	return demo_net_batch(n, n->spaces[i], t.text);
}

int demo_net_open(struct demo_net *n, struct demo_stage *stage, size_t n_candidates)
{
	int code;

	*n = (struct demo_net) { .stage = stage, .n = n_candidates };
	for (size_t i = 0; i < DEMO_NET_MAX; i++)
		n->spaces[i] = -1;
	code = demo_net_find_ip(n);
	if (code == 0)
		code = demo_net_leave_host(n);
	for (size_t i = 0; code == 0 && i < n->n; i++)
		code = demo_net_new_space(n, i);
	if (code == 0)
		code = demo_net_lay_hub(n);
	for (size_t i = 0; code == 0 && i < n->n; i++)
		code = demo_net_lay_candidate(n, i);
	return code;
}

void demo_net_close(struct demo_net *n)
{
	for (size_t i = 0; i < n->n; i++)
		if (n->spaces[i] >= 0)
			(void)close(n->spaces[i]);
}

int demo_net_cut(struct demo_net *n, size_t i, bool cut)
{
	struct demo_net_text t = { .used = 0 };

	demo_net_line(&t, "link set cable-%c %s\n", (char)('a' + (int)i), cut ? "down" : "up");
	return demo_net_batch(n, -1, t.text);
}
