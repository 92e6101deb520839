/* SPDX-License-Identifier: Apache-2.0 */
/* Many items and many frames of one connection; test_wire.c has the items. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "quorum/wire.h"

#define CVER  0x1122334455667788u
#define ROUND 0x99aabbccu

static const uint8_t text[4096];

/* The frames in `o`, counted and read; their items, and the longest `len`. */
static unsigned frames_in(const struct wire_out *o, unsigned *n_items, size_t *longest)
{
	size_t at = o->begin, n_frame;
	unsigned n_frames = 0;
	struct wire_item item;
	struct wire_frame f;

	*n_items = 0;
	*longest = 0;
	while (at < o->end) {
		int code;

		assert_int_equal(wire_frame_read(&f, o->data + at, o->end - at, &n_frame), WIRE_OK);
		assert_true(f.cver == CVER && f.round == ROUND);
		while ((code = wire_frame_item(&f, &item)) == WIRE_OK)
			++*n_items;
		assert_int_equal(code, WIRE_END);
		*longest = n_frame - 4 > *longest ? n_frame - 4 : *longest;
		at += n_frame;
		n_frames++;
	}
	return n_frames;
}

static void more_items_than_a_frame_may_have_go_into_a_further_one_of_the_same_round(void **state)
{
	struct wire_item pre = { .type = WIRE_PRE, .handle = 1, .term = 2 };
	unsigned n_items;
	struct wire_out o;
	size_t longest;

	(void)state;
	wire_out_init(&o);
	wire_out_begin(&o, CVER, ROUND);
	for (unsigned i = 0; i < 2048; i++)
		wire_out_put(&o, &pre);
	wire_out_close(&o);
	assert_int_equal(frames_in(&o, &n_items, &longest), 1);
	wire_out_reset(&o);
	wire_out_begin(&o, CVER, ROUND);
	for (unsigned i = 0; i < 2 * 2048 + 1; i++)
		wire_out_put(&o, &pre);
	wire_out_close(&o);
	assert_int_equal(frames_in(&o, &n_items, &longest), 3);
	assert_int_equal(n_items, 2 * 2048 + 1);
	wire_out_deinit(&o);
}

static void more_bytes_than_a_frame_may_have_go_into_a_further_one(void **state)
{
	struct wire_item value = { .type = WIRE_VALUE, .value = { { text, 4096 } } };
	unsigned n_items;
	struct wire_out o;
	size_t longest;

	(void)state;
	/* To the last byte: 63 items of 4096 + 15 bytes, one of what is left; then the same with one byte more. */
	for (unsigned more = 0; more < 2; more++) {
		wire_out_init(&o);
		wire_out_begin(&o, CVER, ROUND);
		value.value.value.n = 4096;
		for (unsigned i = 0; i < 63; i++)
			wire_out_put(&o, &value);
		value.value.value.n = WIRE_FRAME_MAX_BYTES - 18 - 63 * (4096 + 15) - 15 + more;
		wire_out_put(&o, &value);
		wire_out_close(&o);
		assert_int_equal(frames_in(&o, &n_items, &longest), 1 + more);
		assert_int_equal(n_items, 64);
		assert_true(more || longest == WIRE_FRAME_MAX_BYTES);
		wire_out_deinit(&o);
	}
}

static void empty_frames_are_not_sent_and_another_round_begins_another_frame(void **state)
{
	struct wire_item pre = { .type = WIRE_PRE };
	struct wire_frame f;
	struct wire_out o;
	size_t n;

	(void)state;
	wire_out_init(&o);
	wire_out_begin(&o, 1, 1);
	wire_out_close(&o);
	wire_out_begin(&o, 1, 2);
	wire_out_close(&o);
	assert_int_equal(wire_out_pending(&o), 0);
	wire_out_begin(&o, 1, 3);
	wire_out_put(&o, &pre);
	wire_out_begin(&o, 1, 3); /* the same: goes on */
	wire_out_put(&o, &pre);
	wire_out_begin(&o, 2, 3);
	wire_out_put(&o, &pre);
	wire_out_begin(&o, 2, 4);
	wire_out_put(&o, &pre);
	wire_out_close(&o);
	wire_out_close(&o);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(wire_frame_read(&f, o.data + o.begin, wire_out_pending(&o), &n), WIRE_OK);
		assert_int_equal(f.cver, i == 0 ? 1 : 2);
		assert_int_equal(f.round, i == 2 ? 4 : 3);
		assert_int_equal(f.count, i == 0 ? 2 : 1);
		wire_out_sent(&o, n);
	}
	assert_int_equal(wire_out_pending(&o), 0);
	wire_out_deinit(&o);
}

