/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/suggest.h"

#include <string.h>

#define SUGGEST_MAX_BYTES 31

static size_t suggest_least(size_t a, size_t b, size_t c)
{
	size_t least = a < b ? a : b;

	return least < c ? least : c;
}

/* Changes of one letter, and swaps of two neighbours, from one word to the other (optimal string alignment). */
static size_t suggest_distance(const char *a, const char *b)
{
	size_t row[3][SUGGEST_MAX_BYTES + 1], n = strlen(a), m = strlen(b);

	if (n > SUGGEST_MAX_BYTES || m > SUGGEST_MAX_BYTES)
		return SUGGEST_MAX_BYTES;
	for (size_t j = 0; j <= m; j++)
		row[0][j] = j;
	for (size_t i = 1; i <= n; i++) {
		size_t *now = row[i % 3], *before = row[(i + 2) % 3];

		now[0] = i;
		for (size_t j = 1; j <= m; j++) {
			now[j] = suggest_least(before[j] + 1, now[j - 1] + 1, before[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    row[(i + 1) % 3][j - 2] + 1 < now[j])
				now[j] = row[(i + 1) % 3][j - 2] + 1;
		}
	}
	return row[n % 3][m];
}

void suggest_init(struct suggest *s, const char *word)
{
	*s = (struct suggest) { .word = word };
}

void suggest_consider(struct suggest *s, const char *candidate)
{
	size_t length = strlen(s->word), distance = suggest_distance(s->word, candidate);

	/* What begins a name is meant as that name, however much of it is missing. */
	if (length >= 3 && strncmp(s->word, candidate, length) == 0)
		distance = 1;
	if (distance > 1 + length / 4 || (s->best && distance >= s->distance))
		return;
	s->best = candidate;
	s->distance = distance;
}
