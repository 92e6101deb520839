/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture.h"

#include <errno.h>
#include <ftw.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "quorum_kit.h"

/* ---- the stores ---- */

static int fixture_unlink(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

void fixture_remove(const char *path)
{
	(void)nftw(path, fixture_unlink, 16, FTW_DEPTH | FTW_PHYS);
}

void fixture_directory(char path[FIXTURE_URL_ROOM])
{
	const char *base = getenv("TMPDIR");

	(void)snprintf(path, FIXTURE_URL_ROOM, "%s/tenure-test-XXXXXX", base ? base : "/var/tmp");
	assert_non_null(mkdtemp(path));
}

static void fixture_file_url(char url[FIXTURE_URL_ROOM])
{
	char path[FIXTURE_URL_ROOM];

	fixture_directory(path);
	(void)snprintf(url, FIXTURE_URL_ROOM, "file:%.400s", path);
}

static void fixture_file_gone(const char *url)
{
	fixture_remove(url + strlen("file:"));
}

static void fixture_toy_url(char url[FIXTURE_URL_ROOM])
{
	static unsigned n;

	(void)snprintf(url, FIXTURE_URL_ROOM, "toy:box-%u", ++n);
}

static void fixture_toy_gone(const char *url)
{
	(void)url;
}

static const struct fixture_store fixture_stores[] = {
	{ "file",
	  HAS_LIST | HAS_ASK | HAS_PRIORITY | HAS_VALUE | HAS_OBSERVE | HAS_ENDLESS_LEASE | HAS_PROCESSES |
	          HAS_DURABILITY,
	  fixture_file_url, fixture_file_gone },
	{ "quorum", HAS_LIST | HAS_ASK | HAS_PRIORITY | HAS_VALUE | HAS_OBSERVE | HAS_PROCESSES | HAS_DURABILITY,
	  cluster_fixture_url, cluster_fixture_gone },
	{ "toy", HAS_DURABILITY, fixture_toy_url, fixture_toy_gone },
};

static const struct fixture_store *fixture_store;

bool fixture_choose(const char *name)
{
	for (size_t i = 0; i < sizeof fixture_stores / sizeof fixture_stores[0]; i++)
		if (strcmp(fixture_stores[i].name, name) == 0)
			fixture_store = &fixture_stores[i];
	return fixture_store != NULL;
}

bool fixture_has(unsigned features)
{
	return (fixture_store->features & features) == features;
}

const char *fixture_name(void)
{
	return fixture_store->name;
}

int fixture_setup(void **state)
{
	char *url = malloc(FIXTURE_URL_ROOM);

	if (!url)
		return -1;
	fixture_store->url(url);
	*state = url;
	return 0;
}

int fixture_teardown(void **state)
{
	fixture_store->gone(*state);
	free(*state);
	return 0;
}

/* ---- recorded events ---- */

void recorder_init(struct recorder *r)
{
	pthread_condattr_t attr;

	memset(r, 0, sizeof *r);
	(void)pthread_mutex_init(&r->mutex, NULL);
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&r->changed, &attr);
	(void)pthread_condattr_destroy(&attr);
}

void recorder_event(void *arg, const struct tenure_event *e)
{
	struct recorder *r = arg;
	struct recorded *to;

	(void)pthread_mutex_lock(&r->mutex);
	if (r->n < RECORDER_ROOM) {
		to = &r->events[r->n++];
		*to = (struct recorded) { .type = e->type,
			                  .from = e->from,
			                  .to = e->to,
			                  .cause = e->cause,
			                  .health = e->health,
			                  .seq = e->seq,
			                  .token = e->token,
			                  .deadline_ns = e->deadline_ns,
			                  .has_leader = e->leader_id != NULL,
			                  .value_bytes = e->value_bytes,
			                  .code = e->error ? e->error->code : 0 };
		(void)snprintf(to->leader, sizeof to->leader, "%s", e->leader_id ? e->leader_id : "");
		(void)snprintf(to->election, sizeof to->election, "%s", e->election);
		(void)snprintf(to->message, sizeof to->message, "%s", e->error ? e->error->message : "");
		if (e->value)
			memcpy(to->value, e->value,
			       e->value_bytes < sizeof to->value ? e->value_bytes : sizeof to->value);
	}
	(void)pthread_cond_broadcast(&r->changed);
	(void)pthread_mutex_unlock(&r->mutex);
}

