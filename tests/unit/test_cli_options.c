/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <string.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/exit_code.h"
#include "cli/changes.h"
#include "cli/logs.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/suggest.h"
#include "cli/verbs.h"

struct toy {
	bool flag;
	const char *text, *choice;
	uint64_t wait_ns, number;
};

#define AT(member) offsetof(struct toy, member)

static const struct cli_option toy_options[] = {
	{ "flag", 'f', CLI_FLAG, NULL, "a flag", AT(flag), 0, 0 },
	{ "text", 't', CLI_TEXT, "TEXT", "a text", AT(text), 0, 0 },
	{ "choice", 0, CLI_CHOICE, "red|green", "a choice", AT(choice), 0, 0 },
	{ "wait", 0, CLI_DURATION_OR_FOREVER, "DUR", "a duration", AT(wait_ns), 0, 0 },
	{ "number", 0, CLI_U64, "N", "a number", AT(number), 2, 9 },
};

static int toy_run(struct cli *cli, void *options)
{
	(void)cli;
	(void)options;
	return 0;
}

static const struct cli_verb toy_verb = {
	.name = "toy",
	.arguments = "ELECTION [MORE]",
	.needs = CLI_STORE | CLI_OUTPUT | CLI_COMMAND,
	.options = toy_options,
	.n_options = 5,
	.options_bytes = sizeof(struct toy),
	.run = toy_run,
};
static const struct cli_verb plain_verb = { .name = "plain", .arguments = "ELECTION", .run = toy_run };

static struct cli cli;
static struct toy toy;
static struct options_common common;
static char fault[OPTIONS_FAULT_ROOM];
static char *words[32];

static int parse(const struct cli_verb *verb, char *const *argv)
{
	int n = 0;

	memset(&toy, 0, sizeof toy);
	memset(&common, 0, sizeof common);
	cli = (struct cli) { .verb = verb };
	for (words[n++] = (char *)(uintptr_t)verb->name; argv[n - 1]; n++)
		words[n] = argv[n - 1];
	words[n] = NULL;
	return options_parse(&cli, n, words, &common, &toy, fault);
}

#define PARSE(verb, ...) parse(verb, (char *const[]) { __VA_ARGS__, NULL })
#define W(text)          (char *)(uintptr_t)(text)

static void assert_refused(int code, const char *why)
{
	assert_int_equal(code, 64);
	if (!strstr(fault, why))
		fail_msg("got '%s', wanted '%s'", fault, why);
}

static void options_may_stand_before_and_after_words(void **state)
{
	(void)state;
	assert_int_equal(PARSE(&toy_verb, W("-f"), W("job"), W("--text=x"), W("--wait"), W("1m30s"), W("--choice"),
	                       W("green"), W("--number"), W("9"), W("--store"), W("file:/x"), W("-o"), W("json"),
	                       W("--"), W("cmd")),
	                 0);
	assert_true(toy.flag);
	assert_string_equal(toy.text, "x");
	assert_string_equal(toy.choice, "green");
	assert_int_equal(toy.wait_ns, 90 * CLOCK_NS_PER_S);
	assert_int_equal(toy.number, 9);
	assert_string_equal(common.store, "file:/x");
	assert_string_equal(common.output, "json");
	assert_int_equal(cli.n_words, 1);
	assert_string_equal(cli.words[0], "job");
	assert_string_equal(cli.command[0], "cmd");
	assert_null(cli.command[1]);
}

static void a_commands_own_options_are_left_alone(void **state)
{
	(void)state;
	assert_int_equal(PARSE(&toy_verb, W("job"), W("--"), W("cmd"), W("--flag"), W("--"), W("-x")), 0);
	assert_false(toy.flag);
	assert_string_equal(cli.command[1], "--flag");
	assert_string_equal(cli.command[2], "--");
	assert_string_equal(cli.command[3], "-x");
}

static void a_missing_or_misplaced_command_is_told(void **state)
{
	(void)state;
	assert_refused(PARSE(&toy_verb, W("job")), "after '--'");
	assert_refused(PARSE(&toy_verb, W("job"), W("--")), "after '--'");
	assert_refused(PARSE(&toy_verb, W("job"), W("more"), W("sleep")),
	               "'sleep' is one word too many: the command follows");
}

static void too_few_and_too_many_words_are_told(void **state)
{
	(void)state;
	assert_refused(parse(&plain_verb, (char *const[]) { NULL }), "ELECTION is missing");
	assert_refused(PARSE(&plain_verb, W("a"), W("b")), "'b' is one word too many");
	assert_int_equal(PARSE(&plain_verb, W("--"), W("-a")), 0);
	assert_string_equal(cli.words[0], "-a");
}

