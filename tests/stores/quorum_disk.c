/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A voter's store on disk, and the making of a cluster's: killed and failing at every system call, cut and damaged at
 * every offset, copied, moved, put back. Run with arguments this program is what gets killed:
 *
 *	quorum_disk init DIR    makes the stores of v1, v2, v3
 *	quorum_disk run STORE   one run: two writes, and a clean stop; says on stdout what was acknowledged
 *	quorum_disk hold STORE  a run that goes on until its standard input ends
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "quorum/bytes.h"
#include "quorum/superblock.h"
#include "quorum/voter_disk.h"
#include "quorum/voter_init.h"

#define ROOM 512

static const struct voter_init_member three[] = { { "v1", "127.0.0.1:7421" },
	                                          { "v2", "127.0.0.1:7422" },
	                                          { "v3", "[::1]:7423" } };

/* ---- the program that is killed ---- */

static void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void say(const char *format, ...)
{
	char line[ROOM];
	va_list list;
	int n;

	va_start(list, format);
	n = vsnprintf(line, sizeof line, format, list);
	va_end(list);
	if (write(1, line, (size_t)n) != n)
		_exit(9);
}

static int tool_init(const char *directory)
{
	struct voter_init init = { .directory = directory, .members = three, .n_members = 3 };
	struct tenure_error error = TENURE_ERROR_INIT;

	if (voter_init(&init, NULL, &error) != 0) {
		say("error %s\n", error.message);
		return 1;
	}
	say("made\n");
	return 0;
}

static int tool_fail(const char *what, const struct tenure_error *error)
{
	say("%s %s\n", what, error->message);
	return 1;
}

static int tool_run(const char *store)
{
	struct tenure_error error = TENURE_ERROR_INIT, again = TENURE_ERROR_INIT;
	static struct superblock s;
	struct voter_disk *d;

	if (voter_disk_open(&d, store, false, &error) != 0)
		return tool_fail("refused", &error);
	say("run %u\n", voter_disk_superblock(d)->run);
	for (unsigned i = 0; i < 2; i++) {
		s = *voter_disk_superblock(d);
		s.ceiling += QUORUM_STEP;
		if (voter_disk_write(d, &s, &error) != 0) {
			(void)tool_fail("broken", &error);
			/* Final: neither a write nor a clean stop works any more. */
			if (voter_disk_write(d, &s, &again) != 0)
				(void)tool_fail("again", &again);
			if (voter_disk_finish(d, (const uint8_t *)"snap", 4, &again) != 0)
				(void)tool_fail("again", &again);
			voter_disk_close(d);
			return 1;
		}
		say("ceiling %" PRIu64 "\n", s.ceiling);
	}
	if (voter_disk_finish(d, (const uint8_t *)"snap", 4, &error) != 0)
		(void)tool_fail("unclean", &error);
	else
		say("finished\n");
	voter_disk_close(d);
	return 0;
}

static int tool_hold(const char *store)
{
	struct tenure_error error = TENURE_ERROR_INIT;
	struct voter_disk *d;
	char byte;

	if (voter_disk_open(&d, store, false, &error) != 0)
		return tool_fail("refused", &error);
	say("held\n");
	while (read(0, &byte, 1) > 0)
		;
	voter_disk_close(d);
	return 0;
}

/* ---- help ---- */

struct place {
	char root[ROOM / 4], cluster[ROOM / 2], v1[ROOM / 2], said[ROOM / 2];
};

static int shell(const char *format, ...) __attribute__((format(printf, 1, 2)));

