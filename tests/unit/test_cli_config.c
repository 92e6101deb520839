/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/clock.h"
#include "cli/config.h"
#include "cli/settings.h"

static struct config config;
static struct tenure_error error;

static int parse(const char *text)
{
	error = (struct tenure_error)TENURE_ERROR_INIT;
	return config_parse(&config, "t.ini", text, strlen(text), &error);
}

static void assert_refused(const char *text, const char *place, const char *why)
{
	assert_int_equal(parse(text), TENURE_EINVAL);
	if (strncmp(error.message, place, strlen(place)) != 0 || !strstr(error.message, why))
		fail_msg("got '%s', wanted '%s ... %s'", error.message, place, why);
}

static void a_whole_file_is_read(void **state)
{
	(void)state;
	assert_int_equal(parse("; by hand\n"
	                       "[tenure]\n"
	                       "store = file:/srv/tenure?volatile=yes ; here\n"
	                       "id=host-a\r\n"
	                       "\n"
	                       "ttl = 1m30s\n"
	                       "# and\n"
	                       "log-format = json\n"
	                       "log-level : debug"),
	                 0);
	assert_string_equal(config.store, "file:/srv/tenure?volatile=yes");
	assert_string_equal(config.id, "host-a");
	assert_int_equal(config.ttl_ns, 90 * CLOCK_NS_PER_S);
	assert_string_equal(config.log_format, "json");
	assert_string_equal(config.log_level, "debug");
}

static void an_empty_file_gives_nothing(void **state)
{
	static const struct config nothing;

	(void)state;
	memset(&config, 'x', sizeof config);
	assert_int_equal(parse(""), 0);
	assert_memory_equal(&config, &nothing, sizeof nothing);
	assert_int_equal(parse("[tenure]\n"), 0);
	assert_int_equal(parse("\xef\xbb\xbf[tenure]\nid = a\n"), 0);
	assert_string_equal(config.id, "a");
}

static void what_is_not_known_is_refused_with_its_line(void **state)
{
	(void)state;
	assert_refused("[tenure]\nstroe = file:/x\n", "t.ini:2: ", "did you mean 'store'?");
	assert_refused("[tenure]\n\ncolour = red\n", "t.ini:3: ", "there are store, id");
	assert_refused("[tenure]\nid = a\n[server]\n", "t.ini:3: ", "unknown section '[server]'");
	assert_refused("  [tenures]\nid = a\n", "t.ini:1: ", "unknown section");
	assert_refused("\xef\xbb\xbf[other]\nid = a\n", "t.ini:2: ", "unknown section [other]");
	assert_refused("id = a\n", "t.ini:1: ", "before any section");
}

static void what_is_malformed_is_refused_with_its_line(void **state)
{
	(void)state;
	assert_refused("[tenure\nid = a\n", "t.ini:1: ", "neither");
	assert_refused("[tenure]\nid\n", "t.ini:2: ", "neither");
	assert_refused("[tenure]\nid = a\nid = b\n", "t.ini:3: ", "twice");
	assert_refused("[tenure]\nid = a\n  b\n", "t.ini:3: ", "continued");
	assert_refused("[tenure]\nttl = 10\n", "t.ini:2: ", "bad ttl '10'");
	assert_refused("[tenure]\nttl = 0s\n", "t.ini:2: ", "bad ttl");
	assert_refused("[tenure]\nid = a b\n", "t.ini:2: ", "space");
	assert_refused("[tenure]\nid =\n", "t.ini:2: ", "empty");
	assert_refused("[tenure]\nstore = file\n", "t.ini:2: ", "malformed store URL");
	assert_refused("[tenure]\nstore = file:x\n", "t.ini:2: ", "absolute");
	assert_refused("[tenure]\nlog-format = xml\n", "t.ini:2: ", "text or json");
	assert_refused("[tenure]\nlog-level = loud\n", "t.ini:2: ", "notice");
}

static void the_first_fault_is_the_one_that_is_told(void **state)
{
	(void)state;
	assert_refused("[tenure]\n???\nttl = 10\n", "t.ini:2: ", "neither");
	assert_refused("[tenure]\nttl = 10\n???\n", "t.ini:2: ", "bad ttl");
}

static void a_line_that_the_parser_would_cut_in_two_is_refused(void **state)
{
	char text[512];

	(void)state;
	(void)snprintf(text, sizeof text, "[tenure]\nstore = file:/%0*d\n", CONFIG_LINE_MAX_BYTES - 14, 0);
	assert_int_equal(parse(text), 0);
	assert_int_equal(strlen(config.store), CONFIG_LINE_MAX_BYTES - 8);
	(void)snprintf(text, sizeof text, "[tenure]\nstore = file:/%0*d\n", CONFIG_LINE_MAX_BYTES - 13, 0);
	assert_refused(text, "t.ini:2: ", "more than 190 bytes");
	(void)snprintf(text, sizeof text, "[tenure]\n;%0300d\nid = a\n", 0);
	assert_refused(text, "t.ini:2: ", "more than 190 bytes");
}

static void a_zero_byte_does_not_hide_the_rest_of_a_line(void **state)
{
	static const char text[] = "[tenure]\nid = a\0b\n";

	(void)state;
	error = (struct tenure_error)TENURE_ERROR_INIT;
	assert_int_equal(config_parse(&config, "t.ini", text, sizeof text - 1, &error), TENURE_EINVAL);
	assert_non_null(strstr(error.message, "t.ini:2: it contains a zero byte"));
}

static void a_file_that_is_too_large_is_refused(void **state)
{
	static char text[CONFIG_MAX_BYTES + 1];

	(void)state;
	memset(text, '\n', sizeof text);
	assert_int_equal(config_parse(&config, "t.ini", text, CONFIG_MAX_BYTES, NULL), 0);
	assert_int_equal(config_parse(&config, "t.ini", text, CONFIG_MAX_BYTES + 1, NULL), TENURE_EINVAL);
}

static void a_relative_directory_means_the_same_after_a_chdir(void **state)
{
	char out[64];

	(void)state;
	assert_true(settings_absolute(out, sizeof out, "file:s?volatile=yes", "/a%b/c?"));
	assert_string_equal(out, "file:/a%25b/c%3F/s?volatile=yes");
	assert_true(settings_absolute(out, sizeof out, "file:s", "/"));
	assert_string_equal(out, "file:/s");
	assert_true(settings_absolute(out, sizeof out, "file:/s", "/a"));
	assert_string_equal(out, "file:/s");
	assert_true(settings_absolute(out, sizeof out, "file:", "/a")); /* malformed: told by the library */
	assert_string_equal(out, "file:");
	assert_true(settings_absolute(out, sizeof out, "quorum://h:1", "/a"));
	assert_string_equal(out, "quorum://h:1");
	assert_false(settings_absolute(out, 12, "file:s", "/abcdefgh"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_whole_file_is_read),
		cmocka_unit_test(an_empty_file_gives_nothing),
		cmocka_unit_test(what_is_not_known_is_refused_with_its_line),
		cmocka_unit_test(what_is_malformed_is_refused_with_its_line),
		cmocka_unit_test(the_first_fault_is_the_one_that_is_told),
		cmocka_unit_test(a_line_that_the_parser_would_cut_in_two_is_refused),
		cmocka_unit_test(a_zero_byte_does_not_hide_the_rest_of_a_line),
		cmocka_unit_test(a_file_that_is_too_large_is_refused),
		cmocka_unit_test(a_relative_directory_means_the_same_after_a_chdir),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