static void unknown_options_are_told_with_the_nearest_one(void **state)
{
	(void)state;
	assert_refused(PARSE(&toy_verb, W("job"), W("--stroe=x"), W("--"), W("c")),
	               "unknown option '--stroe': did you mean --store?");
	assert_refused(PARSE(&toy_verb, W("job"), W("--xyzzy")), "unknown option '--xyzzy'");
	assert_refused(PARSE(&toy_verb, W("job"), W("-z")), "unknown option '-z'");
	assert_refused(PARSE(&toy_verb, W("job"), W("--flag=x")), "--flag takes no value");
	assert_refused(PARSE(&toy_verb, W("job"), W("--text")), "--text needs a value");
	assert_refused(PARSE(&plain_verb, W("job"), W("--store"), W("x")), "unknown option '--store'");
}

static void bad_values_are_told_with_the_right_form(void **state)
{
	(void)state;
	assert_refused(PARSE(&toy_verb, W("job"), W("--wait"), W("10")), "bad --wait '10': it is a duration");
	assert_refused(PARSE(&toy_verb, W("job"), W("--wait"), W("-1s")), "bad --wait");
	assert_refused(PARSE(&toy_verb, W("job"), W("--number"), W("1")), "from 2 to 9");
	assert_refused(PARSE(&toy_verb, W("job"), W("--number"), W("10")), "from 2 to 9");
	assert_refused(PARSE(&toy_verb, W("job"), W("--number"), W("0x3")), "from 2 to 9");
	assert_refused(PARSE(&toy_verb, W("job"), W("--choice"), W("re")), "one of red|green");
	assert_refused(PARSE(&toy_verb, W("job"), W("--ttl"), W("forever")), "bad --ttl");
	assert_refused(PARSE(&toy_verb, W("job"), W("-o"), W("xml")), "bad --output 'xml'");
}

static void forever_is_a_duration_where_it_makes_sense(void **state)
{
	(void)state;
	assert_int_equal(PARSE(&toy_verb, W("job"), W("--wait"), W("forever"), W("--"), W("c")), 0);
	assert_int_equal(toy.wait_ns, NS_NEVER);
}

static void help_needs_no_words(void **state)
{
	(void)state;
	assert_int_equal(PARSE(&toy_verb, W("--help")), 0);
	assert_true(common.help);
}

static void every_verb_of_the_table_is_complete(void **state)
{
	struct options_entry entries[OPTIONS_MAX];

	(void)state;
	for (size_t v = 0; verbs_at(v); v++) {
		const struct cli_verb *verb = verbs_at(v);
		size_t n = options_collect(verb, entries);

		assert_ptr_equal(verbs_find(verb->name), verb);
		assert_non_null(verb->run);
		assert_true(strlen(verb->summary) > 10 && strlen(verb->summary) < 90);
		assert_non_null(strstr(verb->help, "tenure ")); /* an example */
		assert_non_null(verb->arguments);
		for (size_t i = 0; i < n; i++) {
			const struct cli_option *o = entries[i].option;

			assert_true(strlen(o->help) > 5);
			assert_true(o->kind == CLI_FLAG ? !o->metavar : o->metavar != NULL);
			for (size_t j = 0; j < i; j++) {
				assert_string_not_equal(entries[j].option->name, o->name);
				assert_false(o->letter && entries[j].option->letter == o->letter);
			}
		}
	}
	assert_null(verbs_find("frobnicate"));
}

static void a_word_with_dots_behind_it_may_come_any_number_of_times(void **state)
{
	const struct cli_verb many = { .arguments = "ONE [MORE]..." };
	int least, most;

	(void)state;
	options_words(&many, &least, &most);
	assert_int_equal(least, 1);
	assert_true(most > 100);
}

