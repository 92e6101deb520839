/* SPDX-License-Identifier: Apache-2.0 */
/* What a voter costs: memory per election, and no allocation in the steady state. */
#include "voter_kit.h"

#include <malloc.h>
#include <stdio.h>

#define SESSIONS  50
#define ELECTIONS 1000 /* a session */

/* Allocations are counted: by the sanitizer's hooks where there is one, else in place of libc's names. */
static unsigned long n_allocations;

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#endif

#ifdef SANITIZED
int __sanitizer_install_malloc_and_free_hooks(void (*on_malloc)(const volatile void *, size_t),
                                              void (*on_free)(const volatile void *));

static void on_malloc(const volatile void *p, size_t n)
{
	(void)p;
	(void)n;
	n_allocations++;
}

static void on_free(const volatile void *p)
{
	(void)p;
}

static void count_allocations(void)
{
	assert_true(__sanitizer_install_malloc_and_free_hooks(on_malloc, on_free) > 0);
}
#else
/* glibc's own names. NOLINTNEXTLINE(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */
void *__libc_malloc(size_t n);
/* glibc's own names. NOLINTNEXTLINE(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */
void *__libc_calloc(size_t n, size_t each);
/* glibc's own names. NOLINTNEXTLINE(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */
void *__libc_realloc(void *p, size_t n);

void *malloc(size_t n)
{
	n_allocations++;
	return __libc_malloc(n);
}

void *calloc(size_t n, size_t each)
{
	n_allocations++;
	return __libc_calloc(n, each);
}

void *realloc(void *p, size_t n)
{
	n_allocations++;
	return __libc_realloc(p, n);
}

static void count_allocations(void)
{
}
#endif

/* One candidate with its frames made ahead, so that nothing but the voter allocates. */
struct talker {
	struct voter_peer *p;
	struct wire_out frame;
};

static void deliver(struct kit *k, struct talker *t)
{
	struct voter_peer *p;
	size_t n_consumed;

	assert_int_equal(voter_receive(k->v, t->p, k->now, t->frame.data + t->frame.begin, wire_out_pending(&t->frame),
	                               &n_consumed, NULL),
	                 VOTER_OK);
	assert_int_equal(n_consumed, wire_out_pending(&t->frame));
	while ((p = voter_next_to_send(k->v)))
		wire_out_sent(voter_peer_out(p), wire_out_pending(voter_peer_out(p)));
}

static void begin(struct talker *t)
{
	wire_out_reset(&t->frame);
	wire_out_begin(&t->frame, 1, 1);
}

static uint64_t greet(struct kit *k, struct talker *t, uint32_t number)
{
	struct wire_item hello = { .type = WIRE_HELLO };
	struct wire_frame f;
	struct wire_item answer;
	struct wire_out *o;
	size_t n;

	wire_out_init(&t->frame);
	begin(t);
	hello.hello =
	        (struct wire_hello) { .proto = WIRE_VERSION, .label = kit_text("x"), .session = true, .conn_no = 1 };
	memcpy(hello.hello.inc.bytes, &number, sizeof number);
	hello.hello.inc.bytes[15] = 1;
	wire_out_put(&t->frame, &hello);
	wire_out_close(&t->frame);
	t->p = voter_accept(k->v, NULL, k->now);
	assert_non_null(t->p);
	assert_int_equal(voter_receive(k->v, t->p, k->now, t->frame.data, t->frame.end, &n, NULL), VOTER_OK);
	assert_ptr_equal(voter_next_to_send(k->v), t->p);
	o = voter_peer_out(t->p);
	assert_int_equal(wire_frame_read(&f, o->data + o->begin, wire_out_pending(o), &n), WIRE_OK);
	assert_int_equal(wire_frame_item(&f, &answer), WIRE_OK);
	wire_out_sent(o, n);
	return answer.hello_r.sid;
}

static void open_all(struct kit *k, struct talker *t, uint32_t session, uint32_t n)
{
	struct wire_item open = { .type = WIRE_OPEN };
	char name[64];

	begin(t);
	for (open.handle = 0; open.handle < n; open.handle++) {
		(void)snprintf(name, sizeof name, "elections.are.named.like.this-%05u-%04u", session, open.handle);
		assert_int_equal(strlen(name), 40);
		open.open.name = kit_text(name);
		wire_out_put(&t->frame, &open);
	}
	wire_out_close(&t->frame);
	deliver(k, t);
}

/* The same item for every handle, one round. */
static void for_all(struct kit *k, struct talker *t, struct wire_item item, uint32_t n)
{
	begin(t);
	for (item.handle = 0; item.handle < n; item.handle++)
		wire_out_put(&t->frame, &item);
	wire_out_close(&t->frame);
	deliver(k, t);
}

static void free_talker(struct talker *t)
{
	wire_out_deinit(&t->frame);
}