static int shell(const char *format, ...)
{
	char command[4 * ROOM];
	va_list list;
	int status;
	pid_t pid;

	va_start(list, format);
	(void)vsnprintf(command, sizeof command, format, list);
	va_end(list);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		(void)execl("/bin/sh", "sh", "-c", command, NULL);
		_exit(127);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void make_cluster(const struct place *p)
{
	struct voter_init init = { .directory = p->cluster, .members = three, .n_members = 3, .allow_memory = true };
	struct tenure_error error = TENURE_ERROR_INIT;

	if (voter_init(&init, NULL, &error) != 0)
		fail_msg("%s", error.message);
}

static int set_up(void **state)
{
	struct place *p = calloc(1, sizeof *p);

	if (!p)
		return -1;
	(void)snprintf(p->root, sizeof p->root, "%s/tenure-disk-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	if (!mkdtemp(p->root))
		return -1;
	(void)snprintf(p->cluster, sizeof p->cluster, "%s/c", p->root);
	(void)snprintf(p->v1, sizeof p->v1, "%s/c/v1", p->root);
	(void)snprintf(p->said, sizeof p->said, "%s/said", p->root);
	*state = p;
	return 0;
}

static int tear_down(void **state)
{
	struct place *p = *state;
	int code = shell("rm -rf %s", p->root);

	free(p);
	return code;
}

static size_t get(const char *directory, const char *name, void *bytes, size_t room)
{
	char path[2 * ROOM];
	ssize_t n;
	int fd;

	(void)snprintf(path, sizeof path, "%s/%s", directory, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	n = read(fd, bytes, room);
	assert_true(n >= 0);
	(void)close(fd);
	return (size_t)n;
}

static void put(const char *directory, const char *name, const void *bytes, size_t n)
{
	char path[2 * ROOM];
	int fd;

	(void)snprintf(path, sizeof path, "%s/%s", directory, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, n), n);
	(void)close(fd);
}

static bool exists(const char *directory, const char *name)
{
	char path[2 * ROOM];
	struct stat info;

	(void)snprintf(path, sizeof path, "%s/%s", directory, name);
	return lstat(path, &info) == 0;
}

/* Entries, the hidden ones too; -1: no directory. */
static int count(const char *directory)
{
	DIR *d = opendir(directory);
	int n = 0;

	if (!d)
		return -1;
	while (readdir(d))
		n++;
	(void)closedir(d);
	return n - 2;
}

static struct voter_disk *opened(const char *store)
{
	struct tenure_error error = TENURE_ERROR_INIT;
	struct voter_disk *d = NULL;

	if (voter_disk_open(&d, store, true, &error) != 0)
		fail_msg("refused: %s", error.message);
	return d;
}

static void refuses(const char *store, int code, const char *words)
{
	struct tenure_error error = TENURE_ERROR_INIT;
	struct voter_disk *d = NULL;
	int got = voter_disk_open(&d, store, true, &error);

	if (got != code || !strstr(error.message, words) || !strstr(error.message, store))
		fail_msg("%d (not %d): \"%s\" lacks \"%s\"", got, code, error.message, words);
	assert_null(d);
	assert_int_equal(voter_disk_open(&d, store, true, NULL), code);
}

static enum voter_start start_of(const struct voter_disk *d)
{
	const char *why;
	enum voter_start start = voter_disk_start(d, &why);

	assert_null(why);
	return start;
}

static void write_ceiling(struct voter_disk *d, uint64_t ceiling)
{
	struct superblock s = *voter_disk_superblock(d);

	s.ceiling = ceiling;
	assert_int_equal(voter_disk_write(d, &s, NULL), 0);
	assert_int_equal(voter_disk_superblock(d)->ceiling, ceiling);
}

static struct superblock looked(const char *store)
{
	struct tenure_error error = TENURE_ERROR_INIT;
	struct superblock s;

	if (voter_disk_look(&s, store, &error) != 0)
		fail_msg("refused: %s", error.message);
	return s;
}

/* ---- making a cluster ---- */

static void the_stores_of_a_new_cluster_agree_and_each_may_vote_at_once(void **state)
{
	const struct place *p = *state;
	struct voter_init init = { p->cluster, 7, 4000, 0, three, 3, false };
	static struct superblock s[3];
	struct quorum_id cluster;

	assert_int_equal(voter_init(&init, &cluster, NULL), 0);
	assert_int_equal(count(p->cluster), 3);
	for (unsigned i = 0; i < 3; i++) {
		char store[ROOM];
		struct voter_disk *d;

		(void)snprintf(store, sizeof store, "%s/%s", p->cluster, three[i].name);
		s[i] = looked(store);
		assert_string_equal(s[i].name, three[i].name);
		assert_true(quorum_id_equal(&s[i].cluster, &cluster) && !quorum_id_is_none(&cluster));
		assert_int_equal(quorum_config_find(&s[i].config, &s[i].vid), i);
		assert_true(s[i].epoch == 7 && s[i].max_ttl_ms == 4000 && s[i].max_ttl_v_ms == 1000 && s[i].run == 0);
		assert_true(s[i].ceiling == QUORUM_STEP && s[i].config.cver == 1 && s[i].config.floor == 0);
		assert_true(s[i].config.n_members == 3 && s[i].config.n_next == 0 && !s[i].joined);
		assert_memory_equal(&s[i].config, &s[0].config, sizeof s[0].config);
		assert_string_equal(s[i].config.members[i].address, three[i].address);
		d = opened(store);
		assert_int_equal(start_of(d), VOTER_FIRST);
		assert_int_equal(voter_disk_superblock(d)->run, 1);
		voter_disk_close(d);
	}
}

static void what_makes_no_cluster_is_refused_and_leaves_nothing(void **state)
{
	static const struct {
		const char *words;
		unsigned n, epoch;
		uint32_t ttl, ttl_v;
		struct voter_init_member m[10];
	} bad[] = {
		{ "1, 3, 5, 7 or 9", 0, 0, 0, 0, { { "v1", "h:1" } } },
		{ "1, 3, 5, 7 or 9", 2, 0, 0, 0, { { "v1", "h:1" }, { "v2", "h:2" } } },
		{ "1, 3, 5, 7 or 9", 10, 0, 0, 0, { { "v1", "h:1" } } },
		{ "1, 3, 5, 7 or 9", 11, 0, 0, 0, { { "v1", "h:1" } } },
		{ "epoch 32768", 1, 32768, 0, 0, { { "v1", "h:1" } } },
		{ "max-ttl", 1, 0, 199, 0, { { "v1", "h:1" } } },
		{ "a quarter of max-ttl, 250 ms", 1, 0, 1000, 251, { { "v1", "h:1" } } },
		{ "named twice", 3, 0, 0, 0, { { "v1", "h:1" }, { "v2", "h:2" }, { "v1", "h:3" } } },
		{ "given twice", 3, 0, 0, 0, { { "v1", "h:1" }, { "v2", "h" }, { "v3", "h:7420" } } },
		{ "HOST:PORT", 1, 0, 0, 0, { { "v1", "" } } },
		{ "HOST:PORT", 1, 0, 0, 0, { { "v1", "h:0" } } },
		{ "HOST:PORT", 1, 0, 0, 0, { { "v1", "h:65536" } } },
		{ "HOST:PORT", 1, 0, 0, 0, { { "v1", "h h:1" } } },
		{ "has to name one host", 1, 0, 0, 0, { { "v1", "0.0.0.0:1" } } },
		{ "has to name one host", 1, 0, 0, 0, { { "v1", "[::]:1" } } },
		{ "bad voter name", 1, 0, 0, 0, { { "", "h:1" } } },
		{ "bad voter name", 1, 0, 0, 0, { { "../v1", "h:1" } } },
		{ "bad voter name", 1, 0, 0, 0, { { ".new-1", "h:1" } } },
		{ "longer than 64 bytes",
		  1,
		  0,
		  0,
		  0,
		  { { "v1234567890123456789012345678901234567890123456789012345678901234", "h:1" } } },
	};
	const struct place *p = *state;

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct voter_init init = {
			p->cluster, (uint16_t)bad[i].epoch, bad[i].ttl, bad[i].ttl_v, bad[i].m, bad[i].n, true
		};
		struct tenure_error error = TENURE_ERROR_INIT;

		if (voter_init(&init, NULL, &error) != TENURE_EINVAL || !strstr(error.message, bad[i].words))
			fail_msg("%zu: \"%s\" lacks \"%s\"", i, error.message, bad[i].words);
		assert_int_equal(count(p->cluster), -1);
	}
}

static void a_store_is_never_overwritten(void **state)
{
	const struct place *p = *state;
	struct voter_init init = { .directory = p->cluster, .members = three, .n_members = 3 };
	struct tenure_error error = TENURE_ERROR_INIT;
	char bytes[16];

	/* A directory with something in it; a file; a link to nowhere. */
	assert_int_equal(shell("mkdir -p %s/v2 && echo mine >%s/v2/file", p->cluster, p->cluster), 0);
	assert_int_equal(voter_init(&init, NULL, &error), TENURE_EEXIST);
	assert_non_null(strstr(error.message, "/v2 exists: a store is never overwritten"));
	assert_int_equal(count(p->cluster), 1);
	assert_int_equal(shell("rm -r %s/v2 && echo mine >%s/v2", p->cluster, p->cluster), 0);
	assert_int_equal(voter_init(&init, NULL, &error), TENURE_EEXIST);
	assert_int_equal(get(p->cluster, "v2", bytes, sizeof bytes), 5);
	assert_int_equal(shell("rm %s/v2 && ln -s nowhere %s/v3", p->cluster, p->cluster), 0);
	assert_int_equal(voter_init(&init, NULL, &error), TENURE_EEXIST);
	assert_int_equal(count(p->cluster), 1);
	/* Empty ones may be there: a mount point's, or one that was made for its owner. */
	assert_int_equal(shell("rm %s/v3 && mkdir %s/v1", p->cluster, p->cluster), 0);
	assert_int_equal(voter_init(&init, NULL, &error), 0);
	assert_int_equal(count(p->cluster), 3);
	assert_int_equal(voter_init(&init, NULL, &error), TENURE_EEXIST);
	assert_int_equal(looked(p->v1).run, 0);
}

/* Runs this program under killat; true: it was killed, or something failed. */
static bool under_killat(const struct place *p, const char *options, const char *mode, const char *directory)
{
	char text[64] = "", own[ROOM];
	ssize_t n = readlink("/proc/self/exe", own, sizeof own - 1);

	assert_true(n > 0);
	own[n] = '\0';
	(void)shell("exec %s -o %s/result %s -- %s %s %s >%s", getenv("KILLAT"), p->root, options, own, mode, directory,
	            p->said);
	(void)get(p->root, "result", text, sizeof text - 1);
	return strstr(text, "ended") == NULL;
}

static void an_init_that_fails_at_any_call_leaves_nothing(void **state)
{
	static const char *const calls[] = { "mkdir", "mkdirat", "openat", "write", "pwrite64", "fsync", "renameat" };
	const struct place *p = *state;
	unsigned n_failed = 0;
	char options[64], said[ROOM];

	for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
		bool failed = true;

		for (unsigned nth = 1; failed; nth++) {
			(void)snprintf(options, sizeof options, "--fail %s:ENOSPC --nth %u", calls[i], nth);
			failed = under_killat(p, options, "init", p->cluster);
			memset(said, 0, sizeof said);
			(void)get(p->root, "said", said, sizeof said - 1);
			if (strncmp(said, "made", 4) == 0) {
				assert_int_equal(count(p->cluster), 3);
				assert_int_equal(shell("rm -r %s", p->cluster), 0);
				continue;
			}
			/* Nothing is said where the loader failed, or the saying. */
			if (strncmp(said, "error", 5) == 0)
				n_failed++;
			else if (count(p->cluster) == 3)
				assert_int_equal(shell("rm -r %s", p->cluster), 0);
			if (count(p->cluster) != -1)
				fail_msg("%s: something stayed behind: %s", options, said);
		}
	}
	assert_true(n_failed >= 25);
}

