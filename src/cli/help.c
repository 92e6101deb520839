/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/help.h"

#include <string.h>

#include "cli/options.h"
#include "cli/verbs.h"

#define HELP_INDENT 28
#define HELP_WIDTH  100

void help_all(FILE *to)
{
	(void)fputs("Tenure gives a group of processes exactly one leader, and makes sure that a former one can do no "
	            "harm.\n"
	            "\n"
	            "usage: tenure VERB [OPTION...]\n"
	            "\n",
	            to);
	for (size_t i = 0; verbs_at(i); i++)
		(void)fprintf(to, "  %-10s  %s\n", verbs_at(i)->name, verbs_at(i)->summary);
	(void)fputs(
	        "\n"
	        "Start the same program in as many terminals or services of this host as you like; it runs in one:\n"
	        "\n"
	        "  tenure run nightly-report -- ./report.sh\n"
	        "  tenure status nightly-report\n"
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

/* Words of `text`, broken at HELP_WIDTH, with later lines indented like the first. */
static void help_wrapped(FILE *to, const char *text, size_t at)
{
	while (*text) {
		size_t length = strcspn(text, " ");

		if (at + length > HELP_WIDTH && at > HELP_INDENT) {
			(void)fprintf(to, "\n%*s", HELP_INDENT, "");
			at = HELP_INDENT;
		}
		(void)fprintf(to, "%.*s", (int)length, text);
		at += length;
		text += length;
		if (*text == ' ') {
			(void)putc(' ', to);
			at++;
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
	help_wrapped(to, o->help, HELP_INDENT);
}

void help_verb(FILE *to, const struct cli_verb *verb)
{
	struct options_entry entries[OPTIONS_MAX];
	size_t n = options_collect(verb, entries);

	help_usage(to, verb);
	(void)fprintf(to, "\n%s\n\noptions:\n", verb->help);
	for (size_t i = 0; i < n; i++)
		help_option(to, entries[i].option);
}
