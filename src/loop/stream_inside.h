/* SPDX-License-Identifier: Apache-2.0 */
/* What connections and listeners share: nobody else's. */
#ifndef TENURE_LOOP_STREAM_INSIDE_H
#define TENURE_LOOP_STREAM_INSIDE_H

#include <sys/socket.h>

#include "loop/stream.h"

/* "127.0.0.1:7420", "[::1]:7420". */
void stream_name_of(const struct sockaddr *address, socklen_t n_bytes, char out[STREAM_ADDRESS_ROOM]);
/* Takes an accepted, non-blocking descriptor. NULL: no memory; it is closed. */
struct stream *stream_adopt(struct loop *l, int fd, const char *peer_name);
void stream_tune(int fd); /* the options that all connections have */

#endif