static void every_code_has_its_exit_code(void **state)
{
	static const struct {
		int code, exit_code;
	} rows[] = {
		{ TENURE_OK, 0 },
		{ TENURE_EINVAL, 64 },
		{ TENURE_ENOMEM, 69 },
		{ TENURE_EURL, 64 },
		{ TENURE_ENAME, 64 },
		{ TENURE_ENOSTORE, 64 },
		{ TENURE_EUNSAFE, 78 },
		{ TENURE_EUNREACHABLE, 69 },
		{ TENURE_EDENIED, 77 },
		{ TENURE_EPROTO, 76 },
		{ TENURE_EVERSION, 76 },
		{ TENURE_ECLUSTER, 76 },
		{ TENURE_EFOREIGN, 76 },
		{ TENURE_EEXIST, 70 },
		{ TENURE_ENOENT, 64 },
		{ TENURE_EAMBIGUOUS, 64 },
		{ TENURE_EUNSUPPORTED, 64 },
		{ TENURE_ELIMIT, 69 },
		{ TENURE_ESTATE, 70 },
		{ TENURE_EFORKED, 70 },
		{ TENURE_ECALLBACK, 70 },
		{ TENURE_EIO, 74 },
		{ TENURE_ECLOCK, 78 },
		{ TENURE_EINTERNAL, 70 },
		{ TENURE_TIMEOUT, 124 },
		{ TENURE_NOT_LEADING, 75 },
		{ TENURE_REFUSED, 77 },
		{ -1000, 70 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		assert_int_equal(exit_code_of(rows[i].code), rows[i].exit_code);
}

static void near_words_are_suggested_and_far_ones_are_not(void **state)
{
	static const struct {
		const char *word, *best;
	} rows[] = {
		{ "stauts", "status" }, { "statu", "status" }, { "wacth", "watch" },
		{ "lst", "list" },      { "sta", "status" },   { "serve", "server" },
		{ "x", NULL },          { "", NULL },          { "transfre", "transfer" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct suggest s;

		suggest_init(&s, rows[i].word);
		for (size_t v = 0; verbs_at(v); v++)
			suggest_consider(&s, verbs_at(v)->name);
		if (rows[i].best)
			assert_string_equal(s.best, rows[i].best);
		else
			assert_null(s.best);
	}
}

static void changes_have_the_names_of_the_manual(void **state)
{
	(void)state;
	assert_string_equal(changes_name("a", TENURE_BY_ELECTION), "elected");
	assert_string_equal(changes_name("a", TENURE_BY_RESIGN), "elected");
	assert_string_equal(changes_name("a", TENURE_BY_TRANSFER), "transferred");
	assert_string_equal(changes_name(NULL, TENURE_BY_TRANSFER), "resigned");
	assert_string_equal(changes_name(NULL, TENURE_BY_RESIGN), "resigned");
	assert_string_equal(changes_name(NULL, TENURE_BY_HEALTH), "resigned");
	assert_string_equal(changes_name(NULL, TENURE_BY_EXPIRY), "expired");
	assert_string_equal(changes_name(NULL, TENURE_BY_STORE), "expired");
	assert_string_equal(changes_name(NULL, (enum tenure_cause)0), "none");
}

static void instants_are_rfc_3339_before_and_after_1970(void **state)
{
	char out[OUTPUT_TIME_ROOM];

	(void)state;
	assert_string_equal(output_time(out, 0), "1970-01-01T00:00:00.000Z");
	assert_string_equal(output_time(out, 1767323045678999999), "2026-01-02T03:04:05.678Z");
	assert_string_equal(output_time(out, -1), "1969-12-31T23:59:59.999Z");
	assert_int_equal(strlen(output_time(out, INT64_MAX)), 24);
}

static void any_bytes_become_valid_json_and_a_safe_cell(void **state)
{
	char out[32];
	json_t *string = output_string("a\xff\0b", 4);

	(void)state;
	assert_int_equal(json_string_length(string), 6);
	assert_memory_equal(json_string_value(string), "a\xef\xbf\xbd\0b", 6);
	json_decref(string);
	assert_string_equal(output_printable(out, sizeof out, "h\xc3\xa9", 3), "h\xc3\xa9");
	assert_string_equal(output_printable(out, sizeof out, "a\033[1m", 5), "\"a\\u001b[1m\"");
	assert_string_equal(output_printable(out, sizeof out, "0123456789012345678901234567890123456789", 40),
	                    "(40 bytes)");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options_may_stand_before_and_after_words),
		cmocka_unit_test(a_commands_own_options_are_left_alone),
		cmocka_unit_test(a_missing_or_misplaced_command_is_told),
		cmocka_unit_test(too_few_and_too_many_words_are_told),
		cmocka_unit_test(unknown_options_are_told_with_the_nearest_one),
		cmocka_unit_test(bad_values_are_told_with_the_right_form),
		cmocka_unit_test(forever_is_a_duration_where_it_makes_sense),
		cmocka_unit_test(help_needs_no_words),
		cmocka_unit_test(every_verb_of_the_table_is_complete),
		cmocka_unit_test(a_word_with_dots_behind_it_may_come_any_number_of_times),
		cmocka_unit_test(every_code_has_its_exit_code),
		cmocka_unit_test(near_words_are_suggested_and_far_ones_are_not),
		cmocka_unit_test(changes_have_the_names_of_the_manual),
		cmocka_unit_test(instants_are_rfc_3339_before_and_after_1970),
		cmocka_unit_test(any_bytes_become_valid_json_and_a_safe_cell),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
