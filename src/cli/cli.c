/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/exit_code.h"
#include "base/names.h"
#include "cli/complete.h"
#include "cli/help.h"
#include "cli/logs.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/settings.h"
#include "cli/suggest.h"
#include "cli/verbs.h"

int cli_fail_code(const struct cli *cli, int exit_code, const char *format, ...)
{
	char text[1024];
	va_list arguments;
	struct logs logs = *cli->log;

	va_start(arguments, format);
	(void)vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	logs_write(&logs, 3, "cli", text);
	return exit_code;
}

int cli_fail(const struct cli *cli, const struct tenure_error *error)
{
	int exit_code = exit_code_of(error->code);

	/* The user can't see at the command line what the file says: malformed configuration, not bad usage. */
	if (cli->store_origin == CLI_FROM_FILE && (error->code == TENURE_EURL || error->code == TENURE_ENOSTORE))
		exit_code = 78;
	return cli_fail_code(cli, exit_code, "%s", error->message[0] ? error->message : tenure_strerror(error->code));
}

int cli_check_election(const struct cli *cli, const char *election)
{
	const char *fault = names_election_fault(election);

	return fault ? cli_fail_code(cli, 64, "bad election name '%.60s': %s", election, fault) : 0;
}

static void cli_on_signal(int signal_number)
{
	_exit(128 + signal_number);
}

void cli_end_on_signals(void)
{
	static const int signals[] = { SIGTERM, SIGINT, SIGHUP };
	struct sigaction end = { .sa_handler = cli_on_signal }, old;

	sigemptyset(&end.sa_mask);
	for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
		if (sigaction(signals[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
			(void)sigaction(signals[i], &end, NULL);
}

int cli_open(struct cli *cli, bool embedded, struct tenure **t)
{
	struct tenure_error error = TENURE_ERROR_INIT;

	cli->session.embedded = embedded;
	return tenure_open(t, cli->store_url, &cli->session, &error) == 0 ? 0 : cli_fail(cli, &error);
}

static int cli_unknown_verb(const struct cli *cli, const char *word)
{
	struct suggest s;

	suggest_init(&s, word);
	for (size_t i = 0; verbs_at(i); i++)
		suggest_consider(&s, verbs_at(i)->name);
	if (s.best)
		return cli_fail_code(cli, 64, "unknown verb '%.60s': did you mean '%s'? See 'tenure --help'", word,
		                     s.best);
	return cli_fail_code(cli, 64, "unknown verb '%.60s': see 'tenure --help'", word);
}

static int cli_open_trace(struct cli *cli, const char *path)
{
	cli->trace_fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0640);
	if (cli->trace_fd >= 0)
		return 0;
	return cli_fail_code(cli, 74, "cannot open the trace %.200s: %s", path, strerror(errno));
}

static int cli_prepare(struct cli *cli, struct logs *logs, const struct options_common *common,
                       struct settings *settings)
{
	int code = settings_logs(cli, logs, common);

	if (code == 0 && cli->verb->needs & CLI_STORE)
		code = settings_resolve(cli, logs, common, settings);
	if (code == 0 && common->trace)
		code = cli_open_trace(cli, common->trace);
	if (common->output && strcmp(common->output, "json") == 0)
		cli->format = CLI_JSON;
	return code;
}

static int cli_run_verb(struct cli *cli, struct logs *logs, int argc, char **argv)
{
	struct options_common common = { 0 };
	struct settings *settings = calloc(1, sizeof *settings);
	void *own = calloc(1, cli->verb->options_bytes ? cli->verb->options_bytes : 1);
	char fault[OPTIONS_FAULT_ROOM];
	int code;

	if (!settings || !own) {
		code = cli_fail_code(cli, 70, "out of memory");
		goto out;
	}
	if (cli->verb->defaults)
		memcpy(own, cli->verb->defaults, cli->verb->options_bytes);
	code = options_parse(cli, argc, argv, &common, own, fault);
	if (code != 0) {
		(void)cli_fail_code(cli, code, "%s%s See 'tenure %s --help'", fault,
		                    fault[strlen(fault) - 1] == '?' ? "" : ".", cli->verb->name);
	} else if (common.help) {
		help_verb(stdout, cli->verb);
		code = output_flush(cli);
	} else {
		code = cli_prepare(cli, logs, &common, settings);
		if (code == 0)
			code = cli->verb->run(cli, own);
	}
out:
	if (cli->trace_fd >= 0)
		(void)close(cli->trace_fd);
	free(own);
	free(settings);
	return code;
}

/* "tenure --help", "tenure help", "tenure help VERB" */
static int cli_help(const struct cli *cli, int argc, char **argv)
{
	const struct cli_verb *verb = argc > 2 ? verbs_find(argv[2]) : NULL;

	if (argc > 2 && !verb)
		return cli_unknown_verb(cli, argv[2]);
	if (verb)
		help_verb(stdout, verb);
	else
		help_all(stdout);
	return output_flush(cli);
}

int cli_main(int argc, char **argv, unsigned closed_stdio)
{
	struct logs logs;
	struct cli cli = { .trace_fd = -1, .closed_stdio = closed_stdio, .log = &logs };
	const char *word = argc > 1 ? argv[1] : "";

	logs_init(&logs, NULL);
	if (argc < 2) {
		help_all(stderr);
		return 64;
	}
	if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0)
		return cli_help(&cli, argc, argv);
	if (strcmp(word, "__complete") == 0)
		return complete_print(&cli, argc - 2, argv + 2);
	if (strcmp(word, "--version") == 0)
		word = "version";
	cli.verb = verbs_find(word);
	if (!cli.verb && word[0] == '-')
		return cli_fail_code(&cli, 64, "'%.60s' stands before the verb: write 'tenure VERB %.60s'", word, word);
	if (!cli.verb)
		return cli_unknown_verb(&cli, word);
	logs.verb = cli.verb->name;
	return cli_run_verb(&cli, &logs, argc - 1, argv + 1);
}