static void an_election_that_is_held_costs_at_most_192_bytes(void **state)
{
	struct kit *k = kit_new(VOTER_FIRST);
	struct talker *t = calloc(SESSIONS, sizeof *t);
	uint64_t sids[SESSIONS];
	struct mallinfo2 before, after;
	struct voter_stats stats;
	size_t n_bytes;

	(void)state;
	assert_non_null(t);
	for (uint32_t i = 0; i < SESSIONS; i++) {
		sids[i] = greet(k, &t[i], i);
		/* Buffers of the connection are at their size before anything is measured. */
		for_all(k, &t[i], (struct wire_item) { .type = WIRE_NAMES }, 1);
	}
	before = mallinfo2();
	for (uint32_t i = 0; i < SESSIONS; i++) {
		open_all(k, &t[i], i, ELECTIONS);
		for_all(k, &t[i], (struct wire_item) { .type = WIRE_VOTE, .term = 1, .lease.ttl_ms = 1000 }, ELECTIONS);
		for_all(k, &t[i], (struct wire_item) { .type = WIRE_ATTACH, .term = 1, .attach.sid = sids[i] },
		        ELECTIONS);
		free_talker(&t[i]);
		wire_out_init(&t[i].frame);
		wire_out_deinit(voter_peer_out(t[i].p));
		wire_out_init(voter_peer_out(t[i].p));
	}
	after = mallinfo2();
	voter_read_stats(k->v, k->now, &stats);
	assert_int_equal(stats.held, SESSIONS * ELECTIONS);
	n_bytes = after.uordblks + after.hblkhd - before.uordblks - before.hblkhd;
#ifndef SANITIZED /* it has an allocator of its own */
	assert_in_range(n_bytes / ((size_t)SESSIONS * ELECTIONS), 100, 192);
#endif
	(void)n_bytes;
	free(t);
	kit_free(k);
}

static void nothing_is_allocated_in_the_steady_state(void **state)
{
	struct kit *k = kit_new(VOTER_FIRST);
	struct talker a = { 0 }, b = { 0 };
	uint64_t sid_a = greet(k, &a, 1), sid_b = greet(k, &b, 2);
	unsigned long before, own = 0;

	(void)state;
	open_all(k, &a, 0, ELECTIONS);
	open_all(k, &b, 0, ELECTIONS);
	for (unsigned round = 0; round < 40; round++) {
		uint64_t term = 2 * round + 1;
		struct wire_item items[] = {
			{ .type = WIRE_SESSION_RENEW, .renew.ttl_ms = 10000 },
			{ .type = WIRE_VOTE, .term = term, .lease.ttl_ms = 500 },
			{ .type = WIRE_ATTACH, .term = term },
			{ .type = WIRE_WAIT, .wait.priority = 0, .wait.ticket_ms = KIT_EPOCH_MS },
			{ .type = WIRE_PRE, .term = term + 1 },
			{ .type = WIRE_RELEASE, .term = term, .release.led = true },
			{ .type = WIRE_VOTE, .term = term + 1, .lease.ttl_ms = 500 },
			{ .type = WIRE_RENEW, .term = term + 1, .lease.ttl_ms = 600 },
			{ .type = WIRE_RELEASE, .term = term + 1, .release.led = true },
		};

		if (round == 3)
			own = 0; /* buffers and pools have their size */
		items[0].renew.sid = sid_a;
		items[2].attach.sid = sid_a;
		for (unsigned i = 0; i < sizeof items / sizeof items[0]; i++) {
			bool other = i == 3 || i == 4 || i > 5; /* b waits, and takes over */

			begin(other ? &b : &a);
			for (items[i].handle = 0; items[i].handle < ELECTIONS; items[i].handle++)
				wire_out_put(other ? &b.frame : &a.frame, &items[i]);
			wire_out_close(other ? &b.frame : &a.frame);
			before = n_allocations;
			deliver(k, other ? &b : &a);
			own += n_allocations - before;
		}
		k->now = kit_time(UINT64_C(100) * (round + 1));
		items[0].renew.sid = sid_b;
		before = n_allocations;
		voter_tick(k->v, k->now);
		own += n_allocations - before;
	}
	assert_true(n_allocations > 0); /* they are counted at all */
	assert_int_equal(own, 0);
	free_talker(&a);
	free_talker(&b);
	kit_free(k);
}

static void of_two_hundred_who_wait_one_is_nudged(void **state)
{
	enum { WAITING = 200 };
	struct kit *k = kit_new(VOTER_FIRST);
	struct talker *t = calloc(WAITING, sizeof *t);
	struct wire_item wait = { .type = WIRE_WAIT };
	struct voter_stats stats;

	(void)state;
	assert_non_null(t);
	kit_lead(k, 'a', "elections.are.named.like.this-00000-0000", 1);
	for (uint32_t i = 0; i < WAITING; i++) {
		(void)greet(k, &t[i], i);
		open_all(k, &t[i], 0, 1);
		wait.wait.ticket_ms = KIT_EPOCH_MS + i;
		for_all(k, &t[i], wait, 1);
	}
	SAY("a release elections.are.named.like.this-00000-0000 1",
	    "rel_ok elections.are.named.like.this-00000-0000 200");
	voter_read_stats(k->v, k->now, &stats);
	assert_int_equal(stats.nudges, 1);
	assert_int_equal(stats.waiters, WAITING);
	for (uint32_t i = 0; i < WAITING; i++)
		free_talker(&t[i]);
	free(t);
	kit_free(k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_election_that_is_held_costs_at_most_192_bytes),
		cmocka_unit_test(nothing_is_allocated_in_the_steady_state),
		cmocka_unit_test(of_two_hundred_who_wait_one_is_nudged),
	};

	count_allocations();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
