/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/exit_code.h"
#include "cli/logs.h"
#include "cli/output.h"
#include "cli/server_config.h"
#include "cli/server_notify.h"
#include "loop/loop.h"
#include "loop/stream.h"
#include "quorum/voter_http.h"
#include "quorum/voter_init.h"
#include "quorum/voter_server.h"

#define VERB_SERVER_NOT_GIVEN   UINT64_MAX
#define VERB_SERVER_SPARE_FILES 64u /* descriptors that are no connections of candidates */

struct verb_server_options {
	const char *data, *http, *config, *dir, *cert, *key, *ca, *acl;
	bool insecure, volatile_store;
	uint64_t max_ttl_ns, epoch, ready_fd;
};

#define VERB_SERVER(member) offsetof(struct verb_server_options, member)

static const struct cli_option verb_server_options[] = {
	{ "data", 0, CLI_TEXT, "DIR", "the voter's store, as 'tenure server init' made it", VERB_SERVER(data), 0, 0 },
	{ "http", 0, CLI_TEXT, "H:P", "serve /livez, /readyz and /metrics there", VERB_SERVER(http), 0, 0 },
	{ "config", 0, CLI_TEXT, "FILE", "settings for what no flag gives, below a line [server]", VERB_SERVER(config),
	  0, 0 },
	{ "insecure", 0, CLI_FLAG, NULL,
	  "serve off loopback although connections are neither encrypted nor authenticated", VERB_SERVER(insecure), 0,
	  0 },
	{ "max-ttl", 0, CLI_DURATION, "DUR", "the longest lease that is granted (init's default: 10s)",
	  VERB_SERVER(max_ttl_ns), 1, 0 },
	{ "ready-fd", 0, CLI_U64, "FD", "write a line into this descriptor, and close it, as soon as it serves",
	  VERB_SERVER(ready_fd), 3, INT_MAX },
	{ "volatile", 0, CLI_FLAG, NULL, "take a store on a memory file system, which is gone with the host: for tests",
	  VERB_SERVER(volatile_store), 0, 0 },
	{ "dir", 0, CLI_TEXT, "D", "init: where the stores are made", VERB_SERVER(dir), 0, 0 },
	{ "epoch", 0, CLI_U64, "N", "init: above that of the cluster that this one follows (default: 0)",
	  VERB_SERVER(epoch), 0, QUORUM_EPOCH_MAX },
	{ "cert", 0, CLI_TEXT, "FILE", "not there yet", VERB_SERVER(cert), 0, 0 },
	{ "key", 0, CLI_TEXT, "FILE", "not there yet", VERB_SERVER(key), 0, 0 },
	{ "ca", 0, CLI_TEXT, "FILE", "not there yet", VERB_SERVER(ca), 0, 0 },
	{ "acl", 0, CLI_TEXT, "FILE", "not there yet", VERB_SERVER(acl), 0, 0 },
};
static const struct verb_server_options verb_server_defaults = {
	.epoch = VERB_SERVER_NOT_GIVEN,
	.ready_fd = VERB_SERVER_NOT_GIVEN,
};

/* What a store's trouble means to who starts a server: not the same as to a candidate. */
static int verb_server_fail(const struct cli *cli, const struct tenure_error *error)
{
	int exit_code = exit_code_of(error->code);

	if (error->code == TENURE_ENOENT) /* missing or blank: it was never made, or is lost */
		exit_code = 78;
	else if (error->code == TENURE_EEXIST) /* in use; init: there already */
		exit_code = cli->n_words > 0 ? 78 : 69;
	else if (error->code == TENURE_TIMEOUT)
		exit_code = 74;
	return cli_fail_code(cli, exit_code, "%s", error->message);
}

/* ---- init ---- */

static bool verb_server_ms(uint64_t ns, uint32_t *ms)
{
	*ms = (uint32_t)(ns / CLOCK_NS_PER_MS);
	return ns % CLOCK_NS_PER_MS == 0 && ns / CLOCK_NS_PER_MS <= UINT32_MAX && (ns == 0 || *ms >= QUORUM_MIN_TTL_MS);
}

static int verb_server_members(const struct cli *cli, struct voter_init_member members[QUORUM_MAX_VOTERS],
                               char copies[QUORUM_MAX_VOTERS][512])
{
	for (int i = 1; i < cli->n_words; i++) {
		char *copy = copies[i - 1], *equals;

		if (i > QUORUM_MAX_VOTERS)
			return cli_fail_code(cli, 64, "more than %d voters: each of them costs every renewal a message",
			                     QUORUM_MAX_VOTERS);
		(void)snprintf(copy, sizeof copies[0], "%s", cli->words[i]);
		equals = strchr(copy, '=');
		if (!equals || strlen(cli->words[i]) >= sizeof copies[0])
			return cli_fail_code(cli, 64,
			                     "'%.60s' is no voter: write NAME=HOST:PORT, as in v1=10.0.0.1:7420",
			                     cli->words[i]);
		*equals = '\0';
		members[i - 1] = (struct voter_init_member) { .name = copy, .address = equals + 1 };
	}
	return 0;
}

