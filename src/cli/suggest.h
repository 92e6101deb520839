/* SPDX-License-Identifier: Apache-2.0 */
/* "Did you mean ...?" PURE. */
#ifndef TENURE_CLI_SUGGEST_H
#define TENURE_CLI_SUGGEST_H

#include <stddef.h>

struct suggest {
	const char *word;
	const char *best; /* NULL: nothing is near */
	size_t distance;
};

void suggest_init(struct suggest *s, const char *word);
/* Keeps `candidate` if it is near, and nearer than what was seen before. Borrows it. */
void suggest_consider(struct suggest *s, const char *candidate);

#endif
