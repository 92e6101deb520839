/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "client/url.h"

static struct url u;

static void good(const char *text, const char *scheme, const char *path, size_t n_pairs)
{
	struct tenure_error error = TENURE_ERROR_INIT;

	if (url_parse(&u, text, &error) != 0)
		fail_msg("%s: %s", text, error.message);
	assert_string_equal(u.scheme, scheme);
	assert_string_equal(u.path, path);
	assert_int_equal(u.n_pairs, n_pairs);
}

static void urls_of_every_store_are_taken_apart(void **state)
{
	(void)state;
	good("file:/var/lib/tenure", "file", "/var/lib/tenure", 0);
	good("file:///var/lib", "file", "/var/lib", 0);
	good("file:relative", "file", "relative", 0);
	good("file:/a%20b", "file", "/a b", 0);
	good("file:/a?volatile=yes", "file", "/a", 1);
	assert_string_equal(u.pairs[0].key, "volatile");
	assert_string_equal(u.pairs[0].value, "yes");
	good("quorum://a:1,[::1]:7420,c:3", "quorum", "a:1,[::1]:7420,c:3", 0);
	good("etcd://h:1?prefix=%2Fx&user=a%26b", "etcd", "h:1", 2);
	assert_string_equal(u.pairs[0].value, "/x");
	assert_string_equal(u.pairs[1].value, "a&b");
	good("zookeeper://h:1/chroot/x?family=kazoo", "zookeeper", "h:1/chroot/x", 1);
	good("kubernetes:", "kubernetes", "", 0);
	good("kubernetes:ns?context=", "kubernetes", "ns", 1);
	assert_string_equal(u.pairs[0].value, "");
}

static void malformed_urls_are_refused_with_what_is_wrong(void **state)
{
	static const char *const bad[][2] = {
		{ "", "begin with" },
		{ ":", "begin with" },
		{ "file", "begin with" },
		{ "FILE:/x", "begin with" },
		{ "/var/lib/tenure", "begin with" },
		{ "averyveryverylongscheme:/x", "too long" },
		{ "file:", "missing" },
		{ "file:?volatile=yes", "missing" },
		{ "file://host/x", "no host" },
		{ "file:/x?", "key=value" },
		{ "file:/x?y", "key=value" },
		{ "file:/x?=y", "key=value" },
		{ "file:/x?a=1&", "key=value" },
		{ "file:/x?a=1&a=2", "twice" },
		{ "file:/x%", "hexadecimal" },
		{ "file:/x%4", "hexadecimal" },
		{ "file:/x%zz", "hexadecimal" },
		{ "file:/x%00y", "control" },
		{ "file:/x\ny", "control" },
		{ "file:/x?a=%0a", "control" },
		{ "file:/x?a1=&a2=&a3=&a4=&a5=&a6=&a7=&a8=&a9=&b1=&b2=&b3=&b4=&b5=&b6=&b7=&b8=", "16" },
	};
	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct tenure_error error = TENURE_ERROR_INIT;

		assert_int_equal(url_parse(&u, bad[i][0], &error), TENURE_EURL);
		if (!strstr(error.message, bad[i][1]))
			fail_msg("'%s' gave: %s", bad[i][0], error.message);
	}
}

static void a_url_ends_at_its_limit(void **state)
{
	char text[URL_MAX_BYTES + 2];

	(void)state;
	memset(text, 'x', sizeof text);
	memcpy(text, "file:/", 6);
	text[URL_MAX_BYTES] = '\0';
	assert_int_equal(url_parse(&u, text, NULL), 0);
	assert_int_equal(strlen(u.path), URL_MAX_BYTES - 5);
	text[URL_MAX_BYTES] = 'x';
	text[URL_MAX_BYTES + 1] = '\0';
	assert_int_equal(url_parse(&u, text, NULL), TENURE_EURL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(urls_of_every_store_are_taken_apart),
		cmocka_unit_test(malformed_urls_are_refused_with_what_is_wrong),
		cmocka_unit_test(a_url_ends_at_its_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
