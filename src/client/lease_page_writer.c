/* SPDX-License-Identifier: Apache-2.0 */
#include "client/lease_page_writer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"

_Static_assert(sizeof(struct tenure_lease_page) == 64, "the layout is public");

static uint64_t lease_page_writer_time_ns(void)
{
	struct stat st;

	return stat("/proc/self/ns/time", &st) == 0 ? (uint64_t)st.st_ino : 0;
}

/* Opens the file to be mapped for writing; *read_fd is what others are given. */
static int lease_page_writer_file(const char *path, int *read_fd, struct tenure_error *error)
{
	int fd = path ? open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0444)
	              : memfd_create("tenure-lease", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int code = error_code_of_errno(errno);

	if (fd < 0)
		return error_set(error, code, errno, "cannot make the lease page %s", path ? path : "in memory");
	/* Whoever runs the program may let it drop to another user: whatever the umask, it can read the page. */
	if ((!path || fchmod(fd, 0444) == 0) && ftruncate(fd, sizeof(struct tenure_lease_page)) == 0) {
		*read_fd = path ? open(path, O_RDONLY | O_CLOEXEC) : fd;
		if (*read_fd >= 0)
			return fd;
	}
	code = error_set(error, TENURE_EIO, errno, "cannot make the lease page %s", path ? path : "in memory");
	if (path)
		(void)unlink(path);
	(void)close(fd);
	return code;
}

int lease_page_writer_open(struct lease_page_writer *w, const char *path, uint64_t token, uint64_t deadline_ns,
                           struct tenure_error *error)
{
	int read_fd = -1, fd = lease_page_writer_file(path, &read_fd, error);
	void *map;

	*w = (struct lease_page_writer) { .fd = -1 };
	if (fd < 0)
		return fd;
	map = mmap(NULL, sizeof *w->page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	/* After the seal this mapping is the only one that can ever write (CONTRACT: the descriptor is read-only). */
	if (map == MAP_FAILED ||
	    (!path && fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)) {
		int code = error_set(error, TENURE_EIO, errno, "cannot map the lease page");

		if (map != MAP_FAILED)
			(void)munmap(map, sizeof *w->page);
		if (path)
			(void)unlink(path);
		(void)close(fd);
		if (read_fd != fd)
			(void)close(read_fd);
		return code;
	}
	if (read_fd != fd)
		(void)close(fd);
	*w = (struct lease_page_writer) { .fd = read_fd, .page = map };
	w->page->version = TENURE_LEASE_PAGE_VERSION;
	w->page->token = token;
	w->page->time_ns_inode = lease_page_writer_time_ns();
	w->page->state = TENURE_LEADING;
	__atomic_store_n(&w->page->deadline_ns, deadline_ns, __ATOMIC_RELEASE);
	__atomic_store_n(&w->page->magic, TENURE_LEASE_PAGE_MAGIC, __ATOMIC_RELEASE);
	return 0;
}

void lease_page_writer_extend(struct lease_page_writer *w, uint64_t deadline_ns)
{
	uint64_t now_ns;

	if (!w->page)
		return;
	now_ns = __atomic_load_n(&w->page->deadline_ns, __ATOMIC_ACQUIRE);
	/* An ended page stays ended: 0 is never replaced. */
	while (now_ns != 0 && deadline_ns > now_ns)
		if (__atomic_compare_exchange_n(&w->page->deadline_ns, &now_ns, deadline_ns, false, __ATOMIC_RELEASE,
		                                __ATOMIC_ACQUIRE))
			break;
}

void lease_page_writer_state(struct lease_page_writer *w, enum tenure_state state)
{
	if (w->page)
		__atomic_store_n(&w->page->state, (uint32_t)state, __ATOMIC_RELEASE);
}

void lease_page_writer_end(struct lease_page_writer *w)
{
	if (!w->page)
		return;
	__atomic_store_n(&w->page->deadline_ns, 0, __ATOMIC_SEQ_CST);
	__atomic_store_n(&w->page->state, (uint32_t)TENURE_ENDED, __ATOMIC_RELEASE);
}

void lease_page_writer_close(struct lease_page_writer *w)
{
	lease_page_writer_end(w);
	if (w->page)
		(void)munmap(w->page, sizeof *w->page);
	if (w->fd >= 0)
		(void)close(w->fd);
	*w = (struct lease_page_writer) { .fd = -1 };
}
