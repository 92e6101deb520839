/* SPDX-License-Identifier: Apache-2.0 */
#include "quorum/voter_init.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fs.h"
#include "base/names.h"
#include "base/random.h"
#include "loop/stream.h"
#include "quorum/superblock.h"
#include "quorum/voter_disk.h"

#define VOTER_INIT_PATH_ROOM (PATH_MAX + 128)

struct voter_init_work {
	const struct voter_init *init;
	struct superblock voters[QUORUM_MAX_VOTERS]; /* all but their vid and name the same */
	char temporary[32];                          /* in the directory: ".new-" + 16 hex */
	size_t n_existed;                            /* bytes of the path that were a directory before */
	int dirfd;
	unsigned n_renamed;
};

/* ---- what is asked for ---- */

static int voter_init_check_name(const struct voter_init *init, unsigned i, struct tenure_error *error)
{
	const char *name = init->members[i].name, *fault = names_election_fault(name);

	if (!fault && strlen(name) >= SUPERBLOCK_NAME_ROOM)
		fault = "longer than 64 bytes";
	if (fault)
		return error_set(error, TENURE_EINVAL, 0, "bad voter name '%.80s': %s", name, fault);
	for (unsigned other = 0; other < i; other++) {
		if (strcmp(init->members[other].name, name) == 0)
			return error_set(error, TENURE_EINVAL, 0, "voter '%s' is named twice: each needs its own store",
			                 name);
	}
	return 0;
}

/* As candidates get it: with its port, and meaning one place for all of them. */
static int voter_init_check_address(struct quorum_config *c, const char *address, struct tenure_error *error)
{
	char host[STREAM_ADDRESS_ROOM], *out = c->members[c->n_members].address;
	uint16_t port = 0;
	int n;

	if (!stream_split_address(address, QUORUM_DEFAULT_PORT, host, &port) || port == 0)
		return error_set(error, TENURE_EINVAL, 0, "bad address '%.120s': give HOST:PORT or [V6]:PORT", address);
	if (strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0)
		return error_set(error, TENURE_EINVAL, 0,
		                 "bad address '%.120s': candidates connect to it, so it has to name one host", address);
	n = snprintf(out, QUORUM_ADDRESS_ROOM, strchr(host, ':') ? "[%s]:%u" : "%s:%u", host, (unsigned)port);
	if (n < 0 || n >= QUORUM_ADDRESS_ROOM)
		return error_set(error, TENURE_EINVAL, 0, "bad address '%.120s': too long", address);
	for (unsigned other = 0; other < c->n_members; other++) {
		if (strcmp(c->members[other].address, out) == 0)
			return error_set(error, TENURE_EINVAL, 0,
			                 "address %.120s is given twice: each voter has its own", out);
	}
	c->n_members++;
	return 0;
}

static int voter_init_check_numbers(const struct voter_init *init, struct superblock *s, struct tenure_error *error)
{
	s->epoch = init->epoch;
	s->max_ttl_ms = init->max_ttl_ms ? init->max_ttl_ms : QUORUM_DEFAULT_MAX_TTL_MS;
	s->max_ttl_v_ms = init->max_ttl_v_ms;
	if (s->max_ttl_v_ms == 0)
		s->max_ttl_v_ms = s->max_ttl_ms / 4 < QUORUM_DEFAULT_MAX_TTL_V_MS ? s->max_ttl_ms / 4
		                                                                  : QUORUM_DEFAULT_MAX_TTL_V_MS;
	if (init->n_members == 0 || init->n_members > QUORUM_MAX_VOTERS || init->n_members % 2 == 0)
		return error_set(
		        error, TENURE_EINVAL, 0,
		        "%u voters: give 1, 3, 5, 7 or 9. An even number survives no more losses than one less",
		        init->n_members);
	if (init->epoch > QUORUM_EPOCH_MAX)
		return error_set(error, TENURE_EINVAL, 0, "epoch %u: at most %u", (unsigned)init->epoch,
		                 QUORUM_EPOCH_MAX);
	if (s->max_ttl_ms < QUORUM_MIN_TTL_MS)
		return error_set(error, TENURE_EINVAL, 0, "max-ttl of %" PRIu32 " ms: at least %u ms", s->max_ttl_ms,
		                 QUORUM_MIN_TTL_MS);
	if (s->max_ttl_v_ms > s->max_ttl_ms / 4)
		return error_set(error, TENURE_EINVAL, 0,
		                 "max-ttl-v of %" PRIu32 " ms: at most a quarter of max-ttl, %" PRIu32
		                 " ms, or leaders are lost when voters restart",
		                 s->max_ttl_v_ms, s->max_ttl_ms / 4);
	return 0;
}