static struct timespec fixture_limit(void)
{
	struct timespec until;

	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += (time_t)(GENEROUS / SECONDS(1));
	return until;
}

size_t recorder_await(struct recorder *r, size_t from, recorder_fits *fits, const void *wanted)
{
	struct timespec until = fixture_limit();
	size_t i = from, found = SIZE_MAX;
	int late = 0;

	(void)pthread_mutex_lock(&r->mutex);
	while (found == SIZE_MAX && late == 0) {
		for (; i < r->n && found == SIZE_MAX; i++)
			if (fits(&r->events[i], wanted))
				found = i;
		if (found == SIZE_MAX)
			late = pthread_cond_timedwait(&r->changed, &r->mutex, &until);
	}
	(void)pthread_mutex_unlock(&r->mutex);
	if (found == SIZE_MAX)
		fail_msg("the event did not come; %zu others did", recorder_count(r));
	return found;
}

static bool recorder_fits_state(const struct recorded *e, const void *wanted)
{
	return e->type == TENURE_EV_STATE && e->to == *(const enum tenure_state *)wanted;
}

size_t recorder_await_state(struct recorder *r, size_t from, enum tenure_state to)
{
	return recorder_await(r, from, recorder_fits_state, &to);
}

static bool recorder_fits_type(const struct recorded *e, const void *wanted)
{
	return e->type == *(const enum tenure_event_type *)wanted;
}

size_t recorder_await_type(struct recorder *r, size_t from, enum tenure_event_type type)
{
	return recorder_await(r, from, recorder_fits_type, &type);
}

static bool recorder_fits_leader(const struct recorded *e, const void *wanted)
{
	const char *id = wanted;

	return e->type == TENURE_EV_LEADER && e->has_leader == (id != NULL) && (!id || strcmp(e->leader, id) == 0);
}

size_t recorder_await_leader(struct recorder *r, size_t from, const char *id)
{
	return recorder_await(r, from, recorder_fits_leader, id);
}

size_t recorder_count(struct recorder *r)
{
	size_t n;

	(void)pthread_mutex_lock(&r->mutex);
	n = r->n;
	(void)pthread_mutex_unlock(&r->mutex);
	return n;
}

struct recorded recorder_at(struct recorder *r, size_t index)
{
	struct recorded e;

	(void)pthread_mutex_lock(&r->mutex);
	assert_true(index < r->n);
	e = r->events[index];
	(void)pthread_mutex_unlock(&r->mutex);
	return e;
}

/* ---- candidates ---- */

static struct tenure *fixture_open(const char *url, const char *id, bool embedded)
{
	struct tenure_options options = TENURE_OPTIONS_INIT;
	struct tenure_error error = TENURE_ERROR_INIT;
	struct tenure *t = NULL;

	options.id = id;
	options.embedded = embedded;
	if (tenure_open(&t, url, &options, &error) != 0)
		fail_msg("cannot open %s: %s", url, error.message);
	return t;
}

struct tenure *open_session(const char *url, const char *id)
{
	return fixture_open(url, id, false);
}

struct tenure *open_embedded(const char *url, const char *id)
{
	return fixture_open(url, id, true);
}

void close_session(struct tenure *t)
{
	assert_int_equal(tenure_close(t, GENEROUS), 0);
}

struct tenure_candidacy *campaign_with(struct tenure *t, const char *election,
                                       const struct tenure_campaign_options *options)
{
	struct tenure_error error = TENURE_ERROR_INIT;
	struct tenure_candidacy *c = NULL;

	if (tenure_campaign(t, election, options, &c, &error) != 0)
		fail_msg("cannot campaign in %s: %s", election, error.message);
	return c;
}

struct tenure_candidacy *campaign(struct tenure *t, const char *election)
{
	return campaign_with(t, election, NULL);
}