static void an_init_that_is_killed_anywhere_leaves_whole_stores_or_none(void **state)
{
	const struct place *p = *state;
	unsigned n_none = 0, n_some = 0, n_all = 0;
	bool killed = true;

	for (unsigned n = 1; killed; n += 2) {
		struct voter_init init = { .directory = p->cluster, .members = three, .n_members = 3 };
		unsigned n_stores = 0;
		char options[32];
		int code;

		(void)snprintf(options, sizeof options, "%u", n);
		killed = under_killat(p, options, "init", p->cluster);
		for (unsigned i = 0; i < 3; i++) {
			char store[ROOM];

			(void)snprintf(store, sizeof store, "%s/%s", p->cluster, three[i].name);
			if (!exists(p->cluster, three[i].name))
				continue;
			assert_int_equal(looked(store).ceiling, QUORUM_STEP);
			voter_disk_close(opened(store));
			n_stores++;
		}
		/* The next one makes all of them, or names what is in its way. */
		code = voter_init(&init, NULL, NULL);
		assert_int_equal(code, n_stores ? TENURE_EEXIST : 0);
		n_none += n_stores == 0;
		n_some += n_stores > 0 && n_stores < 3;
		n_all += n_stores == 3;
		assert_int_equal(shell("rm -rf %s", p->cluster), 0);
	}
	assert_true(n_none > 30 && n_some >= 2 && n_all >= 2);
}

