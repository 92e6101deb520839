/* SPDX-License-Identifier: Apache-2.0 */
/* A store URL with any content: refused with a message, or taken apart into texts that lie within it. */
#include <stdint.h>
#include <string.h>

#include "base/check.h"
#include "client/url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A text that lies within the copy, ends there, and has no byte that could break a line of a log. */
static void fuzz_inside(const struct url *u, const char *text)
{
	CHECK(text >= u->text && text < u->text + sizeof u->text);
	CHECK(memchr(text, '\0', (size_t)(u->text + sizeof u->text - text)));
	for (; *text; text++)
		CHECK((unsigned char)*text >= 0x20 && *text != 0x7f);
}

static void fuzz_accepted(const struct url *u, const char *text)
{
	size_t length = strlen(u->scheme);

	CHECK(length >= 1 && length <= URL_SCHEME_MAX);
	CHECK(strncmp(u->scheme, text, length) == 0 && text[length] == ':');
	CHECK(u->path && u->n_pairs <= URL_MAX_PAIRS);
	fuzz_inside(u, u->path);
	CHECK(u->path[0] || strcmp(u->scheme, "kubernetes") == 0);
	for (size_t i = 0; i < u->n_pairs; i++) {
		fuzz_inside(u, u->pairs[i].key);
		fuzz_inside(u, u->pairs[i].value);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const size_t most = URL_MAX_BYTES + 8; /* a little more than what is allowed */
	struct tenure_error error = TENURE_ERROR_INIT;
	char text[URL_MAX_BYTES + 8 + 1];
	struct url u;
	int code;

	if (size > most)
		size = most;
	if (size > 0)
		memcpy(text, data, size);
	text[size] = '\0';
	code = url_parse(&u, text, &error);
	if (code == 0) {
		fuzz_accepted(&u, text);
	} else {
		CHECK(code == TENURE_EURL && error.code == code);
		CHECK(error.message[0] && strlen(error.message) < sizeof error.message);
	}
	CHECK(url_parse(&u, text, NULL) == code);
	return 0;
}
