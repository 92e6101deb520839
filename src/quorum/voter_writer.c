/* SPDX-License-Identifier: Apache-2.0 */
#include "quorum/voter_writer.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/error.h"

struct voter_writer {
	struct voter_disk *disk;
	struct loop_watch *watch;
	voter_writer_fn *fn;
	void *arg;
	int fd; /* tells the loop */
	bool busy, joined;
	struct voter_writer_stats stats;
	pthread_t thread;
	pthread_mutex_t mutex; /* what follows */
	pthread_cond_t work, over;
	bool asked, done, quit, ended;
	struct superblock next;
	int code;
	struct tenure_error error;
};

static void *voter_writer_main(void *arg)
{
	struct voter_writer *w = arg;
	uint64_t one = 1;

	(void)pthread_mutex_lock(&w->mutex);
	while (!w->quit || w->asked) {
		struct tenure_error error = TENURE_ERROR_INIT;
		int code;

		if (!w->asked) {
			(void)pthread_cond_wait(&w->work, &w->mutex);
			continue;
		}
		w->asked = false;
		/* `next` is not touched by the loop until this write was told. */
		(void)pthread_mutex_unlock(&w->mutex);
		code = voter_disk_write(w->disk, &w->next, &error);
		(void)pthread_mutex_lock(&w->mutex);
		w->code = code;
		w->error = error;
		w->done = true;
		(void)!write(w->fd, &one, sizeof one);
	}
	w->ended = true;
	(void)pthread_cond_signal(&w->over);
	(void)pthread_mutex_unlock(&w->mutex);
	return NULL;
}

/* true: a write has ended; its result. */
static bool voter_writer_take(struct voter_writer *w, int *code, struct tenure_error *error)
{
	bool done;
	uint64_t took_ns;

	(void)pthread_mutex_lock(&w->mutex);
	done = w->done;
	w->done = false;
	*code = w->code;
	error_copy(error, &w->error);
	(void)pthread_mutex_unlock(&w->mutex);
	if (!done)
		return false;
	took_ns = clock_now_or_zero_ns() - w->stats.busy_since_ns;
	w->busy = false;
	w->stats.busy_since_ns = 0;
	w->stats.n_writes++;
	w->stats.last_ns = took_ns;
	w->stats.total_ns += took_ns;
	if (took_ns > w->stats.longest_ns)
		w->stats.longest_ns = took_ns;
	return true;
}

static void voter_writer_on_done(void *arg)
{
	struct voter_writer *w = arg;
	struct tenure_error error = TENURE_ERROR_INIT;
	uint64_t count;
	int code;

	(void)!read(w->fd, &count, sizeof count);
	if (voter_writer_take(w, &code, &error))
		w->fn(w->arg, code, &error);
}

static int voter_writer_start(struct voter_writer *w)
{
	sigset_t all, before;
	int failed;

	sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	failed = pthread_create(&w->thread, NULL, voter_writer_main, w);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	return failed;
}

int voter_writer_new(struct voter_writer **out, struct loop *l, struct voter_disk *disk, voter_writer_fn *fn, void *arg,
                     struct tenure_error *error)
{
	struct voter_writer *w = calloc(1, sizeof *w);
	pthread_condattr_t monotonic;
	int failed;

	if (!w)
		return error_set(error, TENURE_ENOMEM, 0, "no memory for the writer of the store");
	*w = (struct voter_writer) { .disk = disk, .fn = fn, .arg = arg };
	(void)pthread_mutex_init(&w->mutex, NULL);
	(void)pthread_cond_init(&w->work, NULL);
	(void)pthread_condattr_init(&monotonic);
	(void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&w->over, &monotonic);
	(void)pthread_condattr_destroy(&monotonic);
	w->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	failed = w->fd < 0 ? errno : 0;
	if (failed == 0 && loop_watch(l, w->fd, voter_writer_on_done, w, &w->watch) != 0)
		failed = ENOMEM;
	if (failed == 0)
		failed = voter_writer_start(w);
	if (failed != 0) {
		w->joined = true;
		voter_writer_free(w);
		return error_set(error, TENURE_ELIMIT, failed, "cannot start the writer of the store");
	}
	*out = w;
	return 0;
}

void voter_writer_write(struct voter_writer *w, const struct superblock *s)
{
	CHECK(!w->busy);
	w->busy = true;
	w->stats.busy_since_ns = clock_now_or_zero_ns();
	(void)pthread_mutex_lock(&w->mutex);
	w->next = *s;
	w->asked = true;
	(void)pthread_cond_signal(&w->work);
	(void)pthread_mutex_unlock(&w->mutex);
}

int voter_writer_end(struct voter_writer *w, uint64_t limit_ns, struct tenure_error *error)
{
	struct timespec until;
	int code = 0, late = 0;
	bool ended;

	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += (time_t)(limit_ns / CLOCK_NS_PER_S);
	(void)pthread_mutex_lock(&w->mutex);
	w->quit = true;
	(void)pthread_cond_signal(&w->work);
	while (!w->ended && late == 0)
		late = pthread_cond_timedwait(&w->over, &w->mutex, &until);
	ended = w->ended;
	(void)pthread_mutex_unlock(&w->mutex);
	if (!ended)
		return error_set(error, TENURE_TIMEOUT, 0, "the disk has not answered for %u s",
		                 (unsigned)(limit_ns / CLOCK_NS_PER_S));
	(void)pthread_join(w->thread, NULL);
	w->joined = true;
	loop_unwatch(w->watch);
	w->watch = NULL;
	(void)voter_writer_take(w, &code, error);
	return code;
}

void voter_writer_free(struct voter_writer *w)
{
	if (!w)
		return;
	CHECK(w->joined);
	loop_unwatch(w->watch);
	if (w->fd >= 0)
		(void)close(w->fd);
	(void)pthread_cond_destroy(&w->over);
	(void)pthread_cond_destroy(&w->work);
	(void)pthread_mutex_destroy(&w->mutex);
	free(w);
}

void voter_writer_read_stats(const struct voter_writer *w, struct voter_writer_stats *out)
{
	*out = w->stats;
}
