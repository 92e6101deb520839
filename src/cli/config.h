/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration file: an ini file with the section [tenure] and the keys store, id, ttl, log-format, log-level.
 * What it does not know it refuses, with the file and the line. PURE: bytes in, settings out.
 */
#ifndef TENURE_CLI_CONFIG_H
#define TENURE_CLI_CONFIG_H

#include <stddef.h>
#include <stdint.h>

#include <tenure/tenure.h>

#include "cli/config_file.h"

struct config { /* "" or 0: not given */
	char store[CONFIG_LINE_MAX_BYTES + 1];
	char id[CONFIG_LINE_MAX_BYTES + 1];
	char log_format[8];
	char log_level[8];
	uint64_t ttl_ns;
};

/* 0, or TENURE_EINVAL with "NAME:LINE: what is wrong". */
int config_parse(struct config *c, const char *name, const char *text, size_t n_bytes, struct tenure_error *error);

#endif
