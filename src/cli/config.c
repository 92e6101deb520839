/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/config.h"

#include <stdio.h>
#include <string.h>

#include "base/names.h"
#include "base/text.h"
#include "cli/config_file.h"
#include "cli/logs.h"
#include "client/url.h"

static void config_set_store(struct config_file *f, struct config *c, const char *value)
{
	struct tenure_error error = TENURE_ERROR_INIT;
	struct url url;

	if (url_parse(&url, value, &error) != 0)
		config_file_fault(f, "%.180s", error.message);
	else if (strcmp(url.scheme, "file") == 0 && url.path[0] != '/')
		config_file_fault(f, "the directory of a file store must be absolute here, as in file:/var/lib/tenure");
	else
		(void)snprintf(c->store, sizeof c->store, "%s", value);
}

static void config_set(struct config_file *f, void *config, const char *key, const char *value)
{
	struct config *c = config;
	const char *fault;

	if (strcmp(key, "store") == 0) {
		config_set_store(f, c, value);
	} else if (strcmp(key, "id") == 0) {
		fault = names_id_fault(value);
		if (fault)
			config_file_fault(f, "bad id '%.64s': %s", value, fault);
		(void)snprintf(c->id, sizeof c->id, "%s", value);
	} else if (strcmp(key, "ttl") == 0) {
		if (!text_duration_ns(value, &c->ttl_ns) || c->ttl_ns == 0)
			config_file_fault(f, "bad ttl '%.60s': it is a duration with its unit (ms, s, m, h), as in 10s",
			                  value);
	} else if (strcmp(key, "log-format") == 0) {
		if (strcmp(value, "text") != 0 && strcmp(value, "json") != 0)
			config_file_fault(f, "bad log-format '%.60s': it is text or json", value);
		(void)snprintf(c->log_format, sizeof c->log_format, "%s", value);
	} else {
		if (logs_level(value) < 0)
			config_file_fault(f, "bad log-level '%.60s': it is one of " LOGS_LEVELS, value);
		(void)snprintf(c->log_level, sizeof c->log_level, "%s", value);
	}
}

static const char *const config_keys[] = { "store", "id", "ttl", "log-format", "log-level" };
static const struct config_file_format config_format = {
	.section = "tenure",
	.keys = config_keys,
	.n_keys = sizeof config_keys / sizeof config_keys[0],
	.known = "store, id, ttl, log-format, log-level",
	.set = config_set,
};

int config_parse(struct config *c, const char *name, const char *text, size_t n_bytes, struct tenure_error *error)
{
	memset(c, 0, sizeof *c);
	return config_file_parse(&config_format, c, name, text, n_bytes, error);
}
