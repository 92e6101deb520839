/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/verbs.h"

#include <string.h>

/* One line a verb, in the order of `tenure --help`. */
#define VERBS(X)                                                                                                       \
	X(run)                                                                                                         \
	X(campaign)                                                                                                    \
	X(status)                                                                                                      \
	X(list)                                                                                                        \
	X(watch)                                                                                                       \
	X(resign)                                                                                                      \
	X(transfer)                                                                                                    \
	VERBS_GUARD(X)                                                                                                 \
	X(server)                                                                                                      \
	VERBS_DEMO(X)                                                                                                  \
	X(timing)                                                                                                      \
	X(doctor)                                                                                                      \
	X(version)

#ifdef VERBS_WITH_GUARD
#define VERBS_GUARD(X) X(guard)
#else
#define VERBS_GUARD(X)
#endif
#ifdef VERBS_WITH_DEMO
#define VERBS_DEMO(X) X(demo)
#else
#define VERBS_DEMO(X)
#endif

#define VERBS_DECLARE(name) extern const struct cli_verb verb_##name;
VERBS(VERBS_DECLARE)

#define VERBS_ENTRY(name) &verb_##name,
static const struct cli_verb *const verbs_table[] = { VERBS(VERBS_ENTRY) };

const struct cli_verb *verbs_at(size_t i)
{
	return i < sizeof verbs_table / sizeof verbs_table[0] ? verbs_table[i] : NULL;
}

const struct cli_verb *verbs_find(const char *name)
{
	for (size_t i = 0; verbs_at(i); i++)
		if (strcmp(verbs_at(i)->name, name) == 0)
			return verbs_at(i);
	return NULL;
}
