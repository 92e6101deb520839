/* SPDX-License-Identifier: Apache-2.0 */
#include "quorum_kit.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

/* Of conformance tests: renewals are tested all the same, and nobody waits long for a killed leader's lease. */
#define CLUSTER_FIXTURE_MAX_TTL "2s"

static const char *cluster_tool(void)
{
	const char *path = getenv("TENURE_BIN");

	if (!path)
		fail_msg("TENURE_BIN is not set: run this by 'meson test'");
	return path;
}

static int cluster_socket(uint16_t port, struct sockaddr_in *address)
{
	*address = (struct sockaddr_in) { .sin_family = AF_INET,
		                          .sin_port = htons(port),
		                          .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

/* All at once, so that they differ. */
static void cluster_pick_ports(struct cluster *c)
{
	int fds[CLUSTER_MAX_VOTERS];

	for (unsigned i = 0; i < c->n; i++) {
		struct sockaddr_in address;
		socklen_t length = sizeof address;

		fds[i] = cluster_socket(0, &address);
		assert_true(fds[i] >= 0);
		assert_int_equal(bind(fds[i], (struct sockaddr *)&address, sizeof address), 0);
		assert_int_equal(getsockname(fds[i], (struct sockaddr *)&address, &length), 0);
		c->ports[i] = ntohs(address.sin_port);
	}
	for (unsigned i = 0; i < c->n; i++)
		(void)close(fds[i]);
}

const char *cluster_address(const struct cluster *c, unsigned voter, char out[64])
{
	(void)snprintf(out, 64, "127.0.0.1:%u", c->ports[voter]);
	return out;
}

static pid_t cluster_execute(const struct cluster *c, const char *log, char *const argv[])
{
	char path[FIXTURE_URL_ROOM + 64];
	pid_t parent = getpid(), pid = fork();
	int fd;

	assert_true(pid >= 0);
	if (pid > 0)
		return pid;
	(void)snprintf(path, sizeof path, "%s/%s.log", c->directory, log);
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (fd < 0 || dup2(fd, 1) != 1 || dup2(fd, 2) != 2 || prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 ||
	    getppid() != parent)
		_exit(126);
	if (argv[0])
		(void)execv(argv[0], argv);
	_exit(127);
}

static void cluster_show_log(const struct cluster *c, const char *log)
{
	char path[FIXTURE_URL_ROOM + 64], line[512];
	FILE *file;

	(void)snprintf(path, sizeof path, "%s/%s.log", c->directory, log);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof line, file))
		(void)fprintf(stderr, "# %s: %s", log, line);
	if (file)
		(void)fclose(file);
}

static void cluster_init(struct cluster *c, const char *max_ttl)
{
	char members[CLUSTER_MAX_VOTERS][80], stores[FIXTURE_URL_ROOM + 16];
	char *argv[8 + CLUSTER_MAX_VOTERS] = { (char *)(uintptr_t)cluster_tool(),
		                               (char *)(uintptr_t) "server",
		                               (char *)(uintptr_t) "init",
		                               (char *)(uintptr_t) "--dir",
		                               stores,
		                               (char *)(uintptr_t) "--max-ttl",
		                               (char *)(uintptr_t)max_ttl };
	int status;

	(void)snprintf(stores, sizeof stores, "%s", c->directory);
	for (unsigned i = 0; i < c->n; i++) {
		(void)snprintf(members[i], sizeof members[i], "v%u=127.0.0.1:%u", i + 1, c->ports[i]);
		argv[7 + i] = members[i];
	}
	assert_int_equal(waitpid(cluster_execute(c, "init", argv), &status, 0) > 0, 1);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
		cluster_show_log(c, "init");
		fail_msg("'tenure server init' ended with %d", WEXITSTATUS(status));
	}
}

static bool cluster_listens(const struct cluster *c, unsigned voter)
{
	struct sockaddr_in address;
	int fd = cluster_socket(c->ports[voter], &address);
	bool answers = fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0;

	if (fd >= 0)
		(void)close(fd);
	return answers;
}

