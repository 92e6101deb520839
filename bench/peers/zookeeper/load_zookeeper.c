/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Elections by ZooKeeper's own C client and its lock recipe: an ephemeral sequential node, the lowest one leads, the
 * others watch their predecessor alone. A create whose answer was lost is found again by a name of its own.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <zookeeper/zookeeper.h>

#include "bench.h"
#include "load.h"

#define LZ_SEQUENCE   10u /* digits that the server appends */
#define LZ_PATH_ROOM  512
#define LZ_CONNECT_NS (20 * UINT64_C(1000000000))

struct lz;

struct lz_session {
	struct lz *all;
	zhandle_t *zh;
	bool connected;
	uint64_t silent_ns; /* since when it is not connected */
};

/* A candidate in one election. Its steps follow each other in the completion thread of its session. */
struct lz_bid {
	struct lz_session *session;
	char election[128], mark[64], node[LZ_PATH_ROOM];
	uint64_t began_ns;
	bool leads;
};

struct lz {
	struct load_options options;
	pthread_mutex_t mutex; /* guards what follows, and the sessions' and candidates' booleans */
	pthread_cond_t changed;
	unsigned n_connected, n_leading;
	struct lz_bid *leader; /* hand-over: the one that has just been elected */
	bool counting;
	struct load_result result;
	struct lz_session *sessions;
	struct lz_bid *bids;
	unsigned n_bids;
};

static void lz_enter(struct lz_bid *bid);
static void lz_list(struct lz_bid *bid);
static void lz_leave(struct lz_bid *bid);

/* The client's callbacks carry constant data. */
static struct lz_bid *lz_bid_of(const void *data)
{
	return (struct lz_bid *)(uintptr_t)data;
}

static void lz_must(int rc, const char *what)
{
	if (rc != ZOK)
		bench_die(what, zerror(rc));
}

/* What became of a call: 1 go on, 0 make it again (the connection was lost), -1 the session is being closed. */
static int lz_judge(int rc, int also, const char *what)
{
	if (rc == ZCLOSING)
		return -1;
	if (rc == ZCONNECTIONLOSS || rc == ZOPERATIONTIMEOUT)
		return 0;
	if (rc != ZOK && rc != also)
		bench_die(what, zerror(rc));
	return 1;
}

static void lz_elected(struct lz_bid *bid)
{
	struct lz *all = bid->session->all;
	uint64_t now_ns = bench_now_ns();
	bool again;

	pthread_mutex_lock(&all->mutex);
	if (!bid->leads)
		all->n_leading++;
	bid->leads = true;
	again = all->counting && all->options.mode == LOAD_CYCLES && now_ns < all->result.until_ns;
	if (again)
		load_cycle(&all->result, bid->began_ns, now_ns);
	if (all->options.mode == LOAD_HANDOVER) {
		load_instant(&all->result.led, now_ns);
		all->leader = bid;
	}
	if (all->options.mode == LOAD_FAILOVER)
		load_say("leading");
	pthread_cond_broadcast(&all->changed);
	pthread_mutex_unlock(&all->mutex);
	if (again) {
		bid->began_ns = now_ns;
		lz_leave(bid);
	}
}

static const char *lz_sequence(const char *name)
{
	size_t length = strlen(name);

	return length > LZ_SEQUENCE ? name + length - LZ_SEQUENCE : name;
}

static void lz_predecessor_event(zhandle_t *zh, int type, int state, const char *path, void *arg)
{
	(void)zh, (void)state, (void)path;
	if (type != ZOO_SESSION_EVENT)
		lz_list(arg);
}

static void lz_watched(int rc, const struct Stat *stat, const void *data)
{
	int go_on = lz_judge(rc, ZNONODE, "exists");

	(void)stat;
	/* Gone before it could be watched. */
	if (go_on == 0 || (go_on > 0 && rc == ZNONODE))
		lz_list(lz_bid_of(data));
	else if (go_on > 0 && lz_bid_of(data)->session->all->options.mode == LOAD_FAILOVER)
		load_say("waiting");
}

