/* SPDX-License-Identifier: Apache-2.0 */
/* Store URLs (CONTRACT: Stores): SCHEME:PATH or SCHEME://PATH, then ?key=value&key=value. PURE. */
#ifndef TENURE_CLIENT_URL_H
#define TENURE_CLIENT_URL_H

#include <stddef.h>

#include <tenure/tenure.h>

#include "elector/store.h"

#define URL_MAX_BYTES  4096
#define URL_MAX_PAIRS  16
#define URL_SCHEME_MAX 15

struct url {
	char scheme[URL_SCHEME_MAX + 1];
	const char *path; /* decoded; not empty, but for kubernetes */
	struct store_pair pairs[URL_MAX_PAIRS];
	size_t n_pairs;
	char text[URL_MAX_BYTES + 1]; /* what the pointers point into */
};

/* 0, or TENURE_EURL with what is wrong and the right form. */
int url_parse(struct url *u, const char *text, struct tenure_error *error);

#endif
