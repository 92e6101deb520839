/* SPDX-License-Identifier: Apache-2.0 */
/* The record, and the names of the queue. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "file/queue.h"
#include "file/record.h"

static struct record sample(void)
{
	struct record r = { .leading = 1,
		            .id = "web-1",
		            .identity = "web-1_0123456789abcdef",
		            .token = (uint64_t)TENURE_TOKEN_MAX,
		            .since_unix_ns = 1700000000000000000,
		            .cause = TENURE_BY_TRANSFER,
		            .scope = { .boot_id = "0a1b", .pid_ns_inode = 4026531836, .time_ns_inode = 5 },
		            .holder = { 7, UINT64_MAX },
		            .has_tree = 1,
		            .warden = { 8, 9 },
		            .init = { INT32_MAX, 10 },
		            .containment = "kernel",
		            .cgroup = "/sys/fs/cgroup/a b%\n",
		            .page = "/run/tenure/a_1.lease",
		            .lock_dev = 1,
		            .lock_inode = UINT64_MAX };

	return r;
}

static void a_record_comes_back_as_it_was_written_with_any_value(void **state)
{
	struct record r = sample(), back;
	char text[RECORD_MAX_BYTES];

	(void)state;
	for (size_t n = 0; n <= STORE_VALUE_MAX_BYTES; n = n * 3 + 1) {
		size_t used;

		memset(r.value, 0, sizeof r.value);
		r.value_bytes = n;
		for (size_t i = 0; i < n; i++)
			r.value[i] = (unsigned char)(i * 31);
		used = record_format(&r, text, sizeof text);
		assert_true(used > 0);
		assert_int_equal(record_parse(&back, text, used, "x", NULL), 0);
		assert_memory_equal(&back, &r, sizeof r);
	}
	memset(r.value, 0xff, sizeof r.value); /* the longest there is fits */
	memset(r.cgroup, '%', sizeof r.cgroup - 1);
	memset(r.page, '%', sizeof r.page - 1);
	r.value_bytes = sizeof r.value;
	assert_true(record_format(&r, text, sizeof text) > 0);
	assert_int_equal(record_format(&r, text, 100), 0);
}

static void a_record_that_was_cut_or_changed_anywhere_is_refused(void **state)
{
	struct record r = sample(), back;
	char text[RECORD_MAX_BYTES], bad[RECORD_MAX_BYTES];
	struct tenure_error error = TENURE_ERROR_INIT;
	size_t used = record_format(&r, text, sizeof text);

	(void)state;
	for (size_t i = 0; i < used; i++) {
		int code = record_parse(&back, text, i, "x", &error);

		assert_int_equal(code, TENURE_EFOREIGN);
		memcpy(bad, text, used);
		bad[i] ^= 1;
		code = record_parse(&back, bad, used, "x", &error);
		assert_true(code == TENURE_EFOREIGN || code == TENURE_EVERSION);
		assert_true(error.message[0] != '\0');
	}
	memcpy(bad, text, used);
	bad[used] = '\n';
	assert_int_equal(record_parse(&back, bad, used + 1, "x", NULL), TENURE_EFOREIGN);
}

static void names_sort_in_the_order_of_the_queue(void **state)
{
	static const struct {
		uint16_t priority;
		uint64_t ticket, nonce;
	} in_order[] = {
		{ 65535, 0, 1 }, { 65535, 1, 1 }, { 9, 5, 1 }, { 9, 6, 0 }, { 0, 1, 1 }, { 0, UINT64_MAX, 1 }
	};
	char last[QUEUE_NAME_ROOM] = "", name[QUEUE_NAME_ROOM];

	(void)state;
	for (size_t i = 0; i < sizeof in_order / sizeof in_order[0]; i++) {
		struct queue_entry e;

		queue_name(name, in_order[i].priority, in_order[i].ticket, in_order[i].nonce, "id-\xc3\xa4");
		assert_true(strcmp(last, name) < 0);
		assert_true(queue_parse(&e, name));
		assert_int_equal(e.priority, in_order[i].priority);
		assert_true(e.ticket == in_order[i].ticket && e.nonce == in_order[i].nonce);
		assert_string_equal(e.id, "id-\xc3\xa4");
		memcpy(last, name, sizeof last);
	}
}

static void other_names_are_no_part_of_the_queue(void **state)
{
	static const char *const bad[] = { "",
		                           ".",
		                           ".new-0123456789abcdef",
		                           "65535-00000000000000000001-0123456789abcdef-",
		                           "65535-00000000000000000001-0123456789abcdef",
		                           "65536-00000000000000000001-0123456789abcdef-a",
		                           "65535-99999999999999999999-0123456789abcdef-a",
		                           "65535-00000000000000000001-0123456789abcdeg-a",
		                           "65535_00000000000000000001-0123456789abcdef-a",
		                           "+5535-00000000000000000001-0123456789abcdef-a",
		                           "65535-00000000000000000001-0123456789abcdef-a b" };
	struct queue_entry e;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_false(queue_parse(&e, bad[i]));
}

static void an_id_means_one_candidate_or_none_or_is_ambiguous(void **state)
{
	struct queue_entry entries[3];
	struct queue q = { .entries = entries, .n = 3 };
	struct tenure_error error = TENURE_ERROR_INIT;
	static const char *const ids[] = { "a", "twin", "twin" };
	size_t at = 77;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		char name[QUEUE_NAME_ROOM];

		queue_name(name, 0, i + 1, i + 10, ids[i]);
		assert_true(queue_parse(&entries[i], name));
	}
	assert_int_equal(queue_resolve(&q, "a", &at, &error), 0);
	assert_int_equal(at, 0);
	assert_int_equal(queue_resolve(&q, "twin_000000000000000c", &at, &error), 0);
	assert_int_equal(at, 2);
	assert_int_equal(queue_resolve(&q, "b", &at, &error), TENURE_ENOENT);
	assert_int_equal(queue_resolve(&q, "twin", &at, &error), TENURE_EAMBIGUOUS);
	assert_non_null(strstr(error.message, "twin_000000000000000b"));
	assert_non_null(strstr(error.message, "twin_000000000000000c"));
	assert_int_equal(queue_find(&q, 11), 1);
	assert_int_equal(queue_find(&q, 99), 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_record_comes_back_as_it_was_written_with_any_value),
		cmocka_unit_test(a_record_that_was_cut_or_changed_anywhere_is_refused),
		cmocka_unit_test(names_sort_in_the_order_of_the_queue),
		cmocka_unit_test(other_names_are_no_part_of_the_queue),
		cmocka_unit_test(an_id_means_one_candidate_or_none_or_is_ambiguous),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
