/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/config.h"

#include <ini.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/names.h"
#include "base/text.h"
#include "cli/logs.h"
#include "cli/suggest.h"
#include "client/url.h"

#define CONFIG_SECTION "tenure"

static const char *const config_keys[] = { "store", "id", "ttl", "log-format", "log-level" };

#define CONFIG_N_KEYS (sizeof config_keys / sizeof config_keys[0])

struct config_reader {
	struct config *config;
	const char *name, *text;
	size_t left;
	int line;       /* the last one that was handed out, from 1 */
	int fault_line; /* 0: none yet; only the first is kept */
	char fault[200];
	bool seen[CONFIG_N_KEYS];
};

static void config_fault(struct config_reader *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void config_fault(struct config_reader *r, const char *format, ...)
{
	va_list arguments;

	if (r->fault_line)
		return;
	r->fault_line = r->line;
	va_start(arguments, format);
	(void)vsnprintf(r->fault, sizeof r->fault, format, arguments);
	va_end(arguments);
}

/* inih calls its handler for keys only, so a section that has none is looked at here. */
static void config_check_line(struct config_reader *r, const char *line, size_t n_bytes)
{
	const char *start = line + strspn(line, " \t\r");
	const char *end = strchr(start, ']');

	if (memchr(line, '\0', n_bytes))
		config_fault(r, "it contains a zero byte");
	else if (*start == '[' && end && (size_t)(end - start - 1) == strlen(CONFIG_SECTION) &&
	         strncmp(start + 1, CONFIG_SECTION, strlen(CONFIG_SECTION)) == 0)
		return;
	else if (*start == '[' && end)
		config_fault(r, "unknown section '%.*s': the one that there is is [" CONFIG_SECTION "]",
		             (int)(end - start + 1), start);
}

/* An ini_reader, in the shape of fgets(). Ends the reading at the first fault. */
static char *config_read_line(char *out, int room, void *stream)
{
	struct config_reader *r = stream;
	const char *newline = r->left ? memchr(r->text, '\n', r->left) : NULL;
	size_t taken = newline ? (size_t)(newline - r->text) + 1 : r->left;
	size_t length = newline ? taken - 1 : taken;

	if (taken == 0 || r->fault_line)
		return NULL;
	r->line++;
	if (length > CONFIG_LINE_MAX_BYTES || length + 2 > (size_t)room) {
		config_fault(r, "the line has more than %d bytes", CONFIG_LINE_MAX_BYTES);
		return NULL;
	}
	memcpy(out, r->text, length);
	out[length] = '\0';
	config_check_line(r, out, length);
	r->text += taken;
	r->left -= taken;
	return r->fault_line ? NULL : out;
}

static void config_unknown_key(struct config_reader *r, const char *key)
{
	struct suggest s;

	suggest_init(&s, key);
	for (size_t i = 0; i < CONFIG_N_KEYS; i++)
		suggest_consider(&s, config_keys[i]);
	if (s.best)
		config_fault(r, "unknown key '%.60s': did you mean '%s'?", key, s.best);
	else
		config_fault(r, "unknown key '%.60s': there are store, id, ttl, log-format, log-level", key);
}

static void config_set_store(struct config_reader *r, const char *value)
{
	struct tenure_error error = TENURE_ERROR_INIT;
	struct url url;

	if (url_parse(&url, value, &error) != 0)
		config_fault(r, "%.180s", error.message);
	else if (strcmp(url.scheme, "file") == 0 && url.path[0] != '/')
		config_fault(r, "the directory of a file store must be absolute here, as in file:/var/lib/tenure");
	else
		(void)snprintf(r->config->store, sizeof r->config->store, "%s", value);
}

static void config_set(struct config_reader *r, const char *key, const char *value)
{
	struct config *c = r->config;
	const char *fault;

	if (strcmp(key, "store") == 0) {
		config_set_store(r, value);
	} else if (strcmp(key, "id") == 0) {
		fault = names_id_fault(value);
		if (fault)
			config_fault(r, "bad id '%.64s': %s", value, fault);
		(void)snprintf(c->id, sizeof c->id, "%s", value);
	} else if (strcmp(key, "ttl") == 0) {
		if (!text_duration_ns(value, &c->ttl_ns) || c->ttl_ns == 0)
			config_fault(r, "bad ttl '%.60s': it is a duration with its unit (ms, s, m, h), as in 10s",
			             value);
	} else if (strcmp(key, "log-format") == 0) {
		if (strcmp(value, "text") != 0 && strcmp(value, "json") != 0)
			config_fault(r, "bad log-format '%.60s': it is text or json", value);
		(void)snprintf(c->log_format, sizeof c->log_format, "%s", value);
	} else {
		if (logs_level(value) < 0)
			config_fault(r, "bad log-level '%.60s': it is one of " LOGS_LEVELS, value);
		(void)snprintf(c->log_level, sizeof c->log_level, "%s", value);
	}
}

/* An ini_handler. Continued lines come as the same key once more, so they are refused like repeated keys. */
static int config_handle(void *user, const char *section, const char *key, const char *value)
{
	struct config_reader *r = user;

	for (size_t i = 0; i < CONFIG_N_KEYS; i++) {
		if (strcmp(config_keys[i], key) != 0)
			continue;
		if (section[0] == '\0')
			config_fault(r, "'%s' stands before any section: put it below a line [" CONFIG_SECTION "]",
			             key);
		else if (strcmp(section, CONFIG_SECTION) != 0)
			config_fault(r, "unknown section [%.60s]: the one that there is is [" CONFIG_SECTION "]",
			             section);
		else if (r->seen[i])
			config_fault(r, "'%s' is given twice, or continued on another line", key);
		else
			config_set(r, key, value);
		r->seen[i] = true;
		return r->fault_line == 0;
	}
	config_unknown_key(r, key);
	return 0;
}

int config_parse(struct config *c, const char *name, const char *text, size_t n_bytes, struct tenure_error *error)
{
	struct config_reader r = { .config = c, .name = name, .text = text, .left = n_bytes };
	int line;

	memset(c, 0, sizeof *c);
	if (n_bytes > CONFIG_MAX_BYTES)
		return error_set(error, TENURE_EINVAL, 0, "%.120s: it has more than %d bytes", name, CONFIG_MAX_BYTES);
	line = ini_parse_stream(config_read_line, &r, config_handle, &r);
	if (line < 0)
		return error_set(error, TENURE_ENOMEM, 0, "%.120s: out of memory", name);
	/* A line that inih itself refused comes before any that a handler would have refused later. */
	if (line > 0 && (r.fault_line == 0 || line < r.fault_line))
		return error_set(error, TENURE_EINVAL, 0,
		                 "%.120s:%d: it is neither a [section], nor key = value, nor a comment (;)", name,
		                 line);
	if (r.fault_line)
		return error_set(error, TENURE_EINVAL, 0, "%.120s:%d: %s", name, r.fault_line, r.fault);
	return 0;
}