static int verb_server_init(struct cli *cli, const struct verb_server_options *o)
{
	struct voter_init_member members[QUORUM_MAX_VOTERS];
	char copies[QUORUM_MAX_VOTERS][512];
	struct voter_init init = { .directory = o->dir, .members = members, .allow_memory = o->volatile_store };
	struct tenure_error error = TENURE_ERROR_INIT;
	struct quorum_id cluster;
	int code;

	if (o->data || o->http || o->config || o->insecure || o->ready_fd != VERB_SERVER_NOT_GIVEN)
		return cli_fail_code(
		        cli, 64,
		        "init only makes the stores: --data, --http, --config, --insecure and --ready-fd are "
		        "for serving them");
	if (!o->dir)
		return cli_fail_code(cli, 64, "--dir D is missing: the stores are made as D/NAME");
	if (cli->n_words < 2)
		return cli_fail_code(cli, 64, "the voters are missing: write v1=HOST:PORT v2=HOST:PORT v3=HOST:PORT");
	if (!verb_server_ms(o->max_ttl_ns, &init.max_ttl_ms))
		return cli_fail_code(cli, 64, "bad --max-ttl: whole milliseconds, at least %u", QUORUM_MIN_TTL_MS);
	code = verb_server_members(cli, members, copies);
	if (code != 0)
		return code;
	init.n_members = (unsigned)cli->n_words - 1;
	init.epoch = o->epoch == VERB_SERVER_NOT_GIVEN ? 0 : (uint16_t)o->epoch;
	if (voter_init(&init, &cluster, &error) != 0)
		return verb_server_fail(cli, &error);
	(void)printf("cluster ");
	for (unsigned i = 0; i < sizeof cluster.bytes; i++)
		(void)printf("%02x", cluster.bytes[i]);
	(void)printf("\n");
	for (unsigned i = 0; i < init.n_members; i++)
		(void)printf("%s/%s\t%s\n", o->dir, members[i].name, members[i].address);
	return output_flush(cli);
}

/* ---- serving ---- */

struct verb_server {
	struct cli *cli;
	const struct verb_server_options *options;
	struct server_config config; /* of the file, as it was at start */
	struct logs logs;
	int level_before; /* where the file says nothing */
	struct loop *loop;
	struct loop_watch *signals;
	int signal_fd;
	struct voter_server *server;
	struct voter_http *http;
	bool stopping;
};

static void verb_server_nothing(void *arg)
{
	(void)arg;
}

static void verb_server_use_level(struct verb_server *v, const struct server_config *c)
{
	if (!v->logs.has_level)
		v->logs.level = c->log_level[0] ? logs_level(c->log_level) : v->level_before;
}

/* SIGHUP. A file that can't be read or is malformed changes nothing. */
static void verb_server_reload(struct verb_server *v)
{
	struct log log = { logs_write, &v->logs };
	struct server_config now;
	char names[128];

	if (!v->options->config) {
		log_write(&log, 5, "server", "SIGHUP: there is no --config to read again");
		return;
	}
	if (server_config_read(v->cli, &now, v->options->config) != 0) {
		log_write(&log, 3, "server", "SIGHUP: nothing was changed");
		return;
	}
	verb_server_use_level(v, &now);
	(void)server_config_needs_restart(&v->config, &now, names, sizeof names);
	if (names[0])
		log_write(&log, 4, "server", "SIGHUP: the log level was read again; a restart is needed for: %s",
		          names);
	else
		log_write(&log, 5, "server", "SIGHUP: the log level was read again");
}

static void verb_server_on_signal(void *arg)
{
	struct verb_server *v = arg;
	struct signalfd_siginfo info;

	while (read(v->signal_fd, &info, sizeof info) == (ssize_t)sizeof info) {
		if (info.ssi_signo == SIGHUP) {
			verb_server_reload(v);
			continue;
		}
		v->stopping = true;
		loop_stop(v->loop);
	}
}

static int verb_server_catch(struct verb_server *v)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN };
	sigset_t set;

	/* Lines of the log may go into a pipe whose reader has left. */
	(void)sigaction(SIGPIPE, &ignore, NULL);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	v->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (v->signal_fd >= 0 && loop_watch(v->loop, v->signal_fd, verb_server_on_signal, v, &v->signals) == 0)
		return 0;
	return cli_fail_code(v->cli, 69, "cannot wait for signals: %s", strerror(errno));
}

