/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A forked child must not keep its parent's leadership alive: it would hold the lock's open file description beyond the
 * parent's death. The only way into the child is pthread_atfork(), which can't be taken back and takes no argument:
 * hence the one list of the process, the only mutable variables at file scope in Tenure (style rule 8).
 */
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/list.h"
#include "client/session.h"

static pthread_mutex_t fork_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct list fork_sessions = { &fork_sessions, &fork_sessions };
static pthread_once_t fork_once = PTHREAD_ONCE_INIT;

static void fork_before(void)
{
	(void)pthread_mutex_lock(&fork_mutex);
	/* Each session's lock too: in the child its lists must be whole. */
	LIST_EACH (node, &fork_sessions)
		session_lock(LIST_OF(node, struct tenure, forked));
}

static void fork_unlock(void)
{
	LIST_EACH (node, &fork_sessions)
		session_unlock(LIST_OF(node, struct tenure, forked));
	(void)pthread_mutex_unlock(&fork_mutex);
}

static void fork_in_child(void)
{
	LIST_EACH (node, &fork_sessions) {
		struct tenure *t = LIST_OF(node, struct tenure, forked);

		if (t->ops->forked)
			t->ops->forked(t->store);
	}
	fork_unlock();
}

static void fork_install(void)
{
	(void)pthread_atfork(fork_before, fork_unlock, fork_in_child);
}

int fork_register(struct tenure *t)
{
	uint32_t *page = mmap(NULL, sizeof *page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (page == MAP_FAILED)
		return TENURE_ENOMEM;
	if (madvise(page, sizeof *page, MADV_WIPEONFORK) != 0) {
		(void)munmap(page, sizeof *page);
		return TENURE_EUNSUPPORTED;
	}
	*page = 1;
	t->alive = page;
	(void)pthread_once(&fork_once, fork_install);
	(void)pthread_mutex_lock(&fork_mutex);
	list_append(&fork_sessions, &t->forked);
	(void)pthread_mutex_unlock(&fork_mutex);
	return 0;
}

void fork_unregister(struct tenure *t)
{
	(void)pthread_mutex_lock(&fork_mutex);
	list_remove(&t->forked);
	(void)pthread_mutex_unlock(&fork_mutex);
	(void)munmap((void *)(uintptr_t)t->alive, sizeof *t->alive);
}
