/* SPDX-License-Identifier: Apache-2.0 */
/* Where settings come from: flags, else the environment, else the configuration file, else the defaults of CONTRACT. */
#ifndef TENURE_CLI_SETTINGS_H
#define TENURE_CLI_SETTINGS_H

#include <sys/types.h>

#include "cli/cli.h"
#include "cli/config.h"
#include "cli/logs.h"
#include "cli/options.h"

#define SETTINGS_DEFAULT_FILE "/etc/tenure/tenure.ini"
#define SETTINGS_STORE_ROOM   8192

struct settings { /* what cli->session and cli->store_url point into */
	struct config config;
	char store_url[SETTINGS_STORE_ROOM];
};

/*
 * Logging alone, from flags and environment: what goes wrong afterwards is told in the form that was asked for. 0, or
 * the exit code after a message.
 */
int settings_logs(const struct cli *cli, struct logs *logs, const struct options_common *common);
/* Fills cli->store_url, store_origin and session, and what the file says about logging. 0, or the exit code after a
 * message. */
int settings_resolve(struct cli *cli, struct logs *logs, const struct options_common *common, struct settings *s);

/* Reads a whole file, at most `room` bytes of it. -1 with errno set. */
ssize_t settings_read(const char *path, char *out, size_t room);

/*
 * `url` with a relative directory of a file store made absolute below `directory`, so that it means the same for a
 * program that changes its directory; any other URL as it is. False where there is no room. PURE.
 */
bool settings_absolute(char *out, size_t room, const char *url, const char *directory);

#endif
