/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The conformance suite's ground: which store it runs over, sessions, candidates with their events recorded, and a
 * ledger that shows whether two ever led at once. A store joins the suite by one row in fixture.c.
 */
#ifndef TENURE_TESTS_FIXTURE_H
#define TENURE_TESTS_FIXTURE_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#include <tenure/lease_page.h>
#include <tenure/tenure.h>

#define SECONDS(n)      ((uint64_t)(n)*1000000000U)
#define MILLISECONDS(n) ((uint64_t)(n)*1000000U)
/* What no healthy machine needs: a test that waits so long has failed. */
#define GENEROUS SECONDS(30)
/* To see that something does not happen. Being slow can only hide a defect, never invent one. */
#define BRIEFLY MILLISECONDS(150)

enum fixture_feature {
	HAS_LIST = 1,
	HAS_ASK = 2,
	HAS_PRIORITY = 4,
	HAS_VALUE = 8,
	HAS_OBSERVE = 16,
	HAS_ENDLESS_LEASE = 32,
	HAS_PROCESSES = 64,   /* other processes may take part */
	HAS_DURABILITY = 128, /* tokens go on when all sessions were closed */
};

#define FIXTURE_URL_ROOM 512

struct fixture_store { /* a row: url() makes a fresh, empty store; gone() removes it */
	const char *name;
	unsigned features;
	void (*url)(char url[FIXTURE_URL_ROOM]);
	void (*gone)(const char *url);
};

/* Which store the program was started for. */
bool fixture_choose(const char *name);
bool fixture_has(unsigned features);
const char *fixture_name(void);
/* cmocka's set-up and tear-down: *state is the URL of a fresh store. */
int fixture_setup(void **state);
int fixture_teardown(void **state);
/* A new directory below TMPDIR on a disk, removed with all that is in it. */
void fixture_directory(char path[FIXTURE_URL_ROOM]);
void fixture_remove(const char *path);

/* ---- recorded events ---- */

#define RECORDER_ROOM 512

struct recorded {
	enum tenure_event_type type;
	enum tenure_state from, to;
	enum tenure_cause cause;
	enum tenure_health health;
	uint64_t seq, token, deadline_ns;
	bool has_leader;
	char leader[96];
	size_t value_bytes;
	char value[64]; /* as much as fits */
	int code;
	char message[256];
	char election[64];
};

struct recorder {
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	size_t n;
	struct recorded events[RECORDER_ROOM];
};

void recorder_init(struct recorder *r);
tenure_event_fn recorder_event; /* arg: the recorder */
typedef bool recorder_fits(const struct recorded *e, const void *wanted);
/* The index of the first event from `from` on that fits; fails the test when none comes. */
size_t recorder_await(struct recorder *r, size_t from, recorder_fits *fits, const void *wanted);
size_t recorder_await_state(struct recorder *r, size_t from, enum tenure_state to);
size_t recorder_await_type(struct recorder *r, size_t from, enum tenure_event_type type);
/* EV_LEADER with this label; NULL: nobody. */
size_t recorder_await_leader(struct recorder *r, size_t from, const char *id);
size_t recorder_count(struct recorder *r);
struct recorded recorder_at(struct recorder *r, size_t index);

/* ---- candidates ---- */

struct tenure *open_session(const char *url, const char *id);
struct tenure *open_embedded(const char *url, const char *id);
void close_session(struct tenure *t);
struct tenure_candidacy *campaign(struct tenure *t, const char *election);
struct tenure_candidacy *campaign_with(struct tenure *t, const char *election,
                                       const struct tenure_campaign_options *options);
void await_state(struct tenure_candidacy *c, unsigned states);
uint64_t await_lead(struct tenure_candidacy *c); /* the token */
/* Until `n` wait in the election, whoever leads. */
void await_waiting(struct tenure *t, const char *election, size_t n);
/* One turn of an embedded session, waiting at most a moment for work. */
void drive(struct tenure *t);
uint64_t now_ns(void);

struct actor { /* a session with one candidacy, recorded */
	struct tenure *t;
	struct tenure_candidacy *c;
	struct recorder r;
};
struct actor *actor_new(const char *url, const char *id, const char *election, struct tenure_campaign_options options);
void actor_free(struct actor *a);

/* ---- the ledger: who led when, shared among threads and forked processes ---- */

#define LEDGER_ROOM 4096

struct ledger_row {
	uint64_t token, begin_ns, end_ns;
	int who;
};

struct ledger {
	uint32_t n, inside;  /* inside: how many lead just now */
	uint32_t violations; /* two at once */
	struct ledger_row rows[LEDGER_ROOM];
};

struct ledger *ledger_new(void); /* in memory that children share */
void ledger_free(struct ledger *l);
void ledger_enter(struct ledger *l, int who, uint64_t token);
void ledger_exit(struct ledger *l);
/* Tokens strictly rise in the order of entry, and nobody ever was inside with another. */
void ledger_judge(const struct ledger *l, size_t n_expected);

/* A child reports with its exit code: cmocka's failures are for the parent. */
#define EXPECT(condition)                                                                                              \
	do {                                                                                                           \
		if (!(condition)) {                                                                                    \
			(void)dprintf(2, "# child: %s failed in line %d\n", #condition, __LINE__);                     \
			_exit(1);                                                                                      \
		}                                                                                                      \
	} while (0)

/* The tests of each file. */
struct fixture_tests {
	const struct CMUnitTest *tests;
	size_t n;
};
struct fixture_tests conform_elect(void), conform_handover(void), conform_observe(void), conform_call(void),
        conform_embedded(void), conform_process(void), conform_end(void), conform_lease(void);

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
#define TESTS_OF(function, table)                                                                                      \
	struct fixture_tests function(void)                                                                            \
	{                                                                                                              \
		return (struct fixture_tests) { table, sizeof(table) / sizeof(table)[0] };                             \
	}

#endif