/* Connections are descriptors: as many as the host allows. Returns how many candidates may connect. */
static uint32_t verb_server_raise_files(uint64_t asked)
{
	struct rlimit limit;
	uint64_t most;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return (uint32_t)asked;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
	most = limit.rlim_cur > VERB_SERVER_SPARE_FILES ? limit.rlim_cur - VERB_SERVER_SPARE_FILES : 1;
	if (asked == 0 || asked > most)
		asked = most;
	return asked > UINT32_MAX ? UINT32_MAX : (uint32_t)asked;
}

static void verb_server_tell_ready(const struct verb_server *v)
{
	uint64_t fd = v->options->ready_fd;
	char state[STREAM_ADDRESS_ROOM + 128];

	(void)snprintf(state, sizeof state, "READY=1\nSTATUS=voter %s serves at %s\n", voter_server_name(v->server),
	               voter_server_address(v->server));
	server_notify(state);
	if (fd != VERB_SERVER_NOT_GIVEN) {
		(void)!write((int)fd, "ready\n", 6);
		(void)close((int)fd);
	}
}

static int verb_server_open(struct verb_server *v, const struct voter_server_settings *settings, const char *http)
{
	struct tenure_error error = TENURE_ERROR_INIT;

	if (loop_new(&v->loop, verb_server_nothing, verb_server_nothing, NULL, &error) != 0)
		return verb_server_fail(v->cli, &error);
	if (verb_server_catch(v) != 0)
		return 69;
	/* Its address before the voter's run begins: a wrong one must not cost the clean stop before. */
	if (http && voter_http_new(&v->http, v->loop, http, &error) != 0)
		return verb_server_fail(v->cli, &error);
	if (voter_server_new(&v->server, v->loop, settings, &error) != 0)
		return verb_server_fail(v->cli, &error);
	if (v->http) {
		voter_http_serve(v->http, v->server);
		log_write(&settings->log, 5, "server", "http at %s", voter_http_address(v->http));
	}
	return 0;
}

static int verb_server_serve(struct verb_server *v, const struct voter_server_settings *settings)
{
	struct tenure_error error = TENURE_ERROR_INIT;

	verb_server_tell_ready(v);
	loop_run_until_stopped(v->loop);
	/* R27: what the disk holds is not known any more, so nothing is written that says "clean". */
	if (voter_server_has_failed(v->server, &error)) {
		(void)verb_server_fail(v->cli, &error);
		log_write(&settings->log, 2, "voter",
		          "this voter stops; mend the disk and start it again: it holds first");
		return exit_code_of(error.code);
	}
	server_notify("STOPPING=1\n");
	if (voter_server_stop(v->server, &error) != 0)
		return verb_server_fail(v->cli, &error);
	log_write(&settings->log, 5, "voter", "stopped cleanly: the next start goes on where this one ended");
	return 0;
}

static void verb_server_close(struct verb_server *v)
{
	voter_http_free(v->http);
	voter_server_free(v->server);
	loop_unwatch(v->signals);
	loop_free(v->loop);
	if (v->signal_fd >= 0)
		(void)close(v->signal_fd);
}

static int verb_server_settings(struct verb_server *v, struct voter_server_settings *s, const char **http)
{
	const struct verb_server_options *o = v->options;
	const struct server_config *c = &v->config;
	char host[STREAM_ADDRESS_ROOM];
	uint16_t port;

	s->directory = o->data ? o->data : c->data;
	if (!s->directory[0])
		return cli_fail_code(v->cli, 64,
		                     "--data DIR is missing: the voter's store ('tenure server init' makes it)");
	s->insecure = o->insecure || c->insecure;
	s->allow_memory = o->volatile_store || c->volatile_store;
	if (!verb_server_ms(o->max_ttl_ns ? o->max_ttl_ns : c->max_ttl_ns, &s->max_ttl_ms))
		return cli_fail_code(v->cli, o->max_ttl_ns ? 64 : 78, "bad max-ttl: whole milliseconds, at least %u",
		                     QUORUM_MIN_TTL_MS);
	*http = o->http ? o->http : c->http[0] ? c->http : NULL;
	if (*http && (!stream_split_address(*http, 0, host, &port)))
		return cli_fail_code(v->cli, 64, "bad --http '%.60s': it is HOST:PORT", *http);
	if (*http && !s->insecure && !stream_is_loopback(*http))
		return cli_fail_code(v->cli, 78,
		                     "--http %.100s is off loopback, and anybody could read it: say --insecure", *http);
	if (o->ready_fd != VERB_SERVER_NOT_GIVEN && fcntl((int)o->ready_fd, F_GETFD) < 0)
		return cli_fail_code(v->cli, 64, "--ready-fd %" PRIu64 " is not open", o->ready_fd);
	s->limits.max_elections = (uint32_t)c->max_elections;
	s->limits.max_peers = verb_server_raise_files(c->max_connections);
	v->level_before = v->logs.level;
	verb_server_use_level(v, c);
	if (!v->logs.has_format && c->log_format[0])
		v->logs.json = strcmp(c->log_format, "json") == 0;
	s->log = (struct log) { logs_write, &v->logs };
	return 0;
}

