/* SPDX-License-Identifier: Apache-2.0 */
#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>

_Noreturn void check_failed(const char *condition, const char *file, int line)
{
	(void)fprintf(stderr, "tenure: defect: %s is false at %s:%d; please report it\n", condition, file, line);
	abort();
}
