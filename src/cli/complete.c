/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/complete.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/verbs.h"

static void complete_offer(const char *candidate, size_t length, const char *word)
{
	if (strncmp(candidate, word, strlen(word)) == 0 && length >= strlen(word))
		(void)printf("%.*s\n", (int)length, candidate);
}

static void complete_verbs(const char *word)
{
	for (size_t i = 0; verbs_at(i); i++)
		complete_offer(verbs_at(i)->name, strlen(verbs_at(i)->name), word);
	complete_offer("--help", 6, word);
	complete_offer("--version", 9, word);
}

static const struct cli_option *complete_find(const struct options_entry *entries, size_t n, const char *word)
{
	for (size_t i = 0; i < n; i++) {
		const struct cli_option *o = entries[i].option;

		if (o->kind == CLI_FLAG)
			continue;
		if (strncmp(word, "--", 2) == 0 && strcmp(word + 2, o->name) == 0)
			return o;
		if (o->letter && word[0] == '-' && word[1] == o->letter && word[2] == '\0')
			return o;
	}
	return NULL;
}

/* What may follow an option that takes a value. */
static void complete_value(const struct cli_option *o, const char *word)
{
	if (o->kind == CLI_DURATION_OR_FOREVER)
		complete_offer("forever", 7, word);
	if (o->kind == CLI_TEXT && (strcmp(o->metavar, "FILE") == 0 || o->metavar[0] == 'D'))
		(void)puts(":file");
	if (o->kind != CLI_CHOICE)
		return;
	for (const char *p = o->metavar; *p;) {
		size_t n = strcspn(p, "|");

		complete_offer(p, n, word);
		p += n + (p[n] == '|');
	}
}

static void complete_options(const struct cli_verb *verb, const struct options_entry *entries, size_t n,
                             const char *word)
{
	char text[64];

	for (size_t i = 0; i < n; i++) {
		int length = snprintf(text, sizeof text, "--%s", entries[i].option->name);

		complete_offer(text, (size_t)length, word);
	}
	if (verb->needs & (CLI_COMMAND | CLI_COMMAND_OPTIONAL))
		complete_offer("--", 2, word);
}

int complete_print(const struct cli *cli, int argc, char **argv)
{
	struct options_entry entries[OPTIONS_MAX];
	const struct cli_verb *verb;
	const struct cli_option *before = NULL;
	const char *word;
	uint64_t at;
	size_t n;

	if (argc < 2 || !text_u64(argv[0], 1000000, &at) || at == 0)
		return 64;
	word = (int)at + 1 < argc ? argv[at + 1] : "";
	if (at == 1) {
		complete_verbs(word);
		return output_flush(cli);
	}
	verb = argc > 2 ? verbs_find(argv[2]) : NULL;
	if (!verb)
		return 0;
	n = options_collect(verb, entries);
	for (int i = 3; i < (int)at + 1 && i < argc; i++)
		if (strcmp(argv[i], "--") == 0 && verb->needs & (CLI_COMMAND | CLI_COMMAND_OPTIONAL)) {
			(void)puts(":command");
			return output_flush(cli);
		}
	if ((int)at < argc)
		before = complete_find(entries, n, argv[at]);
	if (before)
		complete_value(before, word);
	else if (word[0] == '-')
		complete_options(verb, entries, n, word);
	return output_flush(cli);
}
