/* SPDX-License-Identifier: Apache-2.0 */
#include "loop/resolve.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define RESOLVE_HOST_ROOM   264
#define RESOLVE_STACK_BYTES ((size_t)256 * 1024)

struct resolve_job { /* of the thread and the loop; the last one frees it */
	_Atomic int owners;
	int fd; /* becomes readable when it is done */
	char host[RESOLVE_HOST_ROOM], port[8];
	struct addrinfo *found;
	int failed; /* EAI_… */
};

struct resolve {
	struct resolve_job *job;
	struct loop_watch *watch;
	resolve_fn *fn;
	void *arg;
};

static void resolve_job_release(struct resolve_job *job)
{
	if (atomic_fetch_sub(&job->owners, 1) != 1)
		return;
	if (job->found)
		freeaddrinfo(job->found);
	(void)close(job->fd);
	free(job);
}

static void *resolve_main(void *arg)
{
	static const struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV };
	struct resolve_job *job = arg;
	uint64_t one = 1;

	job->failed = getaddrinfo(job->host, job->port, &hints, &job->found);
	(void)!write(job->fd, &one, sizeof one);
	resolve_job_release(job);
	return NULL;
}

static int resolve_thread(struct resolve_job *job)
{
	pthread_attr_t attributes;
	sigset_t all, before;
	pthread_t thread;
	int failed;

	if (pthread_attr_init(&attributes) != 0)
		return TENURE_ENOMEM;
	(void)pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	(void)pthread_attr_setstacksize(&attributes, RESOLVE_STACK_BYTES);
	sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	failed = pthread_create(&thread, &attributes, resolve_main, job);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	(void)pthread_attr_destroy(&attributes);
	return failed ? TENURE_ELIMIT : 0;
}

static void resolve_on_done(void *arg)
{
	struct resolve *r = arg;
	struct addrinfo *found = r->job->found;
	uint64_t count;

	if (read(r->job->fd, &count, sizeof count) != (ssize_t)sizeof count)
		return;
	r->job->found = NULL;
	r->fn(r->arg, found, found ? NULL : gai_strerror(r->job->failed)); /* may free r */
}

int resolve_start(struct resolve **out, struct loop *l, const char *host, uint16_t port, resolve_fn *fn, void *arg)
{
	struct resolve *r = calloc(1, sizeof *r);
	struct resolve_job *job = calloc(1, sizeof *job);
	int code = TENURE_ENOMEM;

	if (!r || !job)
		goto out;
	(void)snprintf(job->host, sizeof job->host, "%s", host);
	(void)snprintf(job->port, sizeof job->port, "%u", port);
	job->owners = 1;
	job->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	*r = (struct resolve) { .job = job, .fn = fn, .arg = arg };
	code = job->fd < 0 ? TENURE_ELIMIT : loop_watch(l, job->fd, resolve_on_done, r, &r->watch);
	if (code == 0) {
		job->owners = 2;
		code = resolve_thread(job);
		if (code != 0)
			loop_unwatch(r->watch);
	}
	if (code != 0 && job->fd >= 0)
		(void)close(job->fd);
out:
	if (code != 0) {
		free(job);
		free(r);
		return code;
	}
	*out = r;
	return 0;
}

void resolve_free(struct resolve *r)
{
	if (!r)
		return;
	loop_unwatch(r->watch);
	resolve_job_release(r->job);
	free(r);
}
