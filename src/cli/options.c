/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/options.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/text.h"
#include "cli/logs.h"
#include "cli/suggest.h"

#define OPTIONS_MANY_WORDS 1000

#define COMMON(member) offsetof(struct options_common, member)

static const struct cli_option options_store[] = {
	{ "store", 's', CLI_TEXT, "URL",
	  "what decides: file:DIR, or quorum://HOST:PORT,HOST:PORT,HOST:PORT (default: file:/var/lib/tenure for root, "
	  "else file:~/.local/state/tenure)",
	  COMMON(store), 0, 0 },
	{ "id", 0, CLI_TEXT, "ID", "the candidate's label for people, 1 to 64 bytes (default: the host's name)",
	  COMMON(id), 0, 0 },
	{ "ttl", 0, CLI_DURATION, "DUR", "length of the lease (default: 10s); the file store has none", COMMON(ttl_ns),
	  1, 0 },
	{ "config", 0, CLI_TEXT, "FILE",
	  "settings for what no flag and no variable gives (default: /etc/tenure/tenure.ini)", COMMON(config), 0, 0 },
};
static const struct cli_option options_output[] = {
	{ "output", 'o', CLI_CHOICE, "json|table", "for programs or for people (default: table)", COMMON(output), 0,
	  0 },
};
static const struct cli_option options_trace[] = {
	{ "trace", 0, CLI_TEXT, "FILE", "append every transition to FILE, one JSON record a line", COMMON(trace), 0,
	  0 },
};
static const struct cli_option options_always[] = {
	{ "log-format", 0, CLI_CHOICE, "text|json", "of the messages on stderr (default: text)", COMMON(log_format), 0,
	  0 },
	{ "log-level", 0, CLI_CHOICE, LOGS_LEVELS, "the least urgent messages to show (default: notice)",
	  COMMON(log_level), 0, 0 },
	{ "help", 'h', CLI_FLAG, NULL, "show this help", COMMON(help), 0, 0 },
};

static size_t options_add(struct options_entry *out, size_t n, const struct cli_option *options, size_t n_options,
                          bool common)
{
	for (size_t i = 0; i < n_options; i++) {
		CHECK(n < OPTIONS_MAX);
		out[n++] = (struct options_entry) { .option = &options[i], .common = common };
	}
	return n;
}

#define OPTIONS_ADD(out, n, table) options_add(out, n, table, sizeof table / sizeof table[0], true)

size_t options_collect(const struct cli_verb *verb, struct options_entry out[OPTIONS_MAX])
{
	size_t n = options_add(out, 0, verb->options, verb->n_options, false);

	if (verb->needs & CLI_OUTPUT)
		n = OPTIONS_ADD(out, n, options_output);
	if (verb->needs & CLI_STORE)
		n = OPTIONS_ADD(out, n, options_store);
	if (verb->needs & CLI_TRACE)
		n = OPTIONS_ADD(out, n, options_trace);
	return OPTIONS_ADD(out, n, options_always);
}

void options_words(const struct cli_verb *verb, int *least, int *most)
{
	const char *p = verb->arguments;

	*least = *most = 0;
	while (*p) {
		size_t length = strcspn(p, " ");

		if (length > 0) {
			/* "[NAME]..." is any number of them */
			*most += length > 3 && strncmp(p + length - 3, "...", 3) == 0 ? OPTIONS_MANY_WORDS : 1;
			*least += *p != '[';
		}
		p += length + (p[length] == ' ');
	}
}

/* Is `text` one of the choices "a|b|c"? */
static bool options_is_choice(const char *choices, const char *text)
{
	size_t length = strlen(text);

	for (const char *p = choices; *p;) {
		size_t n = strcspn(p, "|");

		if (n == length && strncmp(p, text, n) == 0)
			return true;
		p += n + (p[n] == '|');
	}
	return false;
}

static bool options_set_duration(const struct cli_option *o, const char *text, uint64_t *value,
                                 char fault[OPTIONS_FAULT_ROOM])
{
	if (o->kind == CLI_DURATION_OR_FOREVER && strcmp(text, "forever") == 0) {
		*value = NS_NEVER;
		return true;
	}
	if (text_duration_ns(text, value) && *value >= o->min)
		return true;
	(void)snprintf(fault, OPTIONS_FAULT_ROOM,
	               "bad --%s '%.60s': it is a duration with its unit (ms, s, m, h), as in 10s, 1m30s or 250ms%s%s",
	               o->name, text, o->min > 0 ? ", and not 0" : "",
	               o->kind == CLI_DURATION_OR_FOREVER ? ", or forever" : "");
	return false;
}

static bool options_set_number(const struct cli_option *o, const char *text, uint64_t *value,
                               char fault[OPTIONS_FAULT_ROOM])
{
	uint64_t max = o->max ? o->max : UINT64_MAX;

	if (text_u64(text, max, value) && *value >= o->min)
		return true;
	(void)snprintf(fault, OPTIONS_FAULT_ROOM, "bad --%s '%.60s': it is a whole number from %ju to %ju", o->name,
	               text, (uintmax_t)o->min, (uintmax_t)max);
	return false;
}