/* A peer that takes less than is there, a bit at a time: what it gets is every frame, whole and in order. */
static void in_the_steady_state_nothing_is_allocated_and_no_byte_is_lost(void **state)
{
	static uint8_t got[1 << 20];
	size_t n_got = 0, at = 0, n_frame, room = 0;
	const uint8_t *data = NULL;
	uint32_t expected = 0;
	struct wire_frame f;
	struct wire_out o;

	(void)state;
	wire_out_init(&o);
	for (uint32_t round = 1; round <= 20000; round++) {
		struct wire_item item = { .type = WIRE_QUEUED, .queued = { round } };
		size_t n;

		wire_out_begin(&o, 0, 0);
		wire_out_put(&o, &item);
		/* Sometimes the frame is still open when older ones are sent. */
		if (round % 3 == 0)
			wire_out_close(&o);
		n = o.frame == SIZE_MAX ? wire_out_pending(&o) : o.frame - o.begin;
		n = n > 3000 ? round % 97 : 0;
		memcpy(got + n_got, o.data + o.begin, n);
		n_got += n;
		wire_out_sent(&o, n);
		if (round == 1000) {
			data = o.data;
			room = o.room;
		}
	}
	assert_ptr_equal(o.data, data);
	assert_int_equal(o.room, room);
	wire_out_close(&o);
	memcpy(got + n_got, o.data + o.begin, wire_out_pending(&o));
	n_got += wire_out_pending(&o);
	while (at < n_got) {
		struct wire_item item;

		assert_int_equal(wire_frame_read(&f, got + at, n_got - at, &n_frame), WIRE_OK);
		while (wire_frame_item(&f, &item) == WIRE_OK)
			assert_int_equal(item.queued.ahead, ++expected);
		at += n_frame;
	}
	assert_int_equal(expected, 20000);
	wire_out_deinit(&o);
}

static void without_memory_it_fails_once_and_for_all_until_it_is_reset(void **state)
{
	struct wire_item pre = { .type = WIRE_PRE };
	struct wire_out o;
	size_t room;

	(void)state;
	wire_out_init(&o);
	wire_out_begin(&o, 0, 1);
	wire_out_put(&o, &pre);
	wire_out_close(&o);
	room = o.room;
	/* As if it were full, and larger than any memory. */
	o.room = o.end = SIZE_MAX - 8;
	wire_out_put(&o, &pre);
	assert_true(o.failed);
	o.room = room;
	o.end = 39 - 4 + 0;
	wire_out_put(&o, &pre);
	assert_int_equal(o.end, 35);
	wire_out_reset(&o);
	assert_false(o.failed);
	assert_int_equal(wire_out_pending(&o), 0);
	assert_int_equal(o.room, room);
	wire_out_put(&o, &pre);
	assert_int_not_equal(wire_out_pending(&o), 0);
	wire_out_deinit(&o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(more_items_than_a_frame_may_have_go_into_a_further_one_of_the_same_round),
		cmocka_unit_test(more_bytes_than_a_frame_may_have_go_into_a_further_one),
		cmocka_unit_test(empty_frames_are_not_sent_and_another_round_begins_another_frame),
		cmocka_unit_test(in_the_steady_state_nothing_is_allocated_and_no_byte_is_lost),
		cmocka_unit_test(without_memory_it_fails_once_and_for_all_until_it_is_reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
