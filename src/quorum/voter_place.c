/* SPDX-License-Identifier: Apache-2.0 */
#include "quorum/voter_place.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/text.h"

#define VOTER_PLACE_ROOM 128

/*
 * What the kernel gives to a file when it is made. The birth time decides where the file system keeps one: it can't be
 * set, and survives where inode numbers are made up at each mount. Else the number does.
 */
struct voter_place {
	uint64_t born_s, born_ns, inode; /* born: 0, 0 where there is none */
};

static int voter_place_of(int fd, struct voter_place *p)
{
	struct statx info;

	if (statx(fd, "", AT_EMPTY_PATH, STATX_INO | STATX_BTIME, &info) != 0)
		return -1;
	*p = (struct voter_place) { .inode = info.stx_ino };
	if (info.stx_mask & STATX_BTIME && info.stx_btime.tv_sec > 0) {
		p->born_s = (uint64_t)info.stx_btime.tv_sec;
		p->born_ns = info.stx_btime.tv_nsec;
	}
	return 0;
}

static bool voter_place_same(const struct voter_place *a, const struct voter_place *b)
{
	if (a->born_s && b->born_s)
		return a->born_s == b->born_s && a->born_ns == b->born_ns;
	return a->inode == b->inode;
}

int voter_place_write(int dirfd, const char *path, struct tenure_error *error)
{
	int fd = openat(dirfd, "place.new", O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600), saved = 0;
	char text[VOTER_PLACE_ROOM];
	struct voter_place p = { 0 };
	int n;

	if (fd < 0)
		return error_set(error, error_code_of_errno(errno), errno, "cannot make %.120s/place", path);
	if (voter_place_of(fd, &p) != 0)
		saved = errno;
	n = snprintf(text, sizeof text, "tenure-place 1\nborn %" PRIu64 " %" PRIu64 "\ninode %" PRIu64 "\n", p.born_s,
	             p.born_ns, p.inode);
	if (!saved && write(fd, text, (size_t)n) != n)
		saved = errno ? errno : EIO;
	if (!saved && fsync(fd) != 0)
		saved = errno;
	(void)close(fd);
	if (!saved && renameat(dirfd, "place.new", dirfd, "place") != 0)
		saved = errno;
	if (!saved)
		return 0;
	(void)unlinkat(dirfd, "place.new", 0);
	return error_set(error, TENURE_EIO, saved, "cannot write %.120s/place: check its disk", path);
}

/* "WORD NUMBER" + `end`; where it ends, NULL where it is something else. */
static const char *voter_place_number(const char *at, const char *word, char end, uint64_t *value)
{
	size_t skip = strlen(word), digits;

	if (!at || strncmp(at, word, skip) != 0)
		return NULL;
	at += skip;
	digits = strspn(at, "0123456789");
	if (at[digits] != end || !text_u64_n(at, digits, UINT64_MAX, value))
		return NULL;
	return at + digits + 1;
}

static bool voter_place_parse(const char *text, struct voter_place *p)
{
	const char *at = voter_place_number(text, "tenure-place 1\nborn ", ' ', &p->born_s);

	at = voter_place_number(at, "", '\n', &p->born_ns);
	at = voter_place_number(at, "inode ", '\n', &p->inode);
	return at && *at == '\0';
}

int voter_place_check(int dirfd, const char *path, struct tenure_error *error)
{
	int fd = openat(dirfd, "place", O_RDONLY | O_NOFOLLOW | O_CLOEXEC), saved;
	char text[VOTER_PLACE_ROOM] = "";
	struct voter_place told = { 0 }, real = { 0 };
	ssize_t n;

	if (fd < 0 && errno == ENOENT)
		return voter_place_write(dirfd, path, error);
	if (fd < 0)
		return error_set(error, error_code_of_errno(errno), errno, "cannot open %.120s/place", path);
	n = read(fd, text, sizeof text - 1);
	saved = n < 0 || voter_place_of(fd, &real) != 0 ? errno : 0;
	(void)close(fd);
	if (saved)
		return error_set(error, TENURE_EIO, saved, "cannot read %.120s/place: check its disk", path);
	if (voter_place_parse(text, &told) && voter_place_same(&told, &real))
		return 0;
	return error_set(
	        error, TENURE_EUNSAFE, 0,
	        "%.70s was copied or restored: two copies of a voter must not both vote, nor an old one; "
	        "replace it. If it was moved and is the only, newest one, remove its file `place` and start again",
	        path);
}
