/* SPDX-License-Identifier: Apache-2.0 */
/* The settings of a voter: what flags say, then the section [server] of a file. */
#ifndef TENURE_CLI_SERVER_CONFIG_H
#define TENURE_CLI_SERVER_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "cli/cli.h"
#include "cli/config_file.h"

struct server_config { /* "", 0 or false: not given */
	char data[CONFIG_LINE_MAX_BYTES + 1], http[CONFIG_LINE_MAX_BYTES + 1];
	bool insecure, volatile_store;
	uint64_t max_ttl_ns, max_connections, max_elections;
	char log_format[8], log_level[8];
};

/* Reads the file. 0, or the exit code after a message. */
int server_config_read(const struct cli *cli, struct server_config *c, const char *path);
/*
 * The settings in which they differ and that only a restart changes, for people: "http, max-ttl"; "" none. Returns
 * `out`.
 */
const char *server_config_needs_restart(const struct server_config *before, const struct server_config *now, char *out,
                                        size_t room);

#endif
