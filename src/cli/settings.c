/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/settings.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/names.h"
#include "base/text.h"

/* An empty variable is one that is not set, as everywhere. */
static const char *settings_environment(const char *name)
{
	const char *value = getenv(name);

	return value && *value ? value : NULL;
}

static int settings_log_format(const struct cli *cli, struct logs *logs, const char *value, const char *origin)
{
	if (strcmp(value, "json") != 0 && strcmp(value, "text") != 0)
		return cli_fail_code(cli, 64, "bad %s '%.60s': it is text or json", origin, value);
	logs->json = strcmp(value, "json") == 0;
	logs->has_format = true;
	return 0;
}

static int settings_log_level(const struct cli *cli, struct logs *logs, const char *value, const char *origin)
{
	int level = logs_level(value);

	if (level < 0)
		return cli_fail_code(cli, 64, "bad %s '%.60s': it is one of " LOGS_LEVELS, origin, value);
	logs->level = level;
	logs->has_level = true;
	return 0;
}

int settings_logs(const struct cli *cli, struct logs *logs, const struct options_common *common)
{
	const char *format = settings_environment("TENURE_LOG_FORMAT"),
	           *level = settings_environment("TENURE_LOG_LEVEL");
	int code = 0;

	if (common->log_format)
		code = settings_log_format(cli, logs, common->log_format, "--log-format");
	else if (format)
		code = settings_log_format(cli, logs, format, "TENURE_LOG_FORMAT");
	if (code != 0)
		return code;
	if (common->log_level)
		return settings_log_level(cli, logs, common->log_level, "--log-level");
	return level ? settings_log_level(cli, logs, level, "TENURE_LOG_LEVEL") : 0;
}

ssize_t settings_read(const char *path, char *out, size_t room)
{
	size_t used = 0;
	ssize_t n = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY), saved;

	if (fd < 0)
		return -1;
	while (used < room) {
		n = read(fd, out + used, room - used);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		used += (size_t)n;
	}
	saved = errno;
	(void)close(fd);
	errno = saved;
	return n < 0 ? -1 : (ssize_t)used;
}

static int settings_file(const struct cli *cli, struct config *config, const char *named)
{
	const char *path = named ? named : SETTINGS_DEFAULT_FILE;
	struct tenure_error error = TENURE_ERROR_INIT;
	char *text;
	ssize_t n;
	int code;

	memset(config, 0, sizeof *config);
	if (!named && access(path, F_OK) != 0 && errno == ENOENT)
		return 0;
	text = malloc(CONFIG_MAX_BYTES + 1);
	if (!text)
		return cli_fail_code(cli, 70, "out of memory");
	n = settings_read(path, text, CONFIG_MAX_BYTES + 1);
	if (n < 0)
		code = cli_fail_code(cli, 78, "cannot read the configuration %s: %s", path, strerror(errno));
	else if (config_parse(config, path, text, (size_t)n, &error) != 0)
		code = cli_fail_code(cli, 78, "%s", error.message);
	else
		code = 0;
	free(text);
	return code;
}

bool settings_absolute(char *out, size_t room, const char *url, const char *directory)
{
	struct buf b;

	buf_init(&b, out, room);
	if (strncmp(url, "file:", 5) != 0 || url[5] == '/' || url[5] == '\0' || url[5] == '?') {
		buf_text(&b, url);
		return !b.overflow;
	}
	buf_text(&b, "file:");
	/* Of the root nothing is taken over: its slash comes below, and two would begin a host. */
	for (const char *p = strcmp(directory, "/") == 0 ? "" : directory; *p; p++)
		if (*p == '%' || *p == '?')
			buf_text(&b, *p == '%' ? "%25" : "%3F");
		else
			buf_char(&b, *p);
	buf_char(&b, '/');
	buf_text(&b, url + 5);
	return !b.overflow;
}

static int settings_default_store(const struct cli *cli, struct settings *s)
{
	const char *state = settings_environment("XDG_STATE_HOME"), *home = settings_environment("HOME");
	bool fits;

	if (geteuid() == 0)
		fits = settings_absolute(s->store_url, sizeof s->store_url, "file:/var/lib/tenure", "/");
	else if (state && state[0] == '/') /* a relative one is to be ignored (XDG Base Directory Specification) */
		fits = settings_absolute(s->store_url, sizeof s->store_url, "file:tenure", state);
	else if (home && home[0] == '/')
		fits = settings_absolute(s->store_url, sizeof s->store_url, "file:.local/state/tenure", home);
	else
		return cli_fail_code(cli, 64, "no store: give --store file:DIR, or set TENURE_STORE or HOME");
	return fits ? 0 : cli_fail_code(cli, 64, "the path of the default store is too long: give --store file:DIR");
}

static int settings_store(struct cli *cli, const struct options_common *common, struct settings *s)
{
	const char *variable = settings_environment("TENURE_STORE"), *url = NULL;
	char directory[4096] = "/";

	if (common->store)
		url = common->store, cli->store_origin = CLI_FROM_FLAG;
	else if (variable)
		url = variable, cli->store_origin = CLI_FROM_ENVIRONMENT;
	else if (s->config.store[0])
		url = s->config.store, cli->store_origin = CLI_FROM_FILE;
	else
		cli->store_origin = CLI_FROM_DEFAULT;
	cli->store_url = s->store_url;
	if (!url)
		return settings_default_store(cli, s);
	if (strncmp(url, "file:", 5) == 0 && url[5] != '/' && !getcwd(directory, sizeof directory))
		return cli_fail_code(cli, 64, "'%.100s' is relative, and the present directory can't be told: %s", url,
		                     strerror(errno));
	if (!settings_absolute(s->store_url, sizeof s->store_url, url, directory))
		return cli_fail_code(cli, 64, "the store's URL is too long");
	return 0;
}

static int settings_session(struct cli *cli, const struct options_common *common, const struct settings *s)
{
	const char *id = common->id, *ttl = settings_environment("TENURE_TTL"), *fault;

	if (!id)
		id = settings_environment("TENURE_ID");
	if (!id && s->config.id[0])
		id = s->config.id;
	fault = id ? names_id_fault(id) : NULL;
	if (fault)
		return cli_fail_code(cli, 64, "bad id '%.64s': %s", id, fault);
	cli->session.id = id;
	cli->session.ttl_ns = s->config.ttl_ns;
	if (common->ttl_ns)
		cli->session.ttl_ns = common->ttl_ns;
	else if (ttl && (!text_duration_ns(ttl, &cli->session.ttl_ns) || cli->session.ttl_ns == 0))
		return cli_fail_code(cli, 64, "bad TENURE_TTL '%.60s': it is a duration with its unit, as in 10s", ttl);
	return 0;
}

int settings_resolve(struct cli *cli, struct logs *logs, const struct options_common *common, struct settings *s)
{
	int code = settings_file(cli, &s->config, common->config);

	if (code != 0)
		return code;
	if (s->config.log_format[0] && !common->log_format && !settings_environment("TENURE_LOG_FORMAT"))
		logs->json = strcmp(s->config.log_format, "json") == 0;
	if (s->config.log_level[0] && !common->log_level && !settings_environment("TENURE_LOG_LEVEL"))
		logs->level = logs_level(s->config.log_level);
	cli->session = (struct tenure_options)TENURE_OPTIONS_INIT;
	cli->session.log = logs_write;
	cli->session.log_arg = logs;
	code = settings_store(cli, common, s);
	return code != 0 ? code : settings_session(cli, common, s);
}