static int verb_server_usage(const struct cli *cli, const struct verb_server_options *o)
{
	const char *early = o->cert ? "cert" : o->key ? "key" : o->ca ? "ca" : o->acl ? "acl" : NULL;

	if (early)
		return cli_fail_code(
		        cli, 64,
		        "--%s: TLS and access lists are not there yet; connections are neither encrypted nor "
		        "authenticated, so serve on loopback or a network of your own (--insecure)",
		        early);
	if (cli->n_words > 0 && strcmp(cli->words[0], "init") != 0)
		return cli_fail_code(cli, 64, "'%.60s' is not init; the store of a voter is --data DIR", cli->words[0]);
	if (cli->n_words == 0 && (o->dir || o->epoch != VERB_SERVER_NOT_GIVEN))
		return cli_fail_code(cli, 64, "--dir and --epoch belong to 'tenure server init'");
	return 0;
}

static int verb_server_run(struct cli *cli, void *options)
{
	struct cli own = *cli; /* with its own log, whose level SIGHUP changes */
	struct verb_server v = { .cli = &own, .options = options, .logs = *cli->log, .signal_fd = -1 };
	struct voter_server_settings settings = { .insecure = false };
	const char *http = NULL;
	int code = verb_server_usage(cli, options);

	if (code == 0 && cli->n_words > 0)
		return verb_server_init(cli, options);
	own.log = &v.logs;
	if (code == 0 && v.options->config)
		code = server_config_read(&own, &v.config, v.options->config);
	if (code == 0)
		code = verb_server_settings(&v, &settings, &http);
	if (code != 0)
		return code;
	code = verb_server_open(&v, &settings, http);
	if (code == 0)
		code = verb_server_serve(&v, &settings);
	verb_server_close(&v);
	return code;
}

const struct cli_verb verb_server = {
	.name = "server",
	.arguments = "[init] [NAME=H:P]...",
	.summary = "one voter of a quorum, or the stores of a new one (init)",
	.help = "Serves one voter at the address that its store has for it. Three voters, on three hosts, elect among "
	        "the "
	        "candidates that have quorum://H:P,H:P,H:P as their store; one of them may be down.\n"
	        "\n"
	        "  tenure server init --dir /var/lib/tenure \\\n"
	        "    v1=10.0.0.1:7420 v2=10.0.0.2:7420 v3=10.0.0.3:7420\n"
	        "  # move v2 and v3 to their hosts before their first start; then on each host:\n"
	        "  tenure server --data /var/lib/tenure/v1 --http 127.0.0.1:7480 --insecure\n"
	        "\n"
	        "TERM and INT stop it cleanly: the next start votes at once. After a crash it holds first: no vote for "
	        "max_ttl, while leaders keep leading. So restart one voter at a time, and wait for /readyz. HUP reads "
	        "the "
	        "log level again and names what needs a restart. A store that is missing or blank is refused: a voter "
	        "never makes up who it is.\n"
	        "\n"
	        "It is ready when it says that it serves, on stderr; for scripts --ready-fd, under systemd "
	        "Type=notify.\n"
	        "\n"
	        "The file of --config, below a line [server]: data, http, insecure = yes, max-ttl, max-connections, "
	        "max-elections, volatile, log-format, log-level.\n"
	        "\n"
	        "exit codes: 0 stopped cleanly, or made; 64 bad usage; 69 the store is in use, no descriptors or "
	        "memory; "
	        "74 the disk failed, or the address can't be had; 76 the store is damaged, foreign, or of a newer "
	        "version; "
	        "78 the store is missing, blank or a copy (init: there already), off loopback without --insecure, "
	        "malformed configuration.",
	.needs = 0,
	.options = verb_server_options,
	.n_options = sizeof verb_server_options / sizeof verb_server_options[0],
	.defaults = &verb_server_defaults,
	.options_bytes = sizeof verb_server_defaults,
	.run = verb_server_run,
};