static void lz_listed(int rc, const struct String_vector *names, const void *data)
{
	struct lz_bid *bid = lz_bid_of(data);
	const char *own = NULL, *before = NULL;
	char path[LZ_PATH_ROOM];
	int go_on = lz_judge(rc, ZOK, "get children");

	if (go_on <= 0) {
		if (go_on == 0)
			lz_list(bid);
		return;
	}
	for (int32_t i = 0; i < names->count; i++)
		if (strncmp(names->data[i], bid->mark, strlen(bid->mark)) == 0)
			own = names->data[i];
	if (!own) {
		lz_enter(bid);
		return;
	}
	(void)snprintf(bid->node, sizeof bid->node, "%s/%s", bid->election, own);
	for (int32_t i = 0; i < names->count; i++)
		if (strcmp(lz_sequence(names->data[i]), lz_sequence(own)) < 0 &&
		    (!before || strcmp(lz_sequence(names->data[i]), lz_sequence(before)) > 0))
			before = names->data[i];
	if (!before) {
		lz_elected(bid);
		return;
	}
	(void)snprintf(path, sizeof path, "%s/%s", bid->election, before);
	lz_must(zoo_awexists(bid->session->zh, path, lz_predecessor_event, bid, lz_watched, bid), "exists");
}

static void lz_list(struct lz_bid *bid)
{
	lz_must(zoo_aget_children(bid->session->zh, bid->election, 0, lz_listed, bid), "get children");
}

static void lz_entered(int rc, const char *path, const void *data)
{
	(void)path;
	/* Whether a create whose answer was lost took place, the list tells. */
	if (lz_judge(rc, ZOK, "create") >= 0)
		lz_list(lz_bid_of(data));
}

static void lz_enter(struct lz_bid *bid)
{
	const char *id = bid->session->all->options.id;
	char path[LZ_PATH_ROOM];

	(void)snprintf(path, sizeof path, "%s/%s", bid->election, bid->mark);
	lz_must(zoo_acreate(bid->session->zh, path, id, (int)strlen(id), &ZOO_OPEN_ACL_UNSAFE, ZOO_EPHEMERAL_SEQUENTIAL,
	                    lz_entered, bid),
	        "create");
}

static void lz_left(int rc, const void *data)
{
	int go_on = lz_judge(rc, ZNONODE, "delete");

	if (go_on > 0)
		lz_enter(lz_bid_of(data));
	else if (go_on == 0)
		lz_leave(lz_bid_of(data));
}

static void lz_leave(struct lz_bid *bid)
{
	lz_must(zoo_adelete(bid->session->zh, bid->node, -1, lz_left, bid), "delete");
}

static void lz_parent_made(int rc, const char *path, const void *data)
{
	(void)path;
	if (lz_judge(rc, ZNODEEXISTS, "create the election") >= 0)
		lz_enter(lz_bid_of(data));
}

static void lz_session_event(zhandle_t *zh, int type, int state, const char *path, void *arg)
{
	struct lz_session *session = arg;
	struct lz *all = session->all;
	bool connected = state == ZOO_CONNECTED_STATE;

	(void)zh, (void)path;
	if (type != ZOO_SESSION_EVENT)
		return;
	if (state == ZOO_EXPIRED_SESSION_STATE || state == ZOO_AUTH_FAILED_STATE)
		bench_die("session", "expired");
	pthread_mutex_lock(&all->mutex);
	if (connected && !session->connected) {
		all->n_connected++;
		if (all->counting && session->silent_ns > 0)
			load_gap(&all->result, session->silent_ns, bench_now_ns());
	} else if (!connected && session->connected) {
		all->n_connected--;
		session->silent_ns = bench_now_ns();
	}
	session->connected = connected;
	pthread_cond_broadcast(&all->changed);
	pthread_mutex_unlock(&all->mutex);
}

static void lz_connect(struct lz *all)
{
	all->sessions = calloc(all->options.sessions, sizeof *all->sessions);
	if (!all->sessions)
		bench_die("calloc", "out of memory");
	for (unsigned i = 0; i < all->options.sessions; i++) {
		all->sessions[i].all = all;
		all->sessions[i].zh = zookeeper_init(all->options.store, lz_session_event, (int)all->options.ttl_ms,
		                                     NULL, &all->sessions[i], 0);
		if (!all->sessions[i].zh)
			bench_die("zookeeper_init", "failed");
	}
	pthread_mutex_lock(&all->mutex);
	while (all->n_connected < all->options.sessions)
		pthread_cond_wait(&all->changed, &all->mutex);
	pthread_mutex_unlock(&all->mutex);
	all->result.ttl_ms = (uint64_t)zoo_recv_timeout(all->sessions[0].zh);
}