/* The superblocks, complete. */
static int voter_init_plan(struct voter_init_work *w, struct tenure_error *error)
{
	const struct voter_init *init = w->init;
	struct superblock *first = &w->voters[0];
	int code = voter_init_check_numbers(init, first, error);

	for (unsigned i = 0; code == 0 && i < init->n_members; i++) {
		code = voter_init_check_name(init, i, error);
		if (code == 0)
			code = voter_init_check_address(&first->config, init->members[i].address, error);
		if (code == 0 && random_bytes(first->config.members[i].vid.bytes, 16) != 0)
			code = error_set(error, TENURE_EINTERNAL, 0, "the kernel gives no random bytes");
	}
	if (code == 0 && random_bytes(first->cluster.bytes, 16) != 0)
		code = error_set(error, TENURE_EINTERNAL, 0, "the kernel gives no random bytes");
	if (code != 0)
		return code;
	/* 12.1: nothing was granted under these vids, so all begin at the bottom, without a hold. */
	first->config.cver = 1;
	first->ceiling = QUORUM_STEP;
	for (unsigned i = 0; i < init->n_members; i++) {
		w->voters[i] = *first;
		w->voters[i].vid = first->config.members[i].vid;
		memcpy(w->voters[i].name, init->members[i].name, strlen(init->members[i].name) + 1);
	}
	return 0;
}

/* ---- making ---- */

/* How much of the path is a directory already: what lies beyond is removed again after a failure. */
static size_t voter_init_existing(const char *path)
{
	char at[PATH_MAX];
	size_t n = strlen(path);
	struct stat info;

	if (n >= sizeof at)
		return n;
	memcpy(at, path, n + 1);
	while (n > 0 && stat(at, &info) != 0) {
		while (n > 0 && at[n - 1] == '/')
			n--;
		while (n > 0 && at[n - 1] != '/')
			n--;
		at[n] = '\0';
	}
	return n;
}

/* A directory with nothing in it: rename() replaces it. */
static bool voter_init_empty(int dirfd, const char *name)
{
	int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *directory = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;
	bool empty = true;

	if (!directory) {
		if (fd >= 0)
			(void)close(fd);
		return false;
	}
	while (empty && (entry = readdir(directory)) != NULL)
		empty = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
	(void)closedir(directory);
	return empty;
}

static int voter_init_check_free(const struct voter_init_work *w, struct tenure_error *error)
{
	for (unsigned i = 0; i < w->init->n_members; i++) {
		const char *name = w->init->members[i].name;
		struct stat info;

		if (fstatat(w->dirfd, name, &info, AT_SYMLINK_NOFOLLOW) != 0 && errno == ENOENT)
			continue;
		if (voter_init_empty(w->dirfd, name))
			continue;
		return error_set(
		        error, TENURE_EEXIST, 0,
		        "%.100s/%s exists: a store is never overwritten. Choose another directory, or, where an "
		        "init was interrupted (a .new-... is left), remove both",
		        w->init->directory, name);
	}
	return 0;
}

static int voter_init_fault(const struct voter_init_work *w, const char *what, int os_errno, struct tenure_error *error)
{
	return error_set(error, error_code_of_errno(os_errno), os_errno, "cannot %s in %.150s", what,
	                 w->init->directory);
}

static int voter_init_make_one(const struct voter_init_work *w, unsigned i, struct tenure_error *error)
{
	char path[VOTER_INIT_PATH_ROOM];

	(void)snprintf(path, sizeof path, "%s/%s/%s", w->init->directory, w->temporary, w->voters[i].name);
	if (mkdirat(w->dirfd, path + strlen(w->init->directory) + 1, 0700) != 0)
		return voter_init_fault(w, "make a directory", errno, error);
	return voter_disk_make(path, &w->voters[i], error);
}

static int voter_init_sync(int dirfd, const char *name)
{
	int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC), result, saved;

	if (fd < 0)
		return -1;
	result = fsync(fd);
	saved = errno;
	(void)close(fd);
	errno = saved;
	return result;
}