/* ---- runs ---- */

static void each_run_has_a_higher_number_and_a_clean_stop_serves_one_start(void **state)
{
	const struct place *p = *state;
	struct voter_disk *d;
	size_t n;

	make_cluster(p);
	d = opened(p->v1);
	assert_int_equal(start_of(d), VOTER_FIRST);
	assert_null(voter_disk_snapshot(d, &n));
	write_ceiling(d, 77 * QUORUM_STEP);
	assert_int_equal(voter_disk_finish(d, (const uint8_t *)"what was", 8, NULL), 0);
	voter_disk_close(d);
	d = opened(p->v1);
	assert_int_equal(start_of(d), VOTER_CLEAN);
	assert_int_equal(voter_disk_superblock(d)->run, 2);
	assert_int_equal(voter_disk_superblock(d)->ceiling, 77 * QUORUM_STEP);
	assert_memory_equal(voter_disk_snapshot(d, &n), "what was", 8);
	assert_int_equal(n, 8);
	voter_disk_forget_snapshot(d);
	assert_null(voter_disk_snapshot(d, &n));
	assert_false(exists(p->v1, "snapshot"));
	/* Even where the file comes back from somewhere. */
	put(p->v1, "snapshot", "what was", 8);
	voter_disk_close(d);
	d = opened(p->v1);
	assert_int_equal(start_of(d), VOTER_UNCLEAN);
	assert_int_equal(voter_disk_superblock(d)->run, 3);
	assert_int_equal(voter_disk_superblock(d)->ceiling, 77 * QUORUM_STEP);
	voter_disk_close(d);
}

static void a_snapshot_that_cannot_be_read_makes_the_start_an_unclean_one_that_says_why(void **state)
{
	static const char *const ways[] = { "rm snapshot", ": >snapshot", "rm snapshot && mkdir snapshot" };
	const struct place *p = *state;
	struct voter_disk *d;

	make_cluster(p);
	for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
		const char *why;
		size_t n;

		d = opened(p->v1);
		assert_int_equal(voter_disk_finish(d, (const uint8_t *)"snap", 4, NULL), 0);
		voter_disk_close(d);
		assert_int_equal(shell("cd %s && %s", p->v1, ways[i]), 0);
		d = opened(p->v1);
		assert_int_equal(voter_disk_start(d, &why), VOTER_UNCLEAN);
		assert_non_null(strstr(why, "snapshot"));
		assert_null(voter_disk_snapshot(d, &n));
		voter_disk_close(d);
		assert_int_equal(shell("rm -rf %s/snapshot", p->v1), 0);
	}
}

static void a_store_that_joined_later_begins_with_a_hold_and_runs_are_counted_to_their_end(void **state)
{
	const struct place *p = *state;
	struct superblock s;
	struct voter_disk *d;

	make_cluster(p);
	s = looked(p->v1);
	s.joined = true;
	assert_int_equal(shell("rm %s/superblock", p->v1), 0);
	assert_int_equal(voter_disk_make(p->v1, &s, NULL), 0);
	d = opened(p->v1);
	assert_int_equal(start_of(d), VOTER_UNCLEAN);
	voter_disk_close(d);
	s.run = s.clean_run = UINT32_MAX;
	assert_int_equal(voter_disk_make(p->v1, &s, NULL), 0);
	refuses(p->v1, TENURE_ELIMIT, "has had all its runs");
}

