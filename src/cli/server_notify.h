/* SPDX-License-Identifier: Apache-2.0 */
/* Tells whoever started a server how far it is: systemd's protocol (sd_notify(3)). */
#ifndef TENURE_CLI_SERVER_NOTIFY_H
#define TENURE_CLI_SERVER_NOTIFY_H

/* "READY=1\nSTATUS=..."; nothing where NOTIFY_SOCKET is not set. */
void server_notify(const char *state);

#endif