void await_state(struct tenure_candidacy *c, unsigned states)
{
	int code = tenure_wait(c, states, GENEROUS);

	if (code != 0)
		fail_msg("waited for states %u, is in %d: %s", states, (int)tenure_state_of(c, NULL),
		         tenure_strerror(code));
}

uint64_t await_lead(struct tenure_candidacy *c)
{
	struct tenure_grant grant = { 0 };

	await_state(c, TENURE_LEADING | TENURE_AT_RISK);
	assert_true(tenure_leads(c, &grant));
	assert_true(grant.token >= 1 && grant.token <= (uint64_t)TENURE_TOKEN_MAX);
	assert_true(grant.now_ns < grant.deadline_ns);
	return grant.token;
}

void await_waiting(struct tenure *t, const char *election, size_t n)
{
	uint64_t end = now_ns() + GENEROUS;
	struct timespec moment = { .tv_nsec = 1000000 };
	size_t found = SIZE_MAX;

	while (now_ns() < end && found != n) {
		struct tenure_status *status;

		assert_int_equal(tenure_read(t, election, GENEROUS, &status, NULL), 0);
		found = tenure_status_waiting(status, NULL, 0);
		tenure_status_free(status);
		if (found != n)
			(void)nanosleep(&moment, NULL);
	}
	assert_int_equal(found, n);
}

void drive(struct tenure *t)
{
	struct pollfd ready = { .fd = tenure_fd(t), .events = POLLIN };

	(void)poll(&ready, 1, 20);
	assert_int_equal(tenure_process(t), 0);
}

uint64_t now_ns(void)
{
	struct timespec now;

	assert_int_equal(clock_gettime(CLOCK_BOOTTIME, &now), 0);
	return (uint64_t)now.tv_sec * SECONDS(1) + (uint64_t)now.tv_nsec;
}

struct actor *actor_new(const char *url, const char *id, const char *election, struct tenure_campaign_options options)
{
	struct actor *a = malloc(sizeof *a);

	assert_non_null(a);
	recorder_init(&a->r);
	options.struct_size = sizeof options;
	options.on_event = recorder_event;
	options.arg = &a->r;
	a->t = open_session(url, id);
	a->c = campaign_with(a->t, election, &options);
	return a;
}

void actor_free(struct actor *a)
{
	close_session(a->t);
	free(a);
}

/* ---- the ledger ---- */

struct ledger *ledger_new(void)
{
	void *map = mmap(NULL, sizeof(struct ledger), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	assert_true(map != MAP_FAILED);
	return map;
}

void ledger_free(struct ledger *l)
{
	(void)munmap(l, sizeof *l);
}

void ledger_enter(struct ledger *l, int who, uint64_t token)
{
	uint32_t at = __atomic_fetch_add(&l->n, 1, __ATOMIC_SEQ_CST);

	if (__atomic_fetch_add(&l->inside, 1, __ATOMIC_SEQ_CST) != 0)
		(void)__atomic_fetch_add(&l->violations, 1, __ATOMIC_SEQ_CST);
	if (at < LEDGER_ROOM)
		l->rows[at] = (struct ledger_row) { .token = token, .begin_ns = now_ns(), .who = who };
}

void ledger_exit(struct ledger *l)
{
	uint32_t at = __atomic_load_n(&l->n, __ATOMIC_SEQ_CST) - 1;

	if (at < LEDGER_ROOM)
		l->rows[at].end_ns = now_ns();
	if (__atomic_fetch_sub(&l->inside, 1, __ATOMIC_SEQ_CST) != 1)
		(void)__atomic_fetch_add(&l->violations, 1, __ATOMIC_SEQ_CST);
}

void ledger_judge(const struct ledger *l, size_t n_expected)
{
	assert_int_equal(l->violations, 0);
	assert_int_equal(l->n, n_expected);
	for (size_t i = 1; i < l->n; i++) {
		assert_true(l->rows[i].token > l->rows[i - 1].token);
		assert_true(l->rows[i].begin_ns >= l->rows[i - 1].end_ns);
	}
}