/* What a run that was killed had said it did. */
static void what_was_said(const struct place *p, unsigned *run, uint64_t *ceiling, bool *finished)
{
	char said[ROOM] = "", *save = NULL;

	*run = 0;
	*ceiling = 0;
	*finished = false;
	(void)get(p->root, "said", said, sizeof said - 1);
	for (char *line = strtok_r(said, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		if (strncmp(line, "run ", 4) == 0)
			*run = (unsigned)strtoul(line + 4, NULL, 10);
		else if (strncmp(line, "ceiling ", 8) == 0)
			*ceiling = strtoull(line + 8, NULL, 10);
		else if (strcmp(line, "finished") == 0)
			*finished = true;
		else
			fail_msg("%s", line);
	}
}

static void killed_at_any_system_call_nothing_that_was_acknowledged_is_lost(void **state)
{
	const struct place *p = *state;
	unsigned n, last = 0, n_runs = 0, n_ceilings = 0, n_clean = 0, n_unclean = 0;
	uint64_t highest = QUORUM_STEP;
	bool killed = true;

	make_cluster(p);
	for (n = 1; killed; n += 2) {
		uint64_t ceiling;
		char options[32];
		struct voter_disk *d;
		size_t n_bytes;
		bool finished;
		unsigned run;

		(void)snprintf(options, sizeof options, "%u", n);
		killed = under_killat(p, options, "run", p->v1);
		what_was_said(p, &run, &ceiling, &finished);
		assert_true(run == 0 || run > last);
		last = run > last ? run : last;
		highest = ceiling > highest ? ceiling : highest;
		n_runs += run > 0;
		n_ceilings += ceiling > 0;
		d = opened(p->v1);
		assert_true(voter_disk_superblock(d)->run > last);
		assert_true(voter_disk_superblock(d)->ceiling >= highest);
		/* Not above what was being written. */
		assert_true(voter_disk_superblock(d)->ceiling <= highest + QUORUM_STEP);
		highest = voter_disk_superblock(d)->ceiling;
		last = voter_disk_superblock(d)->run;
		assert_true(!finished || start_of(d) == VOTER_CLEAN);
		if (start_of(d) == VOTER_CLEAN) {
			n_clean++;
			assert_memory_equal(voter_disk_snapshot(d, &n_bytes), "snap", 4);
			assert_int_equal(n_bytes, 4);
		} else {
			n_unclean++;
		}
		voter_disk_close(d);
	}
	print_message("# %u kills: %u runs, %u with a write; then %u clean starts, %u unclean ones\n", n / 2, n_runs,
	              n_ceilings, n_clean, n_unclean);
	assert_true(n_runs > 10 && n_ceilings > 10 && n_clean >= 2 && n_unclean > 30);
	/* Nothing grew with the number of deaths. */
	assert_true(count(p->v1) <= 5);
}

static void an_error_of_the_disk_is_final_and_says_what_to_do(void **state)
{
	static const struct {
		const char *options, *words;
	} faults[] = {
		/* The first two writes are the run's own number. */
		{ "--fail fdatasync:EIO --nth 4", "cannot make durable" },
		{ "--fail fdatasync:EIO --nth 5", "check the disk, then start the voter again" },
		{ "--fail pwrite64:ENOSPC --nth 4", "the disk is full: make room" },
		{ "--fail pwrite64:EDQUOT --nth 5", "the disk is full: make room" },
		{ "--fail pwrite64:EROFS --nth 4", "the file system is read-only" },
	};
	const struct place *p = *state;

	make_cluster(p);
	for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
		char said[4 * ROOM] = "", *broken, *again;
		struct superblock before = looked(p->v1), after;
		size_t n;

		assert_true(under_killat(p, faults[i].options, "run", p->v1));
		(void)get(p->root, "said", said, sizeof said - 1);
		broken = strstr(said, "broken ");
		again = strstr(said, "again ");
		if (!broken || !again || !strstr(broken, faults[i].words) || !strstr(broken, p->v1)) {
			fail_msg("%s: said %s", faults[i].options, said);
			return;
		}
		/* The same twice: once for the write, once for the clean stop. */
		n = strcspn(broken + 7, "\n");
		assert_memory_equal(again + 6, broken + 7, n + 1);
		assert_non_null(strstr(again + 6 + n, "again "));
		after = looked(p->v1);
		assert_true(after.run == before.run + 1 && after.clean_run != after.run);
		assert_true(after.ceiling >= before.ceiling);
	}
}

