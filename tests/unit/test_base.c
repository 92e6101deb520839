/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <errno.h>
#include <string.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/crc32c.h"
#include "base/error.h"
#include "base/list.h"
#include "base/names.h"
#include "base/structs.h"
#include "base/text.h"

#define N_OF(array) (sizeof(array) / sizeof(array)[0])

static void text_that_does_not_fit_leaves_a_terminated_prefix_and_is_told(void **state)
{
	char room[6] = "?????";
	struct buf b;

	(void)state;
	buf_init(&b, room, 5);
	buf_text(&b, "ab");
	buf_char(&b, 'c');
	assert_false(b.overflow);
	buf_text(&b, "de"); /* one too many: none of it is taken */
	assert_true(b.overflow);
	buf_char(&b, 'x'); /* and nothing after it, or there would be a hole */
	assert_string_equal(room, "abc");
	assert_int_equal(b.used, 3);
	assert_int_equal(room[5], '\0');
	buf_init(&b, room, 1);
	buf_text(&b, "");
	assert_false(b.overflow);
	buf_char(&b, 'x');
	assert_true(b.overflow);
	assert_string_equal(room, "");
}

static void numbers_are_written_in_full_up_to_their_limits(void **state)
{
	char room[128];
	struct buf b;

	(void)state;
	buf_init(&b, room, sizeof room);
	buf_u64(&b, 0);
	buf_char(&b, ' ');
	buf_u64(&b, UINT64_MAX);
	buf_char(&b, ' ');
	buf_i64(&b, INT64_MIN);
	buf_char(&b, ' ');
	buf_i64(&b, INT64_MAX);
	buf_char(&b, ' ');
	buf_hex64(&b, 0x0123456789abcdefULL);
	assert_string_equal(room, "0 18446744073709551615 -9223372036854775808 9223372036854775807 0123456789abcdef");
}

