/* SPDX-License-Identifier: Apache-2.0 */
#include "client/url.h"

#include <string.h>

#include "base/error.h"

static int url_hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* Decodes %XX in place. NULL, or what is wrong. */
static const char *url_decode(char *text)
{
	char *out = text;

	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (c == '%') {
			int high = url_hex(text[1]), low = high < 0 ? -1 : url_hex(text[2]);

			if (low < 0)
				return "'%' must be followed by two hexadecimal digits";
			c = (unsigned char)(high << 4 | low);
			text += 2;
		}
		if (c < 0x20 || c == 0x7f)
			return "it contains a control character";
		*out++ = (char)c;
	}
	*out = '\0';
	return NULL;
}

static const char *url_scheme(struct url *u, char **rest)
{
	size_t length = strspn(u->text, "abcdefghijklmnopqrstuvwxyz0123456789");

	if (length == 0 || u->text[length] != ':')
		return "it must begin with a store's name and ':', as in file:/var/lib/tenure";
	if (length > URL_SCHEME_MAX)
		return "the store's name is too long";
	memcpy(u->scheme, u->text, length);
	u->scheme[length] = '\0';
	*rest = u->text + length + 1;
	return NULL;
}

static const char *url_pair(struct url *u, char *text)
{
	char *equals = strchr(text, '=');
	const char *fault;

	if (!equals || equals == text)
		return "what follows '?' must have the form key=value&key=value";
	if (u->n_pairs == URL_MAX_PAIRS)
		return "it has more than 16 settings";
	*equals = '\0';
	fault = url_decode(text);
	if (!fault)
		fault = url_decode(equals + 1);
	if (fault)
		return fault;
	for (size_t i = 0; i < u->n_pairs; i++)
		if (strcmp(u->pairs[i].key, text) == 0)
			return "a setting is given twice";
	u->pairs[u->n_pairs++] = (struct store_pair) { .key = text, .value = equals + 1 };
	return NULL;
}

static const char *url_query(struct url *u, char *query)
{
	while (query) {
		char *next = strchr(query, '&');
		const char *fault;

		if (next)
			*next++ = '\0';
		fault = url_pair(u, query);
		if (fault)
			return fault;
		query = next;
	}
	return NULL;
}

static const char *url_split(struct url *u)
{
	char *rest = NULL, *query;
	const char *fault = url_scheme(u, &rest);

	if (fault)
		return fault;
	query = strchr(rest, '?');
	if (query)
		*query++ = '\0';
	if (strncmp(rest, "//", 2) == 0)
		rest += 2;
	/* A file's URL names no host: file:///DIR is file:/DIR, but file://DIR would silently mean another place. */
	if (strcmp(u->scheme, "file") == 0 && rest > u->text + strlen("file:") && rest[0] != '/')
		return "a file store has no host: write file:/DIR, or file:DIR for a relative one";
	fault = url_decode(rest);
	if (fault)
		return fault;
	if (rest[0] == '\0' && strcmp(u->scheme, "kubernetes") != 0)
		return "what follows the store's name is missing";
	u->path = rest;
	return url_query(u, query);
}

int url_parse(struct url *u, const char *text, struct tenure_error *error)
{
	size_t length = strnlen(text, URL_MAX_BYTES + 1);
	const char *fault;

	memset(u, 0, sizeof *u);
	if (length > URL_MAX_BYTES)
		return error_set(error, TENURE_EURL, 0, "malformed store URL: it is longer than %d bytes",
		                 URL_MAX_BYTES);
	memcpy(u->text, text, length + 1);
	fault = url_split(u);
	if (!fault)
		return 0;
	return error_set(error, TENURE_EURL, 0, "malformed store URL '%.100s': %s", text, fault);
}
