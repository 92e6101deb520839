/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/server_config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/text.h"
#include "cli/logs.h"
#include "cli/settings.h"
#include "loop/stream.h"

static void server_config_set_yes(struct config_file *f, bool *out, const char *key, const char *value)
{
	*out = strcmp(value, "yes") == 0;
	if (!*out && strcmp(value, "no") != 0)
		config_file_fault(f, "bad %s '%.60s': it is yes or no", key, value);
}

static void server_config_set_number(struct config_file *f, uint64_t *out, const char *key, const char *value)
{
	if (!text_u64(value, UINT32_MAX, out) || *out == 0)
		config_file_fault(f, "bad %s '%.60s': it is a whole number from 1 to %u", key, value, UINT32_MAX);
}

static void server_config_set_log(struct config_file *f, struct server_config *c, const char *key, const char *value)
{
	if (strcmp(key, "log-format") == 0) {
		if (strcmp(value, "text") != 0 && strcmp(value, "json") != 0)
			config_file_fault(f, "bad log-format '%.60s': it is text or json", value);
		(void)snprintf(c->log_format, sizeof c->log_format, "%s", value);
	} else {
		if (logs_level(value) < 0)
			config_file_fault(f, "bad log-level '%.60s': it is one of " LOGS_LEVELS, value);
		(void)snprintf(c->log_level, sizeof c->log_level, "%s", value);
	}
}

static void server_config_set(struct config_file *f, void *config, const char *key, const char *value)
{
	struct server_config *c = config;
	char host[STREAM_ADDRESS_ROOM];
	uint16_t port;

	if (strcmp(key, "data") == 0) {
		if (value[0] != '/')
			config_file_fault(f, "data must be absolute here, as in /var/lib/tenure/v1");
		(void)snprintf(c->data, sizeof c->data, "%s", value);
	} else if (strcmp(key, "http") == 0) {
		if (!stream_split_address(value, 0, host, &port))
			config_file_fault(f, "bad http '%.60s': it is HOST:PORT", value);
		(void)snprintf(c->http, sizeof c->http, "%s", value);
	} else if (strcmp(key, "insecure") == 0) {
		server_config_set_yes(f, &c->insecure, key, value);
	} else if (strcmp(key, "volatile") == 0) {
		server_config_set_yes(f, &c->volatile_store, key, value);
	} else if (strcmp(key, "max-ttl") == 0) {
		if (!text_duration_ns(value, &c->max_ttl_ns) || c->max_ttl_ns == 0)
			config_file_fault(f, "bad max-ttl '%.60s': it is a duration with its unit, as in 10s", value);
	} else if (strcmp(key, "max-connections") == 0) {
		server_config_set_number(f, &c->max_connections, key, value);
	} else if (strcmp(key, "max-elections") == 0) {
		server_config_set_number(f, &c->max_elections, key, value);
	} else if (strncmp(key, "log-", 4) == 0) {
		server_config_set_log(f, c, key, value);
	} else {
		config_file_fault(f, "'%s' is not there yet: connections are neither encrypted nor authenticated", key);
	}
}

static const char *const server_config_keys[] = {
	"data",      "http", "insecure", "volatile", "max-ttl", "max-connections", "max-elections", "log-format",
	"log-level", "cert", "key",      "ca",       "acl"
};
static const struct config_file_format server_config_format = {
	.section = "server",
	.keys = server_config_keys,
	.n_keys = sizeof server_config_keys / sizeof server_config_keys[0],
	.known = "data, http, insecure, max-ttl, max-connections, max-elections, volatile, log-format, log-level",
	.set = server_config_set,
};

int server_config_read(const struct cli *cli, struct server_config *c, const char *path)
{
	struct tenure_error error = TENURE_ERROR_INIT;
	char *text = malloc(CONFIG_MAX_BYTES + 1);
	ssize_t n;
	int code = 0;

	memset(c, 0, sizeof *c);
	if (!text)
		return cli_fail_code(cli, 70, "out of memory");
	n = settings_read(path, text, CONFIG_MAX_BYTES + 1);
	if (n < 0)
		code = cli_fail_code(cli, 78, "cannot read the configuration %s: %s", path, strerror(errno));
	else if (config_file_parse(&server_config_format, c, path, text, (size_t)n, &error) != 0)
		code = cli_fail_code(cli, error.code == TENURE_ENOMEM ? 70 : 78, "%s", error.message);
	free(text);
	return code;
}

static void server_config_name(struct buf *b, bool differs, const char *name)
{
	if (!differs)
		return;
	if (b->used > 0)
		buf_text(b, ", ");
	buf_text(b, name);
}

const char *server_config_needs_restart(const struct server_config *before, const struct server_config *now, char *out,
                                        size_t room)
{
	struct buf b;

	buf_init(&b, out, room);
	server_config_name(&b, strcmp(before->data, now->data) != 0, "data");
	server_config_name(&b, strcmp(before->http, now->http) != 0, "http");
	server_config_name(&b, before->insecure != now->insecure, "insecure");
	server_config_name(&b, before->volatile_store != now->volatile_store, "volatile");
	server_config_name(&b, before->max_ttl_ns != now->max_ttl_ns, "max-ttl");
	server_config_name(&b, before->max_connections != now->max_connections, "max-connections");
	server_config_name(&b, before->max_elections != now->max_elections, "max-elections");
	server_config_name(&b, strcmp(before->log_format, now->log_format) != 0, "log-format");
	return out;
}