static void a_full_disk_does_not_keep_a_voter_down_and_a_read_only_one_is_named(void **state)
{
	const struct place *p = *state;
	struct tenure_error error = TENURE_ERROR_INIT;
	struct voter_disk *d;

	assert_int_equal(unshare(CLONE_NEWNS), 0);
	assert_int_equal(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	assert_int_equal(mkdir(p->cluster, 0700), 0);
	assert_int_equal(mount("disk", p->cluster, "tmpfs", 0, "size=512k"), 0);
	make_cluster(p);
	assert_int_not_equal(shell("cat /dev/zero >%s/full 2>/dev/null", p->cluster), 0);
	d = opened(p->v1);
	write_ceiling(d, 5 * QUORUM_STEP);
	assert_int_equal(voter_disk_finish(d, (const uint8_t *)"snap", 4, &error), TENURE_EIO);
	assert_non_null(strstr(error.message, "the disk is full: make room"));
	voter_disk_close(d);
	d = opened(p->v1);
	assert_int_equal(start_of(d), VOTER_UNCLEAN);
	assert_int_equal(voter_disk_superblock(d)->ceiling, 5 * QUORUM_STEP);
	assert_int_equal(shell("rm %s/full", p->cluster), 0);
	assert_int_equal(voter_disk_finish(d, (const uint8_t *)"snap", 4, &error), 0);
	voter_disk_close(d);
	assert_int_equal(mount(NULL, p->cluster, NULL, MS_REMOUNT | MS_RDONLY, "size=512k"), 0);
	refuses(p->v1, TENURE_EIO, "the file system is read-only");
	assert_int_equal(mount(NULL, p->cluster, NULL, MS_REMOUNT, "size=512k"), 0);
	d = opened(p->v1);
	assert_int_equal(start_of(d), VOTER_CLEAN);
	voter_disk_close(d);
	/* A memory file system is no disk, unless somebody says that it is meant. */
	assert_int_equal(voter_disk_open(&d, p->v1, false, &error), TENURE_EUNSAFE);
	assert_non_null(strstr(error.message, "tmpfs"));
	assert_int_equal(umount(p->cluster), 0);
}

/* ---- one store, one process ---- */

static void two_processes_on_one_store_are_refused_and_a_killed_one_leaves_it_free(void **state)
{
	const struct place *p = *state;
	struct voter_disk *d, *other = NULL;
	char own[ROOM] = "", line[16] = "";
	int in[2], out[2];
	pid_t pid;

	make_cluster(p);
	d = opened(p->v1);
	refuses(p->v1, TENURE_EEXIST, "is in use by another tenure server");
	voter_disk_close(d);
	assert_true(readlink("/proc/self/exe", own, sizeof own - 1) > 0);
	assert_int_equal(pipe(in), 0);
	assert_int_equal(pipe(out), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		(void)dup2(in[0], 0);
		(void)dup2(out[1], 1);
		(void)close(in[1]);
		(void)execl(own, own, "hold", p->v1, NULL);
		_exit(127);
	}
	(void)close(out[1]);
	assert_int_equal(read(out[0], line, sizeof line - 1), 5);
	assert_string_equal(line, "held\n");
	(void)snprintf(line, sizeof line, "process %d", (int)pid);
	refuses(p->v1, TENURE_EEXIST, line);
	/* Its superblock can be looked at all the same. */
	assert_int_equal(looked(p->v1).run, 2);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	(void)close(in[0]);
	(void)close(in[1]);
	(void)close(out[0]);
	other = opened(p->v1);
	assert_int_equal(voter_disk_superblock(other)->run, 3);
	voter_disk_close(other);
}

/* ---- lost, copied, moved, put back ---- */

static void a_missing_or_blank_store_is_refused_with_what_to_do_and_nothing_is_made(void **state)
{
	static const char lost[] = "stays lost until it is replaced";
	static const uint8_t zeros[SUPERBLOCK_FILE_BYTES];
	const struct place *p = *state;

	refuses(p->v1, TENURE_ENOENT, lost);
	assert_int_equal(shell("mkdir -p %s", p->v1), 0);
	refuses(p->v1, TENURE_ENOENT, lost);
	assert_int_equal(count(p->v1), 0);
	put(p->v1, "superblock", "", 0);
	refuses(p->v1, TENURE_ENOENT, "blank");
	put(p->v1, "superblock", zeros, sizeof zeros);
	refuses(p->v1, TENURE_ENOENT, lost);
	put(p->v1, "superblock", "#!/bin/sh\n", 10);
	refuses(p->v1, TENURE_EFOREIGN, "replace it");
	assert_int_equal(shell("cd %s && rm superblock && mkdir superblock", p->v1), 0);
	refuses(p->v1, TENURE_EFOREIGN, "no regular file");
	assert_int_equal(shell("cd %s && rmdir superblock && ln -s /dev/zero superblock", p->v1), 0);
	refuses(p->v1, TENURE_EFOREIGN, "no regular file");
	assert_int_equal(count(p->v1), 1);
	assert_int_equal(shell("rm -r %s && echo >%s", p->v1, p->v1), 0);
	refuses(p->v1, TENURE_EFOREIGN, "no directory");
}

static void a_copy_is_refused_and_a_moved_store_is_not(void **state)
{
	const struct place *p = *state;
	struct voter_disk *d;
	char other[ROOM];

	make_cluster(p);
	voter_disk_close(opened(p->v1));
	(void)snprintf(other, sizeof other, "%s/other", p->root);
	assert_int_equal(shell("cp -a %s %s", p->v1, other), 0);
	refuses(other, TENURE_EUNSAFE, "was copied or restored");
	assert_int_equal(looked(other).run, 1);
	/* The copy in place of the store, as a backup is put back. */
	assert_int_equal(shell("mv %s %s/old && mv %s %s", p->v1, p->root, other, p->v1), 0);
	refuses(p->v1, TENURE_EUNSAFE, "was copied or restored");
	assert_int_equal(shell("rm -r %s && tar -C %s -cf %s/tar old && rm -r %s/old && tar -C %s -xf %s/tar", p->v1,
	                       p->root, p->root, p->root, p->root, p->root),
	                 0);
	(void)snprintf(other, sizeof other, "%s/old", p->root);
	refuses(other, TENURE_EUNSAFE, "remove its file `place`");
	/* Somebody says that it is the store itself. From then on this is its place. */
	assert_int_equal(shell("rm %s/place", other), 0);
	voter_disk_close(opened(other));
	assert_true(exists(other, "place"));
	assert_int_equal(shell("mv %s %s", other, p->v1), 0);
	d = opened(p->v1);
	assert_int_equal(voter_disk_superblock(d)->run, 3);
	voter_disk_close(d);
}

static void a_new_store_is_carried_to_its_host_before_its_first_start(void **state)
{
	const struct place *p = *state;
	char other[ROOM];

	make_cluster(p);
	(void)snprintf(other, sizeof other, "%s/other", p->root);
	assert_int_equal(shell("cp -a %s %s", p->v1, other), 0);
	voter_disk_close(opened(other));
	voter_disk_close(opened(other)); /* from then on this is its place */
	assert_int_equal(looked(other).run, 2);
}

static void a_place_that_is_damaged_counts_for_none(void **state)
{
	const struct place *p = *state;
	char text[200];
	size_t n;

	make_cluster(p);
	voter_disk_close(opened(p->v1));
	n = get(p->v1, "place", text, sizeof text);
	for (size_t i = 0; i < n; i++) {
		int fd = open(p->v1, O_DIRECTORY | O_CLOEXEC), place = openat(fd, "place", O_RDWR | O_CLOEXEC);

		/* In place: its inode stays. The inode's digits don't count where there is a birth time. */
		assert_int_equal(pwrite(place, "x", 1, (off_t)i), 1);
		refuses(p->v1, TENURE_EUNSAFE, "was copied or restored");
		assert_int_equal(pwrite(place, text + i, 1, (off_t)i), 1);
		(void)close(place);
		(void)close(fd);
	}
	voter_disk_close(opened(p->v1));
}

static void a_superblock_that_was_put_back_is_found_by_the_run_that_stands_beside_it(void **state)
{
	static uint8_t old[SUPERBLOCK_FILE_BYTES], new[SUPERBLOCK_FILE_BYTES];
	const struct place *p = *state;

	make_cluster(p);
	voter_disk_close(opened(p->v1));
	assert_int_equal(get(p->v1, "superblock", old, sizeof old), sizeof old);
	voter_disk_close(opened(p->v1));
	assert_int_equal(get(p->v1, "superblock", new, sizeof new), sizeof new);
	put(p->v1, "superblock", old, sizeof old);
	refuses(p->v1, TENURE_EUNSAFE, "older than its last run (1, not 2): it was rolled back");
	put(p->v1, "superblock", new, sizeof new);
	voter_disk_close(opened(p->v1));
	/* Without the witness, or with one that says nothing, nothing follows. */
	assert_int_equal(shell("rm %s/lock", p->v1), 0);
	voter_disk_close(opened(p->v1));
	put(p->v1, "lock", "run away", 8);
	voter_disk_close(opened(p->v1));
	put(p->v1, "lock", "run 99999999999999999999 pid 1\n", 31);
	voter_disk_close(opened(p->v1));
}

/* ---- damage ---- */

static void a_superblock_that_is_cut_anywhere_is_refused_and_left_as_it_is(void **state)
{
	static uint8_t whole[SUPERBLOCK_FILE_BYTES + 1], left[SUPERBLOCK_FILE_BYTES + 1];
	const struct place *p = *state;

	make_cluster(p);
	voter_disk_close(opened(p->v1));
	assert_int_equal(get(p->v1, "superblock", whole, sizeof whole), SUPERBLOCK_FILE_BYTES);
	for (size_t n = 0; n <= SUPERBLOCK_FILE_BYTES + 1; n += n % SUPERBLOCK_COPY_BYTES < 400 ? 1 : 211) {
		struct tenure_error error = TENURE_ERROR_INIT;
		struct superblock s;
		int code;

		if (n == SUPERBLOCK_FILE_BYTES)
			continue;
		put(p->v1, "superblock", whole, n);
		code = voter_disk_look(&s, p->v1, &error);
		assert_int_equal(code, n == 0 ? TENURE_ENOENT : TENURE_EFOREIGN);
		assert_non_null(strstr(error.message, n == 0 ? "blank" : "replace it, never by an old copy"));
		if (n % 64 == 0)
			refuses(p->v1, code, "superblock");
		assert_int_equal(get(p->v1, "superblock", left, sizeof left), n);
		assert_memory_equal(left, whole, n);
	}
}

/* Every state stands there twice, so damage to one copy costs nothing that was acknowledged: not the newest write. */
static void damage_to_any_byte_of_one_copy_loses_nothing(void **state)
{
	static uint8_t whole[SUPERBLOCK_FILE_BYTES];
	const struct place *p = *state;
	struct voter_disk *d;
	char path[2 * ROOM];
	size_t used;
	int fd;

	make_cluster(p);
	d = opened(p->v1);
	write_ceiling(d, 9 * QUORUM_STEP);
	voter_disk_close(d);
	assert_int_equal(get(p->v1, "superblock", whole, sizeof whole), sizeof whole);
	used = bytes_get32(whole + 12) + 4;
	(void)snprintf(path, sizeof path, "%s/superblock", p->v1);
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	for (size_t i = 0; i < used; i++) {
		for (unsigned copy = 0; copy < 2; copy++) {
			size_t at = (size_t)copy * SUPERBLOCK_COPY_BYTES + i;
			uint8_t damaged = whole[at] ^ (uint8_t)(1u << i % 8), other = whole[i] ^ 0x80;
			struct superblock s;

			assert_int_equal(pwrite(fd, &damaged, 1, (off_t)at), 1);
			s = looked(p->v1);
			assert_true(s.ceiling == 9 * QUORUM_STEP && s.run == 1 && s.clean_run == 0);
			/* Both: then it is lost, and says so. */
			if (copy == 1) {
				struct tenure_error error = TENURE_ERROR_INIT;

				assert_int_equal(pwrite(fd, &other, 1, (off_t)i), 1);
				assert_int_equal(voter_disk_look(&s, p->v1, &error), TENURE_EFOREIGN);
				assert_non_null(strstr(error.message, "This voter is lost: replace it"));
				assert_int_equal(pwrite(fd, whole + i, 1, (off_t)i), 1);
			}
			assert_int_equal(pwrite(fd, whole + at, 1, (off_t)at), 1);
		}
	}
	(void)close(fd);
}

/* A start mends it: whichever copy is damaged, the other one stays until the first is whole again. */
static void a_damaged_copy_is_mended_by_the_next_start(void **state)
{
	static uint8_t whole[SUPERBLOCK_FILE_BYTES];
	const struct place *p = *state;

	make_cluster(p);
	for (unsigned i = 0; i < 8; i++) {
		struct voter_disk *d = opened(p->v1);

		write_ceiling(d, (i + 2) * QUORUM_STEP);
		voter_disk_close(d);
		assert_int_equal(get(p->v1, "superblock", whole, sizeof whole), sizeof whole);
		whole[i % 2 * SUPERBLOCK_COPY_BYTES + 40 + i] ^= 1;
		put(p->v1, "superblock", whole, sizeof whole);
		d = opened(p->v1);
		assert_int_equal(voter_disk_superblock(d)->ceiling, (i + 2) * QUORUM_STEP);
		assert_int_equal(voter_disk_superblock(d)->run, 2 * i + 2);
		voter_disk_close(d);
		assert_int_equal(get(p->v1, "superblock", whole, sizeof whole), sizeof whole);
		for (unsigned copy = 0; copy < 2; copy++) {
			struct superblock s;

			assert_int_equal(superblock_decode(&s, whole + (size_t)copy * SUPERBLOCK_COPY_BYTES,
			                                   SUPERBLOCK_COPY_BYTES, NULL),
			                 0);
			assert_true(s.run == 2 * i + 2 && s.ceiling == (i + 2) * QUORUM_STEP);
		}
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(the_stores_of_a_new_cluster_agree_and_each_may_vote_at_once),
		TEST(what_makes_no_cluster_is_refused_and_leaves_nothing),
		TEST(a_store_is_never_overwritten),
		TEST(an_init_that_fails_at_any_call_leaves_nothing),
		TEST(an_init_that_is_killed_anywhere_leaves_whole_stores_or_none),
		TEST(each_run_has_a_higher_number_and_a_clean_stop_serves_one_start),
		TEST(a_snapshot_that_cannot_be_read_makes_the_start_an_unclean_one_that_says_why),
		TEST(a_store_that_joined_later_begins_with_a_hold_and_runs_are_counted_to_their_end),
		TEST(killed_at_any_system_call_nothing_that_was_acknowledged_is_lost),
		TEST(an_error_of_the_disk_is_final_and_says_what_to_do),
		TEST(a_full_disk_does_not_keep_a_voter_down_and_a_read_only_one_is_named),
		TEST(two_processes_on_one_store_are_refused_and_a_killed_one_leaves_it_free),
		TEST(a_missing_or_blank_store_is_refused_with_what_to_do_and_nothing_is_made),
		TEST(a_copy_is_refused_and_a_moved_store_is_not),
		TEST(a_new_store_is_carried_to_its_host_before_its_first_start),
		TEST(a_place_that_is_damaged_counts_for_none),
		TEST(a_superblock_that_was_put_back_is_found_by_the_run_that_stands_beside_it),
		TEST(a_superblock_that_is_cut_anywhere_is_refused_and_left_as_it_is),
		TEST(damage_to_any_byte_of_one_copy_loses_nothing),
		TEST(a_damaged_copy_is_mended_by_the_next_start),
	};

	if (argc == 3 && strcmp(argv[1], "init") == 0)
		return tool_init(argv[2]);
	if (argc == 3 && strcmp(argv[1], "run") == 0)
		return tool_run(argv[2]);
	if (argc == 3 && strcmp(argv[1], "hold") == 0)
		return tool_hold(argv[2]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