static void json_strings_escape_what_they_must_and_replace_what_is_not_utf8(void **state)
{
	static const struct {
		const char *bytes, *json;
	} rows[] = {
		{ "", "\"\"" },
		{ "plain", "\"plain\"" },
		{ "\"\\/", "\"\\\"\\\\/\"" },
		{ "\n\t\r\x01\x1f\x7f", "\"\\n\\t\\r\\u0001\\u001f\\u007f\"" },
		{ "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"" },
		{ "\xc0\xaf", "\"\xef\xbf\xbd\xef\xbf\xbd\"" },                 /* overlong */
		{ "\xed\xa0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" }, /* a surrogate */
		{ "a\xe2\x82", "\"a\xef\xbf\xbd\xef\xbf\xbd\"" },               /* cut off */
	};

	(void)state;
	for (size_t i = 0; i < N_OF(rows); i++) {
		char room[64];
		struct buf b;

		buf_init(&b, room, sizeof room);
		buf_json(&b, rows[i].bytes, strlen(rows[i].bytes));
		assert_string_equal(room, rows[i].json);
	}
}

static void utf8_sequences_are_accepted_exactly_where_they_are_well_formed(void **state)
{
	static const struct {
		const char *bytes;
		size_t n, length;
	} rows[] = {
		{ "", 0, 0 },
		{ "\0", 1, 1 },
		{ "\x7f", 1, 1 },
		{ "\x80", 1, 0 },
		{ "\xc1\xbf", 2, 0 },
		{ "\xc2\x80", 2, 2 },
		{ "\xdf\xbf", 2, 2 },
		{ "\xe0\x9f\xbf", 3, 0 },
		{ "\xe0\xa0\x80", 3, 3 },
		{ "\xed\x9f\xbf", 3, 3 },
		{ "\xed\xa0\x80", 3, 0 },
		{ "\xee\x80\x80", 3, 3 },
		{ "\xf0\x8f\xbf\xbf", 4, 0 },
		{ "\xf0\x90\x80\x80", 4, 4 },
		{ "\xf4\x8f\xbf\xbf", 4, 4 },
		{ "\xf4\x90\x80\x80", 4, 0 },
		{ "\xf5\x80\x80\x80", 4, 0 },
		{ "\xe2\x82\xac", 2, 0 }, /* cut by n */
		{ "\xe2\x28\xac", 3, 0 },
	};

	(void)state;
	for (size_t i = 0; i < N_OF(rows); i++)
		if (buf_utf8_length(rows[i].bytes, rows[i].n) != rows[i].length)
			fail_msg("row %zu", i);
}

static void a_number_is_the_whole_text_or_none(void **state)
{
	static const char *const bad[] = { "",
		                           " 1",
		                           "1 ",
		                           "+1",
		                           "-1",
		                           "0x1",
		                           "1.0",
		                           "18446744073709551616",
		                           "99999999999999999999",
		                           "000000000000000000001" };
	uint64_t value = 5;

	(void)state;
	for (size_t i = 0; i < N_OF(bad); i++)
		assert_false(text_u64(bad[i], UINT64_MAX, &value));
	assert_int_equal(value, 5);
	assert_true(text_u64("18446744073709551615", UINT64_MAX, &value));
	assert_true(value == UINT64_MAX);
	assert_true(text_u64("007", 7, &value));
	assert_int_equal(value, 7);
	assert_false(text_u64("8", 7, &value));
	assert_true(text_u64_n("123", 2, UINT64_MAX, &value));
	assert_int_equal(value, 12);
}

static void hexadecimal_is_lower_case_and_at_most_sixteen_digits(void **state)
{
	uint64_t value = 5;

	(void)state;
	assert_true(text_hex64_n("0123456789abcdef", 16, &value));
	assert_true(value == 0x0123456789abcdefULL);
	assert_true(text_hex64_n("f", 1, &value));
	assert_int_equal(value, 15);
	assert_false(text_hex64_n("", 0, &value));
	assert_false(text_hex64_n("00123456789abcdef", 17, &value));
	assert_false(text_hex64_n("F", 1, &value));
	assert_false(text_hex64_n("g", 1, &value));
	assert_false(text_hex64_n("/", 1, &value));
	assert_int_equal(value, 15);
}

static void durations_take_units_and_nothing_else(void **state)
{
	static const struct {
		const char *text;
		uint64_t ns;
	} good[] = {
		{ "0s", 0 },
		{ "250ms", 250 * CLOCK_NS_PER_MS },
		{ "10s", 10 * CLOCK_NS_PER_S },
		{ "1.5s", 1500 * CLOCK_NS_PER_MS },
		{ "1m30s", 90 * CLOCK_NS_PER_S },
		{ "2h", 7200 * CLOCK_NS_PER_S },
		{ "0.000001ms", 1 },
		{ "1h1m1s1ms", 3661 * CLOCK_NS_PER_S + CLOCK_NS_PER_MS },
		{ "87600h", 315360000 * CLOCK_NS_PER_S },
	};
	static const char *const bad[] = { "",
		                           "5",
		                           "s",
		                           "-1s",
		                           "+1s",
		                           "1 s",
		                           "1s ",
		                           "1.s",
		                           ".5s",
		                           "1,5s",
		                           "1d",
		                           "1us",
		                           "1S",
		                           "1s2",
		                           "forever",
		                           "1e3s",
		                           "1.0000000001s",
		                           "100000h",
		                           "99999999999999999999s",
		                           "18446744073709551615h",
		                           "18446744073709551615ms" };
	uint64_t ns = 77;

	(void)state;
	for (size_t i = 0; i < N_OF(bad); i++)
		if (text_duration_ns(bad[i], &ns))
			fail_msg("'%s' was taken", bad[i]);
	assert_int_equal(ns, 77);
	for (size_t i = 0; i < N_OF(good); i++) {
		assert_true(text_duration_ns(good[i].text, &ns));
		assert_true(ns == good[i].ns);
	}
}

static void durations_are_shown_short_and_read_back_the_same(void **state)
{
	static const struct {
		uint64_t ns;
		const char *text;
	} rows[] = {
		{ 0, "0s" },
		{ 1, "0.000001ms" },
		{ 1500000, "1.5ms" },
		{ 250 * CLOCK_NS_PER_MS, "250ms" },
		{ 10 * CLOCK_NS_PER_S, "10s" },
		{ 90 * CLOCK_NS_PER_S, "1m30s" },
		{ 3600 * CLOCK_NS_PER_S, "1h" },
		{ 3600 * CLOCK_NS_PER_S + 1, "1h0.000000001s" },
		{ 9978019980ULL, "9.97801998s" },
	};
	char room[48];

	(void)state;
	for (size_t i = 0; i < N_OF(rows); i++) {
		uint64_t ns;

		assert_string_equal(text_from_duration(rows[i].ns, room, sizeof room), rows[i].text);
		assert_true(text_duration_ns(room, &ns));
		assert_true(ns == rows[i].ns);
	}
	assert_string_equal(text_from_duration(NS_NEVER, room, sizeof room), "never");
}

static void election_names_are_plain_and_cannot_leave_a_directory(void **state)
{
	static const char *const good[] = { "a", "job", "A.b_c-9", "0", "a.b.c" };
	static const char *const bad[] = { "",   "_a",  ".",   "..",       "a..b", "-a", ".a", "a/b",
		                           "/a", "a b", "a\n", "\xc3\xa9", "a:b",  "a%", "a\\" };
	char longest[NAMES_ELECTION_MAX_BYTES + 2];

	(void)state;
	for (size_t i = 0; i < N_OF(good); i++)
		assert_null(names_election_fault(good[i]));
	for (size_t i = 0; i < N_OF(bad); i++) {
		assert_non_null(names_election_fault(bad[i]));
		assert_non_null(names_resource_fault(bad[i]));
	}
	memset(longest, 'a', sizeof longest);
	longest[NAMES_ELECTION_MAX_BYTES] = '\0';
	assert_null(names_election_fault(longest));
	longest[NAMES_ELECTION_MAX_BYTES] = 'a';
	longest[NAMES_ELECTION_MAX_BYTES + 1] = '\0';
	assert_non_null(names_election_fault(longest));
}

static void labels_are_utf8_without_spaces_controls_and_slashes(void **state)
{
	static const char *const good[] = { "a",    "host-1.example", "b\xc3\xbcrste", "\xf0\x9f\x98\x80",
		                            "a_0f", "\xc2\xa0" };
	static const char *const bad[] = { "",    "a b",  "a\tb", "a\n",      "\x7f",
		                           "a/b", "\xff", "\xc3", "\xc2\x85", "\xed\xa0\x80" };
	char longest[NAMES_ID_MAX_BYTES + 2];

	(void)state;
	for (size_t i = 0; i < N_OF(good); i++)
		assert_null(names_id_fault(good[i]));
	for (size_t i = 0; i < N_OF(bad); i++)
		assert_non_null(names_id_fault(bad[i]));
	memset(longest, 'a', sizeof longest);
	longest[NAMES_ID_MAX_BYTES] = '\0';
	assert_null(names_id_fault(longest));
	longest[NAMES_ID_MAX_BYTES] = 'a';
	longest[NAMES_ID_MAX_BYTES + 1] = '\0';
	assert_non_null(names_id_fault(longest));
}

static void an_error_says_what_where_and_the_systems_words(void **state)
{
	struct tenure_error error = TENURE_ERROR_INIT;

	(void)state;
	assert_int_equal(error_set(&error, TENURE_EIO, ENOSPC, "cannot write %s", "/x"), TENURE_EIO);
	assert_string_equal(error.message, "cannot write /x: No space left on device");
	assert_int_equal(error.code, TENURE_EIO);
	assert_int_equal(error.os_errno, ENOSPC);
	assert_true(error.retryable);
	assert_int_equal(error.struct_size, sizeof error);
	assert_int_equal(error_set(&error, TENURE_EURL, 0, "bad"), TENURE_EURL);
	assert_false(error.retryable);
	assert_int_equal(error_set(NULL, TENURE_EIO, 0, "nobody asked"), TENURE_EIO);
	error_clear(&error);
	assert_int_equal(error.code, 0);
	assert_string_equal(error.message, "");
	assert_int_equal(error.struct_size, sizeof error);
}

static void a_long_error_is_cut_at_a_whole_character(void **state)
{
	struct tenure_error error = TENURE_ERROR_INIT;
	char text[512];

	(void)state;
	for (size_t shift = 0; shift < 4; shift++) {
		size_t length, at = 0;

		memset(text, 'a', shift);
		for (size_t i = shift; i + 4 < sizeof text; i += 4)
			memcpy(text + i, "\xf0\x9f\x98\x80", 5);
		(void)error_set(&error, TENURE_EIO, 0, "%s", text);
		length = strlen(error.message);
		assert_true(length > sizeof error.message - 5 && length < sizeof error.message);
		while (at < length) {
			size_t step = buf_utf8_length(error.message + at, length - at);

			assert_true(step > 0);
			at += step;
		}
	}
}

static void a_long_error_keeps_the_systems_words(void **state)
{
	struct tenure_error error = TENURE_ERROR_INIT;
	char path[512];

	(void)state;
	memset(path, 'n', sizeof path);
	for (size_t length = 200; length < 300; length++) {
		path[length] = '\0';
		(void)error_set(&error, TENURE_EIO, ENAMETOOLONG, "cannot make %s", path);
		assert_non_null(strstr(error.message, ": File name too long"));
		assert_string_equal(strstr(error.message, ": "), ": File name too long");
		path[length] = 'n';
	}
}

static void an_older_smaller_error_struct_gets_what_it_has_room_for(void **state)
{
	union {
		struct tenure_error error;
		unsigned char bytes[sizeof(struct tenure_error)];
	} u;
	size_t small = offsetof(struct tenure_error, message) + 8;

	(void)state;
	memset(&u, 0xee, sizeof u);
	u.error.struct_size = small;
	(void)error_set(&u.error, TENURE_EIO, 0, "a message of some length");
	assert_int_equal(u.error.code, TENURE_EIO);
	assert_string_equal(u.error.message, "a messa");
	for (size_t i = small; i < sizeof u; i++)
		assert_int_equal(u.bytes[i], 0xee);
	memset(&u, 0, sizeof u); /* never initialised */
	(void)error_set(&u.error, TENURE_EIO, 0, "lost");
	assert_int_equal(u.error.code, 0);
}

struct options { /* as this library knows it */
	size_t struct_size;
	uint64_t first, second;
};

struct newer_options {
	struct options old;
	uint64_t third;
};

static void structs_of_older_and_newer_callers_are_read_or_refused(void **state)
{
	struct newer_options newer = { { sizeof newer, 1, 2 }, 0 };
	struct options in = { offsetof(struct options, second), 1, 99 }, out;

	(void)state;
	assert_int_equal(structs_import(&out, sizeof out, &in), 0); /* older: what it lacks is zero */
	assert_int_equal(out.first, 1);
	assert_int_equal(out.second, 0);
	assert_int_equal(out.struct_size, sizeof out);
	assert_int_equal(structs_import(&out, sizeof out, &newer), 0);
	assert_int_equal(out.second, 2);
	assert_int_equal(out.struct_size, sizeof out);
	newer.third = 1; /* newer, and it wants something that isn't known here */
	assert_int_equal(structs_import(&out, sizeof out, &newer), TENURE_EINVAL);
	assert_int_equal(structs_import(&out, sizeof out, NULL), 0);
	assert_true(out.first == 0 && out.second == 0 && out.struct_size == sizeof out);
	in.struct_size = sizeof in.struct_size - 1;
	assert_int_equal(structs_import(&out, sizeof out, &in), TENURE_EINVAL);
	in.struct_size = SIZE_MAX; /* garbage, not read beyond */
	assert_int_equal(structs_import(&out, sizeof out, &in), TENURE_EINVAL);
}

static void the_checksum_is_castagnolis(void **state)
{
	static const unsigned char zeros[32];

	(void)state;
	assert_int_equal(crc32c("123456789", 9), 0xe3069283u);
	assert_int_equal(crc32c("", 0), 0);
	assert_int_equal(crc32c(zeros, sizeof zeros), 0x8a9136aau); /* RFC 3720, B.4 */
}

static void instants_saturate_and_waits_are_rounded_up(void **state)
{
	(void)state;
	assert_true(clock_add_ns(5, 6) == 11);
	assert_true(clock_add_ns(5, NS_NEVER) == NS_NEVER);
	assert_true(clock_add_ns(NS_NEVER - 1, 5) == NS_NEVER);
	assert_int_equal(clock_poll_ms(10, NS_NEVER), -1);
	assert_int_equal(clock_poll_ms(10, 10), 0);
	assert_int_equal(clock_poll_ms(10, 9), 0);
	assert_int_equal(clock_poll_ms(10, 11), 1);
	assert_int_equal(clock_poll_ms(0, CLOCK_NS_PER_MS), 1);
	assert_int_equal(clock_poll_ms(0, CLOCK_NS_PER_MS + 1), 2);
	assert_int_equal(clock_poll_ms(0, NS_NEVER - 1), INT32_MAX);
}

static void the_clock_never_goes_back(void **state)
{
	uint64_t before_ns, after_ns;

	(void)state;
	assert_int_equal(clock_now_ns(&before_ns), 0);
	assert_int_equal(clock_now_ns(&after_ns), 0);
	assert_true(before_ns > 0 && after_ns >= before_ns);
	assert_true(clock_now_or_zero_ns() >= after_ns);
}

struct item {
	int number;
	struct list node;
};

static int sum_of(const struct list *head)
{
	int sum = 0;

	LIST_EACH (node, head)
		sum = sum * 10 + LIST_OF(node, struct item, node)->number;
	return sum;
}

static void a_list_keeps_its_order_and_may_be_thinned_while_walked(void **state)
{
	struct item items[] = { { .number = 1 }, { .number = 2 }, { .number = 3 } };
	struct list head;

	(void)state;
	list_init(&head);
	assert_true(list_empty(&head));
	for (size_t i = 0; i < N_OF(items); i++)
		list_append(&head, &items[i].node);
	assert_int_equal(sum_of(&head), 123);
	list_remove(&items[1].node);
	list_remove(&items[1].node); /* twice is harmless */
	assert_int_equal(sum_of(&head), 13);
	list_append(&head, &items[1].node);
	assert_int_equal(sum_of(&head), 132);
	LIST_EACH_SAFE (node, after, &head)
		list_remove(node);
	assert_true(list_empty(&head));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_that_does_not_fit_leaves_a_terminated_prefix_and_is_told),
		cmocka_unit_test(numbers_are_written_in_full_up_to_their_limits),
		cmocka_unit_test(json_strings_escape_what_they_must_and_replace_what_is_not_utf8),
		cmocka_unit_test(utf8_sequences_are_accepted_exactly_where_they_are_well_formed),
		cmocka_unit_test(a_number_is_the_whole_text_or_none),
		cmocka_unit_test(hexadecimal_is_lower_case_and_at_most_sixteen_digits),
		cmocka_unit_test(durations_take_units_and_nothing_else),
		cmocka_unit_test(durations_are_shown_short_and_read_back_the_same),
		cmocka_unit_test(election_names_are_plain_and_cannot_leave_a_directory),
		cmocka_unit_test(labels_are_utf8_without_spaces_controls_and_slashes),
		cmocka_unit_test(an_error_says_what_where_and_the_systems_words),
		cmocka_unit_test(a_long_error_is_cut_at_a_whole_character),
		cmocka_unit_test(a_long_error_keeps_the_systems_words),
		cmocka_unit_test(an_older_smaller_error_struct_gets_what_it_has_room_for),
		cmocka_unit_test(structs_of_older_and_newer_callers_are_read_or_refused),
		cmocka_unit_test(the_checksum_is_castagnolis),
		cmocka_unit_test(instants_saturate_and_waits_are_rounded_up),
		cmocka_unit_test(the_clock_never_goes_back),
		cmocka_unit_test(a_list_keeps_its_order_and_may_be_thinned_while_walked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