static void cluster_await(struct cluster *c, unsigned voter)
{
	uint64_t end = now_ns() + GENEROUS;
	struct timespec moment = { .tv_nsec = 1000000 };
	char name[8];
	int status;

	while (!cluster_listens(c, voter)) {
		bool ended = waitpid(c->pids[voter], &status, WNOHANG) != 0;

		if (ended || now_ns() > end) {
			(void)snprintf(name, sizeof name, "v%u", voter + 1);
			cluster_show_log(c, name);
			fail_msg("voter %s %s", name, ended ? "ended" : "does not listen");
		}
		(void)nanosleep(&moment, NULL);
	}
}

static void cluster_execute_voter(struct cluster *c, unsigned voter)
{
	char store[FIXTURE_URL_ROOM + 16], name[8];
	char *argv[] = { (char *)(uintptr_t)cluster_tool(), (char *)(uintptr_t) "server", (char *)(uintptr_t) "--data",
		         store, NULL };

	(void)snprintf(name, sizeof name, "v%u", voter + 1);
	(void)snprintf(store, sizeof store, "%s/%s", c->directory, name);
	assert_int_equal(c->pids[voter], 0);
	c->pids[voter] = cluster_execute(c, name, argv);
}

void cluster_start(struct cluster *c, unsigned voter)
{
	cluster_execute_voter(c, voter);
	cluster_await(c, voter);
}

struct cluster *cluster_new(unsigned n_voters, const char *max_ttl)
{
	struct cluster *c = calloc(1, sizeof *c);
	size_t used;

	assert_non_null(c);
	c->n = n_voters;
	fixture_directory(c->directory);
	cluster_pick_ports(c);
	cluster_init(c, max_ttl);
	for (unsigned i = 0; i < n_voters; i++)
		cluster_execute_voter(c, i);
	used = (size_t)snprintf(c->url, sizeof c->url, "quorum://");
	for (unsigned i = 0; i < n_voters; i++) {
		cluster_await(c, i);
		used += (size_t)snprintf(c->url + used, sizeof c->url - used, "%s127.0.0.1:%u", i > 0 ? "," : "",
		                         c->ports[i]);
	}
	return c;
}

void cluster_signal(const struct cluster *c, unsigned voter, int number)
{
	assert_true(c->pids[voter] > 0);
	assert_int_equal(kill(c->pids[voter], number), 0);
}

static int cluster_reap(struct cluster *c, unsigned voter)
{
	int status = 0;

	assert_int_equal(waitpid(c->pids[voter], &status, 0), c->pids[voter]);
	c->pids[voter] = 0;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

void cluster_kill(struct cluster *c, unsigned voter)
{
	cluster_signal(c, voter, SIGKILL);
	(void)cluster_reap(c, voter);
}

int cluster_stop(struct cluster *c, unsigned voter)
{
	cluster_signal(c, voter, SIGTERM);
	return cluster_reap(c, voter);
}

void cluster_free(struct cluster *c)
{
	for (unsigned i = 0; i < c->n; i++)
		if (c->pids[i] > 0)
			(void)kill(c->pids[i], SIGKILL);
	for (unsigned i = 0; i < c->n; i++)
		if (c->pids[i] > 0)
			(void)waitpid(c->pids[i], NULL, 0);
	fixture_remove(c->directory);
	free(c);
}

/* ---- a row of fixture.c ---- */

static struct cluster *cluster_of_fixture;

void cluster_fixture_url(char url[FIXTURE_URL_ROOM])
{
	cluster_of_fixture = cluster_new(3, CLUSTER_FIXTURE_MAX_TTL);
	memcpy(url, cluster_of_fixture->url, FIXTURE_URL_ROOM);
}

void cluster_fixture_gone(const char *url)
{
	(void)url; /* one at a time */
	cluster_free(cluster_of_fixture);
	cluster_of_fixture = NULL;
}
