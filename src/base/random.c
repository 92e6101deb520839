/* SPDX-License-Identifier: Apache-2.0 */
#include "base/random.h"

#include <errno.h>
#include <sys/random.h>

#include <tenure/tenure.h>

int random_u64(uint64_t *value)
{
	ssize_t got;

	do {
		got = getrandom(value, sizeof *value, 0);
	} while (got < 0 && errno == EINTR);
	return got == (ssize_t)sizeof *value ? 0 : TENURE_EINTERNAL;
}
