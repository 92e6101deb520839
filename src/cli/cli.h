/* SPDX-License-Identifier: Apache-2.0 */
/* One table drives dispatch, options, help, completion and the check of the man page: verbs.c. One file a verb. */
#ifndef TENURE_CLI_CLI_H
#define TENURE_CLI_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tenure/tenure.h>

struct cli;
struct logs;

enum cli_kind { CLI_FLAG, CLI_TEXT, CLI_DURATION, CLI_DURATION_OR_FOREVER, CLI_U64, CLI_CHOICE };

struct cli_option {
	const char *name; /* without dashes */
	char letter;      /* or 0 */
	enum cli_kind kind;
	const char *metavar; /* "DUR"; the choices "a|b" for CLI_CHOICE */
	const char *help;    /* a line or two; the default in it, where there is one */
	size_t offset; /* in the verb's own struct: bool, const char *, uint64_t (durations in ns, forever = NS_NEVER)
	                */
	uint64_t min, max; /* CLI_U64; max 0: no bound */
};

enum cli_needs {
	CLI_STORE = 1,   /* --store, --id, --ttl, --config are taken, cli->session is filled in */
	CLI_OUTPUT = 2,  /* -o json|table */
	CLI_COMMAND = 4, /* -- CMD [ARG...] must follow */
	CLI_COMMAND_OPTIONAL = 8,
	CLI_TRACE = 16, /* --trace FILE is taken, cli->trace_fd is open */
};

struct cli_verb {
	const char *name;
	const char *arguments; /* "ELECTION", "[ELECTION]": how many words are taken is checked against it */
	const char *summary;   /* one line */
	const char *help;      /* paragraphs: what it does, an example, exit codes */
	unsigned needs;
	const struct cli_option *options;
	size_t n_options;
	const void *defaults; /* the verb's own struct with its defaults; copied before parsing */
	size_t options_bytes;
	int (*run)(struct cli *cli, void *options); /* returns the exit code */
};

enum cli_format { CLI_TABLE, CLI_JSON };
enum cli_origin { CLI_FROM_FLAG, CLI_FROM_ENVIRONMENT, CLI_FROM_FILE, CLI_FROM_DEFAULT };

struct cli {
	const struct cli_verb *verb;
	const char *store_url;         /* flag, else TENURE_STORE, else file, else the default of CONTRACT; absolute */
	enum cli_origin store_origin;  /* a bad URL of the configuration file is another exit code than one of a flag */
	struct tenure_options session; /* id, ttl, log: ready for tenure_open() */
	enum cli_format format;
	int n_words;
	char **words;          /* after the verb, options taken out */
	char **command;        /* after "--", NULL-terminated; NULL: none */
	int trace_fd;          /* CLI_TRACE: opened for appending; -1: none */
	unsigned closed_stdio; /* bit n: descriptor n was closed at start, /dev/null stands in its place */
	const struct logs *log;
};

/* "tenure VERB: message" on stderr, and the exit code of CONTRACT's table for this error. */
int cli_fail(const struct cli *cli, const struct tenure_error *error);
/* The same with a message of one's own. */
int cli_fail_code(const struct cli *cli, int exit_code, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* 0; or prints what is wrong with the name and returns 64. */
int cli_check_election(const struct cli *cli, const char *election);
/*
 * For verbs that only look and wait: from now on SIGTERM, SIGINT and SIGHUP end the command with 128 + signal, those
 * apart that were ignored at start. Nothing of theirs has to be put in order.
 */
void cli_end_on_signals(void);
/* Opens the session of CLI_STORE; on failure prints and returns the exit code, else 0. */
int cli_open(struct cli *cli, bool embedded, struct tenure **t);

/* The whole command. `closed_stdio` as in struct cli. Returns the exit code. */
int cli_main(int argc, char **argv, unsigned closed_stdio);

#endif
