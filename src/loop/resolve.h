/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names into addresses, without blocking the loop: each on a thread of its own, which takes no signals and which nobody
 * waits for. (libuv's pool would: a name server that does not answer kept the process from ending.)
 */
#ifndef TENURE_LOOP_RESOLVE_H
#define TENURE_LOOP_RESOLVE_H

#include <netdb.h>
#include <stdint.h>

#include "loop/loop.h"

struct resolve;

/*
 * `found` is owned by the callee (freeaddrinfo); NULL: none, `fault` says why. Between the loop's `before` and
 * `after`.
 */
typedef void resolve_fn(void *arg, struct addrinfo *found, const char *fault);

/* 0; TENURE_ENOMEM; TENURE_ELIMIT: no descriptor or thread. */
int resolve_start(struct resolve **out, struct loop *l, const char *host, uint16_t port, resolve_fn *fn, void *arg);
/* fn is not called any more; from fn itself too. NULL is allowed. */
void resolve_free(struct resolve *r);

#endif
