/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/config_file.h"

#include <ini.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/error.h"
#include "cli/suggest.h"

struct config_file {
	const struct config_file_format *format;
	void *config;
	const char *name, *text;
	size_t left;
	int line;       /* the last one that was handed out, from 1 */
	int fault_line; /* 0: none yet; only the first is kept */
	char fault[200];
	bool seen[CONFIG_FILE_MAX_KEYS];
};

void config_file_fault(struct config_file *r, const char *format, ...)
{
	va_list arguments;

	if (r->fault_line)
		return;
	r->fault_line = r->line;
	va_start(arguments, format);
	/* The analyzer loses sight of va_start() when it looks in from a caller. NOLINTNEXTLINE(clang-analyzer-valist.*) */
	(void)vsnprintf(r->fault, sizeof r->fault, format, arguments);
	va_end(arguments);
}

/* inih calls its handler for keys only, so a section that has none is looked at here. */
static void config_file_check_line(struct config_file *r, const char *line, size_t n_bytes)
{
	const char *start = line + strspn(line, " \t\r");
	const char *end = strchr(start, ']'), *section = r->format->section;

	if (memchr(line, '\0', n_bytes))
		config_file_fault(r, "it contains a zero byte");
	else if (*start == '[' && end && (size_t)(end - start - 1) == strlen(section) &&
	         strncmp(start + 1, section, strlen(section)) == 0)
		return;
	else if (*start == '[' && end)
		config_file_fault(r, "unknown section '%.*s': the one that there is is [%s]", (int)(end - start + 1),
		                  start, section);
}

/* An ini_reader, in the shape of fgets(). Ends the reading at the first fault. */
static char *config_file_read_line(char *out, int room, void *stream)
{
	struct config_file *r = stream;
	const char *newline = r->left ? memchr(r->text, '\n', r->left) : NULL;
	size_t taken = newline ? (size_t)(newline - r->text) + 1 : r->left;
	size_t length = newline ? taken - 1 : taken;

	if (taken == 0 || r->fault_line)
		return NULL;
	r->line++;
	if (length > CONFIG_LINE_MAX_BYTES || length + 2 > (size_t)room) {
		config_file_fault(r, "the line has more than %d bytes", CONFIG_LINE_MAX_BYTES);
		return NULL;
	}
	memcpy(out, r->text, length);
	out[length] = '\0';
	config_file_check_line(r, out, length);
	r->text += taken;
	r->left -= taken;
	return r->fault_line ? NULL : out;
}

static void config_file_unknown_key(struct config_file *r, const char *key)
{
	struct suggest s;

	suggest_init(&s, key);
	for (size_t i = 0; i < r->format->n_keys; i++)
		suggest_consider(&s, r->format->keys[i]);
	if (s.best)
		config_file_fault(r, "unknown key '%.60s': did you mean '%s'?", key, s.best);
	else
		config_file_fault(r, "unknown key '%.60s': there are %s", key, r->format->known);
}

/* An ini_handler. Continued lines come as the same key once more, so they are refused like repeated keys. */
static int config_file_handle(void *user, const char *section, const char *key, const char *value)
{
	struct config_file *r = user;

	for (size_t i = 0; i < r->format->n_keys; i++) {
		if (strcmp(r->format->keys[i], key) != 0)
			continue;
		if (section[0] == '\0')
			config_file_fault(r, "'%s' stands before any section: put it below a line [%s]", key,
			                  r->format->section);
		else if (strcmp(section, r->format->section) != 0)
			config_file_fault(r, "unknown section [%.60s]: the one that there is is [%s]", section,
			                  r->format->section);
		else if (r->seen[i])
			config_file_fault(r, "'%s' is given twice, or continued on another line", key);
		else
			r->format->set(r, r->config, key, value);
		r->seen[i] = true;
		return r->fault_line == 0;
	}
	config_file_unknown_key(r, key);
	return 0;
}

int config_file_parse(const struct config_file_format *format, void *config, const char *name, const char *text,
                      size_t n_bytes, struct tenure_error *error)
{
	struct config_file r = { .format = format, .config = config, .name = name, .text = text, .left = n_bytes };
	int line;

	CHECK(format->n_keys <= CONFIG_FILE_MAX_KEYS);
	if (n_bytes > CONFIG_MAX_BYTES)
		return error_set(error, TENURE_EINVAL, 0, "%.120s: it has more than %d bytes", name, CONFIG_MAX_BYTES);
	line = ini_parse_stream(config_file_read_line, &r, config_file_handle, &r);
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