/* In hand-over and fail-over all candidates stand in one election, PREFIX itself. */
static void lz_campaign(struct lz *all)
{
	bool one = all->options.mode == LOAD_HANDOVER || all->options.mode == LOAD_FAILOVER;

	all->bids = calloc(all->n_bids, sizeof *all->bids);
	if (!all->bids)
		bench_die("calloc", "out of memory");
	for (unsigned i = 0; i < all->n_bids; i++) {
		struct lz_bid *bid = &all->bids[i];
		char name[100];

		load_election(&all->options, i, name, sizeof name);
		(void)snprintf(bid->election, sizeof bid->election, "/%s", one ? all->options.prefix : name);
		(void)snprintf(bid->mark, sizeof bid->mark, "%d.%u-", (int)getpid(), i);
		bid->session = &all->sessions[i % all->options.sessions];
		lz_must(zoo_acreate(bid->session->zh, bid->election, "", 0, &ZOO_OPEN_ACL_UNSAFE, ZOO_PERSISTENT,
		                    lz_parent_made, bid),
		        "create the election");
	}
}

static void lz_await_all(struct lz *all)
{
	pthread_mutex_lock(&all->mutex);
	while (all->n_leading < all->n_bids)
		pthread_cond_wait(&all->changed, &all->mutex);
	pthread_mutex_unlock(&all->mutex);
}

static void lz_begin(struct lz *all)
{
	pthread_mutex_lock(&all->mutex);
	all->counting = true;
	load_begin(&all->result, &all->options);
	pthread_mutex_unlock(&all->mutex);
}

static void lz_sleep_until(uint64_t until_ns)
{
	uint64_t now_ns = bench_now_ns();

	if (now_ns < until_ns)
		bench_nap_us((long)((until_ns - now_ns) / 1000));
}

static void lz_cycles(struct lz *all)
{
	lz_begin(all);
	for (unsigned i = 0; i < all->n_bids; i++) {
		all->bids[i].began_ns = bench_now_ns();
		lz_leave(&all->bids[i]);
	}
	lz_sleep_until(all->result.until_ns);
}

/* Elections renewed: a session renews what it carries by a ping each third of its timeout, out of the program's sight. */
static void lz_hold(struct lz *all)
{
	lz_begin(all);
	lz_sleep_until(all->result.until_ns);
	pthread_mutex_lock(&all->mutex);
	all->result.n = all->n_bids * UINT64_C(3000) * all->options.seconds / all->result.ttl_ms;
	pthread_mutex_unlock(&all->mutex);
}

static void lz_handover(struct lz *all)
{
	lz_begin(all);
	lz_campaign(all);
	while (bench_now_ns() < all->result.until_ns) {
		struct timespec limit;
		struct lz_bid *leader;

		(void)clock_gettime(CLOCK_REALTIME, &limit);
		limit.tv_sec++;
		pthread_mutex_lock(&all->mutex);
		if (!all->leader)
			(void)pthread_cond_timedwait(&all->changed, &all->mutex, &limit);
		leader = all->leader;
		all->leader = NULL;
		pthread_mutex_unlock(&all->mutex);
		if (!leader)
			continue;
		bench_nap_us((long)all->options.hold_us);
		pthread_mutex_lock(&all->mutex);
		load_instant(&all->result.resigned, bench_now_ns());
		pthread_mutex_unlock(&all->mutex);
		lz_leave(leader);
	}
}

static void lz_close(struct lz *all)
{
	for (unsigned i = 0; i < all->options.sessions; i++)
		(void)zookeeper_close(all->sessions[i].zh);
	free(all->sessions);
	free(all->bids);
}

int main(int argc, char **argv)
{
	static struct lz all = { .mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };
	bool go;

	load_parse(&all.options, argc, argv);
	zoo_set_debug_level(ZOO_LOG_LEVEL_ERROR);
	lz_connect(&all);
	all.n_bids = all.options.mode == LOAD_HANDOVER   ? all.options.sessions
	             : all.options.mode == LOAD_FAILOVER ? 1
	                                                 : all.options.elections;
	if (all.options.mode == LOAD_FAILOVER)
		printf("{\"event\":\"opened\",\"ttl_ms\":%llu}\n", (unsigned long long)all.result.ttl_ms);
	if (all.options.mode != LOAD_HANDOVER)
		lz_campaign(&all);
	if (all.options.mode == LOAD_CYCLES || all.options.mode == LOAD_HOLD)
		lz_await_all(&all);
	if (all.options.mode != LOAD_FAILOVER)
		load_say_ready();
	go = load_read_go();
	if (go && all.options.mode == LOAD_CYCLES)
		lz_cycles(&all);
	else if (go && all.options.mode == LOAD_HOLD)
		lz_hold(&all);
	else if (go && all.options.mode == LOAD_HANDOVER)
		lz_handover(&all);
	if (go && all.options.mode != LOAD_FAILOVER) {
		pthread_mutex_lock(&all.mutex);
		all.counting = false;
		load_print(&all.result);
		pthread_mutex_unlock(&all.mutex);
	}
	lz_close(&all);
	return 0;
}
