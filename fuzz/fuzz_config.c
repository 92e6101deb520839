/* SPDX-License-Identifier: Apache-2.0 */
/* A configuration file with any content: refused with its line, or read into settings that would also pass as flags. */
#include <stdint.h>
#include <string.h>

#include "base/check.h"
#include "base/names.h"
#include "cli/config.h"
#include "cli/logs.h"
#include "client/url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_accepted(const struct config *c)
{
	struct url url;

	CHECK(c->store[0] == '\0' ||
	      (url_parse(&url, c->store, NULL) == 0 && strlen(c->store) <= CONFIG_LINE_MAX_BYTES));
	CHECK(c->id[0] == '\0' || !names_id_fault(c->id));
	CHECK(c->log_format[0] == '\0' || strcmp(c->log_format, "text") == 0 || strcmp(c->log_format, "json") == 0);
	CHECK(c->log_level[0] == '\0' || logs_level(c->log_level) >= 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct tenure_error error = TENURE_ERROR_INIT;
	struct config c;
	int code = config_parse(&c, "f.ini", (const char *)data, size, &error);

	if (code == 0) {
		fuzz_accepted(&c);
	} else {
		CHECK(code == TENURE_EINVAL && error.code == code);
		CHECK(strncmp(error.message, "f.ini:", 6) == 0);
	}
	CHECK(config_parse(&c, "f.ini", (const char *)data, size, NULL) == code);
	return 0;
}
