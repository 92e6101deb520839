/* SPDX-License-Identifier: Apache-2.0 */
#include "base/slots.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "base/error.h"
#include "base/fs.h"
#include "base/random.h"

#define SLOTS_ONE_BYTES  64
#define SLOTS_CRC_AT     60
#define SLOTS_ZEROS_AT   24
#define SLOTS_VERSION    1u
#define SLOTS_NAME_BYTES 255 /* NAME_MAX */

enum slots_verdict {
	SLOTS_GOOD,
	SLOTS_TORN,       /* the checksum fails */
	SLOTS_NEWER,      /* whole, of a later version */
	SLOTS_FOREIGN,    /* whole, of another kind of file */
	SLOTS_IMPOSSIBLE, /* whole, with what this program never writes */
};

struct slots_one {
	enum slots_verdict verdict;
	uint32_t magic, version;
	uint64_t sequence, value;
};

static uint64_t slots_get(const unsigned char *from, size_t n_bytes)
{
	uint64_t value = 0;

	for (size_t i = 0; i < n_bytes; i++)
		value |= (uint64_t)from[i] << (8 * i);
	return value;
}

static void slots_put(unsigned char *to, size_t n_bytes, uint64_t value)
{
	for (size_t i = 0; i < n_bytes; i++)
		to[i] = (unsigned char)(value >> (8 * i));
}

void slots_encode(unsigned char out[64], uint32_t magic, uint64_t sequence, uint64_t value)
{
	memset(out, 0, SLOTS_ONE_BYTES);
	slots_put(out, 4, magic);
	slots_put(out + 4, 4, SLOTS_VERSION);
	slots_put(out + 8, 8, sequence);
	slots_put(out + 16, 8, value);
	slots_put(out + SLOTS_CRC_AT, 4, crc32c(out, SLOTS_CRC_AT));
}

/* Sequences begin at 1 in slot 0 and alternate. */
static unsigned slots_place(uint64_t sequence)
{
	return sequence % 2 == 1 ? 0 : 1;
}

static bool slots_possible(const struct slots_one *one, unsigned place, const unsigned char *bytes)
{
	for (size_t i = SLOTS_ZEROS_AT; i < SLOTS_CRC_AT; i++)
		if (bytes[i] != 0)
			return false;
	return one->version == SLOTS_VERSION && one->sequence > 0 && slots_place(one->sequence) == place &&
	       one->value <= SLOTS_VALUE_MAX;
}

static struct slots_one slots_judge(uint32_t magic, unsigned place, const unsigned char *bytes)
{
	struct slots_one one = {
		.magic = (uint32_t)slots_get(bytes, 4),
		.version = (uint32_t)slots_get(bytes + 4, 4),
		.sequence = slots_get(bytes + 8, 8),
		.value = slots_get(bytes + 16, 8),
	};

	if (slots_get(bytes + SLOTS_CRC_AT, 4) != crc32c(bytes, SLOTS_CRC_AT))
		one.verdict = SLOTS_TORN;
	else if (one.magic != magic)
		one.verdict = SLOTS_FOREIGN;
	else if (one.version > SLOTS_VERSION)
		one.verdict = SLOTS_NEWER;
	else
		one.verdict = slots_possible(&one, place, bytes) ? SLOTS_GOOD : SLOTS_IMPOSSIBLE;
	return one;
}

/* What the operator can do about a file that can't be believed. */
static const char *slots_advice(uint32_t magic)
{
	if (magic == SLOTS_MAGIC_GUARD)
		return "restore it from a backup, or remove it and set the mark anew with 'tenure guard reset'";
	return "restore it from a backup, or remove the election's whole directory to begin anew (tokens restart)";
}

static const char *slots_kind(uint32_t magic)
{
	return magic == SLOTS_MAGIC_GUARD ? "guard's mark" : "token counter";
}

/* Neither slot is whole: is it damage, something else's file, or a version that checks otherwise? */
static int slots_explain_torn(const struct slots_one one[2], uint32_t magic, const char *path,
                              struct tenure_error *error)
{
	if (one[0].magic != magic && one[1].magic != magic)
		return error_set(error, TENURE_EFOREIGN, 0, "%s is not a %s: something else wrote it; %s", path,
		                 slots_kind(magic), slots_advice(magic));
	if (one[0].magic == magic && one[1].magic == magic && one[0].version == one[1].version &&
	    one[0].version > SLOTS_VERSION)
		return error_set(error, TENURE_EVERSION, 0,
		                 "%s has version %" PRIu32 ", this program knows %u: use a newer tenure", path,
		                 one[0].version, SLOTS_VERSION);
	return error_set(error, TENURE_EIO, 0, "%s is damaged, both copies: %s", path, slots_advice(magic));
}

