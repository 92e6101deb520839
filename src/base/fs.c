/* SPDX-License-Identifier: Apache-2.0 */
#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/error.h"

enum fs_kind {
	FS_FOREIGN, /* network, cluster, user space */
	FS_MEMORY,
	FS_KERNEL, /* files that are no files: what the kernel shows of itself */
};

struct fs_refused {
	uint32_t magic; /* statfs(2), <linux/magic.h> and the file systems' own sources */
	enum fs_kind kind;
	const char *name;
};

static const struct fs_refused fs_refused[] = {
	{ 0x6969u, FS_FOREIGN, "NFS" },         { 0xff534d42u, FS_FOREIGN, "CIFS" },
	{ 0xfe534d42u, FS_FOREIGN, "SMB2" },    { 0x517bu, FS_FOREIGN, "SMB" },
	{ 0x01021997u, FS_FOREIGN, "9p" },      { 0x65735546u, FS_FOREIGN, "FUSE" },
	{ 0x5346414fu, FS_FOREIGN, "AFS" },     { 0x6b414653u, FS_FOREIGN, "AFS" },
	{ 0x00c36400u, FS_FOREIGN, "Ceph" },    { 0x01161970u, FS_FOREIGN, "GFS2" },
	{ 0x7461636fu, FS_FOREIGN, "OCFS2" },   { 0x0bd00bd0u, FS_FOREIGN, "Lustre" },
	{ 0x73757245u, FS_FOREIGN, "Coda" },    { 0x564cu, FS_FOREIGN, "NCP" },
	{ 0x47504653u, FS_FOREIGN, "GPFS" },    { 0x19830326u, FS_FOREIGN, "BeeGFS" },
	{ 0x786f4256u, FS_FOREIGN, "vboxsf" },  { 0x01021994u, FS_MEMORY, "tmpfs" },
	{ 0x858458f6u, FS_MEMORY, "ramfs" },    { 0x958458f6u, FS_MEMORY, "hugetlbfs" },
	{ 0x9fa0u, FS_KERNEL, "proc" },         { 0x62656572u, FS_KERNEL, "sysfs" },
	{ 0x27e0ebu, FS_KERNEL, "cgroup" },     { 0x63677270u, FS_KERNEL, "cgroup2" },
	{ 0x1cd1u, FS_KERNEL, "devpts" },       { 0x64626720u, FS_KERNEL, "debugfs" },
	{ 0x74726163u, FS_KERNEL, "tracefs" },  { 0x73636673u, FS_KERNEL, "securityfs" },
	{ 0x62656570u, FS_KERNEL, "configfs" }, { 0xcafe4a11u, FS_KERNEL, "bpf" },
	{ 0x19800202u, FS_KERNEL, "mqueue" },
};

static int fs_refuse(const struct fs_refused *r, const char *path, struct tenure_error *error)
{
	switch (r->kind) {
	case FS_FOREIGN:
		return error_set(error, TENURE_EUNSAFE, 0,
		                 "%s is on %s: its locks don't reliably exclude; use a directory on a local disk", path,
		                 r->name);
	case FS_MEMORY:
		return error_set(error, TENURE_EUNSAFE, 0,
		                 "%s is on %s, a memory file system: tokens would restart with the host; use a "
		                 "directory on a disk",
		                 path, r->name);
	case FS_KERNEL:
		break;
	}
	return error_set(error, TENURE_EUNSAFE, 0, "%s is on %s, which keeps no files; use a directory on a local disk",
	                 path, r->name);
}

/* Cuts the last component: "/a/b" -> "/a", "/a" -> "/", "a" -> ".". False where nothing is left to cut. */
static bool fs_parent(char *path)
{
	size_t length = strlen(path);

	while (length > 1 && path[length - 1] == '/')
		length--;
	if (length == 0 || (length == 1 && (path[0] == '/' || path[0] == '.')))
		return false;
	while (length > 0 && path[length - 1] != '/')
		length--;
	while (length > 1 && path[length - 1] == '/')
		length--;
	if (length == 0)
		path[length++] = '.';
	path[length] = '\0';
	return true;
}

static int fs_copy_path(char to[PATH_MAX], const char *path, struct tenure_error *error)
{
	size_t length = strnlen(path, PATH_MAX);

	if (length == 0 || length >= PATH_MAX)
		return error_set(error, TENURE_EIO, length == 0 ? ENOENT : ENAMETOOLONG,
		                 "cannot use the directory name");
	memcpy(to, path, length + 1);
	return 0;
}

int fs_check_local(const char *path, bool allow_memory, struct tenure_error *error)
{
	char at[PATH_MAX];
	struct statfs info;
	int code = fs_copy_path(at, path, error);

	if (code != 0)
		return code;
	while (statfs(at, &info) != 0) {
		if (errno == EINTR)
			continue;
		if (errno != ENOENT || !fs_parent(at))
			return error_set(error, TENURE_EIO, errno, "cannot tell on which file system %s lies", path);
	}
	for (size_t i = 0; i < sizeof fs_refused / sizeof fs_refused[0]; i++) {
		const struct fs_refused *r = &fs_refused[i];

		if ((uint32_t)info.f_type == r->magic && !(r->kind == FS_MEMORY && allow_memory))
			return fs_refuse(r, path, error);
	}
	return 0;
}

static int fs_sync_directory(const char *path)
{
	int result, saved, fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return -1;
	result = fsync(fd);
	saved = errno;
	(void)close(fd);
	errno = saved;
	return result;
}

/* One directory whose parent exists. */
static int fs_make_one(const char *path, unsigned mode, struct tenure_error *error)
{
	char parent[PATH_MAX];
	int code = fs_copy_path(parent, path, error);
	struct stat info;

	if (code != 0)
		return code;
	if (mkdir(path, (mode_t)mode) != 0) {
		if (errno == EEXIST && stat(path, &info) == 0 && S_ISDIR(info.st_mode))
			return 0;
		return error_set(error, TENURE_EIO, errno == EEXIST ? ENOTDIR : errno, "cannot make the directory %s",
		                 path);
	}
	if (!fs_parent(parent) || fs_sync_directory(parent) == 0)
		return 0;
	return error_set(error, error_code_of_errno(errno), errno, "cannot make the directory %s durable", path);
}

int fs_make_directories(const char *path, unsigned mode, struct tenure_error *error)
{
	char at[PATH_MAX];
	struct stat info;
	int code = fs_copy_path(at, path, error);

	if (code != 0 || (stat(at, &info) == 0 && S_ISDIR(info.st_mode)))
		return code;
	for (char *p = at + 1; code == 0 && *p != '\0'; p++) {
		if (*p != '/' || p[-1] == '/')
			continue;
		*p = '\0';
		code = fs_make_one(at, mode, error);
		*p = '/';
	}
	return code != 0 ? code : fs_make_one(at, mode, error);
}

ssize_t fs_pread(int fd, void *to, size_t n_bytes)
{
	size_t done = 0;

	while (done < n_bytes) {
		ssize_t n = pread(fd, (unsigned char *)to + done, n_bytes - done, (off_t)done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

int fs_pwrite(int fd, const void *from, size_t n_bytes, off_t at)
{
	size_t done = 0;

	while (done < n_bytes) {
		ssize_t n = pwrite(fd, (const unsigned char *)from + done, n_bytes - done, at + (off_t)done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			errno = n < 0 ? errno : EIO;
			return -1;
		}
		done += (size_t)n;
	}
	return 0;
}
