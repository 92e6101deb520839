/* SPDX-License-Identifier: Apache-2.0 */
/* The conformance suite over one store: conform STORE. */
#include "fixture.h"

#include <stdio.h>
#include <string.h>

#define CONFORM_MAX_TESTS 128

int main(int argc, char **argv)
{
	struct fixture_tests parts[] = { conform_elect(),    conform_handover(), conform_observe(), conform_call(),
		                         conform_embedded(), conform_end(),      conform_lease(),   conform_process() };
	struct CMUnitTest all[CONFORM_MAX_TESTS];
	size_t n = 0;

	if (argc != 2 || !fixture_choose(argv[1])) {
		(void)fprintf(stderr, "usage: conform STORE, a row of fixture.c\n");
		return 64;
	}
	for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
		for (size_t j = 0; j < parts[i].n && n < CONFORM_MAX_TESTS; j++)
			all[n++] = parts[i].tests[j];
	return _cmocka_run_group_tests(fixture_name(), all, n, NULL, NULL);
}