static int slots_choose(struct slots *s, const struct slots_one one[2], uint32_t magic, const char *path,
                        struct tenure_error *error)
{
	bool both = one[0].verdict == SLOTS_GOOD && one[1].verdict == SLOTS_GOOD;
	unsigned present;

	for (int i = 0; i < 2; i++) {
		if (one[i].verdict == SLOTS_NEWER)
			return error_set(error, TENURE_EVERSION, 0,
			                 "%s has version %" PRIu32 ", this program knows %u: use a newer tenure", path,
			                 one[i].version, SLOTS_VERSION);
		if (one[i].verdict == SLOTS_FOREIGN)
			return error_set(error, TENURE_EFOREIGN, 0, "%s is not a %s: something else wrote it; %s", path,
			                 slots_kind(magic), slots_advice(magic));
		if (one[i].verdict == SLOTS_IMPOSSIBLE)
			return error_set(error, TENURE_EFOREIGN, 0,
			                 "%s was edited: slot %d holds what is never written; %s", path, i,
			                 slots_advice(magic));
	}
	if (both && one[0].sequence + 1 != one[1].sequence && one[1].sequence + 1 != one[0].sequence)
		return error_set(error, TENURE_EFOREIGN, 0,
		                 "%s was edited: sequences %" PRIu64 " and %" PRIu64 " don't meet; %s", path,
		                 one[0].sequence, one[1].sequence, slots_advice(magic));
	if (one[0].verdict == SLOTS_TORN && one[1].verdict == SLOTS_TORN)
		return slots_explain_torn(one, magic, path, error);
	if (both)
		present = one[1].sequence > one[0].sequence;
	else
		present = one[1].verdict == SLOTS_GOOD;
	*s = (struct slots) {
		.magic = magic,
		.sequence = one[present].sequence,
		.value = one[present].value,
		.older = both ? one[!present].value : one[present].value,
		.present = present,
		.torn = !both,
	};
	return 0;
}

int slots_decode(struct slots *s, uint32_t magic, const unsigned char *bytes, size_t n_bytes, const char *path,
                 struct tenure_error *error)
{
	struct slots_one one[2];

	if (n_bytes < SLOTS_BYTES)
		return error_set(error, TENURE_EIO, 0, "%s is truncated (%zu bytes instead of %d): %s", path, n_bytes,
		                 SLOTS_BYTES, slots_advice(magic));
	if (n_bytes > SLOTS_BYTES)
		return error_set(error, TENURE_EFOREIGN, 0, "%s is not a %s (%zu bytes instead of %d): %s", path,
		                 slots_kind(magic), n_bytes, SLOTS_BYTES, slots_advice(magic));
	for (unsigned i = 0; i < 2; i++)
		one[i] = slots_judge(magic, i, bytes + (size_t)i * SLOTS_ONE_BYTES);
	return slots_choose(s, one, magic, path, error);
}

int slots_read(int fd, struct slots *s, uint32_t magic, const char *path, struct tenure_error *error)
{
	unsigned char bytes[SLOTS_BYTES];
	struct stat info;
	ssize_t n;

	if (fstat(fd, &info) != 0)
		return error_set(error, TENURE_EIO, errno, "cannot look at %s", path);
	if (!S_ISREG(info.st_mode))
		return error_set(error, TENURE_EFOREIGN, 0, "%s is not a regular file: remove what stands there", path);
	n = fs_pread(fd, bytes, sizeof bytes);
	if (n < 0)
		return error_set(error, TENURE_EIO, errno, "cannot read %s: check its disk", path);
	/* The size of before would judge a file that has just been cut by the bytes of its past. */
	if ((size_t)n == sizeof bytes && info.st_size > (off_t)sizeof bytes)
		return slots_decode(s, magic, bytes, (size_t)info.st_size, path, error);
	return slots_decode(s, magic, bytes, (size_t)n, path, error);
}