/* All stores whole and durable under a name of their own, then each under its real one: rename() never replaces one. */
static int voter_init_make(struct voter_init_work *w, struct tenure_error *error)
{
	uint64_t random;
	int code = 0;

	if (random_u64(&random) != 0)
		return error_set(error, TENURE_EINTERNAL, 0, "the kernel gives no random bytes");
	(void)snprintf(w->temporary, sizeof w->temporary, ".new-%016" PRIx64, random);
	if (mkdirat(w->dirfd, w->temporary, 0700) != 0)
		return voter_init_fault(w, "make a directory", errno, error);
	for (unsigned i = 0; code == 0 && i < w->init->n_members; i++)
		code = voter_init_make_one(w, i, error);
	if (code == 0 && voter_init_sync(w->dirfd, w->temporary) != 0)
		code = voter_init_fault(w, "make the stores durable", errno, error);
	while (code == 0 && w->n_renamed < w->init->n_members) {
		char from[sizeof w->temporary + SUPERBLOCK_NAME_ROOM];
		const char *name = w->voters[w->n_renamed].name;

		(void)snprintf(from, sizeof from, "%s/%s", w->temporary, name);
		if (renameat(w->dirfd, from, w->dirfd, name) != 0)
			code = voter_init_fault(w, "give the stores their names", errno, error);
		else
			w->n_renamed++;
	}
	if (code == 0 && fsync(w->dirfd) != 0)
		code = voter_init_fault(w, "make the stores durable", errno, error);
	return code;
}

/* A store that was just made: nobody has begun a run of it. */
static void voter_init_remove_store(int dirfd, const char *name)
{
	static const char *const files[] = { "superblock", "superblock.new", "place", "place.new", "lock", "lock.new" };
	int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return;
	for (unsigned i = 0; i < sizeof files / sizeof files[0]; i++)
		(void)unlinkat(fd, files[i], 0);
	(void)close(fd);
	(void)unlinkat(dirfd, name, AT_REMOVEDIR);
}

/* The directories that were made for this, from the last one up. */
static void voter_init_remove_directories(const struct voter_init_work *w)
{
	char at[PATH_MAX];
	size_t n = strlen(w->init->directory);

	if (n >= sizeof at)
		return;
	memcpy(at, w->init->directory, n + 1);
	while (n > w->n_existed && rmdir(at) == 0) {
		while (n > 0 && at[n - 1] == '/')
			n--;
		while (n > 0 && at[n - 1] != '/')
			n--;
		at[n] = '\0';
	}
}

static void voter_init_undo(const struct voter_init_work *w)
{
	if (w->temporary[0]) {
		for (unsigned i = 0; i < w->n_renamed; i++)
			voter_init_remove_store(w->dirfd, w->voters[i].name);
		for (unsigned i = w->n_renamed; i < w->init->n_members; i++) {
			char name[sizeof w->temporary + SUPERBLOCK_NAME_ROOM];

			(void)snprintf(name, sizeof name, "%s/%s", w->temporary, w->voters[i].name);
			voter_init_remove_store(w->dirfd, name);
		}
		(void)unlinkat(w->dirfd, w->temporary, AT_REMOVEDIR);
	}
	voter_init_remove_directories(w);
}

static int voter_init_run(struct voter_init_work *w, struct tenure_error *error)
{
	const char *directory = w->init->directory;
	int code = voter_init_plan(w, error);

	if (code == 0)
		code = fs_check_local(directory, w->init->allow_memory, error);
	if (code != 0)
		return code;
	w->n_existed = voter_init_existing(directory);
	code = fs_make_directories(directory, 0755, error);
	if (code == 0) {
		w->dirfd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (w->dirfd < 0)
			code = voter_init_fault(w, "open a directory", errno, error);
	}
	if (code == 0)
		code = voter_init_check_free(w, error);
	if (code == 0)
		code = voter_init_make(w, error);
	if (code != 0) {
		voter_init_undo(w);
		return code;
	}
	/* An empty directory that stays behind is no harm. */
	(void)unlinkat(w->dirfd, w->temporary, AT_REMOVEDIR);
	return 0;
}

int voter_init(const struct voter_init *init, struct quorum_id *cluster, struct tenure_error *error)
{
	struct voter_init_work *w = calloc(1, sizeof *w);
	int code;

	if (!w)
		return error_set(error, TENURE_ENOMEM, 0, "no memory for the stores of a cluster");
	w->init = init;
	w->dirfd = -1;
	code = voter_init_run(w, error);
	if (code == 0 && cluster)
		*cluster = w->voters[0].cluster;
	if (w->dirfd >= 0)
		(void)close(w->dirfd);
	free(w);
	return code;
}
