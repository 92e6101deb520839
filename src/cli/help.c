/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/help.h"

#include <string.h>

#include "cli/options.h"
#include "cli/verbs.h"

#define HELP_INDENT 28
#define HELP_WIDTH  80

void help_all(FILE *to)
{
	(void)fputs("Tenure gives a group of processes exactly one leader, and makes sure that a\n"
	            "former one can do no harm.\n"
	            "\n"
	            "usage: tenure VERB [OPTION...]\n"
	            "\n",
	            to);
	for (size_t i = 0; verbs_at(i); i++)
		(void)fprintf(to, "  %-10s  %s\n", verbs_at(i)->name, verbs_at(i)->summary);
	(void)fputs("\n"
	            "Start the same program in as many terminals or services as you like; it runs in\n"
	            "one of them: of this host, or of all hosts that reach the same voters.\n"
	            "\n"
	            "  tenure run nightly-report -- ./report.sh\n"
	            "  tenure status nightly-report\n"
	            "  tenure run report -s quorum://10.0.0.1,10.0.0.2,10.0.0.3 -- ./report.sh\n"
	            "\n"
	            "'tenure VERB --help' tells more about a verb, man tenure the whole story.\n",
	            to);
}

void help_usage(FILE *to, const struct cli_verb *verb)
{
	(void)fprintf(to, "usage: tenure %s%s%s [OPTION...]%s\n", verb->name, verb->arguments[0] ? " " : "",
	              verb->arguments,
	              verb->needs & CLI_COMMAND            ? " -- CMD [ARG...]"
	              : verb->needs & CLI_COMMAND_OPTIONAL ? " [-- CMD [ARG...]]"
	                                                   : "");
}

/* One word, on a new line where it does not fit. Returns the column after it. */
static size_t help_word(FILE *to, const char *word, size_t length, size_t indent, size_t at)
{
	if (at > indent && at + 1 + length > HELP_WIDTH) {
		(void)fprintf(to, "\n%*s", (int)indent, "");
		at = indent;
	} else if (at > indent) {
		(void)putc(' ', to);
		at++;
	}
	(void)fprintf(to, "%.*s", (int)length, word);
	return at + length;
}

/*
 * Paragraphs are filled, whatever lines they stand in; lines that begin with a space (examples) and empty ones are left
 * as they are. The first line begins at column `indent`, which the caller has reached.
 */
static void help_text(FILE *to, const char *text, size_t indent)
{
	size_t at = indent;

	while (*text) {
		size_t length = strcspn(text, " \n");

		if (length > 0) {
			at = help_word(to, text, length, indent, at);
			text += length;
		}
		if (*text == '\n' && (text[1] == ' ' || text[1] == '\n')) {
			length = strcspn(text + 1, "\n");
			(void)fprintf(to, "\n%.*s", (int)length, text + 1);
			text += 1 + length;
			at = indent;
			/* What follows an empty or indented line begins a line of its own. */
			if (*text == '\n' && text[1] != ' ' && text[1] != '\n')
				(void)putc(*text++, to);
		} else if (*text) {
			text++;
		}
	}
	(void)putc('\n', to);
}

static void help_option(FILE *to, const struct cli_option *o)
{
	char left[96], letter[8] = "";
	int used;

	if (o->letter)
		(void)snprintf(letter, sizeof letter, "-%c, ", o->letter);
	used = snprintf(left, sizeof left, "  %s--%s%s%s", letter, o->name, o->kind == CLI_FLAG ? "" : " ",
	                o->kind == CLI_FLAG ? "" : o->metavar);
	if (used >= HELP_INDENT - 1)
		(void)fprintf(to, "%s\n%*s", left, HELP_INDENT, "");
	else
		(void)fprintf(to, "%-*s", HELP_INDENT, left);
	help_text(to, o->help, HELP_INDENT);
}

void help_verb(FILE *to, const struct cli_verb *verb)
{
	struct options_entry entries[OPTIONS_MAX];
	size_t n = options_collect(verb, entries);

	help_usage(to, verb);
	(void)putc('\n', to);
	help_text(to, verb->help, 0);
	(void)fputs("\noptions:\n", to);
	for (size_t i = 0; i < n; i++)
		help_option(to, entries[i].option);
}