int slots_write(int fd, struct slots *s, uint64_t value, const char *path, struct tenure_error *error)
{
	unsigned char bytes[SLOTS_ONE_BYTES];
	unsigned place = !s->present;

	if (value > SLOTS_VALUE_MAX || s->sequence == UINT64_MAX)
		return error_set(error, TENURE_ELIMIT, 0, "%s is at its end: no number above 2^63-1 can be kept", path);
	slots_encode(bytes, s->magic, s->sequence + 1, value);
	if (fs_pwrite(fd, bytes, sizeof bytes, (off_t)place * SLOTS_ONE_BYTES) != 0)
		return error_set(error, TENURE_EIO, errno, "cannot write %s: check its disk", path);
	if (fdatasync(fd) != 0)
		return error_set(error, TENURE_EIO, errno, "cannot make %s durable: check its disk", path);
	*s = (struct slots) {
		.magic = s->magic,
		.sequence = s->sequence + 1,
		.value = value,
		.older = s->value,
		.present = place,
	};
	return 0;
}

/* Fills the new file and makes it durable, still without its name. 0, or -1 with errno set. */
static int slots_fill(int fd, uint32_t magic, uint64_t value)
{
	unsigned char bytes[SLOTS_BYTES];

	slots_encode(bytes, magic, 1, value);
	slots_encode(bytes + SLOTS_ONE_BYTES, magic, 2, value);
	if (fs_pwrite(fd, bytes, sizeof bytes, 0) != 0)
		return -1;
	return fsync(fd);
}

/* Gives a file without a name its name; no other file is replaced. 0, or -1 with errno set. */
static int slots_name(int fd, int dirfd, const char *name)
{
	char self[64];

	(void)snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
	if (linkat(AT_FDCWD, self, dirfd, name, AT_SYMLINK_FOLLOW) == 0)
		return 0;
	if (errno == EEXIST)
		return -1;
	/* Without /proc; it wants CAP_DAC_READ_SEARCH. */
	return linkat(fd, "", dirfd, name, AT_EMPTY_PATH);
}

/*
 * A file without a name leaves nothing behind when its writer is killed, so it is tried first. Returns the descriptor
 * of the named, whole file, or -1 with errno set.
 */
static int slots_make_unnamed(int dirfd, const char *name, unsigned mode, uint32_t magic, uint64_t value)
{
	int fd = openat(dirfd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, (mode_t)mode);

	if (fd < 0)
		return -1;
	if (slots_fill(fd, magic, value) != 0 || slots_name(fd, dirfd, name) != 0) {
		int saved = errno;

		(void)close(fd);
		errno = saved;
		return -1;
	}
	return fd;
}

/* For file systems that know no files without a name, and hosts without /proc. The name is random: two may create at
 * once. */
static int slots_make_named(int dirfd, const char *name, unsigned mode, uint32_t magic, uint64_t value)
{
	char other[SLOTS_NAME_BYTES + 1];
	uint64_t nonce;
	int fd, saved;

	if (random_u64(&nonce) != 0) {
		errno = EIO;
		return -1;
	}
	(void)snprintf(other, sizeof other, ".%016" PRIx64 ".new", nonce);
	fd = openat(dirfd, other, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, (mode_t)mode);
	if (fd < 0)
		return -1;
	if (slots_fill(fd, magic, value) == 0 && linkat(dirfd, other, dirfd, name, 0) == 0) {
		(void)unlinkat(dirfd, other, 0);
		return fd;
	}
	saved = errno;
	(void)unlinkat(dirfd, other, 0);
	(void)close(fd);
	errno = saved;
	return -1;
}

int slots_create(int dirfd, const char *name, unsigned mode, uint32_t magic, uint64_t value, struct slots *s,
                 const char *path, struct tenure_error *error)
{
	int fd;

	if (value > SLOTS_VALUE_MAX)
		return error_set(error, TENURE_ELIMIT, 0, "%s: no number above 2^63-1 can be kept", path);
	fd = slots_make_unnamed(dirfd, name, mode, magic, value);
	if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == ENOENT || errno == EPERM || errno == EINVAL))
		fd = slots_make_named(dirfd, name, mode, magic, value);
	if (fd < 0 && errno == EEXIST)
		return error_set(error, TENURE_EEXIST, 0, "%s exists already", path);
	if (fd < 0)
		return error_set(error, error_code_of_errno(errno), errno, "cannot create %s", path);
	/* The name last: a file system may order the two otherwise than they were written. */
	if (fsync(fd) != 0 || fsync(dirfd) != 0) {
		int code = error_set(error, TENURE_EIO, errno, "cannot make %s durable: check its disk", path);

		(void)close(fd);
		return code;
	}
	*s = (struct slots) { .magic = magic, .sequence = 2, .value = value, .older = value, .present = 1 };
	return fd;
}