/* Stores the option's value; `text` is NULL for a flag. False with `fault` filled. */
static bool options_set(const struct cli_option *o, const char *text, void *base, char fault[OPTIONS_FAULT_ROOM])
{
	void *member = (char *)base + o->offset;
	uint64_t number = 0;
	bool on = true;

	switch (o->kind) {
	case CLI_FLAG:
		memcpy(member, &on, sizeof on);
		return true;
	case CLI_CHOICE:
		if (!options_is_choice(o->metavar, text)) {
			(void)snprintf(fault, OPTIONS_FAULT_ROOM, "bad --%s '%.60s': it is one of %s", o->name, text,
			               o->metavar);
			return false;
		}
		memcpy(member, &text, sizeof text);
		return true;
	case CLI_TEXT:
		memcpy(member, &text, sizeof text);
		return true;
	case CLI_DURATION:
	case CLI_DURATION_OR_FOREVER:
		if (!options_set_duration(o, text, &number, fault))
			return false;
		memcpy(member, &number, sizeof number);
		return true;
	case CLI_U64:
		if (!options_set_number(o, text, &number, fault))
			return false;
		memcpy(member, &number, sizeof number);
		return true;
	}
	return false;
}

struct options_getopt { /* the tables in the form of getopt_long(3) */
	struct options_entry entries[OPTIONS_MAX];
	size_t n;
	struct option longs[OPTIONS_MAX + 1];
	char shorts[2 * OPTIONS_MAX + 2];
};

#define OPTIONS_LONG_BASE 256

static void options_generate(struct options_getopt *g, const struct cli_verb *verb)
{
	char *s = g->shorts;

	memset(g, 0, sizeof *g);
	g->n = options_collect(verb, g->entries);
	*s++ = ':';
	for (size_t i = 0; i < g->n; i++) {
		const struct cli_option *o = g->entries[i].option;

		g->longs[i] = (struct option) { .name = o->name,
			                        .has_arg = o->kind == CLI_FLAG ? no_argument : required_argument,
			                        .val = OPTIONS_LONG_BASE + (int)i };
		if (!o->letter)
			continue;
		*s++ = o->letter;
		if (o->kind != CLI_FLAG)
			*s++ = ':';
	}
}

static const struct options_entry *options_found(const struct options_getopt *g, int c)
{
	if (c >= OPTIONS_LONG_BASE)
		return &g->entries[c - OPTIONS_LONG_BASE];
	for (size_t i = 0; i < g->n; i++)
		if (g->entries[i].option->letter == c)
			return &g->entries[i];
	return NULL;
}

static void options_unknown(const struct options_getopt *g, const char *given, char fault[OPTIONS_FAULT_ROOM])
{
	struct suggest s;
	char name[64];

	if (strncmp(given, "--", 2) != 0) {
		(void)snprintf(fault, OPTIONS_FAULT_ROOM, "unknown option '-%c'", optopt);
		return;
	}
	(void)snprintf(name, sizeof name, "%.*s", (int)strcspn(given + 2, "="), given + 2);
	for (size_t i = 0; i < g->n; i++)
		if (strcmp(g->entries[i].option->name, name) == 0) {
			(void)snprintf(fault, OPTIONS_FAULT_ROOM, "--%s takes no value", name);
			return;
		}
	suggest_init(&s, name);
	for (size_t i = 0; i < g->n; i++)
		suggest_consider(&s, g->entries[i].option->name);
	if (s.best)
		(void)snprintf(fault, OPTIONS_FAULT_ROOM, "unknown option '--%s': did you mean --%s?", name, s.best);
	else
		(void)snprintf(fault, OPTIONS_FAULT_ROOM, "unknown option '--%s'", name);
}

static int options_check_words(const struct cli *cli, char fault[OPTIONS_FAULT_ROOM])
{
	int least, most;

	options_words(cli->verb, &least, &most);
	if (cli->n_words < least)
		(void)snprintf(fault, OPTIONS_FAULT_ROOM, "%s is missing", cli->verb->arguments);
	else if (cli->n_words > most && cli->verb->needs & (CLI_COMMAND | CLI_COMMAND_OPTIONAL) && !cli->command)
		(void)snprintf(fault, OPTIONS_FAULT_ROOM, "'%.60s' is one word too many: the command follows '--'",
		               cli->words[most]);
	else if (cli->n_words > most)
		(void)snprintf(fault, OPTIONS_FAULT_ROOM, "'%.60s' is one word too many", cli->words[most]);
	else if (cli->verb->needs & CLI_COMMAND && !cli->command)
		(void)snprintf(fault, OPTIONS_FAULT_ROOM,
		               "the command is missing: write it after '--', as in -- sleep 60");
	else
		return 0;
	return 64;
}

/* The command is cut off before getopt reorders words, so that its own options are never looked at. */
static int options_cut_command(struct cli *cli, int argc, char **argv)
{
	if (!(cli->verb->needs & (CLI_COMMAND | CLI_COMMAND_OPTIONAL)))
		return argc;
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], "--") == 0) {
			cli->command = i + 1 < argc ? argv + i + 1 : NULL;
			return i;
		}
	return argc;
}

int options_parse(struct cli *cli, int argc, char **argv, struct options_common *common, void *own,
                  char fault[OPTIONS_FAULT_ROOM])
{
	struct options_getopt g;
	int c;

	options_generate(&g, cli->verb);
	argc = options_cut_command(cli, argc, argv);
	fault[0] = '\0';
	optind = 0; /* glibc: begin anew */
	opterr = 0;
	while ((c = getopt_long(argc, argv, g.shorts, g.longs, NULL)) != -1) {
		const struct options_entry *e = c == '?' || c == ':' ? NULL : options_found(&g, c);

		if (c == ':')
			(void)snprintf(fault, OPTIONS_FAULT_ROOM, "%.80s needs a value", argv[optind - 1]);
		else if (!e)
			options_unknown(&g, argv[optind - 1], fault);
		else if (options_set(e->option, optarg, e->common ? (void *)common : own, fault))
			continue;
		return 64;
	}
	cli->words = argv + optind;
	cli->n_words = argc - optind;
	return common->help ? 0 : options_check_words(cli, fault);
}
